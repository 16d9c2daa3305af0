"""Which feeders are worst, and whose runs are kept."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from cosim.errors import ScenarioError
from cosim.portfolio.row import RUN
from cosim.results.result import TABLES
from cosim.simulation.resume import is_finished
from market.errors import LedgerError
from market.ledger.store.store import Store
from market.ledger.store.tip import read_tip

RUNS = "runs"
"""Folder of the runs that are kept, one a feeder."""
_WORST = re.compile(r"worst[ =:]?([1-9]\d{0,5})")


class Keep(NamedTuple):
    """How many runs are kept, of the worst feeders first; `every` of all, as they go."""

    number: int
    every: bool = False


def parse_keep(text: str) -> Keep:
    """What `--keep` says.

    Raises
    ------
    ScenarioError
        If it says something else.

    Examples
    --------
    >>> parse_keep("worst 5"), parse_keep("none"), parse_keep("all").every
    (Keep(number=5, every=False), Keep(number=0, every=False), True)
    """
    worst = _WORST.fullmatch(text.strip())
    if worst:
        return Keep(int(worst[1]))
    if text.strip() not in ("all", "none"):
        raise ScenarioError(
            f"--keep: expected all, none, or 'worst 20' with any number from 1 on, got '{text[:80]}'; correct it"
        )
    return Keep(0, every=text.strip() == "all")


def rank_rows(rows: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Rows of feeders that ran, worst first: most energy cut, then highest loading, then by name.

    Examples
    --------
    >>> rows = [{"feeder": name, "status": "run", "cut_kwh": cut, "highest_loading_percent": 80.0}
    ...         for name, cut in (("b", 1.0), ("a", 1.0), ("c", 2.0))]
    >>> [row["feeder"] for row in rank_rows(rows)]
    ['c', 'a', 'b']
    """
    ran = [row for row in rows if row["status"] == RUN]
    return sorted(ran, key=lambda row: (-row["cut_kwh"], -(row["highest_loading_percent"] or 0.0), row["feeder"]))


def choose_kept(rows: Sequence[Mapping[str, Any]], keep: Keep) -> list[str]:
    """Names of the feeders whose runs are kept, worst first."""
    ranked = [str(row["feeder"]) for row in rank_rows(rows)]
    return ranked if keep.every else ranked[: keep.number]


def is_kept(directory: Path, name: str, head: str) -> bool:
    """Whether the run of a feeder lies in the portfolio's folder, its files as they were written, with that head."""
    run = directory / RUNS / name
    return is_finished(run, TABLES) and _read_head(run) == head


def _read_head(run: Path) -> str:
    """Hash of the last block of a run's ledger, hexadecimal; empty where there is no sound ledger."""
    try:
        with Store.open_to_read(run) as store:
            return read_tip(store).hash.hex()
    except LedgerError:
        return ""
