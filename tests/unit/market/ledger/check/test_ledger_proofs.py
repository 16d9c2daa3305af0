"""Receipts and witnesses: proofs that need nothing but a pinned key."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from ledger_world import append, begin, busy, world, written

from market.errors import LedgerError
from market.ledger.check.kept_elsewhere import Policy
from market.ledger.check.receipt import Proven, Receipt, check_receipt, parse_receipt, prove
from market.ledger.check.verify import verify_ledger
from market.ledger.check.witness import RefusedError, cosign, make_prover
from market.ledger.crypto.keys import public_bytes
from market.ledger.format import statements
from market.ledger.format.checkpoint import checkpoint_path
from market.ledger.format.header import make_demonstration_key
from market.ledger.format.note import COSIGNATURE, ED25519, VerifierKey, read_cosignatures
from market.ledger.format.records import Role
from market.ledger.store.store import Store
from market.ledger.write.ledger import Ledger

MADE = world(3, 12, seed=1)
OPERATOR = public_bytes(MADE.key)


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return written(tmp_path_factory.mktemp("proofs") / "run", MADE, 5)


def receipt_of(directory: Path, interval: int, seq: int) -> Receipt:
    with Store.open_to_read(directory) as store:
        return prove(store, interval, seq)


# -- receipts ---------------------------------------------------------------------------------------------------------


def test_every_record_of_every_interval_is_proven(directory: Path) -> None:
    for interval in range(12):
        n = int(MADE.offsets[interval + 1] - MADE.offsets[interval])
        for seq in range(n):
            receipt = parse_receipt(receipt_of(directory, interval, seq).text())
            found = check_receipt(receipt, OPERATOR)
            assert isinstance(found, Proven)
            assert found.record == MADE.records[MADE.offsets[interval] + seq].tobytes()
            assert (found.height, found.checkpoint_size) == (interval + 1, 13)
            assert check_receipt(receipt, OPERATOR, found.origin) == found


def test_intervals_are_found_behind_blocks_that_hold_none(tmp_path: Path) -> None:
    made = busy(tmp_path / "run")
    with Store.open_to_read(tmp_path / "run") as store:
        for interval in range(30):
            receipt = prove(store, interval, 0)
            assert receipt.record == made.records[made.offsets[interval]].tobytes()
            assert isinstance(check_receipt(receipt, public_bytes(make_demonstration_key(300))), Proven)


@pytest.mark.parametrize("field", ["record", "seq", "record_path", "header", "header_path", "checkpoint"])
@pytest.mark.parametrize("at", [0, 3, 7, 31, 40, 60])
def test_a_changed_receipt_proves_nothing(directory: Path, field: str, at: int) -> None:
    content = json.loads(receipt_of(directory, 6, 2).text())
    value = content[field]
    if isinstance(value, int):
        content[field] = value + at + 1
    elif isinstance(value, list):
        node = bytearray.fromhex(value[at % len(value)])
        node[at % 32] ^= 1
        value[at % len(value)] = node.hex()
    elif field == "checkpoint":
        content[field] = value[:at] + chr(ord(value[at]) ^ 1) + value[at + 1 :]
    else:
        raw = bytearray.fromhex(value)
        raw[at] ^= 1
        content[field] = raw.hex()
    assert isinstance(check_receipt(parse_receipt(json.dumps(content)), OPERATOR), str)


def test_proofs_of_other_lengths_keys_and_logs_prove_nothing(directory: Path) -> None:
    receipt = receipt_of(directory, 6, 2)
    longer = receipt._replace(record_path=(*receipt.record_path, bytes(32)))
    shorter = receipt._replace(header_path=receipt.header_path[:-1])
    other = receipt_of(directory, 7, 2)
    for wrong in (longer, shorter, receipt._replace(header=other.header), receipt._replace(header=b"")):
        assert isinstance(check_receipt(wrong, OPERATOR), str)
    assert isinstance(check_receipt(receipt, public_bytes(make_demonstration_key(7))), str)
    assert isinstance(check_receipt(receipt, OPERATOR, "gridsettle/another"), str)


@pytest.mark.parametrize("text", ["", "[]", "{}", "null", '{"format": "x"}', '{"format": "gridsettle receipt v2"}'])
def test_what_is_no_receipt_is_refused(text: str) -> None:
    with pytest.raises(LedgerError, match="receipt: expected"):
        parse_receipt(text)


@pytest.mark.parametrize(("interval", "seq"), [(-1, 0), (12, 0), (3, -1), (3, 10_000)])
def test_there_is_no_receipt_for_what_is_not_there(directory: Path, interval: int, seq: int) -> None:
    with pytest.raises(LedgerError, match="expected a"):
        receipt_of(directory, interval, seq)


# -- witnesses --------------------------------------------------------------------------------------------------------


class Witnessed:
    """A log that grows, and a witness that watches it."""

    def __init__(self, folder: Path) -> None:
        self.directory, self.seen = folder / "run", folder / "seen"
        self.name, self.key = "witness.example", make_demonstration_key(50)
        with begin(self.directory, MADE) as ledger:
            append(ledger, MADE, 0, 4)
            origin = f"gridsettle/{ledger.chain_id.hex()[:32]}"
        self.log = VerifierKey(origin, ED25519, OPERATOR)
        self.verifier = VerifierKey(self.name, COSIGNATURE, public_bytes(self.key))

    def grow(self, first: int, stop: int) -> None:
        with Ledger.resume(self.directory, MADE.key) as ledger:
            append(ledger, MADE, first, stop)

    def note(self) -> str:
        return checkpoint_path(self.directory).read_text()

    def cosign(self, note: str | None = None, log: VerifierKey | None = None) -> str:
        with Store.open_to_read(self.directory) as store:
            prover = make_prover(store)
            return cosign(note or self.note(), log or self.log, prover, self.seen, self.name, self.key, 1_700_000_000)


def test_a_witness_follows_a_log_that_grows(tmp_path: Path) -> None:
    case = Witnessed(tmp_path)
    for first, stop in ((4, 5), (5, 9), (9, 12)):
        note = case.cosign()
        assert [c.time for c in read_cosignatures(note, [case.verifier])] == [1_700_000_000]
        assert case.cosign() == note
        case.grow(first, stop)
    case.cosign()


def test_a_witness_refuses_a_rollback_and_a_fork(tmp_path: Path) -> None:
    case = Witnessed(tmp_path)
    old = case.note()
    case.grow(4, 8)
    case.cosign()
    with pytest.raises(RefusedError, match="ROLLBACK"):
        case.cosign(old)
    seen = case.seen.read_text()
    forked = MADE._replace(records=MADE.records.copy())
    forked.records[MADE.offsets[2], 1] ^= 1
    for n in (8, 12):
        with begin(tmp_path / f"fork{n}", forked) as ledger:
            append(ledger, forked, 0, n)
        case.directory = tmp_path / f"fork{n}"
        with pytest.raises(RefusedError, match="FORK"):
            case.cosign()
    assert case.seen.read_text() == seen


def test_a_witness_cosigns_only_the_log_it_pinned(tmp_path: Path) -> None:
    case = Witnessed(tmp_path)
    with pytest.raises(LedgerError, match="signature"):
        case.cosign(log=case.log._replace(public_key=bytes(32)))
    with pytest.raises(LedgerError, match="signature"):
        case.cosign(log=case.log._replace(name="gridsettle/another"))
    assert not case.seen.exists()


@pytest.mark.parametrize(
    ("n_cosigned", "threshold", "ok"),
    [(0, 1, False), (1, 1, True), (1, 2, False), (2, 2, True), (2, 3, False), (3, 2, True)],
)
def test_so_many_of_the_witnesses_must_have_cosigned(tmp_path: Path, n_cosigned: int, threshold: int, ok: bool) -> None:
    case = Witnessed(tmp_path)
    note, keys = case.note(), []
    for k in range(3):
        case.name, case.key, case.seen = (
            f"w{k}.example",
            make_demonstration_key(60 + k),
            tmp_path / f"seen{k}",
        )
        keys.append(VerifierKey(case.name, COSIGNATURE, public_bytes(case.key)))
        note = case.cosign(note) if k < n_cosigned else note
    report = verify_ledger(case.directory, checkpoint=note, policy=Policy(tuple(keys), threshold))
    assert report.ok == ok
    if not ok:
        assert "witnesses to cosign" in report.reason


def test_an_operator_that_was_rotated_signs_no_more(tmp_path: Path) -> None:
    case = Witnessed(tmp_path)
    new = make_demonstration_key(70)
    with Ledger.resume(case.directory, MADE.key) as ledger:
        height = ledger.head().height + 1
        ledger.append_registry(statements.rotate(ledger.chain_id, -3, Role.OPERATOR, 1, height + 1, MADE.key, new))
        with pytest.raises(LedgerError, match="key in force"):
            append(ledger, MADE, 4, 6)
    with pytest.raises(LedgerError, match="operator's key"):
        Ledger.resume(case.directory, MADE.key)
    with Ledger.resume(case.directory, new) as ledger:
        append(ledger, MADE, 4, 6)
    assert verify_ledger(case.directory, operator=OPERATOR, checkpoint=case.note()).ok
    assert np.array_equal(ledger.registry.keys[-3][1].since, height + 1)
