"""Laws of profiles: resampling conserves, windows and selections compose, digests tell apart, files keep."""

import io

import numpy as np
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from data.profiles import (
    INTERVALS_MINUTES,
    LARGEST_PRICE_UEUR_PER_KWH,
    LARGEST_WH,
    RESERVED_NAMES,
    Profiles,
)
from data.tables import parse_profiles, read_profiles, write_profiles

READABLE_WH = 10_000_000

name = st.text(st.characters(codec="utf-8", exclude_categories=["C", "Z"]), min_size=1, max_size=6).filter(
    lambda text: text.isprintable() and text == text.strip() and text not in RESERVED_NAMES
)


@st.composite
def profiles(draw, largest_wh=LARGEST_WH, least_intervals=1):
    n_intervals, n_participants = draw(st.integers(least_intervals, 12)), draw(st.integers(1, 4))
    shape = (n_intervals, n_participants)
    energy = arrays(np.int64, shape, elements=st.integers(0, largest_wh))
    price = arrays(np.int64, n_intervals, elements=st.integers(0, LARGEST_PRICE_UEUR_PER_KWH))
    return Profiles(
        start=np.datetime64(draw(st.integers(0, 800_000)) * 3600, "s"),
        interval_minutes=draw(st.sampled_from(INTERVALS_MINUTES)),
        participants=tuple(draw(st.lists(name, min_size=n_participants, max_size=n_participants, unique=True))),
        load_wh=draw(energy),
        pv_wh=draw(energy),
        price_ueur_per_kwh=draw(price),
        provenance={},
    )


@given(profiles(), st.sampled_from(INTERVALS_MINUTES))
def test_splitting_conserves_every_interval_and_joining_undoes_it(original, minutes):
    assume(original.interval_minutes % minutes == 0)
    parts = original.interval_minutes // minutes
    fine = original.resample(minutes)
    assert fine.n_intervals == parts * original.n_intervals
    for energy, split in ((original.load_wh, fine.load_wh), (original.pv_wh, fine.pv_wh)):
        pieces = split.reshape(original.n_intervals, parts, -1)
        assert (pieces.sum(axis=1) == energy).all()
        assert (pieces.max(axis=1) - pieces.min(axis=1) <= 1).all()
    assert fine.resample(original.interval_minutes).digest() == original.digest()


@given(profiles(largest_wh=LARGEST_WH // 60), st.sampled_from(INTERVALS_MINUTES))
def test_joining_conserves_every_participant(original, minutes):
    assume(minutes % original.interval_minutes == 0)
    parts = minutes // original.interval_minutes
    assume(original.n_intervals >= parts)
    whole = original.window(0, original.n_intervals // parts * parts)
    joined = whole.resample(minutes)
    assert (joined.load_wh.sum(axis=0) == whole.load_wh.sum(axis=0)).all()
    assert (joined.pv_wh.sum(axis=0) == whole.pv_wh.sum(axis=0)).all()
    assert joined.price_ueur_per_kwh.max() <= whole.price_ueur_per_kwh.max()
    assert joined.start == whole.start


@given(profiles(least_intervals=3), st.data())
def test_a_window_of_a_window_is_a_window(original, data):
    first, stop = sorted(data.draw(st.lists(st.integers(0, original.n_intervals), min_size=2, max_size=2, unique=True)))
    inner_first = data.draw(st.integers(first, stop - 1))
    inner_stop = data.draw(st.integers(inner_first + 1, stop))
    nested = original.window(first, stop).window(inner_first - first, inner_stop - first)
    assert nested.digest() == original.window(inner_first, inner_stop).digest()
    assert (nested.time == original.time[inner_first:inner_stop]).all()


@given(profiles(), st.data())
def test_windows_and_selections_commute_and_an_order_is_undone(original, data):
    order = data.draw(st.permutations(original.participants))
    stop = data.draw(st.integers(1, original.n_intervals))
    assert original.select(order).window(0, stop).digest() == original.window(0, stop).select(order).digest()
    assert original.select(order).select(original.participants).digest() == original.digest()
    for participant in order:
        column = original.participants.index(participant)
        assert (original.select([participant]).load_wh[:, 0] == original.load_wh[:, column]).all()


@given(profiles(), st.data())
def test_any_changed_value_changes_the_digest(original, data):
    field = data.draw(st.sampled_from(["load_wh", "pv_wh", "price_ueur_per_kwh"]))
    values = getattr(original, field).copy()
    where = data.draw(st.integers(0, values.size - 1))
    values.flat[where] += 1 if values.flat[where] < LARGEST_PRICE_UEUR_PER_KWH else -1
    contents = {slot: getattr(original, slot) for slot in Profiles.__slots__}
    assert Profiles(**{**contents, field: values}).digest() != original.digest()
    assert Profiles(**contents).digest() == original.digest()


@given(profiles())
def test_begin_interval_names_and_shape_are_in_the_digest(original):
    contents = {slot: getattr(original, slot) for slot in Profiles.__slots__}
    others = [
        {"start": original.start + np.timedelta64(1, "s")},
        {"interval_minutes": 30 if original.interval_minutes != 30 else 15},
        {"participants": (*original.participants[:-1], original.participants[-1] + "'")},
        {"load_wh": original.pv_wh, "pv_wh": original.load_wh},
    ]
    for changes in others[:3]:
        assert Profiles(**{**contents, **changes}).digest() != original.digest()
    swapped = Profiles(**{**contents, **others[3]})
    assert (swapped.digest() == original.digest()) == bool((original.load_wh == original.pv_wh).all())


@settings(max_examples=40)
@given(original=profiles(largest_wh=READABLE_WH), kind=st.sampled_from(["csv", "parquet"]))
def test_what_is_written_is_read(tmp_path_factory, original, kind):
    file = tmp_path_factory.mktemp("written") / f"profiles.{kind}"
    write_profiles(original, file)
    assert read_profiles(file, interval_minutes=original.interval_minutes).digest() == original.digest()


@settings(max_examples=40)
@given(profiles(largest_wh=READABLE_WH, least_intervals=2), st.randoms())
def test_the_order_of_participants_in_a_file_does_not_matter(original, random):
    """Rows are shuffled between participants, each participant's own rows staying in the order of time."""
    header = "time,participant,load_wh,pv_wh,price_ueur_per_kwh"
    waiting = [iter(range(original.n_intervals)) for _ in original.participants]
    turns = [k for k in range(original.n_participants) for _ in range(original.n_intervals)]
    random.shuffle(turns)
    lines = []
    for k in turns:
        t = next(waiting[k])
        energies = f"{original.load_wh[t, k]},{original.pv_wh[t, k]}"
        quoted = original.participants[k].replace('"', '""')
        lines.append(f'{original.time[t]}Z,"{quoted}",{energies},{original.price_ueur_per_kwh[t]}')
    read = parse_profiles(io.StringIO("\n".join([header, *lines])))
    assert read.select(original.participants).digest() == original.digest()
