"""Laws of a portfolio's heads: every leaf proves, and any byte that is changed is found, by both verifiers."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from naive_heads import WrongHeadsError, verify_heads, verify_proof

from cosim.portfolio.heads import make_demonstration_portfolio_key, sign_heads
from market.ledger.check.heads import Heads, find_wrong_head, find_wrong_heads, prove_head
from market.ledger.crypto.keys import public_bytes
from market.ledger.format.heads import FeederHead, is_feeder_name, parse_heads, parse_proof
from market.ledger.format.note import split_note

KEY = public_bytes(make_demonstration_portfolio_key())
NAMES = st.text(min_size=1, max_size=12).filter(is_feeder_name)
HEADS = st.dictionaries(
    NAMES, st.none() | st.tuples(st.binary(min_size=32, max_size=32), st.integers(1, 9000)), min_size=1
)


def list_heads(drawn: dict[str, tuple[bytes, int] | None]) -> list[FeederHead]:
    return [FeederHead(name, None, 0) if head is None else FeederHead(name, *head) for name, head in drawn.items()]


@settings(max_examples=30, deadline=None)
@given(HEADS)
def test_every_leaf_proves_to_both_verifiers(drawn: dict[str, tuple[bytes, int] | None]) -> None:
    heads = list_heads(drawn)
    signed = sign_heads(heads, b"d" * 32)
    found = Heads(tuple(parse_heads(signed.lines)), signed.note)
    naive = verify_heads(signed.lines.encode(), signed.note.encode(), KEY)
    assert find_wrong_heads(found, KEY) == ""
    assert naive == {head.feeder: ((head.head or b"").hex(), head.n_blocks) for head in heads}
    for head in heads:
        proof = prove_head(found, head.feeder)
        assert proof is not None
        assert parse_proof(proof.text()) == proof
        wrong = find_wrong_head(proof, head, KEY)
        assert wrong == "" if head.head is not None else "failed" in wrong
        assert verify_proof(proof.text(), KEY)[1:] == (head.feeder, head.n_blocks)
        for other in (head._replace(n_blocks=head.n_blocks + 1), head._replace(head=b"\7" * 32)):
            assert find_wrong_head(proof, other, KEY)


def find_wrong(lines: bytes, note: bytes) -> bool:
    try:
        return bool(find_wrong_heads(Heads(tuple(parse_heads(lines.decode())), note.decode()), KEY))
    except ValueError:  # a LedgerError is one
        return True


def find_wrong_naively(lines: bytes, note: bytes) -> bool:
    try:
        verify_heads(lines, note, KEY)
    except (WrongHeadsError, ValueError):
        return True
    return False


def is_the_same(before: bytes, after: bytes) -> bool:
    """Whether the bytes are, or those of a signature, whose base64 has four spellings of its last digit."""
    try:
        return before == after or split_note(before.decode()) == split_note(after.decode())
    except ValueError:
        return False


@pytest.mark.slow
@settings(max_examples=400, deadline=None)
@given(HEADS, st.data())
def test_any_byte_that_is_changed_is_found(drawn: dict[str, tuple[bytes, int] | None], data: st.DataObject) -> None:
    signed = sign_heads(list_heads(drawn), b"d" * 32)
    files = [signed.lines.encode(), signed.note.encode()]
    chosen = data.draw(st.integers(0, 1))
    content = bytearray(files[chosen])
    at = data.draw(st.integers(0, len(content) - 1))
    what = data.draw(st.sampled_from(["change", "leave out", "put in", "cut off"]))
    if what == "change":
        content[at] ^= data.draw(st.integers(1, 255))
    elif what == "leave out":
        del content[at]
    elif what == "put in":
        content.insert(at, data.draw(st.integers(0, 255)))
    else:
        del content[at:]
    if is_the_same(files[chosen], bytes(content)):
        return
    files[chosen] = bytes(content)
    assert find_wrong(*files)
    assert find_wrong_naively(*files)


@settings(max_examples=40, deadline=None)
@given(HEADS, st.data())
def test_lines_that_are_moved_doubled_or_taken_are_found(
    drawn: dict[str, tuple[bytes, int] | None], data: st.DataObject
) -> None:
    signed = sign_heads(list_heads(drawn), b"d" * 32)
    lines = signed.lines.split("\n")[:-1]
    changed, at = list(lines), data.draw(st.integers(0, len(lines) - 1))
    what = data.draw(st.sampled_from(["double", "leave out", "move"]))
    if what == "double":
        changed.insert(at, changed[at])
    elif what == "leave out":
        del changed[at]
    else:
        changed = data.draw(st.permutations(changed))
    if changed == lines:
        return
    files = "".join(f"{line}\n" for line in changed).encode(), signed.note.encode()
    assert find_wrong(*files)
    assert find_wrong_naively(*files)
