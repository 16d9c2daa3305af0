"""Law: a market between microgrids closes also where their nets keep loads and generators of their own."""

from __future__ import annotations

import random
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pandapower as pp
import pytest
from background_runs import BUSES, add_elements, bus, make_net, make_scenario
from hypothesis import Phase, example, given, settings
from hypothesis import strategies as st

from cosim.case.case import Case, build_case
from cosim.studies.microgrid_tables import MicrogridResult
from cosim.studies.microgrids import run_microgrids

pytestmark = pytest.mark.slow  # whole studies

HOURS = 3


def make_case(folder: Path, name: str, net: Any, **sections: Any) -> Case:
    """The houses on a net that keeps its own elements; `south` has no panels and buys."""
    battery = {"capacity_kwh_min": 0.0, "capacity_kwh_max": 0.0}
    made = make_scenario(folder / name, net, HOURS, battery=battery, market={"feed_in": name == "north"}, **sections)
    if name == "south":
        path = folder / name / "profiles.csv"
        rows = [line.split(",") for line in path.read_text(encoding="utf-8").splitlines()]
        rows = [rows[0], *([*row[:3], "0", row[4]] for row in rows[1:])]
        path.write_text("\n".join(",".join(row) for row in rows) + "\n", encoding="utf-8")
    return build_case(made.with_changes(name=name))


def assert_closes(result: MicrogridResult) -> None:
    """Energy at every transformer to the Wh, energy and money of every deal at both sides."""
    f, deals = result.feeders, result.deals
    from_grid = f.imported_wh - f.exported_wh + f.losses_wh + f.background_load_wh - f.background_generation_wh
    assert np.abs(1000.0 * f.p_grid_kw - from_grid).max() <= 2.0 + 1e-6  # each figure is rounded by itself
    for side, energy, money in (
        ("buyer", "deal_in_wh", "deal_paid_neur"),
        ("seller", "deal_out_wh", "deal_earned_neur"),
    ):
        houses = result.houses.groupby(["interval", "feeder"])[[energy, money]].sum()
        traded = deals.groupby(["interval", side])[["delivered_wh", "amount_neur"]].sum()
        assert np.array_equal(houses.to_numpy(), traded.reindex(houses.index, fill_value=0).to_numpy())


def draw_limits(rng: random.Random) -> dict[str, float]:
    return rng.choice([{}, {"max_vm_pu": 1.004}, {"min_vm_pu": 0.999}, {"max_loading_percent": 3.0}])


@settings(max_examples=3, deadline=None, phases=(Phase.explicit, Phase.reuse, Phase.generate))
@given(st.integers(0, 2**32))
@example(1)
def test_feeders_with_elements_of_their_own_close_in_every_interval(seed: int) -> None:
    rng = random.Random(seed)
    with TemporaryDirectory() as folder:
        cases = []
        for name in ("north", "south"):
            net = make_net(meshed=rng.random() < 0.4)
            add_elements(net, rng)
            pp.create_load(net, bus(net, rng.choice(BUSES)), p_mw=0.0015)
            limits = {} if len(net.ward) else draw_limits(rng)  # with wards every power flow is one of pandapower's
            cases.append(make_case(Path(folder), name, net, limits=limits))
        assert_closes(run_microgrids(cases, rng.choice([0.5, 5.0, 50.0])))


def test_only_one_of_the_feeders_has_elements_of_its_own(tmp_path: Path) -> None:
    net = make_net()
    pp.create_load(net, bus(net, "H3"), p_mw=0.002)
    pp.create_sgen(net, bus(net, "H2"), p_mw=0.001)
    result = run_microgrids([make_case(tmp_path, "north", net), make_case(tmp_path, "south", make_net())], 50.0)
    assert_closes(result)
    assert result.deals["delivered_wh"].sum() > 0
    by_feeder = result.feeders.groupby("feeder")[["background_load_wh", "background_generation_wh"]].sum()
    assert by_feeder.loc["north"].tolist() == [2000 * HOURS, 1000 * HOURS]
    assert by_feeder.loc["south"].tolist() == [0, 0]


def test_without_elements_of_their_own_there_are_no_columns_for_them(tmp_path: Path) -> None:
    cases = [make_case(tmp_path, name, make_net()) for name in ("north", "south")]
    assert not [name for name in run_microgrids(cases, 50.0).feeders if name.startswith("background")]
