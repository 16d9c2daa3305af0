"""Words of the contract Batch: numbers go in and come out, what does not fit is refused by name."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from market.contract import batch
from market.contract.batch import (
    EXCHANGED,
    HOUSE,
    LOT,
    ORDER,
    Field,
    digest_verdict,
    find_head,
    pack,
    pack_delivery,
    pack_ratings,
    pack_rules,
    pack_state,
    read_exchanges,
    unpack,
)
from market.errors import MarketError
from market.exchanges import EXCHANGE, METER, NOBODY, Kind
from market.mechanisms import BUILT_IN
from market.orders import Orders
from market.rules import Rules
from market.state import make_opening_state
from market.storage import Ratings

LAYOUTS = (HOUSE, LOT, ORDER, EXCHANGED, batch.RATINGS, batch.POOLS, batch.TALLY, batch.CUT, batch.CHANGE)


def _bounds(field: Field) -> tuple[int, int]:
    low = -(2 ** (field.bits - 1)) if field.signed else 0
    return low, low + 2**field.bits - 1


@given(st.data())
def test_numbers_come_out_of_a_word_as_they_went_in(data: st.DataObject) -> None:
    fields = data.draw(st.sampled_from(LAYOUTS))
    values = [data.draw(st.sampled_from(_bounds(each)) | st.integers(*_bounds(each))) for each in fields]
    assert unpack(fields, pack(fields, values)) == values


@pytest.mark.parametrize("fields", LAYOUTS)
def test_a_layout_is_a_word_at_most(fields: tuple[Field, ...]) -> None:
    assert sum(each.bits for each in fields) <= 256


@pytest.mark.parametrize("off", [-1, 1])
def test_what_does_not_fit_is_refused_by_name(off: int) -> None:
    low, high = _bounds(HOUSE[1])
    value = low - 1 if off < 0 else high + 1
    with pytest.raises(MarketError, match=rf"wallet, nEUR: expected {low} to {high}, got {value}"):
        pack(HOUSE, (0, value, 0, 0))


@pytest.mark.parametrize("name", sorted(BUILT_IN))
def test_mechanisms_that_are_not_on_a_chain_are_refused_by_name(name: str) -> None:
    kind = BUILT_IN[name]
    rules = Rules(mechanism=kind.code, battery=int(kind.uses_battery))
    if name in ("trading", "trading_battery", "sharing_central", "sharing_p2p"):
        assert pack_rules(rules, 7)[0] == kind.code
        with pytest.raises(MarketError, match="contract Batch, battery: expected that of the mechanism"):
            pack_rules(rules._replace(battery=1 - rules.battery))
    else:
        with pytest.raises(MarketError, match="contract Batch, mechanism: expected trading"):
            pack_rules(rules)


def test_a_fixed_feed_in_tariff_and_load_that_waits_are_refused_by_name() -> None:
    with pytest.raises(MarketError, match="feed-in tariff: expected a part of the utility price, got a fixed one of 8"):
        pack_rules(Rules(mechanism=1, battery=0, feed_in_ueur_per_kwh=80_000))
    rows = np.zeros(1, EXCHANGE)
    rows["kind"] = Kind.SHIFT
    columns = {name: np.zeros(1, np.int64) for name in Orders._fields}
    with pytest.raises(MarketError, match="expected none of kind shift"):
        pack_delivery(Orders(**columns), rows, np.zeros(1, METER), bytes(32))


def test_every_number_of_a_state_is_in_its_digest() -> None:
    n = 2
    ratings = Ratings(*np.ones((7, n), np.int64))
    state = make_opening_state([3000, 5], [7, 8], ratings)
    others = [state._replace(**{name: getattr(state, name) + 1}) for name in ("own_wh", "wallet_neur", "pools_neur")]
    heads = {find_head(pack_state(each, 5)) for each in [state, *others]}
    heads |= {find_head(pack_state(state, 6)), find_head(pack_state(state, 5, [0, 1]))}
    assert len(heads) == 6
    assert pack_ratings(ratings) == (pack(batch.RATINGS, [1] * 7),) * n


def test_exchanges_come_back_as_rows() -> None:
    rows = read_exchanges([pack(EXCHANGED, (Kind.P2P, 3, 4, 3, NOBODY, 500, 400, 120_000))], 9)
    row = rows[0]
    assert (row["seller"], row["buyer"], row["lot"], row["cleared_wh"], row["delivered_wh"]) == (3, 4, NOBODY, 500, 400)
    assert (row["interval"], row["seq"], row["element"]) == (9, 0, NOBODY)
    assert read_exchanges([], 9).size == 0


def test_a_verdict_is_known_by_its_record() -> None:
    assert digest_verdict(bytes(72)) != digest_verdict(bytes(71) + b"\x01")
