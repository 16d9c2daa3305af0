"""A small run in which people take part: six houses, 2, 3 and 5 with panels; some are members that submit."""

from __future__ import annotations

from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from lies import DAY
from submitting import make_submission

from cosim.recording.keys import make_participant_key
from cosim.web.live.run import Acknowledgement, LiveRun
from market.exchanges import Ask
from market.ledger.format.records import Role
from market.ledger.format.statements import register

HOURS = 16
LIVE = DAY.with_changes(horizon={"hours": HOURS})
LIVE_WITH_FACTS = LIVE.with_changes(ledger={"facts": True})


def key_of(house: int) -> Ed25519PrivateKey:
    """Key of a member of these tests."""
    return make_participant_key(4711, house)


def join(live: LiveRun, *houses: int) -> None:
    """Register the keys of some houses."""
    for house in houses:
        key, number = key_of(house), live.next_number(house)
        live.state_statement(register(live.chain_id, house, Role.PARTICIPANT, number, live.next_height + 1, key))


def submit(live: LiveRun, house: int, first: int, last: int | None = None, **wanted: int | Ask) -> Acknowledgement:
    """Submit what a house wants of some intervals, signed by its key."""
    number = live.next_submission_number(house)
    stated = make_submission(
        live.chain_id, key_of(house), house, number, first, first if last is None else last, **wanted
    )
    return live.submit(*stated)


def close_all(live: LiveRun) -> None:
    """Close all intervals that are left."""
    while not live.is_over:
        live.close_interval()


def run_with_people(directory: Path, *, facts: bool = True) -> Path:
    """A finished run in which four houses submit: batteries are sold, shares asked, one is late."""
    with LiveRun.open(LIVE_WITH_FACTS if facts else LIVE, directory) as live:
        join(live, 0, 1, 2, 3)
        live.set_manual(1, manual=True)
        submit(live, 3, 0, HOURS - 1, reserve_wh=500)
        while not live.is_over:
            t = live.next_interval
            if t >= 9:  # the sun is up: one house sells what would charge its battery, another all that it has
                submit(live, 2, t, net_wh=1000 + 10 * t)
                submit(live, 3, t, net_wh=6000)
            if t % 3 == 0:
                submit(live, 0, t, min(t + 1, HOURS - 1), ask=Ask.TRADE, limit_ueur_per_kwh=20_000 * (t % 7))
                submit(live, 1, t, ask=Ask.SHARE)
            live.close_interval()
    return directory
