"""What the pages work with, made once: the run, the people, what the ledger holds, the clock."""

from __future__ import annotations

import logging
import secrets
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from markupsafe import Markup

from cosim.recording.topology import Changes, find_changes
from cosim.web.live.run import LiveRun
from cosim.web.pages.announcer import Announcer
from cosim.web.pages.auditor import Auditor
from cosim.web.pages.clock import Clock
from cosim.web.pages.envelope import Envelopes
from cosim.web.pages.feeder_map import FeederMap, Legend, draw_map, find_open, make_feeder_map, make_legend
from cosim.web.pages.journal import Journal
from cosim.web.pages.names import Names, Sight, make_names
from cosim.web.pages.witnessing import Calls
from cosim.web.people.carry_out import carry_out_decisions
from cosim.web.people.limits import TokenBuckets
from cosim.web.people.site import Site
from cosim.web.people.store import People
from market.errors import LedgerError

logger = logging.getLogger(__name__)


class Maps:
    """Pictures of the feeder, each drawn once an interval."""

    def __init__(self, live: LiveRun, names: Names) -> None:
        self._live, self._names, self._drawn = live, names, dict[Sight, tuple[int, Markup]]()
        self._map: FeederMap = make_feeder_map(live.case)
        self.legend: Legend = make_legend(self._map.band_pu)

    def draw(self, sight: Sight) -> Markup:
        """The feeder in the last interval, for who looks; empty before the first."""
        last = self._live.last
        if last is None:
            return Markup("")
        interval, picture = self._drawn.get(sight, (-1, Markup("")))
        if interval != last.interval:
            opened = find_open(self._live.case.feeder.net, find_changes_in_force(self._live))
            exact, place = sight == Sight.OPERATOR, self._names.places[sight]
            picture = draw_map(self._map, last.chunk.flow, exact=exact, opened=opened, place=place)
            self._drawn[sight] = last.interval, picture
        return picture


def find_changes_in_force(live: LiveRun) -> Changes:
    """What outages switched off in the last interval; nothing before the first."""
    if live.last is None:
        return frozenset()
    in_force, outages = live.last.chunk.network.in_force, live.case.timeline.outages  # later commands stand behind
    return find_changes(live.case.feeder.net, [outage for outage, on in zip(outages, in_force, strict=False) if on])


@dataclass(frozen=True, eq=False)
class Desk:
    """What the pages work with.

    Attributes
    ----------
    live, people
        The run behind the market, and who takes part.
    sites
        Origins under which people reach this server, by the header `Host`.
    demo, secure
        Whether there is a demo wallet; whether people reach the server by TLS.
    journal, maps, announcer, auditor
        What the ledger holds, the feeder drawn, pages that listen, and audits.
    clock
        Closes intervals.
    calls
        Asks witnesses to cosign checkpoints.
    envelopes
        How much more the wires would carry of each house.
    names
        What houses and elements are called.
    sign_ins, sayings, statements
        How often a client may try to sign in, a person may change something, and one may put a block on the ledger.
    secret
        Of this process, for tokens of visitors who have no session.
    turn
        Held by the one thread that carries decisions out or reads what the ledger has gained.
    """

    live: LiveRun
    people: People
    sites: Mapping[str, Site]
    demo: bool
    secure: bool
    journal: Journal
    maps: Maps
    announcer: Announcer
    auditor: Auditor
    clock: Clock
    calls: Calls
    envelopes: Envelopes
    names: Names
    sign_ins: TokenBuckets = field(default_factory=lambda: TokenBuckets(0.5, 30.0))
    sayings: TokenBuckets = field(default_factory=lambda: TokenBuckets(3.0, 60.0))
    statements: TokenBuckets = field(default_factory=lambda: TokenBuckets(0.1, 20.0))
    secret: bytes = field(default_factory=lambda: secrets.token_bytes(32))
    turn: threading.Lock = field(default_factory=threading.Lock)

    def find_price(self, interval: int) -> int | None:
        """Price between houses in an interval that is recorded; None where no house bought of another."""
        return self.journal.intervals[interval].price_ueur_per_kwh

    def carry_out(self) -> None:
        """Put on the ledger what the operator has decided, and show it."""
        with self.turn:
            try:
                done = carry_out_decisions(self.people, self.live)
            except LedgerError as reason:  # a block was written meanwhile: it stays open, and is tried again soon
                logger.info("a decision is not carried out yet: %s", reason)
                return
        if done:
            self.tell()

    def tell(self) -> None:
        """Read what the ledger has gained, and tell every page that listens."""
        with self.turn:
            self.journal.catch_up()
        self.announcer.announce()


@contextmanager
def open_desk(
    live: LiveRun,
    people: People,
    sites: Mapping[str, Site],
    *,
    seconds: float | None = None,
    demo: bool = False,
    secure: bool = False,
    witnesses: Sequence[str] = (),
) -> Iterator[Desk]:
    """Open what the pages work with; the clock runs meanwhile, every so many `seconds` or by steps.

    `witnesses` are the addresses at which members' nodes are asked to cosign.
    """
    journal = Journal(live.directory, lambda interval: f"{live.starts_at(interval):%Y-%m}")
    announcer = Announcer(journal, lambda interval: desk.find_price(interval))
    auditor = Auditor(live.directory)

    def close() -> bool:
        if not live.is_over:
            live.close_interval()
            desk.tell()
        return not live.is_over

    clock = Clock(close, lambda: desk.carry_out(), seconds)
    calls = Calls(live, witnesses, announcer.announce)
    names = make_names(live.case)
    maps, envelopes = Maps(live, names), Envelopes(live, names.places[Sight.MEMBER])
    desk = Desk(live, people, sites, demo, secure, journal, maps, announcer, auditor, clock, calls, envelopes, names)
    desk.carry_out()
    with auditor, clock, calls:
        yield desk
