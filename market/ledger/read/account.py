"""The account of a member: its balances and energies, from the records that name it alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from market.errors import LedgerError
from market.exchanges import CHARGED, METER, Ints, Kind, Rows
from market.ledger.format.records import HOUSE, RecordBytes, RecordKind, read_places, select_exchanges, select_rows
from market.ledger.private.commitments import GENESIS, list_payers
from market.ledger.private.entries import select_entries
from market.ledger.private.vault import Entry
from market.ledger.store.registry import Registry, is_granted
from market.ledger.store.store import Store
from market.ledger.store.tip import decode_records

NETWORK_CHARGES = "network_charges"
"""What charges for the use of the network are called among the money of an account."""


class Account(NamedTuple):
    """A member's account.

    Attributes
    ----------
    member, n_intervals
        Number of the member, and of intervals that its meter has recorded.
    wallet_neur, account_neur
        Wallet and utility account after the last interval; the account is negative where the member owes.
    own_wh, hosted_wh
        What its battery holds: its own energy, and lots of others.
    money_neur
        What it earned, less what it paid and fees, by kind of exchange; and `NETWORK_CHARGES`, where there are any.
    energy_wh
        Sums of its meter readings by column.
    """

    member: int
    n_intervals: int
    wallet_neur: int
    account_neur: int
    own_wh: int
    hosted_wh: int
    money_neur: Mapping[str, int]
    energy_wh: Mapping[str, int]


def may_read(registry: Registry, reader: int, owner: int, interval: int) -> bool:
    """Whether a member may read an account in an interval: its own always, another's with a grant that stands."""
    return reader == owner or is_granted(registry, owner, reader, interval)


def collect_entries(store: Store, member: int, private: Sequence[Entry] = ()) -> RecordBytes:
    """Collect all records that name a member, those in clear and those from its store, in the order of the ledger.

    Those of the first block are left out.
    """
    parts = [select_entries(decode_records(block.records), member) for group in store.groups() for block in group]
    own = [entry.record for entry in private if entry.record[0] and entry.interval != GENESIS]
    parts += [np.frombuffer(record, np.uint8).reshape(1, -1) for record in own]
    entries = np.concatenate(parts)
    interval, seq = read_places(entries).T
    return entries[np.lexsort((seq, interval))]


def make_account(store: Store, member: int, entries: RecordBytes, private: Sequence[Entry] = ()) -> Account:
    """Make the account of a member.

    Parameters
    ----------
    store, member
        The ledger, and the number of the member.
    entries
        Its entries, (M, 72).
    private
        Records of its store, among them what the first block says of it where that is private.

    Raises
    ------
    LedgerError
        If the ledger has no such house, or what the first block says of it is private and not at hand.
    """
    opening = find_opening(store, member, private)
    exchanges, meters = select_exchanges(entries), select_rows(entries, Kind.METER)
    change = money_change_neur(exchanges, member)
    wallet = exchanges["kind"] <= Kind.LOT_SALE  # all others are paid from utility accounts
    last: Any = meters[-1] if meters.size else {"own_wh": opening["own_wh"], "hosted_wh": 0}
    by_kind = {
        Kind(kind).name.lower(): int(change[exchanges["kind"] == kind].sum())
        for kind in np.unique(exchanges["kind"]).tolist()
    }
    charges = select_rows(entries, RecordKind.CHARGE)
    charged = int(sum_charges(charges).sum())
    if charges.size:
        by_kind[NETWORK_CHARGES] = -charged
    columns = [name for name in METER.names or () if name.endswith("_wh")][:-2]
    return Account(
        member,
        meters.size,
        int(opening["wallet_neur"] + change[wallet].sum()),
        int(change[~wallet].sum()) - charged,
        int(last["own_wh"]),
        int(last["hosted_wh"]),
        by_kind,
        {name: int(meters[name].sum(dtype=np.int64)) for name in columns},
    )


def find_opening(store: Store, member: int, private: Sequence[Entry]) -> Any:
    """`HOUSE` record of a member in the first block, from the block itself or from the member's store.

    Raises
    ------
    LedgerError
        If there is no such house, or its record is private and not at hand.
    """
    records = decode_records(store.block(0).records)
    records = records[np.isin(records[:, 0], (RecordKind.HOUSE, RecordKind.PRIVATE))]
    if not 0 <= member < len(records):
        raise LedgerError(f"member {member}: expected a house from 0 to {len(records) - 1}")
    if records[member, 0] == RecordKind.HOUSE:
        return select_rows(records[member : member + 1], RecordKind.HOUSE)[0]
    for entry in private:
        if entry.interval == GENESIS and entry.record[0] == RecordKind.HOUSE:
            return np.frombuffer(entry.record, HOUSE)[0]
    raise LedgerError(f"member {member}: expected its private record of the first block in its store, found none")


def sum_charges(charges: Rows) -> Ints:
    """What each `CHARGE` row takes from its house, nEUR."""
    return np.asarray(sum(charges[name] for name in CHARGED), np.int64)


def money_change_neur(exchanges: Rows, member: int) -> Ints:
    """What a member earns by each exchange, nEUR; negative where it pays."""
    amount = exchanges["amount_neur"]
    earned = np.where(exchanges["seller"] == member, amount - exchanges["fee_neur"], 0)
    return earned - np.where(list_payers(exchanges) == member, amount, 0)
