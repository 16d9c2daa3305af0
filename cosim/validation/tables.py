"""A validation as DataFrames: the tables of a run, with the network before and after curtailment side by side."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from cosim.case.case import Case
from cosim.curtailment.feasible import Outcome, find_binding_limit
from cosim.results.tables import (
    interval_times,
    list_meter_columns,
    make_branch_loading_table,
    make_bus_voltage_table,
    make_table,
    make_violations_table,
)
from cosim.validation.trades import JudgedInterval, Trades, allot_delivery
from grid_models.powerflow.flow import Flow
from grid_models.powerflow.limits import Judgement, Verdict
from market.exchanges import Reason

VIOLATION = ("element_type", "element", "element_name", "quantity", "limit", "value")
_UNBOUND = ("none", "", pd.NA, "", "", np.nan, np.nan)
_METERS = ("load", "pv", "bought", "sold", "imported", "exported", "spilled", "shed")


def make_trades_frame(
    case: Case, trades: pd.DataFrame, codes: Trades, answers: Sequence[JudgedInterval]
) -> pd.DataFrame:
    """Trades in the order of the file with status, delivered energy, and the limit that was binding.

    `value` is what the trades as given would have led to at the binding element.
    """
    delivered = np.zeros(len(trades), np.int64)
    off = np.zeros(len(trades), dtype=bool)
    bound = [_UNBOUND] * len(trades)
    for answer in answers:
        chosen, feasible = codes.of(answer.interval), answer.feasible
        delivered[chosen] = allot_delivery(codes, chosen, answer.traded, feasible.settlement.rows)
        off[chosen] = feasible.outcome == Outcome.DE_ENERGISED
        if feasible.before is not None:
            for k in chosen:
                if off[k] or delivered[k] < codes.energy_wh[k]:
                    bound[k] = _describe_limit(feasible.before)
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


def _describe_limit(verdict: Verdict) -> tuple[Any, ...]:
    """Reason, then `VIOLATION` of the violation that is furthest beyond its limit."""
    reason = Reason(find_binding_limit(verdict)[0]).name.lower()
    if not verdict.violations:
        return (reason, *_UNBOUND[1:])
    worst = max(verdict.violations, key=lambda violation: violation.excess)
    return reason, worst.element_type, worst.element, worst.name, worst.quantity, worst.limit, worst.value


def make_intervals_frame(case: Case, answers: Sequence[JudgedInterval]) -> pd.DataFrame:
    """One row per interval with trades: verdict on the trades as given, outcome, power flows, broken limits."""
    judged = [answer.feasible for answer in answers]
    before = [feasible.before for feasible in judged]
    columns = {
        "time": interval_times(case, _intervals(answers)),
        "before": [(verdict.status if verdict else Judgement.OK).name.lower() for verdict in before],
        "outcome": [feasible.outcome.name.lower() for feasible in judged],
        "power_flows": [feasible.power_flows for feasible in judged],
        "violations": [len(verdict.violations) if verdict else 0 for verdict in before],
    }
    return _as_frame(pa.table(columns))


def make_houses_frame(case: Case, answers: Sequence[JudgedInterval]) -> pd.DataFrame:
    """One row per house and interval with trades: energies that settle, Wh, and reactive injection, var."""
    meters = np.concatenate([answer.feasible.settlement.meters for answer in answers])
    columns = list_meter_columns(case, meters, [*(f"{name}_wh" for name in _METERS), "q_var"])
    beyond = np.concatenate([answer.traded.beyond_wh for answer in answers])
    return _as_frame(make_table({**columns, "beyond_profile_wh": beyond}))


def make_bus_voltage_frame(
    case: Case, answers: Sequence[JudgedInterval], before: Flow, after: Flow
) -> pd.DataFrame:
    """Long table time, bus, before_vm_pu, after_vm_pu; NaN where not solved or without supply."""
    flows = {"before_vm_pu": before, "after_vm_pu": after}
    return _as_frame(make_bus_voltage_table(case, _intervals(answers), flows))


def make_branch_loading_frame(
    case: Case, answers: Sequence[JudgedInterval], before: Flow, after: Flow
) -> pd.DataFrame:
    """Long table time, element_type, element, before_loading_percent, after_loading_percent."""
    flows = {"before_loading_percent": before, "after_loading_percent": after}
    return _as_frame(make_branch_loading_table(case, _intervals(answers), flows))


def make_violations_frame(case: Case, answers: Sequence[JudgedInterval]) -> pd.DataFrame:
    """Every limit that the trades as given would violate, worst first within an interval."""
    judged = {answer.interval: answer.feasible.before for answer in answers}
    before = {t: verdict for t, verdict in judged.items() if verdict is not None}
    frame = _as_frame(make_violations_table(case, before)).rename(columns={"name": "element_name"})
    return frame[["time", *VIOLATION]]


def _intervals(answers: Sequence[JudgedInterval]) -> np.ndarray[Any, np.dtype[np.int64]]:
    return np.array([answer.interval for answer in answers], np.int64)


def _as_frame(table: pa.Table) -> pd.DataFrame:
    """DataFrame with times in seconds, integers of 64 bits, and names as plain strings."""
    frame: pd.DataFrame = table.to_pandas()
    integers, names = frame.select_dtypes("integer").columns, frame.select_dtypes("category").columns
    kinds = {**dict.fromkeys(integers, np.int64), **dict.fromkeys(names, object)}
    return frame.astype({"time": "datetime64[s, UTC]", **kinds})
