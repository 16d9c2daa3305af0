"""Hide the records of private houses: commitments in their place, and entries for the stores of those concerned."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from market.errors import LedgerError
from market.exchanges import EXCHANGE, METER, NOBODY, OPERATOR, Ints, Kind
from market.ledger.format.header import make_chain_id
from market.ledger.format.records import (
    AGGREGATE,
    HOUSE,
    RecordBytes,
    RecordKind,
    join_blocks,
    make_record,
    number_records,
    read_places,
    select_rows,
)
from market.ledger.private.commitments import (
    GENESIS,
    LEAST_PRIVATE,
    OF_ONE_HOUSE,
    PARTIES,
    STATE_SEQ,
    commit,
    derive_inputs_salt,
    derive_salt,
    make_private_records,
)
from market.ledger.private.cover import EMPTY_PERIOD, Cover, Period, is_hidden, make_blank_verdict, make_padding
from market.ledger.private.vault import Entry


class Hidden(NamedTuple):
    """Blocks as the ledger holds them, and what each party keeps for itself.

    Attributes
    ----------
    records, offsets
        Records of K blocks (M, 72), commitments in place of private records; where each block's begin, (K + 1,).
    entries
        Private records by member. The operator has all, and the salts of the state roots.
    """

    records: RecordBytes
    offsets: Ints
    entries: Mapping[int, list[Entry]]


class Salts(NamedTuple):
    """Salts of the records of an interval."""

    secret: bytes
    chain_id: bytes
    interval: int

    def at(self, seq: int) -> bytes:
        """Salt of record number `seq`."""
        return derive_salt(self.secret, self.chain_id, self.interval, seq)


def check_houses(houses: Collection[int]) -> None:
    """Refuse too few private houses.

    Raises
    ------
    LedgerError
        If there are fewer than three.
    """
    if len(set(houses)) < LEAST_PRIVATE:
        raise LedgerError(
            f"private records: expected at least {LEAST_PRIVATE} private houses, got {len(set(houses))}; "
            "the sum over fewer would give them away"
        )


def make_room(records: RecordBytes, offsets: Ints, houses: Collection[int], cover: Cover) -> RecordBytes:
    """Copy of K blocks' records with numbers that leave room for the padding in front of each block.

    Parameters
    ----------
    records, offsets
        Records of all blocks (M, 72), and where each block's begin, (K + 1,).
    houses, cover
        Private houses, and how they are covered.
    """
    moved = records.copy()
    hidden = is_hidden(records, houses)
    for first, stop in zip(offsets[:-1].tolist(), offsets[1:].tolist(), strict=True):
        n_padding = cover.count_padding(int(hidden[first:stop].sum()))
        seq = np.arange(n_padding, n_padding + stop - first, dtype="<u4")
        moved[first:stop, 8:12] = seq.view(np.uint8).reshape(-1, 4)
    return moved


def hide_records(
    records: RecordBytes,
    offsets: Ints,
    houses: Collection[int],
    secret: bytes,
    chain_id: bytes,
    first_interval: int,
    cover: Cover,
    period: Period = EMPTY_PERIOD,
) -> Hidden:
    """Replace every record that names one of `houses`, or follows from them, by a commitment.

    Parameters
    ----------
    records, offsets
        Records of K intervals' blocks (M, 72) with room for padding, and where each block's begin, (K + 1,).
    houses
        Private houses.
    secret
        Secret that the salts are derived from, 32 bytes.
    chain_id
        The chain.
    first_interval
        Number of the first interval.
    cover, period
        How they are covered, and what is hidden already of the period of the first interval.

    Raises
    ------
    LedgerError
        If there are fewer than three private houses.
    """
    check_houses(houses)
    entries = _make_entries(houses)
    blocks = []
    for k in range(offsets.size - 1):
        body, interval = records[offsets[k] : offsets[k + 1]], first_interval + k
        salts = Salts(secret, chain_id, interval)
        entries[OPERATOR].append(Entry(interval, STATE_SEQ, bytes(72), salts.at(STATE_SEQ)))
        hidden, n_padding = is_hidden(body, houses), int(read_places(body[:1])[0, 1])
        period = period.with_block(n_padding + int(hidden.sum()), body[hidden])
        seq = n_padding + body.shape[0]
        end = period.make_statement(interval, seq) if cover.ends(interval) else make_blank_verdict(interval, seq)
        period = EMPTY_PERIOD if cover.ends(interval) else period
        padding = make_padding(salts.at(STATE_SEQ), interval, n_padding)
        blocks.append(np.concatenate([padding, _commit_all(body, hidden, salts, entries), end]))
    return Hidden(*join_blocks(blocks), entries)


def hide_genesis(
    records: RecordBytes, houses: Collection[int], secret: bytes
) -> tuple[RecordBytes, Mapping[int, list[Entry]]]:
    """Replace the `HOUSE` records of private houses in the first block; one aggregate says the sum of their wallets.

    Parameters
    ----------
    records
        `PARAMETER` and `HOUSE` records as they are numbered in the block, (M, 72).
    houses, secret
        As for `hide_records`.

    Returns
    -------
    tuple
        The records as the ledger holds them, and entries by member, under the interval `GENESIS`.
    """
    check_houses(houses)
    entries, hidden = _make_entries(houses), is_hidden(records, houses)
    chain_id = make_chain_id(records[records[:, 0] == RecordKind.PARAMETER].tobytes())
    entries[OPERATOR].append(Entry(GENESIS, STATE_SEQ, bytes(72), derive_inputs_salt(secret)))
    wallets = int(select_rows(records[hidden], RecordKind.HOUSE)["wallet_neur"].sum())
    sums = make_record(AGGREGATE, RecordKind.AGGREGATE, n_private=int(hidden.sum()), wallets_neur=wallets)
    last = int(read_places(records[-1:])[0, 1])
    shown = _commit_all(records, hidden, Salts(secret, chain_id, GENESIS), entries)
    return np.concatenate([shown, number_records(sums, 0, last + 1)]), entries


def _make_entries(houses: Collection[int]) -> dict[int, list[Entry]]:
    return {OPERATOR: [], **{house: [] for house in houses}}


def _commit_all(
    body: RecordBytes, hidden: npt.NDArray[np.bool_], salts: Salts, entries: Mapping[int, list[Entry]]
) -> RecordBytes:
    """Records with commitments in place of the hidden ones; each is entered for the operator and those it concerns."""
    chosen = body[hidden]
    commitments = []
    for row, seq, parties in zip(chosen, read_places(chosen)[:, 1].tolist(), _list_parties(chosen), strict=True):
        entry = Entry(salts.interval, seq, row.tobytes(), salts.at(seq))
        commitments.append(commit(entry.salt, entry.record))
        for member in {OPERATOR, *parties} & entries.keys():
            entries[member].append(entry)
    shown = body.copy()
    shown[hidden] = make_private_records(commitments)
    shown[hidden, 4:12] = chosen[:, 4:12]
    return shown


def _list_parties(records: RecordBytes) -> list[list[int]]:
    """Who is named by each of some records, (M, 72); -4 where nobody is, as in what follows from all houses."""
    kinds, exchanges = records[:, 0], records.view(EXCHANGE).reshape(-1)
    parties = np.stack([exchanges[end] for end in PARTIES], axis=1)
    parties[kinds >= Kind.METER] = NOBODY
    for of_one, layout in ((np.isin(kinds, OF_ONE_HOUSE), METER), (kinds == RecordKind.HOUSE, HOUSE)):
        parties[of_one, 0] = records.view(layout).reshape(-1)["house"][of_one]
    parties[parties < 0] = NOBODY  # pools have no store
    found: list[list[int]] = parties.tolist()
    return found
