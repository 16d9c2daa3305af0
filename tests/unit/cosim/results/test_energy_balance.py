"""Every interval balances to the Wh, with the grid, in islands and in the dark."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from cosim import Result, Scenario, run
from cosim.results.energy_balance import SOURCES, USES, make_energy_balance_table

OUT = {"kind": "outage", "start": "2017-06-20T16:00:00Z", "hours": 12, "grid": True}
SMALL = Scenario().with_changes(
    horizon={"hours": 48, "start": "2017-06-20T00:00:00Z"},
    houses={"n_houses": 5, "n_prosumers": 3},
    community={"enabled": True, "battery_kwh": 20.0},
    events=[OUT],
)


@pytest.fixture(scope="module")
def result(tmp_path_factory: pytest.TempPathFactory) -> Result:
    return run(SMALL, tmp_path_factory.mktemp("balance") / "run")


def test_nothing_is_missing_in_any_interval(result: Result) -> None:
    balance = result.energy_balance
    assert len(balance) == 48
    assert (result.intervals["outcome"] == "islanded").sum() >= 12
    assert (balance["residual_wh"] == 0).all()
    assert (balance[list(SOURCES)].sum(axis=1) == balance[list(USES)].sum(axis=1)).all()
    assert (balance["served_wh"] + balance["shed_wh"] == balance["load_wh"]).all()


def test_the_grid_delivers_what_the_power_flow_says(result: Result) -> None:
    balance, flow = result.energy_balance, result.intervals
    net_wh = balance["from_grid_wh"] - balance["to_grid_wh"]
    assert (net_wh - 1000 * flow["p_grid_kw"]).abs().max() <= 0.5 + 1e-3
    islanded = (flow["outcome"] == "islanded").to_numpy()
    assert (net_wh[islanded] == 0).all()
    assert (balance["losses_wh"][islanded] > 0).all()


def test_the_file_of_the_run_is_the_same_table(result: Result) -> None:
    assert result.directory is not None
    written = pd.read_parquet(result.directory / "energy_balance.parquet").set_index("time")
    pd.testing.assert_frame_equal(written, result.energy_balance, check_index_type=False)


def test_a_wrong_meter_is_seen(result: Result) -> None:
    houses = result.table("houses")
    load = houses["load_wh"].to_numpy().copy()
    load[7] += 1
    k = houses.schema.get_field_index("load_wh")
    tampered = houses.set_column(k, "load_wh", pa.array(load))
    residual = make_energy_balance_table(tampered, result.table("exchanges"))["residual_wh"].to_numpy()
    assert residual[7 // 6] == -1
    assert np.count_nonzero(residual) == 1


def test_a_dark_network_balances_to_nothing(tmp_path: Path) -> None:
    dark = SMALL.with_changes(community={"enabled": False}, battery={"capacity_kwh_min": 0.0, "capacity_kwh_max": 0.0})
    balance = run(dark).energy_balance.loc["2017-06-20T17:00:00Z"]
    assert balance["residual_wh"] == 0
    assert balance["served_wh"] == balance["losses_wh"] == balance["from_grid_wh"] == 0
    assert balance["shed_wh"] == balance["load_wh"] > 0
