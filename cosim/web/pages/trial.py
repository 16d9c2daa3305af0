"""Try a device out by power flows before it is registered, beside what the last meters say."""

from __future__ import annotations

from typing import NamedTuple

from cosim.curtailment.feasible import find_binding_limit
from cosim.delivery.setpoints import metered_injections
from cosim.web.live.run import LiveRun
from cosim.web.pages.words import explain_reason
from grid_models.powerflow.verdicts import Judgement, check_limits
from market.exchanges import with_conductor
from market.ledger.format.records import DeviceKind


class Trial(NamedTuple):
    """Whether the network can carry a device, and what is said of it."""

    clean: bool
    said: str


def list_trial_kw(kind: DeviceKind, power_w: int) -> tuple[float, ...]:
    """Injections by which a device is tried out, kW: a battery charges too.

    Examples
    --------
    >>> list_trial_kw(DeviceKind.BATTERY, 5000)
    (5.0, -5.0)
    """
    rated_kw = power_w / 1000.0
    return (rated_kw, -rated_kw) if kind == DeviceKind.BATTERY else (rated_kw,)


def try_device(live: LiveRun, house: int, kind: DeviceKind, power_w: int) -> Trial:
    """Solve the last interval again with a device at its rated power, and judge it by the limits."""
    case, last = live.case, live.last
    if last is None:
        return Trial(False, "The wires can be tried once the first interval is recorded; come back then.")
    meters = last.chunk.window.meters
    connections, loads = case.feeder.connections, case.load_reactive
    load_var = None if loads is None else loads.metered_var(meters)
    p_kw, q_kvar = metered_injections(meters, case.interval_minutes, connections, load_var)
    name = kind.name.lower()
    column = house if connections is None else int(connections.column(name)[house])
    for injected_kw in list_trial_kw(kind, power_w):
        trial = p_kw.copy()
        trial[0, column] += injected_kw
        verdict = check_limits(case.feeder, case.limits, case.engine.solve(trial, q_kvar))
        if verdict.status != Judgement.OK:
            reason, element, phase = find_binding_limit(verdict)
            why = explain_reason(with_conductor(reason, phase), element)
            what = "feeding in" if injected_kw > 0 else "charging"
            return Trial(False, f"The wires cannot carry it: {what} {abs(injected_kw):g} kW, {why}.")
    return Trial(True, f"The wires can carry it: power flows with {power_w / 1000:g} kW at your house keep all limits.")
