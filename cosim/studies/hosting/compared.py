"""What voltage control is worth to a feeder: the same draws without any, and with each kind that is asked for."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from cosim.errors import ScenarioError
from cosim.interrupts.stop import stop_between_lines
from cosim.scenario.model import Scenario
from cosim.scenario.sections import PvSection
from cosim.scenario.voltage import TapChangerSection
from cosim.studies.hosting.draws import MIX
from cosim.studies.hosting.study import StochasticHosting, find_stochastic_hosting
from cosim.studies.hosting.tables import make_gain

WITHOUT = "none"
NOTHING_GAINED = "it changes nothing: every draw hosts what it hosts without"
KINDS = ("q_v", "p_v", "tap")
"""What may be asked for, several of them at once with + between."""
KEYS = {
    "q_v": ("q_v_vm_pu", "q_v_q_pu", "rating_kva_per_kw", "min_cos_phi"),
    "p_v": ("volt_watt_vm_pu", "volt_watt_share"),
    "tap": (),
}
"""Keys of `pv` that have a meaning with each only."""
REACTIVE = ("cos_phi", "underexcited")
"""Keys of a power factor, which is none of them."""


@dataclass(frozen=True, eq=False)
class ComparedHosting:
    """How much a feeder hosts without voltage control and with it, draw by draw.

    Attributes
    ----------
    found
        Answers by name of the control: `none` first, then those that were asked for.
    gains
        Percentiles of what each draw hosts more than it does without, kW, with their intervals of confidence.
    """

    found: dict[str, StochasticHosting]
    gains: pd.DataFrame

    @property
    def draws(self) -> pd.DataFrame:
        """Draws of all answers, one below the other, with the column `control`."""
        return self._join("draws")

    @property
    def percentiles(self) -> pd.DataFrame:
        """Percentiles of all answers, likewise."""
        return self._join("percentiles")

    def _join(self, table: str) -> pd.DataFrame:
        parts = [getattr(found, table).assign(control=name) for name, found in self.found.items()]
        joined: pd.DataFrame = pd.concat(parts, ignore_index=True)
        return joined

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        gains = self.gains.astype(object).where(self.gains.notna(), None).to_dict(orient="records")
        return {"controls": {name: found.as_dict() for name, found in self.found.items()}, "gains": gains}


def read_controls(words: str) -> list[frozenset[str]]:
    """Kinds of control of words such as `q_v,p_v,q_v+p_v`.

    Raises
    ------
    ScenarioError
        If one is unknown or said twice.

    Examples
    --------
    >>> [sorted(kinds) for kinds in read_controls("q_v, q_v+p_v")]
    [['q_v'], ['p_v', 'q_v']]
    """
    found = list[frozenset[str]]()
    for word in words.split(","):
        kinds = [kind.strip() for kind in word.split("+")]
        for kind in kinds:
            if kind not in KINDS:
                raise ScenarioError(
                    f"--with: expected {', '.join(KINDS)}, several of them with commas between, those at once with +, "
                    f"got '{kind}'; correct it"
                )
        if len(set(kinds)) < len(kinds) or frozenset(kinds) in found:
            raise ScenarioError(f"--with: expected each control once, got '{word.strip()}' again; leave it out")
        found.append(frozenset(kinds))
    return found


def with_controls(scenario: Scenario, kinds: frozenset[str]) -> Scenario:
    """The scenario with some kinds of control and no other; its own curves and bands where it has them on."""
    keys = [*REACTIVE, *(key for kind in ("q_v", "p_v") for key in KEYS[kind])]
    own = {key for kind in kinds for key in KEYS[kind]}
    neutral = PvSection()
    pv = {key: getattr(scenario.pv if key in own else neutral, key) for key in keys}
    pv |= {"control": "q_v" if "q_v" in kinds else "none", "volt_watt": "p_v" in kinds}
    taps = scenario.tap_changer if "tap" in kinds else TapChangerSection()
    return scenario.with_changes("--with", pv=pv, tap_changer={**taps.model_dump(), "enabled": "tap" in kinds})


def name_controls(kinds: frozenset[str]) -> str:
    """Name of some kinds of control.

    Examples
    --------
    >>> name_controls(frozenset(["p_v", "q_v"])), name_controls(frozenset())
    ('q_v+p_v', 'none')
    """
    return "+".join(kind for kind in KINDS if kind in kinds) or WITHOUT


@stop_between_lines()
def compare_stochastic_hosting(
    scenario: Scenario,
    controls: str,
    *,
    draws: int = 1000,
    technology: str = MIX,
    seed: int = 1,
    per_site: int = 3,
    start: str = "empty",
    judge: str = "added",
    n_intervals: int = 24,
    sizes: Path | None = None,
) -> ComparedHosting:
    """What a scenario's feeder hosts without voltage control and with some, of the same draws in the same intervals.

    An interval in which one answer is judged joins all others, until all are judged in the same.

    Parameters
    ----------
    scenario
        Network, limits, load and generation, and curves and bands of controls that it has on; standard ones else.
    controls
        `q_v` (reactive power by voltage), `p_v` (active power by voltage, volt-watt) and `tap` (transformers that
        change taps under load), several with commas between; those that act at once with `+`.
    draws, technology, seed, per_site, start, judge, n_intervals, sizes
        As of `find_stochastic_hosting`.

    Raises
    ------
    ScenarioError, data.errors.DataError, grid_models.errors.GridError, market.errors.MarketError
        If an input cannot be used.
    """
    asked = [frozenset[str](), *read_controls(controls)]
    cases = {name_controls(kinds): with_controls(scenario, kinds) for kinds in asked}
    options: dict[str, Any] = {"draws": draws, "technology": technology, "seed": seed, "per_site": per_site}
    options |= {"start": start, "judge": judge, "n_intervals": n_intervals, "sizes": sizes}
    found: dict[str, StochasticHosting] = {}
    times = np.array([], "datetime64[ns]")
    while missing := [name for name in cases if name not in found or found[name].intervals["time"].size < times.size]:
        found |= {name: find_stochastic_hosting(cases[name], besides=times, **options) for name in missing}
        times = np.unique(np.concatenate([answer.intervals["time"] for answer in found.values()]))
    without = found[WITHOUT].draws
    for name, answer in found.items():
        if name != WITHOUT and answer.draws["hosted_kw"].equals(without["hosted_kw"]):
            found[name] = replace(answer, notes=(*answer.notes, NOTHING_GAINED))
    gains = [make_gain(without, answer.draws).assign(control=name) for name, answer in found.items() if name != WITHOUT]
    return ComparedHosting(found, pd.concat(gains, ignore_index=True))
