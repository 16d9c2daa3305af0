"""The contracts as they are deployed: ABI and bytecode, compiled from `solidity/` and shipped with the package."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any


@dataclass(frozen=True)
class Artifact:
    """A contract that can be deployed.

    Parameters
    ----------
    name
        As in the sources: `Anchor`.
    abi
        Its functions, errors and events, as the compiler tells them.
    bytecode
        What is sent to a chain before the constructor's arguments.
    runtime
        What stands on a chain then; zeros where immutable values are put in.
    immutables
        shape (k, 2): begin and length of those places, bytes.
    """

    name: str
    abi: tuple[dict[str, Any], ...]
    bytecode: bytes
    runtime: bytes
    immutables: tuple[tuple[int, int], ...]


@cache
def list_artifacts() -> tuple[str, ...]:
    """Names of the contracts that can be deployed, in order.

    Examples
    --------
    >>> "Anchor" in list_artifacts()
    True
    """
    names = (file.name for file in (files("market.contract") / "compiled").iterdir())
    return tuple(sorted(name.removesuffix(".json") for name in names if name.endswith(".json")))


@cache
def read_artifact(name: str) -> Artifact:
    """Read a contract of the package.

    Parameters
    ----------
    name
        One of `list_artifacts()`.

    Examples
    --------
    >>> read_artifact("Anchor").bytecode[:1].hex()
    '60'
    """
    text = (files("market.contract") / "compiled" / f"{name}.json").read_text(encoding="utf-8")
    stored = json.loads(text)
    bytecode, runtime = (bytes.fromhex(stored[key].removeprefix("0x")) for key in ("bytecode", "runtime"))
    places = tuple((start, length) for start, length in stored["immutables"])
    return Artifact(name, tuple(stored["abi"]), bytecode, runtime, places)


def is_code_of(artifact: Artifact, code: bytes) -> bool:
    """Whether the code at an address is this contract's, whatever its immutable values are."""
    masked = bytearray(code)
    for start, length in artifact.immutables:
        masked[start : start + length] = bytes(min(length, max(len(code) - start, 0)))
    return bytes(masked) == artifact.runtime
