"""The feeders under a medium-voltage net: their cases, checked against the net and one another."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from cosim.case.case import Case, build_case
from cosim.case.head import check_head, make_head_of_case
from cosim.curtailment.feasible import Outcome
from cosim.delivery.setpoints import metered_injections
from cosim.errors import ScenarioError
from cosim.interval.fold import run_intervals
from cosim.portfolio.medium_voltage.net import MediumVoltage
from cosim.scenario.model import Scenario
from data.heads import HeadSeries
from grid_models.arrays import Floats, Mask
from grid_models.powerflow.head import HeadPowerFlow

VN_TOLERANCE = 1e-6
"""Relative difference of nominal voltages up to which they are the same."""


class FeederUnder(NamedTuple):
    """A feeder under a medium-voltage net.

    Attributes
    ----------
    name
        Its name.
    mv_bus
        Index or name of the bus that it hangs on.
    scenario
        What is simulated in it.
    """

    name: str
    mv_bus: int | str
    scenario: Scenario


class Delivered(NamedTuple):
    """What a feeder delivered in T intervals at given voltages of its head.

    Attributes
    ----------
    p_kw, q_kvar
        Injections of its participants, (T, N).
    p_head_kw, q_head_kvar
        Power out of the medium-voltage net into the feeder, (T,).
    loading_percent
        Highest loading of the branches at its head, (T,).
    is_off
        Intervals in which the feeder was switched off, (T,).
    outcome
        (T,) `Outcome`.
    """

    p_kw: Floats
    q_kvar: Floats
    p_head_kw: Floats
    q_head_kvar: Floats
    loading_percent: Floats
    is_off: Mask
    outcome: np.ndarray


def build_cases(mv: MediumVoltage, feeders: Sequence[FeederUnder]) -> list[Case]:
    """Case of each feeder, in the order of the net's participants.

    Raises
    ------
    ScenarioError, data.errors.DataError, grid_models.errors.GridError, market.errors.MarketError
        If a scenario cannot be used, has what cannot be under a medium-voltage net, or its feeder does not fit its bus.
    """
    cases = [_build_case(feeder) for feeder in feeders]
    for k, (feeder, case) in enumerate(zip(feeders, cases, strict=True)):
        _check_fits(mv, k, feeder.name, case)
        _check_times(feeders[0].name, cases[0], feeder.name, case)
    return cases


def _build_case(feeder: FeederUnder) -> Case:
    given = feeder.scenario.network.head_file
    if given is not None:
        raise ScenarioError(
            f"feeder '{feeder.name}', network.head_file: expected none under a medium-voltage net, which gives the "
            f"voltage of the head, got {given}; leave the key out"
        )
    check_head(feeder.scenario)
    return build_case(feeder.scenario)


def _check_fits(mv: MediumVoltage, k: int, name: str, case: Case) -> None:
    """Raise ScenarioError where nominal voltage or frequency of a feeder is not that of its bus."""
    net, at = case.feeder.net, mv.feeder.net
    head, bus = int(case.engine.slack_bus[0]), int(mv.feeder.bus[k])
    for what, ours, theirs, unit in (
        ("nominal voltage", float(net.bus.at[head, "vn_kv"]), float(at.bus.at[bus, "vn_kv"]), "kV"),
        ("frequency", float(net.f_hz), float(at.f_hz), "Hz"),
    ):
        if abs(ours - theirs) > VN_TOLERANCE * abs(theirs):
            raise ScenarioError(
                f"feeder '{name}' at {mv.name_bus(k)}: expected the {what} of the medium-voltage bus, {theirs:g} "
                f"{unit}, at the feeder's head, got {ours:g} {unit}; choose another bus or another feeder"
            )


def _check_times(first: str, of_first: Case, name: str, case: Case) -> None:
    """Raise ScenarioError where two feeders have not the same intervals."""
    ours, theirs = ((str(each.profiles.start), each.n_intervals, each.interval_minutes) for each in (case, of_first))
    if ours != theirs:
        said, wanted = (f"{n} intervals of {minutes} minutes from {start}" for start, n, minutes in (ours, theirs))
        raise ScenarioError(
            f"feeder '{name}': expected the intervals of feeder '{first}', {wanted}, got {said}; give both the same "
            "horizon"
        )


def with_series(case: Case, series: HeadSeries) -> Case:
    """The case with a series of its head."""
    if case.head is not None:
        return replace(case, head=case.head._replace(series=series))
    return replace(case, head=make_head_of_case(case.engine, series))


def deliver(case: Case) -> Delivered:
    """Run a case with a series of its head in memory, and keep what its head needs."""
    assert case.head is not None
    parts = []
    for chunk in run_intervals(case, case.opening):
        p_kw, q_kvar = metered_injections(chunk.window.meters, case.interval_minutes, None, None)
        loading = np.hstack(
            [
                chunk.flow.line_loading_percent[:, case.head.at_lines],
                chunk.flow.trafo_loading_percent[:, case.head.at_trafos],
            ]
        ).max(axis=1, initial=0.0)
        head = chunk.flow.p_slack_kw[:, 0], chunk.flow.q_slack_kvar[:, 0]
        parts.append((p_kw, q_kvar, *head, loading, chunk.outcome == Outcome.DE_ENERGISED, chunk.outcome))
    return Delivered(*map(np.concatenate, zip(*parts, strict=True)))


def solve_head(case: Case, delivered: Delivered, intervals: np.ndarray, vm_pu: Floats) -> tuple[Floats, Floats]:
    """Power into a feeder, (K,) kW and kvar, in some intervals with what it delivered, at other voltages of its head.

    NaN where the feeder has no AC solution there; 0 where it was switched off.
    """
    assert case.head is not None
    engine = HeadPowerFlow(case.head.head, vm_pu)
    flow = engine.solve(delivered.p_kw[intervals], delivered.q_kvar[intervals])
    off = delivered.is_off[intervals]
    return np.where(off, 0.0, flow.p_slack_kw[:, 0]), np.where(off, 0.0, flow.q_slack_kvar[:, 0])
