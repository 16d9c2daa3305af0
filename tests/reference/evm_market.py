"""The contract Market in a virtual machine in this process; needs pyrevm."""

from __future__ import annotations

import pytest
from contract_market import LENGTH, OPERATOR, ContractMarket, Logs

from market.rules import Rules
from market.state import State

pyrevm = pytest.importorskip("pyrevm", reason="pyrevm: not installed, it has no wheel for this Python")
FIRST_GATE = 1_000_000


class EvmMarket(ContractMarket):
    """A Market in pyrevm, whose clock stands at 0 until somebody sets it."""

    def __init__(self, rules: Rules, state: State, queued: bool = False) -> None:
        self.machine = pyrevm.EVM(spec_id="CANCUN")
        super().__init__(rules, state, FIRST_GATE, queued)

    def deploy(self, content: bytes) -> None:
        self.address = self.machine.deploy(OPERATOR, content)

    def transact(self, sender: str, calldata: bytes) -> Logs:
        self.machine.message_call(sender, self.address, calldata=calldata)
        return [log.data for log in self.machine.result.logs]

    def view(self, calldata: bytes) -> bytes:
        return bytes(self.machine.message_call(OPERATOR, self.address, calldata=calldata))

    def wait_for_gate(self, interval: int) -> None:
        """Set the clock to the time from which an interval takes no orders."""
        self.machine.set_block_env(pyrevm.BlockEnv(timestamp=FIRST_GATE + interval * LENGTH))
