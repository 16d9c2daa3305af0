"""The compiled contracts are those of the sources; CI compiles them again and compares every byte."""

from __future__ import annotations

import json
import re
from hashlib import sha256
from pathlib import Path

import pytest

from market.contract.abi import (
    decode,
    decode_event,
    describe_revert,
    encode_call,
    encode_deployment,
    hash_signature,
    parse_arguments,
)
from market.contract.artifacts import list_artifacts, read_artifact
from market.errors import ChainError

ROOT = Path(__file__).parents[4] / "market/contract"
ANCHOR = read_artifact("Anchor")


def sources_of(name: str) -> set[str]:
    """A source and all that it imports."""
    text = (ROOT / "solidity" / name).read_text(encoding="utf-8")
    found = re.findall(r'^import .*"\./(.+?)";$', text, re.MULTILINE)
    return {name}.union(*(sources_of(other) for other in found))


@pytest.mark.parametrize("name", list_artifacts())
def test_what_is_compiled_is_of_these_sources(name: str) -> None:
    digest = sha256()
    for source in sorted(sources_of(f"{name}.sol")):
        digest.update((ROOT / "solidity" / source).read_bytes())
    compiled = json.loads((ROOT / "compiled" / f"{name}.json").read_text(encoding="utf-8"))
    assert compiled["sha256_of_source"] == digest.hexdigest(), "run node market/contract/solidity/compile.mjs"


def test_a_deployment_is_the_code_and_its_arguments() -> None:
    assert encode_deployment(ANCHOR, [b"\7" * 32]) == ANCHOR.bytecode + b"\7" * 32


@pytest.mark.parametrize("arguments", [[], [1], [b"\1" * 33, 2], ["x"]])
def test_arguments_that_do_not_fit_are_told(arguments: list[object]) -> None:
    with pytest.raises(ChainError, match=r"arguments of constructor: expected \(bytes32\)"):
        encode_deployment(ANCHOR, arguments)


def test_a_function_that_is_not_there_is_told() -> None:
    with pytest.raises(ChainError, match="Anchor: expected a function nothing of 0 arguments"):
        encode_call(ANCHOR, "nothing")


def test_an_answer_of_something_else_is_told() -> None:
    with pytest.raises(ChainError, match=r"expected \(uint64, bytes32\), got 3 bytes of something else"):
        decode(["uint64", "bytes32"], b"abc", "answer")


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "without a reason"),
        (bytes.fromhex("08c379a0") + bytes([*[0] * 31, 32, *[0] * 31, 4]) + b"no\x1b!" + bytes(28), "no?!"),
        (bytes.fromhex("4e487b71") + bytes(31) + b"\x11", "panic 0x11"),
        (bytes.fromhex("12345678"), "error 0x12345678"),
        (encode_call(ANCHOR, "rootOf", [3]), "error 0x"),
    ],
)
def test_reasons_of_refusals(data: bytes, said: str) -> None:
    assert describe_revert(ANCHOR, data).startswith(said)


def test_events_are_read_by_their_names() -> None:
    named = bytes.fromhex("00" * 31 + "07")
    entry = next(each for each in ANCHOR.abi if each["type"] == "event" and each["name"] == "Anchored")
    assert [each["name"] for each in entry["inputs"]] == ["size", "root"]
    topics = [hash_signature(entry), named]
    assert decode_event(ANCHOR, "Anchored", topics, b"\2" * 32) == {"size": 7, "root": b"\2" * 32}
    assert decode_event(ANCHOR, "Anchored", topics[:1], b"\2" * 32) is None
    assert decode_event(ANCHOR, "Named", topics, b"\2" * 32) is None


def test_arguments_are_read_from_text() -> None:
    assert parse_arguments(ANCHOR, ["0x" + "07" * 32]) == [b"\7" * 32]
    for texts in ([], ["1", "2"], ["zz"]):
        with pytest.raises(ChainError, match="expected"):
            parse_arguments(ANCHOR, texts)
