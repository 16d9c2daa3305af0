"""Private records: the ledger holds a salted commitment, the parties hold the record and the salt.

A commitment is HMAC-SHA256(salt, "gridsettle/private" ‖ 0 ‖ record) with 32 bytes of salt, so that a record with few
possible values cannot be guessed. One `AGGREGATE` record a block says what its private records change in total. This
hides who did what; it does not hide that something was done, nor in which interval.
"""

from __future__ import annotations

import hmac
from collections.abc import Collection, Mapping
from hashlib import sha256
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from market.errors import LedgerError
from market.exchanges import CONTRACT, EXCHANGE, METER, OPERATOR, Ints, Kind, Rows
from market.ledger.format.records import (
    AGGREGATE,
    MONEY,
    PRIVATE,
    RecordBytes,
    RecordKind,
    decode_record,
    join_blocks,
    make_record,
    number_records,
    read_places,
    select_exchanges,
    select_rows,
)
from market.ledger.private.vault import Entry

LEAST_PRIVATE = 3
"""The sum over fewer private houses in a block would reveal them."""
STATE_SEQ = 2**32 - 1
"""Number under which the operator's store keeps the salt of an interval's state root."""
_INTO = ("pv_wh", "fuel_cell_wh", "discharge_wh", "bought_wh", "imported_wh", "shed_wh")
_OUT = ("load_wh", "charge_wh", "sold_wh", "exported_wh", "spilled_wh")
_PARTIES = ("seller", "buyer", "host")
_OF_ONE_HOUSE = (Kind.METER, RecordKind.ORDER)
"""Kinds of records about one house, which they name in the same place."""


class Hidden(NamedTuple):
    """Blocks as the ledger holds them, and what each party keeps for itself.

    Attributes
    ----------
    records, offsets
        Records of K blocks (M, 72), commitments in place of private records and an aggregate at the end of each block;
        where each block's begin, (K + 1,).
    entries
        Private records by member. The operator has all, and the salts of the state roots.
    """

    records: RecordBytes
    offsets: Ints
    entries: Mapping[int, list[Entry]]


def commit(salt: bytes, record: bytes) -> bytes:
    """Commitment to a private record."""
    return hmac.digest(salt, b"gridsettle/private\0" + record, "sha256")


def derive_salt_secret(key: Ed25519PrivateKey) -> bytes:
    """Derive the secret that all salts of an operator come from; the same key gives the same ledger again."""
    return sha256(b"gridsettle salts v1\0" + key.private_bytes_raw()).digest()


def derive_salt(secret: bytes, chain_id: bytes, interval: int, seq: int) -> bytes:
    """Derive the salt of one record: unpredictable without the secret, and different for every record."""
    place = interval.to_bytes(4, "little") + seq.to_bytes(4, "little")
    return hmac.digest(secret, chain_id + place, "sha256")


def is_private(records: RecordBytes, houses: Collection[int]) -> npt.NDArray[np.bool_]:
    """Which records, (M,), are exchanges that name one of these houses, its meter, or its order."""
    kinds, chosen = records[:, 0], list(houses)
    exchanges, meters = records.view(EXCHANGE).reshape(-1), records.view(METER).reshape(-1)
    named = np.any([np.isin(exchanges[end], chosen) for end in _PARTIES], axis=0)
    metered = np.isin(kinds, _OF_ONE_HOUSE) & np.isin(meters["house"], chosen)
    return np.asarray(((kinds < Kind.METER) & named) | metered, np.bool_)


def hide_records(
    records: RecordBytes,
    offsets: Ints,
    houses: Collection[int],
    secret: bytes,
    chain_id: bytes,
    first_interval: int,
) -> Hidden:
    """Replace every record that names one of `houses` by a commitment.

    Parameters
    ----------
    records, offsets
        Records of K intervals' blocks (M, 72), and where each block's begin, (K + 1,).
    houses
        Private houses.
    secret
        Secret that the salts are derived from, 32 bytes.
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
        state_salt = derive_salt(secret, chain_id, interval, STATE_SEQ)
        entries[OPERATOR].append(Entry(interval, STATE_SEQ, bytes(72), state_salt))
        private = is_private(body, houses)
        aggregate = make_aggregate_record(body[private], interval, body.shape[0])
        for at in np.flatnonzero(private).tolist():
            entry = Entry(interval, at, body[at].tobytes(), derive_salt(secret, chain_id, interval, at))
            for member in (OPERATOR, *_list_parties(entry.record, houses)):
                entries[member].append(entry)
            committed = make_record(PRIVATE, RecordKind.PRIVATE, commitment=commit(entry.salt, entry.record))
            committed[0, 4:12] = body[at, 4:12]
            body[at] = committed[0]
        blocks.append(np.concatenate([body, aggregate]))
    return Hidden(*join_blocks(blocks), entries)


def _list_parties(record: bytes, houses: Collection[int]) -> set[int]:
    row = decode_record(record)
    return {row["house"]} if record[0] in _OF_ONE_HOUSE else {row[end] for end in _PARTIES} & set(houses)


def make_aggregate_record(hidden: RecordBytes, interval: int, seq: int) -> RecordBytes:
    """Make the `AGGREGATE` record of a block's private records (M, 72), which are given in clear."""
    meters = select_rows(hidden, Kind.METER)
    record = make_record(
        AGGREGATE,
        RecordKind.AGGREGATE,
        n_private=hidden.shape[0],
        **sum_money(select_exchanges(hidden)),
        into_wh=sum(int(meters[name].sum(dtype=np.int64)) for name in _INTO),
        out_wh=sum(int(meters[name].sum(dtype=np.int64)) for name in _OUT),
    )
    return number_records(record, interval, seq)


def imbalance_wh(meters: Rows) -> Ints:
    """Energy into each meter's house less energy out of it, Wh; zero for a meter in order."""
    into, out = (sum(meters[name].astype(np.int64) for name in side) for side in (_INTO, _OUT))
    return np.asarray(into - out)


def list_payers(exchanges: Rows) -> Ints:
    """Who pays each exchange: the buyer, or the sharing contract for shared energy."""
    shared = np.isin(exchanges["kind"], (Kind.SHARE_USE, Kind.SHARE_STORE))
    return np.where(shared, CONTRACT, exchanges["buyer"])


def sum_money(exchanges: Rows) -> dict[str, int]:
    """Sum what exchanges change in the accounts of `MONEY`, nEUR; the total is zero."""
    amount, fee = exchanges["amount_neur"], exchanges["fee_neur"]
    payer, seller = list_payers(exchanges), exchanges["seller"]
    wallet = exchanges["kind"] <= Kind.LOT_SALE

    def change(pays: npt.NDArray[np.bool_], earns: npt.NDArray[np.bool_]) -> int:
        return int((amount - fee)[earns].sum() - amount[pays].sum())

    houses = [change((payer >= 0) & paid, (seller >= 0) & paid) for paid in (wallet, ~wallet)]
    utility, contract, operator = (change(payer == pool, seller == pool) for pool in (-1, -2, -3))
    return dict(zip(MONEY, (*houses, utility, contract + int(fee.sum()), operator), strict=True))


def open_commitments(
    records: RecordBytes, interval: int, entries: Mapping[tuple[int, int], Entry]
) -> RecordBytes | str:
    """Put the private records of a block back, and leave out the aggregate.

    Parameters
    ----------
    records
        Records as the ledger holds them, (M, 72).
    interval
        The block's interval.
    entries
        Private records by (interval, number).

    Returns
    -------
    RecordBytes or str
        The block's records in clear, or what is wrong with the entries.
    """
    clear = np.array(records[records[:, 0] != RecordKind.AGGREGATE])
    for at in np.flatnonzero(clear[:, 0] == RecordKind.PRIVATE).tolist():
        seq = int(read_places(clear[at : at + 1])[0, 1])
        entry = entries.get((interval, seq))
        if entry is None:
            return f"private record {seq} cannot be opened: no store at hand holds it"
        if not hmac.compare_digest(commit(entry.salt, entry.record), clear[at, 12:44].tobytes()):
            return f"private record {seq} is not the one that was committed to"
        clear[at] = np.frombuffer(entry.record, np.uint8)
    return clear
