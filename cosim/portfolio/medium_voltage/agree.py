"""Agree on the heads of all feeders under a medium-voltage net: voltages, and limits where the net asks for some.

In each round every feeder is run at the heads of the round before: market, setpoints, verdict, curtailment. Then
voltages and powers are exchanged for what was delivered. Where the voltages are others than those that the feeders
were run at, they are run again. Where they agree, the net is judged, and what it cannot carry is shared among the
feeders as limits of the loading at their heads, which their own curtailment keeps in the next round.

Markets do not depend on the voltage, and what is delivered does so only where something is curtailed; so two rounds
are enough where nothing is.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from cosim.case.case import Case
from cosim.portfolio.medium_voltage.exchange import (
    AGREE_PU,
    NoAgreementError,
    describe_residual,
    exchange,
    solve_medium_voltage,
)
from cosim.portfolio.medium_voltage.feeders import Delivered, deliver, with_series
from cosim.portfolio.medium_voltage.net import NAME, MediumVoltage
from cosim.portfolio.medium_voltage.share import limit_loading, share
from data.heads import HeadSeries, make_head_series
from grid_models.arrays import Floats, Ints
from grid_models.powerflow.flow import Flow
from grid_models.powerflow.verdicts import Judgement, Verdicts, Violation, judge

logger = logging.getLogger(__name__)

MAX_SHARES = 6
"""How often something is shared in one interval before what is left stays broken, and is named."""

MAX_ROUNDS = 40


@dataclass(frozen=True, eq=False)
class Agreed:
    """What a medium-voltage net and its feeders agreed on over T intervals.

    Attributes
    ----------
    mv
        The net.
    time
        Begin of each interval, (T,).
    heads
        Series of each feeder's head.
    delivered
        What each feeder delivers with it.
    flow, verdicts
        Flow of the net with these feeders, and the verdict on it.
    residual_pu
        Largest difference between the voltages of the series and those that the net gives the feeders.
    n_rounds
        Number of rounds in which all feeders were run.
    as_asked
        The violation that was shared first, of each interval in which something was shared.
    """

    mv: MediumVoltage
    time: np.ndarray
    heads: tuple[HeadSeries, ...]
    delivered: tuple[Delivered, ...]
    flow: Flow
    verdicts: Verdicts
    residual_pu: float
    n_rounds: int
    as_asked: dict[int, Violation]


class Asked(NamedTuple):
    """What the net has asked its feeders for so far.

    Attributes
    ----------
    max_loading_percent
        Largest loading at each feeder's head, (T, F); infinite where nothing is asked for.
    times
        How often something was shared in each interval, (T,).
    violations
        The violation that it was shared for first, by interval.
    """

    max_loading_percent: Floats
    times: Ints
    violations: dict[int, Violation]


def agree(mv: MediumVoltage, cases: Sequence[Case]) -> Agreed:
    """Run feeders under a medium-voltage net until voltages agree and its limits are kept, as far as they can be.

    Parameters
    ----------
    mv
        The net.
    cases
        Each feeder, in the order of the net's participants.

    Raises
    ------
    NoAgreementError
        If voltages do not agree, by the name of interval and bus.
    """
    time, n_feeders = cases[0].profiles.time, len(cases)
    nothing = np.zeros((time.size, n_feeders))
    vm_pu = solve_medium_voltage(mv, time, nothing, nothing).vm_pu[:, mv.row]
    asked = Asked(np.full(vm_pu.shape, np.inf), np.zeros(time.size, np.int64), {})
    residual_pu, n_rounds = vm_pu, 0
    while n_rounds < MAX_ROUNDS:
        n_rounds += 1
        heads = [make_head_series(time, vm, most, NAME) for vm, most in zip(vm_pu.T, asked[0].T, strict=True)]
        cases = [with_series(case, series) for case, series in zip(cases, heads, strict=True)]
        delivered = [deliver(case) for case in cases]
        p_kw = np.stack([each.p_head_kw for each in delivered], axis=1)
        q_kvar = np.stack([each.q_head_kvar for each in delivered], axis=1)
        flow = solve_medium_voltage(mv, time, p_kw, q_kvar)
        residual_pu = np.abs(flow.vm_pu[:, mv.row] - np.stack([series.vm_pu for series in heads], axis=1))
        verdicts = judge(flow, mv.limits)
        logger.info("round %d: voltages agree to %.1e pu", n_rounds, residual_pu.max())
        if (residual_pu <= AGREE_PU).all():
            more = ask(mv, flow, verdicts, delivered, asked)
            if more is asked:
                found = mv, time, tuple(heads), tuple(delivered), flow, verdicts
                return Agreed(*found, float(residual_pu.max()), n_rounds, asked.violations)
            asked = more
        vm_pu = exchange(mv, cases, delivered, time, vm_pu).vm_pu
    raise NoAgreementError(describe_residual(mv, time, residual_pu, f"after {MAX_ROUNDS} rounds of all feeders"))


def ask(mv: MediumVoltage, flow: Flow, verdicts: Verdicts, delivered: Sequence[Delivered], asked: Asked) -> Asked:
    """What the net asks for beyond `asked`, which is returned itself where that is nothing more."""
    broken = np.flatnonzero((verdicts.status != Judgement.OK) & (asked.times < MAX_SHARES)).tolist()
    most, times, violations = asked.max_loading_percent.copy(), asked.times.copy(), dict(asked.violations)
    for t in broken:
        p_kw, q_kvar, loading = (
            np.array([getattr(each, name)[t] for each in delivered])
            for name in ("p_head_kw", "q_head_kvar", "loading_percent")
        )
        shared = share(mv, flow, t, p_kw, q_kvar)
        if shared is None or shared.keeps is None:
            continue
        violations.setdefault(t, shared.violation)
        limit = limit_loading(loading, p_kw, q_kvar, shared.keeps)
        most[t] = np.where(shared.keeps < 1.0, np.minimum(most[t], limit), most[t])
        times[t] += 1
    if np.array_equal(most, asked.max_loading_percent):
        return asked
    return asked._replace(max_loading_percent=most, times=times, violations=violations)
