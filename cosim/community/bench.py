"""A community that is ready to be settled, all of it or a coalition: terms, members' energies and coefficients."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import NamedTuple

import numpy as np

from cosim.community import periods
from cosim.community.coefficients import parse_regulator_file, parse_table, weigh
from cosim.community.delivered import Delivered, at_connection
from cosim.community.terms import AustriaTerms, FranceTerms, ItalyTerms, SpainTerms, Terms
from cosim.errors import ScenarioError
from cosim.scenario.files import read_regular_text
from cosim.scenario.messages import suggest
from market.community.accounts import POOL, RESERVED, Prices, Settlement
from market.community.austria import Community, settle_austria
from market.community.energies import Metered
from market.community.france import settle_france
from market.community.italy import Incentive, settle_italy
from market.community.spain import settle_spain
from market.exchanges import UEUR_PER_EUR, Ints


class Bench(NamedTuple):
    """A community that is ready to be settled.

    Attributes
    ----------
    terms
        Its terms.
    names
        Of the members, (N,).
    start, metered
        Begin of the first period, seconds since 1970-01-01 UTC; energies and month of each.
    weights
        Coefficients by community, (N,) or (P, N); nothing where the law needs none.
    """

    terms: Terms
    names: tuple[str, ...]
    start: int
    metered: Metered
    weights: Mapping[str, Ints]


def read_files(terms: Terms, folder: Path) -> dict[str, str]:
    """Text of the files that belong to terms, by name.

    Raises
    ------
    ScenarioError
        If one cannot be read.
    """
    return {
        name: read_regular_text(folder / name, "the file of coefficients that the terms name") for name in terms.files
    }


def make_bench(terms: Terms, files: Mapping[str, str], delivered: Delivered) -> Bench:
    """Make ready what is settled: members found among the houses, intervals summed, coefficients read.

    Raises
    ------
    ScenarioError, market.errors.MarketError
        If a member is no house, or intervals or coefficients cannot be used.
    """
    generation, use = delivered.generation_wh, delivered.use_wh
    if terms.metering == "connection":
        generation, use = at_connection(generation, use)
    minutes = terms.period_minutes
    sums = [periods.sum_periods(wh, delivered.start, delivered.interval_minutes, minutes) for wh in (generation, use)]
    n_periods = sums[0].shape[0]
    names, weights = _find_members(terms, files, delivered, n_periods)
    places = _find_places(names, delivered.names)
    month = periods.list_months(delivered.start, n_periods, minutes, terms.timezone)
    return Bench(terms, names, delivered.start, Metered(sums[0][:, places], sums[1][:, places], month), weights)


def _find_members(
    terms: Terms, files: Mapping[str, str], delivered: Delivered, n_periods: int
) -> tuple[tuple[str, ...], dict[str, Ints]]:
    """Members of a community in the order of its terms, and coefficients by community."""
    own, minutes = terms.community, terms.period_minutes
    match terms:
        case SpainTerms(supply_points=dict() as points, coefficients_file=str() as file):
            text, by = files[file], list(points.values())
            found = parse_regulator_file(text, file, by, delivered.start, n_periods, terms.timezone)
            return tuple(points), {own: found}
        case FranceTerms(coefficients_file=str() as file):
            names, found = parse_table(files[file], file, delivered.start, n_periods, minutes)
            return names, {own: found}
        case SpainTerms(coefficients=dict() as shares) | FranceTerms(coefficients=dict() as shares):
            return tuple(shares), {own: weigh(shares, "coefficients")}
        case FranceTerms():
            return terms.members or delivered.names, {}
        case ItalyTerms():
            return tuple(name for below in terms.substations.values() for name in below), {}
        case AustriaTerms():
            names = tuple(dict.fromkeys(name for c in terms.communities.values() for name in c.participation_percent))
            return names, {
                key: _place_shares(community.coefficients, names, f"communities.{key}.coefficients")
                for key, community in terms.communities.items()
                if community.coefficients is not None
            }
    raise ScenarioError(f"law: expected one that is known, got {terms.law}")


def _place_shares(shares: Mapping[str, Decimal], names: Sequence[str], where: str) -> Ints:
    """Coefficients of some members, (N,), 0 for all others."""
    known = dict(zip(shares, weigh(shares, where).tolist(), strict=True))
    return np.array([known.get(name, 0) for name in names], np.int64)


def _find_places(names: Sequence[str], houses: Sequence[str]) -> Ints:
    """Places of members among the houses.

    Raises
    ------
    ScenarioError
        If a member is no house, stands twice, or has the name of a party that is none.
    """
    place = {house: k for k, house in enumerate(houses)}
    for name in names:
        if name not in place:
            raise ScenarioError(
                f"members: expected houses of the run, got '{name}'; it has {', '.join(houses[:3])}"
                f"{' …' if len(houses) > 3 else ''}{suggest(name, list(houses))}"
            )
        if name in RESERVED or name.startswith(POOL):
            raise ScenarioError(
                f"members: expected houses with other names than '{name}', which is a party's of its own"
            )
    if len(set(names)) < len(names):
        raise ScenarioError("members: expected each house once, got one again; remove it")
    return np.array([place[name] for name in names], np.int64)


def take_coalition(bench: Bench, places: Sequence[int]) -> Bench:
    """The community that some members would be, by the same law and terms.

    Coefficients keep their proportions; where those of all in a coalition are 0 they count as equal.
    """
    chosen = np.array(places, np.int64)
    metered = bench.metered
    own = Metered(metered.generated_wh[:, chosen], metered.used_wh[:, chosen], metered.month)
    weights = {key: _renew(found[..., chosen]) for key, found in bench.weights.items()}
    return bench._replace(names=tuple(bench.names[k] for k in places), metered=own, weights=weights)


def _renew(weights: Ints) -> Ints:
    return np.where(weights.sum(axis=-1, keepdims=True) == 0, 1, weights)


def in_ueur(price: Decimal) -> int:
    """A price in µEUR/kWh from one in EUR/kWh."""
    return int(price * UEUR_PER_EUR)


def settle_bench(bench: Bench) -> Settlement:
    """Settle a community by the law of its terms; checked: energies balance to the Wh, money to the nEUR.

    Raises
    ------
    market.errors.MarketError
        If its energies or factors cannot be used.
    """
    terms, names, metered = bench.terms, bench.names, bench.metered
    inside = terms.community_eur_per_kwh if isinstance(terms, AustriaTerms | FranceTerms) else Decimal(0)
    prices = Prices(in_ueur(terms.retail_eur_per_kwh), in_ueur(terms.surplus_eur_per_kwh), in_ueur(inside))
    weights = bench.weights.get(terms.community)
    if isinstance(terms, AustriaTerms):
        return settle_austria(metered, _list_communities(terms, bench), names, prices)
    if isinstance(terms, ItalyTerms):
        split = terms.split
        parts = np.array([int(share * 10**12) for share in (split.producers, split.consumers, split.community)])
        paid = Incentive(in_ueur(terms.premium_eur_per_kwh), in_ueur(terms.network_eur_per_kwh), tuple(parts.tolist()))
        return settle_italy(metered, _list_substations(terms, names), names, prices, paid, terms.community)
    if isinstance(terms, SpainTerms) and weights is not None:
        return settle_spain(metered, weights, names, prices, terms.community)
    return settle_france(metered, weights, names, prices, terms.community)


def _list_communities(terms: AustriaTerms, bench: Bench) -> list[Community]:
    return [
        Community(
            key,
            np.array([community.participation_percent.get(name, 0) for name in bench.names], np.int64),
            bench.weights.get(key),
        )
        for key, community in terms.communities.items()
    ]


def _list_substations(terms: ItalyTerms, names: Sequence[str]) -> list[tuple[str, Ints]]:
    return [
        (key, np.array([k for k, name in enumerate(names) if name in below], np.int64))
        for key, below in terms.substations.items()
    ]


def make_worth(bench: Bench) -> Callable[[int], int]:
    """Worth of a coalition by its number: what its members save by the law's settlement against each alone, nEUR.

    Members and the accounts of their communities together: their balance where the coalition is the community, less
    the sum of their balances where each is a community of its own. That of one member is 0.
    """
    alone = [_measure_balance(take_coalition(bench, [k])) for k in range(len(bench.names))]

    def worth(coalition: int) -> int:
        places = [k for k in range(len(bench.names)) if coalition >> k & 1]
        return _measure_balance(take_coalition(bench, places)) - sum(alone[k] for k in places)

    return worth


def _measure_balance(bench: Bench) -> int:
    """What the members and their communities' accounts have after a settlement, nEUR."""
    own = {*bench.names}
    total = 0
    for posting in settle_bench(bench).postings:
        total += posting.amount_neur * (posting.payee in own or posting.payee.startswith(POOL))
        total -= posting.amount_neur * (posting.payer in own or posting.payer.startswith(POOL))
    return total
