"""Events that take away or change what is not there are refused; what was plugged in may leave and come again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from cosim import Scenario, ScenarioError
from cosim.case.case import build_market

AT = {"at": "2017-06-20T03:00:00Z"}
LATER = {"at": "2017-06-20T05:00:00Z"}
RETIRE: dict[str, Any] = {"kind": "retire", "participant": "poor", "device": "pv", **LATER}
JOIN: dict[str, Any] = {"kind": "register", "participant": "poor", "device": "pv", **AT}
MORE: dict[str, Any] = {
    "kind": "load",
    "start": "2017-06-20T04:00:00Z",
    "hours": 1,
    "participant": "poor",
    "factor": 2.0,
}
SUN: dict[str, Any] = {**MORE, "quantity": "production"}
CELL = {"device": "fuel_cell"}
BATTERY = {"device": "battery"}


@pytest.fixture(autouse=True)
def table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`rich` has a load and panels, `poor` a load, `plant` neither; all have a battery."""
    monkeypatch.chdir(tmp_path)
    rows = [
        f"2017-06-20T{hour:02d}:00Z,{who},{load},{pv},0.2"
        for hour in range(6)
        for who, load, pv in (("rich", 1.0, 2.0), ("poor", 1.0, 0.0), ("plant", 0.0, 0.0))
    ]
    Path("profiles.csv").write_text("time,participant,load_kwh,pv_kwh,price_eur_per_kwh\n" + "\n".join(rows) + "\n")


def of_table(*events: dict[str, Any]) -> Scenario:
    horizon = {"hours": 6, "start": "2017-06-20T00:00:00Z"}
    return Scenario("test", profiles={"source": "table", "file": "profiles.csv"}, horizon=horizon, events=list(events))


@pytest.mark.parametrize(
    ("events", "message"),
    [
        ([SUN], "entry 1, quantity: expected 'poor' to have panels of its own"),
        ([JOIN, SUN], "entry 2, quantity: expected 'poor' to have panels of its own"),
        ([{**MORE, "participant": "plant"}], "entry 1: expected 'plant' to have a load, it has none"),
        ([RETIRE], "entry 1: expected 'poor' to have panels before 2017-06-20T05:00, it has none then"),
        ([RETIRE, {**JOIN, **LATER}], "entry 1: expected 'poor' to have panels"),
        ([JOIN, RETIRE, RETIRE], "entry 3: expected 'poor' to have panels"),
        (
            [{**RETIRE, **AT, "participant": "rich"}, {**SUN, "participant": "rich"}],
            "entry 2, start: expected a time at which 'rich' has its own panels, they left at 2017-06-20T03:00",
        ),
        ([{**RETIRE, **CELL}, {**JOIN, **LATER, **CELL}], "entry 1: expected 'poor' to have a fuel cell before"),
        ([{**JOIN, **LATER, **CELL}, {**RETIRE, **CELL}], "entry 2: expected 'poor' to have a fuel cell before"),
        ([{**RETIRE, **BATTERY}] * 2, "entry 2: expected 'poor' to have a battery before"),
        (
            [{**RETIRE, **AT, **BATTERY}, {**JOIN, "at": "2017-06-20T04:00:00Z", **BATTERY}, {**RETIRE, **BATTERY}],
            "entry 3: expected 'poor' to have a battery before",
        ),
    ],
)
def test_what_is_not_there_neither_changes_nor_leaves(events: list[dict[str, Any]], message: str) -> None:
    with pytest.raises(ScenarioError, match=message):
        build_market(of_table(*events))


@pytest.mark.parametrize("device", ["pv", "fuel_cell", "battery"])
def test_what_was_plugged_in_can_leave_and_come_again(device: str) -> None:
    events = [{**event, "device": device} for event in (JOIN, RETIRE, {**JOIN, **LATER})]
    assert sorted(build_market(of_table(*events)).timeline.requests) == [3, 5]


def test_a_change_before_panels_leave_is_made() -> None:
    gone = {**RETIRE, "participant": "rich"}
    case = build_market(of_table(gone, {**SUN, "participant": "rich"}, {**RETIRE, **BATTERY}))
    assert case.profiles.pv_wh[:, 0].tolist() == [2000, 2000, 2000, 2000, 4000, 0]


def test_what_lasts_beyond_the_run_is_noted() -> None:
    out = {"kind": "outage", "start": "2017-06-20T04:00:00Z", "hours": 12, "grid": True}
    events = [out, {**out, "start": "2017-06-20T01:00:00Z", "hours": 2}, {**MORE, "hours": 30}]
    notes = str(build_market(of_table(*events)).profiles.provenance["notes"]).split(" | ")
    assert notes[-2:] == [
        "outage from 2017-06-20T04:00 UTC lasts beyond the end of the run: 2 of 12 hours are simulated",
        "change of load from 2017-06-20T04:00 UTC lasts beyond the end of the run: 2 of 30 hours are simulated",
    ]


def test_an_outage_to_the_end_of_the_run_is_whole() -> None:
    out = {"kind": "outage", "start": "2017-06-20T04:00:00Z", "hours": 2, "grid": True}
    assert "beyond" not in str(build_market(of_table(out)).profiles.provenance.get("notes"))
