"""Voltages and currents of a network by their places, and the two tables made of them."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from cosim.nets.models import Model
from cosim.results.csv_text import format_csv
from cosim.results.directory import write_whole
from cosim.results.folders import make_folder

Place = tuple[str, str]
"""Bus and conductor."""
Terminal = tuple[str, str, str]
"""Branch, end and conductor."""


class NetSolution(NamedTuple):
    """Solution of a network as given.

    Attributes
    ----------
    model
        How it was modelled.
    converged
        Whether there is a solution; else the numbers are NaN.
    v
        Complex voltage to earth of each conductor, V; NaN without supply.
    base_v
        Nominal voltage to earth of each, V.
    current_a
        Complex current into each terminal of the branches, A.
    rated_a
        Current at 100 % loading of each.
    unbalance_percent
        Voltage unbalance factor of each bus with three phases.
    notes
        What a reader of the numbers must know.
    """

    model: Model
    converged: bool
    v: dict[Place, complex]
    base_v: dict[Place, float]
    current_a: dict[Terminal, complex]
    rated_a: dict[Terminal, float]
    unbalance_percent: dict[str, float]
    notes: tuple[str, ...]


def make_voltage_table(found: NetSolution) -> pd.DataFrame:
    """One row per conductor of a bus: bus, conductor, vm_v, vm_pu, va_degree."""
    places = list(found.v)
    v, base = np.array(list(found.v.values()), dtype=complex), np.array([found.base_v[place] for place in places])
    return pd.DataFrame(
        {
            "bus": [bus for bus, _ in places],
            "conductor": [conductor for _, conductor in places],
            "vm_v": np.abs(v),
            "vm_pu": np.abs(v) / base,
            "va_degree": np.degrees(np.angle(v)),
        }
    )


def make_current_table(found: NetSolution) -> pd.DataFrame:
    """One row per terminal of a branch: branch, end, conductor, i_a, loading_percent."""
    terminals = list(found.current_a)
    i_a = np.abs(np.array(list(found.current_a.values()), dtype=complex))
    rated = np.array([found.rated_a[terminal] for terminal in terminals], dtype=float)
    with np.errstate(divide="ignore", invalid="ignore"):
        loading = np.where(rated > 0.0, 100.0 * i_a / rated, np.nan)
    columns = dict(zip(("branch", "end", "conductor"), zip(*terminals, strict=True), strict=True)) if terminals else {}
    keys = {name: list(columns.get(name, ())) for name in ("branch", "end", "conductor")}
    return pd.DataFrame({**keys, "i_a": i_a, "loading_percent": loading})


def write_solution(found: NetSolution, folder: Path) -> None:
    """Write `voltage.csv` and `branch_current.csv` into a folder, which is made."""
    make_folder(folder)
    write_whole(folder / "voltage.csv", format_csv(make_voltage_table(found)))
    write_whole(folder / "branch_current.csv", format_csv(make_current_table(found)))
