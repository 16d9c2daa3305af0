"""Gains shared among members: the game as a table or from a run, shares by a rule, and whether they are in the core."""

from __future__ import annotations

import csv
from collections.abc import Callable, Sequence
from decimal import Decimal, InvalidOperation
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from cosim.community.bench import Bench, make_worth
from cosim.errors import ScenarioError
from cosim.scenario.files import read_regular_text
from cosim.scenario.messages import suggest
from market.community.gains import Shares, find_blocking, find_shapley, round_shares, sample_shapley
from market.community.games import MOST_MEMBERS, Game, list_members, make_game, number_coalition
from market.community.nucleolus import find_nucleolus
from market.exchanges import NEUR_PER_EUR

RULES = ("shapley", "nucleolus")
JOINS = "+"
"""What stands between members of a coalition in a table."""
LARGEST_EUR = 10**12
COLUMNS = ["coalition", "worth_eur"]


class Sharing(NamedTuple):
    """A gain that is shared.

    Attributes
    ----------
    rule, names
        By which rule, among whom, (n,).
    shares, shares_neur
        Exact shares, nEUR, and whole ones that sum to the whole; (n,) each.
    half_width_neur, confidence, n_orders
        Of a sample: half the interval of confidence of each share, (n,); its confidence; orders drawn. Else none, 0, 0.
    worth_neur
        Worth of all together.
    blocking
        Members of the coalition with most reason to leave; nobody where shares are in the core, None where not known.
    excess_neur
        What that coalition is worth more than its members get; 0 without any.
    """

    rule: str
    names: tuple[str, ...]
    shares: Shares
    shares_neur: tuple[int, ...]
    half_width_neur: tuple[float, ...]
    confidence: float
    n_orders: int
    worth_neur: int
    blocking: tuple[str, ...] | None
    excess_neur: Fraction

    @property
    def table(self) -> pd.DataFrame:
        """A row for each member, nEUR; of a sample with half the interval of confidence."""
        columns: dict[str, Any] = {"member": self.names, "share_neur": self.shares_neur}
        if self.half_width_neur:
            columns["half_width_neur"] = self.half_width_neur
        return pd.DataFrame(columns)

    def as_dict(self) -> dict[str, Any]:
        """What `--json` prints."""
        shown: dict[str, Any] = {
            "rule": self.rule,
            "worth_neur": self.worth_neur,
            "shares_neur": dict(zip(self.names, self.shares_neur, strict=True)),
            "exact_neur": dict(zip(self.names, map(str, self.shares), strict=True)),
            "in_core": None if self.blocking is None else not self.blocking,
            "blocking": None if self.blocking is None else list(self.blocking),
            "excess_neur": str(self.excess_neur),
        }
        if self.half_width_neur:
            shown["half_width_neur"] = dict(zip(self.names, self.half_width_neur, strict=True))
            shown |= {"confidence": self.confidence, "orders": self.n_orders}
        return shown


def share_game(game: Game, rule: str) -> Sharing:
    """Share a game whose coalitions are all known.

    Raises
    ------
    ScenarioError, market.errors.MarketError
        If there is no such rule, or the game is too large for it.
    """
    check_rule(rule)
    shares = find_shapley(game) if rule == "shapley" else find_nucleolus(game).shares
    found = find_blocking(game, shares)
    blocking = () if found is None else list_members(found.coalition, game.names)
    excess = Fraction(0) if found is None else found.excess_neur
    worth = game.worth_neur[game.everybody]
    return Sharing(rule, game.names, shares, round_shares(shares), (), 0.0, 0, worth, blocking, excess)


def share_run(bench: Bench, rule: str, *, n_orders: int | None, seed: int, confidence: float) -> Sharing:
    """Share what members of a community save by its law against each alone.

    Parameters
    ----------
    bench
        The community.
    rule
        Of `RULES`.
    n_orders, seed, confidence
        Orders of a sample, what they are drawn by, and its confidence; none: every coalition is settled.

    Raises
    ------
    ScenarioError, market.errors.MarketError
        If there is no such rule, or the community is too large for it.
    """
    check_rule(rule)
    worth = make_worth(bench)
    if n_orders is None:
        check_size(bench.names)
        return share_game(make_game(bench.names, worth), rule)
    if rule != "shapley":
        raise ScenarioError(
            f"--orders: expected it with --rule shapley, which can be sampled, got {rule}; leave it out"
        )
    return _share_by_sample(bench.names, worth, n_orders, seed, confidence)


def check_size(names: Sequence[str]) -> None:
    """Raise `ScenarioError` where there are too many members for every coalition to be settled."""
    if len(names) > MOST_MEMBERS:
        raise ScenarioError(
            f"members: expected at most {MOST_MEMBERS}, whose coalitions can all be settled, got {len(names)}; give "
            "--orders, such as 1000, for a sample of the Shapley value"
        )


def _share_by_sample(
    names: tuple[str, ...], worth: Callable[[int], int], n_orders: int, seed: int, confidence: float
) -> Sharing:
    found = sample_shapley(names, worth, np.random.default_rng(seed), n_orders=n_orders, confidence=confidence)
    whole = round_shares(found.shares)
    return Sharing(
        *("shapley", names, found.shares, whole, found.half_width_neur, confidence, n_orders, sum(whole)),
        None,
        Fraction(0),
    )


def check_rule(rule: str) -> None:
    """Raise `ScenarioError` unless there is such a rule."""
    if rule not in RULES:
        raise ScenarioError(f"--rule: expected {' or '.join(RULES)}, got '{rule}'{suggest(rule, RULES)}")


def read_worth(path: Path) -> Game:
    """A game from a CSV `coalition,worth_eur`, with a row for each coalition: members joined by `+`.

    Members are in the order in which they first occur. Worth has at most nine digits behind the point.

    Raises
    ------
    ScenarioError, market.errors.MarketError
        If it is not as expected, or a coalition is missing or stands twice.
    """
    rows = [row for row in csv.reader(read_regular_text(path, "a CSV coalition,worth_eur").splitlines()) if row]
    if not rows or rows[0] != COLUMNS:
        raise ScenarioError(
            f"{path}: expected columns coalition,worth_eur, got {','.join(rows[0]) if rows else 'none'}"
        )
    if len(rows) - 1 >= 2**MOST_MEMBERS:
        raise ScenarioError(
            f"{path}: expected coalitions of at most {MOST_MEMBERS} members, got {len(rows) - 1:,} rows"
        )
    worths: dict[frozenset[str], int] = {}
    names: dict[str, None] = {}
    for number, row in enumerate(rows[1:], 2):
        members, worth = _parse_row(path, number, row)
        if members in worths:
            raise ScenarioError(f"{path}, row {number}: expected each coalition once, got {row[0]} again; remove it")
        names |= dict.fromkeys(name.strip() for name in row[0].split(JOINS))
        worths[members] = worth
    wanted = 2 ** len(names) - 1 if len(names) <= MOST_MEMBERS else 0
    if len(worths) != wanted:
        raise ScenarioError(
            f"{path}: expected a row for each of the 2^{len(names)} - 1 coalitions of {len(names)} members, at most "
            f"{MOST_MEMBERS}, got {len(worths):,}; add what is missing"
        )
    by_number = {number_coalition(members, tuple(names)): worth for members, worth in worths.items()}
    return make_game(tuple(names), by_number.__getitem__)


def _parse_row(path: Path, number: int, row: list[str]) -> tuple[frozenset[str], int]:
    members = [name.strip() for name in row[0].split(JOINS)]
    try:
        worth = Decimal(row[1]) if len(row) == len(COLUMNS) else Decimal("nan")
    except InvalidOperation:
        worth = Decimal("nan")
    fine = worth.is_finite() and abs(worth) <= LARGEST_EUR and not (worth * NEUR_PER_EUR) % 1
    if not fine or "" in members or len(set(members)) < len(members):
        raise ScenarioError(
            f"{path}, row {number}: expected members joined by {JOINS}, each once, and EUR with at most 9 digits "
            f"behind the point, got '{','.join(row)[:80]}'; correct it"
        )
    return frozenset(members), int(worth * NEUR_PER_EUR)
