"""What outages leave of a ring: an open line carries nothing though both its ends are live, a spare has no losses."""

from __future__ import annotations

import numpy as np
import pandapower as pp
import pandas as pd
import pytest

from cosim import Scenario, run
from cosim.report.tables.branches import summarise_branches
from cosim.report.tables.run_tables import RunTables, read_run
from cosim.results.supply import find_outages_in_force

TYPE = "0.25 MVA 20/0.4 kV"


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> RunTables:
    folder = tmp_path_factory.mktemp("ring")
    net = pp.create_empty_network(name="ring")
    medium, *low = (
        pp.create_bus(net, kv, name=name) for kv, name in ((20.0, "mv"), (0.4, "a"), (0.4, "b"), (0.4, "c"))
    )
    pp.create_ext_grid(net, medium)
    pp.create_transformer(net, medium, low[0], TYPE, name="in use")
    pp.create_transformer(net, medium, low[0], TYPE, name="spare", in_service=False)
    for k, name in enumerate(("ab", "bc", "ca")):
        pp.create_line(net, low[k], low[(k + 1) % 3], 0.2, "NAYY 4x50 SE", name=name)
    pp.to_json(net, str(folder / "net.json"))
    (folder / "who.csv").write_text("participant,bus\nhouse_01,b\nhouse_02,c\n", encoding="utf-8")
    scenario = Scenario().with_changes(
        horizon={"hours": 6, "start": "2017-06-10T08:00:00Z"},
        houses={"n_houses": 2, "n_prosumers": 1},
        network={"source": "file", "file": str(folder / "net.json"), "participants": str(folder / "who.csv")},
        events=[{"kind": "outage", "start": "2017-06-10T10:00:00Z", "hours": 2, "lines": ["ab"]}],
    )
    return read_run(run(scenario))


def test_an_open_line_of_a_ring_has_no_loading_while_it_is_open(tables: RunTables) -> None:
    missing = tables.loading_percent.isna()
    assert missing[("line", "ab")].tolist() == [False, False, True, True, False, False]
    others = [("line", "bc"), ("line", "ca"), ("trafo", "in use")]
    assert not missing[others].any(axis=None)
    assert tables.grid_fed.all()


def test_a_spare_transformer_has_neither_loading_nor_losses(tables: RunTables) -> None:
    summary = summarise_branches(tables).set_index("element")
    assert np.isnan(summary.loc["spare", "mean_loading_percent"])
    assert summary.loc["spare", "losses_kwh"] == 0.0
    lost = tables.result.intervals["losses_kw"].sum()
    assert summary["losses_kwh"].sum() == pytest.approx(lost, rel=0.005)


def test_an_outage_stays_in_force_while_its_island_waits() -> None:
    events = [{"kind": "outage", "start": "2017-06-10T01:00:00Z", "hours": 1, "grid": True}]
    scenario = Scenario().with_changes(horizon={"hours": 5, "start": "2017-06-10T00:00:00Z"}, events=events)
    times = pd.date_range("2017-06-10", periods=5, freq="h", tz="UTC")
    rows = pd.DataFrame({"time": times[1:4], "supply": ["island", "island", "grid"]})
    assert find_outages_in_force(scenario, times, rows)[:, 0].tolist() == [False, True, True, False, False]
    assert find_outages_in_force(scenario, times, rows.iloc[:1])[:, 0].tolist() == [False, True, False, False, False]
