"""Calls, answers, events and errors of a contract as bytes (Solidity's ABI); needs the extra `evm`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from market.contract.artifacts import Artifact
from market.contract.extra import import_extra
from market.errors import ChainError

Entry = dict[str, Any]
_ERROR, _PANIC = bytes.fromhex("08c379a0"), bytes.fromhex("4e487b71")
"""Selectors of `Error(string)` and `Panic(uint256)`, which the compiler makes itself."""


def encode_call(contract: Artifact, name: str, arguments: Sequence[Any] = ()) -> bytes:
    """Encode a call of a function of a contract.

    Parameters
    ----------
    contract
        Whose function it is.
    name
        The function's name; of several with that name, the one with this number of arguments.
    arguments
        Integers, bytes, bools, addresses (`0x…`), sequences of them; a tuple for a struct.

    Raises
    ------
    ChainError
        If an argument does not fit its type, or the extra is missing.
    """
    entry = find_entry(contract, "function", name, len(arguments))
    return select(entry) + _encode(_types(entry["inputs"]), arguments, name)


def encode_deployment(contract: Artifact, arguments: Sequence[Any] = ()) -> bytes:
    """Bytecode of a contract, then the arguments of its constructor."""
    inputs = [entry["inputs"] for entry in contract.abi if entry["type"] == "constructor"]
    return contract.bytecode + _encode(_types(inputs[0] if inputs else []), arguments, "constructor")


def decode_result(contract: Artifact, name: str, answer: bytes, n_arguments: int | None = None) -> tuple[Any, ...]:
    """Decode what a function returned.

    Raises
    ------
    ChainError
        If the answer is not of these types: another contract, or none, has answered.
    """
    entry = find_entry(contract, "function", name, n_arguments)
    return decode(_types(entry["outputs"]), answer, f"answer of {contract.name}.{name}")


def decode(types: Sequence[str], content: bytes, what: str) -> tuple[Any, ...]:
    """Decode values of these types.

    Raises
    ------
    ChainError
        If the content is not of these types.
    """
    try:
        return tuple(import_extra("eth_abi").decode(list(types), content))
    except ChainError:
        raise
    except Exception as reason:  # the library's errors have no common base; all say that it is something else
        raise ChainError(
            f"{what}: expected ({', '.join(types)}), got {len(content)} bytes of something else"
        ) from reason


def decode_event(contract: Artifact, name: str, topics: Sequence[bytes], content: bytes) -> dict[str, Any] | None:
    """Values of an event by their names, or None where it is another event.

    Parameters
    ----------
    contract, name
        Whose event it is, and its name.
    topics
        shape (n,): the log's topics.
    content
        The log's data.
    """
    entry = find_entry(contract, "event", name)
    indexed = [each for each in entry["inputs"] if each["indexed"]]
    if len(topics) != 1 + len(indexed) or topics[0] != hash_signature(entry):
        return None
    plain = [each for each in entry["inputs"] if not each["indexed"]]
    values = dict(zip((each["name"] for each in plain), decode(_types(plain), content, name), strict=True))
    for each, topic in zip(indexed, topics[1:], strict=True):
        values[each["name"]] = decode(_types([each]), topic, name)[0]
    return values


def describe_revert(contract: Artifact | None, content: bytes) -> str:
    """Say why a call was refused, from the data that it was refused with.

    Examples
    --------
    >>> describe_revert(None, b"")
    'without a reason'
    """
    if not content:
        return "without a reason"
    if content[:4] in (_ERROR, _PANIC):
        kind = "string" if content[:4] == _ERROR else "uint256"
        (value,) = decode([kind], content[4:], "reason")
        return "".join(c if c.isprintable() else "?" for c in value[:200]) if kind == "string" else f"panic {value:#x}"
    for entry in contract.abi if contract else ():
        if entry["type"] == "error" and select(entry) == content[:4]:
            return _spell(entry, decode(_types(entry["inputs"]), content[4:], entry["name"]))
    return f"error 0x{content[:4].hex()}"


def find_entry(contract: Artifact, kind: str, name: str, n_arguments: int | None = None) -> Entry:
    """Find a function, event or error of a contract in its ABI."""
    for entry in contract.abi:
        if entry["type"] == kind and entry["name"] == name and n_arguments in (None, len(entry["inputs"])):
            return entry
    raise ChainError(f"{contract.name}: expected a {kind} {name} of {n_arguments} arguments, found none")


def hash_signature(entry: Entry) -> bytes:
    """Keccak-256 of `name(types)`: the first topic of an event; its first 4 bytes select a function or an error."""
    signature = f"{entry['name']}({','.join(_types(entry['inputs']))})"
    return bytes(import_extra("eth_utils").keccak(text=signature))


def select(entry: Entry) -> bytes:
    """The 4 bytes that select a function or an error."""
    return hash_signature(entry)[:4]


def parse_arguments(contract: Artifact, texts: Sequence[str]) -> list[Any]:
    """Arguments of a constructor from text: integers, addresses, bytes in hexadecimal, true or false, strings.

    Raises
    ------
    ChainError
        If their number or one of them does not fit.
    """
    inputs: list[Entry] = next((entry["inputs"] for entry in contract.abi if entry["type"] == "constructor"), [])
    if len(texts) != len(inputs):
        wanted = ", ".join(f"{each['name'].strip('_')} ({_type(each)})" for each in inputs) or "none"
        raise ChainError(f"{contract.name}: expected arguments {wanted}, got {len(texts)}")
    return [_parse(_type(each), text) for each, text in zip(inputs, texts, strict=True)]


def _parse(kind: str, text: str) -> Any:
    try:
        if kind.startswith(("uint", "int")) and kind[-1] != "]":
            return int(text, 0)
        if kind.startswith("bytes") and kind[-1] != "]":
            return bytes.fromhex(text.removeprefix("0x"))
        if kind == "bool":
            return {"true": True, "false": False}[text]
        if kind in ("address", "string"):
            return text
    except (ValueError, KeyError):
        pass
    raise ChainError(f"argument: expected a value of type {kind}, got {text[:80]!r}")


def _types(inputs: Sequence[Entry]) -> list[str]:
    return [_type(each) for each in inputs]


def _type(each: Entry) -> str:
    kind: str = each["type"]
    return f"({','.join(_types(each['components']))}){kind.removeprefix('tuple')}" if kind.startswith("tuple") else kind


def _encode(types: Sequence[str], arguments: Sequence[Any], what: str) -> bytes:
    try:
        return bytes(import_extra("eth_abi").encode(list(types), list(arguments)))
    except ChainError:
        raise
    except Exception as reason:  # the library's errors have no common base; all say that an argument does not fit
        raise ChainError(f"arguments of {what}: expected ({', '.join(types)}): {str(reason)[:200]}") from reason


def _spell(entry: Entry, values: Sequence[Any]) -> str:
    words = (f"0x{value.hex()}" if isinstance(value, bytes) else str(value) for value in values)
    return f"{entry['name']}({', '.join(words)})"
