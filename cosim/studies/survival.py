"""How long critical load, and all load, is served without the grid: outages of every length from hours over a year.

The undisturbed run says what batteries, wallets and devices hold when an outage begins. From there the network goes on
without the grid, hour by hour by the rules of any outage (`cosim.interval.event`), for the longest length that is
asked for: nobody looks ahead, so that its first d hours are those of an outage of d hours.

Law: a curve never rises with the length, and all load is never served longer than critical load.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from cosim.case.case import Case, build_case
from cosim.case.event_checks import list_left_out
from cosim.case.state import NetworkState
from cosim.errors import ScenarioError
from cosim.interval.chunk import Chunk
from cosim.interval.event import with_admitted_devices
from cosim.interval.fold import run_intervals
from cosim.interval.optimistic import settle_optimistically
from cosim.results.csv_text import format_csv
from cosim.results.directory import write_whole
from cosim.scenario.events import OutageEvent, RandomOutagesEvent, RegisterEvent
from cosim.scenario.model import Scenario
from cosim.scenario.random_outages import HOURS_PER_YEAR
from cosim.studies.figures import draw_survival
from cosim.studies.outage_lanes import PRIORITIES, OutageLanes, Start
from cosim.studies.outages import BASE, PLUGGED_IN, VARIANTS, find_changes, find_model
from cosim.studies.study import Task, vary
from grid_models.arrays import Floats, Ints
from market.state import State

BATCHES, FEW_STARTS = 3, 200
"""Most tasks of a variant, and outages for which there is but one: each makes the undisturbed run up to its outages."""
COMPARED = (BASE, PLUGGED_IN, "no market, batteries idle")
QUANTILES = (0.5, 0.9)
CONFIDENCE_Z = 1.959964
"""Standard normal quantile of a confidence of 95 % on both sides."""
_GOLDEN = (5.0**0.5 - 1.0) / 2.0


def list_starts(n: int, hours: int = HOURS_PER_YEAR) -> list[int]:
    """Hours at which outages begin: one in each of `n` equal spans of some hours, at changing times of the day.

    Its place in the span goes on by the golden ratio from span to span. As many as there are hours are all of them.

    Examples
    --------
    >>> list_starts(4)
    [0, 3543, 4896, 8440]
    >>> list_starts(3, 3)
    [0, 1, 2]
    """
    bounds = [k * hours // n for k in range(n + 1)]
    return [low + int(k * _GOLDEN % 1.0 * (high - low)) for k, (low, high) in enumerate(pairwise(bounds))]


def list_survival_tasks(scenario: Scenario, starts: int, longest: int, hours: int) -> list[Task]:
    """Tasks of a scenario as it is, with one more fuel cell from the beginning on, and without a market.

    Parameters
    ----------
    scenario
        What to vary; its own outages say what opens, its other events are left out.
    starts
        Number of outages, spread evenly over the hours from the scenario's start on.
    longest
        Their length, hours.
    hours
        Hours in which outages begin.

    Raises
    ------
    ScenarioError, data.errors.DataError
        If there are more outages than hours, or an input cannot be used.
    """
    if starts > hours:
        raise ScenarioError(f"--starts: expected at most one outage an hour, {hours}, got {starts}; ask for fewer")
    begins = np.array_split(np.array(list_starts(starts, hours)), min(BATCHES, 1 + starts // FEW_STARTS))
    tasks = []
    for name, alone in _list_variants(scenario, longest, hours).items():
        for batch in begins:
            measure = partial(measure_survival, starts=tuple(batch.tolist()), longest=longest)
            tasks.append(Task({"variant": name}, alone, measure))
    return tasks


def _list_variants(scenario: Scenario, longest: int, hours: int) -> dict[str, Scenario]:
    """Scenarios without the grid by name; one that changes nothing is left out."""
    outage = open_for(scenario, hours + longest)
    found: dict[str, Scenario] = {}
    for name in COMPARED:
        sections = {key: value for key, value in VARIANTS[name].items() if key != "plugged_in"}
        events = [*([_plug_in(scenario)] if name == PLUGGED_IN else []), outage]
        one = vary(scenario, "study", **sections, events=events, horizon={"hours": hours + longest})
        if one not in found.values():
            found[name] = one
    return found


def open_for(scenario: Scenario, hours: int) -> dict[str, Any]:
    """An outage of some hours from the start on, of what the scenario's random outages open, or of the whole grid."""
    opens = find_model(scenario).model_dump(include={"grid", "switches", "lines"})
    return {"kind": "outage", "start": scenario.horizon.start, "hours": hours, **opens}


def with_grid(scenario: Scenario) -> Scenario:
    """The scenario without its outages, and without keys that have no effect then."""
    kept = [one.model_dump(exclude_unset=True) for one in scenario.events if not isinstance(one, OutageEvent)]
    return vary(scenario, "study", events=kept)


def _plug_in(scenario: Scenario) -> dict[str, Any]:
    """The fuel cell that the scenario has plugged in first, or an ordinary one, from the first hour on."""
    cells = [one for one in scenario.events if isinstance(one, RegisterEvent) and one.device == "fuel_cell"]
    if cells:
        return cells[0].model_dump(exclude_unset=True) | {"at": scenario.horizon.start}
    house = find_changes(scenario)[PLUGGED_IN]["plugged_in"]
    return {"kind": "register", "at": scenario.horizon.start, "participant": house, "device": "fuel_cell"}


def list_survival_notes(scenario: Scenario) -> list[str]:
    """Remarks on what of a scenario the study leaves out."""
    return list_left_out(scenario, "the survival study", RandomOutagesEvent)


def measure_survival(scenario: Scenario, *, starts: tuple[int, ...], longest: int) -> dict[str, list[Any]]:
    """Load not served in every hour of outages that begin at some hours of an undisturbed run, as columns.

    Parameters
    ----------
    scenario
        Without the grid from first to last; the undisturbed run is that of `with_grid`.
    starts
        Hours at which the outages begin, ascending.
    longest
        Their length, hours.

    Returns
    -------
    dict
        `begins`, `hour` (1 … longest), `critical_short_wh`, and `not_served_wh` with one column a priority, of as many
        rows as all outages have hours.
    """
    case, without = build_case(with_grid(scenario)), build_case(scenario)
    lanes = OutageLanes(without)
    per_hour = 60 // case.interval_minutes
    found: dict[str, list[Any]] = {}
    for begins, (state, network) in zip(starts, follow_undisturbed(case, starts), strict=True):
        rows = lanes.follow(Start(state, network, begins * per_hour), longest * per_hour)
        short = rows.reshape(longest, per_hour, -1).sum(axis=1).T
        names = ("critical_short_wh", *(f"not_served_{name}_wh" for name in PRIORITIES))
        columns = {
            "begins": np.full(longest, begins),
            "hour": np.arange(1, longest + 1),
            **dict(zip(names, short, strict=True)),
        }
        for name, values in columns.items():
            found.setdefault(name, []).extend(values.tolist())
    return found


def follow_undisturbed(case: Case, starts: tuple[int, ...]) -> Iterator[tuple[State, NetworkState]]:
    """State of market and network before each of some hours, ascending.

    Intervals are run in the long windows of any run. Within a window all is clean, and its market is settled once more
    up to the hour.
    """
    wanted = [hour * 60 // case.interval_minutes for hour in starts]
    state, network, t, k = case.opening, case.opening_network, 0, 0
    for chunk in run_intervals(case, state, 0, network, wanted[-1]):
        if wanted[k] < chunk.stop:
            inside = with_admitted_devices(case, network)
            while wanted[k] < chunk.stop:
                if wanted[k] > t:
                    settled = settle_optimistically(inside, state, t, wanted[k] - t).state
                    state, t = _with_losses(settled, chunk, wanted[k]), wanted[k]
                yield state, network
                k += 1
        state, network, t = chunk.window.state, chunk.network, chunk.stop
    yield state, network


def _with_losses(state: State, chunk: Chunk, t: int) -> State:
    """State before an interval with the losses that the operator has bought until then in the chunk's window."""
    n = state.own_wh.size
    return state._replace(pools_neur=chunk.window.accounts[t - 1 - chunk.first, 2 * n : 2 * n + 3].copy())


def spread_rows(table: pd.DataFrame) -> pd.DataFrame:
    """Rows of the tasks' columns, in the order of variants, begins and hours."""
    return table.explode([name for name in table.columns if name != "variant"]).infer_objects().reset_index(drop=True)


def make_curves(rows: pd.DataFrame, hours: int = HOURS_PER_YEAR) -> pd.DataFrame:
    """Survival by length of the outage.

    Parameters
    ----------
    rows
        Of `spread_rows`.
    hours
        Hours in which outages might have begun.

    Returns
    -------
    pandas.DataFrame
        One row a variant and length `hours`: share of outages in which all critical load (`critical`) and all load
        (`all`) was served, each with the ends of its confidence interval, `_low` and `_high`; kWh not served, its
        mean, quantiles, and means by priority.
    """
    lost = [f"not_served_{name}_wh" for name in PRIORITIES]
    cumulated = rows.groupby(["variant", "begins"], sort=False)[["critical_short_wh", *lost]].cumsum()
    total = cumulated[lost].sum(axis=1) / 1000.0
    told = rows[["variant", "hour"]].assign(
        critical=cumulated["critical_short_wh"] == 0,
        all=total == 0.0,
        not_served_kwh=total,
        **{f"not_served_{name}_kwh": cumulated[f"not_served_{name}_wh"] / 1000.0 for name in PRIORITIES},
    )
    groups = told.groupby(["variant", "hour"], sort=False)
    curves = groups.mean()
    n = np.asarray(groups.size(), np.int64)
    for name in ("critical", "all"):
        low, high = wilson_interval(curves[name].to_numpy(), n, hours)
        curves[f"{name}_low"], curves[f"{name}_high"] = low, high
    for share in QUANTILES:
        curves[f"not_served_p{round(100 * share)}_kwh"] = groups["not_served_kwh"].quantile(share)
    return curves.reset_index().rename(columns={"hour": "hours"})


def wilson_interval(share: Floats, n: Ints, of_all: int) -> tuple[Floats, Floats]:
    """Interval that holds the share of all with 95 % confidence, from the share of a sample; a point if all are in it.

    E. B. Wilson 1927, "Probable inference, the law of succession, and statistical inference", JASA 22, 209–212; n of N
    count as n (N - 1) / (N - n), by the variance of draws without replacement.

    Examples
    --------
    >>> [round(float(end), 3) for end in wilson_interval(np.array(0.5), np.array(10), 10**9)]
    [0.237, 0.763]
    >>> [float(end) for end in wilson_interval(np.array(0.5), np.array(10), 10)]
    [0.5, 0.5]
    """
    z2 = CONFIDENCE_Z**2 * (of_all - n) / (n * max(of_all - 1, 1))
    middle = (share + z2 / 2.0) / (1.0 + z2)
    half = np.sqrt(z2 * (share * (1.0 - share) + z2 / 4.0)) / (1.0 + z2)
    return np.clip(middle - half, 0.0, share), np.clip(middle + half, share, 1.0)


def format_markdown(curves: pd.DataFrame, lengths: tuple[int, ...] = (1, 3, 6, 12, 24, 48, 72, 168)) -> str:
    """Survival at some lengths as a Markdown table."""
    lines = [
        "| variant | outage, h | critical load served | all load served | not served, kWh | in one of ten, above kWh |"
    ]
    lines.append("|" + "---|" * 6)
    for row in curves[curves["hours"].isin(lengths)].to_dict(orient="records"):
        shares = [
            f"{row[name]:.2f} ({row[f'{name}_low']:.2f}–{row[f'{name}_high']:.2f})" for name in ("critical", "all")
        ]
        energies = [f"{row[name]:.1f}" for name in ("not_served_kwh", "not_served_p90_kwh")]
        lines.append("| " + " | ".join([row["variant"], str(row["hours"]), *shares, *energies]) + " |")
    return "\n".join(lines)


def write_survival(directory: Path, rows: pd.DataFrame, curves: pd.DataFrame) -> list[Path]:
    """Write every hour of every outage and the curves as CSV, and the figure; returns the files."""
    files = [directory / "survival_hours.csv", directory / "survival.csv", directory / "survival.html"]
    for file, text in zip(files, (format_csv(rows), format_csv(curves), draw_survival(curves)), strict=True):
        write_whole(file, text)
    return files
