"""Layouts of what an interval records: exchanges of energy, one meter reading and, if asked for, one order a house.

A row is a fixed-width, little-endian struct of 72 bytes, integers only. The market writes it, settlement fills it in,
the ledger hashes its bytes as they are, results read it as a table.

Energies in Wh, prices in µEUR/kWh, money in nEUR (Wh x µEUR/kWh = nEUR, so settlement never rounds). A *lot* is energy
that its owner has stored in another house's battery; that house is the lot's *host*.
"""

from __future__ import annotations

from enum import IntEnum

import numpy as np
import numpy.typing as npt

NEUR_PER_EUR, UEUR_PER_EUR = 1_000_000_000, 1_000_000

Ints = npt.NDArray[np.int64]
Rows = npt.NDArray[np.void]
"""A structured array of `EXCHANGE`, `METER`, `ORDER`, `SUBMISSION` or `FLEXIBLE` rows."""


class Kind(IntEnum):
    """What a row records; the first byte of every row on the ledger."""

    P2P = 1
    SHARE_USE = 2
    SHARE_STORE = 3
    LOT_SALE = 4
    GRID_IMPORT = 5
    GRID_EXPORT = 6
    SPILL = 7
    SHED = 8
    LOSS = 9
    COMPENSATION = 10
    BACKGROUND = 11
    SHIFT = 12
    METER = 16


class Status(IntEnum):
    """Whether the network could carry an exchange."""

    ACCEPTED = 0
    CURTAILED = 1
    REJECTED = 2


class Reason(IntEnum):
    """Why an exchange was not delivered as cleared; it says which table `element` indexes."""

    NONE = 0
    OVERVOLTAGE = 1  # element: bus
    UNDERVOLTAGE = 2  # element: bus
    LINE_OVERLOAD = 3  # element: line
    TRAFO_OVERLOAD = 4  # element: trafo
    NOT_SOLVED = 5  # no element: the power flow found no solution
    DARK = 6  # element: bus without supply
    ISLAND_LIMIT = 7  # element: bus of the island's grid-forming device
    MAKES_UP = 8  # no element: this row replaces energy that was curtailed elsewhere
    CONTROL = 9  # no element: the inverters' reactive power control did not converge
    UNBALANCE = 10  # element: bus
    NEUTRAL_VOLTAGE = 11  # element: bus whose neutral is too far from earth
    VOLT_WATT = 12  # element: bus whose inverter reduced its power by P(V), of the energy itself or of whom it served


CONDUCTORS = ("", "a", "b", "c", "n")
"""Conductor of the element that a reason names, by its code; none in a balanced model, n is the neutral."""
_CONDUCTOR_STEP = 0x100


def with_conductor(reason: int, conductor: str) -> int:
    """The number that a row has for a reason: that of the reason, and the conductor's code in the byte above.

    Examples
    --------
    >>> hex(with_conductor(Reason.OVERVOLTAGE, "b"))
    '0x201'
    """
    return int(reason) + _CONDUCTOR_STEP * CONDUCTORS.index(conductor)


def split_reason(codes: Ints) -> tuple[Ints, Ints]:
    """Reasons, and codes of conductors, of the numbers that rows have for them."""
    return codes % _CONDUCTOR_STEP, codes // _CONDUCTOR_STEP


# Parties that are not participants. Participants are 0 … N-1.
GRID = -1
"""The utility, and the network beyond the transformer."""
CONTRACT = -2
"""The sharing contract of the centralised sharer (C-SE)."""
OPERATOR = -3
"""The network operator: pays losses and, where configured, compensation; the net's own elements are its own."""
NOBODY = -4
"""No such party, lot or element."""


def list_fields(kind: str, *names: str) -> list[tuple[str, str]]:
    """Fields of one type, as `numpy.dtype` takes them."""
    return [(name, kind) for name in names]


HEAD = [("kind", "u1"), ("status", "u1"), ("reason", "<u2"), *list_fields("<u4", "interval", "seq")]
"""The 12 bytes that every record begins with; `seq` counts the records of an interval."""

EXCHANGE = np.dtype(
    [
        *HEAD,
        *list_fields("<i4", "seller", "buyer", "host", "element", "lot"),
        *list_fields("<i8", "cleared_wh", "delivered_wh", "price_ueur_per_kwh", "amount_neur", "fee_neur"),
    ]
)
"""One exchange, or what was spilled, shed, lost, compensated, or went to or came from the net's own elements.

The buyer pays `amount_neur` = delivered_wh x price_ueur_per_kwh; of it the seller gets amount - fee, the contract
the fee. `host` is where the energy leaves or enters the network when that is not the seller (a lot flows out of
its host's battery) or not the buyer (a stored share flows into its host's battery).
"""

METER = np.dtype(
    [
        *HEAD,
        *list_fields("<i4", "house", "load_wh", "pv_wh", "fuel_cell_wh", "charge_wh", "discharge_wh"),
        *list_fields("<i4", "bought_wh", "sold_wh", "imported_wh", "exported_wh", "spilled_wh", "shed_wh"),
        *list_fields("<i4", "own_wh", "hosted_wh", "q_var"),
    ]
)
"""One house in one interval: energies at its terminals, and its battery's content at the end of the interval.

`own_wh` + `hosted_wh` is the state of charge; `charge_wh`, `discharge_wh` are alternating-current energies at the
house's terminals; `q_var` is the mean reactive injection. The setpoint at the bus follows:
injection = pv - spilled + fuel_cell + discharge - (load - shed) - charge.

`reason` of a meter is the part of `load_wh` that cars were charged with, Wh; 0 where the run has none.
"""

ORDER_KIND = 19
"""First byte of an `ORDER` row."""

ORDER = np.dtype(
    [
        *HEAD,
        *list_fields("<i4", "house", "part", "offer_wh", "need_wh", "charge_wh", "discharge_wh"),
        *list_fields("<i4", "charge_left_wh", "discharge_left_wh"),
        *list_fields("<i8", "utility_ueur_per_kwh", "feed_in_ueur_per_kwh", "price_ueur_per_kwh"),
        ("reserved", "<i4"),
    ]
)
"""What one house offered or needed, and the prices of its interval; energies as in `market.orders.Orders`.

`status` says what it asked for: 0 nothing, 1 a trade, 2 a share. `part` is the number of the connected part of the
network whose houses traded with one another, 0 where it is whole.
"""

SUBMISSION_KIND = 21
"""First byte of a `SUBMISSION` row."""

AUTOMATIC = -(2**31)
"""`net_wh` of a house whose battery is left to balance it."""

NO_LIMIT = -1
"""Limit price of a house that has none."""


class Ask(IntEnum):
    """What a house that needs energy asks others for."""

    BY_RULE = 0  # a trade if its wallet covers the need, else a share if its battery has room
    TRADE = 1  # a trade, or nothing
    SHARE = 2  # a share, or nothing
    GRID = 3  # nothing: the grid serves it


SUBMISSION = np.dtype(
    [
        *HEAD,
        *list_fields("<i4", "house", "net_wh", "reserve_wh", "ask", "limit_ueur_per_kwh"),
        *list_fields("<u4", "number", "first", "last"),
        ("reserved", "S28"),
    ]
)
"""What a person wants of an interval, in place of the automatic rule.

`status` is 1 for what the person stated, 2 where nothing came before the gate closed; 0 in a row that says nothing.
`net_wh` is what the house wants to give (above zero) or take at its meter, `AUTOMATIC` if its battery is to balance it;
`reserve_wh` stays in its battery; `ask` is an `Ask`; `limit_ueur_per_kwh` the highest price at which it buys from
others, -1 for none. It holds for the intervals `first` to `last`; of two that hold, that with the larger `number` does.
"""

STATED, MISSING = 1, 2
"""Status of a submission."""

FLEXIBLE_KIND = 22
"""First byte of a `FLEXIBLE` row."""

CAR, HEAT_PUMP = 1, 2
"""Status of a `FLEXIBLE` row: what kind of device it is about."""

FLEXIBLE = np.dtype(
    [
        *HEAD,
        *list_fields("<i4", "house", "floor_wh", "capacity_wh", "least_wh", "wanted_wh", "most_wh", "given_wh"),
        *list_fields("<i4", "stored_wh", "used_wh", "made_up_wh", "held_wh", "unserved_wh", "stays"),
        *list_fields("<i4", "later_ueur_per_kwh", "gain_ppm"),
    ]
)
"""A device that can wait, a car or a heat pump, in one interval: what it said, what it got, what it holds.

Energies are whole Wh: of electricity at the terminals (least, wanted, most, given; `floor_wh` is what dimming by § 14a
EnWG leaves of what was wanted), else of the battery or of heat. At the end it holds what it held before, less `used_wh`
(trips that ended, heat demand), plus `made_up_wh` (charged elsewhere; comfort shortfall), plus `stored_wh`, which is
given times `gain_ppm` (efficiency, coefficient of performance), rounded down. `unserved_wh` is what a car misses as it
leaves, `stays` in how many intervals it does (a heat pump: for how many more it must run), `later_ueur_per_kwh` what
the energy costs that is not taken now. In the first block a row says what a device is: `most_wh` its power, `least_wh`
the least at which it runs, `held_wh` what it holds at the start.
"""

TERMS_KIND, CHARGE_KIND = 24, 25
"""First byte of a `TERMS` and of a `CHARGE` row."""

TERMS = np.dtype(
    [
        *HEAD,
        *list_fields("<i8", "grid_ueur_per_kwh", "local_ueur_per_kwh", "power_ueur_per_kw", "standing_neur"),
        ("reserved", "S28"),
    ]
)
"""What the use of the network costs in an interval; `status` is 1 where a period ends with it, `reason` a `LossRule`.

Energy from the grid and energy that stays below the transformer have a price each, µEUR/kWh. `power_ueur_per_kw` and
`standing_neur` are the day's share of what a period charges a kW of its peak, and a house; 0 but in the first interval
of a day.
"""

CHARGE = np.dtype(
    [
        *HEAD,
        ("house", "<i4"),
        *list_fields("<i8", "withdrawn_wh", "grid_neur", "local_neur", "power_neur", "standing_neur", "loss_neur"),
        ("peak_w", "<i4"),
        ("reserved", "S4"),
    ]
)
"""What a house pays the network operator for a period, recorded with its last interval: by part, nEUR.

`withdrawn_wh` is all energy that it was charged for, `peak_w` the highest mean power of that in an interval.
"""

CHARGED = ("grid_neur", "local_neur", "power_neur", "standing_neur", "loss_neur")
"""Parts of a charge."""


class LossRule(IntEnum):
    """Who pays for losses beside the operator; the `reason` of a `TERMS` row."""

    OPERATOR = 0  # nobody beside
    PRO_RATA = 1  # houses, in proportion to what they withdrew in the period


assert TERMS.itemsize == CHARGE.itemsize == 72
assert EXCHANGE.itemsize == METER.itemsize == ORDER.itemsize == SUBMISSION.itemsize == FLEXIBLE.itemsize == 72
