"""The reference study: its published table beside the computed one, with the energy balance of both."""

from __future__ import annotations

from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from cosim.results.csv_text import format_csv
from cosim.results.directory import write_whole
from cosim.scenario.files import load_scenario
from cosim.scenario.model import Scenario
from cosim.studies.figures import draw_reference
from cosim.studies.study import Task, vary
from data.spain import read_energy

MECHANISMS = ("none", "trading", "trading_battery", "sharing_central", "sharing_p2p")
COLUMNS = ("no trading", "trading", "trading + battery", "C-SE", "P2P-SE")
CASES: dict[str, dict[str, Any]] = {
    "58 %": {},
    "12 %, panels scaled": {"production_ratio": 0.12},
    "128 %, panels scaled": {"production_ratio": 1.28},
    "23 of 25 prosumers": {"n_prosumers": 23, "production_ratio": "as_drawn"},
}
"""Production cases. The study does not say how it varied production, so both ways are shown."""

ROWS = {
    "grid_wh": ("from grid", "kWh", 1e-3),
    "paid_to_grid_eur": ("paid to grid", "EUR", 1.0),
    "earned_p2p_eur": ("earned from P2P trading", "EUR", 1.0),
    "wasted_wh": ("wasted", "kWh", 1e-3),
    "shared_wh": ("shared by prosumers", "kWh", 1e-3),
    "earned_sharing_eur": ("earned from sharing", "EUR", 1.0),
}


def read_published() -> pd.DataFrame:
    """The published results of the 58 % case, by mechanism; energies in Wh, money in EUR.

    `residual_wh` is demand + wasted - generation - grid, with demand - generation taken from the first column: the
    energy that a published column does not account for.
    """
    text = resources.files("data.bundled").joinpath("reference_study_published.csv")
    with text.open(encoding="utf-8") as file:
        table = pd.read_csv(file).set_index("mechanism")
    table["residual_wh"] = balance_gap_wh(table)
    return table


def balance_gap_wh(table: pd.DataFrame) -> pd.Series[float]:
    """Wh by which the balance wasted - grid of each mechanism differs from that without trading.

    With batteries that end as empty as they began, generation and demand fix this balance whatever the mechanism.
    """
    difference: pd.Series[float] = table["wasted_wh"] - table["grid_wh"]
    return difference - difference["none"]


def list_reference_tasks(scenario: Scenario, seeds: int) -> list[Task]:
    """All runs of the study: cases x seeds x mechanisms."""
    return [
        Task(
            {"case": case, "seed": seed, "mechanism": mechanism},
            vary(scenario, "reference study", seed=seed, houses=houses, market={"mechanism": mechanism}),
        )
        for case, houses in CASES.items()
        for seed in range(1, seeds + 1)
        for mechanism in MECHANISMS
    ]


def load_reference(spain: Path | None) -> Scenario:
    """The bundled reference scenario, with the series of the Kaggle file, and all its hours, if one is given."""
    scenario = load_scenario("reference")
    if spain is None:
        return scenario
    series = read_energy(spain)
    horizon = {"start": series.start.astype(object), "hours": series.n_hours}
    return vary(scenario, "--spain", profiles={"source": "spain", "file": spain.resolve()}, horizon=horizon)


def compare_with_battery(table: pd.DataFrame) -> pd.DataFrame:
    """Change of grid and wasted energy against trading with batteries, per cent, by case, seed and mechanism."""
    keys = ["case", "seed"]
    base = table[table.mechanism == "trading_battery"].set_index(keys)
    rows = table.set_index(keys)
    result = table[[*keys, "mechanism"]].copy()
    for column in ("grid_wh", "wasted_wh"):
        reference = base[column].reindex(rows.index).to_numpy(np.float64)
        with np.errstate(divide="ignore", invalid="ignore"):
            change = 100.0 * (rows[column].to_numpy(np.float64) - reference) / reference
        result[column.replace("_wh", "_percent")] = change
    return result


def format_markdown(table: pd.DataFrame, scenario: Scenario | None = None) -> str:
    """The study as a page: published and computed side by side, energy balance, changes by production case.

    `scenario` is that of the tasks; the bundled one if left out.
    """
    horizon = (scenario or load_scenario("reference")).horizon
    published = read_published()
    seeds = table.seed.nunique()
    lines = ["# The reference study, published and computed", ""]
    hours = f"{horizon.hours:,} hours from {horizon.start:%Y-%m-%dT%H:%M} UTC"
    lines += [f"Mean ± standard deviation over {seeds} seeds, 25 houses, {hours}.", ""]
    main = table[table.case == "58 %"]
    lines += _format_side_by_side(published, main)
    lines += ["", "## Energy balance", ""]
    lines += _format_balance(published, main)
    lines += ["", "## Change against trading + battery, per cent", ""]
    lines += _format_changes(compare_with_battery(table))
    return "\n".join(lines) + "\n"


def _format_side_by_side(published: pd.DataFrame, ours: pd.DataFrame) -> list[str]:
    lines = ["| | | " + " | ".join(COLUMNS) + " |", "|---|---|" + "---:|" * len(COLUMNS)]
    for column, (label, unit, scale) in ROWS.items():
        cells = [f"{published[column][mechanism] * scale:,.2f}" for mechanism in MECHANISMS]
        lines.append(f"| {label}, {unit} | published | " + " | ".join(cells) + " |")
        grouped = ours.groupby("mechanism")[column].agg(["mean", "std"]).fillna(0.0) * scale
        cells = [f"{grouped['mean'][m]:,.2f} ± {grouped['std'][m]:,.2f}" for m in MECHANISMS]
        lines.append("| | ours | " + " | ".join(cells) + " |")
    return lines


def _format_balance(published: pd.DataFrame, ours: pd.DataFrame) -> list[str]:
    lines = [
        "Demand + wasted + what batteries gained − generation − grid; the published columns against their first.",
        "",
        "| | " + " | ".join(COLUMNS) + " |",
        "|---|" + "---:|" * len(COLUMNS),
        "| published, MWh | " + " | ".join(f"{published['residual_wh'][m] / 1e6:,.2f}" for m in MECHANISMS) + " |",
    ]
    largest = ours.assign(size=ours.residual_wh.abs()).groupby("mechanism")["size"].max()
    lines.append("| ours, largest of all seeds, Wh | " + " | ".join(f"{largest[m]:,d}" for m in MECHANISMS) + " |")
    return lines


def _format_changes(changes: pd.DataFrame) -> list[str]:
    lines = ["| case | | C-SE | P2P-SE |", "|---|---|---:|---:|"]
    for case in CASES:
        for column, label in (("grid_percent", "grid"), ("wasted_percent", "wasted")):
            part = changes[changes.case == case].groupby("mechanism")[column].agg(["mean", "std"])
            cells = []
            for mechanism in ("sharing_central", "sharing_p2p"):
                mean, std = part["mean"][mechanism], part["std"][mechanism]
                cells.append("nothing wasted" if np.isnan(mean) else f"{mean:+.1f} ± {0 if np.isnan(std) else std:.1f}")
            lines.append(f"| {case} | {label} | " + " | ".join(cells) + " |")
    return lines


def write_reference(directory: Path, table: pd.DataFrame, scenario: Scenario | None = None) -> list[Path]:
    """Write the study as CSV, Markdown and a figure; returns the files."""
    files = [directory / name for name in ("reference.csv", "reference.md", "reference.html")]
    write_whole(files[0], format_csv(table))
    write_whole(files[1], format_markdown(table, scenario))
    write_whole(files[2], draw_reference(read_published(), table[table.case == "58 %"]))
    return files
