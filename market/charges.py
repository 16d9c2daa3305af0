"""Network charges: what houses pay the network operator for what they withdraw, period by period.

A house is charged for the energy that comes to it over the network for its own use: from the grid at one price, from
other houses, below the transformer, at another. A lot on its way into a battery is not charged: who draws it is, unless
it is in that house's own battery. So each Wh that is used is charged once. The operator buys all losses; by a rule they
are passed on. What a period charges leaves the houses' utility accounts with its last interval and enters the
operator's account: accounts change by zero in total.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from market.errors import MarketError
from market.exchanges import CHARGE, CHARGE_KIND, CHARGED, TERMS, TERMS_KIND, Ints, Kind, LossRule, Rows
from market.state import POOL_OPERATOR
from market.storage import Wh

LARGEST_NEUR, LARGEST_W = 2**50, 2**31 - 1
"""Largest part of a charge, about 1.1 million EUR, and largest peak, which a record can hold."""


class Terms(NamedTuple):
    """What the use of the network costs in K intervals; fields as in `market.exchanges.TERMS`, (K,) each.

    Attributes
    ----------
    ends
        Whether a period ends with the interval.
    loss_rule
        Who pays for losses.
    interval_minutes
        Length of an interval.
    """

    grid_ueur_per_kwh: Ints
    local_ueur_per_kwh: Ints
    power_ueur_per_kw: Ints
    standing_neur: Ints
    ends: npt.NDArray[np.bool_]
    loss_rule: LossRule
    interval_minutes: int

    def select(self, first: int, stop: int) -> Terms:
        """Terms of intervals first … stop-1."""
        return with_columns(self, [column[first:stop] for column in self[:5]])


def with_columns(terms: Terms, columns: Sequence[npt.NDArray[Any]]) -> Terms:
    """Terms with other columns, which are of other intervals."""
    grid, local, power, standing, ends = columns
    return Terms(grid, local, power, standing, ends, terms.loss_rule, terms.interval_minutes)


class Period(NamedTuple):
    """What has come together since the last period ended.

    Attributes
    ----------
    withdrawn_wh, peak_wh, grid_neur, local_neur
        Of each house, (N,): energy charged for, the most of it in one interval, and the energy parts.
    sums
        (3,) price of a kW of the peak so far, µEUR/kW; standing part so far, nEUR; what the operator paid for losses.
    """

    withdrawn_wh: Wh
    peak_wh: Wh
    grid_neur: Ints
    local_neur: Ints
    sums: Ints


class Charges(NamedTuple):
    """Terms of K intervals, and the `CHARGE` rows of the periods that end in them, N for each, (E·N,)."""

    terms: Terms
    rows: Rows


def begin_period(n: int) -> Period:
    """A period in which nothing has happened yet."""
    withdrawn, peak, grid, local = np.zeros((4, n), np.int64)
    return Period(withdrawn, peak, grid, local, np.zeros(3, np.int64))


def find_withdrawn(rows: Rows, offsets: Ints, n: int) -> tuple[Wh, Wh]:
    """Energy that each house is charged for, from the grid and from below the transformer, (K, N) each.

    Parameters
    ----------
    rows, offsets
        Exchanges of K intervals, and where each interval's begin, (K + 1,).
    n
        Number of houses.
    """
    rows = rows[: int(offsets[-1])]
    kind, buyer, wh = rows["kind"], rows["buyer"], rows["delivered_wh"]
    interval = np.repeat(np.arange(offsets.size - 1), np.diff(offsets))
    local = np.isin(kind, (Kind.P2P, Kind.SHARE_USE, Kind.BACKGROUND)) & (buyer >= 0)
    local |= (kind == Kind.LOT_SALE) & (rows["host"] != buyer)
    found = []
    for chosen in (kind == Kind.GRID_IMPORT, local):
        total = np.zeros((offsets.size - 1, n), np.int64)
        np.add.at(total, (interval[chosen], buyer[chosen]), wh[chosen])
        found.append(total)
    return found[0], found[1]


def sum_losses(rows: Rows, offsets: Ints) -> Ints:
    """What the operator paid for the losses of each interval, (K,) nEUR."""
    rows = rows[: int(offsets[-1])]
    interval = np.repeat(np.arange(offsets.size - 1), np.diff(offsets))
    chosen, paid = rows["kind"] == Kind.LOSS, np.zeros(offsets.size - 1, np.int64)
    np.add.at(paid, interval[chosen], rows["amount_neur"][chosen])
    return paid


def share_pro_rata(total: int, weights: Sequence[int]) -> list[int]:
    """Whole parts of `total` in proportion to weights; by largest remainder, of equal ones the first.

    Nobody pays anything where all weights are 0.

    Examples
    --------
    >>> share_pro_rata(100, [1, 1, 1]), share_pro_rata(7, [0, 0])
    ([34, 33, 33], [0, 0])
    """
    whole = sum(weights)
    if whole == 0:
        return [0] * len(weights)
    parts = [total * weight // whole for weight in weights]
    order = sorted(range(len(weights)), key=lambda k: (-(total * weights[k] % whole), k))
    for k in order[: total - sum(parts)]:
        parts[k] += 1
    return parts


def charge_intervals(terms: Terms, rows: Rows, offsets: Ints, first: int, period: Period) -> tuple[Charges, Period]:
    """Charges of the periods that end in K intervals, and what has come together in the one that goes on.

    Parameters
    ----------
    terms
        Of the K intervals.
    rows, offsets
        Their settled exchanges, losses included, and where each interval's begin, (K + 1,).
    first
        Number of the first interval.
    period
        What has come together before.

    Raises
    ------
    MarketError
        If a charge is larger than a record can hold.
    """
    grid, local = find_withdrawn(rows, offsets, period.withdrawn_wh.size)
    losses = sum_losses(rows, offsets)
    charged: list[Rows] = []
    begin = 0
    for stop, ends in _split(terms.ends):
        part = slice(begin, stop)
        period = _add(period, terms.select(begin, stop), grid[part], local[part], losses[part])
        if ends:
            charged.append(close_period(period, terms.loss_rule, terms.interval_minutes, first + stop - 1))
            period = begin_period(period.withdrawn_wh.size)
        begin = stop
    return Charges(terms, np.concatenate([np.zeros(0, CHARGE), *charged])), period


def _split(ends: npt.NDArray[np.bool_]) -> Iterator[tuple[int, bool]]:
    """Where each stretch of one period stops, and whether its period ends there."""
    stops = (np.flatnonzero(ends) + 1).tolist()
    yield from ((stop, True) for stop in stops)
    if ends.size and not ends[-1]:
        yield ends.size, False


def _add(period: Period, terms: Terms, grid_wh: Wh, local_wh: Wh, losses_neur: Ints) -> Period:
    """The period after some more of its intervals."""
    of_all = grid_wh + local_wh
    more = np.array([terms.power_ueur_per_kw.sum(), terms.standing_neur.sum(), losses_neur.sum()], np.int64)
    return Period(
        period.withdrawn_wh + of_all.sum(axis=0),
        np.maximum(period.peak_wh, of_all.max(axis=0, initial=0)),
        period.grid_neur + (grid_wh * terms.grid_ueur_per_kwh[:, None]).sum(axis=0),
        period.local_neur + (local_wh * terms.local_ueur_per_kwh[:, None]).sum(axis=0),
        period.sums + more,
    )


def close_period(period: Period, loss_rule: LossRule, interval_minutes: int, interval: int) -> Rows:
    """`CHARGE` rows of a period that ends with `interval`, one a house, (N,).

    Raises
    ------
    MarketError
        If one is larger than a record can hold.
    """
    price, standing, losses = (int(value) for value in period.sums)
    rows = np.zeros(period.withdrawn_wh.size, CHARGE)
    rows["kind"], rows["interval"], rows["house"] = CHARGE_KIND, interval, np.arange(rows.size)
    peak_w = period.peak_wh * 60 // interval_minutes
    power = [int(watt) * price for watt in peak_w]
    passed_on = losses if loss_rule == LossRule.PRO_RATA else 0
    lost = share_pro_rata(passed_on, period.withdrawn_wh.tolist())
    parts = (period.grid_neur.tolist(), period.local_neur.tolist(), power, [standing] * rows.size, lost)
    largest = max((max(part, default=0) for part in parts), default=0)
    if largest > LARGEST_NEUR or peak_w.max(initial=0) > LARGEST_W:
        raise MarketError(
            f"interval {interval}: expected charges of at most {LARGEST_NEUR} nEUR and peaks of {LARGEST_W} W, got "
            f"{largest} nEUR and {peak_w.max(initial=0)} W; check the prices of section [charges]"
        )
    rows["withdrawn_wh"], rows["peak_w"] = period.withdrawn_wh, peak_w
    for name, part in zip(CHARGED, parts, strict=True):
        rows[name] = part
    return rows


def join_charges(parts: Sequence[Charges | None]) -> Charges | None:
    """Charges of consecutive stretches of intervals as one; None where there are none."""
    given = [part for part in parts if part is not None]
    if not given:
        return None
    terms = [part.terms for part in given]
    columns = [np.concatenate(column) for column in zip(*(one[:5] for one in terms), strict=True)]
    return Charges(with_columns(terms[0], columns), np.concatenate([part.rows for part in given]))


def sum_charges(rows: Rows) -> Ints:
    """What each `CHARGE` row takes from its house, nEUR."""
    return np.asarray(np.sum([rows[name] for name in CHARGED], axis=0, dtype=np.int64))


def find_changes(charges: Charges, n: int) -> Ints:
    """What charges change in the accounts after each of K intervals, (K, 4N + 3); as `flatten_accounts` of states."""
    changes = np.zeros((charges.terms.ends.size, 4 * n + 3), np.int64)
    due = sum_charges(charges.rows).reshape(-1, n)
    at = np.flatnonzero(charges.terms.ends)
    changes[at, n : 2 * n] = -due
    changes[at, 2 * n + POOL_OPERATOR] = due.sum(axis=1)
    return np.cumsum(changes, axis=0)


def make_terms_rows(terms: Terms, first: int) -> Rows:
    """`TERMS` row of each interval, (K,)."""
    rows = np.zeros(terms.ends.size, TERMS)
    rows["kind"], rows["status"], rows["reason"] = TERMS_KIND, terms.ends, terms.loss_rule
    rows["interval"] = first + np.arange(rows.size)
    for name in Terms._fields[:4]:
        rows[name] = getattr(terms, name)
    return rows
