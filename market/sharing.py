"""Sharing: a house without money gets surplus of a prosumer, uses part of it and stores the rest as a lot.

The prosumer owns the lot (P2P-SE), or the sharing contract does, which pays for all of it at once (C-SE).
"""

from __future__ import annotations

from market.book import Book, write_row
from market.compiled import ZERO, compiled, integer
from market.exchanges import CONTRACT, NOBODY, Ints, Kind
from market.orders import Orders
from market.rules import Rules
from market.state import State

_USE, _STORE = integer(Kind.SHARE_USE), integer(Kind.SHARE_STORE)
_CONTRACT, _NOBODY = integer(CONTRACT), integer(NOBODY)


@compiled
def largest_share_wh(offer_wh: int, need_wh: int, room_wh: int, beta_permille: int) -> int:
    """Largest e with e <= offer, floor(β·e) <= need and e - floor(β·e) <= room.

    Parameters
    ----------
    offer_wh, need_wh, room_wh
        What the prosumer has left, what the consumer needs, what its battery can still take, Wh at the terminals.
    beta_permille
        β in per mille, 1 … 999.
    """
    by_need = ((need_wh + 1) * 1000 - 1) // beta_permille
    by_room = room_wh * 1000 // (1000 - beta_permille)
    return min(offer_wh, by_need, by_room)


@compiled
def largest_selfish_share_wh(offer_wh: int, need_wh: int, room_wh: int, beta_permille: int) -> int:
    """Largest e with e <= offer and e - min(need, floor(β·e)) <= room.

    The consumer uses the smallest part it accepts and never more than it needs; the lot is as large as the battery
    allows.
    """
    by_room = room_wh * 1000 // (1000 - beta_permille)
    if by_room * beta_permille // 1000 > need_wh:
        by_room = room_wh + need_wh
    return min(offer_wh, by_room)


@compiled
def hand_over(
    book: Book, orders: Orders, seller: int, host: int, owner: int, use_wh: int, store_wh: int, price: int
) -> None:
    """Write what the consumer uses now and what it stores as a new lot of `owner`."""
    if use_wh > 0:
        write_row(book, orders, _USE, seller, host, host, _NOBODY, use_wh, price)
    if store_wh > 0:
        write_row(book, orders, _STORE, seller, owner, host, book.next_lot[0], store_wh, price)
        book.next_lot[0] += 1
    book.offer_wh[seller] -= use_wh + store_wh
    book.need_wh[host] -= use_wh
    book.charge_left_wh[host] -= store_wh


@compiled
def queue_share_requests(orders: Orders) -> Ints:
    """Houses that ask for sharing, in order of arrival."""
    queue: Ints = orders.order[orders.asks_share[orders.order] == 1]
    return queue


@compiled
def share_p2p(book: Book, orders: Orders, seller: int, queue: Ints, position: int, rules: Rules) -> int:
    """P2P-SE: the prosumer owns the lot and earns when it sells; no money moves now. Returns the new position."""
    while position < queue.size and book.offer_wh[seller] > 0:
        host = queue[position]
        e = largest_share_wh(book.offer_wh[seller], book.need_wh[host], book.charge_left_wh[host], rules.beta_permille)
        use = e * rules.beta_permille // 1000
        hand_over(book, orders, seller, host, seller, use, e - use, ZERO)
        if book.offer_wh[seller] > 0:
            position += 1
    return position


@compiled
def share_selfish(book: Book, orders: Orders, seller: int, queue: Ints, position: int, rules: Rules) -> int:
    """Selfish sharing: as `share_p2p`, with the smallest share that the consumer accepts and the largest lot."""
    beta = rules.selfish_beta_permille
    while position < queue.size and book.offer_wh[seller] > 0:
        host = queue[position]
        need = book.need_wh[host]
        e = largest_selfish_share_wh(book.offer_wh[seller], need, book.charge_left_wh[host], beta)
        use = min(need, e * beta // 1000)
        hand_over(book, orders, seller, host, seller, use, e - use, ZERO)
        if book.offer_wh[seller] > 0:
            position += 1
    return position


@compiled
def share_central(book: Book, orders: Orders, seller: int, queue: Ints, position: int, rules: Rules) -> int:
    """C-SE: the contract pays the prosumer the trading price for all that is shared, and owns the lot.

    It stops when the contract's balance is used up. Returns the new position.
    """
    price = orders.price_ueur_per_kwh
    while position < queue.size and book.offer_wh[seller] > 0:
        host = queue[position]
        affordable = book.contract_neur[0] // price if price > 0 else book.offer_wh[seller]
        offer = min(book.offer_wh[seller], affordable)
        if offer == 0:
            break
        e = largest_share_wh(offer, book.need_wh[host], book.charge_left_wh[host], rules.beta_permille)
        use = e * rules.beta_permille // 1000
        hand_over(book, orders, seller, host, _CONTRACT, use, e - use, price)
        book.contract_neur[0] -= e * price
        if e < offer:
            position += 1
    return position


@compiled
def contract_pays_more(book: Book, orders: Orders, state: State, seller: int, rules: Rules) -> bool:
    """Whether C-SE should pay the seller more for this offer than P2P-SE; the choice of the hybrid mechanism.

    C-SE pays at once, up to the contract's balance. P2P-SE pays for the stored part (1 - β) once it is sold: the
    expected rate of sale is the share of all energy ever stored in prosumers' lots that was sold so far, 1 as long as
    none was stored.
    """
    price, offer = orders.price_ueur_per_kwh, book.offer_wh[seller]
    now = min(offer * price, book.contract_neur[0])
    stored, sold = state.tally[1], state.tally[2]
    rate_permille = sold * 1000 // stored if stored > 0 else 1000
    later = offer * price // 1000 * (1000 - rules.beta_permille) // 1000 * rate_permille
    return bool(now > 0 and now >= later)
