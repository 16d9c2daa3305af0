"""What P(V) takes of generation where draws stand, and draws that end since a control finds no rest."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd

from cosim.studies.hosting.draws import Draws
from cosim.studies.hosting.first import First, Window, add_up
from cosim.studies.hosting.intervals import AT_ONCE, add_over
from cosim.studies.hosting.street import Street
from grid_models.arrays import Floats, Ints, Mask
from grid_models.powerflow.flow import Engine


class Lost(NamedTuple):
    """What P(V) takes in some intervals from D draws with some of their devices, (D,) each.

    Attributes
    ----------
    generated_kwh
        Energy of all panels, placed or there before, as if P(V) took nothing.
    lost_kwh, most_kw
        What P(V) takes of it, and its largest power at a time.
    """

    generated_kwh: Floats
    lost_kwh: Floats
    most_kw: Floats

    @property
    def percent(self) -> Floats:
        """Share of generation that is lost, %; 0 where there is none."""
        some = self.generated_kwh > 0.0
        return np.divide(100.0 * self.lost_kwh, self.generated_kwh, out=np.zeros_like(self.lost_kwh), where=some)


def find_lost(street: Street, window: Window, draws: Draws, n_placed: Ints) -> Lost:
    """What P(V) takes from draws with their first devices, (D,), in the intervals of a window."""
    n, hours = len(draws.kw), street.controls.interval_s / 3600.0
    lost = Lost(np.zeros(n), np.zeros(n), np.zeros(n))
    for k in range(window.base.interval.size):
        added = add_up(street, window.base, k, draws, n_placed)
        if added.pv_kw is None:
            continue
        taken = street.solve_held(window.base, np.full(n, k), added).lost_kw.sum(axis=1)
        lost.generated_kwh[:] += hours * (added.pv_kw.sum(axis=1) + window.base.pv_kw[k].sum())
        lost.lost_kwh[:] += hours * taken
        lost.most_kw[:] = np.maximum(lost.most_kw, taken)
    return lost


def find_lost_in_all(street: Street, draws: Draws, n_placed: Ints) -> Lost:
    """The same in all intervals."""
    n, hours, n_intervals = len(draws.kw), street.controls.interval_s / 3600.0, street.case.n_intervals
    lost = Lost(np.zeros(n), np.zeros(n), np.zeros(n))
    for first in range(0, n_intervals, AT_ONCE):
        base = street.read_base(np.arange(first, min(first + AT_ONCE, n_intervals)))
        for d, placed in enumerate(n_placed.tolist()):
            added = add_over(street, base, draws.select_one(d), placed)
            if added.pv_kw is None:
                continue
            pv_kw = added.pv_kw.sum(axis=1) + base.pv_kw.sum(axis=1)
            k = np.flatnonzero(pv_kw > 0.0)
            taken = street.solve_held(base, k, added.select(k)).lost_kw.sum(axis=1)
            lost.generated_kwh[d] += hours * pv_kw.sum()
            lost.lost_kwh[d] += hours * taken.sum()
            lost.most_kw[d] = max(lost.most_kw[d], float(taken.max(initial=0.0)))
    return lost


def with_lost(table: pd.DataFrame, lost: Lost) -> pd.DataFrame:
    """A table of draws with what P(V) takes from each."""
    return table.assign(p_v_lost_kwh=lost.lost_kwh, p_v_lost_percent=lost.percent, p_v_most_lost_kw=lost.most_kw)


def find_hunting(street: Street, window: Window, draws: Draws, first: First) -> Mask:
    """Draws that end since their control finds no state to rest in, (D,)."""
    hunts = np.zeros(len(draws.kw), bool)
    ended = np.flatnonzero((first.interval >= 0) & np.isinf(first.excess))
    for k in np.unique(first.interval[ended]).tolist():
        chosen = ended[first.interval[ended] == k]
        some = Draws._make(column[chosen] for column in draws)
        added = add_up(street, window.base, k, some, first.n_clean[chosen] + 1)
        flow = street.solve(window.base, np.full(chosen.size, k), added)
        hunts[chosen] = ~flow.converged & (flow.engine == Engine.CONTROL)
    return hunts
