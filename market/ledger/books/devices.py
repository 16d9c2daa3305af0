"""The books of devices that can wait: cars and heat pumps, from the records alone.

What a battery or a buffer holds must follow from what it held, what was used and what it was given; what a house's
devices were given is a part of its meter, and what they were not given stands among the exchanges.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import numpy.typing as npt

from market.exchanges import CAR, FLEXIBLE, Ints, Kind, Rows
from market.ledger.format.records import (
    RecordBytes,
    RecordKind,
    read_integer_parameter,
    read_parameters,
    select_exchanges,
    select_rows,
)
from market.storage import PPM

Mask = npt.NDArray[np.bool_]

_FIXED = ("house", "status", "capacity_wh")
DIMMED_WH_A_MINUTE = 70
"""Energy that dimming leaves to every device, 4.2 kW: § 14a EnWG, BNetzA BK6-22-300 of 27 November 2023."""


class DeviceBooks:
    """Follows the devices of a ledger from block to block.

    Parameters
    ----------
    genesis
        Records of the genesis block, (M, 72).
    """

    def __init__(self, genesis: RecordBytes) -> None:
        self.opening = select_rows(genesis, RecordKind.FLEXIBLE)
        self.last = self.opening
        minutes = read_integer_parameter(read_parameters(genesis), "interval_minutes")
        self.floor_wh = min(max(DIMMED_WH_A_MINUTE * minutes, -1), 2**31 - 1)  # whatever the first block says

    def check(self, records: RecordBytes, meters: Rows) -> str:
        """Follow the devices through a block with an interval; returns what is wrong with them.

        Parameters
        ----------
        records
            Of the block, (M, 72).
        meters
            Those of the block, (N,).
        """
        rows = select_rows(records, RecordKind.FLEXIBLE)
        if rows.size != self.opening.size:
            return f"expected {self.opening.size} devices that can wait, found {rows.size}"
        for wrong, reason in self._list_checks(rows, select_exchanges(records), meters):
            if wrong.any():
                return f"device {int(np.argmax(wrong))}: {reason}"
        self.last = rows
        return ""

    def _list_checks(self, rows: Rows, exchanges: Rows, meters: Rows) -> list[tuple[Mask, str]]:
        read = {name: rows[name].astype(np.int64) for name in FLEXIBLE.names or ()}
        before, is_car = self.last["held_wh"].astype(np.int64), rows["status"] == CAR
        other = np.any([rows[name] != self.opening[name] for name in _FIXED], axis=0)
        other |= is_car & (rows["gain_ppm"] != self.opening["gain_ppm"])
        missing = read["used_wh"] - before - np.where(is_car, 0, read["stored_wh"])
        holds = before - read["used_wh"] + read["made_up_wh"] + read["stored_wh"]
        rises = [read["given_wh"], read["wanted_wh"], read["most_wh"], self.opening["most_wh"].astype(np.int64)]
        asks = np.any([a > b for a, b in pairwise(rises)], axis=0) | (read["least_wh"] > read["wanted_wh"])
        away = is_car & (read["stays"] == 0) & (read["most_wh"] > 0)
        served = ~(is_car & (read["stays"] == 1)) & (read["unserved_wh"] > 0)
        floor = np.minimum(read["wanted_wh"], self.floor_wh)
        return [
            (other, "another house, capacity or efficiency than in the first block"),
            (asks, "more given than wanted, or more wanted than it can take"),
            (read["floor_wh"] != floor, "another energy left by dimming than 4.2 kW, or all that it wants"),
            (read["stored_wh"] != read["given_wh"] * read["gain_ppm"] // PPM, "stored energy that was not given"),
            (read["made_up_wh"] != np.maximum(missing, 0), "energy made up for that was not missing"),
            (read["held_wh"] != holds, "a content that does not follow from what it held and was given"),
            (read["held_wh"] > read["capacity_wh"], "a content above its capacity"),
            (away | served, "a car that is charged while away, or misses energy while it stays"),
            *_list_sums(rows, read, exchanges, meters),
        ]


def _list_sums(rows: Rows, read: dict[str, Ints], exchanges: Rows, meters: Rows) -> list[tuple[Mask, str]]:
    """Devices of houses whose meter or exchanges say otherwise."""
    n, house = meters.size, rows["house"]
    if (house >= n).any():
        return [(house >= n, "a house that there is not")]
    given, of_cars, waits = np.zeros((3, n), np.int64)
    np.add.at(given, house, read["given_wh"])
    np.add.at(of_cars, house, np.where(rows["status"] == CAR, read["given_wh"], 0))
    np.add.at(waits, house, read["wanted_wh"] - read["given_wh"])
    shifted = exchanges[exchanges["kind"] == Kind.SHIFT]
    np.subtract.at(waits, shifted["buyer"], shifted["delivered_wh"])
    more = (given > meters["load_wh"]) | (of_cars != meters["reason"])
    return [
        (more[house], "more given than the meter of its house says"),
        ((waits != 0)[house], "energy to wait for that is not among the exchanges"),
    ]
