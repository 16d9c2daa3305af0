"""Numbers and codes in words, for people: energies, money, why something was cut."""

from __future__ import annotations

from typing import Any

from cosim.results.labels import describe_conductor
from market.exchanges import CONDUCTORS, CONTRACT, GRID, NEUR_PER_EUR, OPERATOR, Kind, Reason, split_reason

KINDS = {
    Kind.P2P: "trade with a house",
    Kind.SHARE_USE: "shared, used at once",
    Kind.SHARE_STORE: "shared, stored",
    Kind.LOT_SALE: "stored energy sold",
    Kind.GRID_IMPORT: "bought from the grid",
    Kind.GRID_EXPORT: "sold to the grid",
    Kind.SPILL: "generation not used",
    Kind.SHED: "load not served",
    Kind.LOSS: "network losses",
    Kind.COMPENSATION: "compensation",
    Kind.BACKGROUND: "net's own elements",
}
REASONS = {
    Reason.OVERVOLTAGE: ("the voltage would be too high", "bus"),
    Reason.UNDERVOLTAGE: ("the voltage would be too low", "bus"),
    Reason.LINE_OVERLOAD: ("the line would carry too much", "line"),
    Reason.TRAFO_OVERLOAD: ("the transformer would carry too much", "transformer"),
    Reason.NOT_SOLVED: ("no state of the network would hold it", ""),
    Reason.DARK: ("there is no supply", "bus"),
    Reason.ISLAND_LIMIT: ("the island could not hold it", "bus"),
    Reason.MAKES_UP: ("in place of what was cut elsewhere", ""),
    Reason.CONTROL: ("the inverters found no steady state", ""),
    Reason.UNBALANCE: ("the phases would be too unequal", "bus"),
    Reason.NEUTRAL_VOLTAGE: ("the neutral would be too far from earth", "bus"),
}
DEVICES = {1: "panels (PV)", 2: "battery", 3: "fuel cell"}
ASKS = {0: "as the rules say", 1: "only trade", 2: "only share", 3: "neither: the grid alone"}


def format_energy(wh: float) -> str:
    """Energy in kWh.

    Examples
    --------
    >>> format_energy(-1234), format_energy(0)
    ('−1.234 kWh', '0.000 kWh')
    """
    return f"{wh / 1000:,.3f} kWh".replace("-", "−")


def format_money(neur: float, digits: int = 4) -> str:
    """Money in EUR.

    Examples
    --------
    >>> format_money(-2_500_000_000, 2), format_money(40)
    ('−2.50 EUR', '0.0000 EUR')
    """
    text = f"{neur / NEUR_PER_EUR:,.{digits}f}"
    return f"{text} EUR".replace("-", "−") if float(text.replace(",", "")) else f"{abs(0):.{digits}f} EUR"


def format_price(ueur_per_kwh: float | None) -> str:
    """Price in EUR/kWh.

    Examples
    --------
    >>> format_price(213_400), format_price(None)
    ('0.2134 EUR/kWh', 'none')
    """
    return "none" if ueur_per_kwh is None else f"{ueur_per_kwh / 1e6:.4f} EUR/kWh".replace("-", "−")


def name_party(number: int) -> str:
    """How others see a party.

    Examples
    --------
    >>> [name_party(number) for number in (7, GRID, CONTRACT, OPERATOR, -4)]
    ['house 7', 'the grid', 'the sharing contract', 'the network operator', '']
    """
    if number >= 0:
        return f"house {number}"
    return {GRID: "the grid", CONTRACT: "the sharing contract", OPERATOR: "the network operator"}.get(number, "")


def name_kind(kind: int) -> str:
    """Words for a kind of exchange.

    Examples
    --------
    >>> name_kind(1)
    'trade with a house'
    """
    return KINDS[Kind(kind)]


def explain_reason(code: int, element: int) -> str:
    """Why an exchange was not delivered as cleared: the limit that binds, its element and its phase.

    Examples
    --------
    >>> explain_reason(1, 12), explain_reason(0x203, 4), explain_reason(0, -4)
    ('the voltage would be too high at bus 12', 'the line would carry too much at line 4, phase b', '')
    """
    reason, conductor = (int(part) for part in split_reason(code))  # type: ignore[arg-type]
    if reason == Reason.NONE:
        return ""
    words, table = REASONS[Reason(reason)]
    where = f" at {table} {element}" if table and element >= 0 else ""
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


def describe_entry(height: int, row: Any, house: int) -> dict[str, Any]:
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
        "other": name_party(other),
        "role": "gives" if sells else "takes" if buyer == house else "stores",
        "delivered_wh": int(row["delivered_wh"]),
        "price_ueur_per_kwh": int(row["price_ueur_per_kwh"]),
        "money_neur": earned - (amount if pays else 0),
        "cut_wh": cut,
        "why": explain_reason(int(row["reason"]), int(row["element"])),
    }
