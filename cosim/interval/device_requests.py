"""Plug and play: a device asks to join; a trial power flow admits it, or refuses it with the reason."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from cosim.case.batteries import find_departures
from cosim.case.case import Case
from cosim.case.devices import BatteryDevice, Device
from cosim.case.state import ADMITTED, ASKING, REFUSED, RETIRED, NetworkState
from cosim.curtailment.feasible import find_binding_limit
from cosim.delivery.setpoints import metered_injections
from cosim.islands.event_interval import EventInterval
from cosim.islands.phases import Phase
from cosim.islands.switching import Switching
from grid_models.powerflow.verdicts import Judgement, check_limits
from market.exchanges import METER, NOBODY, Reason, Rows


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
    reason, element = try_device(case, device, event.settlement.meters[None], (switching, event))
    if reason != Reason.NONE:
        return DeviceDecision(number, REFUSED, reason, element)
    charge_wh = device.charge_wh if isinstance(device, BatteryDevice) else 0
    return DeviceDecision(number, ADMITTED, energy_wh=charge_wh)


def try_device(
    case: Case,
    device: Device,
    meters: Rows,
    event: tuple[Switching, EventInterval] | None,
    beside: Sequence[Device] = (),
) -> tuple[Reason, int]:
    """Why a device cannot join, and the element that binds; `Reason.NONE` if it can.

    Its house must have supply, and trial power flows beside what was metered, with the device at 0 and at its rated
    power, must be clean.

    Parameters
    ----------
    case
        Network and limits.
    device
        What asks to join.
    meters
        Meter rows of the interval that it is tried in, (1, N).
    event
        The same interval where the network is not whole; None where it is.
    beside
        Devices that have joined since: they give, or take, as much as they can when this one does.
    """
    bus, engine = int(case.feeder.bus[device.house]), case.engine
    if event is not None:
        switching, parts = event
        if parts.network.phase[device.house] == Phase.DARK:
            return Reason.DARK, bus
        formers = [int(case.feeder.bus[part.former.house]) for part in parts.parts if part.former is not None]
        engine = switching.engine(parts.network.in_force, formers, parts.uses)
    connections, loads = case.feeder.connections, case.load_reactive
    load_var = None if loads is None else loads.metered_var(meters)
    p_kw, q_kvar = metered_injections(meters, case.interval_minutes, connections, load_var)
    for injected_kw in device.trial_kw:
        trial = p_kw.copy()
        trial[0, _find_column(case, device)] += injected_kw
        for other in beside if injected_kw else ():
            extreme = max(other.trial_kw) if injected_kw > 0 else min(other.trial_kw)
            trial[0, _find_column(case, other)] += extreme
        verdict = check_limits(case.feeder, case.limits, engine.solve(trial, q_kvar))
        if verdict.status != Judgement.OK:
            return find_binding_limit(verdict)[:2]
    return Reason.NONE, int(NOBODY)


def _find_column(case: Case, device: Device) -> int:
    """Column of injections that a device is in: its house's, or that of its phase."""
    connections = case.feeder.connections
    return device.house if connections is None else int(connections.column(device.kind)[device.house])


def try_joining(
    case: Case,
    device: Device,
    meters: Rows | None,
    event: EventInterval | None = None,
    beside: Sequence[Device] = (),
) -> tuple[Reason, int]:
    """`try_device` between two intervals.

    Parameters
    ----------
    case, device
        As there.
    meters
        Meter rows of the interval before, (1, N); None before the first.
    event
        The same interval, if it had an event.
    beside
        Devices that have joined since that interval.
    """
    if meters is None:
        meters, event = np.zeros((1, case.opening.own_wh.size), METER), None
    if event is None or event.network.is_normal:
        return try_device(case, device, meters, None, beside)
    switching = Switching(case.feeder, case.engine, case.timeline.outages)
    return try_device(case, device, meters, (switching, event), beside)


def name_standing(standing: int) -> str:
    """Word for a standing.

    Examples
    --------
    >>> name_standing(ADMITTED)
    'admitted'
    """
    return ("asking", "admitted", "refused", "retired", "leaving")[standing]
