"""Private records: the ledger holds a salted commitment, the parties hold the record and the salt.

A commitment is HMAC-SHA256(salt, "gridsettle/private" ‖ 0 ‖ record) with 32 bytes of salt, so that a record of few
possible values cannot be guessed. What a block's private records change in total stands beside them, in one `AGGREGATE`
record. This hides who did what; it does not hide that something was done, nor in which interval.
"""

from __future__ import annotations

import hmac
from collections.abc import Collection, Mapping
from hashlib import sha256
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt

from market.errors import LedgerError
from market.exchanges import CONTRACT, EXCHANGE, METER, OPERATOR, Kind, Rows
from market.ledger.format.records import AGGREGATE, PRIVATE, RecordBytes, RecordKind, as_bytes
from market.ledger.private.vault import Entry

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

LEAST_PRIVATE = 3
"""Fewer private houses in a block would be given away by their sum."""
STATE_SEQ = 2**32 - 1
"""Number under which the operator's store keeps the salt of an interval's state root."""
_INTO = ("pv_wh", "fuel_cell_wh", "discharge_wh", "bought_wh", "imported_wh", "shed_wh")
_OUT = ("load_wh", "charge_wh", "sold_wh", "exported_wh", "spilled_wh")


class Hidden(NamedTuple):
    """Blocks as the ledger shows them, and what each party keeps.

    Attributes
    ----------
    records, offsets
        All blocks, with commitments in place of private records and an aggregate at the end.
    entries
        Private records by member; the operator has all, and the salts of the state roots.
    """

    records: RecordBytes
    offsets: npt.NDArray[np.int64]
    entries: Mapping[int, list[Entry]]


def commitment(salt: bytes, record: bytes) -> bytes:
    """What the ledger holds of a private record."""
    return hmac.digest(salt, b"gridsettle/private\0" + record, "sha256")


def salt_secret(key: Ed25519PrivateKey) -> bytes:
    """The secret that an operator's salts come from; the same key gives the same ledger again."""
    return sha256(b"gridsettle salts v1\0" + key.private_bytes_raw()).digest()


def salt_of(secret: bytes, chain_id: bytes, interval: int, seq: int) -> bytes:
    """Salt of one record: unpredictable without the secret, another for every record."""
    place = interval.to_bytes(4, "little") + seq.to_bytes(4, "little")
    return hmac.digest(secret, chain_id + place, "sha256")


def salted_state_root(salt: bytes, accounts: npt.NDArray[np.int64]) -> bytes:
    """State root of a ledger with private records; without the salt the accounts cannot be guessed from it."""
    return hmac.digest(salt, b"gridsettle/state\0" + accounts.astype("<i8").tobytes(), "sha256")


def is_private(records: RecordBytes, houses: Collection[int]) -> npt.NDArray[np.bool_]:
    """Which records name one of these houses."""
    kinds, chosen = records[:, 0], list(houses)
    exchanges, meters = records.view(EXCHANGE).reshape(-1), records.view(METER).reshape(-1)
    named = np.isin(exchanges["seller"], chosen) | np.isin(exchanges["buyer"], chosen)
    named |= np.isin(exchanges["host"], chosen)
    metered = (kinds == Kind.METER) & np.isin(meters["house"], chosen)
    return np.asarray(((kinds < Kind.METER) & named) | metered, np.bool_)


def hide(
    records: RecordBytes,
    offsets: npt.NDArray[np.int64],
    houses: Collection[int],
    secret: bytes,
    chain_id: bytes,
    first_interval: int,
) -> Hidden:
    """Put commitments in place of every record that names one of `houses`.

    Parameters
    ----------
    records, offsets
        Records of K intervals' blocks (M, 72), and where each block's begin, (K + 1,).
    houses
        Private houses.
    secret
        Where the salts come from, 32 bytes.
    chain_id
        The chain.
    first_interval
        Number of the first interval.

    Raises
    ------
    LedgerError
        If there are fewer than three private houses.
    """
    if len(set(houses)) < LEAST_PRIVATE:
        raise LedgerError(
            f"private records: expected at least {LEAST_PRIVATE} private houses, got {len(set(houses))}; "
            "the sum over fewer would give them away"
        )
    entries: dict[int, list[Entry]] = {OPERATOR: [], **{house: [] for house in houses}}
    blocks = []
    for k in range(offsets.size - 1):
        body = np.array(records[offsets[k] : offsets[k + 1]])
        interval = first_interval + k
        state_salt = salt_of(secret, chain_id, interval, STATE_SEQ)
        entries[OPERATOR].append(Entry(interval, STATE_SEQ, bytes(72), state_salt))
        private = is_private(body, houses)
        hidden = body[private]
        for at in np.flatnonzero(private).tolist():
            entry = Entry(interval, at, body[at].tobytes(), salt_of(secret, chain_id, interval, at))
            for member in (OPERATOR, *_parties(entry.record, houses)):
                entries[member].append(entry)
            body[at] = _committed(body[at], commitment(entry.salt, entry.record))
        blocks.append(np.concatenate([body, aggregate_row(hidden, interval, body.shape[0])]))
    sizes = [block.shape[0] for block in blocks]
    return Hidden(np.concatenate(blocks), np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64), entries)


def _parties(record: bytes, houses: Collection[int]) -> set[int]:
    if record[0] == Kind.METER:
        return {int(np.frombuffer(record, METER)["house"][0])}
    row = np.frombuffer(record, EXCHANGE)[0]
    return {int(row["seller"]), int(row["buyer"]), int(row["host"])} & set(houses)


def _committed(record: npt.NDArray[np.uint8], committed: bytes) -> npt.NDArray[np.uint8]:
    row = np.zeros(1, PRIVATE)
    row["kind"] = RecordKind.PRIVATE
    row["commitment"][0] = np.void(committed)
    shown = as_bytes(row)
    shown[0, 4:12] = record[4:12]
    return shown.reshape(-1)


def aggregate_row(hidden: RecordBytes, interval: int, seq: int) -> RecordBytes:
    """`AGGREGATE` record of a block's private records (M, 72), given in clear."""
    row = np.zeros(1, AGGREGATE)
    row["kind"], row["interval"], row["seq"], row["n_private"] = (
        RecordKind.AGGREGATE,
        interval,
        seq,
        hidden.shape[0],
    )
    exchanges = hidden[hidden[:, 0] < Kind.METER].view(EXCHANGE).reshape(-1)
    for name, change in money_moved(exchanges).items():
        row[name] = change
    meters = hidden[hidden[:, 0] == Kind.METER].view(METER).reshape(-1)
    row["into_wh"] = sum(int(meters[name].sum(dtype=np.int64)) for name in _INTO)
    row["out_wh"] = sum(int(meters[name].sum(dtype=np.int64)) for name in _OUT)
    return as_bytes(row)


def money_moved(exchanges: Rows) -> dict[str, int]:
    """What some exchanges change: all wallets, all utility accounts, the three pools, nEUR; the sum is zero."""
    kinds, amount, fee = exchanges["kind"], exchanges["amount_neur"], exchanges["fee_neur"]
    shared = (kinds == Kind.SHARE_USE) | (kinds == Kind.SHARE_STORE)
    payer = np.where(shared, CONTRACT, exchanges["buyer"])
    over_wallet = kinds <= Kind.LOT_SALE
    moved = {}
    for name, party, houses in (
        ("wallets_neur", None, over_wallet),
        ("accounts_neur", None, ~over_wallet),
        ("utility_neur", -1, None),
        ("contract_neur", -2, None),
        ("operator_neur", -3, None),
    ):
        pays = payer == party if houses is None else (payer >= 0) & houses
        earns = exchanges["seller"] == party if houses is None else (exchanges["seller"] >= 0) & houses
        moved[name] = int((amount - fee)[earns].sum() - amount[pays].sum())
    moved["contract_neur"] += int(fee.sum())
    return moved


def open_commitments(
    records: RecordBytes, interval: int, entries: Mapping[tuple[int, int], Entry]
) -> RecordBytes | str:
    """A block's records in clear, without the aggregate; or what is wrong with the entries.

    Parameters
    ----------
    records
        Records as the ledger shows them, (M, 72).
    interval
        The block's interval.
    entries
        By (interval, number).
    """
    clear = np.array(records[records[:, 0] != RecordKind.AGGREGATE])
    for at in np.flatnonzero(clear[:, 0] == RecordKind.PRIVATE).tolist():
        seq = int(clear[at, 8:12].copy().view("<u4")[0])
        entry = entries.get((interval, seq))
        if entry is None:
            return f"private record {seq} cannot be opened: no store at hand holds it"
        if not hmac.compare_digest(commitment(entry.salt, entry.record), clear[at, 12:44].tobytes()):
            return f"private record {seq} is not the one that was committed to"
        clear[at] = np.frombuffer(entry.record, np.uint8)
    return clear
