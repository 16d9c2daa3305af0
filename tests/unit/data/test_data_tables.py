import io

import numpy as np
import pandas as pd
import pytest

from data.errors import DataError
from data.prices import PriceSource
from data.profiles import Profiles
from data.tables import parse_profiles, profiles_from_frame, read_profiles, write_profiles

LONG = """time,participant,load_kwh,pv_kwh,price_eur_per_mwh
2017-01-01T00:00Z,a,0.5,0,50
2017-01-01T00:00Z,b,1.25,0.0004,50
2017-01-01T01:00Z,a,0.25,2,60.5
2017-01-01T01:00Z,b,0.001,0.0006,60.5
"""

WIDE = """time,a.load_kwh,b.load_wh,b.pv_kw,price_eur_per_kwh
2017-01-01T00:00Z,0.5,1250,0,0.05
2017-01-01T01:00Z,0.25,1,0.001,0.0605
"""


def parse(text, **options):
    return parse_profiles(io.StringIO(text), "p.csv", **options)


def quarter_hours(n=4, column="load_kw", value="0.4"):
    lines = [f"2017-01-01T{k // 4:02d}:{15 * (k % 4):02d}Z,a,{value}" for k in range(n)]
    return "\n".join([f"time,participant,{column}", *lines])


def test_long_layout():
    made = parse(LONG)
    assert made.participants == ("a", "b")
    assert made.load_wh.tolist() == [[500, 1250], [250, 1]]
    assert made.pv_wh.tolist() == [[0, 0], [2000, 1]]
    assert made.price_ueur_per_kwh.tolist() == [50_000, 60_500]
    assert (made.start, made.interval_minutes) == (np.datetime64("2017-01-01T00:00"), 60)
    assert made.provenance["file"] == "p.csv"


def test_wide_layout_with_a_unit_per_column():
    made = parse(WIDE)
    assert made.participants == ("a", "b")
    assert made.load_wh.tolist() == [[500, 1250], [250, 1]]
    assert made.pv_wh.tolist() == [[0, 0], [0, 1]]
    assert made.price_ueur_per_kwh.tolist() == [50_000, 60_500]


def test_participants_one_after_the_other_and_in_any_order_of_appearance():
    header, *lines = LONG.splitlines()
    made = parse("\n".join([header, lines[1], lines[3], lines[0], lines[2]]))
    assert made.participants == ("b", "a")
    assert made.load_wh.tolist() == [[1250, 500], [1, 250]]


def test_power_becomes_energy_by_the_interval():
    made = parse(quarter_hours(), price_eur_per_kwh=0.2)
    assert made.interval_minutes == 15
    assert made.load_wh.ravel().tolist() == [100] * 4
    assert made.price_ueur_per_kwh.tolist() == [200_000] * 4
    assert (made.pv_wh == 0).all()


def test_other_intervals_are_resampled():
    joined = parse(quarter_hours(8), price_eur_per_kwh=0.2, interval_minutes=60)
    assert joined.load_wh.ravel().tolist() == [400, 400]
    split = parse(LONG, interval_minutes=15)
    assert split.load_wh.sum(axis=0).tolist() == [750, 1251]
    assert split.n_intervals == 8


def test_a_single_time_needs_the_length_of_its_interval():
    one = "\n".join(LONG.splitlines()[:3])
    assert parse(one, interval_minutes=30).interval_minutes == 30
    with pytest.raises(DataError, match="at least two times"):
        parse(one)


def test_values_are_rounded_half_to_even():
    made = parse(quarter_hours(2, "load_wh", "2.5"), price_eur_per_kwh=0.0)
    assert made.load_wh.ravel().tolist() == [2, 2]


def test_times_without_offset_are_on_the_clock_asked_for():
    text = LONG.replace("Z,", ",")
    assert parse(text).start == np.datetime64("2017-01-01T00:00")
    assert parse(text, timezone="Europe/Madrid").start == np.datetime64("2016-12-31T23:00")
    assert parse(LONG.replace("Z,", "+02:00,")).start == np.datetime64("2016-12-31T22:00")


def test_numbers_as_names_blank_lines_and_a_byte_order_mark(tmp_path):
    file = tmp_path / "p.csv"
    file.write_text(LONG.replace(",a,", ",007,").replace("\n", "\n\n") + "\n\n", encoding="utf-8-sig")
    assert read_profiles(file).participants == ("007", "b")


def test_prices_in_a_file_of_their_own(tmp_path):
    file, prices = tmp_path / "p.csv", tmp_path / "prices.csv"
    file.write_text(quarter_hours(8))
    prices.write_text("time,price_eur_per_mwh\n2016-12-31T23:00Z,40\n2017-01-01T00:00Z,50\n2017-01-01T01:00Z,60\n")
    assert read_profiles(file, prices=prices).price_ueur_per_kwh.tolist() == [50_000] * 4 + [60_000] * 4
    prices.write_text("time,price_eur_per_mwh\n2016-12-31T23:00Z,40\n2017-01-01T00:00Z,50\n")
    with pytest.raises(DataError, match=r"prices.csv.*got none for 2017-01-01T01:00:00"):
        read_profiles(file, prices=prices)


def test_dataframes_are_taken_as_files_are():
    frame = pd.read_csv(io.StringIO(LONG))
    assert profiles_from_frame(frame).digest() == parse(LONG).digest()
    frame["time"] = pd.to_datetime(frame["time"])
    assert profiles_from_frame(frame.set_index("time")).digest() == parse(LONG).digest()
    frame.loc[2, "load_kwh"] = np.nan
    with pytest.raises(DataError, match=r"profiles, column 'load_kwh', row 2: .* got nothing"):
        profiles_from_frame(frame)
    without = frame.drop(columns="price_eur_per_mwh").fillna(0.25)
    constant = profiles_from_frame(without, price=PriceSource(eur_per_kwh=0.3))
    assert (constant.price_ueur_per_kwh == 300_000).all()


@pytest.mark.parametrize("name", ["p.csv", "p.parquet"])
def test_written_profiles_are_read_back(tmp_path, name):
    made = parse(LONG).resample(15)
    write_profiles(made, tmp_path / name)
    assert read_profiles(tmp_path / name).digest() == made.digest()
    assert [file.name for file in tmp_path.iterdir()] == [name]


def test_many_rows_keep_their_places():
    n_times, n_names = 500, 7
    energy = np.arange(n_times * n_names).reshape(n_times, n_names)
    made = Profiles(
        np.datetime64("2017-01-01"),
        60,
        tuple(f"h{k}" for k in range(n_names)),
        energy,
        energy[::-1],
        np.arange(n_times),
        {},
    )
    buffer = io.StringIO()
    buffer.write("time,participant,load_wh,pv_wh,price_ueur_per_kwh\n")
    for k in range(n_names):  # participant by participant, not time by time
        for t, time in enumerate(made.time):
            buffer.write(f"{time}Z,h{k},{made.load_wh[t, k]},{made.pv_wh[t, k]},{t}\n")
    buffer.seek(0)
    assert parse_profiles(buffer).digest() == made.digest()


@pytest.mark.parametrize("kind", ["category", "Int64", "datetime"])
def test_column_types_of_dataframes(kind):
    frame = pd.read_csv(io.StringIO(LONG))
    frame["load_kwh"] = [1, 2, 3, 4]
    if kind == "category":
        frame["participant"] = frame["participant"].astype("category")
    elif kind == "Int64":
        frame["load_kwh"] = frame["load_kwh"].astype("Int64")
    else:
        frame["time"] = [pd.Timestamp(text).to_pydatetime() for text in frame["time"]]
    assert profiles_from_frame(frame).load_wh.tolist() == [[1000, 2000], [3000, 4000]]
    if kind == "Int64":
        frame.loc[1, "load_kwh"] = pd.NA
        with pytest.raises(DataError, match=r"row 1: .*got nothing"):
            profiles_from_frame(frame)


@pytest.mark.parametrize(
    ("column", "cell", "varh"),
    [("load_varh", "-75", -75), ("load_kvarh", "0.075", 75), ("load_kvar", "0.3", 75), ("q_kvar", "0.3", 75)],
)
def test_reactive_power_of_loads_in_every_unit(column, cell, varh):
    lines = [f"2017-01-01T00:{15 * k:02d}Z,a,0.2,{cell}" for k in range(4)]
    made = parse("\n".join([f"time,participant,load_kwh,{column}", *lines]), price_eur_per_kwh=0.2)
    assert made.load_varh.tolist() == [[varh]] * 4
    assert made.resample(60).load_varh.tolist() == [[4 * varh]]
    assert made.resample(60).resample(15).load_varh.tolist() == made.load_varh.tolist()


def test_reactive_power_in_a_wide_table_with_decimal_commas():
    text = "time;a.load_kwh;a.load_kvarh;b.load_kwh;b.q_kvar\n"
    text += "2017-01-01T00:00Z;0,5;0,1;1;-0,3\n2017-01-01T01:00Z;0,4;0,1;1;0\n"
    assert parse(text, price_eur_per_kwh=0.2).load_varh.tolist() == [[100, -300], [100, 0]]


def test_reactive_power_of_some_loads_only_is_refused():
    text = "time,a.load_kwh,a.load_kvarh,b.load_kwh\n2017-01-01T00:00Z,1,0,1\n2017-01-01T01:00Z,1,0,1\n"
    with pytest.raises(DataError, match=r"'a.load_kvarh' and no column 'b.load_kvarh'; add it"):
        parse(text, price_eur_per_kwh=0.2)


def test_reactive_power_without_active_power_is_left_out_and_said():
    text = "time,participant,load_wh,load_varh\n2017-01-01T00:00Z,a,0,5\n2017-01-01T01:00Z,a,10,5\n"
    made = parse(text, price_eur_per_kwh=0.2)
    assert made.load_varh.tolist() == [[0], [5]]
    assert "reactive power without active load left out: 1 values" in made.provenance["notes"]


@pytest.mark.parametrize("name", ["p.csv", "p.parquet"])
def test_reactive_power_is_written_and_read_back(name, tmp_path):
    rng = np.random.default_rng(0)
    load, varh = rng.integers(1, 900, (3, 2)), rng.integers(-900, 900, (3, 2))
    start = np.datetime64("2017-01-01T00:00:00")
    made = Profiles(start, 30, ("a", "b"), load, load, load[:, 0], {}, varh)
    write_profiles(made, tmp_path / name)
    read = read_profiles(tmp_path / name)
    assert read.load_varh.tolist() == varh.tolist()
    assert read.digest() == made.digest()
    without = Profiles(start, 30, ("a", "b"), load, load, load[:, 0], {})
    assert without.digest() != made.digest()
    assert made.window(1, 3).load_varh.tolist() == varh[1:].tolist()
    assert made.select(["b"]).load_varh.tolist() == varh[:, 1:].tolist()
