"""gridsettle as a simulator of mosaik: a community with its network, or a market for the grid of another simulator.

A step is an interval. What is connected to an entity holds for the interval that begins at the step; everything else
follows the profiles of the scenario. Events, outages and devices that are plugged in, take effect with the next
interval that begins.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import mosaik_api_v3

from cosim.coupling import names
from cosim.coupling.entities import COMMUNITY, MARKET, READ, list_network, read_voltage
from cosim.coupling.market import ClearedInterval, SteppedMarket
from cosim.coupling.stepped import SteppedInterval, SteppedRun
from cosim.errors import ScenarioError
from cosim.scenario.files import load_scenario
from data.errors import DataError
from grid_models.errors import GridError
from market.errors import MarketError
from market.ledger.check.verify import verify_ledger
from market.ledger.format.checkpoint import checkpoint_path

BAD_INPUT = (ScenarioError, DataError, GridError, MarketError)


def _describe(public: bool, params: list[str], inputs: tuple[str, ...], trigger: tuple[str, ...], *out: str) -> Any:
    return {
        "public": public,
        "params": params,
        "attrs": [*inputs, *trigger, *out],
        "any_inputs": False,
        "trigger": list(trigger),
        "non-persistent": [],
    }


_OF_HOUSE = (names.POWER, names.TRADED, names.CURTAILED, names.SHED, names.PLUGGED)
_OF_COMMUNITY = (names.PRICE, names.POWER, names.TRADED, names.CURTAILED, names.SHED, names.OUTCOME, names.BLOCK_HASH)
_SCENARIO = ["scenario", "changes"]
META: Any = {
    "api_version": "3.0",
    "type": "hybrid",
    "models": {
        COMMUNITY: _describe(True, [*_SCENARIO, "out"], (names.UTILITY_PRICE,), (names.OUTAGE,), *_OF_COMMUNITY),
        "House": _describe(False, [], names.HOUSE_INPUTS, (names.PLUG,), *_OF_HOUSE),
        "Bus": _describe(False, [], (), (), names.VOLTAGE, *names.OF_PHASES),
        "Branch": _describe(False, [], (), (names.OUTAGE,), names.LOADING),
        MARKET: _describe(True, _SCENARIO, (names.UTILITY_PRICE,), (), names.PRICE, names.TRADED),
        "Trader": _describe(False, [], (names.P_LOAD, names.P_GEN, names.LIMIT_PRICE), (), names.POWER, names.TRADED),
    },
    "extra_methods": ["verify", "checkpoint"],
}


class Simulator(mosaik_api_v3.Simulator):  # type: ignore[misc, unused-ignore]
    """A community, or a market, whose intervals are the steps of a co-simulation.

    Models
    ------
    Community(scenario, out, changes)
        A scenario's file or the name of a bundled one, an empty or new directory for ledger and results, and sections
        to change, `{"horizon": {"hours": 48}}`. Its children are `House-i`, `Bus-i` and `Branch-i`.
    Market(scenario, changes)
        The same without a network and without a ledger. Its children are `Trader-i`.
    """

    def __init__(self) -> None:
        super().__init__(META)
        self._run: SteppedRun | None = None
        self._market: SteppedMarket | None = None
        self._last: SteppedInterval | ClearedInterval | None = None
        self._houses: dict[str, str] = {}
        self._plugged: dict[tuple[str, str], str] = {}
        self._answers: dict[str, str] = {}
        self._out_of_service: set[str] = set()
        self._place_of_bus: dict[int, int] = {}
        self._resolution, self._durable, self._next = 1.0, False, 0

    def init(self, sid: str, time_resolution: float = 1.0, *, durable: bool = False, **unknown: Any) -> Any:
        """Begin.

        Parameters
        ----------
        sid
            Name of the simulator.
        time_resolution
            Seconds of a unit of mosaik's time.
        durable
            Whether the ledger is to have each interval on the disk before its step ends. Else blocks are written
            together, and when `block_hash`, `verify` or `checkpoint` is asked for.
        """
        if unknown:
            raise ScenarioError(f"{sid}: expected time_resolution and durable, got {', '.join(unknown)}")
        self._sid, self._resolution, self._durable = sid, float(time_resolution), durable
        return self.meta

    def create(self, num: int, model: str, **model_params: Any) -> Any:
        """Make the one community, or the one market."""
        if num != 1 or self._run is not None or self._market is not None:
            raise ScenarioError(f"{model}: expected one entity of one simulator, got more; start another simulator")
        scenario = load_scenario(str(model_params.get("scenario", "default")))
        scenario = scenario.with_changes(**(model_params.get("changes") or {}))
        if model == MARKET:
            self._market = SteppedMarket(scenario)
            children = self._list_houses("Trader", self._market.case.profiles.participants)
        elif model == COMMUNITY:
            if "out" not in model_params:
                raise ScenarioError("Community, out: expected a new or empty directory for the ledger, got none")
            self._run = SteppedRun.open(scenario, model_params["out"])
            children = [*self._list_houses("House", self._run.houses, bus=self._run.case.feeder.bus.tolist())]
            children += list_network(self._run)
            buses = self._run.case.feeder.labels["bus"][0]
            self._place_of_bus = {int(index): k for k, index in enumerate(buses)}
        else:
            raise ScenarioError(f"{model}: expected {COMMUNITY} or {MARKET}; the others are their children")
        self._find_step()
        return [{"eid": model, "type": model, "rel": [], "children": children}]

    def _list_houses(self, model: str, participants: tuple[str, ...], bus: list[int] | None = None) -> list[Any]:
        self._houses = {f"{model}-{k}": name for k, name in enumerate(participants)}
        return [
            {
                "eid": eid,
                "type": model,
                "rel": [] if bus is None else [f"Bus-{bus[k]}"],
                "extra_info": {"name": name, "index": k} | ({} if bus is None else {"bus": bus[k]}),
            }
            for k, (eid, name) in enumerate(self._houses.items())
        ]

    @property
    def _minutes(self) -> int:
        stepped = self._run or self._market
        assert stepped is not None
        return stepped.case.interval_minutes

    def _find_step(self) -> None:
        """Length of an interval in units of mosaik's time."""
        step = self._minutes * 60 / self._resolution
        if step != int(step):
            raise ScenarioError(
                f"time_resolution: expected a part of the {self._minutes} minutes of an interval, got "
                f"{self._resolution} s"
            )
        self._step = int(step)

    def step(self, time: int, inputs: Mapping[str, Mapping[str, Mapping[str, Any]]], max_advance: int) -> int | None:
        """Take events, and run the interval that begins, if one does.

        Raises
        ------
        RuntimeError
            If an input cannot be used: one message, which ends the co-simulation.
        """
        stepped = self._run or self._market
        if stepped is None:
            raise RuntimeError(f"{self._sid}: expected a {COMMUNITY} or a {MARKET}, got none; create one")
        try:
            self._take_events(inputs)
            if time >= self._next and not stepped.is_over:
                given, community = self._split(inputs)
                of_interval = names.make_inputs(given, community, self._minutes)
                if self._run is not None:
                    self._last = self._run.run_interval(of_interval, durable=self._durable)
                elif self._market is not None:
                    self._last = self._market.run_interval(of_interval)
                self._next = time + self._step
        except BAD_INPUT as reason:
            raise RuntimeError(f"{self._sid}, time {time}: {reason}") from None
        return None if stepped.is_over else self._next

    def _split(self, inputs: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> tuple[Any, dict[str, Any]]:
        """Values of houses by their names, and those of the whole."""
        houses = {
            self._houses[eid]: {name: sources.values() for name, sources in values.items()}
            for eid, values in inputs.items()
            if eid in self._houses
        }
        whole = {name: sources.values() for name, sources in inputs.get(COMMUNITY, inputs.get(MARKET, {})).items()}
        return houses, whole

    def _take_events(self, inputs: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> None:
        """Outages and devices, from the next interval on; what is so already is no event."""
        for eid, values in inputs.items():
            for value in values.get(names.OUTAGE, {}).values():
                self._switch(eid, names.read_switch(value, f"{eid}, outage"))
            for value in values.get(names.PLUG, {}).values():
                self._plug(eid, names.read_plug(value, f"{eid}, plug"))

    def _switch(self, eid: str, opens: bool) -> None:
        if self._run is None or opens == (eid in self._out_of_service):
            return
        if eid == COMMUNITY:
            self._run.switch_grid(opens=opens)
        else:
            k, lines = int(eid.partition("-")[2]), self._run.case.feeder.labels["line"][0]
            if k >= len(lines):
                raise ScenarioError(f"{eid}, outage: expected a line, got a transformer; let the community have it")
            self._run.switch_line(int(lines[k]), opens=opens)
        (self._out_of_service.add if opens else self._out_of_service.discard)(eid)

    def _plug(self, eid: str, device: names.Plugged) -> None:
        if self._run is None or (eid, device.name) in self._plugged:
            return
        answer = self._run.plug(self._houses[eid], device.kind, device.power_w, device.energy_wh)
        self._plugged[eid, device.name] = self._answers[eid] = answer or "ok"

    def get_data(self, outputs: Mapping[str, list[str]]) -> dict[str, dict[str, Any]]:
        """Values of the interval that was run last; none before the first."""
        if self._last is None:
            return {}
        return {eid: {name: self._read(eid, name) for name in asked} for eid, asked in outputs.items()}

    def _read(self, eid: str, name: str) -> Any:
        model, _, number = eid.partition("-")
        last, k = self._last, int(number or 0)
        if name == names.PLUGGED:
            return self._answers.get(eid, "")
        if name == names.BLOCK_HASH:
            assert self._run is not None
            return self._run.head()
        if model == "Bus":
            assert isinstance(last, SteppedInterval)
            return read_voltage(last.vm_pu[self._place_of_bus[k]], name)
        return READ[model, name](last, k)

    def verify(self) -> dict[str, Any]:
        """Verify the ledger so far: `{"ok": …, "reason": …}`."""
        directory = self._write()
        report = verify_ledger(directory)
        return {"ok": report.ok, "reason": report.reason}

    def checkpoint(self) -> str:
        """The signed checkpoint of the ledger so far."""
        return checkpoint_path(self._write()).read_text(encoding="utf-8")

    def _write(self) -> Path:
        if self._run is None:
            raise RuntimeError(f"{self._sid}: expected a {COMMUNITY}, a {MARKET} has no ledger")
        self._run.head()
        return self._run.directory

    def finalize(self) -> None:
        """Close the ledger; tables and summary are made where all intervals were run."""
        if self._run is None:
            return
        if self._run.is_over:
            self._run.finish()
        else:
            self._run.close()
