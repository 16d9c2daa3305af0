"""Lines of bills: what an exchange, or a network charge, is for the house that is billed, in words and in money."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np

from market.exchanges import NEUR_PER_EUR, Ints, Kind, Rows
from market.ledger.private.commitments import list_payers

BOUGHT, SOLD, OTHER, NETWORK = "Energy bought", "Energy sold", "Fees and compensation", "Network"
GROUPS = (BOUGHT, SOLD, OTHER, NETWORK)

Key = tuple[str, Kind]
"""Group of a line, and the kind of the exchanges in it."""

LABELS: Mapping[Key, str] = {
    (BOUGHT, Kind.P2P): "traded, from other houses",
    (BOUGHT, Kind.LOT_SALE): "stored energy of others, out of batteries",
    (BOUGHT, Kind.SHARE_USE): "shared with you, used at once",
    (BOUGHT, Kind.SHARE_STORE): "shared with you, stored",
    (BOUGHT, Kind.GRID_IMPORT): "from the grid",
    (BOUGHT, Kind.BACKGROUND): "from others on the network, while the grid was away",
    (SOLD, Kind.P2P): "traded, to other houses",
    (SOLD, Kind.LOT_SALE): "stored energy of yours, out of others' batteries",
    (SOLD, Kind.SHARE_USE): "shared by you, used at once",
    (SOLD, Kind.SHARE_STORE): "shared by you, stored",
    (SOLD, Kind.GRID_EXPORT): "to the grid",
    (SOLD, Kind.BACKGROUND): "to others on the network, while the grid was away",
    (SOLD, Kind.LOSS): "for losses of the network, while the grid was away",
    (OTHER, Kind.P2P): "fees of the sharing contract",
    (OTHER, Kind.COMPENSATION): "compensation for energy that the network did not carry",
}
"""What each line is called; in the order of a bill."""


class Line(NamedTuple):
    """A line of a bill.

    Attributes
    ----------
    group, label
        Where it stands, and what it is for.
    wh
        Energy of it, Wh; None where it is for none.
    neur
        What it brings the house, nEUR; below zero what the house pays.
    note
        How it follows, in words; may be empty.
    """

    group: str
    label: str
    wh: int | None
    neur: int
    note: str = ""


class Sums(NamedTuple):
    """Energy and money of the lines of N houses, (N,) Wh and nEUR each, by key."""

    wh: dict[Key, Ints]
    neur: dict[Key, Ints]


def add_exchanges(sums: Sums, rows: Rows, n: int) -> None:
    """Add exchanges to the lines of N houses: what each bought, sold, paid as fee and was paid as compensation."""
    payer = list_payers(rows)
    for kind in np.unique(rows["kind"]).tolist():
        chosen = rows[rows["kind"] == kind]
        pays = payer[rows["kind"] == kind]
        wh, amount, fee = (chosen[name] for name in ("delivered_wh", "amount_neur", "fee_neur"))
        sale = OTHER if kind == Kind.COMPENSATION else SOLD
        _add(sums, (BOUGHT, Kind(kind)), chosen["buyer"], wh, np.where(pays == chosen["buyer"], -amount, 0), n)
        _add(sums, (sale, Kind(kind)), chosen["seller"], wh, amount, n)
        _add(sums, (OTHER, Kind.P2P), chosen["seller"], np.zeros_like(wh), -fee, n)


def _add(sums: Sums, key: Key, house: Ints, wh: Ints, neur: Ints, n: int) -> None:
    own = house >= 0
    for part, values in ((sums.wh, wh), (sums.neur, neur)):
        np.add.at(part.setdefault(key, np.zeros(n, np.int64)), house[own], values[own])


def list_lines(sums: Sums, house: int) -> Iterator[Line]:
    """Lines of a house about energy, fees and compensation; those of nothing are left out."""
    for key, label in LABELS.items():
        if key not in sums.wh:
            continue
        wh, neur = int(sums.wh[key][house]), int(sums.neur[key][house])
        if wh or neur:
            told = key[0] != OTHER or key[1] == Kind.COMPENSATION
            yield Line(key[0], label, wh if told else None, neur, _note_price(wh, neur) if told else "")


def _note_price(wh: int, neur: int) -> str:
    """Mean price of a line.

    Examples
    --------
    >>> _note_price(2_000, -500_000_000), _note_price(0, 0), _note_price(5, 0)
    ('25.00 ct/kWh', '', 'free of charge')
    """
    if not wh:
        return ""
    return f"{abs(neur) / wh / 10_000:.2f} ct/kWh" if neur else "free of charge"


def list_charge_lines(charge: Any, grid_wh: int) -> Iterator[Line]:
    """Lines of a `CHARGE` record, of which `grid_wh` came from the grid; those of nothing are left out."""
    local_wh = int(charge["withdrawn_wh"]) - grid_wh
    parts = (
        ("grid_neur", "energy from the grid", grid_wh),
        ("local_neur", "energy from other houses, below the transformer", local_wh),
        ("power_neur", f"power: highest mean {int(charge['peak_w']) / 1000:,.3f} kW", None),
        ("standing_neur", "standing part", None),
        ("loss_neur", "losses of the network, your share", None),
    )
    for name, label, wh in parts:
        neur = int(charge[name])
        if neur or wh:
            yield Line(NETWORK, label, wh, -neur, "" if wh is None else _note_price(wh, neur))


def format_eur(neur: int) -> str:
    """Money in EUR to the cent.

    Examples
    --------
    >>> format_eur(-1_234_565_000_000), format_eur(-40)
    ('−1,234.56', '0.00')
    """
    cents = round(abs(neur) * 100 / NEUR_PER_EUR)
    return f"{'−' if neur < 0 and cents else ''}{cents // 100:,}.{cents % 100:02d}"
