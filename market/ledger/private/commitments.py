"""Private records: the ledger holds a salted commitment, the parties hold the record and the salt.

A commitment is HMAC-SHA256(salt, "gridsettle/private" ‖ 0 ‖ record) with 32 bytes of salt, so that a record with few
possible values cannot be guessed. `AGGREGATE` records say what private records change in total; see
`market.ledger.private.cover` for what else a block shows.
"""

from __future__ import annotations

import hmac
from collections.abc import Collection, Mapping, Sequence
from hashlib import sha256
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from market.exchanges import CONTRACT, EXCHANGE, METER, Ints, Kind, Rows
from market.ledger.format.records import (
    AGGREGATE,
    MONEY,
    PRIVATE,
    RecordBytes,
    RecordKind,
    make_record,
    number_records,
    read_places,
    select_exchanges,
    select_rows,
)
from market.ledger.private.vault import LAST_INTERVAL, Entry

LEAST_PRIVATE = 3
"""The sum over fewer private houses in a block would reveal them."""
STATE_SEQ = 2**32 - 1
"""Number under which the operator's store keeps the salt of an interval's state root."""
GENESIS = LAST_INTERVAL
"""Interval under which stores keep the private records of the first block."""
_INTO = ("pv_wh", "fuel_cell_wh", "discharge_wh", "bought_wh", "imported_wh", "shed_wh")
_OUT = ("load_wh", "charge_wh", "sold_wh", "exported_wh", "spilled_wh")
PARTIES = ("seller", "buyer", "host")
OF_ONE_HOUSE = (Kind.METER, RecordKind.ORDER, RecordKind.FLEXIBLE, RecordKind.CHARGE)
"""Kinds of records about one house, which they name in the same place."""


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


def commit_padding(salt: bytes, interval: int, seq: int) -> bytes:
    """Commitment to nothing, number `seq` of an interval; `salt` is that of the interval's state root."""
    place = interval.to_bytes(4, "little") + seq.to_bytes(4, "little")
    return hmac.digest(salt, b"gridsettle/padding\0" + place, "sha256")


def derive_inputs_salt(secret: bytes) -> bytes:
    """Derive the salt of the digests of a private run's inputs, which could be guessed where a seed makes them."""
    return hmac.digest(secret, b"gridsettle inputs v1", "sha256")


def commit_inputs(salt: bytes, digest: bytes) -> bytes:
    """Commitment to a digest of inputs."""
    return hmac.digest(salt, b"gridsettle/inputs\0" + digest, "sha256")


def is_private(records: RecordBytes, houses: Collection[int]) -> npt.NDArray[np.bool_]:
    """Which records, (M,), are exchanges that name one of these houses, its meter, order, devices or charge."""
    kinds, chosen = records[:, 0], list(houses)
    exchanges, meters = records.view(EXCHANGE).reshape(-1), records.view(METER).reshape(-1)
    named = np.any([np.isin(exchanges[end], chosen) for end in PARTIES], axis=0)
    metered = np.isin(kinds, OF_ONE_HOUSE) & np.isin(meters["house"], chosen)
    return np.asarray(((kinds < Kind.METER) & named) | metered, np.bool_)


def make_private_records(commitments: Sequence[bytes]) -> RecordBytes:
    """Make the `PRIVATE` records of commitments, (M, 72)."""
    rows = np.zeros((len(commitments), PRIVATE.itemsize), np.uint8)
    rows[:, 0] = RecordKind.PRIVATE
    rows[:, 12:44] = np.frombuffer(b"".join(commitments), np.uint8).reshape(-1, 32)
    return rows


def make_aggregate_record(hidden: RecordBytes, interval: int, seq: int, n_private: int | None = None) -> RecordBytes:
    """Make the `AGGREGATE` record of private records (M, 72), which are given in clear.

    Parameters
    ----------
    hidden
        The records; only exchanges and meters count.
    interval, seq
        Where the aggregate stands.
    n_private
        Number of private records that it says, that of `hidden` if left out.
    """
    meters = select_rows(hidden, Kind.METER)
    record = make_record(
        AGGREGATE,
        RecordKind.AGGREGATE,
        n_private=hidden.shape[0] if n_private is None else n_private,
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


class Opened(NamedTuple):
    """A block's records in clear.

    Attributes
    ----------
    records
        Its records (M, 72): private ones put back, padding, aggregate and the verdict of a period left out.
    hidden
        Which of them, (M,), the ledger holds as commitments.
    n_padding
        Number of commitments to nothing, in front of all others.
    """

    records: RecordBytes
    hidden: npt.NDArray[np.bool_]
    n_padding: int


def open_block(records: RecordBytes, interval: int, entries: Mapping[tuple[int, int], Entry]) -> Opened | str:
    """Put the private records of a block back.

    Parameters
    ----------
    records
        Records as the ledger holds them, (M, 72).
    interval
        The block's interval; `GENESIS` for the first block.
    entries
        Private records by (interval, number), and salts of state roots.

    Returns
    -------
    Opened or str
        The block's records, or what is wrong with the entries.
    """
    clear = np.array(records)
    hidden = clear[:, 0] == RecordKind.PRIVATE
    state = entries.get((interval, STATE_SEQ))
    n_padding = 0
    for at in np.flatnonzero(hidden).tolist():
        seq, commitment = int(read_places(clear[at : at + 1])[0, 1]), clear[at, 12:44].tobytes()
        entry = entries.get((interval, seq))
        if entry is None:
            if state is None or at > n_padding or commit_padding(state.salt, interval, seq) != commitment:
                return f"private record {seq} cannot be opened: no store at hand holds it"
            n_padding += 1
            continue
        if not hmac.compare_digest(commit(entry.salt, entry.record), commitment):
            return f"private record {seq} is not the one that was committed to"
        clear[at] = np.frombuffer(entry.record, np.uint8)
    is_verdict = clear[:, 0] == RecordKind.VERDICT
    left_out = (clear[:, 0] == RecordKind.AGGREGATE) | (is_verdict & ~hidden & (is_verdict & hidden).any())
    left_out[:n_padding] = True
    return Opened(clear[~left_out], hidden[~left_out], n_padding)


def open_commitments(
    records: RecordBytes, interval: int, entries: Mapping[tuple[int, int], Entry]
) -> RecordBytes | str:
    """Put the private records of a block back, as `open_block` does; returns its records alone."""
    opened = open_block(records, interval, entries)
    return opened if isinstance(opened, str) else opened.records
