"""Plug and play: a device asks to be admitted, is tried out on the network as it is, and is told why not."""

from __future__ import annotations

from typing import NamedTuple

from cosim.case import Case
from cosim.curtailment import binding
from cosim.disturbed import Disturbed
from cosim.outage import ADMITTED, ASKING, REFUSED, RETIRED, OutageState, Phase
from cosim.setpoints import injection_kw
from cosim.switching import Switching
from grid_models.limits import Judgement, check_limits
from market.exchanges import NOBODY, Reason


class Answer(NamedTuple):
    """What became of a device in an interval: its number, its standing, and why it was refused, at which element."""

    device: int
    standing: int
    reason: Reason
    element: int


def answer_requests(
    case: Case, switching: Switching, done: Disturbed, t: int
) -> tuple[OutageState, list[Answer]]:
    """Answer the requests of interval `t` once it is settled; answers hold from the next interval on."""
    standing = done.outage.standing.copy()
    answers = []
    for device in case.timeline.requests.get(t, []):
        if standing[device] == ASKING:
            answers.append(_answer(case, switching, done, device))
            standing[device] = answers[-1].standing
    return done.outage._replace(standing=standing), answers


def retire(case: Case, outage: OutageState, t: int) -> tuple[OutageState, list[Answer]]:
    """Devices that leave at the begin of interval `t`."""
    standing = outage.standing.copy()
    leaving = case.timeline.retired.get(t, [])
    standing[leaving] = RETIRED
    return outage._replace(standing=standing), [
        Answer(device, RETIRED, Reason.NONE, int(NOBODY)) for device in leaving
    ]


def _answer(case: Case, switching: Switching, done: Disturbed, number: int) -> Answer:
    """Supplied? Then a trial power flow: at zero that of the interval itself, and at the power offered."""
    device = case.fleet.devices[number]
    bus = int(case.feeder.bus[device.house])
    if done.outage.phase[device.house] == Phase.DARK:
        return Answer(number, REFUSED, Reason.DARK, bus)
    p_kw = injection_kw(done.settlement.meters[None], case.interval_minutes)
    formers = [int(case.feeder.bus[part.former.house]) for part in done.parts if part.former is not None]
    engine = switching.engine(done.outage.open, formers)
    for offered_kw in (0.0, device.rated_kw):
        trial = p_kw.copy()
        trial[0, device.house] += offered_kw
        verdict = check_limits(case.feeder, case.limits, engine.solve(trial, None))
        if verdict.status != Judgement.OK:
            return Answer(number, REFUSED, *binding(verdict))
    return Answer(number, ADMITTED, Reason.NONE, int(NOBODY))


def standing_name(standing: int) -> str:
    """Word for a standing.

    Examples
    --------
    >>> standing_name(ADMITTED)
    'admitted'
    """
    return ("asking", "admitted", "refused", "retired")[standing]
