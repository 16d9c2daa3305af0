"""JSON-RPC with a node that may be hostile: one message, soon, without the URL's path; no values of wrong types."""

from __future__ import annotations

import json
import re
import socket
from collections.abc import Callable
from time import monotonic, sleep
from typing import Any

import pytest
from log_world import answering

from market.contract.chain import Chain, open_chain
from market.contract.rpc import NodeError, RefusedError, Rpc, name_node, read_bytes, read_quantity
from market.errors import ChainError

SECRET = "/v3/0123456789abcdef-secret"
OK = b"HTTP/1.1 200 OK\r\n"


def says(content: bytes, status: bytes = OK) -> Callable[[socket.socket, bytes], None]:
    """A node that answers every request with this body."""

    def answer(connection: socket.socket, request: bytes) -> None:
        connection.sendall(status + b"Content-Length: %d\r\n\r\n" % len(content) + content)

    return answer


def endless(begin: bytes, part: bytes) -> Callable[[socket.socket, bytes], None]:
    def answer(connection: socket.socket, request: bytes) -> None:
        connection.sendall(begin)
        while True:
            connection.sendall(part)

    return answer


def dripping(begin: bytes) -> Callable[[socket.socket, bytes], None]:
    """A node that sends a byte now and then, for ever: none is late."""

    def answer(connection: socket.socket, request: bytes) -> None:
        connection.sendall(begin)
        while True:
            connection.sendall(b" ")
            sleep(0.02)

    return answer


def silent(connection: socket.socket, request: bytes) -> None:
    """A node that never answers."""


def result(value: Any, **more: Any) -> bytes:
    return json.dumps({"jsonrpc": "2.0", "id": 1, "result": value, **more}).encode()


NODES: dict[str, Callable[[socket.socket, bytes], None]] = {
    "silence": silent,
    "a body without end": endless(OK + b"\r\n", b" " * 65536),
    "a body that drips": dripping(OK + b"Content-Length: 100000\r\n\r\n"),
    "a body that drips without end": dripping(OK + b"\r\n"),
    "headers that drip": dripping(OK + b"X-Header:"),
    "headers without end": endless(OK, b"X-Header: y\r\n"),
    "more than it may": says(b" " * (1 << 21)),
    "no HTTP": says(b"", b"SSH-2.0-OpenSSH\r\n"),
    "garbage": says(bytes(range(256))),
    "no JSON": says(b"<html>hello</html>"),
    "nested JSON": says(b"[" * 500_000),
    "a list": says(b"[]"),
    "null": says(b"null"),
    "nothing": says(b"{}"),
    "another id": says(json.dumps({"jsonrpc": "2.0", "id": 7, "result": "0x1"}).encode()),
    "a number": says(result(31337)),
    "a decimal number": says(result("31337")),
    "an empty number": says(result("0x")),
    "a huge number": says(result("0x" + "f" * 65)),
    "a negative number": says(result("-0x1")),
    "digits of another script": says(result("0x١")),
    "a list of numbers": says(result(["0x1"])),
    "no result": says(result(None)),
    "an error that is text": says(b'{"jsonrpc": "2.0", "id": 1, "error": "no"}'),
    "500": says(b"no", b"HTTP/1.1 500 Oh\r\n"),
    "500 with a result": says(result("0x1"), b"HTTP/1.1 500 Oh\r\n"),
    "a redirect": says(b"", b"HTTP/1.1 302 F\r\nLocation: file:///etc/passwd\r\n"),
    "a redirect elsewhere": says(b"", b"HTTP/1.1 307 F\r\nLocation: http://127.0.0.1:1/\r\n"),
}


@pytest.mark.parametrize("name", NODES)
def test_whatever_a_node_does_one_message_comes_soon_and_keeps_the_path_secret(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("market.ledger.follow.remote.SLOWEST", 10_000_000)
    begin = monotonic()
    with answering(NODES[name]) as url, pytest.raises(NodeError) as found:
        open_chain(url + SECRET, patience_s=0.5)
    assert monotonic() - begin < 15
    assert "\n" not in str(found.value)
    assert url in str(found.value)
    assert "secret" not in str(found.value)
    assert len(str(found.value)) < 500


@pytest.mark.parametrize("name", [name for name in NODES if "drip" in name])
def test_an_answer_that_drips_is_told_as_one_that_takes_too_long(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """And what has come by then, cut off, is not taken for the answer."""
    monkeypatch.setattr("market.ledger.follow.remote.SLOWEST", 10_000_000)
    with (
        answering(NODES[name]) as url,
        pytest.raises(NodeError, match=r"expected an answer within 0 s, got: ") as found,
    ):
        open_chain(url, patience_s=0.2)
    assert "JSON-RPC, got status" not in str(found.value)


def test_nobody_listens() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with pytest.raises(NodeError, match=rf"http://127\.0\.0\.1:{port}: expected an answer .* is it the URL"):
        open_chain(f"http://127.0.0.1:{port}{SECRET}")


def test_the_path_is_asked_for_as_it_was_given() -> None:
    seen: list[bytes] = []

    def answer(connection: socket.socket, request: bytes) -> None:
        if not request.startswith(b"POST"):
            return  # the body of a request comes by itself, now and then
        seen.append(request)
        says(result("0x7a69"))(connection, request)

    with answering(answer) as url:
        for path in (SECRET, "", "/"):
            with open_chain(url + path) as chain:
                assert chain.chain_id == 31337
    assert [request.split(b" ")[:2] for request in seen] == [
        [b"POST", SECRET.encode()],
        [b"POST", b"/"],
        [b"POST", b"/"],
    ]
    assert b"Content-Type: application/json" in seen[0]


@pytest.mark.parametrize(
    "url",
    [
        "http://user:pass-word@host:8545",
        "ftp://host/pass-word",
        "host:8545/pass-word",
        "http://host/?key=pass-word",
        "http://host/#pass-word",
        "http://host:99999/pass-word",
        "http://[pass-word",
        "http://host/pass word",
        "http:///pass-word",
        "",
    ],
)
def test_what_is_no_url_of_a_node_is_refused_and_not_repeated(url: str) -> None:
    with pytest.raises(ChainError, match="expected the URL of a node") as found:
        Rpc(url)
    assert "pass" not in str(found.value).replace("password", "")


def test_a_node_of_another_chain_is_refused() -> None:
    with (
        answering(says(result("0x1"))) as url,
        pytest.raises(ChainError, match=r"expected a node of chain 31337 \(--chain-id\), got one of chain 1"),
    ):
        open_chain(url, 31337)


@pytest.mark.parametrize(
    ("error", "code", "reason", "data"),
    [
        ({"code": 3, "message": "execution reverted", "data": "0x0102"}, 3, "execution reverted", b"\1\2"),
        ({"code": -32000, "message": "x", "data": {"data": "0x0102"}}, -32000, "x", b"\1\2"),
        ({"code": "many", "message": "a\x1b[31mb\nc" + "d" * 5000, "data": "0x1"}, 0, "a [31mb c", b""),
        ({"code": 10**400, "message": None, "data": ["0x01"]}, 0, "None", b""),
        ({}, 0, "None", b""),
    ],
)
def test_errors_are_told_with_code_reason_and_data(error: dict[str, Any], code: int, reason: str, data: bytes) -> None:
    content = json.dumps({"jsonrpc": "2.0", "id": 1, "error": error}).encode()
    with answering(says(content)) as url, Chain(Rpc(url), 1) as chain, pytest.raises(RefusedError) as found:
        chain.rpc.ask("eth_call")
    assert (found.value.code, found.value.data) == (code, data)
    assert found.value.reason.startswith(reason)
    assert len(str(found.value)) < 500
    assert str(found.value).isprintable()


HASH = "0x" + "ab" * 32


@pytest.mark.parametrize(
    ("method", "arguments", "answer"),
    [
        ("block", (), None),
        ("block", (), []),
        ("block", (), {"number": "0x1", "hash": "0x12"}),
        ("block", (), {"number": 1, "hash": HASH}),
        ("block", (), {"number": hex(1 << 63), "hash": HASH}),
        ("transaction", (b"\xab" * 32,), {"to": "0x12", "input": "0x"}),
        ("transaction", (b"\xab" * 32,), {"to": None}),
        ("block", (), {"number": "0x1", "hash": HASH, "baseFeePerGas": "much"}),
        ("receipt", (b"\xab" * 32,), {"transactionHash": "0x" + "cd" * 32, "blockHash": HASH}),
        (
            "receipt",
            (b"\xab" * 32,),
            {"transactionHash": HASH, "blockHash": HASH, "blockNumber": "0x1", "status": True},
        ),
        (
            "receipt",
            (b"\xab" * 32,),
            {
                "transactionHash": HASH,
                "blockHash": HASH,
                "blockNumber": "0x1",
                "status": "0x1",
                "gasUsed": "0x1",
                "contractAddress": "0x12",
            },
        ),
        ("receipt", (b"\xab" * 32,), "0x1"),
        ("knows", (b"\xab" * 32,), "yes"),
        ("nonce", ("0x",), None),
        ("balance", ("0x",), {}),
        ("code", ("0x",), "0x123"),
        ("code", ("0x",), "60"),
        ("call", ({},), None),
        ("send", (b"",), HASH[:-2]),
        ("gas_price", (), "cheap"),
        ("tip", (), 5),
        ("estimate_gas", ({},), "0x" + "1" * 70),
    ],
)
def test_answers_of_wrong_types_are_refused(method: str, arguments: tuple[Any, ...], answer: Any) -> None:
    with answering(says(result(answer))) as url, Chain(Rpc(url), 1) as chain, pytest.raises(NodeError):
        getattr(chain, method)(*arguments)


def test_a_node_without_a_method_for_tips_gets_one_gwei() -> None:
    content = b'{"jsonrpc": "2.0", "id": 1, "error": {"code": -32601, "message": "no such method"}}'
    with answering(says(content)) as url, Chain(Rpc(url), 1) as chain:
        assert chain.tip() == 10**9
    content = b'{"jsonrpc": "2.0", "id": 1, "error": {"code": -32000, "message": "busy"}}'
    with answering(says(content)) as url, Chain(Rpc(url), 1) as chain, pytest.raises(RefusedError, match="busy"):
        chain.tip()


def test_a_name_is_scheme_host_and_port() -> None:
    assert name_node("https://node.example:8545/v3/SECRET") == "https://node.example:8545"
    assert (read_quantity("0x0", "n"), read_bytes("0x", "b"), read_bytes("0x0a", "b", 1)) == (0, b"", b"\n")
    with pytest.raises(NodeError, match=re.escape("b: expected 2 bytes in hexadecimal, got '0x0a'")):
        read_bytes("0x0a", "b", 2)
