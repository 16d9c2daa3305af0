"""Whether a block charges the utility price that the scenario's tariff says of its interval."""

from __future__ import annotations

import numpy as np

from cosim.audit.recorded import OpenedBlock
from cosim.case.tariff import find_tariff_prices
from cosim.scenario.model import Scenario
from market.exchanges import Kind
from market.ledger.format.records import RecordKind, select_exchanges, select_rows


def find_wrong_prices(scenario: Scenario, block: OpenedBlock) -> list[str]:
    """What is wrong with the prices of a block that holds an interval; nothing without a tariff."""
    expected = find_tariff_prices(scenario, np.array([block.interval_start], "datetime64[s]"))
    if expected is None:
        return []
    price, exchanges = int(expected[0]), select_exchanges(block.records)
    orders = select_rows(block.records, RecordKind.ORDER)["utility_ueur_per_kwh"]
    imports = exchanges["price_ueur_per_kwh"][exchanges["kind"] == Kind.GRID_IMPORT]
    for where, found in (("orders", orders), ("imports", imports)):
        wrong = found[found != price]
        if wrong.size:
            return [f"utility price of {where}: expected {price} µEUR/kWh as in the tariff, recorded {int(wrong[0])}"]
    return []
