"""Exchange voltages and powers between a medium-voltage net and its feeders until they agree.

What the feeders deliver is fixed. The net is solved with the power that each feeder takes, the feeders with the voltage
that the net gives them, all intervals in one batch, until no head's voltage changes any more: Gauss-Seidel between the
parts of one network (Ortega & Rheinboldt 1970, "Iterative Solution of Nonlinear Equations in Several Variables",
ch. 7). A feeder's power hardly depends on its voltage where its injections are constant, so that few exchanges suffice.

Law: what is returned agrees, or there is an error that names interval, bus and residual; nothing stale is carried on.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from cosim.case.case import Case
from cosim.errors import ScenarioError
from cosim.portfolio.medium_voltage.feeders import Delivered, solve_head
from cosim.portfolio.medium_voltage.net import NAME, MediumVoltage
from grid_models.arrays import Floats, Ints
from grid_models.powerflow.flow import Flow
from grid_models.powerflow.head import HIGHEST_HEAD_PU, LOWEST_HEAD_PU

AGREE_PU = 1e-6
"""Largest difference between the voltage that a feeder was solved at and the one that the net then gives it."""

SETTLED_PU = 1e-9
"""Change of a head's voltage below which an exchange ends: far below what has to agree."""

MAX_EXCHANGES = 40


class NoAgreementError(ScenarioError):
    """Voltages and powers of a medium-voltage net and its feeders that do not agree."""


class Exchanged(NamedTuple):
    """Agreed voltages of K intervals.

    Attributes
    ----------
    vm_pu
        Voltage of each feeder's head, (K, F).
    flow
        Flow of the medium-voltage net.
    n_exchanges
        Number of exchanges that it took.
    """

    vm_pu: Floats
    flow: Flow
    n_exchanges: int


def solve_medium_voltage(mv: MediumVoltage, time: np.ndarray, p_kw: Floats, q_kvar: Floats) -> Flow:
    """Flow of the medium-voltage net with feeders that take some power, (K, F) kW and kvar.

    Raises
    ------
    NoAgreementError
        If it has no AC solution in an interval.
    """
    flow = mv.engine.solve(-p_kw, -q_kvar)
    for k in np.flatnonzero(~flow.converged).tolist():
        f = int(np.argmax(np.abs(p_kw[k])))
        raise NoAgreementError(
            f"{NAME}, interval {time[k]} UTC: expected an AC solution of the net with its feeders, found none; they "
            f"take {p_kw[k].sum():,.0f} kW together, most of it feeder '{mv.feeder.participants[f]}' at "
            f"{mv.name_bus(f)}, {p_kw[k, f]:,.0f} kW: let them trade less, or strengthen the net"
        )
    return flow


def exchange(
    mv: MediumVoltage, cases: Sequence[Case], delivered: Sequence[Delivered], time: np.ndarray, vm_pu: Floats
) -> Exchanged:
    """Voltages of the heads at which net and feeders agree, for what the feeders delivered.

    Parameters
    ----------
    mv
        The net.
    cases, delivered
        Each feeder, with a series of its head, and what it delivered in T intervals.
    time
        Begin of each interval, (T,), for messages.
    vm_pu
        Voltages to begin from, (T, F).

    Raises
    ------
    NoAgreementError
        If they do not agree, or a part of the network has no AC solution.
    """
    vm_pu, flow, active = vm_pu.copy(), None, np.arange(len(time))
    for n in range(1, MAX_EXCHANGES + 1):
        p_kw, q_kvar = _solve_feeders(mv, cases, delivered, time, active, vm_pu)
        found = solve_medium_voltage(mv, time[active], p_kw, q_kvar)
        flow = found if flow is None else flow.with_intervals(active, found)
        given = found.vm_pu[:, mv.row]
        change = np.abs(given - vm_pu[active])
        vm_pu[active] = given
        far = (change > SETTLED_PU).any(axis=1)
        if not far.any():
            return Exchanged(vm_pu, flow, n)
        active, change = active[far], change[far]
    raise NoAgreementError(describe_residual(mv, time[active], change, f"after {MAX_EXCHANGES} exchanges"))


def describe_residual(mv: MediumVoltage, time: np.ndarray, residual_pu: Floats, when: str) -> str:
    """Message about voltages that do not agree, (K, F) pu."""
    k, f = (int(place) for place in np.unravel_index(int(np.nanargmax(residual_pu)), residual_pu.shape))
    n = int((residual_pu > AGREE_PU).any(axis=1).sum())
    return (
        f"{NAME}, interval {time[k]} UTC, {mv.name_bus(f)}: expected voltages of net and feeder "
        f"'{mv.feeder.participants[f]}' that agree to {AGREE_PU:g} pu {when}, got a residual of "
        f"{residual_pu[k, f]:.3g} pu ({n} such intervals); shorten the horizon, or look for feeders that take "
        "more than the net can carry"
    )


def _solve_feeders(
    mv: MediumVoltage,
    cases: Sequence[Case],
    delivered: Sequence[Delivered],
    time: np.ndarray,
    active: Ints,
    vm_pu: Floats,
) -> tuple[Floats, Floats]:
    """Power into each feeder in some intervals at voltages of its head, (K, F) kW and kvar."""
    p_kw, q_kvar = (np.empty((active.size, len(cases))) for _ in range(2))
    for f, (case, of_feeder) in enumerate(zip(cases, delivered, strict=True)):
        vm = vm_pu[active, f]
        inside = (vm >= LOWEST_HEAD_PU) & (vm <= HIGHEST_HEAD_PU)
        if inside.all():
            p_kw[:, f], q_kvar[:, f] = solve_head(case, of_feeder, active, vm)
        failed = np.flatnonzero(~inside | np.isnan(p_kw[:, f])) if inside.all() else np.flatnonzero(~inside)
        if failed.size:
            k = int(failed[0])
            raise NoAgreementError(
                f"{NAME}, interval {time[active[k]]} UTC, {mv.name_bus(f)}: expected an AC solution of feeder "
                f"'{mv.feeder.participants[f]}' at {vm[k]:.4f} pu, found none ({failed.size} such intervals); look for "
                "feeders that take more than the net can carry"
            )
    return p_kw, q_kvar
