"""Lines of a portfolio's feeders: their spelling, their order, and what is no line."""

from __future__ import annotations

import json

import pytest
from naive_heads import root

from market.errors import LedgerError
from market.ledger.format.heads import (
    FeederHead,
    HeadProof,
    format_heads,
    make_checkpoint,
    make_origin,
    parse_heads,
    parse_line,
    parse_proof,
)

A, B, C = FeederHead("a", b"\1" * 32, 25), FeederHead("b ä", None, 0), FeederHead("c", b"\3" * 32, 1)
TEXT = f"{'01' * 32} 25 a\nfailed 0 b ä\n{'03' * 32} 1 c\n"


def test_lines_are_sorted_and_read_back() -> None:
    assert format_heads([C, A, B]) == TEXT
    assert parse_heads(TEXT) == [A, B, C]


def test_root_is_that_of_rfc_6962_and_the_origin_is_of_the_digest() -> None:
    origin = make_origin(b"d" * 32)
    found = make_checkpoint(origin, [A, B, C])
    assert found.size == 3
    assert found.root == root([line.encode() for line in TEXT.splitlines()])
    assert origin != make_origin(b"e" * 32)
    assert origin.startswith("gridsettle-portfolio/")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "got none"),
        (TEXT[:-1], "cut off"),
        (TEXT + TEXT.splitlines()[2] + "\n", "every name once"),
        ("".join(line + "\n" for line in reversed(TEXT.splitlines())), "sorted by name"),
    ],
)
def test_files_that_are_none(text: str, message: str) -> None:
    with pytest.raises(LedgerError, match=message):
        parse_heads(text)


@pytest.mark.parametrize(
    "line",
    [
        "",
        "a",
        f"{'01' * 32} 25",
        f"{'01' * 32} 25 ",
        f"{'01' * 31} 25 a",
        f"{'0A' * 32} 25 a",
        f"{'01' * 32} 025 a",
        f"{'01' * 32} +25 a",
        f"{'01' * 32} 0 a",
        f"{'01' * 32} {2**63} a",
        f"{'01' * 32} {'9' * 5000} a",
        f"{'01' * 32} 2_5 a",
        f"{'01' * 32}  25 a",
        "failed 1 a",
        "Failed 0 a",
        "failed 0  a",
        "failed 0 a ",
        "failed 0 a\x00b",
        "failed 0 a\tb",
        "failed 0 a\x85b",
        "failed 0 a\u2028b",
        "failed 0 " + 201 * "a",
    ],
)
def test_lines_that_are_none(line: str) -> None:
    with pytest.raises(LedgerError, match="expected a line 'head blocks feeder'"):
        parse_line(line)


@pytest.mark.parametrize("names", [["a", "a"], [""], ["a\nb"], ["\ud800"], []])
def test_names_that_cannot_stand_there_are_not_written(names: list[str]) -> None:
    with pytest.raises(LedgerError, match="expected"):
        format_heads([FeederHead(name, None, 0) for name in names])


def test_proofs_are_read_back_and_others_refused() -> None:
    proof = HeadProof(A, 0, (b"\5" * 32,), "note")
    assert parse_proof(proof.text()) == proof
    fields = json.loads(proof.text())
    changes = (
        {"format": "other"},
        {"leaf": 5},
        {"index": True},
        {"index": -1},
        {"path": ["00"]},
        {"path": ["00" * 32] * 65},
        {"path": "zz"},
        {"checkpoint": None},
        {"more": 1},
        {"leaf": "x"},
    )
    for change in changes:
        with pytest.raises(LedgerError, match="expected"):
            parse_proof(json.dumps(fields | change))
    for text in ("", "[]", "{}", "[" * 100_000):
        with pytest.raises(LedgerError, match="proof: expected"):
            parse_proof(text)
