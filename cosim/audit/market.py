"""Recorded intervals cleared again: from the state that the ledger's books give and the meters, by the recorded rules.

It takes a ledger with facts, which records orders and rules. Where the network is whole and no inverter is under
control, everything that such an interval records follows: orders, prices, exchanges, cuts, meters, verdict.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import replace

import numpy as np

from cosim.audit.differences import Difference, find_difference
from cosim.audit.reactive import find_tan_phi, read_load_reactive
from cosim.audit.recorded import Finding, OpenedBlock, Recorded
from cosim.case.case import Case
from cosim.curtailment.feasible import make_feasible
from cosim.delivery.window import InputSeries, make_orders_at
from cosim.interval.interval import close_one
from cosim.recording.blocks import make_block_records
from cosim.recording.topology import read_changes
from market.exchanges import Ints, Kind, Rows
from market.flexible import shifted_wh
from market.ledger.books.bookkeeper import open_books
from market.ledger.books.replay import Books, replay_window
from market.ledger.format.records import (
    ISLANDED,
    VERDICT,
    RecordBytes,
    RecordKind,
    select_exchanges,
    select_rows,
)
from market.ledger.format.submissions import spread_submissions
from market.rules import PLUGGED_IN
from market.state import NO_FLEXIBLE, Lots, State
from market.storage import Ratings, drawn_wh, stored_wh

_COMPARED = (*(int(kind) for kind in Kind), RecordKind.ORDER, RecordKind.FLEXIBLE)
_VERDICTS = (RecordKind.VERDICT, RecordKind.PHASES)
_POWER_FLOWS = slice(36, 40)
"""Bytes of a verdict's count of power flows: an interval with an event takes one more."""

assert VERDICT.fields is not None
assert VERDICT.fields["power_flows"][1] == _POWER_FLOWS.start


def follow_states(
    recorded: Recorded, blocks: Iterable[OpenedBlock], wanted: Collection[int]
) -> Iterator[tuple[int, State | Finding]]:
    """State before each block whose height is wanted, by replaying the books; ends with a finding where they are wrong.

    Parameters
    ----------
    recorded
        The run.
    blocks
        All blocks behind the first.
    wanted
        Heights.
    """
    books, ratings = open_books(recorded.genesis)
    tau, tally = recorded.read_parameter("tau_intervals"), np.zeros(2, np.int64)
    for block in blocks:
        if block.height in wanted:
            yield block.height, make_state(books, ratings, tally)
        if block.holds_interval:
            rows, meters = select_exchanges(block.records), select_rows(block.records, Kind.METER)
            verdict, offsets = select_rows(block.records, RecordKind.VERDICT), np.array([0, rows.size])
            n_right, *_, books = replay_window(
                rows, offsets, meters[None], verdict, books, block.interval, tau, ratings
            )
            if n_right == 0:
                yield block.height, Finding(block.height, "the books are wrong; see gridsettle ledger verify")
                return
            tally += count_lots(rows, ratings)
        books, ratings = _change_batteries(books, ratings, select_rows(block.records, RecordKind.HOUSE))


def make_state(books: Books, ratings: Ratings, tally: np.ndarray) -> State:
    """State of the market that books and tally hold; devices that can wait are in the blocks themselves."""
    lots = Lots(*(np.ascontiguousarray(column) for column in books.lots.T))
    counted = np.concatenate([books.next_lot, tally])
    accounts = books.own_wh, books.wallet_neur, books.account_neur, books.pools_neur
    return State(*accounts, lots, ratings, counted, NO_FLEXIBLE)


def count_lots(rows: Rows, ratings: Ratings) -> np.ndarray:
    """Energy stored in lots of houses, and drawn from such, in an interval, (2,) Wh."""
    stored = rows[(rows["kind"] == Kind.SHARE_STORE) & (rows["buyer"] >= 0)]
    sold = rows[(rows["kind"] == Kind.LOT_SALE) & (rows["seller"] >= 0)]
    into = [stored_wh(int(row["delivered_wh"]), int(ratings.charge_ppm[row["host"]])) for row in stored]
    out = [drawn_wh(int(row["delivered_wh"]), int(ratings.discharge_ppm[row["host"]])) for row in sold]
    return np.array([sum(into), sum(out)], np.int64)


def _change_batteries(books: Books, ratings: Ratings, houses: Rows) -> tuple[Books, Ratings]:
    """Books and ratings after the `HOUSE` records of a block."""
    if houses.size == 0:
        return books, ratings
    own, changed = books.own_wh.copy(), Ratings(*(column.copy() for column in ratings))
    for row in houses:
        own[row["house"]] += row["own_wh"]
        for name in Ratings._fields:
            getattr(changed, name)[row["house"]] = row[name]
    return books._replace(own_wh=own), changed


def can_clear(case: Case, block: OpenedBlock, load_tan_phi_ppm: Ints) -> bool:
    """Whether what a block records follows from its meters and the state before it; parameters as of `clear_again`."""
    verdict, orders = select_rows(block.records, RecordKind.VERDICT), select_rows(block.records, RecordKind.ORDER)
    whole = not orders["part"].any() and not read_changes(block.records)
    known = case.mechanism.code != PLUGGED_IN and (case.control, case.active, case.taps) == (None, None, None)
    tan_phi = find_tan_phi(select_rows(block.records, Kind.METER), load_tan_phi_ppm, case.interval_minutes)
    return bool(whole and known and not verdict["reason"][0] & ISLANDED and not np.isnan(tan_phi).any())


def clear_again(case: Case, state: State, block: OpenedBlock, load_tan_phi_ppm: Ints) -> Difference | None:
    """First difference between a block and what its interval gives, cleared from the state before it.

    Parameters
    ----------
    case
        Market and network; its profiles are not used.
    state
        Before the interval.
    block
        The block, of which `can_clear` holds.
    load_tan_phi_ppm
        Q/P of every house's load in millionths, (N,), as recorded.
    """
    meters, t = select_rows(block.records, Kind.METER), block.interval
    load, pv, cell = (meters[name].astype(np.int64)[None] for name in ("load_wh", "pv_wh", "fuel_cell_wh"))
    load += shifted_wh(select_exchanges(block.records), meters.size)
    state = state._replace(flexible=read_asks(block))
    utility = select_rows(block.records, RecordKind.ORDER)["utility_ueur_per_kwh"][:1]
    submissions = spread_submissions(block.records, meters.size, t, 1)
    orders, before = make_orders_at(InputSeries(load, pv, cell, utility, submissions), 0, t, state, case.rules)
    rows = case.mechanism.clear(orders, before, case.rules).rows
    reactive = read_load_reactive(meters, load_tan_phi_ppm, case.interval_minutes)
    case = replace(case, load_reactive=reactive).at(t, t + 1)
    feasible = make_feasible(case, orders, before, rows)
    priced = replace(case, inputs=case.inputs._replace(utility_ueur_per_kwh=np.full(case.n_intervals, utility[0])))
    chunk = close_one(priced, t, orders, before, rows, feasible, case.opening_network)
    computed, _ = make_block_records(case, chunk)
    return find_difference(block.height, _select(block.records), _select(computed))


def read_asks(block: OpenedBlock) -> Rows:
    """What devices that can wait said at the begin of a block's interval, from what it records of them, (D,)."""
    asks = select_rows(block.records, RecordKind.FLEXIBLE).copy()
    asks["held_wh"] += asks["used_wh"] - asks["made_up_wh"] - asks["stored_wh"]
    asks["unserved_wh"] += asks["stored_wh"]
    asks["given_wh"] = 0
    return asks


def _select(records: RecordBytes) -> RecordBytes:
    """Copy of what is compared of a block."""
    chosen = records[np.isin(records[:, 0], (*_COMPARED, *_VERDICTS))]
    verdict = np.flatnonzero(chosen[:, 0] == RecordKind.VERDICT)
    chosen[verdict, _POWER_FLOWS] = 0
    return chosen
