"""What a step of a coupled run costs, ms of processor time: by itself, and in a co-simulation of mosaik.

In mosaik the same world is run in turns with our community and with a stub: a simulator with the same entities and
attributes that does nothing. Both take loads, generation and a price, and are asked for what a watched community is
asked for. The difference of a pair is what is ours. Blocks wait, as they do where nobody asks for their hashes; the
last ones are written within the time that is measured.

python tests/benchmarks/coupling.py
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

import mosaik
import mosaik_api_v3

from cosim import Scenario, SteppedRun
from cosim.case.case import build_case
from cosim.coupling import names
from cosim.coupling.mosaik import META, Simulator
from cosim.scenario.files import format_toml

WARM, STEPS = 8, 150
IN_MOSAIK, PAIRS = 300, 5
INTERVAL_S = 3600
WATCHED = {
    "Community": [names.PRICE, names.POWER, names.OUTCOME],
    "House": [names.POWER, names.TRADED, names.CURTAILED],
    "Bus": [names.VOLTAGE],
    "Branch": [names.LOADING],
}


def measure(*, durable: bool) -> float:
    """Milliseconds of processor time of a step without mosaik."""
    scenario = Scenario().with_changes(horizon={"hours": WARM + STEPS})
    with tempfile.TemporaryDirectory() as out, SteppedRun.open(scenario, f"{out}/run") as stepped:
        for _ in range(WARM):
            stepped.run_interval(durable=durable)
        began = time.process_time()
        for _ in range(STEPS):
            stepped.run_interval(durable=durable)
        stepped.head()
        return (time.process_time() - began) / STEPS * 1000.0


class Stub(mosaik_api_v3.Simulator):  # type: ignore[misc, unused-ignore]
    """A simulator with the entities of a community, which answers 0 at once."""

    def __init__(self) -> None:
        super().__init__(META)

    def init(self, sid: str, time_resolution: float = 1.0, *, entities: Any = None) -> Any:
        """Take the entities that it has."""
        self.entities = entities
        return self.meta

    def create(self, num: int, model: str, **_: Any) -> Any:
        """The community with its children."""
        return self.entities

    def step(self, time: int, inputs: Any, max_advance: int) -> int:
        """Do nothing."""
        return time + INTERVAL_S

    def get_data(self, outputs: Any) -> Any:
        """Zeros."""
        return {eid: dict.fromkeys(asked, 0.0) for eid, asked in outputs.items()}

    def verify(self) -> None:
        """Nothing."""

    def checkpoint(self) -> None:
        """Nothing."""


class Kept(Simulator):
    """Our simulator, which keeps what it has answered to `create`."""

    entities: Any = None

    def create(self, num: int, model: str, **model_params: Any) -> Any:
        """The community with its children."""
        Kept.entities = super().create(num, model, **model_params)
        return Kept.entities


class Source(mosaik_api_v3.Simulator):  # type: ignore[misc, unused-ignore]
    """Gives every house nine tenths of its load, its generation, and the utility's price."""

    def __init__(self) -> None:
        attrs = [names.P_LOAD, names.P_GEN, names.UTILITY_PRICE]
        model = {"public": True, "params": [], "attrs": attrs}
        super().__init__({"api_version": "3.0", "type": "time-based", "models": {"Source": model}})

    def init(self, sid: str, time_resolution: float = 1.0, *, profiles: Any = None) -> Any:
        """Take the profiles."""
        self.profiles = profiles
        return self.meta

    def create(self, num: int, model: str, **_: Any) -> Any:
        """One for each house, and one for the price."""
        return [{"eid": f"Source-{k}", "type": model} for k in range(num)]

    def step(self, time: int, inputs: Any, max_advance: int) -> int:
        """Remember the interval."""
        self.t = time // INTERVAL_S
        return time + INTERVAL_S

    def get_data(self, outputs: Any) -> Any:
        """Its values."""
        return {eid: {name: self.tell(int(eid.partition("-")[2]), name) for name in outputs[eid]} for eid in outputs}

    def tell(self, k: int, name: str) -> float:
        """One of them."""
        given, t = self.profiles, self.t
        if name == names.UTILITY_PRICE:
            return int(given.price_ueur_per_kwh[t]) / names.UEUR_PER_EUR
        k %= given.n_participants  # mosaik asks every entity for all that any is asked for
        wh = 9 * int(given.load_wh[t, k]) // 10 if name == names.P_LOAD else int(given.pv_wh[t, k])
        return names.to_mw(wh, INTERVAL_S // 60)


class Sink(mosaik_api_v3.Simulator):  # type: ignore[misc, unused-ignore]
    """Takes everything."""

    def __init__(self) -> None:
        model = {"public": True, "params": [], "attrs": [], "any_inputs": True}
        super().__init__({"api_version": "3.0", "type": "event-based", "models": {"Sink": model}})

    def create(self, num: int, model: str, **_: Any) -> Any:
        """The one."""
        return [{"eid": "Sink", "type": model}]

    def step(self, time: int, inputs: Any, max_advance: int) -> None:
        """Do nothing."""

    def get_data(self, outputs: Any) -> Any:
        """Nothing."""
        return {}


def measure_world(name: str, out: Path, steps: int, **init: Any) -> float:
    """Milliseconds of processor time of a step of a co-simulation with `Kept` or with `Stub`."""
    here = sys.modules[__name__].__name__
    classes: Any = {each: {"python": f"{here}:{each}"} for each in ("Kept", "Stub", "Source", "Sink")}
    with mosaik.World(classes, skip_greetings=True, configure_logging=False) as world:
        ours = world.start(name, **init)
        scenario = Scenario().with_changes(horizon={"hours": steps})
        file = out.with_suffix(".toml")
        file.write_text(format_toml(scenario), encoding="utf-8")
        community = ours.Community(scenario=str(file), out=str(out))
        houses = [child for child in community.children if child.type == "House"]
        *sources, price = world.start("Source", profiles=build_case(scenario).profiles).Source.create(len(houses) + 1)
        sink = world.start("Sink").Sink()
        for source, house in zip(sources, houses, strict=True):
            world.connect(source, house, names.P_LOAD, names.P_GEN)
        world.connect(price, community, names.UTILITY_PRICE)
        for entity in (community, *community.children):
            world.connect(entity, sink, *WATCHED[entity.type])
        began = time.process_time()
        world.run(until=steps * INTERVAL_S, print_progress=False)
        ours.checkpoint()  # whatever waits is written
        return (time.process_time() - began) / steps * 1000.0


def measure_in_mosaik() -> list[tuple[float, float]]:
    """Milliseconds of a step with our community and with the stub, in turns."""
    with tempfile.TemporaryDirectory() as folder:
        measure_world("Kept", Path(folder) / "warm", WARM)
        return [
            (
                measure_world("Kept", Path(folder) / f"run-{k}", IN_MOSAIK),
                measure_world("Stub", Path(folder) / f"stub-{k}", IN_MOSAIK, entities=Kept.entities),
            )
            for k in range(PAIRS)
        ]


if __name__ == "__main__":
    waiting, durable = (measure(durable=each) for each in (False, True))
    print(f"blocks that wait {waiting:.2f} ms, durable ones {durable:.2f} ms, ratio {durable / waiting:.1f}")
    pairs = measure_in_mosaik()
    for ours, stub in pairs:
        print(f"a step in mosaik {ours:.2f} ms, mosaik's own {stub:.2f} ms, beyond it {ours - stub:.2f} ms")
    beyond = sorted(ours - stub for ours, stub in pairs)
    print(f"beyond mosaik's own: least {beyond[0]:.2f} ms, median {median(beyond):.2f} ms")
