"""What a dishonest operator may do to submissions, and who finds it: both verifiers, the audit, or a run made again.

The operator signs everything again with right hashes; it has no key of a member.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from live_world import LIVE_WITH_FACTS, key_of, run_with_people
from naive_ledger import first_fault
from resigned import resign
from submitting import make_submission

from cosim.audit.audit import audit_ledger
from cosim.audit.rerun import rerun_ledger
from market.exchanges import AUTOMATIC, MISSING, SUBMISSION
from market.ledger.check.verify import verify_ledger
from market.ledger.format.header import Header, make_demonstration_key
from market.ledger.format.records import SIZE, RecordBytes, RecordKind
from market.ledger.format.submissions import make_submission_records, mark_missing
from market.ledger.store.store import Store

pytestmark = pytest.mark.slow  # a served run, signed again for each lie

Lie = Callable[[RecordBytes, int], RecordBytes]
"""Other records of the block of an interval."""


@pytest.fixture(scope="module")
def honest(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return run_with_people(tmp_path_factory.mktemp("honest") / "live")


@pytest.fixture
def tell(honest: Path, tmp_path: Path) -> Callable[[Lie], Path]:
    """A copy of the honest run in which the operator tells a lie."""

    def copied(lie: Lie) -> Path:
        directory = tmp_path / "told"
        shutil.copytree(honest, directory, ignore=shutil.ignore_patterns("*.checkpoint"))
        done = [0]

        def change(header: Header, body: bytes) -> tuple[Header, bytes]:
            records = np.frombuffer(body, np.uint8).reshape(-1, SIZE)
            if not (records[:, 0] == RecordKind.VERDICT).any():
                return header, body
            done[0] += 1
            return header, lie(records.copy(), done[0] - 1).tobytes()

        resign(directory, make_demonstration_key(LIVE_WITH_FACTS.seed), change)
        return directory

    return copied


def find(records: RecordBytes, house: int) -> int:
    """Place of a house's submission, -1 if it has none."""
    at = np.flatnonzero(records[:, 0] == RecordKind.SUBMISSION)
    rows = records[at].view(SUBMISSION).reshape(-1)
    mine = at[rows["house"] == house]
    return int(mine[0]) if mine.size else -1


def without(records: RecordBytes, house: int) -> RecordBytes:
    k = find(records, house)
    return records if k < 0 else np.delete(records, slice(k, k + 1 + 2 * (records[k, 1] == 1)), axis=0)


def leave_out(records: RecordBytes, t: int) -> RecordBytes:
    return without(records, 3) if t == 5 else records


def take_from_another_block(house: int, other: int, at: int) -> Lie:
    """The submission of a house in the block of interval `at` is the one of interval `other`."""
    kept: list[RecordBytes] = []

    def lie(records: RecordBytes, t: int) -> RecordBytes:
        if t == other:
            k = find(records, house)
            kept.append(records[k : k + 3].copy())
        return np.concatenate([without(records, house), *kept]) if t == at else records

    return lie


def use_for_another_interval(records: RecordBytes, t: int) -> RecordBytes:
    return _other_interval(records, t)


_other_interval = take_from_another_block(2, 9, 10)


def change_the_wish(records: RecordBytes, t: int) -> RecordBytes:
    if t == 11:
        records[find(records, 2)].view(SUBMISSION)["net_wh"] += 1
    return records


def sign_for_the_house(records: RecordBytes, t: int) -> RecordBytes:
    if t != 2:
        return records
    made = make_submission(bytes(32), key_of(99), 1, 900, 0, 15, net_wh=5)
    return np.concatenate([records, make_submission_records(made)])


def say_twice(records: RecordBytes, t: int) -> RecordBytes:
    k = find(records, 3)
    return np.concatenate([records, records[k : k + 3]]) if t == 4 else records


def sign_nothing(records: RecordBytes, t: int) -> RecordBytes:
    k = find(records, 3)
    return np.concatenate([records, records[k + 1 : k + 3]]) if t == 4 else records


def mark_and_say_more(records: RecordBytes, t: int) -> RecordBytes:
    k = find(records, 1)
    if t in (1, 2) and records[k, 1] == MISSING:
        records[k].view(SUBMISSION)["reserve_wh"] = 5
    return records


def mark_who_has_no_key_in_place_of_the_submission(records: RecordBytes, t: int) -> RecordBytes:
    """House 3 had submitted for the whole run."""
    if t != 6:
        return records
    return np.concatenate([without(records, 3), make_submission_records(mark_missing(3, t))])


LIES: list[tuple[Lie, str]] = [
    (leave_out, "house 3: a submission that holds is left out"),
    (mark_who_has_no_key_in_place_of_the_submission, "house 3: a submission that holds is left out"),
    (use_for_another_interval, "house 2: a submission for other intervals"),
    (change_the_wish, "house 2 did not sign this submission"),
    (sign_for_the_house, "house 1 submits twice in one interval"),
    (say_twice, "house 3 submits twice in one interval"),
    (sign_nothing, "expected a signature of a submission behind it, found one elsewhere"),
    (mark_and_say_more, "house 1: a mark that nothing was submitted says more than that"),
]


@pytest.mark.parametrize(("lie", "reason"), LIES, ids=[lie.__name__ for lie, _ in LIES])
def test_both_verifiers_find_the_lie(lie: Lie, reason: str, tell: Callable[[Lie], Path]) -> None:
    directory = tell(lie)
    report = verify_ledger(directory)
    assert (report.ok, report.reason) == (False, reason)
    naive = first_fault(directory)
    assert naive is not None
    assert naive[0] == report.height


def test_an_older_submission_is_one_that_was_overridden(tell: Callable[[Lie], Path]) -> None:
    """That the newer one was ever made shows only where a block before has it, or the member its acknowledgement."""
    directory = tell(take_from_another_block(3, 8, 12))  # its standing submission
    assert verify_ledger(directory).ok
    assert first_fault(directory) is None
    assert audit_ledger(directory, sample=None).findings
    assert not rerun_ledger(directory).ok


def test_what_was_submitted_but_not_followed_is_found_by_the_audit(honest: Path, tell: Callable[[Lie], Path]) -> None:
    """The member's own signature, under a wish that the operator did not follow: the interval is cleared again."""
    with Store.open_to_read(honest) as store:
        chain_id = store.block(0).header[4:36]

    def not_followed(records: RecordBytes, t: int) -> RecordBytes:
        if t != 10:
            return records
        number = int(records[find(records, 2)].view(SUBMISSION)["number"][0])
        other = make_submission(chain_id, key_of(2), 2, number, 10, 10, net_wh=AUTOMATIC)
        return np.concatenate([without(records, 2), make_submission_records(other)])

    directory = tell(not_followed)
    assert verify_ledger(directory).ok
    assert audit_ledger(directory, sample=None).findings
    assert not rerun_ledger(directory).ok
