"""The contracts on a chain: gas, and equality with Python for a whole year; `python tests/benchmarks/contract.py`.

Options: `--year` runs the 8,760 hours of the scenario `rural` by each mechanism, `--gas` prints gas on an anvil (needs
GRIDSETTLE_EVM_TOOLS). Prints Markdown for docs/contract.md; nothing here asserts a time.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from contextlib import closing
from pathlib import Path

import numpy as np

sys.path[:0] = [str(Path(__file__).parents[1] / "reference"), str(Path(__file__).parents[2])]

from anvil_market import OPTIONS, AnvilMarket
from chain_world import running_anvil
from contract_market import MARKET, run_beside
from evm_market import EvmMarket
from rural_houses import FIRST_OF_JULY, MECHANISMS, N_HOURS, rural_market, with_houses

from cosim.delivery.window import InputSeries, make_orders_at
from market.contract.hourly import make_wishes
from market.mechanisms import clear
from market.rules import Rules
from market.settlement import deliver_all, settle
from market.state import make_opening_state
from market.storage import Ratings


def compare_year() -> None:
    """Every exchange, wallet, lot and pool of a year equal in every hour; raises where one is not."""
    print("| mechanism | hours | lots | seconds |\n|---|---:|---:|---:|")
    for name in MECHANISMS:
        supply, state, rules = rural_market(name)
        begin = time.perf_counter()
        _, n_lots = run_beside(EvmMarket(rules, state), supply, state)
        hours = supply.utility_ueur_per_kwh.size
        print(f"| `{name}` | {hours:,} | {n_lots:,} | {time.perf_counter() - begin:.0f} |", flush=True)


def measure_market_gas(url: str, name: str, n: int) -> str:
    """Gas of two days of July of n houses: a member, prices of a day, an order, a clearing, an hour of all."""
    supply, state, rules = rural_market(name)
    supply, state = with_houses(
        InputSeries(*(c[FIRST_OF_JULY : FIRST_OF_JULY + N_HOURS] for c in supply[:4])), state, n
    )
    with closing(AnvilMarket(url, rules, state)) as contract:
        member = contract.gas[0]
        contract.quote(supply.utility_ueur_per_kwh[:24])
        prices = contract.gas[0]
        contract.quote(supply.utility_ueur_per_kwh[24:])
        orders_gas, clearing_gas, lots = [], [], []
        for t in range(N_HOURS):
            orders, before = make_orders_at(supply, t, t, state, rules)
            contract.submit(t, make_wishes(orders))
            orders_gas.append(contract.gas)
            contract.clear()
            clearing_gas.append(contract.gas[0])
            state = settle(deliver_all(clear(orders, before, rules).rows, n), orders, before, rules).state
            lots.append(state.lots.lot.size)
    day = slice(24, None)  # the first day fills the storage
    order, clearing = np.mean(orders_gas[day]), np.array(clearing_gas[day])
    numbers = (n, member, prices, order, clearing.mean(), clearing.max(), n * order + clearing.mean(), max(lots))
    return f"| `{name}` | " + " | ".join(f"{each:,.0f}" for each in numbers) + " |"


def measure_lots_gas(url: str, n: int, n_hours: int) -> list[str]:
    """Gas of clearing while every hour half of n houses share with the other half, and no lot is ever sold."""
    nothing, full = np.zeros(n, np.int64), np.full(n, 10**6)
    ratings = Ratings(nothing, full, full, full, full, full, nothing)
    host = np.arange(n) % 2
    shape = (n_hours, n)
    load, pv = np.full(shape, 1000) * host, np.full(shape, 800) * (1 - host)
    supply = InputSeries(load, pv, np.zeros(shape, np.int64), np.full(n_hours, 240_000))
    state = make_opening_state(np.where(host, 0, full), nothing, ratings)
    rules = Rules(mechanism=4, tau_intervals=n_hours)
    lines = []
    with closing(AnvilMarket(url, rules, state)) as contract:
        contract.quote(supply.utility_ueur_per_kwh)
        for t in range(n_hours):
            orders, before = make_orders_at(supply, t, t, state, rules)
            contract.submit(t, make_wishes(orders))
            contract.clear()
            lines.append(f"| {n} | {state.lots.lot.size} | {contract.gas[0]:,} |")
            state = settle(deliver_all(clear(orders, before, rules).rows, n), orders, before, rules).state
    return lines


def print_market_gas() -> None:
    """Gas by mechanism for 25 houses, then by number of houses."""
    print("| mechanism | houses | a member | prices of a day | an order | clearing, mean | largest | an hour | lots |")
    print("|---|" + "---:|" * 8)
    runs = [(name, 25) for name in MECHANISMS] + [("sharing_p2p", n) for n in (5, 10, 50, 100)]
    for name, n in runs:
        with tempfile.TemporaryDirectory() as folder, running_anvil(Path(folder), *OPTIONS) as anvil:
            print(measure_market_gas(anvil.url, name, n), flush=True)
    print("\n| houses | lots alive | clearing |\n|---:|---:|---:|")
    for n in (25, 100):
        with tempfile.TemporaryDirectory() as folder, running_anvil(Path(folder), *OPTIONS) as anvil:
            lines = measure_lots_gas(anvil.url, n, 12)
            print("\n".join((lines[1], lines[5], lines[11])), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--year", action="store_true")
    parser.add_argument("--gas", action="store_true")
    chosen = parser.parse_args()
    print(f"Market: {len(MARKET.runtime):,} bytes\n")
    if chosen.year:
        compare_year()
    if chosen.gas:
        print_market_gas()


if __name__ == "__main__":
    main()
