"""What a run delivered: energies of each house and interval, after the network's verdict, from its verified ledger."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np

from cosim.audit.recorded import Entries, Recorded, find_early_end, read_blocks, read_first_block, read_recorded
from cosim.errors import ScenarioError
from market.exchanges import Ints, Kind, Rows
from market.ledger.check.verify import verify_ledger
from market.ledger.format.records import select_rows
from market.ledger.store.store import Store

MOST_READINGS = 50_000_000
"""Meter readings, houses x intervals, that are taken into memory."""


class Delivered(NamedTuple):
    """What a run delivered.

    Attributes
    ----------
    head
        Hash of the ledger's last block, hexadecimal.
    names
        Of the houses, (N,).
    start, interval_minutes
        Begin of the first interval, seconds since 1970-01-01 UTC, and length of an interval.
    generation_wh, use_wh
        All that a house generated, less what was spilled, and what its battery gave; all that it used, less what was
        shed, and what its battery took; (T, N), Wh.
    charged
        Whether the run charged houses for the network; no law's settlement has that in it.
    """

    head: str
    names: tuple[str, ...]
    start: int
    interval_minutes: int
    generation_wh: Ints
    use_wh: Ints
    charged: bool = False


def read_delivered(directory: Path, entries: Entries | None = None) -> Delivered:
    """Read a run's meters, once its ledger is verified in full.

    Raises
    ------
    ScenarioError, market.errors.LedgerError
        If the ledger is broken, unfinished, or holds private records that cannot be opened.
    """
    report = verify_ledger(directory, entries=entries)
    if not report.ok:
        raise ScenarioError(
            f"{directory}: expected a ledger that verifies, got one that is broken at block {report.height}: "
            f"{report.reason}"
        )
    with Store.open_to_read(directory) as store:
        recorded = read_recorded(directory, read_first_block(store, entries))
        n_intervals, n_houses = recorded.n_intervals, recorded.houses.size
        if n_intervals * n_houses > MOST_READINGS:
            raise ScenarioError(
                f"{directory}: expected at most {MOST_READINGS:,} readings, got more; take a shorter run"
            )
        generation, use = (np.zeros((n_intervals, n_houses), np.int64) for _ in range(2))
        n_read = 0
        for block in read_blocks(store, entries):
            if block.holds_interval and block.interval < n_intervals:
                generation[block.interval], use[block.interval] = measure(select_rows(block.records, Kind.METER))
                n_read += 1
        last = store.block(store.size() - 1)
    if last.hash != report.head:
        raise ScenarioError(
            f"{directory}: expected a ledger that stays as it is, got one that grew meanwhile; try again"
        )
    _check_end(directory, recorded, last.height, n_read)
    start = recorded.read_parameter("start")
    return Delivered(
        report.head.hex(),
        recorded.feeder.participants,
        start,
        recorded.interval_minutes,
        generation,
        use,
        recorded.scenario.charges.is_on,
    )


def _check_end(directory: Path, recorded: Recorded, height: int, n_read: int) -> None:
    for finding in find_early_end(recorded, height, n_read):
        raise ScenarioError(f"{directory}: expected a finished run, but {finding.what}; finish it with --resume")


def measure(meters: Rows) -> tuple[Ints, Ints]:
    """Generation and use of each house in one interval, (N,) Wh each, from its `METER` rows.

    Their difference is what the house feeds in at its connection: bought, sold, imported and exported energies of a
    meter balance with them, so that the verdict's curtailment is in both.
    """
    read = {name: meters[name].astype(np.int64) for name in meters.dtype.names or () if name.endswith("_wh")}
    generation = read["pv_wh"] + read["fuel_cell_wh"] + read["discharge_wh"] - read["spilled_wh"]
    return generation, read["load_wh"] - read["shed_wh"] + read["charge_wh"]


def at_connection(generation_wh: Ints, use_wh: Ints) -> tuple[Ints, Ints]:
    """What is fed in and what is drawn at the connection in each interval.

    Examples
    --------
    >>> at_connection(np.array([5, 2]), np.array([3, 3]))
    (array([2, 0]), array([0, 1]))
    """
    return np.maximum(generation_wh - use_wh, 0), np.maximum(use_wh - generation_wh, 0)
