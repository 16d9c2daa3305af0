"""Plug and play: a device asks to be admitted, is tried out on the network as it is, and is told why not."""

from __future__ import annotations

from typing import NamedTuple

from cosim.case.batteries import departures
from cosim.case.case import Case
from cosim.case.state import ADMITTED, ASKING, REFUSED, RETIRED, NetworkState
from cosim.curtailment.feasible import binding
from cosim.delivery.setpoints import injection_kw
from cosim.islands.event_interval import EventInterval
from cosim.islands.phases import Phase
from cosim.islands.switching import Switching
from grid_models.powerflow.limits import Judgement, check_limits
from market.exchanges import NOBODY, Reason


class DeviceDecision(NamedTuple):
    """What became of a device in an interval.

    Attributes
    ----------
    device, standing
        Its number, and how it stands now.
    reason, element
        Why it was refused, at which element.
    energy_wh
        Energy that came with a battery, or left with it below zero.
    """

    device: int
    standing: int
    reason: Reason = Reason.NONE
    element: int = int(NOBODY)
    energy_wh: int = 0


def answer_requests(
    case: Case, switching: Switching, done: EventInterval, t: int
) -> tuple[NetworkState, list[DeviceDecision]]:
    """Answer the requests of interval `t` once it is settled; answers hold from the next interval on."""
    standing = done.outage.standing.copy()
    answers = []
    for device in case.timeline.requests.get(t, []):
        if standing[device] == ASKING:
            answers.append(_answer(case, switching, done, device))
            standing[device] = answers[-1].standing
    return done.outage._replace(standing=standing), answers


def retire(case: Case, outage: NetworkState, t: int) -> tuple[NetworkState, list[DeviceDecision]]:
    """Fuel cells and panels that leave at the begin of interval `t`, as far as they are there."""
    standing = outage.standing.copy()
    leaving = [k for k in case.timeline.retired.get(t, []) if standing[k] == ADMITTED]
    standing[leaving] = RETIRED
    return outage._replace(standing=standing), [DeviceDecision(device, RETIRED) for device in leaving]


def let_go(
    case: Case, outage: NetworkState, done: EventInterval, t: int
) -> tuple[NetworkState, list[DeviceDecision]]:
    """Batteries that leave at the end of interval `t`, or stop charging until they can."""
    found = departures(
        case.scenario,
        case.fleet.devices,
        done.outage.standing,
        case.timeline.departing.get(t, []),
        done.settlement.state,
    )
    standing = outage.standing.copy()
    for departure in found:
        standing[departure.device] = departure.standing
    answers = [DeviceDecision(gone.device, gone.standing, energy_wh=-gone.energy_wh) for gone in found]
    return outage._replace(standing=standing), answers


def _answer(case: Case, switching: Switching, done: EventInterval, number: int) -> DeviceDecision:
    """Supplied? Then a trial power flow: at zero that of the interval itself, at the power offered, and drawn."""
    device = case.fleet.devices[number]
    bus = int(case.feeder.bus[device.house])
    if done.outage.phase[device.house] == Phase.DARK:
        return DeviceDecision(number, REFUSED, Reason.DARK, bus)
    p_kw = injection_kw(done.settlement.meters[None], case.interval_minutes)
    formers = [int(case.feeder.bus[part.former.house]) for part in done.parts if part.former is not None]
    engine = switching.engine(done.outage.open, formers)
    drawn = (-device.rated_kw,) if device.battery is not None else ()
    for offered_kw in (0.0, device.rated_kw, *drawn):
        trial = p_kw.copy()
        trial[0, device.house] += offered_kw
        verdict = check_limits(case.feeder, case.limits, engine.solve(trial, None))
        if verdict.status != Judgement.OK:
            return DeviceDecision(number, REFUSED, *binding(verdict))
    return DeviceDecision(number, ADMITTED, energy_wh=device.charge_wh)


def standing_name(standing: int) -> str:
    """Word for a standing.

    Examples
    --------
    >>> standing_name(ADMITTED)
    'admitted'
    """
    return ("asking", "admitted", "refused", "retired", "leaving")[standing]
