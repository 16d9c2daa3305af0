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
    sha256_of_source
        Digest of the sources that it was compiled from.
    """

    name: str
    abi: tuple[dict[str, Any], ...]
    bytecode: bytes
    sha256_of_source: str


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
    bytecode = bytes.fromhex(stored["bytecode"].removeprefix("0x"))
    return Artifact(name, tuple(stored["abi"]), bytecode, stored["sha256_of_source"])
