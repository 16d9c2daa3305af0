"""A dishonest operator's workshop: a ledger taken apart, changed as it likes, and signed again with right hashes.

Nothing here checks anything. Amounts and fees follow the changed prices and energies unless a lie says otherwise, the
state roots from the books, so that only what is asserted can tell the lie.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from market.exchanges import EXCHANGE, METER, ORDER, Kind
from market.ledger.books.bookkeeper import open_books
from market.ledger.books.replay import replay_window
from market.ledger.format.header import decode_header, make_demonstration_key, state_root
from market.ledger.format.records import (
    HOUSE,
    PARAMETER,
    VERDICT,
    RecordBytes,
    RecordKind,
    join_blocks,
    number_records,
    read_integer_parameter,
    read_parameters,
    select_exchanges,
    select_rows,
    view_as_bytes,
)
from market.ledger.store.store import Store
from market.ledger.store.tip import decode_records
from market.ledger.write.ledger import Ledger

Rows = npt.NDArray[Any]
Signed = Callable[[bytes], RecordBytes]
"""Makes statements for a chain."""


OF_A_PAGE = (*range(1, 16), Kind.METER, RecordKind.ORDER, RecordKind.FLEXIBLE, RecordKind.VERDICT, RecordKind.PHASES)


@dataclass
class Page:
    """An interval's block, its records by kind, phases in unbalanced models alone, devices where there are cars or
    heat pumps; `rest` are topology, statements, houses and signatures.
    """

    start: int
    exchanges: Rows
    meters: Rows
    orders: Rows
    devices: Rows
    verdict: Rows
    phases: Rows
    rest: RecordBytes

    def records(self, interval: int) -> RecordBytes:
        rows = (self.exchanges, self.meters, self.orders, self.devices, self.verdict, self.phases)
        body = np.concatenate([*(view_as_bytes(row) for row in rows), self.rest])
        return number_records(body, interval)

    def of(self, *kinds: Kind) -> npt.NDArray[np.intp]:
        return np.flatnonzero(np.isin(self.exchanges["kind"], kinds))

    def reprice(self) -> None:
        """Amounts as delivered energy and price give them; fees keep their share."""
        rows = self.exchanges
        share = rows["fee_neur"] / np.where(rows["amount_neur"] == 0, 1, rows["amount_neur"])
        rows["amount_neur"] = rows["delivered_wh"] * rows["price_ueur_per_kwh"]
        rows["fee_neur"] = np.maximum(rows["amount_neur"] * share, 0).astype(np.int64)

    def insert_before_losses(self, **fields: int) -> None:
        """One more exchange, before the losses, which are the last."""
        row = np.zeros(1, EXCHANGE)
        for name in ("seller", "buyer", "host", "element", "lot"):
            row[name] = -4
        for name, value in fields.items():
            row[name] = value
        self.exchanges = np.concatenate([self.exchanges[:-1], row, self.exchanges[-1:]])


@dataclass
class Books:
    """A whole ledger: the first block's parameters, houses and devices, and a page for each interval."""

    parameters: Rows
    houses: Rows
    pages: list[Page]
    devices: Rows
    members: list[Signed] = field(default_factory=list)

    def set_parameter(self, name: str, value: bytes | int) -> None:
        raw = value.to_bytes(8, "little", signed=True) if isinstance(value, int) else value
        at = [bytes(row["name"]).rstrip(b"\0").decode() for row in self.parameters].index(name)
        self.parameters["value"][at] = np.void(raw.ljust(40, b"\0"))


def take_apart(directory: Path) -> Books:
    with Store.open_to_read(directory) as store:
        blocks = [(decode_header(b.header), decode_records(b.records)) for group in store.groups() for b in group]
    genesis = blocks[0][1]
    pages = [
        Page(
            header.interval_start,
            select_exchanges(records).copy(),
            select_rows(records, Kind.METER).copy(),
            select_rows(records, RecordKind.ORDER).copy(),
            select_rows(records, RecordKind.FLEXIBLE).copy(),
            select_rows(records, RecordKind.VERDICT).copy(),
            select_rows(records, RecordKind.PHASES).copy(),
            records[~np.isin(records[:, 0], OF_A_PAGE)].copy(),
        )
        for header, records in blocks[1:]
        if (records[:, 0] == RecordKind.VERDICT).any()
    ]
    parameters, houses = (select_rows(genesis, kind).copy() for kind in (RecordKind.PARAMETER, RecordKind.HOUSE))
    return Books(parameters, houses, pages, select_rows(genesis, RecordKind.FLEXIBLE).copy())


def put_together(books: Books, run: Path, out: Path, seed: int = 1) -> Path:
    """Write the books as the ledger of a copy of the run directory, signed by the demonstration key of a seed."""
    shutil.copytree(run, out, ignore=shutil.ignore_patterns("ledger.*"))
    key: Ed25519PrivateKey = make_demonstration_key(seed)
    genesis = [view_as_bytes(rows) for rows in (books.parameters, books.houses, books.devices) if rows.size]
    records, offsets = join_blocks([page.records(t) for t, page in enumerate(books.pages)])
    with Ledger.create(out, genesis, key, b"") as ledger:
        for make in books.members:
            ledger.append_registry(make(ledger.chain_id))
        ledger.append(np.array([page.start for page in books.pages]), records, offsets, list_roots(books), b"")
    return out


def list_roots(books: Books) -> list[bytes]:
    """State roots that the books give; as long as they can be kept."""
    first = np.concatenate([view_as_bytes(books.parameters), view_as_bytes(books.houses)])
    kept, ratings = open_books(first)
    tau = read_integer_parameter(read_parameters(first), "tau_intervals")
    roots = []
    for t, page in enumerate(books.pages):
        offsets = np.array([0, page.exchanges.size])
        _, _, _, accounts, kept = replay_window(
            page.exchanges, offsets, page.meters[None], page.verdict, kept, t, tau, ratings
        )
        roots.append(state_root(accounts[0]))
    return roots


assert all(layout.itemsize == 72 for layout in (EXCHANGE, METER, ORDER, VERDICT, HOUSE, PARAMETER))
__all__ = ["Books", "Page", "put_together", "replace", "take_apart"]
