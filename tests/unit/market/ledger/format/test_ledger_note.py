"""Signed notes, checkpoints and cosignatures, against published examples."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest

from market.errors import LedgerError
from market.ledger.crypto.keys import public_bytes, write_key_pair
from market.ledger.durable import write_durably
from market.ledger.format.checkpoint import Checkpoint, parse_checkpoint
from market.ledger.format.header import make_demonstration_key
from market.ledger.format.note import (
    COSIGNATURE,
    ED25519,
    VerifierKey,
    add_cosignature,
    open_note,
    parse_verifier_key,
    read_cosignatures,
    read_pinned_key,
    sign_note,
    split_note,
)

# The example of golang.org/x/mod/sumdb/note: a verifier key, and a note that it signed.
PETER = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
TEXT = "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n"
SIGNED = (
    TEXT
    + "\n— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n"
)
# The example of c2sp.org/tlog-cosignature.
COSIGNED = """example.com/behind-the-sofa
20852163
CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=

— example.com/behind-the-sofa \
Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=
— witness.example.com/w1 \
jWbPPwAAAABkGFDLEZMHwSRaJNiIDoe9DYn/zXcrtPHeolMI5OWXEhZCB9dlrDJsX3b2oyin1nPZqhf5nNo0xUe+mbIUBkBIfZ+qnA==
"""

KEY, OTHER = make_demonstration_key(1), make_demonstration_key(2)
LOG = VerifierKey("log.example/a", ED25519, public_bytes(KEY))
CHECKPOINT = Checkpoint("log.example/a", 12, bytes(range(32)))


def test_the_published_note_opens_with_the_published_key() -> None:
    key = parse_verifier_key(PETER)
    assert key.text() == PETER
    assert open_note(SIGNED, key) == TEXT
    for changed in (SIGNED.replace("think", "thank"), SIGNED.replace("x08go/ZJ", "x08go/ZK")):
        with pytest.raises(LedgerError, match="one that is not valid"):
            open_note(changed, key)


def test_the_published_cosigned_checkpoint_is_read() -> None:
    text, signatures = split_note(COSIGNED)
    checkpoint = parse_checkpoint(text)
    assert (checkpoint.origin, checkpoint.size) == ("example.com/behind-the-sofa", 20852163)
    assert checkpoint.text() == text
    assert [name for name, _ in signatures] == ["example.com/behind-the-sofa", "witness.example.com/w1"]
    witness = signatures[1][1]
    assert (len(witness), int.from_bytes(witness[4:12], "big")) == (4 + 8 + 64, 1679315147)


def test_own_notes_open_and_unknown_signatures_are_ignored() -> None:
    note = sign_note(CHECKPOINT.text(), LOG.name, KEY)
    stranger = sign_note(CHECKPOINT.text(), LOG.name, OTHER).split("\n\n")[1]
    assert parse_checkpoint(open_note(note + stranger, LOG)) == CHECKPOINT
    with pytest.raises(LedgerError, match="found none"):
        open_note(sign_note(CHECKPOINT.text(), LOG.name, OTHER), LOG)
    with pytest.raises(LedgerError, match="found none"):
        open_note(sign_note(CHECKPOINT.text(), "log.example/b", KEY), LOG)


def test_a_known_key_with_one_bad_signature_spoils_the_note() -> None:
    note = sign_note(CHECKPOINT.text(), LOG.name, KEY)
    bad = base64.b64encode(LOG.key_id() + bytes(64)).decode()
    with pytest.raises(LedgerError, match="not valid"):
        open_note(f"{note}— {LOG.name} {bad}\n", LOG)


@pytest.mark.parametrize(
    "note",
    [
        "",
        "text\n",
        "text\n\n",
        "text\n\nno dash\n",
        "text\n\n— name\n",
        "text\n\n— na+me AAAAAAAAAA==\n",
        "text\n\n— name not base64!\n",
        "text\n\n— name AAAA\n",
        "te\txt\n\n— name AAAAAAAAAA==\n",
        "text\n\n— name AAAAAAAAAA==",
        "text\n\n" + "— name AAAAAAAAAA==\n" * 65,
    ],
)
def test_what_is_no_signed_note_is_refused(note: str) -> None:
    with pytest.raises(LedgerError, match="checkpoint: expected"):
        split_note(note)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "o\n",
        "o\n1\n",
        "o\n01\nAA==\n",
        "o\n-1\n",
        "\n1\n" + "A" * 43 + "=\n",
        "o\n1\nAAAA\n",
        "o\n٣\n" + "A" * 43 + "=\n",
    ],
)
def test_what_is_no_checkpoint_is_refused(text: str) -> None:
    with pytest.raises(LedgerError, match="checkpoint: expected"):
        parse_checkpoint(text)


def test_cosignatures_count_once_a_witness_and_only_of_known_ones() -> None:
    note = sign_note(CHECKPOINT.text(), LOG.name, KEY)
    one, two = (VerifierKey(f"w{k}.example", COSIGNATURE, public_bytes(make_demonstration_key(k))) for k in (10, 11))
    for name, seed, time in (("w10.example", 10, 100), ("w10.example", 10, 200), ("w11.example", 11, 300)):
        note = add_cosignature(note, name, make_demonstration_key(seed), time)
    assert [c.time for c in read_cosignatures(note, [one, two])] == [200, 300]
    assert [c.name for c in read_cosignatures(note, [two])] == ["w11.example"]
    assert read_cosignatures(note, [one, one._replace(name="w12.example")])[0].name == "w10.example"
    assert open_note(note, LOG) == CHECKPOINT.text()
    tampered = note.replace("\n12\n", "\n13\n")
    with pytest.raises(LedgerError, match=r"cosignature of 'w10\.example' is not valid"):
        read_cosignatures(tampered, [one])


@pytest.mark.parametrize(
    "text",
    [
        "",
        "name",
        "name+00000000+AAAA",
        "name+00000000+—",
        PETER.replace("c74f", "c74e"),
        PETER.replace("+ARpc", "+AhRp"),
    ],
)
def test_what_is_no_verifier_key_is_refused(text: str) -> None:
    with pytest.raises(LedgerError, match="verifier key"):
        parse_verifier_key(text)


def test_a_pinned_key_is_a_pem_file_or_a_line(tmp_path: Path) -> None:
    assert read_pinned_key(write_key_pair(tmp_path / "a.key", KEY)) == (public_bytes(KEY), None)
    (tmp_path / "line").write_text(LOG.text() + "\n")
    assert read_pinned_key(tmp_path / "line") == (public_bytes(KEY), LOG.name)
    with pytest.raises(LedgerError, match="expected a key file"):
        read_pinned_key(tmp_path / "none")


def test_a_file_is_replaced_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "note"
    write_durably(path, "old")

    def fail(_: int) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr("market.ledger.durable.os.fsync", fail)
    with pytest.raises(LedgerError, match="Input/output error"):
        write_durably(path, "new")
    assert path.read_text() == "old"
