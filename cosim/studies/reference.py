"""The reference study's table side by side, published against ours, with the energy balance of both."""

from __future__ import annotations

from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from cosim.results.directory import write_whole
from cosim.scenario.files import change_scenario, load_scenario
from cosim.scenario.model import Scenario
from cosim.studies.study import Task

MECHANISMS = ("none", "trading", "trading_battery", "sharing_central", "sharing_p2p")
COLUMNS = ("no trading", "trading", "trading + battery", "C-SE", "P2P-SE")
CASES: dict[str, dict[str, Any]] = {
    "58 %": {},
    "12 %, panels scaled": {"production_ratio": 0.12},
    "128 %, panels scaled": {"production_ratio": 1.28},
    "23 of 25 prosumers": {"n_prosumers": 23, "production_ratio": "as_drawn"},
}
"""Production cases: how the study varied production is not said, so both ways are shown."""

ROWS = {
    "grid_wh": ("from grid", "kWh", 1e-3),
    "paid_to_grid_eur": ("paid to grid", "EUR", 1.0),
    "earned_p2p_eur": ("earned from P2P trading", "EUR", 1.0),
    "wasted_wh": ("wasted", "kWh", 1e-3),
    "shared_wh": ("shared by prosumers", "kWh", 1e-3),
    "earned_sharing_eur": ("earned from sharing", "EUR", 1.0),
}


def published_table() -> pd.DataFrame:
    """The published results of the 58 % case, by mechanism; energies in Wh, money in EUR.

    `residual_wh` is demand + wasted - generation - grid, with demand - generation as it follows from the first column:
    what the published columns leave unaccounted for.
    """
    text = resources.files("data.bundled").joinpath("reference_study_published.csv")
    with text.open(encoding="utf-8") as file:
        table = pd.read_csv(file).set_index("mechanism")
    table["residual_wh"] = balance_gap(table)
    return table


def balance_gap(table: pd.DataFrame) -> pd.Series[float]:
    """Wh by which each column departs from the balance of the first: wasted - grid must be the same in all.

    With batteries that end as empty as they began, generation and demand fix grid - wasted whatever the mechanism.
    """
    difference: pd.Series[float] = table["wasted_wh"] - table["grid_wh"]
    return difference - difference["none"]


def reference_tasks(scenario: Scenario, seeds: int) -> list[Task]:
    """All runs of the study: cases x seeds x mechanisms."""
    return [
        Task(
            {"case": case, "seed": seed, "mechanism": mechanism},
            change_scenario(
                scenario, "reference study", seed=seed, houses=houses, market={"mechanism": mechanism}
            ),
        )
        for case, houses in CASES.items()
        for seed in range(1, seeds + 1)
        for mechanism in MECHANISMS
    ]


def reference_scenario(spain: Path | None) -> Scenario:
    """The bundled reference scenario, on the Kaggle file when one is given."""
    scenario = load_scenario("reference")
    if spain is None:
        return scenario
    return change_scenario(scenario, "--spain", profiles={"source": "spain", "file": spain.resolve()})


def relative_to_battery(table: pd.DataFrame) -> pd.DataFrame:
    """Change of grid and wasted energy against trading + battery, per cent, for every case, seed and mechanism."""
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


def as_markdown(table: pd.DataFrame) -> str:
    """The study as a page: published and ours side by side, balance, changes, production cases."""
    published = published_table()
    seeds = table.seed.nunique()
    lines = ["# The reference study, published and computed", ""]
    lines += [f"Mean ± standard deviation over {seeds} seeds, 25 houses, 35,064 hours.", ""]
    main = table[table.case == "58 %"]
    lines += _side_by_side(published, main)
    lines += ["", "## Energy balance", ""]
    lines += _balance(published, main)
    lines += ["", "## Change against trading + battery, per cent", ""]
    lines += _changes(relative_to_battery(table))
    return "\n".join(lines) + "\n"


def _side_by_side(published: pd.DataFrame, ours: pd.DataFrame) -> list[str]:
    lines = ["| | | " + " | ".join(COLUMNS) + " |", "|---|---|" + "---:|" * len(COLUMNS)]
    for column, (label, unit, scale) in ROWS.items():
        cells = [f"{published[column][mechanism] * scale:,.2f}" for mechanism in MECHANISMS]
        lines.append(f"| {label}, {unit} | published | " + " | ".join(cells) + " |")
        grouped = ours.groupby("mechanism")[column].agg(["mean", "std"]).fillna(0.0) * scale
        cells = [f"{grouped['mean'][m]:,.2f} ± {grouped['std'][m]:,.2f}" for m in MECHANISMS]
        lines.append("| | ours | " + " | ".join(cells) + " |")
    return lines


def _balance(published: pd.DataFrame, ours: pd.DataFrame) -> list[str]:
    lines = [
        "Demand + wasted + what batteries gained − generation − grid; the published columns against their first.",
        "",
        "| | " + " | ".join(COLUMNS) + " |",
        "|---|" + "---:|" * len(COLUMNS),
        "| published, MWh | "
        + " | ".join(f"{published['residual_wh'][m] / 1e6:,.2f}" for m in MECHANISMS)
        + " |",
    ]
    largest = ours.assign(size=ours.residual_wh.abs()).groupby("mechanism")["size"].max()
    lines.append(
        "| ours, largest of all seeds, Wh | " + " | ".join(f"{largest[m]:,d}" for m in MECHANISMS) + " |"
    )
    return lines


def _changes(changes: pd.DataFrame) -> list[str]:
    lines = ["| case | | C-SE | P2P-SE |", "|---|---|---:|---:|"]
    for case in CASES:
        for column, label in (("grid_percent", "grid"), ("wasted_percent", "wasted")):
            part = changes[changes.case == case].groupby("mechanism")[column].agg(["mean", "std"])
            cells = []
            for mechanism in ("sharing_central", "sharing_p2p"):
                mean, std = part["mean"][mechanism], part["std"][mechanism]
                cells.append(
                    "nothing wasted" if np.isnan(mean) else f"{mean:+.1f} ± {0 if np.isnan(std) else std:.1f}"
                )
            lines.append(f"| {case} | {label} | " + " | ".join(cells) + " |")
    return lines


def write_reference(directory: Path, table: pd.DataFrame) -> list[Path]:
    """Write the study as CSV, Markdown and a figure; returns the files."""
    from cosim.studies.figures import reference_figure

    files = [directory / name for name in ("reference.csv", "reference.md", "reference.html")]
    write_whole(files[0], table.to_csv(index=False))
    write_whole(files[1], as_markdown(table))
    write_whole(files[2], reference_figure(published_table(), table[table.case == "58 %"]))
    return files
