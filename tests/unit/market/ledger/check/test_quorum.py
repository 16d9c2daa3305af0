"""A quorum of witnesses in the first block: only checkpoints that it cosigned count, for verify and for receipts."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ledger_world import world, written
from log_world import with_quorum, witness
from naive_ledger import witnessed_blocks

from market.errors import LedgerError
from market.ledger.check.receipt import Proven, check_receipt, prove
from market.ledger.check.verify import verify_ledger
from market.ledger.crypto.keys import public_bytes
from market.ledger.follow.cosigning import Cosigner
from market.ledger.format.checkpoint import checkpoint_path
from market.ledger.format.note import VerifierKey, add_cosignature
from market.ledger.format.quorum import make_quorum_parameters, parse_witnesses, read_quorum
from market.ledger.store.store import Store


@pytest.fixture
def cosigners(tmp_path: Path) -> list[Cosigner]:
    return [witness(k, tmp_path) for k in range(3)]


@pytest.fixture
def directory(tmp_path: Path, cosigners: list[Cosigner]) -> Path:
    """A ledger of 13 blocks, checkpoints at 1, 6, 11 and 13 blocks, of whose 3 witnesses 2 must cosign."""
    return written(tmp_path / "run", with_quorum(cosigners, 2), 5)


def cosign(directory: Path, size: int, cosigners: list[Cosigner]) -> str:
    with Store.open_to_write(directory) as store:
        note = store.last_checkpoint(size)
        assert note is not None
        for cosigner in cosigners:
            note = add_cosignature(note, cosigner.name, cosigner.key, 7)
        store.add_checkpoint(size, note)
    return note


def witnessed(directory: Path, checkpoint: str | None = None) -> int:
    report = verify_ledger(directory, checkpoint=checkpoint)
    assert report.ok, report.reason
    assert (report.witnesses, report.quorum) == (3, 2)
    assert report.witnessed == witnessed_blocks(directory, checkpoint)
    return report.witnessed


def test_blocks_count_as_far_as_the_quorum_has_cosigned(directory: Path, cosigners: list[Cosigner]) -> None:
    assert witnessed(directory) == 0
    cosign(directory, 13, cosigners[:1])
    assert witnessed(directory) == 0
    cosign(directory, 6, cosigners[1:])
    assert witnessed(directory) == 6
    cosign(directory, 13, cosigners[2:])
    assert witnessed(directory) == 13


@settings(max_examples=15, deadline=None)
@given(st.lists(st.tuples(st.sampled_from([1, 6, 11, 13]), st.lists(st.integers(0, 3), max_size=4)), max_size=4))
def test_whoever_cosigns_what_blocks_count_alike_for_both_verifiers(cosigned: list[tuple[int, list[int]]]) -> None:
    with TemporaryDirectory() as name:
        known = [witness(k, Path(name)) for k in range(3)]
        directory = written(Path(name) / "run", with_quorum(known, 2), 5)
        all_of: dict[int, set[int]] = {}
        for size, which in cosigned:
            cosign(directory, size, [[*known, witness(9, Path(name))][k] for k in which])
            all_of.setdefault(size, set()).update(k for k in which if k < 3)
        assert witnessed(directory) == max((size for size, some in all_of.items() if len(some) >= 2), default=0)


def test_a_checkpoint_that_was_kept_elsewhere_counts_too(directory: Path, cosigners: list[Cosigner]) -> None:
    note = checkpoint_path(directory).read_text()
    for cosigner in cosigners[:2]:
        note = add_cosignature(note, cosigner.name, cosigner.key, 7)
    assert witnessed(directory, note) == 13


def test_one_witness_does_not_count_twice_and_strangers_not_at_all(
    directory: Path, cosigners: list[Cosigner], tmp_path: Path
) -> None:
    cosign(directory, 13, [cosigners[0], cosigners[0], witness(8, tmp_path)])
    impostor = cosigners[1]._replace(key=witness(9, tmp_path).key)
    cosign(directory, 13, [impostor, cosigners[2]._replace(name="another.name")])
    assert witnessed(directory) == 0


def test_a_line_that_is_not_valid_does_not_count(directory: Path, cosigners: list[Cosigner]) -> None:
    other = add_cosignature(checkpoint_path(directory).read_text(), cosigners[1].name, cosigners[1].key, 7)
    note = cosign(directory, 6, cosigners[:1])
    with Store.open_to_write(directory) as store:
        store.add_checkpoint(6, note + other.splitlines(keepends=True)[-1])
    assert witnessed(directory) == 0


def test_receipts_rest_on_checkpoints_that_count(directory: Path, cosigners: list[Cosigner], tmp_path: Path) -> None:
    operator = public_bytes(with_quorum(cosigners, 2).key)
    with (
        Store.open_to_read(directory) as store,
        pytest.raises(LedgerError, match=r"2 of 3 witnesses.*not yet witnessed"),
    ):
        prove(store, 3, 0)
    cosign(directory, 6, cosigners[:2])
    with Store.open_to_read(directory) as store:
        receipt = prove(store, 3, 0)
        with pytest.raises(LedgerError, match="not yet witnessed"):
            prove(store, 7, 0)
    found = check_receipt(receipt, operator)
    assert isinstance(found, Proven)
    assert found.checkpoint_size == 6
    plain = receipt._replace(checkpoint="".join(receipt.checkpoint.splitlines(keepends=True)[:-1]))
    assert check_receipt(plain, operator) == "expected 2 of 3 witnesses to have cosigned the checkpoint, found 1"
    for parameters in (b"", receipt.parameters[:-72], receipt.parameters + receipt.parameters[:72]):
        stripped = plain._replace(parameters=parameters)
        assert check_receipt(stripped, operator) == "the parameters are not those of the log"


def test_without_a_quorum_nothing_is_asked(tmp_path: Path) -> None:
    report = verify_ledger(written(tmp_path / "run", world(2, 5)))
    assert (report.witnesses, report.quorum, report.witnessed) == (0, 0, 0)


@pytest.mark.parametrize(
    ("parameters", "reason"),
    [
        ({"quorum": 1}, "expected 1 to 32 different keys, got 0"),
        ({"quorum": 0, "witness_0": b"k"}, "point of small order|canonical|1 to 1"),
        ({"quorum": 2, "witness_0": None}, "quorum: expected 1 to 1"),
        ({"quorum": -1, "witness_0": None}, "quorum: expected 1 to 1"),
        ({"witness_0": None}, "quorum: expected 1 to 1"),
        ({"quorum": 1, "witness_1": None}, "numbered from 0"),
        ({"quorum": 1, "witness_0": None, "witness_00": None}, "numbered from 0"),
        ({"quorum": 1, "witness_0": None, "witness_1": None}, "different keys"),
        ({"quorum": 1, "witness_0": bytes(36)}, "small order"),
    ],
)
def test_a_quorum_that_cannot_be_is_found_in_the_first_block(
    parameters: dict[str, bytes | int | None], reason: str, tmp_path: Path
) -> None:
    key = witness(1, tmp_path).verifier_key()
    good = key.public_key + key.key_id()
    made = world(2, 3, parameters={k: good if v is None else v for k, v in parameters.items()})  # type: ignore[misc]
    report = verify_ledger(written(tmp_path / "run", made))
    assert not report.ok
    assert report.height == 0
    assert any(part in report.reason for part in reason.split("|")), report.reason


def test_a_quorum_is_read_back(cosigners: list[Cosigner]) -> None:
    quorum = parse_witnesses([each.verifier_key().text() for each in cosigners], 2)
    parameters = {
        name: value.to_bytes(8, "little") if isinstance(value, int) else value
        for name, value in make_quorum_parameters(quorum).items()
    }
    assert read_quorum({name: value.ljust(40, b"\0") for name, value in parameters.items()}) == quorum
    assert read_quorum({}) is None


def test_lines_of_a_scenario_that_are_no_witnesses_are_refused(cosigners: list[Cosigner]) -> None:
    line = cosigners[0].verifier_key().text()
    log = VerifierKey("a.log", 1, cosigners[0].verifier_key().public_key).text()
    for lines, needed in (([line], 2), ([line, line], 1), ([], 1), (["x"], 1), ([log], 1), ([line], 0)):
        with pytest.raises(LedgerError):
            parse_witnesses(lines, needed)
