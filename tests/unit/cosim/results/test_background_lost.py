"""What the net's own elements did not get or could not feed: in the dark, off in an island, turned down."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pandapower as pp
import pytest
from background_runs import add_elements, bus, cut_grid, make_net, run_on

from cosim import Result

pytestmark = pytest.mark.slow  # whole runs

LOST = ["background_shed_wh", "background_turned_down_wh"]


def run_street(folder: Path, load_mw: float, sgen_mw: float, battery_kwh: float, **options: Any) -> Result:
    """The houses beside a load and a generator of the net, without the grid in the second of three hours."""
    net = make_net()
    pp.create_load(net, bus(net, "H3"), p_mw=load_mw)
    pp.create_sgen(net, bus(net, "H2"), p_mw=sgen_mw)
    pp.create_load(net, pp.create_bus(net, 0.4), p_mw=1.0)  # nothing supplies it, with the grid or without
    battery = {"capacity_kwh_min": battery_kwh, "capacity_kwh_max": battery_kwh}
    return run_on(folder, net, hours=4, events=[cut_grid(1, 1)], battery=battery, **options)


def test_all_is_lost_in_the_dark_and_nothing_beside_the_grid(tmp_path: Path) -> None:
    table = run_street(tmp_path, 0.002, 0.003, 0.0).energy_balance
    assert table[LOST].iloc[0].tolist() == [0, 0]
    assert table[LOST].iloc[1].tolist() == [2000, 3000]
    assert table["background_load_wh"].iloc[1] == table["background_generation_wh"].iloc[1] == 0
    assert table[LOST].iloc[-1].tolist() == [0, 0]


def test_generation_that_an_island_cannot_use_is_turned_down(tmp_path: Path) -> None:
    row = run_street(tmp_path, 0.0005, 0.03, 8.0).energy_balance.iloc[1]
    assert row["background_shed_wh"] == 0
    assert row["background_load_wh"] == 500
    assert 0 < row["background_turned_down_wh"] == 30_000 - row["background_generation_wh"]


def test_load_that_an_island_cannot_carry_is_shed(tmp_path: Path) -> None:
    row = run_street(tmp_path, 0.09, 0.001, 8.0).energy_balance.iloc[1]
    assert row["served_wh"] > 0
    assert row["background_load_wh"] == 0
    assert row["background_shed_wh"] == 90_000


@pytest.mark.parametrize("seed", [3, 60000])
def test_what_is_drawn_and_what_is_lost_is_what_is_drawn_beside_the_grid(tmp_path: Path, seed: int) -> None:
    net = make_net()
    add_elements(net, random.Random(seed))
    pp.create_load(net, bus(net, "H3"), p_mw=0.002)
    battery = {"capacity_kwh_min": 8.0, "capacity_kwh_max": 8.0}
    table = run_on(tmp_path, net, events=[cut_grid(1, 3)], battery=battery).energy_balance
    load = table["background_load_wh"] + table["background_shed_wh"]
    generation = table["background_generation_wh"] + table["background_turned_down_wh"]
    assert (table[LOST].sum(axis=1) > 0).any()
    assert load.max() - load.min() <= 0.1 * load.max()  # shunts and wards go with the voltage
    assert generation.max() - generation.min() <= 2
    assert (table["residual_wh"] == 0).all()
