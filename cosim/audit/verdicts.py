"""A recorded verdict against the flow that was solved again: every field, whatever the others say."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from cosim.curtailment.feasible import Outcome
from cosim.delivery.volt_watt import is_reduced
from cosim.recording.conductors import Conductors, find_highest_neutral, name_conductor
from grid_models.powerflow.flow import Flow
from grid_models.powerflow.limits import Limits
from grid_models.powerflow.verdicts import Verdicts
from market.exchanges import Ints, Kind, Rows, Status
from market.ledger.format.records import ISLANDED, NONE, quantise

RECORDED_VM_UPU, RECORDED_LOADING_E4 = 10, 100
"""How far the recorded extremes may be from the recomputed ones, in their own steps (1e-5 pu, 0.01 %)."""

RECORDED_VUF_E4, RECORDED_NEUTRAL_MV = 10, 10
"""The same of the voltage unbalance (0.001 %), an error of both voltages of 1e-5 pu, and of a neutral's voltage."""

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
    conductors
        Which columns of the flow are whose.
    """

    flow: Flow
    verdicts: Verdicts
    engine: int
    islanded: bool
    n_formers: int
    conductors: Conductors


class Said(NamedTuple):
    """What a block says: its verdict, and the phases behind it; None in a balanced model."""

    verdict: np.void
    phases: np.void | None

    def conductor(self, name: str) -> int:
        """A recorded code of a conductor."""
        return 0 if self.phases is None else int(self.phases[name])


def compare_verdict(solved: Solved, limits: Limits, interval_minutes: int, said: Said, rows: Rows) -> list[str]:
    """Fields of a recorded verdict that are not what the flow and the block's exchanges give, in words."""
    verdict = said.verdict
    return [
        *_compare_voltages(solved, said),
        *_compare_loading(solved, limits, said),
        *_compare_unbalance(solved, limits, said),
        *_compare_neutral(solved, said),
        *_compare_powers(solved, interval_minutes, verdict),
        *_compare_sums(verdict, rows),
        *_compare_outcome(solved, verdict, rows),
    ]


def _compare_voltages(solved: Solved, said: Said) -> list[str]:
    found, vm_pu, made = [], solved.flow.vm_pu[0], solved.conductors
    for end in ("lowest", "highest"):
        value, column = (getattr(solved.verdicts, f"{end}_{what}")[0] for what in ("vm_pu", "bus"))
        recorded_upu, recorded = int(said.verdict[f"{end}_vm_upu"]), int(said.verdict[f"{end}_bus"])
        code = said.conductor(f"{end}_phase")
        if not _is_near(recorded_upu, value, 1e-6, RECORDED_VM_UPU):
            found.append(f"recorded {end}_vm {_format(recorded_upu, 1e-6, 6, 'pu')}, found {_show(value, 6, 'pu')}")
        elif not _is_as_extreme(vm_pu, made.find_bus_column(recorded, code), column, RECORDED_VM_UPU * 1e-6):
            place = made.split_buses(column)
            found += _name_place(f"{end}_bus", f"{end}_phase", (recorded, code), place)
    return found


def _is_near(recorded: int, value: float, step: float, allowed: int) -> bool:
    """Whether a recorded number of steps is that of a value, NaN for none, within some steps."""
    return abs(recorded - int(quantise(np.array([value]), step)[0])) <= allowed


def _is_as_extreme(values: npt.NDArray[np.float64], recorded: int, found: int, step: float) -> bool:
    """Whether a recorded column is the one that was found, or has that value too within what a run can tell apart."""
    if recorded == found:
        return True
    return 0 <= recorded < values.size and found >= 0 and bool(abs(values[recorded] - values[found]) <= step)


def _name_place(place: str, conductor: str, recorded: tuple[int, int], found: tuple[Ints, Ints]) -> list[str]:
    """A recorded place and conductor that is another than the one found, by the names of their fields."""
    if recorded[0] != found[0]:
        return [f"recorded {place} {recorded[0]}, found {found[0]}"]
    return [f"recorded {conductor} {name_conductor(recorded[1])}, found {name_conductor(int(found[1]))}"]


def _compare_loading(solved: Solved, limits: Limits, said: Said) -> list[str]:
    flow, made = solved.flow, solved.conductors
    recorded, code = int(said.verdict["branch"]), said.conductor("branch_conductor")
    value, expected = solved.verdicts.highest_loading_percent[0], int(solved.verdicts.highest_branch[0])
    recorded_e4 = int(said.verdict["loading_e4_percent"])
    if not _is_near(recorded_e4, value, 1e-4, RECORDED_LOADING_E4):
        return [f"recorded loading {_format(recorded_e4, 1e-4, 4, '%')}, found {_show(value, 4, '%')}"]
    column = made.find_branch_column(recorded, code)
    if column == expected:
        return []
    loading = np.concatenate([flow.line_loading_percent[0], flow.trafo_loading_percent[0]])
    limit = limits.max_branch_percent
    step = RECORDED_LOADING_E4 * 1e-4
    if 0 <= column < loading.size and loading[column] + step >= limit[column] * (value / limit[expected]):
        return []
    return _name_place("branch", "branch_conductor", (recorded, code), made.split_branches(np.array(expected)))


def _compare_unbalance(solved: Solved, limits: Limits, said: Said) -> list[str]:
    """Largest voltage unbalance and its bus, in an unbalanced model."""
    if said.phases is None:
        return []
    value, expected = solved.verdicts.highest_vuf_percent[0], int(solved.verdicts.highest_vuf_bus[0])
    recorded_e4, bus = int(said.phases["vuf_e4_percent"]), int(said.phases["vuf_bus"])
    if not _is_near(recorded_e4, value, 1e-4, RECORDED_VUF_E4):
        return [f"recorded vuf {_format(recorded_e4, 1e-4, 4, '%')}, found {_show(value, 4, '%')}"]
    relative = solved.flow.vuf_percent[0] / limits.max_vuf_percent
    step = RECORDED_VUF_E4 * 1e-4 / float(limits.max_vuf_percent.min())
    return [] if _is_as_extreme(relative, bus, expected, step) else [f"recorded vuf_bus {bus}, found {expected}"]


def _compare_neutral(solved: Solved, said: Said) -> list[str]:
    """Largest loading of a neutral and its line, and with four wires its highest voltage, in an unbalanced model."""
    if said.phases is None:
        return []
    return [*_compare_neutral_voltage(solved, said.phases), *_compare_neutral_loading(solved, said.phases)]


def _compare_neutral_voltage(solved: Solved, phases: np.void) -> list[str]:
    """Highest voltage of a neutral to earth, and its bus; none of both where the neutral is no conductor of its own."""
    value, expected = solved.verdicts.highest_neutral_v[0], int(solved.verdicts.highest_neutral_bus[0])
    recorded_mv, bus = int(phases["neutral_mv"]), int(phases["neutral_bus"])
    if not _is_near(recorded_mv, value, 1e-3, RECORDED_NEUTRAL_MV):
        return [f"recorded neutral voltage {_format(recorded_mv, 1e-3, 3, 'V')}, found {_show(value, 3, 'V')}"]
    as_high = _is_as_extreme(solved.flow.neutral_v[0], bus, expected, RECORDED_NEUTRAL_MV * 1e-3)
    return [] if as_high else [f"recorded neutral_bus {bus}, found {expected}"]


def _compare_neutral_loading(solved: Solved, phases: np.void) -> list[str]:
    """Largest loading of a neutral, and its line."""
    (value,), (expected,) = find_highest_neutral(solved.flow, solved.conductors)
    recorded_e4, line = int(phases["neutral_e4_percent"]), int(phases["neutral_line"])
    if not _is_near(recorded_e4, value, 1e-4, RECORDED_LOADING_E4):
        return [f"recorded neutral {_format(recorded_e4, 1e-4, 4, '%')}, found {_show(value, 4, '%')}"]
    neutral = solved.flow.line_loading_percent[0, solved.conductors.of_line - 1 :: solved.conductors.of_line]
    as_high = _is_as_extreme(neutral, line, int(expected), RECORDED_LOADING_E4 * 1e-4)
    return [] if as_high else [f"recorded neutral_line {line}, found {expected}"]


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
        "curtailed_wh": missing[np.isin(rows["kind"], _CUT_KINDS) & ~is_reduced(rows)].sum(),
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
    # Where a house is to charge or serve itself less, no exchange is cut: its import or spill is more than was cleared.
    unlike = (rows["status"] != Status.ACCEPTED) | (rows["delivered_wh"] != rows["cleared_wh"])
    cut = (unlike & ~is_reduced(rows)).any()  # what P(V) took no limit has cut
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
