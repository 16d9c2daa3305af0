"""The statement by which a member's page registers its key on the ledger (docs/ledger-format.md §4 KEY, §7)."""

from __future__ import annotations

from cosim.web.people.errors import PeopleError
from market.errors import LedgerError
from market.ledger.crypto.keys import is_signed
from market.ledger.format.records import Purpose, RecordBytes, RecordKind, Role, decode_record
from market.ledger.format.statements import Statement, statement_message
from market.ledger.store.tip import decode_records
from market.ledger.write.requests import parse_statement

MOST_AHEAD = 20
"""Blocks that may be written before a key takes effect; a key far ahead could not be ended meanwhile."""


def check_registration(records: bytes, *, chain_id: bytes, house: int, page_key: bytes, height: int) -> RecordBytes:
    """Check a statement that a browser has made before it is kept and put on the ledger.

    Parameters
    ----------
    records
        The MEMBER record and its SIGNATURE records, 72 bytes each.
    chain_id
        The chain of the ledger, 32 bytes.
    house, page_key
        What it must state: the house that the operator has chosen, and the key of the page, 32 bytes.
    height
        Height of the next block; the statement must take effect above it.

    Returns
    -------
    RecordBytes
        The records, (M, 72).

    Raises
    ------
    PeopleError
        If it states something else, is not signed by that key, or would not be admitted any more.
    """
    try:
        decoded = decode_records(records)
        statement = parse_statement(decoded)
    except LedgerError as reason:
        raise PeopleError(f"registration: expected a MEMBER statement with its signatures, got {reason}") from reason
    row = decode_record(statement.record)
    wanted: dict[str, int | bytes] = {
        "kind": RecordKind.MEMBER,
        "member": house,
        "role": Role.PARTICIPANT,
        "public_key": page_key,
    }
    for name, value in wanted.items():
        if row[name] != value:
            raise PeopleError(f"registration: expected {name} {_show(value)}, got {_show(row[name])}; sign it again")
    if not height < row["effective"] <= height + MOST_AHEAD:
        raise PeopleError(
            f"registration: expected one that takes effect above block {height} and up to {height + MOST_AHEAD}, "
            f"got block {row['effective']}; sign it again"
        )
    _check_possession(statement, chain_id, house, page_key)
    return decoded


def _check_possession(statement: Statement, chain_id: bytes, house: int, page_key: bytes) -> None:
    """Check that the key that is registered has signed."""
    signer, signature = statement.signatures.get(Purpose.POSSESSION, (None, b""))
    if signer != house or not is_signed(page_key, signature, statement_message(chain_id, statement.record)):
        raise PeopleError("registration: expected a signature by the key that it registers, got none or another")


def _show(value: int | bytes) -> str:
    return value.hex() if isinstance(value, bytes) else str(int(value))
