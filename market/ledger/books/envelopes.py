"""Envelopes on a ledger: what was cleared lies within what each house might do."""

from __future__ import annotations

import numpy as np

from market.exchanges import CAR, Ints, Kind, Rows
from market.ledger.format.records import (
    ENVELOPE_PARAMETER,
    ENVELOPE_RULES,
    ROOMS,
    Kept,
    RecordBytes,
    RecordKind,
    read_parameters,
    select_exchanges,
    select_rows,
)

_OUT_OF_HOUSES = (Kind.P2P, Kind.SHARE_USE, Kind.SHARE_STORE, Kind.GRID_EXPORT)


class EnvelopeBooks:
    """Compares the envelopes of a ledger with what was cleared.

    Parameters
    ----------
    genesis
        Records of the genesis block, (M, 72).
    """

    def __init__(self, genesis: RecordBytes) -> None:
        said = read_parameters(genesis).get(ENVELOPE_PARAMETER)
        self.rule = None if said is None else said.rstrip(b"\0").decode("ascii", "replace")

    def check(self, records: RecordBytes, n_houses: int) -> str:
        """What is wrong with the envelopes of a block with an interval; empty if nothing is.

        An interval with an event has none; that no other lacks them, making the run again tells.
        """
        rows = select_rows(records, RecordKind.ENVELOPE)
        if rows.size == 0:
            return ""
        if self.rule is None:
            return "an envelope in a ledger that was begun without"
        if not np.array_equal(rows["house"], np.arange(n_houses)):
            return f"expected an envelope for each of {n_houses} houses in their order, found {rows.size}"
        if self.rule not in ENVELOPE_RULES or (rows["reason"] != ENVELOPE_RULES.index(self.rule)).any():
            return f"an envelope by another rule than '{self.rule}'"
        limited = np.any([rows[name] >= 0 for name in ROOMS], axis=0).any()
        if (rows["status"] != rows["status"][0]).any() or limited != (rows["status"][0] == Kept.FROM_SOMETHING):
            return "an envelope whose status does not follow from its limits"
        return find_beyond(rows, select_exchanges(records), select_rows(records, RecordKind.FLEXIBLE))


def find_beyond(rows: Rows, exchanges: Rows, devices: Rows) -> str:
    """Which house was cleared for more than its envelope; empty if none was.

    Parameters
    ----------
    rows
        Envelopes of N houses.
    exchanges, devices
        Of the same interval.
    """
    for name, wh in zip(ROOMS, sum_rooms(rows.size, exchanges, devices), strict=True):
        beyond = np.flatnonzero((rows[name] >= 0) & (wh > rows[name]))
        if beyond.size:
            return f"house {beyond[0]}: cleared beyond its envelope, {name.removesuffix('_wh')}"
    return ""


def sum_rooms(n: int, exchanges: Rows, devices: Rows) -> Ints:
    """What each house was cleared for, by room, (5, N) Wh."""
    wh, cleared = np.zeros((5, n), np.int64), exchanges["cleared_wh"]
    of_rooms = (_OUT_OF_HOUSES, "seller"), ((Kind.LOT_SALE,), "host"), ((Kind.SHARE_STORE,), "host")
    for room, (kinds, end) in enumerate(of_rooms):
        chosen = np.isin(exchanges["kind"], kinds) & (exchanges[end] >= 0) & (exchanges[end] < n)
        np.add.at(wh[room], exchanges[end][chosen], cleared[chosen])
    for room, chosen in ((3, devices["status"] == CAR), (4, devices["status"] != CAR)):
        at = chosen & (devices["house"] < n)
        np.add.at(wh[room], devices["house"][at], devices["wanted_wh"][at])
    return wh
