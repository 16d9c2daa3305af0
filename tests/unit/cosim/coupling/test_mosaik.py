"""gridsettle in a co-simulation of mosaik.

Source (the scenario's own profiles) --P_load, P_gen, price--> Community --block_hash--> Sink
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import mosaik
import mosaik_api_v3
import pytest

from cosim import Scenario, run, verify_ledger
from cosim.case.case import build_case
from cosim.coupling import names
from cosim.coupling.mosaik import META, Simulator
from cosim.scenario.files import load_scenario

HOURS = 8
CHANGES: dict[str, Any] = {
    "horizon": {"hours": HOURS},
    "houses": {"n_houses": 6, "n_prosumers": 3},
    "ev": {"n_cars": 0},
    "heat_pump": {"n_heat_pumps": 0},
    "community": {"enabled": False},
}


def make_scenario() -> Scenario:
    return load_scenario("default").with_changes(**CHANGES)


class Source(mosaik_api_v3.Simulator):
    """Gives what a function says of each time and entity: {attribute: value}."""

    def __init__(self) -> None:
        events = [names.OUTAGE, names.PLUG]
        attrs = [*names.HOUSE_INPUTS, names.UTILITY_PRICE, *events]
        model = {"public": True, "params": [], "attrs": attrs, "any_inputs": False, "non-persistent": events}
        super().__init__({"api_version": "3.0", "type": "hybrid", "models": {"Source": model}})

    def init(self, sid: str, time_resolution: float = 1.0, *, tell: Any = None, step_size: int = 3600) -> Any:
        self.tell, self.step_size, self.now, self.n = tell, step_size, 0, 0
        return self.meta

    def create(self, num: int, model: str) -> Any:
        self.n += num
        return [{"eid": f"Source-{k}", "type": model} for k in range(self.n - num, self.n)]

    def step(self, time: int, inputs: Any, max_advance: int) -> int:
        self.now = time
        return time + self.step_size

    def get_data(self, outputs: Any) -> Any:
        told = {eid: self.tell(self.now, int(eid.partition("-")[2])) for eid in outputs}
        return {eid: {name: told[eid][name] for name in asked if name in told[eid]} for eid, asked in outputs.items()}


class Sink(mosaik_api_v3.Simulator):
    """Keeps what it is told."""

    def __init__(self) -> None:
        model = {"public": True, "params": [], "attrs": [], "any_inputs": True}
        super().__init__({"api_version": "3.0", "type": "event-based", "models": {"Sink": model}})

    def init(self, sid: str, time_resolution: float = 1.0, *, rows: Any = None) -> Any:
        self.rows = rows
        return self.meta

    def create(self, num: int, model: str) -> Any:
        return [{"eid": "Sink", "type": model}]

    def step(self, time: int, inputs: Any, max_advance: int) -> None:
        self.rows.append((time, inputs["Sink"]))

    def get_data(self, outputs: Any) -> Any:
        return {}


def open_world(start: dict[str, Any] | None = None) -> Any:
    here = sys.modules[__name__].__name__
    own = {"python": "cosim.coupling.mosaik:Simulator"}
    return mosaik.World(
        {"Ours": start or own, "Source": {"python": f"{here}:Source"}, "Sink": {"python": f"{here}:Sink"}}
    )


def couple(
    out: Path, tell: Callable[[int, int], dict[str, Any]], watched: dict[str, list[str]], *attrs: str, **options: Any
) -> tuple[list[Any], Any]:
    """Rows that the sink was told, and what a function of the world and the simulator answered at the end."""
    rows: list[Any] = []
    at_end, step_size = options.pop("at_end", lambda ours: None), options.pop("step_size", 3600)
    until = options.pop("until", HOURS * 3600)
    with open_world(options.pop("start", None)) as world:
        ours = world.start("Ours", **options)
        community = ours.Community(scenario="default", changes=CHANGES, out=str(out))
        houses = [child for child in community.children if child.type == "House"]
        sources = world.start("Source", tell=tell, step_size=step_size).Source.create(len(houses) + 1)
        sink = world.start("Sink", rows=rows).Sink()
        everything = {child.eid: child for child in (community, *community.children)}
        for source, entity in zip(sources, [*houses, community], strict=True):
            taken = [name for name in attrs if name in META["models"][entity.type]["attrs"]]
            if taken:
                world.connect(source, entity, *taken)
        for eid, asked in watched.items():
            world.connect(everything[eid], sink, *asked)
        world.run(until=until, print_progress=False)
        answer = at_end(ours)
    return rows, answer


def own_profiles() -> Callable[[int, int], dict[str, Any]]:
    profiles = build_case(make_scenario()).profiles

    def tell(time: int, k: int) -> dict[str, Any]:
        t = time // 3600
        if k == profiles.n_participants:
            return {names.UTILITY_PRICE: profiles.price_ueur_per_kwh[t] / names.UEUR_PER_EUR}
        load, gen = (names.to_mw(int(wh[t, k]), 60) for wh in (profiles.load_wh, profiles.pv_wh))
        return {names.P_LOAD: load, names.P_GEN: gen}

    return tell


@pytest.mark.slow
def test_fed_with_the_profiles_it_ends_on_the_head_of_a_run(tmp_path: Path) -> None:
    expected = run(make_scenario(), tmp_path / "run").summary
    watched = {"Community": [names.BLOCK_HASH, names.PRICE, names.OUTCOME], "Bus-3": [names.VOLTAGE, *names.OF_PHASES]}
    rows, verified = couple(
        tmp_path / "coupled", own_profiles(), watched, names.P_LOAD, names.P_GEN, names.UTILITY_PRICE,
        at_end=lambda ours: (ours.verify(), ours.checkpoint()),
    )  # fmt: skip
    assert [time for time, _ in rows] == list(range(0, HOURS * 3600, 3600))
    hashes = [one for _, row in rows for one in row[names.BLOCK_HASH].values()]
    assert hashes[-1] == expected["ledger"]["hash"]
    assert len(set(hashes)) == HOURS
    assert verified[0] == {"ok": True, "reason": ""}
    assert "gridsettle" in verified[1]
    (voltage,), *phases = (rows[0][1][name].values() for name in (names.VOLTAGE, *names.OF_PHASES))
    assert min(one for of_phase in phases for one in of_phase) == voltage > 0.9
    assert verify_ledger(tmp_path / "coupled").ok
    assert (tmp_path / "coupled/summary.json").exists()  # made by finalize


@pytest.mark.slow
def test_outages_and_devices_come_as_events_between_steps(tmp_path: Path) -> None:
    device = {"name": "roof", "kind": "pv", "power_kW": 2.0}

    def tell(time: int, k: int) -> dict[str, Any]:
        if k < 6:
            return {names.PLUG: device} if k == 1 and time >= 1800 else {}
        return {names.OUTAGE: True} if time == 1800 else {names.OUTAGE: False} if time == 2 * 3600 + 1800 else {}

    watched = {"Community": [names.OUTCOME, names.BLOCK_HASH], "House-1": [names.PLUGGED]}
    rows, _ = couple(
        tmp_path / "coupled", tell, watched, names.OUTAGE, names.PLUG, step_size=1800, until=6 * 3600, durable=True
    )
    by_time = {time: {name: next(iter(of.values())) for name, of in row.items()} for time, row in rows}
    outcomes = [by_time[t][names.OUTCOME] for t in range(0, 6 * 3600, 3600)]
    assert outcomes[0] == "clean"
    assert set(outcomes[1:3]) <= {"islanded", "de_energised"}
    assert by_time[3600][names.PLUGGED] == "ok"
    assert verify_ledger(tmp_path / "coupled").ok


@pytest.mark.slow
@pytest.mark.parametrize(
    ("value", "message"),
    [
        (float("nan"), r"time 7200: house_03, P_load\[MW\]: expected a finite number, got nan"),
        (-0.001, "time 7200: interval 2, load of house_03: expected 0 to 2147483647 Wh, got -1000"),
        ("much", "time 7200: house_03, P_load.*: expected a number, got 'much'"),
    ],
)
def test_an_error_in_a_step_ends_the_co_simulation_with_one_message(value: Any, message: str, tmp_path: Path) -> None:
    def tell(time: int, k: int) -> dict[str, Any]:
        return {names.P_LOAD: value if (time, k) == (7200, 2) else 0.001}

    with pytest.raises(RuntimeError, match=message):
        couple(tmp_path / "coupled", tell, {"Community": [names.PRICE]}, names.P_LOAD)


def test_what_cannot_be_coupled_is_refused_by_name(tmp_path: Path) -> None:
    ours = Simulator()
    with pytest.raises(Exception, match="expected time_resolution and durable, got speed"):
        ours.init("gs", speed=3)
    ours.init("gs", time_resolution=7)
    for model, params, message in (
        ("House", {}, "House: expected Community or Market"),
        ("Community", {}, "out: expected a new or empty directory"),
        ("Market", {"changes": {**CHANGES, "market": {"network": "envelope"}}}, "market without a network"),
        ("Community", {"changes": CHANGES, "out": tmp_path / "a"}, "expected a part of the 60 minutes of an interval"),
        ("Community", {"changes": CHANGES, "out": tmp_path / "a"}, "expected one entity of one simulator"),
    ):
        with pytest.raises(Exception, match=message):
            ours.create(1, model, **params)
    ours.finalize()
