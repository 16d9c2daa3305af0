"""Numbers and codes in words, for people: energies, money, why something was cut."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from cosim.results.labels import describe_conductor, name_house
from market.exchanges import CONDUCTORS, CONTRACT, GRID, NEUR_PER_EUR, OPERATOR, Kind, Reason, split_reason
from market.ledger.format.records import RecordKind

PlaceName = Callable[[str, int], str]
"""What an element is called, by its table ("bus", "line", "transformer") and number."""

KINDS: dict[int, str] = {
    Kind.P2P: "trade with a house",
    Kind.SHARE_USE: "shared, used at once",
    Kind.SHARE_STORE: "shared, stored",
    Kind.LOT_SALE: "stored energy sold",
    Kind.GRID_IMPORT: "bought from the grid",
    Kind.GRID_EXPORT: "sold to the grid",
    Kind.SPILL: "generated, not used",
    Kind.SHED: "needed, not supplied",
    Kind.LOSS: "network losses",
    Kind.COMPENSATION: "compensation",
    Kind.BACKGROUND: "others on the network",
    RecordKind.CHARGE: "network charges",
}
REASONS = {
    Reason.OVERVOLTAGE: ("the voltage would be too high", "bus"),
    Reason.UNDERVOLTAGE: ("the voltage would be too low", "bus"),
    Reason.LINE_OVERLOAD: ("too much current would flow", "line"),
    Reason.TRAFO_OVERLOAD: ("too much current would flow", "transformer"),
    Reason.NOT_SOLVED: ("the network could not carry it in any way", ""),
    Reason.DARK: ("there is no supply", "bus"),
    Reason.ISLAND_LIMIT: ("the houses that are cut off from the grid could not balance it", "bus"),
    Reason.MAKES_UP: ("in place of what was cut elsewhere", ""),
    Reason.CONTROL: ("the inverters would not settle", ""),
    Reason.VOLT_WATT: ("an inverter reduced its power because the voltage was high", "bus"),
    Reason.UNBALANCE: ("the three phases would be too unequal", "bus"),
    Reason.NEUTRAL_VOLTAGE: ("the neutral conductor would be too far from earth voltage", "bus"),
}
WAYS = {"bus": " at", "line": " in", "transformer": " in"}
DEVICES = {1: "panels (PV)", 2: "battery", 3: "fuel cell"}
MECHANISMS = {
    "none": "no trade: each house and the grid",
    "trading": "houses trade",
    "trading_battery": "houses trade, with batteries",
    "sharing_central": "trade; a contract shares the rest",
    "sharing_p2p": "trade; houses share the rest",
    "sharing_hybrid": "trade; houses and a contract share the rest",
    "sharing_selfish": "trade; the rest goes into others' batteries",
    "double_auction": "auction of offers and bids",
}
"""Mechanisms of the market; one of an installed package goes by its own name."""
ASKS = {0: "as the rules say", 1: "only trade", 2: "only share", 3: "neither: the grid alone"}


def format_energy(wh: float) -> str:
    """Energy in kWh.

    Examples
    --------
    >>> format_energy(-1234), format_energy(0)
    ('−1.234 kWh', '0.000 kWh')
    """
    return f"{wh / 1000:,.3f} kWh".replace("-", "−")


def format_money(neur: float) -> str:
    """Money in EUR.

    Examples
    --------
    >>> format_money(-2_500_000_000), format_money(40), format_money(-40)
    ('−2.50 EUR', '0.00 EUR', '0.00 EUR')
    """
    text = f"{neur / NEUR_PER_EUR:,.2f} EUR"
    return text.replace("-", "") if float(f"{neur / NEUR_PER_EUR:.2f}") == 0 else text.replace("-", "−")


def format_cents(neur: float) -> str:
    """Money of a single deal, in ct.

    Examples
    --------
    >>> format_cents(-25_000_000), format_cents(40), format_cents(-40)
    ('−2.50 ct', '0.00 ct', '0.00 ct')
    """
    return format_money(100 * neur).replace("EUR", "ct")


def format_price(ueur_per_kwh: float | None) -> str:
    """Price in ct/kWh.

    Examples
    --------
    >>> format_price(213_400), format_price(None)
    ('21.34 ct/kWh', 'none')
    """
    return "none" if ueur_per_kwh is None else f"{ueur_per_kwh / 1e4:.2f} ct/kWh".replace("-", "−")


def name_party(index: int) -> str:
    """How others see a party: a house by its number, which counts from 1; the ledger's index counts from 0.

    Examples
    --------
    >>> [name_party(index) for index in (6, GRID, CONTRACT, OPERATOR, -4)]
    ['house 7', 'the grid', 'the sharing contract', 'the network operator', '']
    """
    if index >= 0:
        return name_house(index)
    return {GRID: "the grid", CONTRACT: "the sharing contract", OPERATOR: "the network operator"}.get(index, "")


def name_by_number(table: str, element: int) -> str:
    """An element by its number in the net, for those who see no names.

    Examples
    --------
    >>> name_by_number("line", 4)
    'line 4'
    """
    return f"{table} {element}"


def describe_mechanism(name: str) -> str:
    """How a market works, in a few words.

    Examples
    --------
    >>> describe_mechanism("trading"), describe_mechanism("neediest_first")
    ('houses trade', 'neediest_first')
    """
    return MECHANISMS.get(name, name)


def name_kind(kind: int) -> str:
    """Words for a kind of exchange, or for network charges.

    Examples
    --------
    >>> name_kind(1)
    'trade with a house'
    """
    return KINDS[kind]


def explain_reason(code: int, element: int, place: PlaceName = name_by_number) -> str:
    """Why an exchange was not delivered as cleared: the limit that binds, its element and its phase.

    Examples
    --------
    >>> explain_reason(1, 12), explain_reason(0x203, 4), explain_reason(0, -4)
    ('the voltage would be too high at bus 12', 'too much current would flow in line 4, phase b', '')
    """
    reason, conductor = (int(part) for part in split_reason(code))  # type: ignore[arg-type]
    if reason == Reason.NONE:
        return ""
    words, table = REASONS[Reason(reason)]
    way = ", supplied from" if reason == Reason.ISLAND_LIMIT else WAYS.get(table, "")
    where = f"{way} {place(table, element)}" if table and element >= 0 else ""
    phase = describe_conductor(CONDUCTORS[conductor])
    return f"{words}{where}{f', {phase}' if phase else ''}"


def describe_device(device: Any) -> str:
    """A registered device: its kind, its power, and what it stores.

    Examples
    --------
    >>> from types import SimpleNamespace
    >>> describe_device(SimpleNamespace(kind=2, power_w=2000, energy_wh=4500))
    'battery, 2 kW, 4.5 kWh'
    """
    stores = f", {device.energy_wh / 1000:g} kWh" if device.energy_wh else ""
    return f"{DEVICES[device.kind]}, {device.power_w / 1000:g} kW{stores}"


def describe_entry(
    height: int,
    row: Any,
    house: int,
    party: Callable[[int], str] = name_party,
    place: PlaceName = name_by_number,
) -> dict[str, Any]:
    """An exchange as a house sees it: what it was, with whom, how much, what it earned or paid, and what was cut."""
    seller, buyer, amount = int(row["seller"]), int(row["buyer"]), int(row["amount_neur"])
    kind, sells = Kind(int(row["kind"])), seller == house
    pays = house == (CONTRACT if kind in (Kind.SHARE_USE, Kind.SHARE_STORE) else buyer)
    other = buyer if sells else seller
    cut = int(row["cleared_wh"]) - int(row["delivered_wh"])
    earned = amount - int(row["fee_neur"]) if sells else 0
    return {
        "height": height,
        "interval": int(row["interval"]),
        "seq": int(row["seq"]),
        "what": KINDS[kind],
        "other": party(other),
        "other_ledger_index": other if other >= 0 else "",
        "role": "gives" if sells else "takes" if buyer == house else "stores",
        "delivered_wh": int(row["delivered_wh"]),
        "price_ueur_per_kwh": int(row["price_ueur_per_kwh"]),
        "money_neur": earned - (amount if pays else 0),
        "cut_wh": cut,
        "why": explain_reason(int(row["reason"]), int(row["element"]), place),
        "element_ledger_index": int(row["element"]) if int(row["element"]) >= 0 else "",
    }
