"""What the grid still feeds while every house is behind an outage: a transformer at no load, or nothing at all."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandapower as pp
import pytest
from background_runs import DAY, find_agreeing, make_net, run_on

from cosim import Result
from cosim.audit.audit import audit_ledger
from grid_models.errors import GridError

pytestmark = pytest.mark.slow

IRON_WH = 800
"""No-load losses of the transformer in an hour: 0.8 kW."""
NO_BATTERY = {"capacity_kwh_min": 0.0, "capacity_kwh_max": 0.0}


def run_with_outage(folder: Path, net: Any, battery: dict[str, float] = NO_BATTERY, **opens: list[str]) -> Result:
    """Three hours, in the second of which something is open; the run passes its own audit and closes to the Wh."""
    outage = {"kind": "outage", "start": f"{DAY}T09:00:00Z", "hours": 1, **opens}
    result = run_on(folder, net, hours=3, events=[outage], battery=battery)
    assert (result.energy_balance["residual_wh"] == 0).all()
    assert result.directory is not None
    assert audit_ledger(result.directory, sample=None).findings == ()
    return result


def at_low_voltage() -> Any:
    """The street without its transformer."""
    net = make_net()
    net.ext_grid["bus"] = 1
    net.trafo = net.trafo.iloc[:0]
    return net


@pytest.mark.parametrize("battery_kwh", [0.0, 5.0])
def test_a_transformer_left_beside_the_grid_draws_its_losses_from_it(tmp_path: Path, battery_kwh: float) -> None:
    battery = {"capacity_kwh_min": battery_kwh, "capacity_kwh_max": battery_kwh}
    net = make_net()
    result = run_with_outage(tmp_path, net, battery, lines=["line 0"])
    dark = result.energy_balance.iloc[1]
    assert dark["losses_wh"] == dark["from_grid_wh"] == IRON_WH
    assert dark["to_grid_wh"] == 0
    assert all(find_agreeing(result, net, time) for time in result.energy_balance.index)
    assert result.intervals["p_grid_kw"].iloc[1] == pytest.approx(IRON_WH / 1000.0, abs=1e-3)


@pytest.mark.parametrize(
    ("at", "losses_wh"), [("LV", IRON_WH), ("MV", 0)], ids=["open at low voltage", "open at high voltage"]
)
def test_a_transformer_switched_off_at_one_side_is_lit_from_the_other(tmp_path: Path, at: str, losses_wh: int) -> None:
    net = make_net()
    pp.create_switch(net, int(net.bus.index[net.bus.name == at][0]), 0, "t", name="S")
    dark = run_with_outage(tmp_path, net, switches=["S"]).energy_balance.iloc[1]
    assert dark["losses_wh"] == dark["from_grid_wh"] == losses_wh


def test_a_grid_that_ends_at_its_own_bus_draws_nothing(tmp_path: Path) -> None:
    dark = run_with_outage(tmp_path, at_low_voltage(), lines=["line 0"]).energy_balance.iloc[1]
    assert dark["losses_wh"] == dark["from_grid_wh"] == 0


def test_an_outage_that_leaves_the_grid_alone_with_a_load_is_refused_before_the_run(tmp_path: Path) -> None:
    net = at_low_voltage()
    pp.create_load(net, 1, 0.001)
    with pytest.raises(GridError, match="leave the external grid alone with what is at its bus 1"):
        run_with_outage(tmp_path, net, lines=["line 0"])
    assert not (tmp_path / "out").exists()
