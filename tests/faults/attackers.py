"""Attackers who know everything that is public of a private run, and guess from it what each house used, hour by hour.

An attacker is a function of what is published; it gives an estimate for each interval and house, (T, N), or less where
it knows less (NaN).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pandapower as pp

from market.exchanges import EXCHANGE, Kind
from market.ledger.format.header import decode_header
from market.ledger.format.records import (
    AGGREGATE,
    NONE,
    SIGNATURE,
    VERDICT,
    RecordBytes,
    RecordKind,
    select_rows,
)
from market.ledger.store.store import Store
from market.ledger.store.tip import decode_records

Floats = npt.NDArray[np.float64]


class Public(NamedTuple):
    """What is published: blocks of intervals and their stored sizes, and the network."""

    blocks: list[RecordBytes]
    sizes: list[int]
    n_houses: int
    service_cable: Mapping[int, int]
    """House at the end of a line that supplies it alone, by the line's place."""


def read_public(folder: Path, n_houses: int) -> Public:
    """Everything public of a run, from the folder that `gridsettle ledger publish` wrote."""
    with Store.open_to_read(folder) as store:
        stored = [block for group in store.groups() for block in group]
    holding = [block for block in stored if RecordKind.VERDICT in block.records[::72]]
    assert all(decode_header(block.header).n_records == len(block.records) // 72 for block in holding)
    blocks = [decode_records(block.records) for block in holding]
    sizes = [len(block.records) + len(block.header) for block in holding]
    return Public(blocks, sizes, n_houses, find_service_cables(folder / "network.json"))


def find_service_cables(network: Path) -> dict[int, int]:
    """Lines that end at a bus with a single load and no other branch."""
    net = pp.from_json(str(network))
    ends = np.concatenate([net.line.from_bus, net.line.to_bus, net.trafo.hv_bus, net.trafo.lv_bus])
    house_at = {int(bus): house for house, bus in enumerate(net.load.bus)}
    return {
        k: house_at[bus]
        for k, both in enumerate(zip(net.line.from_bus, net.line.to_bus, strict=True))
        for bus in map(int, both)
        if (ends == bus).sum() == 1 and bus in house_at
    }


def of_all(signal: Callable[[RecordBytes], float]) -> Callable[[Public], Floats]:
    """An attacker that takes one number of a block for the load of every house."""

    def guess(public: Public) -> Floats:
        values = np.array([signal(records) for records in public.blocks], float)
        return np.tile(values[:, None], (1, public.n_houses))

    return guess


def verdict_of(name: str, sign: int = 1) -> Callable[[Public], Floats]:
    def value(records: RecordBytes) -> float:
        found = select_rows(records, RecordKind.VERDICT)[name][0]
        return np.nan if found == NONE else sign * float(found)

    return of_all(value)


def sum_of(name: str) -> Callable[[Public], Floats]:
    def value(records: RecordBytes) -> float:
        found = select_rows(records, RecordKind.AGGREGATE)[name]
        return float(found[0]) if found.size else np.nan

    return of_all(value)


def clear_wh(kind: int) -> Callable[[Public], Floats]:
    def value(records: RecordBytes) -> float:
        rows = records[records[:, 0] == kind].view(EXCHANGE).reshape(-1)
        return float(rows["delivered_wh"].sum())

    return of_all(value)


def count_of(*kinds: int) -> Callable[[Public], Floats]:
    return of_all(lambda records: float(np.isin(records[:, 0], kinds).sum()))


def branch_to_cable(public: Public) -> Floats:
    """The most loaded branch is a house's own cable: its loading is the house's power."""
    found = np.full((len(public.blocks), public.n_houses), np.nan)
    for t, records in enumerate(public.blocks):
        verdict = select_rows(records, RecordKind.VERDICT)[0]
        house = public.service_cable.get(int(verdict["branch"]))
        if house is not None:
            found[t, house] = verdict["loading_e4_percent"]
    return found


def losses_of_the_last_step(public: Public) -> Floats:
    """Losses grow with the square of the current: their root, as a guess of everybody's share."""
    return np.sqrt(np.maximum(clear_wh(Kind.LOSS)(public), 0))


def rows_of_each_house(public: Public) -> Floats:
    """Records that bear a member's number."""

    def count(records: RecordBytes, house: int) -> int:
        signers = records[records[:, 0] == RecordKind.SIGNATURE].view(SIGNATURE).reshape(-1)["signer"]
        return int((signers == house).sum())

    return np.array([[count(records, h) for h in range(public.n_houses)] for records in public.blocks], float)


def place_of_the_verdict(public: Public) -> Floats:
    return of_all(lambda records: float(np.flatnonzero(records[:, 0] == RecordKind.VERDICT)[0]))(public)


def steps(attacker: Callable[[Public], Floats]) -> Callable[[Public], Floats]:
    """What changes from one block to the next: edges of steps, differences of sums."""

    def guess(public: Public) -> Floats:
        estimate = attacker(public)
        return np.diff(estimate, axis=0, prepend=estimate[:1])

    return guess


SIGNALS: dict[str, Callable[[Public], Floats]] = {
    **{name: verdict_of(name) for name in (VERDICT.names or ())[5:]},
    "lowest voltage": verdict_of("lowest_vm_upu", -1),
    "status": verdict_of("status"),
    "reason": verdict_of("reason"),
    **{name: sum_of(name) for name in (AGGREGATE.names or ())[5:]},
    "losses in clear": clear_wh(Kind.LOSS),
    "root of losses": losses_of_the_last_step,
    "records": of_all(lambda records: float(len(records))),
    "private records": count_of(RecordKind.PRIVATE),
    "other records": of_all(lambda records: float((records[:, 0] != RecordKind.PRIVATE).sum())),
    "bytes": lambda public: np.tile(np.array(public.sizes, float)[:, None], (1, public.n_houses)),
    "rows of each house": rows_of_each_house,
    "place of the verdict": place_of_the_verdict,
}
ATTACKERS = {
    "branch to cable": branch_to_cable,
    **SIGNALS,
    **{f"steps of {name}": steps(signal) for name, signal in SIGNALS.items()},
}


def rank_correlation(estimate: Floats, true: Floats) -> float:
    """Spearman's correlation over the intervals for which there is an estimate; 0 where that says nothing."""
    known = ~np.isnan(estimate)
    if known.sum() < 8:
        return 0.0
    ranks = [_rank(values[known]) for values in (estimate, true)]
    spread = [rank.std() for rank in ranks]
    if min(spread) < 1e-9:
        return 0.0
    return float(np.mean((ranks[0] - ranks[0].mean()) * (ranks[1] - ranks[1].mean())) / (spread[0] * spread[1]))


def _rank(values: Floats) -> Floats:
    """Ranks; equal values share their mean rank."""
    _, place, counts = np.unique(values, return_inverse=True, return_counts=True)
    return (np.cumsum(counts) - (counts + 1) / 2)[place]


def score(estimate: Floats, loads: Floats) -> float:
    """How well an estimate orders the hours by a house's load: for the house for which it does so best."""
    return max(abs(rank_correlation(estimate[:, h], loads[:, h])) for h in range(loads.shape[1]))


def says_nothing(estimate: Floats, of_others: Floats) -> bool:
    """Whether an estimate is the one that a run of other houses gives: it follows from the time alone."""
    return np.array_equal(estimate, of_others, equal_nan=True)
