"""Find market mechanisms by name: each is one function clear(orders, state, rules); entry points add a user's own."""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import entry_points
from typing import NamedTuple

from market.admission import check_clearing
from market.auction import run_auction
from market.book import Book, Clearing, close_book, open_book
from market.compiled import ZERO, compiled
from market.errors import MarketError
from market.orders import Orders
from market.rules import (
    DOUBLE_AUCTION,
    NONE,
    PLUGGED_IN,
    SHARING_CENTRAL,
    SHARING_HYBRID,
    SHARING_P2P,
    SHARING_SELFISH,
    TRADING,
    TRADING_BATTERY,
    Rules,
)
from market.sharing import contract_pays_more, queue_share_requests, share_central, share_p2p, share_selfish
from market.state import State
from market.trading import settle_with_grid, trade

ClearFunction = Callable[[Orders, State, Rules], Clearing]

ENTRY_POINT_GROUP = "gridsettle.mechanisms"


@compiled
def share_offers(book: Book, orders: Orders, state: State, rules: Rules) -> None:
    """Share what is left of the offers with share requests, both in order of arrival, by the mechanism's rule."""
    queue = queue_share_requests(orders)
    position = ZERO
    for seller in orders.order:
        if book.offer_wh[seller] == 0:
            continue
        if rules.mechanism == SHARING_P2P:
            position = share_p2p(book, orders, seller, queue, position, rules)
        elif rules.mechanism == SHARING_SELFISH:
            position = share_selfish(book, orders, seller, queue, position, rules)
        elif rules.mechanism == SHARING_CENTRAL:
            position = share_central(book, orders, seller, queue, position, rules)
        else:
            if contract_pays_more(book, orders, state, seller, rules):
                position = share_central(book, orders, seller, queue, position, rules)
            position = share_p2p(book, orders, seller, queue, position, rules)


@compiled
def clear(orders: Orders, state: State, rules: Rules) -> Clearing:
    """Clear one interval by the built-in mechanism `rules.mechanism`.

    Parameters
    ----------
    orders, state
        Orders of the interval and the state they were made from.
    rules
        Rules of the market.

    Returns
    -------
    Clearing
        Exchanges in the order they were made: trades, shares, then house by house what the grid takes or gives.
    """
    book = open_book(orders, state)
    if rules.mechanism == DOUBLE_AUCTION:
        run_auction(book, orders, rules)
    elif rules.mechanism != NONE:
        trade(book, orders, state)
    if SHARING_CENTRAL <= rules.mechanism <= SHARING_SELFISH:
        share_offers(book, orders, state, rules)
    settle_with_grid(book, orders, rules)
    return close_book(book)


class Mechanism(NamedTuple):
    """A market mechanism.

    Attributes
    ----------
    name
        Its name in scenarios.
    code
        `Rules.mechanism` of a built-in one; `PLUGGED_IN` for a user's own.
    uses_battery
        Whether houses use their batteries.
    charges_fee
        Whether the sharing contract takes a fee of P2P sales.
    clear
        The function, compiled or plain Python.
    """

    name: str
    code: int
    uses_battery: bool
    charges_fee: bool
    clear: ClearFunction


BUILT_IN: dict[str, Mechanism] = {
    name: Mechanism(name, code, uses_battery, charges_fee, clear)
    for name, code, uses_battery, charges_fee in [
        ("none", NONE, False, False),
        ("trading", TRADING, False, False),
        ("trading_battery", TRADING_BATTERY, True, False),
        ("sharing_central", SHARING_CENTRAL, True, True),
        ("sharing_p2p", SHARING_P2P, True, False),
        ("sharing_hybrid", SHARING_HYBRID, True, True),
        ("sharing_selfish", SHARING_SELFISH, True, False),
        ("double_auction", DOUBLE_AUCTION, True, False),
    ]
}


def list_mechanisms() -> list[str]:
    """Names that `find_mechanism` knows: the built-in mechanisms, then those of installed packages."""
    return [*BUILT_IN, *sorted(point.name for point in entry_points(group=ENTRY_POINT_GROUP))]


def find_mechanism(name: str) -> Mechanism:
    """Find the mechanism of a name.

    A package adds one through the entry-point group ``gridsettle.mechanisms``; the entry point is a function
    ``clear(orders, state, rules) -> Clearing``. It may carry the attributes ``uses_battery`` (default True) and
    ``charges_fee`` (default False).

    Raises
    ------
    MarketError
        If there is none of that name, or an entry point cannot be loaded.

    Examples
    --------
    >>> find_mechanism("trading").uses_battery
    False
    """
    if name in BUILT_IN:
        return BUILT_IN[name]
    for point in entry_points(group=ENTRY_POINT_GROUP, name=name):
        try:
            function = point.load()
        except Exception as reason:
            raise MarketError(
                f"mechanism '{name}': expected entry point {point.value} to load, got {reason!r}; "
                "mend or uninstall the package that declares it"
            ) from reason
        return wrap_mechanism(name, function)
    raise MarketError(f"mechanism: expected one of {', '.join(list_mechanisms())}, got '{name}'")


def wrap_mechanism(name: str, function: ClearFunction) -> Mechanism:
    """Make a mechanism of a user's own function: called once an interval, not compiled, every answer checked."""

    def clear_checked(orders: Orders, state: State, rules: Rules) -> Clearing:
        return check_clearing(name, function(orders, state, rules), orders, state)

    uses_battery = bool(getattr(function, "uses_battery", True))
    charges_fee = bool(getattr(function, "charges_fee", False))
    return Mechanism(name, PLUGGED_IN, uses_battery, charges_fee, clear_checked)
