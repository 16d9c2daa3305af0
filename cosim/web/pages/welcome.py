"""The welcome page, for everybody: what this market is, what it does now, and how to check it. No personal data."""

from __future__ import annotations

from typing import Any

import numpy as np
from markupsafe import Markup
from starlette.responses import Response

from cosim.web.pages.curves import Curve, draw_curves
from cosim.web.pages.desk import Desk
from cosim.web.pages.journal import Recorded
from cosim.web.pages.names import Sight
from cosim.web.pages.rendering import render
from cosim.web.pages.visits import Visit
from cosim.web.pages.words import describe_mechanism
from grid_models.arrays import Floats
from market.ledger.format.checkpoint import checkpoint_path, log_origin
from market.ledger.format.note import ED25519, VerifierKey
from market.ledger.store.registry import find_operators_key

LAST_BLOCKS = 8
OUTCOMES = ("all deals delivered", "some deals cut", "some load switched off", "without supply")


def show_welcome(visit: Visit) -> Response:
    """The public page."""
    desk = visit.desk
    return render(
        "welcome.html",
        **name_visitor(visit),
        **describe_market(desk),
        map=desk.maps.draw(visit.sight),
        legend=desk.maps.legend,
        price_curve=draw_prices(desk),
        blocks=desk.journal.blocks[: -LAST_BLOCKS - 1 : -1],
        checkpoint=read_checkpoint(desk),
        witnessed=desk.calls.measure(),
        verifier_key=find_verifier_key(desk),
    )


def name_visitor(visit: Visit) -> dict[str, Any]:
    """What the frame of every page says about its visitor."""
    person = None if visit.session is None else visit.session.person
    return {
        "csrf": visit.csrf,
        "key": "" if person is None else person.page_key.hex(),
        "is_person": person is not None,
        "is_member": visit.sight == Sight.MEMBER,
        "is_operator": visit.is_operator,
        "demo": visit.desk.demo,
        "path": visit.request.url.path,
        "height": len(visit.desk.journal.blocks) - 1,
    }


def describe_market(desk: Desk) -> dict[str, Any]:
    """What the market is and does now."""
    live, case = desk.live, desk.live.case
    t, newest = live.next_interval, len(desk.journal.intervals) - 1  # one may be closed and not recorded yet
    last = desk.journal.intervals[newest] if newest >= 0 else None
    return {
        "name": case.scenario.name,
        "mechanism": describe_mechanism(case.scenario.market.mechanism),
        "n_houses": len(desk.names.houses),
        "has_community": len(desk.names.houses) < case.profiles.n_participants,
        "minutes": case.interval_minutes,
        "interval": t,
        "n_intervals": live.n_intervals,
        "is_over": t >= live.n_intervals,
        "starts_at": None if t >= live.n_intervals else live.starts_at(t),
        "seconds": desk.clock.seconds,
        "seconds_left": desk.clock.seconds_left(),
        "last_at": live.starts_at(newest) if last else None,
        "last_price": desk.find_price(newest) if last else None,
        "grid_price": int(case.inputs.utility_ueur_per_kwh[min(t, live.n_intervals - 1)]),
        "outcome": name_outcome(last) if last else "",
    }


def name_outcome(recorded: Recorded) -> str:
    """How an interval went, in words."""
    words = OUTCOMES[recorded.verdict_status]
    if not recorded.is_islanded:
        return words
    return "outage" if recorded.verdict_status == 0 else f"outage, {words}"


def find_day(desk: Desk) -> range:
    """Intervals of the day of the last recorded interval, as far as there are any in the run."""
    live, newest = desk.live, max(len(desk.journal.intervals) - 1, 0)
    at, minutes = live.starts_at(newest), live.case.interval_minutes
    first = newest - (at.hour * 60 + at.minute) // minutes
    return range(max(first, 0), min(first + 1440 // minutes, live.n_intervals))


def list_hours(desk: Desk, day: range) -> Floats:
    """Begin of each interval of a day and end of the last, hours from midnight."""
    at = desk.live.starts_at(day.start)
    return at.hour + at.minute / 60 + np.arange(len(day) + 1) * desk.live.case.interval_minutes / 60


def draw_prices(desk: Desk) -> Markup:
    """Prices of the day: between houses so far, of the grid all day."""
    day = find_day(desk)
    grid = desk.live.case.inputs.utility_ueur_per_kwh[day.start : day.stop] / 1e4
    known = min(len(desk.journal.intervals), day.stop) - day.start
    prices = [desk.find_price(day.start + k) for k in range(known)]
    local = np.full(len(day), np.nan)
    local[: len(prices)] = [np.nan if price is None else price / 1e4 for price in prices]
    curves = [Curve("between houses", local, "curve-1"), Curve("of the grid", grid, "curve-2")]
    return draw_curves(curves, list_hours(desk, day), "ct/kWh", "Price today")


def read_checkpoint(desk: Desk) -> str:
    """The newest checkpoint, the operator's signed note; empty before the first."""
    path = checkpoint_path(desk.live.directory)
    return path.read_text(encoding="utf-8") if path.exists() else ""


def find_verifier_key(desk: Desk) -> str:
    """The operator's key as others pin it."""
    live = desk.live
    key = find_operators_key(live.registry, live.next_height) or b""
    return VerifierKey(log_origin(live.chain_id), ED25519, key).text()
