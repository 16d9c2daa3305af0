"""Check the submissions in a ledger: signed by their houses, for this interval, and none overridden or left out."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

from market.errors import LedgerError
from market.exchanges import STATED
from market.ledger.crypto.signatures import Claim
from market.ledger.format.records import RecordBytes, read_places
from market.ledger.format.submissions import Submission, mark_missing, read_submissions, submission_message


class Known(NamedTuple):
    """A submission that the ledger has shown: its number, the intervals it is for, and the key that signed it."""

    number: int
    first: int
    last: int
    key: bytes


class SubmissionLog:
    """What houses have submitted so far, as far as it still holds.

    A ledger shows only what was applied, so a submission that an operator never applied is found by its member alone,
    who has the operator's acknowledgement.
    """

    def __init__(self) -> None:
        self._known: dict[int, list[Known]] = {}

    def holds_any(self) -> bool:
        """Whether anybody has submitted yet."""
        return bool(self._known)

    def claim(
        self, height: int, chain_id: bytes, records: RecordBytes, find_key: Callable[[int], bytes | None]
    ) -> list[Claim]:
        """Check the submissions of a block that holds an interval; returns the signatures that are still to be checked.

        Parameters
        ----------
        height, chain_id, records
            Of the block.
        find_key
            Key in force of a house, None if it has none.

        Raises
        ------
        LedgerError
            If one is for other intervals, of a house without a key, a second one of its house, or older than one that
            holds; or if one that holds is left out.
        """
        interval = int(read_places(records[:1])[0, 0])
        applied = {int(each.row["house"]): each for each in self._read_once(records)}
        claims = []
        for house, each in applied.items():
            if self._is_stated(each, house, interval):
                key = self._check_stated(house, each, interval, find_key)
                message = submission_message(chain_id, each.record)
                claims.append(
                    Claim(height, f"house {house} did not sign this submission", key, each.signature, message)
                )
                number, first, last = (int(each.row[name]) for name in ("number", "first", "last"))
                self._remember(house, Known(number, first, last, key), interval)
        self._check_none_left_out(applied, interval, find_key)
        return claims

    def _read_once(self, records: RecordBytes) -> Iterator[Submission]:
        seen = set[int]()
        for each in read_submissions(records):
            house = int(each.row["house"])
            if house in seen:
                raise LedgerError(f"house {house} submits twice in one interval")
            seen.add(house)
            yield each

    def _is_stated(self, each: Submission, house: int, interval: int) -> bool:
        """Whether a house has stated a submission; a mark that nothing came says nothing else."""
        if each.row["status"] == STATED:
            return True
        said = each.record[:4] + bytes(8) + each.record[12:]
        if said != mark_missing(house, interval).record:
            raise LedgerError(f"house {house}: a mark that nothing was submitted says more than that")
        return False

    def _check_stated(
        self, house: int, each: Submission, interval: int, find_key: Callable[[int], bytes | None]
    ) -> bytes:
        """The key that a submission must be signed with."""
        key = find_key(house)
        if key is None:
            raise LedgerError(f"house {house} submits, but has no key in force")
        if not each.holds(interval):
            raise LedgerError(f"house {house}: a submission for other intervals")
        if any(known.number > each.row["number"] for known in self._list_holding(house, interval, key)):
            raise LedgerError(f"house {house}: a submission that a later one overrides")
        return key

    def _check_none_left_out(
        self, applied: dict[int, Submission], interval: int, find_key: Callable[[int], bytes | None]
    ) -> None:
        for house in self._known:
            stated = house in applied and applied[house].row["status"] == STATED
            if not stated and self._list_holding(house, interval, find_key(house)):
                raise LedgerError(f"house {house}: a submission that holds is left out")

    def _list_holding(self, house: int, interval: int, key: bytes | None) -> list[Known]:
        """What a house is known to have submitted for an interval, with its key in force."""
        return [
            known for known in self._known.get(house, ()) if known.first <= interval <= known.last and known.key == key
        ]

    def _remember(self, house: int, shown: Known, interval: int) -> None:
        still = [known for known in self._known.get(house, ()) if known.last > interval and known != shown]
        self._known[house] = [*still, shown]
