import hashlib
import pickle
import struct
from dataclasses import FrozenInstanceError

import numpy as np
import pytest

from data.errors import DataError
from data.profiles import Profiles


def profiles(**changes):
    content = {
        "start": np.datetime64("2017-01-01T00:00", "s"),
        "interval_minutes": 60,
        "participants": ("a", "b"),
        "load_wh": np.array([[10, 20], [31, 41], [50, 60]]),
        "pv_wh": np.array([[0, 3], [0, 7], [0, 1]]),
        "price_ueur_per_kwh": np.array([50_000, 60_001, 70_000]),
        "provenance": {"source": "test"},
    }
    return Profiles(**{**content, **changes})


def test_sizes_and_times():
    assert (profiles().n_intervals, profiles().n_participants) == (3, 2)
    expected = np.array(["2017-01-01T00:00", "2017-01-01T01:00", "2017-01-01T02:00"], "datetime64[s]")
    assert (profiles().time == expected).all()
    assert profiles().time.dtype == "datetime64[s]"


def test_arrays_are_frozen_contiguous_int64_and_not_the_callers():
    mine = np.asfortranarray(np.array([[10, 20], [31, 41], [50, 60]], dtype=np.int32))
    made = profiles(load_wh=mine)
    mine[0, 0] = 99
    assert made.load_wh[0, 0] == 10
    assert made.load_wh.dtype == np.int64
    assert made.load_wh.flags.c_contiguous
    with pytest.raises(ValueError, match="read-only"):
        made.load_wh[0, 0] = 1
    with pytest.raises(FrozenInstanceError):
        made.start = np.datetime64("2018-01-01")


def test_a_read_only_view_of_a_writable_array_is_copied():
    mine = np.array([50_000, 60_001, 70_000])
    view = mine[:]
    view.setflags(write=False)
    made = profiles(price_ueur_per_kwh=view)
    mine[0] = 0
    assert made.price_ueur_per_kwh[0] == 50_000


def test_a_window_shares_the_memory():
    whole = profiles()
    part = whole.window(1, 3)
    assert np.shares_memory(part.load_wh, whole.load_wh)
    assert part.start == np.datetime64("2017-01-01T01:00")
    assert part.load_wh.tolist() == [[31, 41], [50, 60]]
    assert part.price_ueur_per_kwh.tolist() == [60_001, 70_000]


@pytest.mark.parametrize(("first", "stop"), [(-1, 2), (0, 4), (2, 2), (2, 1)])
def test_a_window_outside_is_refused(first, stop):
    with pytest.raises(DataError, match="expected a window within 0 … 3"):
        profiles().window(first, stop)


def test_select_takes_columns_in_the_order_asked_for():
    swapped = profiles().select(["b", "a"])
    assert swapped.participants == ("b", "a")
    assert swapped.pv_wh[:, 0].tolist() == [3, 7, 1]
    with pytest.raises(DataError, match="got 'c'"):
        profiles().select(["a", "c"])
    with pytest.raises(DataError, match="'a' twice"):
        profiles().select(["a", "a"])


def test_splitting_gives_the_remainder_to_the_first_parts_and_repeats_prices():
    quarter = profiles().window(1, 2).resample(15)
    assert quarter.load_wh[:, 0].tolist() == [8, 8, 8, 7]
    assert quarter.load_wh[:, 1].tolist() == [11, 10, 10, 10]
    assert quarter.price_ueur_per_kwh.tolist() == [60_001] * 4
    assert quarter.interval_minutes == 15


def test_joining_sums_energy_and_takes_the_mean_price_rounded_down():
    half = profiles(interval_minutes=30).window(0, 2).resample(60)
    assert half.load_wh.tolist() == [[41, 61]]
    assert half.price_ueur_per_kwh.tolist() == [55_000]


def test_joining_needs_whole_intervals():
    with pytest.raises(DataError, match="got 3 intervals"):
        profiles(interval_minutes=30).resample(60)
    late = profiles(interval_minutes=30).window(1, 3)
    with pytest.raises(DataError, match="begin at a full 60 minutes"):
        late.resample(60)


def test_a_copy_in_another_process_is_equal_and_frozen():
    copy = pickle.loads(pickle.dumps(profiles()))
    assert copy.digest() == profiles().digest()
    assert not copy.load_wh.flags.writeable


def test_digest_is_sha256_over_head_and_little_endian_values():
    """A change of the canonical bytes would silently invalidate recorded ledgers."""
    head = b'["2017-01-01T00:00:00",60,3,["a","b"]]'
    values = [10, 20, 31, 41, 50, 60, 0, 3, 0, 7, 0, 1, 50_000, 60_001, 70_000]
    expected = hashlib.sha256(head + struct.pack("<15q", *values)).digest()
    assert profiles().digest() == expected
    assert profiles(provenance={"source": "elsewhere"}).digest() == expected


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"interval_minutes": 45}, "expected intervals of 1, 5, 10, 15, 30 or 60 minutes, got 45"),
        ({"participants": ("a", "a")}, "'a' twice"),
        ({"participants": ()}, "at least one participant"),
        ({"participants": ("a", " b")}, "without space"),
        ({"participants": ("a", "")}, "printable"),
        ({"participants": ("a", "grid")}, "'grid', which is reserved"),
        ({"participants": ("a", "b", "c")}, r"load_wh: expected shape \(3, 3\), got \(3, 2\)"),
        ({"load_wh": np.ones((3, 2))}, "load_wh: expected integers, got float64"),
        ({"load_wh": np.array([[0, 0], [0, -1], [0, 0]])}, "load_wh, interval 1: .* got -1"),
        ({"pv_wh": np.full((3, 2), 2**31)}, "pv_wh, interval 0: expected 0 to 2147483647"),
        ({"price_ueur_per_kwh": np.array([0, 0, 10_000_001])}, "price_ueur_per_kwh, interval 2"),
        ({"price_ueur_per_kwh": np.array([], dtype=np.int64)}, "at least one interval"),
        ({"start": np.datetime64("2017-01-01T00:00:00.5")}, "whole second"),
        ({"start": np.datetime64("NaT")}, "whole second"),
    ],
)
def test_what_cannot_be_is_refused(changes, message):
    with pytest.raises(DataError, match=message):
        profiles(**changes)
