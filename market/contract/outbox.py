"""What is on its way to a chain, in a file beside the ledger: written before it is sent, so that nothing is sent twice.

The file names contract, transactions and what was confirmed; it holds no secret, and a chain knows all of it.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from market.contract.chain import LARGEST
from market.contract.fields import FieldError, read_entry, read_hex, read_list, read_number
from market.contract.transactions import Sent, read_sent, show_sent
from market.errors import ChainError, LedgerError
from market.ledger.durable import read_text_bounded, write_durably
from market.ledger.store.store import lock_for_writing

FILE = "anchors.json"
FORMAT = "gridsettle anchors v1"
LONGEST = 1 << 24
"""Bytes of the longest file."""

MOST_CONFIRMED = 10_000
"""Anchors of a contract that are kept once they are confirmed, the newest; the chain has all of them."""

_REMEDY = "move it away: what is on the chain is asked for again"


class Confirmed(NamedTuple):
    """An anchor that the chain has confirmed: blocks, root, transaction and the chain's block that holds it."""

    size: int
    root: str
    transaction: str
    block: int


class Waiting(NamedTuple):
    """A transaction on its way: for an anchor of `size` blocks, or 0 where it names the log."""

    size: int
    root: bytes
    sent: Sent


class Outbox:
    """What one contract is sent about one ledger; a context manager that keeps others from sending too.

    Parameters
    ----------
    directory
        Run directory.
    chain_id, address
        The contract; what waits for another one stays as it is.

    Raises
    ------
    LedgerError
        If another process has it open, or the file cannot be read.
    """

    def __init__(self, directory: Path, chain_id: int, address: str) -> None:
        self.path, self._name = directory / FILE, f"{chain_id}:{address}"
        self._lock = lock_for_writing(self.path)
        try:
            self._all = _read(self.path)
            self.waiting, self.confirmed = _parse_entry(self.path, self._all.get(self._name, {}))
        except BaseException:
            self._lock.close()
            raise

    def __enter__(self) -> Outbox:
        return self

    def __exit__(self, *_: object) -> None:
        self._lock.close()

    def keeper(self, size: int, root: bytes) -> Callable[[Sent], None]:
        """Function that keeps the versions of a transaction before they are sent."""

        def keep(sent: Sent) -> None:
            self._replace(Waiting(size, root, sent), self.confirmed)

        return keep

    def drop(self) -> None:
        """Forget the transaction that waits: it will never be carried out."""
        self._replace(None, self.confirmed)

    def confirm(self, transaction: bytes, block: int) -> None:
        """The transaction that waits is confirmed."""
        if self.waiting is None or not self.waiting.size:
            return self.drop()
        new = Confirmed(self.waiting.size, self.waiting.root.hex(), transaction.hex(), block)
        return self._replace(None, (*(each for each in self.confirmed if each.size < new.size), new)[-MOST_CONFIRMED:])

    def _replace(self, waiting: Waiting | None, confirmed: tuple[Confirmed, ...]) -> None:
        if (waiting, confirmed) == (self.waiting, self.confirmed):
            return
        entry: dict[str, Any] = {"confirmed": [each._asdict() for each in confirmed]}
        if waiting is not None:
            entry["waiting"] = {"size": waiting.size, "root": waiting.root.hex(), **show_sent(waiting.sent)}
        content = {"format": FORMAT, **self._all, self._name: entry}
        write_durably(self.path, json.dumps(content, indent=1) + "\n")
        self._all, self.waiting, self.confirmed = content, waiting, confirmed


def _read(path: Path) -> dict[str, Any]:
    if not path.exists():
        return {}
    try:
        text = read_text_bounded(path, "what was sent to a chain", LONGEST)
    except LedgerError as reason:
        raise ChainError(f"{reason}; {_REMEDY}") from None
    try:
        content = json.loads(text)
        if content.get("format") == FORMAT:
            return dict(content)
    except (ValueError, AttributeError, RecursionError):
        pass
    raise _damaged(path, f"expected '{FORMAT}' as gridsettle wrote it, got something else")


def _parse_entry(path: Path, value: Any) -> tuple[Waiting | None, tuple[Confirmed, ...]]:
    try:
        entry = read_entry(value, "the contract's entry")
        listed = read_list({"confirmed": [], **entry}, "entry", "confirmed", 0, 2 * MOST_CONFIRMED)
        confirmed = tuple(_parse_confirmed(each, f"confirmed[{k}]") for k, each in enumerate(listed))
        return None if entry.get("waiting") is None else _parse_waiting(entry["waiting"]), confirmed
    except (FieldError, ChainError) as reason:
        raise _damaged(path, str(reason)) from None


def _parse_confirmed(value: Any, where: str) -> Confirmed:
    each = read_entry(value, where)
    root, transaction = (read_hex(each, where, name, 32, 32).hex() for name in ("root", "transaction"))
    size, block = (read_number(each, where, name, least, LARGEST) for name, least in (("size", 1), ("block", 0)))
    return Confirmed(size, root, transaction, block)


def _parse_waiting(value: Any) -> Waiting:
    each = read_entry(value, "waiting")
    size = read_number(each, "waiting", "size", 0, LARGEST)
    length = 32 if size else 0
    return Waiting(size, read_hex(each, "waiting", "root", length, length), read_sent(each, "waiting"))


def _damaged(path: Path, why: str) -> ChainError:
    return ChainError(f"{path}: {why}; {_REMEDY}")
