"""A small run in which people take part: six houses, 2, 3 and 5 with panels; some are members that submit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from lies import DAY
from submitting import make_submission

from cosim.recording.keys import make_participant_key
from cosim.web.live.answers import Acknowledgement, LeaveAnswer
from cosim.web.live.run import LiveRun
from market.exchanges import Ask
from market.ledger.format.records import DeviceKind, RecordBytes, Role
from market.ledger.format.statements import make_device_record, register

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


def state_device(
    live: LiveRun, house: int, kind: DeviceKind, power_w: int, energy_wh: int = 0, **given: Any
) -> RecordBytes:
    """A member's statement that a device joins, or leaves, at its house."""
    number = live.next_number(house)
    known: dict[str, Any] = {"device": number, "datasheet": bytes(32), "bus": int(live.case.feeder.bus[house])}
    stated = {**known, **given, "kind": kind, "power_w": power_w, "energy_wh": energy_wh}
    return make_device_record(live.chain_id, house, number, key_of(house), **stated)


def withdraw_own(live: LiveRun, house: int, kind: DeviceKind) -> LeaveAnswer:
    """Let leave what a house has had from the first interval."""
    (own,) = (each for each in live.list_own(house) if each.kind == kind.name.lower())
    return live.withdraw_device(
        state_device(live, house, kind, own.power_w, own.energy_wh, joins=False, registered=False)
    )


def close_until(live: LiveRun, interval: int) -> None:
    """Close intervals until one is the next."""
    while live.next_interval < interval:
        live.close_interval()


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
