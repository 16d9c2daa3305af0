"""A member's side of a submission, as a browser makes it."""

from __future__ import annotations

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from market.exchanges import AUTOMATIC, NO_LIMIT, STATED, SUBMISSION, Ask
from market.ledger.format.records import RecordKind, make_record
from market.ledger.format.submissions import Submission, submission_message


def make_submission(
    chain_id: bytes,
    key: Ed25519PrivateKey,
    house: int,
    number: int,
    first: int,
    last: int,
    *,
    net_wh: int = AUTOMATIC,
    reserve_wh: int = 0,
    ask: Ask = Ask.BY_RULE,
    limit_ueur_per_kwh: int = NO_LIMIT,
) -> Submission:
    """Make a submission of a house for the intervals `first` to `last`, signed by its member.

    Parameters
    ----------
    chain_id, key
        The chain it is meant for, and the member's key in force.
    house, number
        Number of the house, and of the submission among the house's: larger than the one before.
    net_wh
        What the house wants to give (above zero) or take at its meter in each interval, Wh.
    reserve_wh
        Energy of its own that its battery keeps, Wh.
    ask
        What it asks others for where it needs energy.
    limit_ueur_per_kwh
        Highest price at which it buys from others, µEUR/kWh; -1 for none.
    """
    record = make_record(
        SUBMISSION,
        RecordKind.SUBMISSION,
        status=STATED,
        house=house,
        net_wh=net_wh,
        reserve_wh=reserve_wh,
        ask=ask,
        limit_ueur_per_kwh=limit_ueur_per_kwh,
        number=number,
        first=first,
        last=last,
    ).tobytes()
    return Submission(record, key.sign(submission_message(chain_id, record)))
