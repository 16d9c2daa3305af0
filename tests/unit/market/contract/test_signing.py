"""Orders signed as wallets sign them are taken by the contract, and only where they belong."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("eth_account", reason="eth-account: not installed, it comes with the extra evm")
evm_batch = pytest.importorskip("evm_batch", reason="pyrevm: not installed, it has no wheel for this Python")

from evm_batch import EvmBatch, make_case  # noqa: E402

from cosim.delivery.window import make_orders_at  # noqa: E402
from market.contract.batch import ALL_DELIVERED, find_head, pack_interval, pack_orders, pack_state  # noqa: E402
from market.contract.extra import import_extra  # noqa: E402
from market.contract.signing import Place, describe_order, sign_order  # noqa: E402
from market.mechanisms import clear  # noqa: E402
from market.settlement import deliver_all, settle  # noqa: E402

KEYS = [(house + 1).to_bytes(32, "big") for house in range(5)]


def test_hours_of_signed_orders_settle_equally() -> None:
    supply, rules, state = make_case(3, "sharing_p2p", 5, 4)
    members = [import_extra("eth_account").Account.from_key(key).address for key in KEYS]
    contract, last = EvmBatch(rules, state, members=members, signed_only=True), [0] * 5
    chain_id = contract.machine.env.cfg.chain_id if hasattr(contract.machine.env.cfg, "chain_id") else 1
    for t in range(4):
        orders, before = make_orders_at(supply, t, t, state, rules)
        numbers = [10 * t + 1 + house for house in range(5)]
        words, utility = pack_orders(orders, numbers), int(orders.utility_ueur_per_kwh)
        places = [Place(chain_id, contract.address, t, utility, house) for house in range(5)]
        signatures = [sign_order(*each) for each in zip(KEYS, places, words, strict=True)]
        interval = pack_interval(pack_state(state, t, last), words, utility, ALL_DELIVERED)
        with pytest.raises(RuntimeError):
            contract.call("clearSigned", interval, [signatures[1], *signatures[1:]])
        with pytest.raises(RuntimeError):
            contract.call("clear", interval)
        contract.clear(interval, signatures, name="clearSigned")
        state = settle(deliver_all(clear(orders, before, rules).rows, 5), orders, before, rules).state
        last = numbers
        assert contract.call("head") == find_head(pack_state(state, t + 1, last))


def test_a_wallet_shows_what_it_signs() -> None:
    supply, rules, state = make_case(3, "sharing_p2p", 5, 1)
    orders, _ = make_orders_at(supply, 0, 0, state, rules)
    shown = describe_order(Place(1, "0x" + "11" * 20, 0, 250_000, 2), pack_orders(orders, np.arange(1, 6))[2])
    message = shown["message"]
    assert message["net"] == orders.offer_wh[2] - orders.need_wh[2]
    assert message["charge"] == orders.charge_wh[2] - orders.discharge_wh[2]
    assert (message["house"], message["number"], message["utility"]) == (2, 3, 250_000)
    assert list(message) == [each["name"] for each in shown["types"]["Order"]]
