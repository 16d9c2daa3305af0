"""Price at each node as the sum of three parts: energy, losses, congestion (Bohn, Caramanis and Schweppe 1984).

The price of a node is the derivative of the least cost by the load there. At the optimum that is the derivative of the
Lagrangian: head price × derivative of the power at the head, plus multipliers × derivatives of the limits that bind.
Of the first, 1 is energy and what is beyond it losses. Prices are whole µEUR/kWh, and the parts sum to the price.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.sparse import coo_array, csc_array

from cosim.curtailment.programme import linearise_limits, make_no_tightening
from cosim.errors import ConservationError
from cosim.prices.nodes import Nodes
from cosim.prices.optimum import Optimum, Sought
from grid_models.arrays import Floats, Places
from grid_models.powerflow.limits import Limits
from grid_models.response.response import Response
from grid_models.response.sensitivity import sensitivity
from market.exchanges import UEUR_PER_EUR

Ueur = npt.NDArray[np.int64]

NEGLIGIBLE_EUR_PER_KWH = 5e-7
"""A limit binds where it changes the price of some node by that much: half a µEUR/kWh."""


class NodePrices(NamedTuple):
    """Prices of K nodes, and the L limits that bind.

    Attributes
    ----------
    energy, loss, congestion
        (K,) µEUR/kWh.
    limit
        Number of each binding limit, as in `cosim.curtailment.programme`, (L,).
    multiplier
        What one unit more of it would save, (L,) EUR/h per pu, or per rating.
    part
        Its part in the congestion of each node, (L, K) EUR/kWh.
    """

    energy: Ueur
    loss: Ueur
    congestion: Ueur
    limit: Places
    multiplier: Floats
    part: Floats

    @property
    def price(self) -> Ueur:
        """(K,) µEUR/kWh."""
        return self.energy + self.loss + self.congestion


def find_node_prices(sought: Sought, optimum: Optimum, nodes: Nodes) -> NodePrices:
    """Prices of the nodes at an optimum.

    Raises
    ------
    ConservationError
        If the parts of a price do not sum to the derivative of the whole cost.
    """
    response = _differentiate(sought, optimum, nodes)
    by_load = -response.by_p.slack_kva().real.sum(axis=0)[nodes.column]
    limit, multiplier, part = _list_binding(sought.limits, optimum, response, nodes)
    u = sought.head_eur_per_kwh
    energy = np.full(nodes.column.size, round(u * UEUR_PER_EUR), np.int64)
    loss = np.rint(u * (by_load - 1.0) * UEUR_PER_EUR).astype(np.int64)
    congestion = np.rint(part.sum(axis=0) * UEUR_PER_EUR).astype(np.int64)
    found = NodePrices(energy, loss, congestion, limit, multiplier, part)
    whole = (u * by_load + part.sum(axis=0)) * UEUR_PER_EUR
    check_sum(found.price, whole)
    return found


def check_sum(price: Ueur, whole: Floats) -> None:
    """Raise ConservationError unless prices, (K,) µEUR/kWh, are the derivatives of the whole cost, (K,), to a rounding.

    Each part is off by half a µEUR/kWh at most.
    """
    worst = float(np.abs(price - whole).max(initial=0.0))
    if not worst <= 1.6:
        raise ConservationError(
            f"local prices: expected energy, loss and congestion to sum to the derivative of the least cost, got "
            f"{worst:g} µEUR/kWh of difference; please report this as a defect"
        )


def _differentiate(sought: Sought, optimum: Optimum, nodes: Nodes) -> Response:
    """The state of an optimum, differentiated by the injections of the participants and of the nodes."""
    p_kw, q_kvar = sought.resources.at(optimum.x)
    none = np.zeros(nodes.column.size)
    response = sensitivity(nodes.engine, np.concatenate([p_kw, none]), np.concatenate([q_kvar, none]))
    assert response is not None  # the same state, which has been solved
    return response


def _list_binding(limits: Limits, optimum: Optimum, response: Response, nodes: Nodes) -> tuple[Places, Floats, Floats]:
    """Binding limits with their multipliers and parts; the facets of a current's circle are one limit."""
    n_voltages, n_ends = 2 * limits.max_vm_pu.size, max(limits.max_end_percent.size, 1)
    rows = np.flatnonzero(optimum.multipliers > 0.0)
    number = optimum.rows.limit[rows]
    of_limit = np.where(number < n_voltages, number, n_voltages + (number - n_voltages) % n_ends)
    chosen = np.zeros(n_voltages + limits.max_end_percent.size, dtype=bool)
    chosen[of_limit] = True
    n = nodes.column.size  # a load is a negative injection
    shape = response.by_p.slack_kva().shape[1], n
    effect = csc_array(coo_array((-np.ones(n), (nodes.column, np.arange(n))), shape))
    linear = linearise_limits(response, limits, chosen, effect, np.zeros(n), make_no_tightening(limits))
    place = {int(limit): k for k, limit in enumerate(linear.limit)}
    at = np.array([place[int(limit)] for limit in number], np.int64)
    of_row = optimum.multipliers[rows, None] * linear.matrix[at].reshape(rows.size, n)
    binding = np.unique(of_limit)
    part, multiplier = np.zeros((binding.size, n)), np.zeros(binding.size)
    which = np.searchsorted(binding, of_limit)
    np.add.at(part, which, of_row)
    np.add.at(multiplier, which, optimum.multipliers[rows])
    some = np.abs(part).max(axis=1, initial=0.0) > NEGLIGIBLE_EUR_PER_KWH
    return binding[some], multiplier[some], part[some]
