"""The witness in a node answers as c2sp.org/tlog-witness says, and operators collect what it gives."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterator
from http import HTTPStatus
from pathlib import Path

import pytest
from ledger_world import append, begin, world
from log_world import Running, forked, grow, node_of, served, with_quorum, witness

from market.ledger.check.witness import RefusedError, make_prover
from market.ledger.crypto.merkle import consistency_proof, root_of_leaf_hashes
from market.ledger.follow.collect import collect_cosignatures
from market.ledger.follow.cosigning import Cosigner, Reply, answer_request, cosign_newest, parse_request, write_request
from market.ledger.follow.node import Node
from market.ledger.follow.rounds import run_round
from market.ledger.format.checkpoint import Checkpoint
from market.ledger.format.header import make_demonstration_key
from market.ledger.format.note import read_cosignatures, sign_note
from market.ledger.format.quorum import count_cosigners, name_witness, read_quorum
from market.ledger.format.records import read_parameters
from market.ledger.read.tiles import read_path
from market.ledger.store.store import Store
from market.ledger.store.tip import decode_records

MADE = world(3, 30, seed=5)


@pytest.fixture
def log(tmp_path: Path) -> Iterator[tuple[Path, str]]:
    """A ledger of 11 blocks and where it is served."""
    with begin(tmp_path / "run", MADE) as ledger:
        append(ledger, MADE, 0, 10)
    with served(tmp_path / "run") as url:
        yield tmp_path / "run", url


def note_of(directory: Path) -> str:
    with Store.open_to_read(directory) as store:
        note = store.last_checkpoint()
    assert note is not None
    return note


def hashes_of(directory: Path) -> list[bytes]:
    with Store.open_to_read(directory) as store:
        return store.hashes()


def ask(node: Node, cosigner: Cosigner, old: int, proof: list[bytes], note: str) -> Reply:
    return answer_request(node, cosigner, write_request(old, proof, note), 1_700_000_000)


def test_the_request_of_the_standard_is_read() -> None:
    lines = [b64encode(bytes([k]) * 32).decode() for k in range(2)]
    note = sign_note(Checkpoint("example.com/log", 9, bytes(32)).text(), "example.com/log", make_demonstration_key(1))
    text = f"old 7\n{lines[0]}\n{lines[1]}\n\n{note}"
    request = parse_request(text.encode())
    assert request is not None
    assert (request.old, request.proof, request.note.text) == (7, [bytes(32), b"\1" * 32], note)
    assert write_request(7, request.proof, note) == text.encode()
    assert write_request(0, [], note) == f"old 0\n\n{note}".encode()


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text.replace("old 7", "old 07"),
        lambda text: text.replace("old 7", "old -7"),
        lambda text: text.replace("old 7", "new 7"),
        lambda text: text.replace("old 7", "old 7 "),
        lambda text: text.replace("old 7", "old " + "9" * 30),
        lambda text: text.replace("AAA=", "AA"),
        lambda text: text.replace("old 7\n", "old 7\n" + "AA==\n"),
        lambda text: text.replace("old 7\n", "old 7\n" + (b64encode(bytes(32)).decode() + "\n") * 63),
        lambda text: text.partition("\n\n")[0],
        lambda text: text[:-5],
        lambda text: "",
    ],
)
def test_what_is_no_request_gets_400(change, log: tuple[Path, str], tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    text = write_request(7, [bytes(32)], note_of(log[0])).decode()
    with node_of(log[1], tmp_path / "copy") as node:
        reply = answer_request(node, witness(1, tmp_path), change(text).encode(), 0)
    assert reply.status == HTTPStatus.BAD_REQUEST


def test_a_witness_cosigns_step_by_step_as_the_standard_says(log: tuple[Path, str], tmp_path: Path) -> None:
    directory, url = log
    cosigner, key = witness(1, tmp_path), witness(1, tmp_path).verifier_key()
    with node_of(url, tmp_path / "copy") as node:
        first = note_of(directory)
        reply = ask(node, cosigner, 0, [], first)
        assert (reply.status, node.size) == (HTTPStatus.OK, 11)
        cosigned = first + reply.content.decode()
        assert [found.time for found in read_cosignatures(cosigned, [key])] == [1_700_000_000]
        assert len(read_cosignatures(note_of(tmp_path / "copy"), [key])) == 1

        grow(directory, MADE, 10, 20)
        second, hashes = note_of(directory), hashes_of(directory)
        reply = ask(node, cosigner, 0, [], second)
        assert (reply.status, reply.content_type, reply.content) == (409, "text/x.tlog.size", b"11\n")
        assert ask(node, cosigner, 22, [], second).status == HTTPStatus.BAD_REQUEST
        assert ask(node, cosigner, 11, [], second).status == HTTPStatus.UNPROCESSABLE_ENTITY
        proof = consistency_proof(hashes, 11)
        assert ask(node, cosigner, 11, [*proof[:-1], bytes(32)], second).status == HTTPStatus.UNPROCESSABLE_ENTITY
        assert ask(node, cosigner, 11, proof, second).status == HTTPStatus.OK
        assert ask(node, cosigner, 21, [], second).status == HTTPStatus.OK  # the same again
        assert ask(node, cosigner, 21, [bytes(32)], second).status == HTTPStatus.UNPROCESSABLE_ENTITY


def test_a_new_witness_takes_no_proof(log: tuple[Path, str], tmp_path: Path) -> None:
    with node_of(log[1], tmp_path / "copy") as node:
        reply = ask(node, witness(1, tmp_path), 0, [bytes(32)], note_of(log[0]))
    assert reply.status == HTTPStatus.UNPROCESSABLE_ENTITY


def test_other_logs_and_other_signers_are_refused(log: tuple[Path, str], tmp_path: Path) -> None:
    text, root = note_of(log[0]), root_of_leaf_hashes(hashes_of(log[0]))
    origin, stranger = text.split("\n")[0], make_demonstration_key(66)
    with node_of(log[1], tmp_path / "copy") as node:
        node.catch_up()
        other = sign_note(Checkpoint("gridsettle/other", 11, root).text(), "gridsettle/other", MADE.key)
        assert ask(node, witness(1, tmp_path), 0, [], other).status == HTTPStatus.NOT_FOUND
        forged = sign_note(Checkpoint(origin, 11, root).text(), origin, stranger)
        assert ask(node, witness(1, tmp_path), 0, [], forged).status == HTTPStatus.FORBIDDEN
    assert not (tmp_path / "1.seen").exists()


def test_a_tree_that_is_not_that_of_the_verified_blocks_is_not_cosigned(log: tuple[Path, str], tmp_path: Path) -> None:
    origin = note_of(log[0]).split("\n")[0]
    wrong = sign_note(Checkpoint(origin, 11, bytes(32)).text(), origin, MADE.key)
    beyond = sign_note(Checkpoint(origin, 99, bytes(32)).text(), origin, MADE.key)
    with node_of(log[1], tmp_path / "copy") as node:
        assert ask(node, witness(1, tmp_path), 0, [], wrong).status == HTTPStatus.UNPROCESSABLE_ENTITY
        assert ask(node, witness(1, tmp_path), 0, [], beyond).status == HTTPStatus.SERVICE_UNAVAILABLE
    assert not (tmp_path / "1.seen").exists()


def test_a_fork_is_never_cosigned_even_by_a_node_that_forgot(tmp_path: Path) -> None:
    forked(tmp_path / "one", tmp_path / "other", 10)
    cosigner = witness(1, tmp_path)
    with served(tmp_path / "one") as url, node_of(url, tmp_path / "copy") as node:
        assert run_round(node, cosigner).cosigned
        assert cosign_newest(node, cosigner, 0) is None  # once is enough
    with served(tmp_path / "other") as url, node_of(url, tmp_path / "anew") as node, pytest.raises(RefusedError):
        run_round(node, cosigner)


# -- a quorum, from the first block to the receipt --------------------------------------------------------------------


def test_an_operator_collects_cosignatures(tmp_path: Path) -> None:
    cosigners = [witness(k, tmp_path) for k in range(3)]
    made = with_quorum(cosigners, 2)
    with begin(tmp_path / "run", made) as ledger:
        append(ledger, made, 0, 5)
    with served(tmp_path / "run") as url:
        nodes = [Running(url, cosigner, tmp_path / f"copy{k}") for k, cosigner in enumerate(cosigners[:2])]
        urls = [*(node.address for node in nodes), "http://127.0.0.1:9"]
        for stop in (5, 8, 12):
            if stop > 5:
                grow(tmp_path / "run", made, {8: 5, 12: 8}[stop], stop)
            with Store.open_to_write(tmp_path / "run") as store:
                quorum = read_quorum(read_parameters(decode_records(store.block(0).records)))
                assert quorum is not None
                note = store.last_checkpoint()
                assert note is not None
                assert read_path(store, "checkpoint.witnessed") != note.encode()
                found = collect_cosignatures(note, quorum.witnesses, urls, make_prover(store), 5.0)
                assert list(found.answers.values())[:2] == ["cosigned", "cosigned"]
                assert "9/add-checkpoint" in found.answers["http://127.0.0.1:9"]
                assert count_cosigners(found.note, quorum) == 2
                store.add_checkpoint(stop + 1, found.note)
                assert read_path(store, "checkpoint.witnessed") == found.note.encode()
        for node in nodes:
            node.stop()


def test_cosignatures_of_strangers_are_not_collected(log: tuple[Path, str], tmp_path: Path) -> None:
    node = Running(log[1], witness(1, tmp_path), tmp_path / "copy")
    with Store.open_to_read(log[0]) as store:
        known = [name_witness(witness(2, tmp_path).verifier_key())]
        found = collect_cosignatures(note_of(log[0]), known, [node.address], make_prover(store), 5.0)
    node.stop()
    assert found.note == note_of(log[0])
    assert "known witness" in found.answers[node.address]
