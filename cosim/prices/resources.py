"""What an interval asks of the network, and who can give way at what cost.

The wishes of the houses are those that the market cleared, before anything is cut. What can give way is generation of
panels, which costs nothing to give up, devices that can wait, which buy later at the price that they say, and load,
at the value of lost load. A device that could have waited and did not asks for its energy now: waiting costs it no less
than the utility's price of now, and something for the wait. Batteries and fuel cells do what they do as cleared.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.sparse import coo_array, csc_array

from cosim.case.solve import load_q_kvar
from cosim.curtailment.decision_variables import find_columns, find_waiting_shares, list_waiting
from cosim.curtailment.priority import VALUE_OF_LOST_LOAD, value_of_lost_load
from cosim.curtailment.search import Problem
from cosim.delivery.setpoints import at_device, injection_kw, mean_kw
from grid_models.arrays import Floats, Places
from market.exchanges import UEUR_PER_EUR
from market.flexible import price_later


class Costs(NamedTuple):
    """What giving way costs, EUR/kWh.

    Attributes
    ----------
    lost_load
        Value of lost load of a house of normal priority; a tenth of it for a low one, ten times for a high one.
    waiting
        What a device that can wait is paid for it, above the larger of the prices of now and of later.
    """

    lost_load: float = 10.0
    waiting: float = 0.05


class Resources(NamedTuple):
    """Injections as wished, and M amounts of power by which they can be changed.

    Attributes
    ----------
    p_kw, q_kvar
        Injections as wished, (C,), positive into the network.
    effect
        (C, M) complex change of the injections, P + jQ, per kW of each amount.
    cost_eur_per_kwh
        Cost of each amount beside what the utility is paid, (M,).
    upper_kw
        Largest amounts, (M,); the least are 0.
    """

    p_kw: Floats
    q_kvar: Floats
    effect: csc_array
    cost_eur_per_kwh: Floats
    upper_kw: Floats

    def at(self, x: Floats) -> tuple[Floats, Floats]:
        """Injections with the amounts `x`, (M,) kW: (C,) kW and kvar."""
        changed = self.effect @ x
        return self.p_kw + changed.real, self.q_kvar + changed.imag


def make_resources(p: Problem, costs: Costs) -> Resources:
    """Resources of an interval as cleared.

    Parameters
    ----------
    p
        The interval: its orders, the state they were made from, and the meters as if all exchanges were delivered.
    lost_load_eur_per_kwh
        Value of lost load of a house of normal priority; a tenth of it for a low one, ten times for a high one.
    """
    case, minutes = p.case, p.case.interval_minutes
    connections = case.feeder.connections
    p_kw = injection_kw(p.meters[None], minutes, connections)[0]
    of_loads = load_q_kvar(case, p.meters)
    q_kvar = np.zeros(p_kw.size) if of_loads is None else at_device(of_loads, "load", connections)
    wh = {name: p.meters[name].astype(np.int64) for name in ("pv_wh", "spilled_wh", "load_wh")}
    lost = costs.lost_load * value_of_lost_load(case) / VALUE_OF_LOST_LOAD["normal"]
    at_load = find_columns(p)[0]
    at_panels = at_load if connections is None else connections.column("pv")
    one = np.ones(at_load.size)
    columns = [([(at_panels, -one)], np.zeros(one.size), wh["pv_wh"] - wh["spilled_wh"])]
    if waiting := list_waiting(p):
        shares = find_waiting_shares(p, at_load)
        known = np.maximum(price_later(p.state.flexible, one.size), p.orders.utility_ueur_per_kwh)
        later = known / UEUR_PER_EUR + costs.waiting
        columns += [(shares, cost, amount) for cost, amount in zip((later, lost), waiting, strict=True)]
    columns.append(([(at_load, one)], lost, wh["load_wh"] - sum(waiting)))
    upper = np.concatenate([mean_kw(np.maximum(amount, 0), minutes) for _, _, amount in columns])
    cost = np.concatenate([cost for _, cost, _ in columns])
    effect = _make_effect([shares for shares, _, _ in columns], p_kw.size) + _make_reactive(p, at_load, upper.size)
    can_move = np.flatnonzero(upper > 0.0)
    return Resources(p_kw, q_kvar, csc_array(effect[:, can_move]), cost[can_move], upper[can_move])


def _make_effect(columns: list[list[tuple[Places, Floats]]], n_injections: int) -> csc_array:
    """(C, M) change of the injections by amounts of the houses, of each kind its injections and shares in them."""
    n = columns[0][0][0].size
    parts = [(at, k * n + np.arange(n), share) for k, shares in enumerate(columns) for at, share in shares]
    row, column, change = (np.concatenate([part[k] for part in parts]) for k in range(3))
    return csc_array(coo_array((change.astype(np.complex128), (row, column)), (n_injections, len(columns) * n)))


def _make_reactive(p: Problem, at_load: Places, n_amounts: int) -> csc_array:
    """(C, M) change of reactive injections: load that waits or is shed takes its reactive power with it."""
    n, n_injections = at_load.size, p.case.feeder.injection_bus.size
    if p.case.load_reactive is None:
        return csc_array((n_injections, n_amounts), dtype=np.complex128)
    column = np.arange(n, n_amounts)  # all but what panels give up
    row, tan_phi = (
        np.tile(of_houses, column.size // n) for of_houses in (at_load, p.case.load_reactive.tan_phi(p.orders.interval))
    )
    return csc_array(coo_array((1j * tan_phi, (row, column)), (n_injections, n_amounts)))
