"""JSON-RPC over HTTP to a node of a chain, which may be hostile: answers have a greatest length, a time and a type."""

from __future__ import annotations

import json
import re
from typing import Any
from urllib.parse import urlsplit

from market.errors import ChainError, LedgerError
from market.ledger.durable import shorten
from market.ledger.follow.remote import PATIENCE_S, Remote

LONGEST = 1 << 20
"""Bytes of the longest answer."""

METHOD_UNKNOWN = -32601
"""Code of the error of a node that does not have a method (JSON-RPC 2.0)."""

_QUANTITY = re.compile(r"0x[0-9a-fA-F]{1,64}", re.ASCII)
_BYTES = re.compile(r"0x(?:[0-9a-fA-F]{2})*", re.ASCII)


class NodeError(ChainError):
    """A node does not answer as one does; that says nothing about the chain."""


class RefusedError(ChainError):
    """A node answers with an error.

    Attributes
    ----------
    code, reason, data
        Code and message of the error, and the bytes that a contract refused with, if it was a contract.
    """

    def __init__(self, where: str, code: int, reason: str, data: bytes) -> None:
        super().__init__(f"{where}, refused: {reason} (code {code})")
        self.code, self.reason, self.data = code, reason, data


class Rpc:
    """A node at a URL. Made for one thread.

    Parameters
    ----------
    url
        `http://…` or `https://…`. Its path may be a secret between a user and who runs the node: no message holds it.
    patience_s
        Seconds that an answer may take.

    Raises
    ------
    ChainError
        If it is no such URL.
    """

    def __init__(self, url: str, patience_s: float = PATIENCE_S) -> None:
        self.name = name_node(url)
        try:
            self._remote = Remote(url, patience_s, self.name)
        except LedgerError:
            raise ChainError(_WRONG_URL) from None
        self._asked = 0

    def close(self) -> None:
        """Close the connection."""
        self._remote.close()

    def ask(self, method: str, *parameters: Any) -> Any:
        """Result of a method, whatever JSON it is.

        Raises
        ------
        NodeError
            If the node does not answer in time, or with anything but JSON-RPC.
        RefusedError
            If it answers with an error.
        """
        self._asked += 1
        request = {"jsonrpc": "2.0", "id": self._asked, "method": method, "params": list(parameters)}
        try:
            status, body = self._remote.post("", json.dumps(request).encode(), LONGEST, "application/json")
        except LedgerError as reason:
            what = " ".join(str(reason).split())
            raise NodeError(f"{what}; is it the URL of a node's JSON-RPC?") from None
        where = f"{self.name}, {method}"
        answer = _parse(where, status, body)
        error = answer.get("error")
        if isinstance(error, dict):
            raise _refusal(where, error)
        if status != 200 or error is not None or answer.get("id") != self._asked or "result" not in answer:
            raise NodeError(
                f"{where}: expected a result of request {self._asked}, got status {status} and {_show(body)}"
            )
        return answer["result"]

    def ask_quantity(self, method: str, *parameters: Any) -> int:
        """Result of a method that is a number."""
        return read_quantity(self.ask(method, *parameters), f"{self.name}, {method}")

    def ask_bytes(self, method: str, *parameters: Any) -> bytes:
        """Result of a method that is bytes."""
        return read_bytes(self.ask(method, *parameters), f"{self.name}, {method}")

    def ask_object(self, method: str, *parameters: Any) -> dict[str, Any] | None:
        """Result of a method that is an object, or None if there is none."""
        found = self.ask(method, *parameters)
        if found is not None and not isinstance(found, dict):
            raise NodeError(f"{self.name}, {method}: expected an object, got {shorten(str(found))}")
        return found


_WRONG_URL = (
    "expected the URL of a node, http://host:port/path or https://…, without a name, password or query, got another"
)


def name_node(url: str) -> str:
    """Name of a node in messages: its URL without the path, which may be a secret.

    Raises
    ------
    ChainError
        If it is no URL of a node. The message does not hold it.

    Examples
    --------
    >>> name_node("https://sepolia.example/v3/0123456789abcdef")
    'https://sepolia.example'
    """
    try:
        parts = urlsplit(url)
        wanted = parts.scheme in ("http", "https") and parts.hostname and "@" not in parts.netloc and url.isprintable()
        return f"{parts.scheme}://{parts.netloc}" if wanted else _raise_wrong_url()
    except ValueError:
        return _raise_wrong_url()


def _raise_wrong_url() -> str:
    raise ChainError(_WRONG_URL)


def read_quantity(value: Any, what: str) -> int:
    """A number that a node has answered with.

    Raises
    ------
    NodeError
        If it is none, or has more than 256 bits.

    Examples
    --------
    >>> read_quantity("0x1f", "block")
    31
    """
    if not isinstance(value, str) or not _QUANTITY.fullmatch(value):
        raise NodeError(f"{what}: expected a number such as 0x1f, got {shorten(str(value))}")
    return int(value, 16)


def read_bytes(value: Any, what: str, length: int | None = None) -> bytes:
    """Bytes that a node has answered with; of this length if one is given.

    Raises
    ------
    NodeError
        If they are none.
    """
    found = bytes.fromhex(value[2:]) if isinstance(value, str) and _BYTES.fullmatch(value) else None
    if found is None or length not in (None, len(found)):
        raise NodeError(f"{what}: expected {length or 'some'} bytes in hexadecimal, got {shorten(str(value))}")
    return found


def _parse(where: str, status: int, body: bytes) -> dict[str, Any]:
    try:
        answer = json.loads(body)
    except (ValueError, RecursionError):
        answer = None
    if not isinstance(answer, dict):
        raise NodeError(f"{where}: expected JSON-RPC, got status {status} and {_show(body)}")
    return answer


def _refusal(where: str, error: dict[str, Any]) -> RefusedError:
    code, data = error.get("code"), error.get("data")
    nested = data.get("data") if isinstance(data, dict) else data  # some nodes put it one level deeper
    is_hex = isinstance(nested, str) and _BYTES.fullmatch(nested)
    text = " ".join("".join(c if c.isprintable() else " " for c in str(error.get("message"))[:300]).split())
    found = bytes.fromhex(nested[2:]) if is_hex and isinstance(nested, str) else b""
    return RefusedError(where, code if isinstance(code, int) and abs(code) < 2**31 else 0, text, found)


def _show(body: bytes) -> str:
    return shorten(body[:200].decode("utf-8", "replace"))
