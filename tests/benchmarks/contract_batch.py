"""The contracts Batch and Escrow: gas, and equality with Python for a whole year.

Run `python tests/benchmarks/contract_batch.py` with `--year` for the 8,760 hours of the scenario `rural` by each
mechanism, every third of them curtailed, and with `--gas` or `--gas-escrow` for gas on an anvil (needs
GRIDSETTLE_EVM_TOOLS). Prints Markdown for docs/contract.md; nothing here asserts a time.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1] / "reference"))
sys.path.insert(0, str(Path(__file__).parents[2]))

from chain_world import running_anvil
from eth_account import Account
from evm_batch import BATCH, OPERATOR, EvmBatch, bring, deliver_some, delivered_of
from rural_houses import FIRST_OF_JULY, MECHANISMS, N_HOURS, rural_market, with_houses

from cosim.delivery.window import InputSeries, make_orders_at
from market.contract.abi import encode_call, encode_deployment
from market.contract.artifacts import Artifact, read_artifact
from market.contract.batch import (
    ALL_DELIVERED,
    Carried,
    pack_interval,
    pack_orders,
    pack_ratings,
    pack_rules,
    pack_state,
)
from market.contract.escrow import Clock
from market.contract.rpc import Rpc
from market.contract.signing import Place, sign_order
from market.mechanisms import clear
from market.settlement import deliver_all, settle

OPTIONS = ("--auto-impersonate", "--base-fee", "0", "--gas-price", "0", "--hardfork", "cancun")
ESCROW = read_artifact("Escrow")
LENGTH = 86_400
KEYS = [(1000 + house).to_bytes(32, "big") for house in range(100)]


def compare_year() -> None:
    """Every exchange, the price and the head of all state equal in every hour; raises where one is not."""
    print("| mechanism | hours | of them curtailed | exchanges | lots at most | seconds |\n|---|" + "---:|" * 5)
    for name in MECHANISMS:
        supply, state, rules = rural_market(name)
        rng, contract = np.random.default_rng(1), EvmBatch(rules, state)
        n_curtailed = n_rows = n_lots = 0
        begin = time.perf_counter()
        for t in range(supply.utility_ueur_per_kwh.size):
            orders, before = make_orders_at(supply, t, t, state, rules)
            rows = clear(orders, before, rules).rows
            delivery, off = (
                deliver_some(orders, before, rows, rng)
                if t % 3 == 0
                else (deliver_all(rows, orders.need_wh.size), False)
            )
            settlement = settle(delivery, orders, before, rules)
            delivered = delivered_of(orders, settlement, off)
            bring(contract, state, orders, settlement, delivered)
            state = settlement.state
            n_curtailed += any(delivered.verdict)
            n_rows, n_lots = n_rows + settlement.rows.size, max(n_lots, state.lots.lot.size)
        seconds = time.perf_counter() - begin
        print(f"| `{name}` | {t + 1:,} | {n_curtailed:,} | {n_rows:,} | {n_lots} | {seconds:.0f} |", flush=True)


class Anvil:
    """Sends transactions in anybody's name; `gas` is what the last one used."""

    def __init__(self, url: str) -> None:
        self.rpc, self.gas = Rpc(url), 0

    def close(self) -> None:
        self.rpc.close()

    def send(self, to: str | None, data: bytes, sender: str = OPERATOR, value: int = 0) -> dict[str, Any]:
        fields = {"from": sender, "data": "0x" + data.hex(), "gas": hex(29_000_000), "value": hex(value)}
        fields |= {} if to is None else {"to": to}
        digest = self.rpc.ask("eth_sendTransaction", fields | {"maxFeePerGas": "0x0", "maxPriorityFeePerGas": "0x0"})
        while (receipt := self.rpc.ask_object("eth_getTransactionReceipt", digest)) is None:
            time.sleep(0.005)
        if receipt["status"] != "0x1":
            raise RuntimeError(f"refused: {receipt}")
        self.gas = int(receipt["gasUsed"], 16)
        return receipt

    def deploy(self, contract: Artifact, arguments: Sequence[Any]) -> str:
        return str(self.send(None, encode_deployment(contract, arguments))["contractAddress"])


def measure_batch(anvil: Anvil, name: str, n: int, *, signed: bool = False, curtailed: bool = False) -> str:
    """Gas of two days of July of n houses."""
    supply, state, rules = rural_market(name)
    supply, state = with_houses(
        InputSeries(*(c[FIRST_OF_JULY : FIRST_OF_JULY + N_HOURS] for c in supply[:4])), state, n
    )
    members = [Account.from_key(key).address for key in KEYS[:n]]
    arguments = (pack_rules(rules), signed, members, pack_ratings(state.ratings), tuple(pack_state(state, 0)))
    address = anvil.deploy(BATCH, arguments)
    deployed, gas, sizes, lots, rng = anvil.gas, [], [], [], np.random.default_rng(1)
    for t in range(N_HOURS):
        orders, before = make_orders_at(supply, t, t, state, rules)
        rows = clear(orders, before, rules).rows
        delivery, off = deliver_some(orders, before, rows, rng) if curtailed else (deliver_all(rows, n), False)
        settlement = settle(delivery, orders, before, rules)
        delivered = delivered_of(orders, settlement, off) if curtailed else ALL_DELIVERED
        numbers = [t + 1] * n if signed else None
        carried = pack_state(state, t, [t] * n if signed else None)
        call = encode_interval(
            address, carried, pack_orders(orders, numbers), orders.utility_ueur_per_kwh, delivered, t
        )
        anvil.send(address, call[signed])
        gas.append(anvil.gas)
        sizes.append(len(call[signed]))
        lots.append(state.lots.lot.size)
        state = settlement.state
    numbers = (n, deployed, np.mean(gas), max(gas), np.mean(sizes), max(lots))
    what = f"`{name}`" + ", signed" * signed + ", curtailed" * curtailed
    return f"| {what} | " + " | ".join(f"{each:,.0f}" for each in numbers) + " |"


def encode_interval(
    address: str, carried: Carried, orders: tuple[int, ...], utility: int, delivered: Any, t: int
) -> dict[bool, bytes]:
    """Calls of `clear`, and of `clearSigned` where orders have numbers."""
    interval = pack_interval(carried, orders, utility, delivered)
    calls = {False: encode_call(BATCH, "clear", (interval,))}
    if orders[0] >> 200:
        places = [Place(31337, address, t, int(utility), house) for house in range(len(orders))]
        signatures = [sign_order(*each) for each in zip(KEYS, places, orders, strict=False)]
        calls[True] = encode_call(BATCH, "clearSigned", (interval, signatures))
    return calls


def measure_escrow(anvil: Anvil, n: int) -> str:
    """Gas of an escrow in ether of n members: deployment, a deposit, a period, an announcement, a withdrawal, a period
    in which a member is not covered."""
    members = [f"0x{0xA000 + house:040x}" for house in range(n)]
    begin = read_time(anvil) + 60
    address = anvil.deploy(ESCROW, ("0x" + "0" * 40, Clock(0, begin, LENGTH, 3 * LENGTH), members))
    numbers = [n, anvil.gas]
    anvil.rpc.ask("anvil_setBalance", OPERATOR, hex(10**30))
    for house in range(n):
        anvil.send(address, encode_call(ESCROW, "deposit", (house, 10**18)), value=10**18)
    numbers.append(anvil.gas)
    rng = np.random.default_rng(1)
    for period in range(2):
        positions = rng.integers(-(10**15), 10**15, n)
        positions[-1] -= positions.sum()
        settle_at_end(anvil, address, begin, period, positions.tolist())
    numbers.append(anvil.gas)
    anvil.send(address, encode_call(ESCROW, "announce", (10**15,)), sender=members[0])
    numbers.append(anvil.gas)
    settle_at_end(anvil, address, begin, 2, [0] * n)
    anvil.send(address, encode_call(ESCROW, "withdraw"), sender=members[0])
    numbers.append(anvil.gas)
    positions[0] -= 2 * 10**18  # twice the deposit
    positions[1:] += 2 * 10**18 // (n - 1)
    positions[-1] -= positions.sum()
    settle_at_end(anvil, address, begin, 3, positions.tolist())
    numbers.append(anvil.gas)
    return "| " + " | ".join(f"{each:,.0f}" for each in numbers) + " |"


def read_time(anvil: Anvil) -> int:
    block = anvil.rpc.ask_object("eth_getBlockByNumber", "latest", False)
    assert block is not None, "a node without a block"
    return int(block["timestamp"], 16)


def settle_at_end(anvil: Anvil, address: str, begin: int, period: int, positions: list[int]) -> None:
    """The operator settles a period when it is over, covered or not."""
    anvil.rpc.ask("evm_setNextBlockTimestamp", hex(begin + (period + 1) * LENGTH))
    anvil.send(address, encode_call(ESCROW, "settle", (period, bytes(range(32)), positions, 2**256 - 1)))


def print_escrow_gas() -> None:
    columns = ("members", "deployment", "a deposit", "a period", "an announcement", "a withdrawal", "not covered")
    print("| " + " | ".join(columns) + " |\n" + "|---:" * len(columns) + "|")
    for n in (8, 28, 53, 103):
        # A node each: the time of one is moved on
        with ExitStack() as stack:
            folder = stack.enter_context(tempfile.TemporaryDirectory())
            node = stack.enter_context(running_anvil(Path(folder), *OPTIONS))
            anvil = stack.enter_context(closing(Anvil(node.url)))
            print(measure_escrow(anvil, n), flush=True)


def print_batch_gas() -> None:
    """Gas by mechanism for 25 houses, then by number of houses."""
    runs: list[tuple[str, int, dict[str, bool]]] = [(name, 25, {}) for name in MECHANISMS]
    runs += [("sharing_p2p", 25, {"signed": True}), ("sharing_p2p", 25, {"curtailed": True})]
    runs += [("sharing_p2p", n, {"signed": s}) for n in (5, 10, 50, 100) for s in (False, True)]
    print(
        "| mechanism | houses | deployment | an hour, mean | largest | bytes of the call | lots |\n|---|" + "---:|" * 6
    )
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        node = stack.enter_context(running_anvil(Path(folder), *OPTIONS))
        with closing(Anvil(node.url)) as anvil:
            for name, n, options in runs:
                print(measure_batch(anvil, name, n, **options), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--year", action="store_true")
    parser.add_argument("--gas", action="store_true", help="both contracts' gas")
    parser.add_argument("--gas-escrow", action="store_true", help="Escrow's gas alone")
    chosen = parser.parse_args()
    print(f"Batch: {len(BATCH.runtime):,} bytes, Escrow: {len(ESCROW.runtime):,} bytes\n")
    if chosen.gas:
        print_batch_gas()
    if chosen.gas or chosen.gas_escrow:
        print_escrow_gas()
    if chosen.year:
        compare_year()


if __name__ == "__main__":
    main()
