"""Plug and play: a device asks to join; a trial power flow admits it, or refuses it with the reason."""

from __future__ import annotations

from typing import NamedTuple

from cosim.case.batteries import find_departures
from cosim.case.case import Case
from cosim.case.devices import BatteryDevice
from cosim.case.state import ADMITTED, ASKING, REFUSED, RETIRED, NetworkState
from cosim.curtailment.feasible import find_binding_limit
from cosim.delivery.setpoints import metered_injections
from cosim.islands.event_interval import EventInterval
from cosim.islands.phases import Phase
from cosim.islands.switching import Switching
from grid_models.powerflow.verdicts import Judgement, check_limits
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
    case: Case, switching: Switching, event: EventInterval, t: int
) -> tuple[NetworkState, list[DeviceDecision]]:
    """Answer the requests of interval `t` once it is settled; decisions hold from the next interval on."""
    standing = event.network.standing.copy()
    decisions = []
    for device in case.timeline.requests.get(t, []):
        if standing[device] == ASKING:
            decisions.append(_answer(case, switching, event, device))
            standing[device] = decisions[-1].standing
    return event.network._replace(standing=standing), decisions


def retire_devices(case: Case, network: NetworkState, t: int) -> tuple[NetworkState, list[DeviceDecision]]:
    """Fuel cells and panels that leave at the begin of interval `t`, as far as they are there."""
    standing = network.standing.copy()
    leaving = [k for k in case.timeline.retired.get(t, []) if standing[k] == ADMITTED]
    standing[leaving] = RETIRED
    return network._replace(standing=standing), [DeviceDecision(device, RETIRED) for device in leaving]


def release_batteries(
    case: Case, network: NetworkState, event: EventInterval, t: int
) -> tuple[NetworkState, list[DeviceDecision]]:
    """Batteries that leave at the end of interval `t`; one that cannot leave yet stops charging until it can."""
    found = find_departures(
        case.scenario,
        case.fleet.batteries,
        event.network.standing,
        case.timeline.departing.get(t, []),
        event.settlement.state,
    )
    standing = network.standing.copy()
    for departure in found:
        standing[departure.device] = departure.standing
    decisions = [DeviceDecision(gone.device, gone.standing, energy_wh=-gone.energy_wh) for gone in found]
    return network._replace(standing=standing), decisions


def _answer(case: Case, switching: Switching, event: EventInterval, number: int) -> DeviceDecision:
    """Decision on one device: the house has supply, and trial power flows at 0 and at rated power are clean."""
    device = case.fleet.devices[number]
    bus = int(case.feeder.bus[device.house])
    if event.network.phase[device.house] == Phase.DARK:
        return DeviceDecision(number, REFUSED, Reason.DARK, bus)
    meters = event.settlement.meters[None]
    connections, loads = case.feeder.connections, case.load_reactive
    load_var = None if loads is None else loads.metered_var(meters)
    p_kw, q_kvar = metered_injections(meters, case.interval_minutes, connections, load_var)
    formers = [int(case.feeder.bus[part.former.house]) for part in event.parts if part.former is not None]
    engine = switching.engine(event.network.in_force, formers, event.uses)
    column = device.house if connections is None else int(connections.column(device.kind)[device.house])
    for injected_kw in device.trial_kw:
        trial = p_kw.copy()
        trial[0, column] += injected_kw
        verdict = check_limits(case.feeder, case.limits, engine.solve(trial, q_kvar))
        if verdict.status != Judgement.OK:
            return DeviceDecision(number, REFUSED, *find_binding_limit(verdict)[:2])
    charge_wh = device.charge_wh if isinstance(device, BatteryDevice) else 0
    return DeviceDecision(number, ADMITTED, energy_wh=charge_wh)


def name_standing(standing: int) -> str:
    """Word for a standing.

    Examples
    --------
    >>> name_standing(ADMITTED)
    'admitted'
    """
    return ("asking", "admitted", "refused", "retired", "leaving")[standing]
