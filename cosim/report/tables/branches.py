"""Table `branch_summary`: loading, reverse flow and losses of every line and transformer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from pandapower.topology import create_nxgraph

from cosim.report.tables.run_tables import RunTables
from grid_models.arrays import Floats

WARN_PERCENT, FULL_PERCENT = 80.0, 100.0


def summarise_branches(run: RunTables) -> pd.DataFrame:
    """One row per branch, lines before transformers.

    Returns
    -------
    DataFrame
        Per branch `element_type, element, max_loading_percent, max_at, p95_loading_percent, mean_loading_percent,
        hours_ge_80_percent, hours_ge_100_percent, reverse_flow_hours, losses_kwh`. Statistics and losses leave
        out intervals in which the branch was without supply; `reverse_flow_hours` is missing where it cannot be
        determined. In an unbalanced run loadings are those of the most loaded conductor of each interval, and further
        columns say of which conductor the highest is, and the highest of each.
    """
    loading_percent, hours = run.loading_percent, run.hours
    values = loading_percent.to_numpy(np.float64)
    supplied = ~np.isnan(values)
    used = supplied.any(axis=0)
    filled = np.where(supplied, values, -np.inf)
    at = filled.argmax(axis=0)
    times = pd.DatetimeIndex(loading_percent.index[at]).strftime("%Y-%m-%dT%H:%M:%SZ").to_numpy()
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = np.where(supplied, values, 0.0).sum(axis=0) / supplied.sum(axis=0)
    summary = pd.DataFrame(
        {
            "element_type": loading_percent.columns.get_level_values(0),
            "element": loading_percent.columns.get_level_values(1),
            "max_loading_percent": np.where(used, filled.max(axis=0), np.nan),
            "max_at": np.where(used, times, ""),
            "p95_loading_percent": _quantile(values, used, 0.95),
            "mean_loading_percent": mean,
            "hours_ge_80_percent": hours * (filled >= WARN_PERCENT).sum(axis=0),
            "hours_ge_100_percent": hours * (filled >= FULL_PERCENT).sum(axis=0),
            "reverse_flow_hours": reverse_flow_hours(
                *(run.feeder.net, hours, injection_kw(run), run.result.intervals["p_grid_kw"], find_grid_fed_lines(run))
            ),
            "losses_kwh": hours * losses_kw(run.feeder.net, run.loadings),
        }
    )
    return summary.assign(**summarise_conductors(run.loadings)) if run.unbalanced else summary


def injection_kw(run: RunTables) -> pd.DataFrame:
    """Injection of each participant into the network, from its meters, (T, N) kW."""
    into = run.meter("pv_wh") - run.meter("spilled_wh") + run.meter("fuel_cell_wh") + run.meter("discharge_wh")
    out_of = run.meter("load_wh") - run.meter("shed_wh") + run.meter("charge_wh")
    return (into - out_of) / (1000.0 * run.hours)


def _quantile(values: Floats, used: npt.NDArray[np.bool_], q: float) -> Floats:
    result = np.full(values.shape[1], np.nan)
    if used.any():
        result[used] = np.nanquantile(values[:, used], q, axis=0)
    return result


def summarise_conductors(loadings: Mapping[str, pd.DataFrame]) -> dict[str, Any]:
    """Columns: the most loaded conductor of each branch, and the highest loading of each conductor, %, (L,)."""
    highest = {conductor: frame.max().to_numpy(np.float64) for conductor, frame in loadings.items()}
    stacked = np.stack(list(highest.values()))
    used = ~np.isnan(stacked).all(axis=0)
    most = np.array(list(highest))[np.where(np.isnan(stacked), -np.inf, stacked).argmax(axis=0)]
    return {
        "max_conductor": np.where(used, most, ""),
        **{f"max_loading_{conductor}_percent": values for conductor, values in highest.items()},
    }


def losses_kw(net: Any, loadings: Mapping[str, pd.DataFrame]) -> Floats:
    """Losses of each branch summed over all intervals, kW·intervals, (L,).

    A line at current I loses 3·R·I²; a transformer loses P_fe as long as it is under voltage, and P_cu times the
    square of its loading (IEC 60076-1, load and no-load losses). Capacitive currents make a line's current
    differ between its ends; the larger one counts.

    Of an unbalanced line each phase loses R·I², and the current of the neutral loses (R0 - R1)/3·I² more: what
    Re(Iᴴ·Z·I) is with Z of two values, Zs = (Z0 + 2·Z1)/3 and Zm = (Z0 - Z1)/3.

    Parameters
    ----------
    net
        pandapower net.
    loadings
        (T, L) per cent by conductor, or by the empty name where the phases are alike.
    """
    line, trafo = net.line, net.trafo
    rated_ka = line.max_i_ka * line.df * line.parallel
    ohm = line.r_ohm_per_km * line.length_km / line.parallel
    line_kw = 3e3 * ohm * rated_ka**2  # kA²·Ω = MW
    trafo_kw = trafo.vkr_percent / 100 * trafo.sn_mva * 1e3 * trafo.parallel * trafo.df**2
    copper = np.concatenate([line_kw, trafo_kw]).astype(np.float64)
    iron = np.concatenate([np.zeros(len(line)), trafo.pfe_kw * trafo.parallel]).astype(np.float64)
    shares = {name: np.asarray(frame, np.float64) / 100.0 for name, frame in loadings.items()}
    squares = {name: np.nansum(share**2, axis=0) for name, share in shares.items()}
    under_voltage = (~np.isnan(next(iter(shares.values())))).sum(axis=0)
    phases = [square for name, square in squares.items() if name != "n"]
    lost = copper * sum(phases) / len(phases) + iron * under_voltage
    if "n" in squares:
        more_ohm = (line.r0_ohm_per_km - line.r_ohm_per_km) * line.length_km / line.parallel
        lost[: len(line)] += (1e3 / 3.0 * more_ohm * rated_ka**2).to_numpy(np.float64) * squares["n"][: len(line)]
    return np.asarray(lost)


def find_grid_fed_lines(run: RunTables) -> npt.NDArray[np.bool_]:
    """Whether each line carries power from or to the grid: under voltage, both ends fed by it, (T, lines)."""
    line = run.feeder.net.line
    first, second = (run.feeder.net.bus.index.get_indexer(line[end]) for end in ("from_bus", "to_bus"))
    live = ~np.isnan(run.loading_percent.to_numpy(np.float64)[:, : len(line)])
    return np.asarray(live & run.grid_fed[:, first] & run.grid_fed[:, second], dtype=bool)


def reverse_flow_hours(
    net: Any,
    hours: float,
    injection_kw: pd.DataFrame,
    p_grid_kw: pd.Series,
    grid_fed: npt.NDArray[np.bool_] | None = None,
) -> Floats:
    """Hours in which each branch carried power towards the grid, (L,); NaN where it cannot be determined.

    In an island nothing flows there; `grid_fed`, (T, lines), says where the grid feeds a line, always if left out.


    It is known of the only transformer between the only external grid and the feeder, by the power from the grid, and
    of the lines of a radial feeder, by the meters that a line supplies; losses behind it are neglected.
    """
    result = np.full(len(net.line) + len(net.trafo), np.nan)
    if len(net.ext_grid) != 1:
        return result
    if len(net.trafo) == 1 and int(net.trafo.hv_bus.iloc[0]) == int(net.ext_grid.bus.iloc[0]):
        result[-1] = hours * int((p_grid_kw < 0).sum())
    behind = find_participants_behind(net, list(injection_kw.columns))
    if behind is None:
        return result
    flow = injection_kw.to_numpy(np.float64) @ behind.T
    towards = flow > 0 if grid_fed is None else (flow > 0) & grid_fed
    result[: len(net.line)] = hours * towards.sum(axis=0)
    return result


def find_participants_behind(net: Any, participants: list[str]) -> Floats | None:
    """(lines, participants) 1 if a participant is supplied through a line, seen from the only external grid, else 0.

    None if the net is meshed, or has loads or generators without a meter because no participant owns them.
    """
    at = {str(name): int(bus) for name, bus in zip(net.load.name, net.load.bus, strict=True)}
    foreign = set(at) - set(participants)
    if foreign or not set(participants) <= set(at) or len(net.gen) or len(net.trafo3w):
        return None
    graph = create_nxgraph(net, multi=True)
    path: dict[int, frozenset[int]] = {int(net.ext_grid.bus.iloc[0]): frozenset()}
    waiting, edges = list(path), set[tuple[str, int]]()
    while waiting:
        bus = waiting.pop()
        for _, other, key in graph.edges(bus, keys=True):
            if key in edges:
                continue
            edges.add(key)
            if other in path:
                return None
            path[other] = path[bus] | {int(key[1])} if key[0] == "line" else path[bus]
            waiting.append(other)
    supplied = [path.get(at[participant], frozenset()) for participant in participants]
    behind = [[float(index in lines) for lines in supplied] for index in net.line.index]
    return np.array(behind).reshape(len(net.line), len(participants))
