"""The contract Market on an anvil, through JSON-RPC; anvil sends in everybody's name."""

from __future__ import annotations

import random
from collections.abc import Sequence
from time import monotonic, sleep
from typing import Any

from contract_market import OPERATOR, ContractMarket, Logs

from market.contract.rpc import Rpc
from market.rules import Rules
from market.state import State

OPTIONS = ("--auto-impersonate", "--base-fee", "0", "--gas-price", "0", "--hardfork", "cancun", "--order", "fifo")
"""Options of anvil; nobody needs ether."""

FREE = {"maxFeePerGas": "0x0", "maxPriorityFeePerGas": "0x0"}

FAR = 1 << 40
"""A first gate that no clock of a test reaches."""


class AnvilMarket(ContractMarket):
    """A Market on a chain. Orders of an interval come as they like, all of them into one block.

    `gas` is what the last transactions used, in the order in which they were sent.
    """

    def __init__(self, url: str, rules: Rules, state: State) -> None:
        self.rpc, self.gas, self.address = Rpc(url), [0], ""
        self.random = random.Random(1)
        super().__init__(rules, state, FAR)

    def close(self) -> None:
        self.rpc.close()

    def deploy(self, content: bytes) -> None:
        self.address = self._send({"from": OPERATOR, "data": "0x" + content.hex()})["contractAddress"]

    def transact(self, sender: str, calldata: bytes) -> Logs:
        receipt = self._send({"from": sender, "to": self.address, "data": "0x" + calldata.hex()})
        return [([_bytes(topic) for topic in log["topics"]], _bytes(log["data"])) for log in receipt["logs"]]

    def transact_all(self, sent: Sequence[tuple[str, bytes]]) -> None:
        self.rpc.ask("evm_setAutomine", False)
        mixed = self.random.sample(list(sent), len(sent))
        common = {"to": self.address, "gas": hex(500_000), **FREE}
        digests = []
        for who, what in mixed:
            digests.append(self.rpc.ask("eth_sendTransaction", {"from": who, "data": "0x" + what.hex(), **common}))
        self.rpc.ask("evm_mine")
        self.rpc.ask("evm_setAutomine", True)
        receipts = [self._receipt(digest) for digest in digests]
        assert len({receipt["blockNumber"] for receipt in receipts}) == 1
        self.gas = [int(receipt["gasUsed"], 16) for receipt in receipts]

    def view(self, calldata: bytes) -> bytes:
        return self.rpc.ask_bytes("eth_call", {"to": self.address, "data": "0x" + calldata.hex()}, "latest")

    def _send(self, fields: dict[str, Any]) -> dict[str, Any]:
        receipt = self._receipt(self.rpc.ask("eth_sendTransaction", {**fields, "gas": hex(29_000_000), **FREE}))
        self.gas = [int(receipt["gasUsed"], 16)]
        return receipt

    def _receipt(self, digest: str) -> dict[str, Any]:
        """Receipt of a transaction; anvil mines behind its answer."""
        end = monotonic() + 30
        while (receipt := self.rpc.ask_object("eth_getTransactionReceipt", digest)) is None and monotonic() < end:
            sleep(0.002)
        assert receipt is not None, "not mined"
        assert receipt["status"] == "0x1", receipt
        return receipt


def _bytes(text: str) -> bytes:
    return bytes.fromhex(text[2:])
