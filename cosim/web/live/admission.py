"""Whether a submission can be taken, and if not, why: one message for the person who made it."""

from __future__ import annotations

from typing import NamedTuple, Protocol

import numpy as np

from cosim.case.case import Case
from cosim.case.state import Standing
from market.errors import MarketError
from market.exchanges import AUTOMATIC, STATED, Ask, Rows
from market.ledger.crypto.keys import is_signed
from market.ledger.format.ranges import find_out_of_range
from market.ledger.format.records import SIZE, RecordKind
from market.ledger.format.submissions import Submission, submission_message
from market.rules import DOUBLE_AUCTION, PLUGGED_IN, SHARING_CENTRAL, SHARING_SELFISH
from market.storage import Ratings, Wh

MOST_WAITING = 500
"""Submissions of a house that wait at once: with each interval all of them are looked at."""
MOST_SKIPPED = 1000
"""How far a submission's number may be ahead: with the largest of all numbers a house could submit nothing more."""


class SubmissionError(MarketError):
    """A submission that is not taken; the message says why."""


class Gate(Protocol):
    """What a submission is checked against beside the case; `cosim.web.live.run.LiveRun` is one."""

    @property
    def chain_id(self) -> bytes:
        """Name of the chain."""

    @property
    def next_interval(self) -> int:
        """The interval whose gate is open."""

    @property
    def ranges(self) -> Ranges:
        """What the houses can give, take and keep."""

    def key_of(self, house: int) -> bytes | None:
        """Key of a house in force."""

    def next_submission_number(self, house: int) -> int:
        """Least number of a house's next submission."""

    def count_waiting(self, house: int) -> int:
        """Submissions of a house for intervals that are not closed."""


def check_submission(case: Case, record: bytes, signature: bytes, gate: Gate) -> bytes:
    """Check a submission; returns the public key that signed it.

    Parameters
    ----------
    case
        Houses, batteries and market.
    record, signature
        As for `LiveRun.submit`.
    gate
        Which intervals are open, and whose keys are in force.

    Raises
    ------
    SubmissionError
        If it is no submission, not the house's own, too late, or asks for what cannot be.
    """
    row = _read(record, signature)
    house = int(row["house"])
    if house >= case.profiles.n_participants:
        raise SubmissionError(f"house: expected 0 to {case.profiles.n_participants - 1}, got {house}")
    key = gate.key_of(house)
    if key is None:
        raise SubmissionError(
            f"{case.profiles.participants[house]}: expected a registered member, found none; register its key first"
        )
    if not is_signed(key, signature, submission_message(gate.chain_id, record)):
        raise SubmissionError(
            f"{case.profiles.participants[house]}: expected a signature with its key in force, got another"
        )
    _check_times(row, case.n_intervals, gate)
    if gate.count_waiting(house) >= MOST_WAITING:
        raise SubmissionError(f"{MOST_WAITING} submissions of your house wait already; wait until some are past.")
    _check_energies(row, house, gate.ranges)
    _check_ask(case, row)
    return key


def _read(record: bytes, signature: bytes) -> Rows:
    if len(record) != SIZE or len(signature) != 64:
        raise SubmissionError(f"expected {SIZE} bytes and a signature of 64, got {len(record)} and {len(signature)}")
    if record[0] != RecordKind.SUBMISSION:
        raise SubmissionError(f"expected a submission (kind {int(RecordKind.SUBMISSION)}), got kind {record[0]}")
    if (wrong := find_out_of_range(np.frombuffer(record, np.uint8)[None])) is not None:
        raise SubmissionError(wrong[1])
    row = Submission(record, signature).row
    if row["status"] != STATED:
        raise SubmissionError(f"status: expected {STATED}, got {row['status']}")
    return row


def _check_times(row: Rows, n_intervals: int, gate: Gate) -> None:
    first, last, number = int(row["first"]), int(row["last"]), int(row["number"])
    if gate.next_interval >= n_intervals:
        raise SubmissionError("The run is over: all of its intervals are closed.")
    if first < gate.next_interval:
        raise SubmissionError(f"The gate of interval {first} is closed; the next that is open is {gate.next_interval}.")
    if not first <= last < n_intervals:
        left = max(n_intervals - first, 0)
        raise SubmissionError(
            f"From interval {first} on there are {left} intervals left; you named {last - first + 1}."
        )
    if number < (least := gate.next_submission_number(int(row["house"]))):
        raise SubmissionError(f"Submission {number} was handed in already; the next is {least}.")
    if number > least + MOST_SKIPPED:
        raise SubmissionError(f"The next submission has number {least}, not {number}.")


class Ranges(NamedTuple):
    """What each house can give or take at its meter in an interval, and what its battery holds, (N,) Wh each.

    `least_wh` is below zero: what the house takes.
    """

    least_wh: Wh
    most_wh: Wh
    room_wh: Wh


def find_ranges(case: Case, ratings: Ratings, standing: Standing) -> Ranges:
    """Ranges of the houses with the devices that take part, and the batteries' ratings as they are now."""
    inputs = case.fleet.make_inputs(standing)
    most = inputs.pv_wh.max(axis=0) + inputs.fuel_cell_wh.max(axis=0)
    most += ratings.max_discharge_wh * case.rules.battery
    return Ranges(-inputs.load_wh.max(axis=0), most, ratings.soc_max_wh)


def _check_energies(row: Rows, house: int, ranges: Ranges) -> None:
    """What a house could never give, take or keep is a slip of the pen."""
    net = int(row["net_wh"])
    least, most, room = (int(column[house]) for column in ranges)
    if net > most:
        raise SubmissionError(
            f"You can give up to {_kwh(most)} in an interval, by panels and battery; you named {_kwh(net)}."
        )
    if AUTOMATIC < net < least:
        raise SubmissionError(f"You take up to {_kwh(-least)} in an interval; you named {_kwh(-net)}.")
    if row["reserve_wh"] > room:
        raise SubmissionError(
            f"Your battery holds up to {_kwh(room)}; you want it to keep {_kwh(int(row['reserve_wh']))}."
        )


def _kwh(wh: int) -> str:
    return f"{wh / 1000:,.3f} kWh"


def _check_ask(case: Case, row: Rows) -> None:
    """A wish that the market has no ear for is refused, not ignored."""
    mechanism, name = case.mechanism.code, case.mechanism.name
    shares = SHARING_CENTRAL <= mechanism <= SHARING_SELFISH or mechanism == PLUGGED_IN
    if row["ask"] == Ask.SHARE and not shares:
        raise SubmissionError(f"This market ({name}) has no sharing; ask for a trade, or leave it to the rules.")
    sells = row["net_wh"] > 0
    if row["limit_ueur_per_kwh"] >= 0 and sells and mechanism not in (DOUBLE_AUCTION, PLUGGED_IN):
        raise SubmissionError(f"An offer has no limit price in this market ({name}), which has one price for all.")
