"""Server-sent events: every block of the ledger is announced, with its height as the event's `id`.

A browser that was cut off sends the last height that it saw, and gets what it missed.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable

from cosim.web.pages.journal import Journal

MOST_CLIENTS = 1000
MOST_REPLAYED = 500
"""Blocks that are sent again; who missed more gets the newest of them, and loads the page anyway."""
HEARTBEAT_S = 15.0


class Announcer:
    """Tells every connected page of new blocks.

    Parameters
    ----------
    journal
        Where blocks are looked up.
    price_of
        What is told of an interval's price, µEUR/kWh.
    """

    def __init__(self, journal: Journal, price_of: Callable[[int], int | None]) -> None:
        self._journal, self._price_of = journal, price_of
        self._waiting: dict[asyncio.Event, asyncio.AbstractEventLoop] = {}
        self._ends = False

    @property
    def n_clients(self) -> int:
        """Number of pages that listen."""
        return len(self._waiting)

    @property
    def is_full(self) -> bool:
        """Whether no further page can listen."""
        return len(self._waiting) >= MOST_CLIENTS

    def announce(self) -> None:
        """Wake all that listen; called from any thread."""
        for event, loop in list(self._waiting.items()):
            if not loop.is_closed():
                loop.call_soon_threadsafe(event.set)

    def end(self) -> None:
        """End all streams: the server stops; called from any thread."""
        self._ends = True
        self.announce()

    async def stream(self, last_height: int | None) -> AsyncIterator[str]:
        """Events from the block behind `last_height` on; without one from the next block on."""
        news = asyncio.Event()
        self._waiting[news] = asyncio.get_running_loop()
        newest = len(self._journal.blocks)
        sent = newest if last_height is None else max(last_height + 1, newest - MOST_REPLAYED)
        try:
            yield "retry: 2000\n\n"
            while not self._ends:
                for height in range(sent, newest):
                    yield self.format_event(height)
                sent = max(sent, newest)
                news.clear()
                newest = len(self._journal.blocks)
                if sent >= newest:
                    yield await self._wait(news)
                    newest = len(self._journal.blocks)
        finally:
            del self._waiting[news]

    async def _wait(self, news: asyncio.Event) -> str:
        """A comment: that nothing happened for a while, or that something did."""
        try:
            await asyncio.wait_for(news.wait(), HEARTBEAT_S)
        except TimeoutError:
            return ": nothing new\n\n"
        return ": news\n\n"

    def format_event(self, height: int) -> str:
        """One block as an event."""
        block = self._journal.blocks[height]
        price = None if block.interval is None else self._price_of(block.interval)
        body = {"height": height, "hash": block.hash.hex(), "interval": block.interval, "price_ueur_per_kwh": price}
        name = "block" if block.interval is None else "interval"
        return f"id: {height}\nevent: {name}\ndata: {json.dumps(body)}\n\n"


def parse_last_height(text: str) -> int | None:
    """Height in the header `Last-Event-ID`; None where it is no height.

    Examples
    --------
    >>> parse_last_height("17"), parse_last_height(""), parse_last_height("-1"), parse_last_height("9" * 40)
    (17, None, None, None)
    """
    return int(text) if text.isascii() and text.isdigit() and len(text) < 12 else None
