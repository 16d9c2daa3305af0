"""What a validation leaves: the tables of a run, with the network before and after curtailment, and a summary."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from cosim.case.case import Case
from cosim.case.solve import verify_meters
from cosim.curtailment.feasible import Feasible, Outcome, find_binding_limit
from cosim.results.applied_limits import list_limits
from cosim.results.tables import (
    encode_names,
    interval_times,
    list_meter_columns,
    make_branch_loading_table,
    make_bus_voltage_table,
    make_table,
    make_violations_table,
)
from cosim.validation.binding import find_binding
from cosim.validation.phases import DEVICES, name_model
from cosim.validation.trades import JudgedInterval, Trades, allot_delivery
from grid_models.feeder.connection import NAMES
from grid_models.powerflow.flow import Flow
from grid_models.powerflow.verdicts import Judgement, Verdict, Violation, check_limits
from market.exchanges import Reason

VIOLATION = ("element_type", "element", "element_name", "quantity", "limit", "value")
PHASE = "phase"
"""Column beside them in an unbalanced model: a, b, c or n (neutral); empty for an unbalance, which is of all three."""
ANSWER = ("row", "status", "delivered_wh", "curtailed_wh", "amount_neur", "reason", *VIOLATION)
"""Columns that a validation adds to trades."""

REACHED = 0.005
"""Distance to a limit, relative to it, below which it counts as reached: rules stop as close as they can tell."""


VERIFIED = 24
"""Settled intervals that pandapower solves again as a check."""

_METERS = ("load", "pv", "bought", "sold", "imported", "exported", "spilled", "shed")


def make_tables(
    case: Case, trades: pd.DataFrame, codes: Trades, answers: Sequence[JudgedInterval], before: Flow
) -> dict[str, pd.DataFrame]:
    """Tables of a validation by name, those that `cosim.validation.validate.Validation` describes.

    Parameters
    ----------
    case
        Network, participants and times.
    trades, codes
        As read, and in integers.
    answers
        The K intervals with trades.
    before
        AC solution of these with all trades as given; NaN where there is none.
    """
    intervals = np.array([answer.interval for answer in answers], np.int64)
    judged = [answer.feasible for answer in answers]
    after = Flow.concatenate([feasible.flow for feasible in judged])
    voltages = {"before_vm_pu": before, "after_vm_pu": after}
    loadings = {"before_loading_percent": before, "after_loading_percent": after}
    verdicts = {t: one.before for t, one in zip(intervals.tolist(), judged, strict=True) if one.before}
    violations = _as_frame(make_violations_table(case, verdicts)).rename(columns={"name": "element_name"})
    with_phase = (*VIOLATION, PHASE) if PHASE in violations else VIOLATION
    return {
        "trades": _judge_trades(case, trades, codes, answers),
        "intervals": _as_frame(_make_intervals_table(case, intervals, judged)),
        "houses": _as_frame(_make_houses_table(case, answers)),
        "bus_voltage": _as_frame(make_bus_voltage_table(case, intervals, voltages)),
        "branch_loading": _as_frame(make_branch_loading_table(case, intervals, loadings)),
        "violations": violations[["time", *with_phase]],
    }


def rename_given(trades: pd.DataFrame, model: str = "balanced") -> tuple[pd.DataFrame, tuple[str, ...]]:
    """Trades whose own columns have other names than those of the answer, and what was renamed."""
    answer = ANSWER if model == "balanced" else (*ANSWER, PHASE)
    names = {name: f"given_{name}" for name in answer if name in trades.columns}
    said = [f"column '{name}' of the trades is carried as '{given}'" for name, given in names.items()]
    return trades.rename(columns=names), tuple(said)


def _judge_trades(case: Case, trades: pd.DataFrame, codes: Trades, answers: Sequence[JudgedInterval]) -> pd.DataFrame:
    """Trades in the order of the file with status, delivered energy, and the limit that was binding."""
    delivered = np.zeros(len(trades), np.int64)
    off = np.zeros(len(trades), dtype=bool)
    with_phase = case.feeder.connections is not None
    bound = [{"reason": "none", **describe_violation(None, with_phase=with_phase)}] * len(trades)
    for answer in answers:
        chosen, feasible = np.flatnonzero(codes.interval == answer.interval), answer.feasible
        delivered[chosen] = allot_delivery(answer.traded, feasible.settlement.rows)
        off[chosen] = feasible.outcome == Outcome.DE_ENERGISED
        if feasible.before is not None:
            cut = np.flatnonzero(off[chosen] | (delivered[chosen] < codes.energy_wh[chosen]))
            for k, limit in zip(chosen[cut], _describe_limits(case, answer, feasible.before, cut), strict=True):
                bound[k] = limit
    energy = codes.energy_wh
    status = np.where(off | ((delivered == 0) & (energy > 0)), "rejected", "curtailed")
    status[~off & (delivered == energy)] = "accepted"
    judged = trades.assign(
        status=status,
        delivered_wh=delivered,
        curtailed_wh=energy - delivered,
        amount_neur=delivered * codes.price_ueur_per_kwh,
    )
    columns = pd.DataFrame(bound, index=trades.index)
    return pd.concat([judged, columns.astype({"element": "Int64"})], axis=1)


def _describe_limits(
    case: Case, answer: JudgedInterval, verdict: Verdict, cut: npt.NDArray[np.int64]
) -> list[dict[str, Any]]:
    """Reason and limit of each cut trade of an interval: where phases differ one that it has a part in."""
    if case.feeder.connections is None or not verdict.violations:
        return [_describe_limit(case, verdict, answer.feasible)] * cut.size
    found = find_binding(case, answer, cut, verdict.violations)
    return [_describe_limit(case, replace(verdict, violations=(v,)), answer.feasible) for v in found]


def _describe_limit(case: Case, verdict: Verdict, feasible: Feasible) -> dict[str, Any]:
    """Reason, and the violation that is furthest beyond its limit.

    Trades that have no power flow as given violate nothing that could be named; then it is the limit that what is
    delivered has reached.
    """
    reason = Reason(find_binding_limit(verdict)[0]).name.lower()
    worst = max(verdict.violations, key=lambda violation: violation.excess, default=None)
    found = worst or _find_reached(case, feasible)
    return {"reason": reason, **describe_violation(found, with_phase=case.feeder.connections is not None)}


def _find_reached(case: Case, feasible: Feasible) -> Violation | None:
    """The limit closest to what settles, if that has come up to it."""
    if feasible.outcome == Outcome.DE_ENERGISED:
        return None
    closest = check_limits(case.feeder, case.limits, feasible.flow).tightest
    return closest if closest is not None and closest.excess < REACHED else None


def describe_violation(violation: Violation | None, *, with_phase: bool = False) -> dict[str, Any]:
    """A violation as the columns `VIOLATION`, and `PHASE` where it is asked for; empty where there is none."""
    v = violation
    values: tuple[Any, ...] = ("", pd.NA, "", "", np.nan, np.nan)
    if v is not None:
        values = v.element_type, v.element, v.name, v.quantity, v.limit, v.value
    phase = {PHASE: "" if v is None else v.phase} if with_phase else {}
    return {**dict(zip(VIOLATION, values, strict=True)), **phase}


def _make_intervals_table(case: Case, intervals: npt.NDArray[np.int64], judged: Sequence[Feasible]) -> pa.Table:
    before = [feasible.before for feasible in judged]
    columns = {
        "time": interval_times(case, intervals),
        "before": [(verdict.status if verdict else Judgement.OK).name.lower() for verdict in before],
        "outcome": [feasible.outcome.name.lower() for feasible in judged],
        "power_flows": [feasible.power_flows for feasible in judged],
        "violations": [len(verdict.violations) if verdict else 0 for verdict in before],
    }
    return pa.table(columns)


def _make_houses_table(case: Case, answers: Sequence[JudgedInterval]) -> pa.Table:
    meters = np.concatenate([answer.feasible.settlement.meters for answer in answers])
    columns = list_meter_columns(case, meters, [*(f"{name}_wh" for name in _METERS), "q_var"])
    if case.feeder.connections is not None:
        connections, house = case.feeder.connections, meters["house"]
        columns |= {f"phase_{d}": encode_names(getattr(connections, d)[house], list(NAMES)) for d in DEVICES}
    beyond = np.concatenate([answer.traded.beyond_wh for answer in answers])
    return make_table({**columns, "beyond_profile_wh": beyond})


def _as_frame(table: pa.Table) -> pd.DataFrame:
    """DataFrame with times in seconds, integers of 64 bits, and names as plain strings."""
    frame: pd.DataFrame = table.to_pandas()
    integers, names = frame.select_dtypes("integer").columns, frame.select_dtypes("category").columns
    kinds = {**dict.fromkeys(integers, np.int64), **dict.fromkeys(names, object)}
    return frame.astype({"time": "datetime64[s, UTC]", **kinds})


def summarise_validation(case: Case, trades: pd.DataFrame, answers: Sequence[JudgedInterval]) -> dict[str, Any]:
    """Counts, energies and the agreement with pandapower, JSON-ready; `trades` as judged."""
    status = trades["status"].astype(str)
    outcomes = [answer.feasible.outcome for answer in answers]
    energy = int(trades["energy_wh"].sum())
    delivered = int(trades["delivered_wh"].sum())
    model = {} if case.feeder.connections is None else {"model": name_model(case.feeder)}
    return {
        **model,
        "trades": {name: int((status == name).sum()) for name in ("accepted", "curtailed", "rejected")},
        "energy_kwh": {
            "traded": energy / 1000,
            "delivered": delivered / 1000,
            "curtailed": (energy - delivered) / 1000,
            "shed": sum(int(answer.feasible.settlement.meters["shed_wh"].sum()) for answer in answers) / 1000,
            "beyond_profiles": int(sum(np.abs(answer.traded.beyond_wh).sum() for answer in answers)) / 1000,
        },
        "intervals": {outcome.name.lower(): outcomes.count(outcome) for outcome in Outcome},
        "not_settled": [
            f"{case.profiles.time[answer.interval]}Z"
            for answer in answers
            if answer.feasible.outcome == Outcome.DE_ENERGISED
        ],
        "rule": case.scenario.curtailment.rule,
        "limits": list_limits(case.limits),
        "pv_control": case.scenario.pv.control,
        "network": {
            "name": case.feeder.name,
            "sha256": case.feeder.digest().hex(),
            "notes": list(case.feeder.notes),
        },
        "agreement": _verify(case, answers),
    }


def _verify(case: Case, answers: Sequence[JudgedInterval]) -> dict[str, Any]:
    """Largest differences to pandapower over an even sample of what settles."""
    live = [answer for answer in answers if answer.feasible.outcome != Outcome.DE_ENERGISED]
    if not live:
        return {"intervals": 0}
    chosen = np.unique(np.linspace(0, len(live) - 1, min(VERIFIED, len(live))).astype(np.int64))
    meters = np.stack([live[k].feasible.settlement.meters for k in chosen])
    return verify_meters(case, meters, numbers=np.array([live[k].interval for k in chosen]))
