"""The Kaggle file's format, in small: own numbers, both changes of clocks, a missing hour, empty cells, a duplicate."""

import io
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from data.errors import DataError
from data.spain import parse_energy, read_energy

MADRID = ZoneInfo("Europe/Madrid")
HEADER = "time,generation biomass,generation solar,total load actual,price day ahead,price actual"


def solar(k):
    return max(0.0, 4000.0 * np.sin(np.pi * (k % 24 - 6) / 12)).__round__(1)


def rows(start, n_hours):
    """One line per hour: solar with the sun, a load that rises by 1 MW an hour, a price that rises by 0.01 EUR/MWh."""
    lines = []
    for k in range(n_hours):
        local = (start + timedelta(hours=k)).astimezone(MADRID).isoformat(sep=" ")
        lines.append(f"{local},300.0,{solar(k)},{20_000 + k}.0,50.1,{50 + 0.01 * k:.2f}")
    return lines


def parse(lines):
    return parse_energy(io.StringIO("\n".join([HEADER, *lines]) + "\n"))


MARCH = datetime(2015, 3, 27, 23, tzinfo=UTC)
OCTOBER = datetime(2015, 10, 23, 22, tzinfo=UTC)


@pytest.mark.parametrize(("start", "n_hours"), [(MARCH, 71), (OCTOBER, 73)])
def test_changes_of_clocks_leave_no_gap_and_no_duplicate(start, n_hours):
    lines = rows(start, n_hours)
    assert lines[0].split(",")[0].endswith(("00:00:00+01:00", "00:00:00+02:00"))
    series = parse(lines)
    assert series.n_hours == n_hours
    assert series.start == np.datetime64(start.replace(tzinfo=None), "s")
    assert (np.diff(series.load_shape) > 0).all()
    assert (series.provenance["missing_hours"], series.provenance["duplicate_hours"]) == (0, 0)
    assert len(set(series.local_time)) == n_hours


def test_values_are_scaled_to_the_maximum_and_the_mean():
    series = parse(rows(MARCH, 48))
    assert series.solar_cf.max() == 1.0
    assert series.solar_cf[9] == pytest.approx(solar(9) / solar(12))
    assert series.load_shape.mean() == pytest.approx(1.0)
    assert series.load_shape[47] / series.load_shape[0] == pytest.approx(20_047 / 20_000)
    assert series.price_eur_per_mwh[10] == 50.1
    assert {value for key, value in series.provenance.items() if key not in ("source", "file")} == {0}


def test_a_missing_hour_and_an_empty_cell_are_interpolated_and_counted():
    lines = rows(MARCH, 72)
    lines[33] = lines[33].replace(f",{solar(33)},", ",,")
    lines[34] = lines[34].replace(f",{20_034}.0,", ",NaN,")
    del lines[40]
    series = parse(lines)
    assert series.n_hours == 72
    assert series.load_shape[40] / series.load_shape[0] == pytest.approx(20_040 / 20_000)
    assert series.load_shape[34] / series.load_shape[0] == pytest.approx(20_034 / 20_000)
    assert series.price_eur_per_mwh[40] == pytest.approx(50.40)
    assert series.solar_cf[33] == pytest.approx((solar(32) + solar(34)) / 2 / solar(12))
    assert series.provenance["missing_hours"] == 1
    assert series.provenance["solar_interpolated"] == 2
    assert series.provenance["load_interpolated"] == 2
    assert series.provenance["price_interpolated"] == 1
    assert series.provenance["solar_copied"] == 0


def test_a_gap_of_three_hours_is_interpolated_one_of_four_is_copied_from_the_day_before():
    lines = rows(MARCH, 15 * 24)
    without = [line for k, line in enumerate(lines) if k not in (58, 59, 60, 61, 106, 107, 108)]
    series = parse(without)
    assert series.provenance["solar_copied"] == series.provenance["load_copied"] == 4
    assert series.provenance["solar_interpolated"] == 3
    assert series.solar_cf[58:62] == pytest.approx(series.solar_cf[34:38])
    # No week before: load and price come from the same hour a week later.
    assert series.load_shape[58:62] == pytest.approx(series.load_shape[58 + 168 : 62 + 168])
    assert series.load_shape[107] / series.load_shape[0] == pytest.approx(20_107 / 20_000)


def test_load_comes_from_the_week_before_where_there_is_one():
    lines = rows(MARCH, 21 * 24)
    series = parse([line for k, line in enumerate(lines) if not 200 <= k < 210])
    assert series.load_shape[200:210] == pytest.approx(series.load_shape[32:42])


def test_a_gap_longer_than_a_day_is_copied_from_the_nearest_day_with_values():
    lines = rows(MARCH, 21 * 24)
    series = parse([line for k, line in enumerate(lines) if not 240 <= k < 270])
    assert series.provenance["missing_hours"] == 30
    assert series.solar_cf[240:264] == pytest.approx(series.solar_cf[216:240])
    assert series.solar_cf[264:270] == pytest.approx(series.solar_cf[288:294])


def test_of_hours_that_occur_twice_the_first_counts():
    lines = rows(MARCH, 48)
    lines.insert(12, lines[11].replace("50.11", "99.00"))
    series = parse(lines)
    assert series.provenance["duplicate_hours"] == 1
    assert series.price_eur_per_mwh[11] == 50.11


def test_rows_in_any_order():
    lines = rows(MARCH, 48)
    assert (parse(lines[::-1]).load_shape == parse(lines).load_shape).all()


def test_prices_below_zero_are_raised_and_counted():
    lines = rows(MARCH, 48)
    lines[5] = lines[5].replace("50.05", "-3.00")
    series = parse(lines)
    assert series.price_eur_per_mwh[5] == 0.0
    assert series.provenance["price_raised_to_zero"] == 1


def test_reading_a_file_equals_parsing_its_text(tmp_path):
    file = tmp_path / "energy_dataset.csv"
    file.write_text("\n".join([HEADER, *rows(OCTOBER, 50)]), encoding="utf-8")
    assert (read_energy(file).solar_cf == parse(rows(OCTOBER, 50)).solar_cf).all()


def broken(change, n_hours=48):
    lines = rows(MARCH, n_hours)
    return [HEADER, *(change(lines) or lines)]


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ([HEADER.replace("price actual", "price"), *rows(MARCH, 3)], "expected a column 'price actual'"),
        (
            broken(lambda r: r.__setitem__(3, r[3].replace("300.0,0.0", "300.0,sun"))),
            "'generation solar', row 5: .*'sun'",
        ),
        (
            broken(lambda r: r.__setitem__(3, r[3].replace("300.0,0.0", "300.0,-1"))),
            "row 5: expected a number >= 0, got '-1",
        ),
        (
            broken(lambda r: r.__setitem__(3, r[3].replace("03:00:00", "03:30:00"))),
            "row 5: expected full hours",
        ),
        (broken(lambda r: r.__setitem__(3, "yesterday" + r[3][25:])), "'time', row 5: .*'yesterday'"),
        (broken(lambda r: r.__setitem__(3, r[3][25:])), "'time', row 5: expected a time, got nothing"),
        (broken(lambda r: r[:20] + r[30:]), "at most 10% of the hours missing, got 20.8%"),
        (broken(lambda r: r[:22] + r[26:], 46), "got 2 hours that they cannot"),
        ([HEADER], "at least one row"),
        (
            broken(lambda r: [line.replace(f",{solar(k)},", ",0.0,") for k, line in enumerate(r)]),
            "solar generation and",
        ),
    ],
)
def test_what_cannot_be_used_is_refused(lines, message):
    with pytest.raises(DataError, match=message):
        parse_energy(io.StringIO("\n".join(lines)))


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(DataError, match=r"nowhere\.csv: expected the Kaggle file"):
        read_energy(tmp_path / "nowhere.csv")
    (tmp_path / "latin.csv").write_bytes(b"time,g\x81n\n")
    with pytest.raises(DataError, match=r"latin\.csv: expected text in UTF-8"):
        read_energy(tmp_path / "latin.csv")
