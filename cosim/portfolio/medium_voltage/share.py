"""Share what a medium-voltage limit asks for among the feeders that push against it.

The rule: of the limits that feeders can mend, the one that is broken most is shared. Every feeder whose active power
moves it in the direction in which it is broken reduces the active power at its head by the same share. So a feeder
gives up in proportion to what it contributes: its power times the sensitivity of the limit to it. The share is what is
needed by these sensitivities and a little more; AC solutions say whether it was enough, and what is left is shared in
the next round. Limits only ever tighten.

A feeder keeps it as a limit of the loading at its head: that of the smaller active power beside the reactive power that
is there anyway. What it cuts for that is a matter of its own curtailment rule.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from cosim.portfolio.medium_voltage.net import MediumVoltage
from grid_models.arrays import Floats
from grid_models.powerflow.flow import Flow
from grid_models.powerflow.verdicts import Violation, check_limits
from grid_models.response.response import Response
from grid_models.response.sensitivity import sensitivity

BEYOND_PU, BEYOND_PERCENT = 2e-5, 0.02
"""By how much more than the excess is asked for: derivatives are those of one state."""

LEAST_SLOPE = 0.05
"""Feeders with less than this part of the steepest derivative are left alone: what they gave up would mend nothing."""

LARGEST_SHARE = 0.999
"""A limit for which feeders would have to give up more is broken by the net's own loads and generators."""


class Shared(NamedTuple):
    """What each feeder has to keep in an interval.

    Attributes
    ----------
    violation
        A limit that is broken.
    keeps
        Share of the active power at its head that each feeder may keep, (F,); 1 where it need not reduce. None where no
        feeder can mend it.
    """

    violation: Violation
    keeps: Floats | None


def share(mv: MediumVoltage, flow: Flow, k: int, p_kw: Floats, q_kvar: Floats) -> Shared | None:
    """Share what the worst violation of an interval asks for that feeders can mend; None where there is none.

    Parameters are those of `list_shares`.
    """
    return next((each for each in list_shares(mv, flow, k, p_kw, q_kvar) if each.keeps is not None), None)


def list_shares(mv: MediumVoltage, flow: Flow, k: int, p_kw: Floats, q_kvar: Floats) -> Iterator[Shared]:
    """What each violation of an interval asks for by itself, the worst first.

    Parameters
    ----------
    mv
        The net.
    flow, k
        Its flow, and the interval of it.
    p_kw, q_kvar
        Power that each feeder takes in that interval, (F,).
    """
    verdict = check_limits(mv.feeder, mv.limits, flow, k)
    response = sensitivity(mv.engine, -p_kw, -q_kvar) if verdict.violations else None
    for violation in verdict.violations:
        slopes = None if response is None else np.nan_to_num(find_slopes(mv, response, violation))
        yield Shared(violation, None if slopes is None else find_keeps(slopes, p_kw, violation))


def limit_loading(loading_percent: Floats, p_kw: Floats, q_kvar: Floats, keeps: Floats) -> Floats:
    """Loading at the heads with a share of their active power, and all reactive power, (F,) each.

    Examples
    --------
    >>> limit_loading(np.array([50.0]), np.array([-40.0]), np.array([30.0]), np.array([0.25])).round(3)
    array([31.623])
    """
    apparent = np.hypot(p_kw, q_kvar)
    kept = np.hypot(keeps * p_kw, q_kvar)
    return loading_percent * np.divide(kept, apparent, out=np.zeros_like(kept), where=apparent > 0.0)


def find_keeps(slopes: Floats, p_kw: Floats, violation: Violation) -> Floats | None:
    """Share of the active power at its head that each feeder keeps, (F,).

    Parameters
    ----------
    slopes
        Derivatives of the violated quantity by the injection of each feeder, (F,) per kW.
    p_kw
        Power that each feeder takes, (F,).
    violation
        The limit that is broken.

    Examples
    --------
    >>> overloaded = Violation("line", 0, "", "loading_percent", 120.0, 100.0)
    >>> find_keeps(np.array([0.1, 0.1, 0.1, 0.001]), np.array([-300.0, -100.0, 50.0, -9.0]), overloaded)
    array([0.4995, 0.4995, 1.    , 1.    ])
    """
    excess, pushes = violation.value - violation.limit, -slopes * p_kw
    if excess < 0.0:  # too low a voltage
        excess, pushes = -excess, -pushes
    beyond = BEYOND_PU if violation.quantity == "vm_pu" else BEYOND_PERCENT
    steep = np.abs(slopes) >= LEAST_SLOPE * np.abs(slopes[pushes > 0.0]).max(initial=0.0)
    pushing = (pushes > 0.0) & steep
    total = float(pushes[pushing].sum())
    needed = (excess + beyond) / total if total > 0.0 else np.inf
    return None if needed > LARGEST_SHARE else np.where(pushing, 1.0 - needed, 1.0)


def find_slopes(mv: MediumVoltage, response: Response, violation: Violation) -> Floats:
    """Derivatives of a violated quantity by the active injection of each feeder, (F,) per kW."""
    net, table = mv.feeder.net, violation.element_type
    row = int(net[table].index.get_loc(violation.element))
    if table == "bus":
        return np.asarray(response.by_p.vm_pu(np.array([row]))[0])
    n_branches = len(net.line) + len(net.trafo)
    place = row + (len(net.line) if table == "trafo" else 0)
    ends = np.array([place, place + n_branches])
    end = ends[[int(np.argmax(np.abs(response.current_percent[ends])))]]
    current = response.current_percent[end]
    return np.asarray((np.conj(current) / np.abs(current) * response.by_p.current_percent(end)[0]).real)
