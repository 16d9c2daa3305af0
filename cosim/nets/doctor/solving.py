"""Checks that solve: whether a power flow has a solution, and where it ceases to have one; what phases need."""

from __future__ import annotations

from collections.abc import Iterator
from copy import deepcopy
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from cosim.nets.doctor.finding import NET, Found, Severity
from cosim.nets.doctor.subject import Subject
from cosim.nets.solution import NetSolution
from cosim.nets.solve import solve_network
from grid_models.errors import GridError
from grid_models.feeder.elements import REPLACED
from grid_models.phases.tables import Row
from grid_models.phases.zero_sequence import GROUPS, LINE_COLUMNS, SOURCE_COLUMNS, TRAFO_COLUMNS

HALVINGS = 7
"""Steps of the search for the power at which there still is a solution: to within 1 % of all power."""


class LastSolved(NamedTuple):
    """Share of all power with a solution; the bus whose voltage is lowest there, and that voltage, pu."""

    share: float
    bus: str
    vm_pu: float


def find_no_solution(subject: Subject) -> Iterator[Found]:
    """No solution of the power flow, and the bus at which the voltage breaks down first."""
    try:
        if _solve(subject, 1.0).converged:
            return
        last = _find_last_solved(subject)
    except GridError as reason:
        yield Found(NET, None, f"the power flow is refused: {reason}", remedy="do what the message says")
        return
    if last is None:
        what = "the power flow has no solution, nor has one without any load and generation"
        yield Found(
            NET, None, what, 0.0, "% of power", remedy="look at impedances, taps and voltages held, not at loads"
        )
        return
    what = (
        f"the power flow has no solution; at {100.0 * last.share:.0f} % of all power it has one, with the lowest "
        f"voltage here, {last.vm_pu:.3f} pu"
    )
    table, index = _find_bus(subject, last.bus)
    yield Found(table, index, what, round(100.0 * last.share, 1), "% of power")


def _solve(subject: Subject, share: float) -> NetSolution:
    """Solution with a share of all power; a folder's is solved with its four wires."""
    if subject.tables is not None:
        scaled = [
            Row({**row.cells, "p_kw": row["p_kw"] * share, "q_kvar": row["q_kvar"] * share}, row.place)
            for row in subject.tables.load
        ]
        return solve_network(subject.tables._replace(load=scaled), subject.model, subject.where)
    net = deepcopy(subject.net)
    for table in REPLACED:
        if len(net[table]) and "scaling" in net[table]:
            net[table]["scaling"] = net[table]["scaling"].astype(float) * share
    return solve_network(net, subject.model, subject.where)


def _find_last_solved(subject: Subject) -> LastSolved | None:
    """The largest share of all power with a solution, by halving; None where there is none without power either."""
    low, high, solved = 0.0, 1.0, _solve(subject, 0.0)
    if not solved.converged:
        return None
    for _ in range(HALVINGS):
        middle = (low + high) / 2.0
        found = _solve(subject, middle)
        low, high, solved = (middle, high, found) if found.converged else (low, middle, solved)
    vm_pu = {place: abs(v) / solved.base_v[place] for place, v in solved.v.items() if place[1] in "abc"}
    known = {place: value for place, value in vm_pu.items() if np.isfinite(value)}
    (bus, _), least = min(known.items(), key=lambda item: item[1])
    return LastSolved(low, bus, least)


def _find_bus(subject: Subject, bus: str) -> tuple[str, int]:
    """Table and index of a bus of a solution, which a folder calls by its name."""
    if subject.tables is None:
        return "bus", int(bus)
    names = subject.net.bus["name"]
    return "bus", int(names.index[names == bus][0])


def find_missing_zero_sequence(subject: Subject) -> Iterator[Found]:
    """Lines, transformers and sources without a zero sequence, in a net whose phases differ."""
    asked = subject.scenario is not None and subject.scenario.network.model != "balanced"
    if subject.tables is not None or not (asked or _has_phases(subject)):
        return
    if subject.scenario is not None and (
        subject.scenario.network.zero_sequence or subject.scenario.network.source == "generated"
    ):
        return
    severity = Severity.ERROR if asked else None
    columns = {"line": LINE_COLUMNS, "trafo": TRAFO_COLUMNS, "ext_grid": SOURCE_COLUMNS}
    for table, wanted in columns.items():
        for label, row in subject.select(table).iterrows():
            lacking = [column for column in wanted if not _is_number(row.get(column))]
            if table == "trafo" and str(row.get("vector_group")).lower() not in GROUPS:
                lacking.append(f"vector_group (one of {', '.join(GROUPS)})")
            if lacking:
                yield Found(
                    table, int(str(label)), f"lacks {', '.join(lacking)}", float(len(lacking)), "columns", severity
                )


def _is_number(value: Any) -> bool:
    return bool(np.isfinite(pd.to_numeric(value, errors="coerce"))) if value is not None else False


def _has_phases(subject: Subject) -> bool:
    """Whether an element in service draws or feeds unlike powers on its phases."""
    for table in ("asymmetric_load", "asymmetric_sgen"):
        frame = subject.select(table)
        for kind in ("p_{}_mw", "q_{}_mvar") if len(frame) else ():
            powers = frame[[kind.format(phase) for phase in "abc"]].astype(float).to_numpy()
            if np.ptp(powers, axis=1).max() > 0.0:
                return True
    return False
