"""Whom a rule may touch: the exchanges and houses that help a limit which is broken.

An exchange behind another cable is not to be cut for an overload that it has no part in. By the sensitivities of the AC
state, a rule is given those first that help a broken limit at least half as much per kW as the house that helps most,
then more and more; AC power flow judges as ever.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import numpy as np
from scipy.sparse import csc_array

from cosim.case.solve import linearise
from cosim.curtailment.decision_variables import make_decision_variables
from cosim.curtailment.programme import limit_excess
from cosim.curtailment.search import Found, Scope, Search
from grid_models.arrays import Floats
from grid_models.powerflow.limits import Limits
from grid_models.response.response import InjectionChange, Response
from market.exchanges import Kind, Reason, Rows

HELPS = (0.5, 0.1, 0.01)
"""Least effects on a broken limit, as shares of that of the house with the largest, with which a rule is tried."""

MAX_WIDENINGS = 4
"""Times that a scope takes in what helps limits which only its own cut breaks."""

PURCHASES = [int(kind) for kind in (Kind.P2P, Kind.SHARE_USE, Kind.LOT_SALE)]


def list_scopes(search: Search, *, shedding: bool = False) -> Iterator[Scope]:
    """List scopes of a problem, each wider than the one before; everything where there is no AC solution to start from.

    Where not even the last of `HELPS` is enough, cutting it may break other limits: what helps those is added. Where
    load is shed, so may shedding: a cable that carried too much load can then carry too much generation.
    """
    p = search.problem
    solved = p.reason not in (Reason.NOT_SOLVED, Reason.CONTROL)
    response = linearise(p.case, p.meters) if solved else None
    if response is None:
        yield search.everything
        return
    search.narrow(search.everything)
    variables = make_decision_variables(search)
    scope = Scope(np.zeros_like(search.everything.exchanges), np.zeros_like(search.everything.houses))

    def widen(response: Response, share: float) -> Scope:
        of_cuts, of_houses = np.split(helps(response, p.case.limits, variables.effect, share), [variables.rows.size])
        exchanges = scope.exchanges.copy()
        exchanges[variables.rows[of_cuts]] = True
        return Scope(exchanges, scope.houses | of_houses[-scope.houses.size :])

    for share in HELPS:
        wider = widen(response, share)
        if not wider.equals(scope):
            yield wider
        scope = wider
    for without in (_meters_without, _meters_shed) if shedding else (_meters_without,):
        for _ in range(MAX_WIDENINGS):
            after = linearise(p.case, without(search, scope))
            if after is None or (wider := widen(after, HELPS[-1])).equals(scope):
                break
            scope = wider
            yield scope


def helps(response: Response, limits: Limits, effect: csc_array, share: float) -> np.ndarray:
    """Which decision variables help a broken limit at least `share` times as much per kW as any house could, (M + 2N,).

    Parameters
    ----------
    response
        State and derivatives of the network.
    limits
        Limits, of which those count that the state is beyond.
    effect
        (N, M + 2N) change of each house's injection per kW of each variable, complex where reactive power changes too.
    share
        Least effect, of that of the house with the largest.
    """
    slope = excess_slope(response, limits, response.by_p)
    strongest = np.abs(slope).max(axis=1, initial=0.0)[:, None]
    by_x = slope @ effect.real
    if np.iscomplexobj(effect):
        by_x += excess_slope(response, limits, response.by_q) @ effect.imag
    return np.asarray(((by_x <= -share * strongest) & (strongest > 0.0)).any(axis=0))


def excess_slope(response: Response, limits: Limits, by: InjectionChange) -> Floats:
    """Derivatives of the excess over each broken limit by injection, pu or per cent per kW or kvar, (broken, N)."""
    n_buses = response.vm_pu.size
    broken = np.flatnonzero(limit_excess(response, limits) > 0.0)
    high, low = broken[broken < n_buses], broken[(broken >= n_buses) & (broken < 2 * n_buses)] - n_buses
    ends = broken[broken >= 2 * n_buses] - 2 * n_buses
    current = response.current_percent[ends]
    along = (np.conj(current) / np.abs(current))[:, None] * by.current_percent(ends)
    return np.vstack([by.vm_pu(high), -by.vm_pu(low), along.real])


def _meters_without(search: Search, scope: Scope) -> Rows:
    """Meters of the houses if nothing of the scope's exchanges is delivered."""
    search.narrow(scope)
    return search.try_all([search.deliver_share(0.0)]).settlements[0].meters


def _meters_shed(search: Search, scope: Scope) -> Rows:
    """Meters of the houses if, besides, all load is shed that the scope's houses import."""
    *_, widest = with_purchases(search, [scope])
    search.narrow(widest)
    none = search.with_curtailable(0)
    shed = np.where(search.may_shed, search.imports_wh(none), 0)
    return search.try_all([search.make_delivery(none, shed)]).settlements[0].meters


def with_purchases(search: Search, scopes: Iterable[Scope]) -> Iterator[Scope]:
    """Each scope, and then the same with what its houses buy: only load without a seller can be shed."""
    rows = search.problem.rows
    buys = np.isin(rows["kind"], PURCHASES) & search.everything.exchanges
    for scope in scopes:
        yield scope
        yield scope._replace(exchanges=scope.exchanges | (buys & scope.houses[rows["buyer"]]))


def find_in_scopes(search: Search, rule: Callable[[Search], Found | None], scopes: Iterable[Scope]) -> Found | None:
    """What a rule finds in the narrowest scope in which it finds anything.

    Parameters
    ----------
    search
        The problem; its scope is everything again afterwards.
    rule
        Curtailment rule, or `shed_load`.
    scopes
        Scopes to try, the narrowest first.
    """
    found = None
    for scope in scopes:
        search.narrow(scope)
        found = rule(search)
        if found is not None:
            break
    search.narrow(search.everything)
    return found
