"""Tables of a stochastic hosting capacity: draws, percentiles, the curve of chances, and what binds."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd

from cosim.studies.hosting.chances import chance_interval, percentile_ranks
from cosim.studies.hosting.draws import TECHNOLOGIES, Draws
from cosim.studies.hosting.first import First
from cosim.studies.hosting.street import Street
from cosim.validation.tables import describe_violation
from grid_models.arrays import Floats, Ints, Mask
from grid_models.feeder.connection import NAMES
from grid_models.powerflow.verdicts import Violation

PERCENTS = (5.0, 25.0, 50.0, 75.0, 95.0)
POINTS = 50
"""Steps of the curve in kW."""
NO_SOLUTION = "power_flow"
"""In place of an element where the power flow has no solution."""
NO_REST = "control"
"""In place of an element where inverters or tap changers find no state to rest in."""


class Answers(NamedTuple):
    """What D draws of M devices host.

    Attributes
    ----------
    draws, first
        Devices, and the first violation of each draw.
    interval
        (K,) numbers of the intervals in which they were judged.
    violation
        The limit that each breaks; None where it breaks none, or there is no solution.
    hunts
        (D,) whether it has none since a control finds no rest.
    """

    draws: Draws
    first: First
    interval: Ints
    violation: list[Violation | None]
    hunts: Mask


def make_draws_table(street: Street, answers: Answers) -> pd.DataFrame:
    """One row a draw; see `cosim.studies.hosting.study.StochasticHosting`."""
    draws, first, table = answers.draws, answers.first, make_hosted(answers.draws, answers.first)
    reached, every = table["reached_end"].to_numpy(), table["draw"].to_numpy()
    last = np.minimum(first.n_clean, draws.kw.shape[1] - 1)
    times = street.case.profiles.time[answers.interval[first.interval]]
    table["time"] = pd.Series(times).where(~reached)
    bound = [describe_violation(violation, with_phase=True) for violation in answers.violation]
    table = pd.concat([table, pd.DataFrame(bound).astype({"element": "Int64"})], axis=1)
    unsolved = ~reached & np.array([violation is None for violation in answers.violation])
    table.loc[unsolved, "element_type"] = NO_SOLUTION
    table.loc[unsolved & answers.hunts, "element_type"] = NO_REST
    names = np.array(street.case.feeder.participants, dtype=object)
    technology = np.array(TECHNOLOGIES, dtype=object)[draws.technology[every, last]]
    table["last_technology"] = np.where(reached, "", technology)
    table["last_house"] = np.where(reached, "", names[draws.house[every, last]])
    phase = np.array(NAMES, dtype=object)[draws.code[every, last]]
    table["last_phase"] = np.where(reached | (street.feeder.connections is None), "", phase)
    table["last_kw"] = np.where(reached, np.nan, draws.kw[every, last])
    return table


def make_hosted(draws: Draws, first: First) -> pd.DataFrame:
    """What each draw hosts: the first columns of the table of draws."""
    n_draws, n_devices = draws.kw.shape
    before = np.arange(n_devices) < first.n_clean[:, None]
    every, last = np.arange(n_draws), np.minimum(first.n_clean, n_devices - 1)
    hosted, reached = (draws.kw * before).sum(axis=1), first.interval < 0
    table = pd.DataFrame({"draw": every, "devices": first.n_clean, "hosted_kw": hosted})
    for code, name in enumerate(TECHNOLOGIES):
        table[f"{name}_kw"] = (draws.kw * (before & (draws.technology == code))).sum(axis=1)
    table["reached_end"] = reached
    table["broken_kw"] = np.where(reached, np.nan, hosted + draws.kw[every, last])
    return table


def make_percentiles(table: pd.DataFrame) -> pd.DataFrame:
    """Percentiles of hosted kW with their intervals; a draw that reached its end hosts more than all that it placed.

    Where a percentile or an end of its interval is such a draw it is NaN, and `reached_end` says it of the percentile.
    An end is NaN, too, where there are too few draws for one.
    """
    hosted = np.where(table["reached_end"], np.inf, table["hosted_kw"])
    order = np.argsort(hosted, kind="stable")
    ranked = np.concatenate([[np.nan], hosted[order], [np.nan]])
    rows = []
    for percent in PERCENTS:
        ranks = percentile_ranks(order.size, percent / 100.0)
        value, low, high = (float(ranked[rank]) for rank in ranks)
        rows.append((percent, value, low, high, int(order[ranks[0] - 1]), np.isinf(value)))
    names = ["percent", "hosted_kw", "low_kw", "high_kw", "draw", "reached_end"]
    return pd.DataFrame(rows, columns=names).replace({np.inf: np.nan})


def make_curve(table: pd.DataFrame, draws: Draws) -> pd.DataFrame:
    """Chance that devices of so many kW, or so many devices, break a limit, with its band point by point.

    In kW it ends where the first draw that broke nothing had no more to place.
    """
    broken = table["broken_kw"].to_numpy(np.float64)
    reached = table["reached_end"].to_numpy(bool)
    end = float(np.nanmax(broken, initial=0.0)) if not reached.all() else 0.0
    if reached.any():
        end = float(draws.kw[reached].sum(axis=1).min())
    by_kw = _count(np.linspace(0.0, end, POINTS + 1), np.where(reached, np.inf, broken))
    first = np.where(reached, np.inf, table["devices"].to_numpy(np.float64) + 1.0)
    largest = draws.kw.shape[1] if reached.any() else int(first.max(initial=0.0))
    by_device = _count(np.arange(largest + 1.0), first)
    return pd.concat([by_kw.assign(by="kw"), by_device.assign(by="devices")], ignore_index=True)[
        ["by", "penetration", "chance", "low", "high"]
    ]


def _count(penetration: Floats, broken: Floats) -> pd.DataFrame:
    count = np.searchsorted(np.sort(broken), penetration * (1.0 + 1e-12), side="right")
    low, high = chance_interval(count, broken.size)
    return pd.DataFrame({"penetration": penetration, "chance": count / broken.size, "low": low, "high": high})


def make_binding(table: pd.DataFrame) -> pd.DataFrame:
    """How often each limit is the first that is broken, most often first, with intervals of Clopper and Pearson."""
    keys = ["element_type", "element_name", "phase", "quantity"]
    bound = table[~table["reached_end"]]
    side = np.where(bound["quantity"] != "vm_pu", "", np.where(bound["value"] < bound["limit"], "below", "above"))
    counts = bound.assign(side=side).groupby([*keys, "side"], sort=False).size().rename("draws").reset_index()
    low, high = chance_interval(counts["draws"].to_numpy(), max(len(table), 1))
    counts = counts.assign(share=counts["draws"] / max(len(table), 1), low=low, high=high)
    return counts.sort_values(["draws", *keys], ascending=[False, *(True for _ in keys)]).reset_index(drop=True)


def make_gain(without: pd.DataFrame, table: pd.DataFrame) -> pd.DataFrame:
    """Percentiles of what draws host more than they did without control, kW, with their intervals.

    Of a draw that reached its end only that much is known to be hosted: `at_least` says how many gains are such.
    """
    gain = (table["hosted_kw"] - without["hosted_kw"]).to_numpy(np.float64)
    found = make_percentiles(pd.DataFrame({"hosted_kw": gain, "reached_end": False}))
    found = found.drop(columns=["reached_end", "draw"]).rename(columns={"hosted_kw": "gain_kw"})
    return found.assign(at_least=int((table["reached_end"] | without["reached_end"]).sum()))
