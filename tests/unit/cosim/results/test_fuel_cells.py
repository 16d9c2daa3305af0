"""The table of the fuel cells: agrees with meters and tanks, connected and islanded, and names starts and cost."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pyarrow as pa
import pytest

from cosim import Result, Scenario, run
from cosim.results.fuel_cells import summarise_fuel_cells
from grid_models.devices.fuel_cell_plant import hydrogen_kg_per_h, make_preset_plant

OUT = {"kind": "outage", "start": "2017-01-10T06:00:00Z", "hours": 8, "grid": True}
SECOND = {
    "kind": "register",
    "at": "2017-01-10T09:00:00Z",
    "participant": "house_01",
    "device": "fuel_cell",
    "fuel_eur_per_kg": 2.0,
}
DAYS: dict[str, Any] = {
    "horizon": {"hours": 72, "start": "2017-01-09T00:00:00Z"},
    "houses": {"n_houses": 5, "n_prosumers": 2},
    "network": {"n_branches": 1},
    "community": {"enabled": True, "fuel_eur_per_kg": 1.0},
}


@pytest.fixture(scope="module")
def result() -> Result:
    return run(Scenario().with_changes(**DAYS, events=[OUT, SECOND]))


def cells(result: Result) -> pd.DataFrame:
    return result.table("fuel_cells").to_pandas().set_index("time")


def test_every_interval_has_a_row_and_agrees_with_the_meter(result: Result) -> None:
    table = cells(result)
    community = table[table["house"] == "community"]
    assert len(community) == 72
    metered = result.houses.query("house == 'community'")["fuel_cell_wh"]
    assert community["delivered_wh"].tolist() == metered.tolist()
    assert (community["power_kw"] == community["delivered_wh"] / 1000.0).all()
    assert community["delivered_wh"].sum() > 0


def test_hydrogen_is_that_of_the_power_and_cost_its_price(result: Result) -> None:
    table = cells(result)
    plant = make_preset_plant("pem-6kw")
    steady = table[(table["delivered_wh"] > 0) & ~table["start"]]
    assert len(steady) > 10
    for power, used in zip(steady["power_kw"], steady["hydrogen_kg"], strict=True):
        assert used == pytest.approx(float(hydrogen_kg_per_h(plant, min(power, plant.nominal_kw))), rel=1e-3)
    price = table["house"].map({"community": 1.0, "house_01": 2.0})
    assert table["cost_eur"].to_numpy() == pytest.approx((price * table["hydrogen_kg"]).to_numpy())


def test_tank_is_full_at_the_grid_and_falls_by_what_is_used_without_it(result: Result) -> None:
    table = cells(result)
    community = table[table["house"] == "community"]
    islanded = community["2017-01-10 06:00":"2017-01-10 14:00"]  # the hour beside the grid included
    assert (community.drop(islanded.index)["tank_kg"] == 10.0).all()
    falls = -islanded["tank_kg"].diff().dropna()
    assert falls.to_numpy() == pytest.approx(islanded["hydrogen_kg"].to_numpy()[1:])


def test_device_that_is_plugged_in_appears_in_the_hour_after_its_request(result: Result) -> None:
    table = cells(result)
    second = table[table["house"] == "house_01"]
    assert second.index[0] == pd.Timestamp("2017-01-10T10:00Z")
    assert (second["device"] == "house_01 plugged-in fuel cell").all()
    assert second["start"].iloc[0] == (second["delivered_wh"].iloc[0] > 0)


def test_summary_adds_the_table_up(result: Result) -> None:
    table, summary = cells(result), result.summary["fuel_cells"]
    assert summary["hydrogen_kg"] == pytest.approx(table["hydrogen_kg"].sum())
    assert summary["fuel_eur"] == pytest.approx(table["cost_eur"].sum())
    assert summary["starts"] == table["start"].sum() > 0
    assert summary["intervals_running"] == (table["delivered_wh"] > 0).sum()


def test_summary_is_the_same_to_the_last_bit_in_whatever_parts_a_run_was_written(result: Result) -> None:
    table = result.table("fuel_cells")
    pieces = [table.slice(first, 7) for first in range(0, len(table), 7)]
    assert summarise_fuel_cells(pa.concat_tables(pieces)) == summarise_fuel_cells(table.combine_chunks())
    tenths = pa.table(
        {"delivered_wh": [1] * 30, "hydrogen_kg": [0.1] * 30, "cost_eur": [0.1] * 30, "start": [False] * 30}
    )
    assert summarise_fuel_cells(tenths)["hydrogen_kg"] == 3.0


@pytest.mark.slow
def test_run_without_fuel_cell_has_no_such_table() -> None:
    plain = run(Scenario().with_changes(**{**DAYS, "horizon": {"hours": 24}, "community": {"enabled": False}}))
    assert "fuel_cells" not in plain.tables
    assert "fuel_cells" not in plain.summary
