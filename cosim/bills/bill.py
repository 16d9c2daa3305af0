"""Bills of a run: lines by house and month from the verified ledger, whose sums are what the accounts moved by."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from cosim.audit.recorded import Recorded, find_early_end, read_blocks, read_first_block, read_recorded
from cosim.bills.lines import BOUGHT, Line, Sums, add_exchanges, list_charge_lines, list_lines
from cosim.errors import ConservationError, ScenarioError
from cosim.results.result import Result
from market.exchanges import Ints, Kind, Rows
from market.ledger.check.verify import verify_ledger
from market.ledger.format.records import RecordBytes, RecordKind, select_exchanges, select_rows
from market.ledger.store.store import Store

MOST_BILLS = 2000
"""Bills of one page."""


class Bill(NamedTuple):
    """A house's month.

    Attributes
    ----------
    house, month
        Name of the house; the month, such as "2017-06".
    begin, end
        Begin of the first interval and end of the last, local time.
    lines
        What was bought, sold and charged.
    opening_neur, closing_neur
        Wallet and utility account together, before and after.
    """

    house: str
    month: str
    begin: pd.Timestamp
    end: pd.Timestamp
    lines: tuple[Line, ...]
    opening_neur: int
    closing_neur: int

    @property
    def total_neur(self) -> int:
        """What the month brings the house; below zero what it pays."""
        return sum(line.neur for line in self.lines)


class Bills(NamedTuple):
    """Bills of a run, by month and house, and what they rest on."""

    name: str
    head: str
    timezone: str
    is_charged: bool
    bills: tuple[Bill, ...]


class _Month(NamedTuple):
    """What came together in a month: lines, and charges (N rows where the month has ended)."""

    sums: Sums
    charges: list[Rows]


def make_bills(directory: Path, house: str | None = None, month: str | None = None) -> Bills:
    """Bills of a finished run, of one house or all, of one month or all.

    Raises
    ------
    ScenarioError, market.errors.LedgerError
        If the ledger is broken, unfinished or private, tables are not those of the run, or nothing like that is in it.
    ConservationError
        If a bill is not what its account moved by.
    """
    result = Result.load(directory)
    head = check_ledger(result, directory)
    with Store.open_to_read(directory) as store:
        recorded = read_recorded(directory, read_first_block(store, None))
        if recorded.n_intervals >= store.size():
            raise ScenarioError(f"{directory}: expected a finished run, got one whose ledger ends early")
        months = list_months(recorded)
        asked = choose(recorded.feeder.participants, house, "house"), choose(sorted(set(months)), month, "month")
        if (n_bills := len(asked[0]) * len(asked[1])) > MOST_BILLS:
            raise ScenarioError(
                f"{directory}: expected at most {MOST_BILLS:,} bills, got {n_bills:,}; name a house or a month "
                "(--house, --month)"
            )
        kept = collect(recorded, store, months)
    with result.check_files():
        balances = read_balances(result, months, recorded.houses.size)
    bills = [check_bill(bill) for bill in _list_bills(recorded, kept, balances, *asked)]
    charged = recorded.scenario.charges.is_on
    return Bills(recorded.scenario.name, head, find_timezone(recorded), charged, tuple(bills))


def check_ledger(result: Result, directory: Path) -> str:
    """Hash of a run's last block, once its ledger is in clear, is verified, and is that of the run's tables.

    Raises
    ------
    ScenarioError, market.errors.LedgerError
        If one of that is not so.
    """
    if result.scenario.ledger.private:
        raise ScenarioError(
            f"{directory}: expected a ledger in clear, got a private one; a house reads its account by gridsettle "
            "ledger account"
        )
    report = verify_ledger(directory)
    if not report.ok:
        raise ScenarioError(
            f"{directory}: expected a ledger that verifies, got one that is broken at block {report.height}: "
            f"{report.reason}"
        )
    if report.head.hex() != result.summary.get("ledger", {}).get("hash"):
        raise ScenarioError(f"{directory}: expected tables of this ledger, got those of another; make the run again")
    return report.head.hex()


def _list_bills(
    recorded: Recorded,
    kept: Mapping[str, _Month],
    balances: Mapping[str, Ints],
    houses: Sequence[str],
    months: Sequence[str],
) -> Iterator[Bill]:
    """Bills of some houses and months, by month; `balances` are those of all months in their order."""
    names, starts = recorded.feeder.participants, find_starts(recorded)
    step = pd.Timedelta(minutes=recorded.interval_minutes)
    opening = select_rows(recorded.genesis, RecordKind.HOUSE)["wallet_neur"].astype(np.int64)
    named = starts.strftime("%Y-%m")
    for month, closing in balances.items():
        span = starts[named == month]
        for k in (names.index(house) for house in houses if month in months):
            lines = tuple(_list_all_lines(kept[month], k))
            yield Bill(names[k], month, span[0], span[-1] + step, lines, int(opening[k]), int(closing[k]))
        opening = closing


def find_timezone(recorded: Recorded) -> str:
    """Clock of the months: that of the network charges, or that which results are shown in."""
    scenario = recorded.scenario
    return scenario.charges.timezone if scenario.charges.is_on else scenario.horizon.timezone


def find_starts(recorded: Recorded) -> pd.DatetimeIndex:
    """Begin of each interval, local time, (T,)."""
    seconds = recorded.read_parameter("start") + 60 * recorded.interval_minutes * np.arange(recorded.n_intervals)
    return pd.to_datetime(seconds, unit="s", utc=True).tz_convert(find_timezone(recorded))


def list_months(recorded: Recorded) -> list[str]:
    """Month of each interval, such as "2017-06"."""
    return [str(month) for month in find_starts(recorded).strftime("%Y-%m")]


def choose(known: Sequence[str], wanted: str | None, what: str) -> list[str]:
    """All names, or the one that is wanted.

    Raises
    ------
    ScenarioError
        If there is no such name.

    Examples
    --------
    >>> choose(["2017-05", "2017-06"], "2017-06", "month")
    ['2017-06']
    """
    if wanted is None:
        return list(known)
    if wanted not in known:
        some = ", ".join(known[:12]) + (", …" if len(known) > 12 else "")
        written = "" if what == "house" or re.fullmatch(r"\d{4}-\d{2}", wanted) else " written as 2017-06"
        raise ScenarioError(f"--{what}: expected a {what} of the run{written} ({some}), got '{wanted}'")
    return [wanted]


def collect(recorded: Recorded, store: Store, months: Sequence[str]) -> Mapping[str, _Month]:
    """What the ledger has of each month.

    Raises
    ------
    ScenarioError
        If the ledger ends before the run, or grows meanwhile.
    """
    n, n_read, height = recorded.houses.size, 0, 0
    kept: dict[str, _Month] = {}
    for block in read_blocks(store, None):
        height = block.height
        if block.holds_interval and block.interval < len(months):
            month = kept.setdefault(months[block.interval], _Month(Sums({}, {}), []))
            _collect_block(month, block.records, n)
            n_read += 1
    if findings := find_early_end(recorded, height, n_read):
        raise ScenarioError(f"{recorded.directory}: expected a finished run, got one of which {findings[0].what}")
    return kept


def _collect_block(month: _Month, records: RecordBytes, n: int) -> None:
    add_exchanges(month.sums, select_exchanges(records), n)
    if (charges := select_rows(records, RecordKind.CHARGE)).size:
        month.charges.append(charges)


def _list_all_lines(month: _Month, house: int) -> Iterator[Line]:
    yield from list_lines(month.sums, house)
    imported = month.sums.wh.get((BOUGHT, Kind.GRID_IMPORT))
    for charges in month.charges:
        yield from list_charge_lines(charges[house], 0 if imported is None else int(imported[house]))


def read_balances(result: Result, months: Sequence[str], n: int) -> Mapping[str, Ints]:
    """Wallet and utility account together of N houses after each month, in the order of time, nEUR."""
    found: dict[str, Ints] = {}
    t = 0
    for part in result.parts("houses", ("wallet_neur", "account_neur")):
        balance = part["wallet_neur"].to_numpy().astype(np.int64) + part["account_neur"].to_numpy()
        for row in balance.reshape(-1, n):
            found[months[t]] = row
            t += 1
    return found


def check_bill(bill: Bill) -> Bill:
    """The bill, if its lines sum to what the account moved by.

    Raises
    ------
    ConservationError
        If they do not.
    """
    if bill.total_neur != bill.closing_neur - bill.opening_neur:
        raise ConservationError(
            f"bill of {bill.house}, {bill.month}: expected {bill.closing_neur - bill.opening_neur} nEUR as the account "
            f"moved by, got {bill.total_neur}; this is a defect, please report it"
        )
    return bill
