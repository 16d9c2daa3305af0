"""What is on its way to a chain, in a file beside the ledger: written before it is sent, so that nothing is sent twice.

The file names contract, transactions and what was confirmed; it holds no secret, and a chain knows all of it.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from market.contract.transactions import Sent, read_sent, show_sent
from market.errors import ChainError
from market.ledger.durable import read_text_bounded, write_durably
from market.ledger.store.store import lock_for_writing

FILE = "anchors.json"
FORMAT = "gridsettle anchors v1"
LONGEST = 1 << 26


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
        return self._replace(None, (*(each for each in self.confirmed if each.size < new.size), new))

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
    text = read_text_bounded(path, "what was sent to a chain", LONGEST)
    try:
        content = json.loads(text)
        if content.get("format") == FORMAT:
            return dict(content)
    except (ValueError, AttributeError, RecursionError):
        pass
    raise _damaged(path)


def _parse_entry(path: Path, entry: Any) -> tuple[Waiting | None, tuple[Confirmed, ...]]:
    try:
        confirmed = tuple(Confirmed(**each) for each in entry.get("confirmed", ()))
        if not all(type(a.size) is int and type(a.block) is int for a in confirmed):
            raise ValueError
        found = entry.get("waiting")
        return None if found is None else Waiting(
            int(found["size"]), bytes.fromhex(found["root"]), read_sent(found)
        ), confirmed
    except (ValueError, KeyError, TypeError, AttributeError):
        raise _damaged(path) from None


def _damaged(path: Path) -> ChainError:
    return ChainError(
        f"{path}: expected '{FORMAT}' as gridsettle wrote it, got something else; move it away: what is on the chain "
        "is asked for again"
    )
