"""Chains for tests: a node in this process whose contracts run in revm, and anvil where its tools are."""

from __future__ import annotations

import json
import os
import socket
import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import RLock, Thread
from time import monotonic, sleep
from typing import Any

import pytest
from ledger_world import append, begin, world

from market.contract.accounts import Account
from market.contract.anchoring import Anchorer, deploy
from market.contract.anchors import Anchor
from market.contract.artifacts import read_artifact
from market.contract.chain import open_chain
from market.contract.extra import import_extra
from market.contract.outbox import FILE
from market.contract.sender import Pace, Sender, SlowError

KEY = bytes.fromhex("ac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80")
"""Key of the first account of every anvil: everybody knows it."""
OTHER_KEY = bytes.fromhex("59c6995e998f97a5a0044966f0945389dc9e86dae88c7a8412f4603b6b78690d")
TOOLS = os.environ.get("GRIDSETTLE_EVM_TOOLS", "")
NO_TOOLS = "GRIDSETTLE_EVM_TOOLS: no folder node_modules with anvil, forge and solc; see CONTRIBUTING.md"
needs_tools = pytest.mark.skipif(not TOOLS, reason=NO_TOOLS)
CHAIN_ID = 31337
MADE = world(3, 60, seed=5)
"""What a short ledger is made of."""


class FaultError(Exception):
    """An error that a node answers with."""

    def __init__(self, code: int, message: str, data: str | None = None) -> None:
        super().__init__(message)
        self.code, self.message, self.data = code, message, data


class FakeNode:
    """A chain of few blocks; its state is that of all transactions carried out again.

    `mine` makes a block of what waits; `faults` are raised once by the next calls of a method; `deaf` ones keep no
    transaction that they are sent.
    """

    def __init__(self, chain_id: int = CHAIN_ID, base_fee: int | None = 10**9) -> None:
        self.revm = pytest.importorskip("pyrevm", reason="pyrevm: not installed, it has no wheel for this Python")
        self.chain_id, self.base_fee, self.coins = chain_id, base_fee, 10**18
        self.blocks: list[list[dict[str, Any]]] = [[]]
        self.salts = [0]
        self.pool: list[dict[str, Any]] = []
        self.faults: dict[str, list[FaultError]] = {}
        self.sent: list[dict[str, Any]] = []
        self.deaf = False
        self.most_blocks_of_logs = 1 << 60
        self.automine = True
        self.asked: list[str] = []
        self._states: dict[str, Any] = {}
        self._lock = RLock()

    def handle(self, method: str, params: list[Any]) -> Any:
        with self._lock:
            self.asked.append(method)
            if self.faults.get(method):
                raise self.faults[method].pop(0)
            if not hasattr(self, method):
                raise FaultError(-32601, "the method does not exist")
            return getattr(self, method)(*params)

    def mine(self, n: int = 1) -> None:
        with self._lock:
            for _ in range(n):
                self._mine_one()

    def _mine_one(self) -> None:
        """The dearest transaction of each number, in their order."""
        block: list[dict[str, Any]] = []
        counts: dict[str, int] = {}
        for tx in sorted(self.pool, key=lambda each: (each["nonce"], -each["price"])):
            next_nonce = counts.get(tx["from"], self._count(tx["from"], len(self.blocks) - 1))
            if tx["nonce"] == next_nonce:
                block.append(tx)
                counts[tx["from"]] = next_nonce + 1
        self.blocks.append(block)
        self.salts.append(0)
        mined = {(tx["from"], tx["nonce"]) for tx in block}
        self.pool = [tx for tx in self.pool if (tx["from"], tx["nonce"]) not in mined]

    def reorganise(self, depth: int, *, lose: bool = False) -> None:
        """Other blocks in place of the last ones; their transactions wait again, or are lost."""
        with self._lock:
            gone = [tx for block in self.blocks[-depth:] for tx in block]
            self.blocks[-depth:] = [[] for _ in range(depth)]
            self.salts[-depth:] = [salt + 1 for salt in self.salts[-depth:]]
            self.pool += [] if lose else gone

    def _hash(self, number: int) -> str:
        content = json.dumps([number, self.salts[: number + 1], [tx["hash"] for tx in self.blocks[number]]])
        return "0x" + sha256(content.encode()).hexdigest()

    def _run(self, number: int) -> Any:
        """State after a block, and results by transaction."""
        key = self._hash(number) + json.dumps([[tx["hash"] for tx in b] for b in self.blocks[: number + 1]])
        if key not in self._states:
            self._states[key] = self._replay(number)
        return self._states[key]

    def _replay(self, number: int) -> Any:
        evm, results = self.revm.EVM(spec_id="CANCUN"), {}
        for block in self.blocks[: number + 1]:
            for tx in block:
                results[tx["hash"]] = self._carry_out(evm, tx)
        return evm, results

    def _carry_out(self, evm: Any, tx: dict[str, Any]) -> dict[str, Any]:
        evm.set_balance(tx["from"], 10**20)
        created = None
        try:
            if tx["to"] is None:
                created = evm.deploy(tx["from"], tx["data"])
            else:
                evm.message_call(tx["from"], tx["to"], calldata=tx["data"])
            return {"status": "0x1", "contractAddress": created, "logs": [_show_log(log) for log in evm.result.logs]}
        except RuntimeError:
            return {"status": "0x0", "contractAddress": None, "logs": []}

    def _count(self, address: str, number: int) -> int:
        return sum(tx["from"] == address for block in self.blocks[: number + 1] for tx in block)

    def _number(self, tag: str) -> int:
        if tag in ("latest", "pending"):
            return len(self.blocks) - 1
        if int(tag, 16) >= len(self.blocks):
            raise FaultError(-32000, "header not found")
        return int(tag, 16)

    # The methods of JSON-RPC, by their names.

    def eth_chainId(self) -> str:
        return hex(self.chain_id)

    def eth_gasPrice(self) -> str:
        return hex(3 * 10**9)

    def eth_maxPriorityFeePerGas(self) -> str:
        return hex(10**9)

    def eth_getBalance(self, address: str, tag: str) -> str:
        return hex(self.coins)

    def eth_getTransactionCount(self, address: str, tag: str) -> str:
        count = self._count(address.lower(), self._number(tag))
        if tag == "pending":
            while any((tx["from"], tx["nonce"]) == (address.lower(), count) for tx in self.pool):
                count += 1
        return hex(count)

    def eth_getBlockByNumber(self, tag: str, full: bool) -> dict[str, Any] | None:
        try:
            number = self._number(tag)
        except FaultError:
            return None
        fee = {} if self.base_fee is None else {"baseFeePerGas": hex(self.base_fee)}
        return {"number": hex(number), "hash": self._hash(number), **fee}

    def eth_getCode(self, address: str, tag: str) -> str:
        code = self._run(self._number(tag))[0].get_code(address)
        return "0x" + bytes(code or b"").rstrip(b"\0").hex() if code else "0x"

    def eth_call(self, fields: dict[str, Any], tag: str) -> str:
        return "0x" + self._try(self._number(tag), fields).hex()

    def _try(self, number: int, fields: dict[str, Any]) -> bytes:
        """What a call returns; it is carried out on a state of its own if it may change it."""
        caller, data = fields.get("from"), bytes.fromhex(fields["data"][2:])
        evm = (self._run(number) if caller is None else self._replay(number))[0]
        caller = caller or "0x" + "11" * 20
        evm.set_balance(caller, 10**20)
        try:
            if "to" not in fields:
                evm.deploy(caller, data)
                return b""
            return bytes(evm.message_call(caller, fields["to"], calldata=data))
        except RuntimeError as reason:
            found = str(reason).partition("0x")[2].split('"')[0].split(",")[0].split(" ")[0].strip(")}")
            raise FaultError(3, "execution reverted", f"0x{found}" if found else None) from None

    def eth_estimateGas(self, fields: dict[str, Any]) -> str:
        self._try(len(self.blocks) - 1, fields)
        return hex(900_000)

    def eth_sendRawTransaction(self, raw: str) -> str:
        tx = decode_raw(bytes.fromhex(raw[2:]))
        self.sent.append(tx)
        known = {each["hash"] for each in [*self.pool, *(t for block in self.blocks for t in block)]}
        if tx["hash"] in known:
            raise FaultError(-32000, "already known")
        if tx["nonce"] < self._count(tx["from"], len(self.blocks) - 1):
            raise FaultError(-32000, "nonce too low")
        rivals = [each for each in self.pool if (each["from"], each["nonce"]) == (tx["from"], tx["nonce"])]
        if any(10 * tx["price"] < 11 * each["price"] for each in rivals):
            raise FaultError(-32000, "replacement transaction underpriced")
        if not self.deaf:
            self.pool = [each for each in self.pool if each not in rivals] + [tx]
            if self.automine:
                self.mine()
        return str(tx["hash"])

    def eth_getTransactionByHash(self, digest: str) -> dict[str, Any] | None:
        known = [*self.pool, *(tx for block in self.blocks for tx in block)]
        found = next((tx for tx in known if tx["hash"] == digest), None)
        return None if found is None else {"hash": digest, "to": found["to"], "input": "0x" + found["data"].hex()}

    def eth_getLogs(self, wanted: dict[str, Any]) -> list[dict[str, Any]]:
        first, last = (int(wanted[key], 16) for key in ("fromBlock", "toBlock"))
        if last - first >= self.most_blocks_of_logs:
            raise FaultError(-32005, "query returned more than it may")
        results = self._run(self._number(hex(last)))[1]
        hashes = [tx["hash"] for block in self.blocks[first : last + 1] for tx in block]
        return [
            {"transactionHash": each, **log} for each in hashes for log in results[each]["logs"] if _fits(log, wanted)
        ]

    def eth_getTransactionReceipt(self, digest: str) -> dict[str, Any] | None:
        for number, block in enumerate(self.blocks):
            if any(tx["hash"] == digest for tx in block):
                result = self._run(number)[1][digest]
                where = {"blockNumber": hex(number), "blockHash": self._hash(number)}
                return {"transactionHash": digest, "gasUsed": "0x5208", **where, **result}
        return None


def _show_log(log: Any) -> dict[str, Any]:
    return {"address": log.address.lower(), "topics": [str(topic) for topic in log.topics]}


def _fits(log: dict[str, Any], wanted: dict[str, Any]) -> bool:
    """Whether an event is of this contract, and has in each place one of these topics."""
    pairs = zip(wanted["topics"], log["topics"], strict=False)
    return log["address"] == wanted["address"].lower() and all(topic in asked for asked, topic in pairs)


def decode_raw(raw: bytes) -> dict[str, Any]:
    """A signed transaction as a node sees it."""
    import rlp
    from eth_account import Account as Accounts
    from eth_utils import keccak

    sender = Accounts.recover_transaction(raw).lower()
    if raw[0] == 2:
        fields = rlp.decode(raw[1:])
        nonce, price, gas, to, data = fields[1], fields[3], fields[4], fields[5], fields[7]
    else:
        nonce, price, gas, to, _, data = rlp.decode(raw)[:6]
    return {
        "hash": "0x" + keccak(raw).hex(),
        "from": sender,
        "nonce": int.from_bytes(nonce, "big"),
        "price": int.from_bytes(price, "big"),
        "gas": int.from_bytes(gas, "big"),
        "to": "0x" + to.hex() if to else None,
        "data": data,
        "kind": raw[0] if raw[0] < 128 else 0,
    }


@contextmanager
def served_node(node: FakeNode) -> Iterator[str]:
    """URL of a node."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            answer = {"jsonrpc": "2.0", "id": asked["id"]}
            try:
                answer["result"] = node.handle(asked["method"], asked["params"])
            except FaultError as fault:
                error: dict[str, Any] = {"code": fault.code, "message": fault.message}
                answer["error"] = error if fault.data is None else {**error, "data": fault.data}
            content = json.dumps(answer).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)
            self.wfile.flush()

        def log_message(self, format: str, *args: object) -> None:
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True
        block_on_close = False

    with Server(("127.0.0.1", 0), Handler) as server:
        Handler.disable_nagle_algorithm = True
        Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


class Clock:
    """Time that passes only where somebody sleeps; a block is made then, if there is a node for it."""

    def __init__(self, node: FakeNode | None = None, then: Callable[[int], None] = lambda n: None) -> None:
        self.node, self.time, self.slept, self.then = node, 0.0, 0, then

    def now(self) -> float:
        return self.time

    def sleep(self, seconds: float) -> None:
        self.time += seconds
        self.slept += 1
        self.then(self.slept)
        if self.node is not None:
            self.node.mine()

    def pace(self, confirmations: int = 1, replace_after_s: float = 30.0, patience_s: float = 60.0) -> Pace:
        return Pace(confirmations, 1.0, 1.0, replace_after_s, patience_s, self.now, self.sleep)


@contextmanager
def sender_at(url: str, clock: Clock, key: bytes = KEY, **pace: Any) -> Iterator[Sender]:
    with open_chain(url) as chain:
        yield Sender(chain, Account(key), clock.pace(**pace))


def deployed(url: str, clock: Clock, log: bytes = bytes(32), key: bytes = KEY) -> str:
    """Address of a new contract of anchors."""
    with sender_at(url, clock, key) as sender:
        return deploy(sender, read_artifact("Anchor"), [log])[0].address


@contextmanager
def anchorer_at(url: str, address: str, clock: Clock, **pace: Any) -> Iterator[Anchorer]:
    with sender_at(url, clock, **pace) as sender:
        yield Anchorer(sender, address)


def seeded(url: str, clock: Clock, slots: dict[int, int]) -> str:
    """Address of a contract of anchors with the genuine code, whose maker wrote its storage beforehand."""
    with sender_at(url, clock) as sender:
        made = sender.settle(sender.prepare(None, seeding_code(slots), None, "it")).created
    assert made is not None
    return made


def seeding_code(slots: dict[int, int], topics: Sequence[Sequence[int]] = ()) -> bytes:
    """Code that makes a contract: it writes storage and events, and then returns the genuine code of anchors.

    Whoever makes a contract runs code of their own; what that returns is the contract's.
    """
    artifact, operator = read_artifact("Anchor"), Account(KEY).address
    runtime = bytearray(artifact.runtime)
    for start, length in artifact.immutables:
        runtime[start : start + length] = bytes.fromhex(operator[2:]).rjust(length, b"\0")
    stores = b"".join(_push(value) + _push(slot) + b"\x55" for slot, value in slots.items())
    for event in topics:  # memory is zero, so their data is a root of zeros
        stores += b"".join(map(_push, reversed(event))) + b"\x60\x20\x5f" + bytes([0xA0 + len(event)])
    start = len(stores) + 13
    copy = b"\x61" + len(runtime).to_bytes(2, "big") + b"\x80\x61" + start.to_bytes(2, "big") + b"\x5f\x39\x5f\xf3"
    return (stores + copy).ljust(start, b"\0") + bytes(runtime)


def factory_code(made: bytes) -> bytes:
    """Code that makes a contract which, when it is called with whatever, makes a contract with the code `made`."""
    size, here = len(made).to_bytes(2, "big"), 15
    runtime = b"\x61" + size + b"\x60" + bytes([here]) + b"\x5f\x39\x61" + size + b"\x5f\x5f\xf0\x50\x00"
    runtime = runtime.ljust(here, b"\0") + made
    copy = b"\x61" + len(runtime).to_bytes(2, "big") + b"\x80\x60\x0a\x5f\x39\x5f\xf3"
    return copy.ljust(10, b"\0") + runtime


def _push(word: int) -> bytes:
    return b"\x7f" + word.to_bytes(32, "big")


def seed(log: bytes, listed: Sequence[Anchor], hidden: Sequence[Anchor] = ()) -> dict[int, int]:
    """Storage of a contract of anchors that lists these, and has roots of others too (Solidity's layout)."""
    keccak = import_extra("eth_utils").keccak
    slots = {0: int.from_bytes(log, "big"), 2: len(listed)}
    for anchor in (*listed, *hidden):
        slot = keccak(anchor.size.to_bytes(32, "big") + (1).to_bytes(32, "big"))
        slots[int.from_bytes(slot, "big")] = int.from_bytes(anchor.root, "big")
    first = int.from_bytes(keccak((2).to_bytes(32, "big")), "big")
    for number, anchor in enumerate(listed):  # four to a slot
        slots[first + number // 4] = slots.get(first + number // 4, 0) | anchor.size << 64 * (number % 4)
    return slots


def leave_waiting(directory: Path, url: str, node: FakeNode, address: str) -> dict[str, Any]:
    """What waits in a ledger's outbox, once a round found no block for it."""
    node.automine = False
    with anchorer_at(url, address, Clock(), patience_s=3) as anchorer, pytest.raises(SlowError):
        anchorer.run_round(directory)
    content = json.loads((directory / FILE).read_text())
    return dict(content[f"{node.chain_id}:{address}"]["waiting"])


def make_ledger(directory: Path) -> Path:
    """A ledger of 21 blocks, which `MADE` goes on with."""
    with begin(directory, MADE) as ledger:
        append(ledger, MADE, 0, 20)
    return directory


def key_file(folder: Path, key: bytes = KEY, name: str = "account.key") -> Path:
    path = folder / name
    path.touch(mode=0o600)
    path.write_text(f"0x{key.hex()}\n")
    return path


def find_tool(name: str) -> str:
    """Program of the tools."""
    return str(next(Path(TOOLS).glob(f"@foundry-rs/{name}-*/bin/{name}*")))


class Anvil:
    """A running anvil; its chain is kept in a file while it is away."""

    def __init__(self, folder: Path, *options: str) -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        self.state, self.options = folder / "anvil-state.json", options
        self.url = f"http://127.0.0.1:{self.port}"
        self.start()

    def start(self) -> None:
        keep = ("--state", str(self.state))
        command = [find_tool("anvil"), "--port", str(self.port), "--silent", *keep, *self.options]
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        end = monotonic() + 60
        while monotonic() < end:
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                return
            except OSError:
                sleep(0.05)
        raise RuntimeError("anvil does not start")

    def stop(self) -> None:
        self.process.terminate()  # it writes its state
        self.process.wait(30)


@contextmanager
def running_anvil(folder: Path, *options: str) -> Iterator[Anvil]:
    anvil = Anvil(folder, *options)
    try:
        yield anvil
    finally:
        anvil.stop()
