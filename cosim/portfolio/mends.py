"""What would mend a feeder: a larger rating, another voltage at its head, or less power of its houses.

All is read off the intervals as the market cleared them, before anything was cut. What another voltage at the head
would do follows from how voltages depend on it: houses draw and give the same power, so that their currents, and with
them the rise r of a bus's voltage over its voltage n without houses, go with the inverse of the voltage. Where the head
is at λ times its voltage a bus is at λ·n + r/λ (first order in r). An AC run shows whether it holds.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa

from cosim.report.tables.run_tables import rebuild_feeder
from cosim.results.binding import KINDS
from cosim.results.columns import name_columns
from cosim.results.result import Result
from grid_models.arrays import Floats, Mask
from grid_models.feeder.feeder import Feeder
from grid_models.powerflow.limits import Limits
from grid_models.response.sensitivity import make_engine

NOT_NEEDED, BY_SHIFT, BY_NO_SHIFT, NOT_TOLD = "not needed", "shift", "no shift does it", "cannot be told"
"""Words of `mend_voltage`."""
STEP_PU = 1e-4
"""Voltages of the head are given in multiples of it, rounded away from where it is."""

_TEXT, _COUNT, _FLOAT = pa.string(), pa.int64(), pa.float64()

MEND_COLUMNS: tuple[tuple[str, pa.DataType, str], ...] = (
    ("mend_rating_percent", _FLOAT, "by how much the rating of one branch must grow that none is overloaded, %; or 0"),
    ("mend_rating_element", _TEXT, "the line or transformer that must grow most; null where none must"),
    ("mend_rating_elements", _COUNT, "how many lines and transformers must grow, each by its own share"),
    (
        "mend_voltage",
        _TEXT,
        "what another voltage at the head does: not needed, shift, no shift does it, cannot be told",
    ),
    ("mend_head_shift_pu", _FLOAT, "by how much it must change that all voltages are within limits, pu; or 0"),
    (
        "mend_band_lacks_pu",
        _FLOAT,
        "by how much voltages lie too far apart for any shift, pu; null else, or if no voltage carries the power",
    ),
    ("mend_tap_steps", _COUNT, "change of the transformer's tap_pos that does it; null where none does or it has none"),
    ("mend_tap_trafo", _TEXT, "that transformer"),
    ("mend_export_cut_kw", _FLOAT, "largest power that a house sold and the wires did not carry, kW; or 0"),
    ("mend_export_cut_house", _TEXT, "that house; null where there is none"),
    ("mend_import_cut_kw", _FLOAT, "largest power that a house bought and the wires did not carry, kW; or 0"),
    ("mend_import_cut_house", _TEXT, "that house; null where there is none"),
    ("mend_note", _TEXT, "what cannot be told, and why; null where all is told"),
)
"""Name, type and meaning of each column of mends, behind those of a portfolio's rows."""


class Extremes(NamedTuple):
    """Lowest and highest voltage of each bus, or of each of its phases, as the market asked, (B,) pu."""

    lowest: Floats
    highest: Floats


class Factors(NamedTuple):
    """Factors of the head's voltage that keep all lower limits, at least, and all upper ones, at most."""

    least: float
    most: float


def measure_mends(result: Result) -> dict[str, Any]:
    """What would mend a feeder, from its run; `MEND_COLUMNS` by name.

    Parameters
    ----------
    result
        A finished run.

    Notes
    -----
    What is asked is what this run asked: once more is carried, batteries hold less, and a little more may be asked.
    """
    violations, curtailment = (result.table(name).to_pandas() for name in ("violations", "curtailment"))
    why_not = _find_reason(result, violations, curtailment)
    found = {name: None for name, _, _ in MEND_COLUMNS} | measure_cuts(result, curtailment)
    if why_not["loading"]:
        found["mend_rating_percent"] = None
        of_head = 0
    else:
        judged, of_head = violations, 0
        if result.scenario.network.head_file is not None:
            judged, of_head = set_own_limits(violations, *_rebuild(result))
        found |= measure_rating(judged)
    if why_not["voltage"]:
        found["mend_voltage"] = NOT_TOLD
    else:
        found |= _measure_voltage(result, violations)
    other = sorted(set(violations["quantity"]) - {"vm_pu", "loading_percent"})
    notes = [f"{what}: {why}" for what, why in why_not.items() if why]
    notes += (
        [f"limit of the head: in {of_head:,} interval{'s' * (of_head != 1)}, no rating mends it"] if of_head else []
    )
    notes += [f"{_OTHER[quantity]}: neither rating nor head voltage mends it" for quantity in other]
    return {**found, "mend_note": "; ".join(notes) or None}


_OTHER = {"vuf_percent": "unbalance", "neutral_v": "voltage of the neutral"}


def _find_reason(result: Result, violations: pd.DataFrame, curtailment: pd.DataFrame) -> dict[str, str]:
    """Why loadings, and why voltages, as the market asked cannot be told; empty where they can."""
    scenario = result.scenario
    unsolved = curtailment.loc[curtailment["reason"].isin(["not_solved", "control"]), "time"].nunique()
    of_all = {
        f"in {unsolved:,} intervals what was asked has no power flow solution": unsolved > 0,
        "orders were clipped to envelopes before the market": scenario.market.network == "envelope",
    }
    has_head = scenario.network.head_file is not None
    of_voltage = {
        "the head has a voltage of its own in each interval": has_head
        and bool((violations["quantity"] == "vm_pu").any()),
        "inverters control voltages": scenario.pv.control != "none" or scenario.pv.volt_watt,
        "tap changers control voltages": scenario.tap_changer.enabled,
        "islands have voltages of their own": result.has_table("outage_intervals"),
        "a generator of the net holds a voltage": bool(result.net.gen["in_service"].any()),
    }
    loading = next((why for why, holds in of_all.items() if holds), "")
    return {"loading": loading, "voltage": loading or next((why for why, holds in of_voltage.items() if holds), "")}


def set_own_limits(violations: pd.DataFrame, feeder: Feeder, limits: Limits) -> tuple[pd.DataFrame, int]:
    """Violations against what the branches may carry by themselves, and in how many intervals the head asked for less.

    A series of the head may ask for less than the branches at the head carry. What is beyond that alone is no matter of
    a rating and is left out; what is beyond the branch's own limit too is measured by that one.

    Parameters
    ----------
    violations
        Table of that name.
    feeder, limits
        The network, and the limits without a series.

    Returns
    -------
    Rows beyond limits of branches or buses, and in how many intervals a loading was beyond that of the head alone.
    """
    own = violations["limit"].to_numpy(np.float64).copy()
    for table, percent in (("line", limits.max_line_loading_percent), ("trafo", limits.max_trafo_loading_percent)):
        of_table = ((violations["quantity"] == "loading_percent") & (violations["element_type"] == table)).to_numpy()
        own[of_table] = percent[feeder.net[table].index.get_indexer(violations["element"][of_table])]
    beyond = (violations["quantity"] != "loading_percent").to_numpy() | (violations["value"].to_numpy() > own)
    return violations.assign(limit=own)[beyond], int(violations["time"][~beyond].nunique())


def measure_rating(violations: pd.DataFrame) -> dict[str, Any]:
    """By how much ratings must grow that no loading is beyond its limit.

    Parameters
    ----------
    violations
        Table of that name: every element beyond a limit in each interval, as the market asked.
    """
    beyond = violations[violations["quantity"] == "loading_percent"]
    growth = 100.0 * (beyond["value"] / beyond["limit"] - 1.0)
    if beyond.empty:
        return {"mend_rating_percent": 0.0, "mend_rating_element": None, "mend_rating_elements": 0}
    most = beyond.iloc[int(growth.to_numpy().argmax())]
    return {
        "mend_rating_percent": float(growth.max()),
        "mend_rating_element": str(most["name"] or f"{most['element_type']} {most['element']}"),
        "mend_rating_elements": len(beyond[["element_type", "element"]].drop_duplicates()),
    }


def measure_cuts(result: Result, curtailment: pd.DataFrame) -> dict[str, Any]:
    """Largest power of any house that the wires did not carry, sold and bought, and the house.

    What a house buys from the grid in place of a trade that was cut is carried, and counted so.
    """
    cut = curtailment[curtailment["reason"].isin(KINDS)]
    hours, found = result.scenario.horizon.interval_minutes / 60.0, dict[str, Any]()
    for name, party in (("export", "seller"), ("import", "buyer")):
        of_houses = cut[~cut[party].isin(("", "grid", "contract", "operator"))]
        sums = of_houses.groupby([party, "time"])["curtailed_wh"].sum()
        most = int(sums.max()) if len(sums) else 0
        houses = sums.index.get_level_values(party)
        found[f"mend_{name}_cut_kw"] = max(most, 0) / (1000.0 * hours)
        found[f"mend_{name}_cut_house"] = str(houses[int(sums.to_numpy().argmax())]) if most > 0 else None
    return found


def _measure_voltage(result: Result, violations: pd.DataFrame) -> dict[str, Any]:
    """What another voltage at the head does, in the words and numbers of `MEND_COLUMNS`."""
    beyond = violations[violations["quantity"] == "vm_pu"]
    if beyond.empty:
        return {"mend_voltage": NOT_NEEDED, "mend_head_shift_pu": 0.0}
    net = result.net
    feeder, limits = _rebuild(result)
    without = make_engine(feeder).solve(np.zeros((1, feeder.injection_bus.size))).vm_pu[0]
    extremes = read_extremes(result, feeder, beyond)
    factors = find_factors(without, extremes, limits, np.ones(without.size, dtype=bool))
    head = float(net.ext_grid.loc[net.ext_grid["in_service"], "vm_pu"].mean())
    return {**describe_shift(factors, head), **find_tap(net, feeder, without, extremes, limits)}


def _rebuild(result: Result) -> tuple[Feeder, Limits]:
    """The network of a run, and the limits that hold in every interval."""
    participants = next(result.parts("houses", ("house",)))["house"].unique().to_pylist()
    feeder = rebuild_feeder(result, participants, result.manifest)
    return feeder, Limits.from_feeder(feeder, **result.scenario.limits.asked())


def read_extremes(result: Result, feeder: Feeder, beyond: pd.DataFrame) -> Extremes:
    """Lowest and highest voltages of the buses: those that were settled, and those that were asked and not carried.

    Parameters
    ----------
    result, feeder
        The run and its network.
    beyond
        Rows of the table `violations` on voltages.
    """
    conductors = feeder.conductors("bus")
    columns, n = list(name_columns("vm_pu", conductors).values()), len(feeder.net.bus)
    lowest, highest = np.full((2, n * len(conductors)), np.nan)
    for part in result.parts("bus_voltage", columns):
        values = np.stack([part[column].to_numpy() for column in columns], axis=1).reshape(-1, lowest.size)
        lowest = np.fmin(lowest, np.fmin.reduce(values))
        highest = np.fmax(highest, np.fmax.reduce(values))
    phase = beyond["phase"] if "phase" in beyond else pd.Series("", index=beyond.index)
    place = len(conductors) * feeder.net.bus.index.get_indexer(beyond["element"])
    place += np.array([conductors.index(each) for each in phase], dtype=np.int64)
    np.fmin.at(lowest, place, beyond["value"].to_numpy(np.float64))
    np.fmax.at(highest, place, beyond["value"].to_numpy(np.float64))
    return Extremes(lowest, highest)


def find_factors(without: Floats, extremes: Extremes, limits: Limits, chosen: Mask) -> Factors:
    """Factors of the head's voltage between which some buses keep their limits.

    Parameters
    ----------
    without
        Voltages without the houses, (B,) pu.
    extremes, limits
        Of the same buses.
    chosen
        Which of them follow the head, (B,).

    Examples
    --------
    >>> one = np.ones(1)
    >>> limits = Limits(0.9 * one, 1.1 * one, one[:0], one[:0])
    >>> find_factors(one, Extremes(0.95 * one, 1.12 * one), limits, one > 0)
    Factors(least=0.9524937810560445, most=0.9772001872658765)
    """
    known = chosen & np.isfinite(without) & np.isfinite(extremes.lowest)
    n = without[known]
    least = _solve_factor(n, extremes.lowest[known] - n, limits.min_vm_pu[known])
    most = _solve_factor(n, extremes.highest[known] - n, limits.max_vm_pu[known])
    return Factors(float(np.max(least, initial=0.0)), float(np.min(most, initial=math.inf)))


def _solve_factor(n: Floats, rise: Floats, limit: Floats) -> Floats:
    """Factor λ at which λ·n + rise/λ is the limit; where a rise is beyond what any voltage carries, 0."""
    inside = limit**2 - 4.0 * n * rise
    return np.where(inside < 0.0, 0.0, (limit + np.sqrt(np.maximum(inside, 0.0))) / (2.0 * n))


def describe_shift(factors: Factors, head_pu: float) -> dict[str, Any]:
    """The smallest change of the head's voltage that keeps all limits, a multiple of `STEP_PU`.

    Examples
    --------
    >>> describe_shift(Factors(0.95, 0.97725), 1.0)
    {'mend_voltage': 'shift', 'mend_head_shift_pu': -0.0228}
    >>> describe_shift(Factors(1.01, 0.98), 1.0)["mend_voltage"]
    'no shift does it'
    >>> describe_shift(Factors(1.01, 0.0), 1.0)
    {'mend_voltage': 'no shift does it'}
    """
    least, most = (
        math.ceil(head_pu * (factors.least - 1.0) / STEP_PU),
        math.floor(head_pu * (factors.most - 1.0) / STEP_PU),
    )
    if factors.most == 0.0:  # some power is more than any voltage carries: then no number says how much is lacking
        return {"mend_voltage": BY_NO_SHIFT}
    if least > most:
        return {"mend_voltage": BY_NO_SHIFT, "mend_band_lacks_pu": head_pu * (factors.least - factors.most)}
    return {"mend_voltage": BY_SHIFT, "mend_head_shift_pu": round(min(max(0, least), most) * STEP_PU, 4)}


def find_tap(net: Any, feeder: Feeder, without: Floats, extremes: Extremes, limits: Limits) -> dict[str, Any]:
    """The smallest change of the position of the one transformer that does it; nothing where none does."""
    used = net.trafo[net.trafo["in_service"].astype(bool)]
    if len(used) != 1 or len(net.trafo3w):
        return {}
    trafo = used.iloc[0]
    numbers = [trafo.get(key) for key in ("tap_pos", "tap_min", "tap_max", "tap_neutral", "tap_step_percent")]
    turns = trafo.get("tap_step_degree")
    kv = net.bus["vn_kv"]
    low_kv = kv[trafo["lv_bus"]]
    if pd.isna(numbers).any() or (turns and not pd.isna(turns)) or low_kv == kv[trafo["hv_bus"]]:
        return {}
    if trafo.get("tap_side") not in ("hv", "lv"):
        return {}
    position, low, high, neutral, percent = map(float, numbers)
    behind = np.repeat((kv == low_kv).to_numpy(), len(feeder.conductors("bus")))
    if not _is_within(extremes, limits, ~behind):
        return {}
    factors = find_factors(without, extremes, limits, behind)
    sign = -1.0 if trafo["tap_side"] == "hv" else 1.0
    for step in sorted(range(int(low - position), int(high - position) + 1), key=abs):
        ratio = (1.0 + (position + step - neutral) * percent / 100.0) / (1.0 + (position - neutral) * percent / 100.0)
        if factors.least <= ratio**sign <= factors.most:
            return {"mend_tap_steps": step, "mend_tap_trafo": str(trafo["name"] or trafo.name)}
    return {}


def _is_within(extremes: Extremes, limits: Limits, chosen: Mask) -> bool:
    """Whether some buses keep their limits as they are; those without supply do."""
    lacks = (extremes.lowest < limits.min_vm_pu) | (extremes.highest > limits.max_vm_pu)
    return not bool((lacks & chosen).any())
