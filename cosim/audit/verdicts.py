"""A recorded verdict against the flow that was solved again: every field, whatever the others say."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from cosim.curtailment.feasible import Outcome
from grid_models.powerflow.flow import Flow
from grid_models.powerflow.limits import Limits, Verdicts
from market.exchanges import Kind, Rows, Status
from market.ledger.format.records import ISLANDED, NONE, quantise

RECORDED_VM_UPU, RECORDED_LOADING_E4 = 10, 100
"""How far the recorded extremes may be from the recomputed ones, in their own steps (1e-5 pu, 0.01 %)."""

RECORDED_W, RECORDED_WH = 2, 1
"""How far recorded grid power and losses may be; losses of an island are rounded at every grid former."""

_CUT_KINDS = (Kind.P2P, Kind.SHARE_USE, Kind.SHARE_STORE, Kind.LOT_SALE, Kind.GRID_EXPORT)


class Solved(NamedTuple):
    """An interval solved again (K = 1).

    Attributes
    ----------
    flow, verdicts
        Its AC solution and the verdict on it.
    engine
        Who solves it in a run: 0 the fast engine, 1 `runpp`.
    islanded
        Whether a participant is without the grid.
    n_formers
        Number of grid formers.
    """

    flow: Flow
    verdicts: Verdicts
    engine: int
    islanded: bool
    n_formers: int


def compare_verdict(solved: Solved, limits: Limits, interval_minutes: int, verdict: np.void, rows: Rows) -> list[str]:
    """Fields of a recorded verdict that are not what the flow and the block's exchanges give, in words."""
    return [
        *_compare_voltages(solved, verdict),
        *_compare_loading(solved, limits, verdict),
        *_compare_powers(solved, interval_minutes, verdict),
        *_compare_sums(verdict, rows),
        *_compare_outcome(solved, verdict, rows),
    ]


def _compare_voltages(solved: Solved, verdict: np.void) -> list[str]:
    found, vm_pu = [], solved.flow.vm_pu[0]
    for end in ("lowest", "highest"):
        value, bus = (getattr(solved.verdicts, f"{end}_{what}")[0] for what in ("vm_pu", "bus"))
        recorded_upu, recorded_bus = int(verdict[f"{end}_vm_upu"]), int(verdict[f"{end}_bus"])
        if abs(recorded_upu - int(quantise(np.array([value]), 1e-6)[0])) > RECORDED_VM_UPU:
            found.append(f"recorded {end}_vm {_format(recorded_upu, 1e-6, 6, 'pu')}, found {_show(value, 6, 'pu')}")
        elif recorded_bus != bus and not _is_as_extreme(vm_pu, recorded_bus, value):
            found.append(f"recorded {end}_bus {recorded_bus}, found {bus}")
    return found


def _is_as_extreme(vm_pu: npt.NDArray[np.float64], bus: int, value: float) -> bool:
    """Whether a bus has the extreme voltage too, within what a run itself can tell apart."""
    return 0 <= bus < vm_pu.size and abs(vm_pu[bus] - value) * 1e6 <= RECORDED_VM_UPU


def _compare_loading(solved: Solved, limits: Limits, verdict: np.void) -> list[str]:
    flow, branch = solved.flow, int(verdict["branch"])
    value, expected = solved.verdicts.highest_loading_percent[0], int(solved.verdicts.highest_branch[0])
    recorded_e4 = int(verdict["loading_e4_percent"])
    if abs(recorded_e4 - int(quantise(np.array([value]), 1e-4)[0])) > RECORDED_LOADING_E4:
        return [f"recorded loading {_format(recorded_e4, 1e-4, 4, '%')}, found {_show(value, 4, '%')}"]
    if branch == expected:
        return []
    loading = np.concatenate([flow.line_loading_percent[0], flow.trafo_loading_percent[0]])
    limit = limits.max_branch_percent
    step = RECORDED_LOADING_E4 * 1e-4
    if 0 <= branch < loading.size and loading[branch] + step >= limit[branch] * (value / limit[expected]):
        return []
    return [f"recorded branch {branch}, found {expected}"]


def _compare_powers(solved: Solved, interval_minutes: int, verdict: np.void) -> list[str]:
    found = []
    p_grid_w = float(solved.flow.p_grid_kw[0]) * 1000.0
    if abs(int(verdict["p_grid_w"]) - p_grid_w) > RECORDED_W:
        found.append(f"recorded p_grid {int(verdict['p_grid_w'])} W, found {p_grid_w:.0f}")
    lost_wh = float(solved.flow.losses_kw[0]) * 1000.0 * interval_minutes / 60.0
    if abs(int(verdict["losses_wh"]) - lost_wh) > RECORDED_WH * (1 + solved.n_formers):
        found.append(f"recorded losses {int(verdict['losses_wh'])} Wh, found {lost_wh:.0f}")
    return found


def _compare_sums(verdict: np.void, rows: Rows) -> list[str]:
    """Sums that follow from the block's own exchanges."""
    delivered, missing = rows["delivered_wh"], rows["cleared_wh"] - rows["delivered_wh"]
    sums = {
        "losses_wh": delivered[rows["kind"] == Kind.LOSS].sum(),
        "shed_wh": delivered[rows["kind"] == Kind.SHED].sum(),
        "curtailed_wh": missing[np.isin(rows["kind"], _CUT_KINDS)].sum(),
    }
    return [
        f"recorded {name} {int(verdict[name])}, the block's exchanges give {int(wh)}"
        for name, wh in sums.items()
        if verdict[name] != wh
    ]


def _compare_outcome(solved: Solved, verdict: np.void, rows: Rows) -> list[str]:
    """Status, engine and number of power flows."""
    found = []
    status, islanded = int(verdict["status"]), bool(verdict["reason"] & ISLANDED)
    expected = _find_outcome(status, islanded, rows)
    if status != expected:
        found.append(f"recorded status {_name(status)}, the block's exchanges give {_name(expected)}")
    engine = int(verdict["reason"]) & ~ISLANDED
    if engine != solved.engine:
        found.append(f"recorded engine {engine}, found {solved.engine}")
    n, cut = int(verdict["power_flows"]), status != Outcome.CLEAN
    if not islanded and (n < 2 if cut else n > 2):
        found.append(f"recorded power_flows {n}, found {'at least' if cut else 'at most'} 2 for status {_name(status)}")
    elif n < 1:
        found.append("recorded power_flows 0, found at least 1")
    return found


def _find_outcome(status: int, islanded: bool, rows: Rows) -> int:
    """How an interval became clean, by its exchanges."""
    shed = rows["delivered_wh"][rows["kind"] == Kind.SHED].any()
    cut = (rows["status"] != Status.ACCEPTED).any()
    nothing = not rows["delivered_wh"][np.isin(rows["kind"], (*_CUT_KINDS, Kind.GRID_IMPORT))].any()
    if status == Outcome.DE_ENERGISED and nothing and not islanded:
        return status
    if shed:
        return int(Outcome.SHED)
    return int(Outcome.CURTAILED if cut and not islanded else Outcome.CLEAN)


def _name(status: int) -> str:
    return Outcome(status).name.lower()


def _format(value: int, step: float, digits: int, unit: str) -> str:
    return "none" if value == NONE else _show(value * step, digits, unit)


def _show(value: float, digits: int, unit: str) -> str:
    return "none" if np.isnan(value) else f"{value:.{digits}f} {unit}"
