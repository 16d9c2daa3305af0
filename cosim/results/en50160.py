"""EN 50160 as a statement: whether a node's voltage, week by week, keeps what the standard says of low voltage.

EN 50160:2010+A1:2015, under normal operating conditions, in each period of one week:

- 4.2.2, supply voltage variations: 95 % of the ten-minute means within Un ± 10 %, and all within Un + 10 % / - 15 %;
- 4.2.4, supply voltage unbalance: 95 % of the ten-minute means of |V2|/|V1| within 0 to 2 %.

Ten-minute means begin at a full ten minutes, UTC, and are r.m.s. means of shorter ones (IEC 61000-4-30). A mean is not
valid, and is counted apart, where the node was off or islanded in a part of it. Every phase is judged by itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from enum import StrEnum
from itertools import repeat
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from grid_models.arrays import Floats, Ints, Mask

MEAN_MINUTES = 10
WEEK_MINUTES = 7 * 24 * 60
USUAL_PU, LOWEST_PU, HIGHEST_PU = 0.10, 0.85, 1.10
"""95 % of the means are to be within 1 ± the first, all between the others."""
VUF_PERCENT = 2.0
SHARE_PERCENT = 95
TOLERANCE = 1e-9
"""Rounding of r.m.s. means, pu and %: a value at its limit is within."""


class Word(StrEnum):
    """What can be said of a clause."""

    KEPT = "kept"
    NOT_KEPT = "not kept"
    TOO_COARSE = "cannot be shown at this resolution"
    INCOMPLETE = "cannot be shown by an incomplete week"
    NO_VALUE = "cannot be shown without a valid mean"
    NOT_MODELLED = "cannot be shown by balanced phases"


ORDER = tuple(Word[name] for name in ("NOT_KEPT", "NOT_MODELLED", "TOO_COARSE", "KEPT", "INCOMPLETE", "NO_VALUE"))
"""Of several words the first one holds for all of them: a week that shows nothing takes nothing away."""


class Block(NamedTuple):
    """Means of K successive intervals at B nodes.

    Attributes
    ----------
    vm_pu
        (K, B, P) voltage of each phase; P = 1 in a balanced model. NaN: off.
    vuf_percent
        (K, B) voltage unbalance factor; (K, 0) in a balanced model.
    islanded
        (K, B) whether the grid did not feed the node.
    """

    vm_pu: Floats
    vuf_percent: Floats
    islanded: Mask

    def select(self, first: int, stop: int | None = None) -> Block:
        """Intervals first … stop-1."""
        return Block._make(column[first:stop] for column in self)


class Counts(NamedTuple):
    """One week of B nodes, in numbers of means.

    Attributes
    ----------
    means
        Means of the week that were simulated.
    off, islanded
        (B,) those that are not valid: off in a part of it; else islanded.
    within
        (B, P) valid ones with the phase's voltage within ± 10 %.
    beyond
        (B,) valid ones with some phase beyond + 10 % / - 15 %.
    lowest_vm_pu, highest_vm_pu
        (B,) extremes of any phase; NaN without a valid mean.
    balanced
        (B,) valid ones with an unbalance within 2 %; (0,) in a balanced model, as the next.
    highest_vuf_percent
        (B,) largest unbalance.
    """

    means: int
    off: Ints
    islanded: Ints
    within: Ints
    beyond: Ints
    lowest_vm_pu: Floats
    highest_vm_pu: Floats
    balanced: Ints
    highest_vuf_percent: Floats

    @property
    def valid(self) -> Ints:
        """(B,) number of valid means."""
        return self.means - self.off - self.islanded


def find_first(start: np.datetime64, interval_minutes: int) -> int:
    """First interval of the first whole ten-minute mean; 0 where none begins at a full ten minutes.

    Examples
    --------
    >>> find_first(np.datetime64("2017-01-01T00:05:00"), 5), find_first(np.datetime64("2017-01-01T00:05:00"), 15)
    (1, 0)
    """
    if interval_minutes >= MEAN_MINUTES:
        return 0
    seconds = -int(start.astype("datetime64[s]").astype(np.int64)) % (60 * MEAN_MINUTES)
    return 0 if seconds % (60 * interval_minutes) else seconds // (60 * interval_minutes)


def count_means_a_week(interval_minutes: int) -> int:
    """Number of means in a whole week: of ten minutes, or of the interval where that is longer.

    Examples
    --------
    >>> [count_means_a_week(minutes) for minutes in (1, 10, 60)]
    [1008, 1008, 168]
    """
    return WEEK_MINUTES // max(interval_minutes, MEAN_MINUTES)


def tally_weeks(blocks: Iterable[Block], start: np.datetime64, interval_minutes: int) -> list[Counts]:
    """Count the means of every week; weeks begin with the first mean, and the last one may be incomplete.

    Parameters
    ----------
    blocks
        Intervals of a run in their order, some at a time: no more than a block is in memory.
    start
        Begin of the first interval, UTC.
    interval_minutes
        Length of the intervals; those longer than ten minutes are counted as they are.
    """
    parts, per_week = max(MEAN_MINUTES // interval_minutes, 1), count_means_a_week(interval_minutes)
    weeks: list[Counts] = []
    missing = 0  # means that the last week still lacks
    for block in join_intervals(blocks, find_first(start, interval_minutes), parts):
        at, n = 0, len(block.islanded)
        while at < n:
            stop = min(n, at + (missing or per_week))
            found = count_means(block.select(at, stop))
            if missing:
                weeks[-1] = add_counts(weeks[-1], found)
            else:
                weeks.append(found)
            missing = (missing or per_week) - (stop - at)
            at = stop
    return weeks


def join_intervals(blocks: Iterable[Block], first: int, parts: int) -> Iterator[Block]:
    """R.m.s. means of every `parts` intervals from `first` on; what is left at the end is no whole mean.

    One that was off in a part of it is off, one that was islanded in a part of it is islanded.
    """
    rest: Block | None = None
    for block in blocks:
        known = block if rest is None else Block._make(map(np.concatenate, zip(rest, block, strict=True)))
        skipped = min(first, len(known.islanded))
        first -= skipped
        whole = (len(known.islanded) - skipped) // parts * parts
        if whole:
            yield _join(known.select(skipped, skipped + whole), parts)
        rest = known.select(skipped + whole)


def _join(block: Block, parts: int) -> Block:
    if parts == 1:
        return block
    vm, vuf, islanded = (column.reshape(len(column) // parts, parts, *column.shape[1:]) for column in block)
    vm, vuf = (np.sqrt(np.square(values).mean(axis=1)) for values in (vm, vuf))
    return Block(vm, vuf, np.logical_or.reduce(islanded, axis=1))


def count_means(means: Block) -> Counts:
    """Count the means of a block, K >= 1, which all belong to one week."""
    off: Mask = np.logical_or.reduce(np.isnan(means.vm_pu), axis=2)
    islanded = means.islanded & ~off
    valid = ~(off | islanded)
    vm = np.where(valid[:, :, None], means.vm_pu, np.nan)
    vuf = np.where(valid[:, : means.vuf_percent.shape[1]], means.vuf_percent, np.nan)
    beyond = (vm < LOWEST_PU - TOLERANCE) | (vm > HIGHEST_PU + TOLERANCE)
    return Counts(
        off.shape[0],
        off.sum(axis=0),
        islanded.sum(axis=0),
        (np.abs(vm - 1.0) <= USUAL_PU + TOLERANCE).sum(axis=0),
        beyond.any(axis=2).sum(axis=0),
        np.fmin.reduce(vm, axis=(0, 2)),
        np.fmax.reduce(vm, axis=(0, 2)),
        (vuf <= VUF_PERCENT + TOLERANCE).sum(axis=0),
        np.fmax.reduce(vuf, axis=0),
    )


def add_counts(one: Counts, other: Counts) -> Counts:
    """Counts of two parts of a week together."""
    return Counts(
        one.means + other.means,
        one.off + other.off,
        one.islanded + other.islanded,
        one.within + other.within,
        one.beyond + other.beyond,
        np.fmin(one.lowest_vm_pu, other.lowest_vm_pu),
        np.fmax(one.highest_vm_pu, other.highest_vm_pu),
        one.balanced + other.balanced,
        np.fmax(one.highest_vuf_percent, other.highest_vuf_percent),
    )


def judge_voltage(week: Counts, resolution_minutes: int) -> list[Word]:
    """What a week says of 4.2.2 at each node, (B,); its means are those of intervals or, if longer, of profile rows."""
    return _judge(week, week.within.min(axis=1), week.beyond > 0, resolution_minutes)


def judge_unbalance(week: Counts, resolution_minutes: int) -> list[Word]:
    """What a week says of 4.2.4 at each node, (B,)."""
    if not week.balanced.size:
        return list(repeat(Word.NOT_MODELLED, week.beyond.size))
    return _judge(week, week.balanced, np.zeros(week.beyond.size, dtype=bool), resolution_minutes)


def _judge(week: Counts, within: Ints, beyond: Mask, resolution_minutes: int) -> list[Word]:
    """Words of a clause. An incomplete week shows what the rest of it, all valid and within, could not mend."""
    valid, per_week = week.valid, count_means_a_week(resolution_minutes)
    if resolution_minutes > MEAN_MINUTES:
        return list(repeat(Word.TOO_COARSE, valid.size))
    incomplete = week.means < per_week
    of = np.full_like(valid, per_week) if incomplete else valid
    broken: npt.NDArray[np.bool_] = beyond | (100 * (valid - within) > (100 - SHARE_PERCENT) * of)
    otherwise = np.where(valid == 0, Word.NO_VALUE, Word.INCOMPLETE if incomplete else Word.KEPT)
    return [Word(word) for word in np.where(broken, Word.NOT_KEPT, otherwise)]


def merge_words(words: Iterable[Word]) -> Word:
    """The word for several weeks or nodes; that of an incomplete week where there are none.

    Examples
    --------
    >>> str(merge_words([Word.INCOMPLETE, Word.KEPT])), str(merge_words([Word.KEPT, Word.NOT_KEPT]))
    ('kept', 'not kept')
    """
    found = set(words)
    return next((word for word in ORDER if word in found), Word.INCOMPLETE)
