"""The head of a feeder in each interval: a series of its voltages, and limits of the loading there, bound to intervals.

A case without a series is left as it is, and costs nothing.
"""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import numpy as np

from cosim.errors import ScenarioError
from cosim.scenario.model import Scenario
from data.heads import HeadSeries, read_heads, select_intervals
from data.profiles import Profiles
from grid_models.arrays import Mask, Places
from grid_models.powerflow.engine import PowerFlow
from grid_models.powerflow.head import Head, HeadPowerFlow, make_head
from grid_models.powerflow.limits import Limits
from grid_models.response.sensitivity import AnyPowerFlow


class HeadOfCase(NamedTuple):
    """The head of a case's feeder.

    Attributes
    ----------
    head
        The feeder's engine, prepared for other voltages of its head.
    series
        Voltages and limits of the case's T intervals.
    at_lines, at_trafos
        Which lines, (L,), and transformers, (R,), are connected to the head.
    """

    head: Head
    series: HeadSeries
    at_lines: Mask
    at_trafos: Mask

    def engine(self, intervals: Places) -> HeadPowerFlow:
        """Engine of some intervals, (K,), which are solved together."""
        return HeadPowerFlow(self.head, self.series.vm_pu[intervals])

    def limits(self, limits: Limits, t: int) -> Limits:
        """The limits that hold in interval t."""
        percent = self.series.max_loading_percent[t]
        if np.isinf(percent):
            return limits
        line, trafo = limits.max_line_loading_percent, limits.max_trafo_loading_percent
        return replace(
            limits,
            max_line_loading_percent=np.where(self.at_lines, np.minimum(line, percent), line),
            max_trafo_loading_percent=np.where(self.at_trafos, np.minimum(trafo, percent), trafo),
        )

    def count_without_limit(self, t: int, n: int) -> int:
        """How many of n intervals from t on can be run together: those before the first limit, and one at least."""
        limited = np.flatnonzero(np.isfinite(self.series.max_loading_percent[t : t + n]))
        return max(int(limited[0]), 1) if limited.size else n


def make_head_of_case(engine: AnyPowerFlow, series: HeadSeries) -> HeadOfCase:
    """Prepare a feeder for a series of its head.

    Raises
    ------
    grid_models.errors.GridError
        If its head can have one voltage only, that of its net.
    """
    assert isinstance(engine, PowerFlow)
    head, m = make_head(engine.origin), engine.matrices
    at = np.isin(m.ends[m.branch], m.reference).any(axis=1) & (m.branch >= 0)
    n_lines = len(engine.feeder.net.line)
    return HeadOfCase(head, series, at[:n_lines], at[n_lines:])


def read_head(scenario: Scenario, profiles: Profiles) -> HeadSeries | None:
    """The series that a scenario names, for the intervals of its profiles; None if it names none.

    Raises
    ------
    ScenarioError
        If something else in the scenario does not go together with it.
    data.errors.DataError
        If the table cannot be used.
    """
    path = scenario.network.head_file
    if path is None:
        return None
    check_head(scenario)
    return select_intervals(read_heads(path), profiles.time)


def check_head(scenario: Scenario) -> None:
    """Raise ScenarioError where a scenario has what needs one voltage of the head for all intervals."""
    for key, given, expected, why in (
        ("network.model", scenario.network.model, "balanced", "three phases have three voltages"),
        ("pv.control", scenario.pv.control, "none", "Q(V) is solved at one voltage of the head"),
        ("pv.volt_watt", scenario.pv.volt_watt, False, "P(V) is solved at one voltage of the head"),
        ("tap_changer.enabled", scenario.tap_changer.enabled, False, "taps step at one voltage of the head"),
        ("market.network", scenario.market.network, "after", "envelopes are found for one voltage of the head"),
        ("ledger.private", scenario.ledger.private, False, "the loading at the head would tell what is hidden"),
        ("events", f"{len(scenario.events)} of them" if scenario.events else "none", "none", "parts have other heads"),
    ):
        if given != expected:
            asked, got = (str(value).lower() for value in (expected, given))
            raise ScenarioError(
                f"scenario '{scenario.name}', {key}: expected {asked} where the head's voltage is given for each "
                f"interval, since {why}, got {got}; change one of the two"
            )


def check_no_head(scenario: Scenario, what: str) -> None:
    """Raise ScenarioError where the head's voltage is given for each interval, in something that knows one alone."""
    if scenario.network.head_file is not None:
        raise ScenarioError(
            f"scenario '{scenario.name}', network.head_file: expected none for {what}, which knows one voltage of the "
            f"feeder's head, got {scenario.network.head_file}; leave the key out"
        )
