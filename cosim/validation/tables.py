"""A validation as DataFrames with names and UTC times."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from cosim.case.case import Case
from cosim.curtailment.feasible import Feasible, Outcome, binding
from cosim.results.tables import branch_names, bus_names
from cosim.validation.trades import Trades, delivered_of
from grid_models.powerflow.engine import Flow
from grid_models.powerflow.limits import Judgement, Verdict, Violation
from market.exchanges import METER, Reason

if TYPE_CHECKING:
    from cosim.validation.trades import JudgedInterval

VIOLATION = ("element_type", "element", "element_name", "quantity", "limit", "value")


def times_of(case: Case, answers: Sequence[JudgedInterval], each: int = 1) -> pd.DatetimeIndex:
    """Begin of each answer's interval, `each` times over, UTC."""
    intervals = np.repeat(np.array([answer.interval for answer in answers], np.int64), each)
    return pd.DatetimeIndex(case.profiles.time[intervals]).tz_localize("UTC")


def trades_frame(
    case: Case, trades: pd.DataFrame, codes: Trades, answers: Sequence[JudgedInterval]
) -> pd.DataFrame:
    """Trades in the order of the file with status, delivered energy, and the limit that was binding.

    `value` is what the trades as given would have led to at the binding element.
    """
    delivered = np.zeros(len(trades), np.int64)
    off = np.zeros(len(trades), dtype=bool)
    bound: list[tuple[Any, ...]] = [("none", *_spot(None))] * len(trades)
    for answer in answers:
        chosen, feasible = codes.of(answer.interval), answer.feasible
        delivered[chosen] = delivered_of(codes, chosen, answer.traded, feasible.settlement.rows)
        off[chosen] = feasible.outcome == Outcome.DE_ENERGISED
        if feasible.before is not None:
            spot = (Reason(binding(feasible.before)[0]).name.lower(), *_spot(worst(feasible.before)))
            for k in chosen:
                if off[k] or delivered[k] < codes.energy_wh[k]:
                    bound[k] = spot
    energy = codes.energy_wh
    status = np.where(off | ((delivered == 0) & (energy > 0)), "rejected", "curtailed")
    status[~off & (delivered == energy)] = "accepted"
    judged = trades.assign(
        status=status,
        delivered_wh=delivered,
        curtailed_wh=energy - delivered,
        amount_neur=delivered * codes.price_ueur_per_kwh,
    )
    columns = pd.DataFrame(bound, columns=["reason", *VIOLATION], index=trades.index)
    return pd.concat([judged, columns.astype({"element": "Int64"})], axis=1)


def worst(verdict: Verdict) -> Violation | None:
    """The violation that is furthest beyond its limit; None where nothing was solved."""
    return max(verdict.violations, key=lambda violation: violation.excess) if verdict.violations else None


def violations_of(feasible: Feasible) -> tuple[Violation, ...]:
    """Every limit that the trades as given would violate."""
    return () if feasible.before is None else feasible.before.violations


def _spot(violation: Violation | None) -> tuple[Any, ...]:
    if violation is None:
        return "", pd.NA, "", "", np.nan, np.nan
    v = violation
    return v.element_type, v.element, v.name, v.quantity, v.limit, v.value


def intervals_frame(case: Case, answers: Sequence[JudgedInterval]) -> pd.DataFrame:
    """One row per interval with trades."""

    def column(of: Any) -> list[Any]:
        return [of(answer.feasible) for answer in answers]

    def as_name(feasible: Feasible) -> str:
        return (Judgement.OK if feasible.before is None else feasible.before.status).name.lower()

    return pd.DataFrame(
        {
            "time": times_of(case, answers),
            "before": column(as_name),
            "outcome": column(lambda feasible: feasible.outcome.name.lower()),
            "power_flows": column(lambda feasible: feasible.power_flows),
            "violations": column(lambda feasible: len(violations_of(feasible))),
        }
    )


def houses_frame(case: Case, answers: Sequence[JudgedInterval]) -> pd.DataFrame:
    """One row per house and interval with trades: energies that settle, Wh, and reactive injection, var."""
    meters = np.concatenate([answer.feasible.settlement.meters for answer in answers])
    wanted = ("load", "pv", "bought", "sold", "imported", "exported", "spilled", "shed")
    columns = {f"{name}_wh": meters[f"{name}_wh"].astype(np.int64) for name in wanted}
    assert set(columns) <= set(METER.names or ())
    n = case.profiles.n_participants
    return pd.DataFrame(
        {
            "time": times_of(case, answers, n),
            "house": np.tile(np.array(case.profiles.participants, dtype=object), len(answers)),
            **columns,
            "q_var": meters["q_var"].astype(np.int64),
            "beyond_profile_wh": np.concatenate([answer.traded.beyond_wh for answer in answers]),
        }
    )


def bus_voltage_frame(
    case: Case, answers: Sequence[JudgedInterval], before: Flow, after: Flow
) -> pd.DataFrame:
    """Long table time, bus, before_vm_pu, after_vm_pu; NaN where not solved or without supply."""
    names = bus_names(case)
    return pd.DataFrame(
        {
            "time": times_of(case, answers, len(names)),
            "bus": np.tile(np.array(names, dtype=object), len(answers)),
            "before_vm_pu": before.vm_pu.ravel(),
            "after_vm_pu": after.vm_pu.ravel(),
        }
    )


def branch_loading_frame(
    case: Case, answers: Sequence[JudgedInterval], before: Flow, after: Flow
) -> pd.DataFrame:
    """Long table time, element_type, element, before_loading_percent, after_loading_percent."""
    lines, trafos = branch_names(case)
    n = len(lines) + len(trafos)
    return pd.DataFrame(
        {
            "time": times_of(case, answers, n),
            "element_type": np.tile(np.repeat(["line", "trafo"], [len(lines), len(trafos)]), len(answers)),
            "element": np.tile(np.array(lines + trafos, dtype=object), len(answers)),
            "before_loading_percent": _loading(before),
            "after_loading_percent": _loading(after),
        }
    )


def _loading(flow: Flow) -> npt.NDArray[np.float64]:
    return np.hstack([flow.line_loading_percent, flow.trafo_loading_percent]).ravel()


def violations_frame(case: Case, answers: Sequence[JudgedInterval]) -> pd.DataFrame:
    """Every limit that the trades as given would violate, worst first within an interval."""
    rows = [
        (time, *_spot(violation))
        for time, answer in zip(times_of(case, answers), answers, strict=True)
        for violation in violations_of(answer.feasible)
    ]
    frame = pd.DataFrame(rows, columns=["time", *VIOLATION])
    return frame.astype(
        {"time": "datetime64[s, UTC]", "element": "int64", "limit": "float64", "value": "float64"}
    )
