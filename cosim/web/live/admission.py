"""Whether a submission can be taken, and if not, why: one message for the person who made it."""

from __future__ import annotations

from typing import Protocol

import numpy as np

from cosim.case.case import Case
from market.errors import MarketError
from market.exchanges import AUTOMATIC, STATED, Ask, Rows
from market.ledger.crypto.keys import is_signed
from market.ledger.format.ranges import find_out_of_range
from market.ledger.format.records import SIZE, RecordKind
from market.ledger.format.submissions import Submission, submission_message
from market.rules import DOUBLE_AUCTION, PLUGGED_IN, SHARING_CENTRAL, SHARING_SELFISH


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

    def key_of(self, house: int) -> bytes | None:
        """Key of a house in force."""

    def next_submission_number(self, house: int) -> int:
        """Least number of a house's next submission."""


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
        raise SubmissionError(f"house {house}: expected a registered member, found none; register its key first")
    if not is_signed(key, signature, submission_message(gate.chain_id, record)):
        raise SubmissionError(f"house {house}: expected a signature with its key in force, got another")
    _check_times(row, case.n_intervals, gate)
    _check_energies(case, row, house)
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
    if first < gate.next_interval:
        raise SubmissionError(f"interval {first}: the gate is closed; the next that is open is {gate.next_interval}")
    if not first <= last < n_intervals:
        raise SubmissionError(f"last: expected {first} to {n_intervals - 1}, got {last}")
    if number < (least := gate.next_submission_number(int(row["house"]))):
        raise SubmissionError(f"number: expected at least {least}, got {number}: it was submitted already")


def _check_energies(case: Case, row: Rows, house: int) -> None:
    """What a house could never give, take or keep is a slip of the pen."""
    ratings, net = case.opening.ratings, int(row["net_wh"])
    most = int(case.inputs.pv_wh[:, house].max() + case.inputs.fuel_cell_wh[:, house].max())
    most += int(ratings.max_discharge_wh[house])
    least = -int(case.inputs.load_wh[:, house].max())
    if net != AUTOMATIC and not least <= net <= most:
        raise SubmissionError(f"net_wh: expected {least} to {most} Wh, which house {house} can take or give, got {net}")
    if row["reserve_wh"] > (room := int(ratings.soc_max_wh[house])):
        raise SubmissionError(
            f"reserve_wh: expected at most {room} Wh, which the battery holds, got {row['reserve_wh']}"
        )


def _check_ask(case: Case, row: Rows) -> None:
    """A wish that the market has no ear for is refused, not ignored."""
    mechanism, name = case.mechanism.code, case.mechanism.name
    shares = SHARING_CENTRAL <= mechanism <= SHARING_SELFISH or mechanism == PLUGGED_IN
    if row["ask"] == Ask.SHARE and not shares:
        raise SubmissionError(f"ask: expected no share, since the market '{name}' has no sharing")
    sells = row["net_wh"] > 0
    if row["limit_ueur_per_kwh"] >= 0 and sells and mechanism not in (DOUBLE_AUCTION, PLUGGED_IN):
        raise SubmissionError(f"limit: expected none for an offer, since the market '{name}' has one price for all")
