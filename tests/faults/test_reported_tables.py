"""Faults of tables that users of other tools have reported: here each is read as it was meant, or refused by name."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pandapower as pp
import pandas as pd
import pytest

from cosim.validation.validate import validate
from data.errors import DataError
from data.profiles import Profiles
from data.tables import parse_profiles
from data.trades import parse_trades

TRADE = "time,seller,buyer,energy_kwh,price_eur_per_kwh\n"


def trades(text: str, **options: Any) -> pd.DataFrame:
    return parse_trades(io.StringIO(text), "t.csv", **options)


def profiles(text: str, **options: Any) -> Profiles:
    return parse_profiles(io.StringIO(text), "p.csv", price_eur_per_kwh=0.2, **options)


def hours(n: int, first: str = "2017-06-01T00:00Z") -> list[str]:
    return [f"{time:%Y-%m-%dT%H:%MZ}" for time in pd.date_range(first, periods=n, freq="h")]


def test_a_comma_or_a_semicolon_may_separate() -> None:
    """https://github.com/gridsingularity/gsy-e/pull/373, https://github.com/agoenergy/pypsa-spice/issues/121."""
    text = "time,participant,load_kwh\n" + "".join(f"{time},a,1.5\n" for time in hours(2))
    for mark in ";\t|":
        assert profiles(text.replace(",", mark)).digest() == profiles(text).digest()


def test_many_digits_behind_a_decimal_comma_are_decimals() -> None:
    """https://github.com/quintel/etmoses/issues/383: 20,197545587165600 kW became 20 PW."""
    first, second = hours(2)
    found = profiles(f"time;participant;load_kw\n{first};a;20,197545587165600\n{second};a;3\n")
    assert found.load_wh.ravel().tolist() == [20_198, 3_000]


def test_thousands_separators_are_no_decimal_marks() -> None:
    """https://github.com/FlexMeasures/flexmeasures/pull/141, https://github.com/Rello/analytics/issues/357."""
    wh = TRADE.replace("kwh,price", "wh,price")
    found = trades(wh + '2017-06-01T12:00Z,a,b,"1,234.5",0.1\n2017-06-01T12:00Z,a,b,"2,345",0.1\n')
    assert found.energy_wh.tolist() == [1234, 2345]
    assert "thousands separators ('1,234.5' is 1234.5)" in found.attrs["notes"][0]


def test_a_lone_1234_with_a_mark_is_not_guessed() -> None:
    """https://github.com/3dg1luk43/ha_washdata/pull/392: "1,234" W was stored as 1.234 W."""
    wh = TRADE.replace("kwh,price", "wh,price").replace("_per_kwh", "_per_mwh")
    for cell in ("1,234", "1.234"):
        with pytest.raises(DataError, match=f"'energy_wh', row 2: expected a number .* one way only, got '{cell}'"):
            trades((wh + f"2017-06-01T12:00Z,a,b,{cell},50\n").replace(",", ";").replace("1;234", "1,234"))


def test_values_of_one_file_have_one_decimal_mark() -> None:
    """https://github.com/Rello/analytics/issues/357: 0.673 became 673, and 0.62 stayed."""
    first, second, third = hours(3)
    text = f"time;participant;load_kwh\n{first};a;0.673\n{second};a;0.62\n{third};a;1.234\n"
    assert profiles(text).load_wh.ravel().tolist() == [673, 620, 1234]
    with pytest.raises(DataError, match=r"row 3: expected numbers with one decimal mark .see '0.673'., got '0,62'"):
        profiles(text.replace("0.62", "0,62"))


@pytest.mark.parametrize("cell", ["nan", "NaN", "", "null", "MISSING", "---", "#N/A", "None"])
def test_a_missing_reading_is_named_and_never_left_out(cell: str) -> None:
    """https://github.com/oemof/oemof-solph/issues/472, https://github.com/vesanieminen/ElectricityCostDashboard/issues/6."""
    first, second, third = hours(3)
    for mark in ",;":
        text = f"time,participant,load_kwh\n{first},a,1\n{second},a,{cell}\n{third},a,1\n".replace(",", mark)
        with pytest.raises(DataError, match=f"'load_kwh', row 3: expected a finite number .*{cell or 'nothing'}"):
            profiles(text)


def test_an_empty_column_is_not_a_column_of_zeros() -> None:
    """https://github.com/rtc-tools/rtc-tools/issues/1129: an empty column became False, then 0."""
    text = "time,participant,load_kwh,pv_kwh\n" + "".join(f"{time},a,1,\n" for time in hours(3))
    with pytest.raises(DataError, match=r"'pv_kwh', row 2: .*got nothing"):
        profiles(text)


def test_one_order_of_day_and_month_holds_for_all_rows() -> None:
    """https://github.com/pandas-dev/pandas/issues/19402: 11/03/2011 and 20/10/2011 were read by two orders."""
    text = TRADE + "".join(f"{day} 12:00Z,a,b,1,0.1\n" for day in ("11/03/2011", "03/05/2011", "20/10/2011"))
    assert trades(text).time.dt.strftime("%m-%d").tolist() == ["03-11", "05-03", "10-20"]


def test_the_day_of_25_hours_has_25_hours() -> None:
    """https://github.com/e2nIEE/simbench/issues/1, https://github.com/nilmtk/nilmtk/issues/450."""
    local = pd.date_range("2017-10-29", "2017-10-30", freq="h", tz="Europe/Berlin", inclusive="left")
    text = "time,a.load_kwh\n" + "".join(f"{time:%Y-%m-%d %H:%M},{k}\n" for k, time in enumerate(local))
    found = profiles(text, timezone="Europe/Berlin")
    assert (found.n_intervals, found.start) == (25, np.datetime64("2017-10-28T22:00"))
    assert found.load_wh.ravel().tolist() == [1000 * k for k in range(25)]
    assert "the repeated hour of 2017-10-29" in found.provenance["notes"]


def test_the_repeated_hour_that_a_tool_left_out_is_not_made_up() -> None:
    """https://github.com/JaccoR/hass-entso-e/issues/212, https://github.com/custom-components/nordpool/issues/427."""
    text = "time,a.load_kwh\n" + "".join(f"2017-10-29 {h:02d}:00,1\n" for h in range(24))
    with pytest.raises(DataError, match="'time', row 4: expected a time that occurs once in Europe/Berlin"):
        profiles(text, timezone="Europe/Berlin")


def test_both_hours_with_offsets_and_a_negative_price() -> None:
    """https://github.com/EnergieID/entsoe-py/issues/468."""
    text = TRADE + "2025-10-26 02:45+02:00,a,b,1,0.06112\n2025-10-26 02:45+01:00,a,b,1,-0.00079\n"
    found = trades(text)
    assert found.time.dt.strftime("%H:%M").tolist() == ["00:45", "01:45"]
    assert found.price_ueur_per_kwh.tolist() == [61_120, -790]


def test_times_with_z_are_utc_whatever_the_zone() -> None:
    """https://github.com/energy-modelling-toolkit/Dispa-SET/issues/35."""
    found = trades(TRADE + "2016-01-01T00:00:00Z,a,b,1,0.1\n", timezone="Europe/Madrid")
    assert found.time[2] == pd.Timestamp("2016-01-01T00:00Z")


@pytest.mark.parametrize(
    "header", ["a.load_kwh,a.load_kwh", "a.load_kwh,b.load_kwh,a.load_kwh", "a.load_kwh, a.load_kwh"]
)
def test_repeated_columns_are_refused_with_both_places(header: str) -> None:
    """https://github.com/pandas-dev/pandas/issues/14704: the second one was lost, or got the name of a third."""
    with pytest.raises(
        DataError, match=r"column 'a.load_kwh': expected each name of a column once, got it in column 2"
    ):
        profiles(f"time,{header}\n2017-06-01T00:00Z{',1' * (header.count(',') + 1)}\n")


def test_a_comma_at_the_end_of_rows_shifts_no_column() -> None:
    """https://github.com/pandas-dev/pandas/issues/38830: values moved one column to the left."""
    found = trades(TRADE + "2017-06-01T12:00Z,a,b,1.5,0.1,\n2017-06-01T13:00Z,a,b,2,0.1,,\n,,,,,\n")
    assert (found.energy_wh.tolist(), found.seller.tolist()) == ([1500, 2000], ["a", "a"])
    with pytest.raises(DataError, match="row 3: expected as many values as in the header, 5, got 6"):
        trades(TRADE + "2017-06-01T12:00Z,a,b,1.5,0.1,\n2017-06-01T13:00Z,a,b,2,0.1,7\n")


def test_an_index_that_a_tool_wrote_is_left_out_and_said() -> None:
    """https://github.com/rl-institut/oemof-B3/issues/92: "There are extra columns ['Unnamed: 0']"."""
    frame = pd.DataFrame({"time": hours(2), "participant": "a", "load_kwh": 1.5})
    found = profiles(frame.to_csv())
    assert "column 1, which has no name and counts the rows, left out" in found.provenance["notes"]
    with pytest.raises(DataError, match=r"p.csv, column 1: expected a name in the header"):
        profiles(frame.set_index(pd.Index([5, 9])).to_csv())


def test_spaces_between_date_and_time() -> None:
    """https://github.com/pandas-dev/pandas/issues/10037."""
    found = trades(TRADE + "13/01/2011  00:00:00,a,b,1,0.1\n")
    assert found.time[2] == pd.Timestamp("2011-01-13T00:00Z")


@pytest.mark.parametrize("ending", ["\n", "\r\n", "\r"])
def test_line_ends_and_quotes_make_no_difference(ending: str) -> None:
    """https://github.com/nick81nrw/PVTools/issues/36."""
    text = '"time","seller","buyer","energy_kwh","price_eur_per_kwh"\n"2017-06-01T12:00Z","a","b","1.5","0.1"\n'
    assert trades(text.replace("\n", ending)).energy_wh.tolist() == [1500]


def test_units_in_brackets_are_units() -> None:
    """https://github.com/akutishevsky/nutrition-mcp/issues/80 (a header `Energy (kJ)` was not found)."""
    found = trades("Time,Seller,Buyer,Energy [kWh],Price (€/kWh)\n2017-06-01T12:00Z,a,b,1.5,0.1\n")
    assert (found.energy_wh.tolist(), found.price_ueur_per_kwh.tolist()) == ([1500], [100_000])
    assert "column 'Energy [kWh]' as 'energy_kwh'" in found.attrs["notes"][0]
    with pytest.raises(DataError, match=r"energy_wh, energy_kwh, got none .nearest: 'Energy .MJ.'.; add it"):
        trades("time,seller,buyer,Energy (MJ),price_eur_per_kwh\n2017-06-01T12:00Z,a,b,1.5,0.1\n")


def test_spreadsheets_keep_times_as_fractions_of_a_day() -> None:
    """https://github.com/dilshod/xlsx2csv/issues/84, https://github.com/willtrnr/pyxlsb/pull/38."""
    found = trades(TRADE + "2020-07-04 09:59:59.999998,a,b,1,0.1\n")
    assert found.time[2] == pd.Timestamp("2020-07-04T10:00Z")
    assert "times rounded to whole seconds" in found.attrs["notes"][0]
    for wrong in ("2020-07-04 09:59:59.5", "44016.416666666664", "1593856800"):
        with pytest.raises(DataError, match=f"'time', row 2: expected a time like .*got '{wrong}'"):
            trades(TRADE + f"{wrong},a,b,1,0.1\n")


def _net(names: list[str], load_names: list[tuple[str, int]]) -> Any:
    net = pp.create_empty_network()
    grid = pp.create_bus(net, 0.4, name="grid point")
    pp.create_ext_grid(net, grid)
    for name in names:
        pp.create_line(net, grid, pp.create_bus(net, 0.4, name=name), 0.05, "NAYY 4x150 SE")
    for name, bus in load_names:
        pp.create_load(net, bus, 0.001, name=name)
    return net


@pytest.mark.slow
def test_a_name_that_means_two_buses_is_refused() -> None:
    """https://github.com/SanPen/VeraGrid/issues/10: branches went to the first bus of that name."""
    text = pd.DataFrame(
        {"time": hours(1), "seller": "ann", "buyer": "grid", "energy_kwh": 1.0, "price_eur_per_kwh": 0.1}
    )
    with pytest.raises(ValueError, match="'ann' as name or index of buses 1, 2"):
        validate(_net(["ann", "ann"], []), text)
    with pytest.raises(DataError, match="'ann': expected a name of one bus, got loads at 1, 2 and buses none"):
        validate(_net(["x", "y"], [("ann", 1), ("ann", 2)]), text)
    with pytest.raises(DataError, match="'ann': expected a name of one bus, got loads at 2 and buses 1 of that name"):
        validate(_net(["ann", "y"], [("ann", 2)]), text)
    assert validate(_net(["x", "y"], [("ann", 2), ("ann", 2)]), text).accepted
    assert validate(_net(["ann", "y"], [("ann", 1)]), text).accepted
