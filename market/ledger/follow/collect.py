"""The operator's side: ask witnesses for cosignatures of a checkpoint (C2SP tlog-witness)."""

from __future__ import annotations

from collections.abc import Sequence
from http import HTTPStatus
from typing import NamedTuple

from market.errors import LedgerError
from market.ledger.check.witness import Prover
from market.ledger.durable import shorten
from market.ledger.follow.cosigning import ADD_CHECKPOINT, write_request
from market.ledger.follow.remote import Answer, Remote
from market.ledger.follow.source import parse_note
from market.ledger.format.note import format_signature, merge_notes, split_note
from market.ledger.format.quorum import Witness, list_cosigners

_LONGEST_ANSWER = 1 << 16


class Collected(NamedTuple):
    """A note with the cosignatures that were given, and what became of every witness that was asked, by URL."""

    note: str
    answers: dict[str, str]


def collect_cosignatures(
    note: str, witnesses: Sequence[Witness], urls: Sequence[str], prove: Prover, patience_s: float = 20.0
) -> Collected:
    """Ask witnesses at URLs to cosign a checkpoint; cosignatures of unknown witnesses are left out.

    Parameters
    ----------
    note
        Signed checkpoint.
    witnesses
        Those whose cosignatures are wanted.
    urls
        Where witnesses are asked, `add-checkpoint` being below each.
    prove
        Consistency proof between two sizes of the log.
    patience_s
        Seconds that an answer may take.

    Raises
    ------
    LedgerError
        If a URL or the note is none.
    """
    text, answers = split_note(note)[0], {}
    for remote in [Remote(url, patience_s) for url in urls]:
        try:
            answer = _ask(remote, note, prove)
            given = _read_cosignatures(text, answer, witnesses)
            note = merge_notes(note, f"{text}\n{given}")
            answers[remote.url] = "cosigned"
        except LedgerError as reason:
            answers[remote.url] = str(reason)
        finally:
            remote.close()
    return Collected(note, answers)


def _ask(remote: Remote, note: str, prove: Prover) -> Answer:
    """Answer of a witness; it says what it cosigned last, if that is not nothing."""
    size = parse_note(note).checkpoint.size
    answer = remote.post(ADD_CHECKPOINT, write_request(0, [], note), _LONGEST_ANSWER)
    digits = answer.body.strip()
    if answer.status == HTTPStatus.CONFLICT and digits.isdigit() and 0 < (old := int(digits[:20])) <= size:
        answer = remote.post(ADD_CHECKPOINT, write_request(old, prove(old, size), note), _LONGEST_ANSWER)
    return answer


def _read_cosignatures(text: str, answer: Answer, witnesses: Sequence[Witness]) -> str:
    """Lines of the valid cosignatures in an answer, by known witnesses alone."""
    said = answer.body.decode("utf-8", "replace")
    if answer.status != HTTPStatus.OK:
        raise LedgerError(f"expected a cosignature, got status {answer.status}: {shorten(said.strip())}")
    found = list_cosigners(f"{text}\n{said}", witnesses)
    if not found:
        raise LedgerError("expected a cosignature of a known witness, got none")
    return "".join(format_signature(*line) for line in found.values())
