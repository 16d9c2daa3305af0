"""A run's tables in the shape that the report needs: one row per interval, one column per element or house."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, reduce
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from cosim.case.connections import choose_wires
from cosim.errors import ScenarioError
from cosim.results.binding import find_binding
from cosim.results.columns import is_named, name_columns
from cosim.results.local_time import find_zone
from cosim.results.phases import PHASES_TABLE, read_connections
from cosim.results.result import Result
from cosim.results.sums import Parts, sum_exchanges
from cosim.results.supply import Mask, find_cut_off, find_outages_in_force, find_supply
from grid_models.feeder.feeder import Feeder
from grid_models.powerflow.limits import Limits


class Layout(NamedTuple):
    """Rows and columns of what a long table holds of each interval, ordered by time and by the same keys in each."""

    times: pd.DatetimeIndex
    names: pd.Index


@dataclass(frozen=True, eq=False)
class RunTables:
    """Everything the report reads of a run; short tables that need no other shape are read from its result.

    Attributes
    ----------
    result
        The run itself: scenario, summary, network, tables.
    feeder, limits
        The network, and the limits of each of its elements.
    of_houses
        Times and houses of the table `houses`.
    reactive
        Whether any house had reactive power.
    manifest
        Versions and hashes; empty for a run in memory.
    loadings
        (T, L) per cent by conductor, `a` to `n` in an unbalanced run, else by the empty name; columns are pairs (`line`
        or `trafo`, element) in the order of the net's tables. Missing while a branch was not under voltage, for which
        the table has 0 %, and of the neutral of a transformer.
    grid_fed
        (T, B) whether the grid feeds each bus: no outage lies between.
    voltages
        (T, B) pu by phase, or by the empty name; columns are buses in the order of the net's table.
    vuf_percent, neutral_v
        (T, B) voltage unbalance, %, and voltage of the neutral to earth, V; None where the model has none.
    exchange_table
        Exchanges summed over time, of `cosim.results.sums.sum_exchanges`.
    unsolved
        Times of the intervals whose exchanges as cleared had no power flow solution.
    violations, curtailment
        As in the files of the same names; times are columns.
    outage_intervals, registrations
        As in the files of the same names; empty without events.
    phases
        As in the file of the same name; empty in a balanced run.
    """

    result: Result
    feeder: Feeder
    limits: Limits
    of_houses: Layout
    reactive: bool
    manifest: Mapping[str, Any]
    loadings: Mapping[str, pd.DataFrame]
    grid_fed: Mask
    voltages: Mapping[str, pd.DataFrame]
    vuf_percent: pd.DataFrame | None
    neutral_v: pd.DataFrame | None
    exchange_table: pa.Table
    unsolved: pd.Series
    violations: pd.DataFrame
    curtailment: pd.DataFrame
    outage_intervals: pd.DataFrame
    registrations: pd.DataFrame
    phases: pd.DataFrame

    @property
    def hours(self) -> float:
        """Length of an interval, h."""
        return self.result.scenario.horizon.interval_minutes / 60.0

    @property
    def unbalanced(self) -> bool:
        """Whether every phase was solved by itself."""
        return self.vuf_percent is not None

    @cached_property
    def lowest_vm_pu(self) -> pd.DataFrame:
        """(T, B) lowest voltage of any phase of each bus, pu."""
        return find_lowest(self.voltages)

    @cached_property
    def highest_vm_pu(self) -> pd.DataFrame:
        """(T, B) highest voltage of any phase of each bus, pu."""
        return find_highest(self.voltages)

    @cached_property
    def loading_percent(self) -> pd.DataFrame:
        """(T, L) loading of each branch, per cent; in an unbalanced run that of its most loaded conductor."""
        return find_highest(self.loadings)

    @cached_property
    def exchange_sums(self) -> pd.DataFrame:
        """Exchanges summed over time, as a frame."""
        frame: pd.DataFrame = self.exchange_table.to_pandas()
        return frame

    @cached_property
    def binding(self) -> pd.DataFrame:
        """The binding element of each interval that was curtailed, of `cosim.results.binding.find_binding`."""
        return find_binding(self.curtailment, self.result.net)

    @property
    def zone(self) -> ZoneInfo | None:
        """Time zone of the local time that is shown beside UTC; None where that is UTC."""
        return find_zone(self.result.scenario)

    @property
    def buses(self) -> list[str]:
        """Names of the buses in the order of the net's table."""
        return list(next(iter(self.voltages.values())).columns)

    @property
    def off(self) -> pd.Series:
        """Whether the feeder was off: no bus had a voltage, (T,)."""
        return self.lowest_vm_pu.isna().all(axis=1)

    def settled(self) -> dict[tuple[str, str], pd.DataFrame]:
        """What is judged, (T, B) or (T, L), by quantity and phase as `violations` names them."""
        found = {("vm_pu", phase): frame for phase, frame in self.voltages.items()}
        found |= {("loading_percent", conductor): frame for conductor, frame in self.loadings.items()}
        of_buses = {"vuf_percent": self.vuf_percent, "neutral_v": self.neutral_v}
        return found | {(quantity, ""): frame for quantity, frame in of_buses.items() if frame is not None}

    def meter(self, name: str) -> pd.DataFrame:
        """Column of the table `houses`, (T, N), one column per house; read anew on every call, because it is large."""
        return read_values(self.result.parts, "houses", name, self.of_houses)


def read_run(result: Result) -> RunTables:
    """Tables of a finished run, from its directory or from memory.

    Raises
    ------
    cosim.errors.ScenarioError
        If a table is missing or incomplete.
    """
    manifest, of_houses = result.manifest, read_layout(result.parts, "houses", ("house",))
    houses = read_values(result.parts, "houses", "q_var", of_houses)
    feeder = rebuild_feeder(result, [str(name) for name in houses.columns], manifest)
    of_buses = read_layout(result.parts, "bus_voltage", ("bus",))
    voltages = read_conductors(result.parts, "bus_voltage", "vm_pu", feeder.conductors("bus"), of_buses)
    of_branches = read_layout(result.parts, "branch_loading", ("element_type", "element"))
    conductors = feeder.conductors("line")
    loadings = read_conductors(result.parts, "branch_loading", "loading_percent", conductors, of_branches)
    outage_intervals = read_if_made(result, "outage_intervals")
    in_force = find_outages_in_force(result.scenario, pd.DatetimeIndex(houses.index), outage_intervals)
    grid_fed, opened = find_supply(feeder.net, result.scenario, in_force)
    return RunTables(
        result=result,
        feeder=feeder,
        limits=Limits.from_feeder(feeder, **result.scenario.limits.asked()),
        of_houses=of_houses,
        reactive=bool(houses.to_numpy().any()),
        manifest=manifest,
        loadings=mask_cut_off(feeder.net, loadings, next(iter(voltages.values())), opened),
        grid_fed=grid_fed,
        voltages=voltages,
        vuf_percent=_read_of_buses(result, "vuf_percent", of_buses, there=feeder.connections is not None),
        neutral_v=_read_of_buses(result, "neutral_v", of_buses, there=choose_wires(result.scenario) is not None),
        exchange_table=sum_exchanges(result.parts),
        unsolved=find_unsolved(result),
        violations=result.table("violations").to_pandas(),
        curtailment=result.table("curtailment").to_pandas(),
        outage_intervals=outage_intervals,
        registrations=read_if_made(result, "registrations"),
        phases=read_if_made(result, PHASES_TABLE),
    )


def read_conductors(
    parts: Parts, name: str, quantity: str, conductors: Sequence[str], layout: Layout
) -> dict[str, pd.DataFrame]:
    """Frames by conductor, one column of the table after the other."""
    columns = name_columns(quantity, conductors)
    return {conductor: read_values(parts, name, column, layout) for conductor, column in columns.items()}


def mask_cut_off(
    net: Any, loadings: Mapping[str, pd.DataFrame], vm_pu: pd.DataFrame, opened: Mask
) -> dict[str, pd.DataFrame]:
    """Loadings by conductor, missing where a branch was not under voltage."""
    highest = find_highest(loadings).to_numpy(np.float64)
    cut = find_cut_off(net, highest, vm_pu.to_numpy(np.float64), opened)
    return {conductor: frame.mask(cut) for conductor, frame in loadings.items()}


def find_lowest(frames: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Lowest value of any conductor, in the shape of the frame of one; missing where all are."""
    return _combine(np.fmin, list(frames.values()))


def find_highest(frames: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Highest value of any conductor, in the shape of the frame of one; missing where all are."""
    return _combine(np.fmax, list(frames.values()))


def _combine(function: Callable[..., Any], frames: list[pd.DataFrame]) -> pd.DataFrame:
    first, values = frames[0], reduce(function, (frame.to_numpy(np.float64) for frame in frames))
    return first if len(frames) == 1 else pd.DataFrame(values, index=first.index, columns=first.columns)


def find_limits_of_elements(run: RunTables) -> Limits:
    """Limits of buses and branches, (B,) and (L,): those of all conductors of one are the same."""
    limits, n = run.limits, {table: len(run.feeder.conductors(table)) for table in ("bus", "line", "trafo")}
    return replace(
        limits,
        min_vm_pu=limits.min_vm_pu[:: n["bus"]],
        max_vm_pu=limits.max_vm_pu[:: n["bus"]],
        max_line_loading_percent=limits.max_line_loading_percent[:: n["line"]],
        max_trafo_loading_percent=limits.max_trafo_loading_percent[:: n["trafo"]],
    )


def find_unsolved(result: Result) -> pd.Series:
    """Times of the intervals in which some exchange was cut because the power flow found no solution."""
    parts = result.parts("exchanges", ("time", "reason"))
    found = [pc.unique(part["time"].filter(is_named(part["reason"], "not_solved"))) for part in parts]
    return pd.Series(pd.DatetimeIndex(pa.concat_arrays(found).to_pandas())).drop_duplicates()


def read_if_made(result: Result, name: str) -> pd.DataFrame:
    """A table that only some runs have; empty if this one has not."""
    frame: pd.DataFrame = result.table(name).to_pandas() if result.has_table(name) else pd.DataFrame()
    return frame


def read_layout(parts: Parts, name: str, keys: Sequence[str]) -> Layout:
    """Times of a long table, and the names of the elements that it has a row of in every interval.

    Parameters
    ----------
    parts
        Reads the table.
    name
        Name of the table.
    keys
        Columns that name an element.

    Raises
    ------
    cosim.errors.ScenarioError
        If some interval lacks a row.
    """
    time = np.concatenate([part["time"].to_numpy() for part in parts(name, ("time",))])
    n = int(np.searchsorted(time, time[0], side="right")) if time.size else 0
    if n == 0 or time.size % n or not np.array_equal(time[::n], time[n - 1 :: n]):
        raise ScenarioError(
            f"{name}: expected the same elements in every interval, got {time.size} rows with {n} in the first; run "
            "the scenario again"
        )
    header = _read_head(parts, name, keys, n)
    names = [header[key].cast(pa.string()).to_pylist() for key in keys]
    columns = pd.Index(names[0]) if len(keys) == 1 else pd.MultiIndex.from_arrays(names)
    return Layout(pd.DatetimeIndex(time[::n], tz="UTC"), columns)


def _read_head(parts: Parts, name: str, keys: Sequence[str], n: int) -> pa.Table:
    """The first n rows of some columns."""
    found: list[pa.Table] = []
    for part in parts(name, keys):
        found.append(part.slice(0, n - sum(len(known) for known in found)))
        if sum(len(known) for known in found) == n:
            break
    return pa.concat_tables(found, promote_options="permissive")


def read_values(parts: Parts, name: str, value: str, layout: Layout) -> pd.DataFrame:
    """A column of a long table as a frame with one row per interval and one column per element."""
    values = np.concatenate([part[value].to_numpy() for part in parts(name, (value,))])
    return pd.DataFrame(values.reshape(len(layout.times), -1), index=layout.times, columns=layout.names)


def _read_of_buses(result: Result, quantity: str, layout: Layout, *, there: bool) -> pd.DataFrame | None:
    """A column of the table `bus_voltage` that only some models have, (T, B)."""
    return read_values(result.parts, "bus_voltage", quantity, layout) if there else None


def rebuild_feeder(result: Result, participants: list[str], manifest: Mapping[str, Any]) -> Feeder:
    """The feeder of a run, checked to be the one that its tables were made with.

    Raises
    ------
    cosim.errors.ScenarioError
        If the run's scenario describes another network today.
    """
    bus = dict(zip(result.net.load["name"].astype(str), result.net.load["bus"], strict=True))
    buses = np.array([bus[name] for name in participants], dtype=np.int64)
    wires = choose_wires(result.scenario)
    connections = read_connections(result.table(PHASES_TABLE), wires) if result.has_table(PHASES_TABLE) else None
    feeder = Feeder(result.scenario.name, result.net, tuple(participants), buses, connections=connections)
    expected = manifest.get("network_sha256")
    if expected is not None and feeder.digest().hex() != expected:
        raise ScenarioError(
            f"{result.directory}: expected the network of the run (manifest.json, network_sha256 {expected[:16]}…), "
            f"got another one from scenario.toml ({feeder.digest().hex()[:16]}…); restore the network's file or the "
            "version of gridsettle that made the run, or run the scenario again"
        )
    return feeder
