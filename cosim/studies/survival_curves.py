"""Curves of survival by length of the outage, from what is not served in every hour of many outages.

Law: a curve never rises with the length, and all load is never served longer than critical load.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from cosim.results.csv_text import format_csv
from cosim.results.directory import write_whole
from cosim.scenario.random_outages import HOURS_PER_YEAR
from cosim.studies.figures import draw_survival
from cosim.studies.outage_lanes import PRIORITIES
from grid_models.arrays import Floats, Ints

QUANTILES = (0.5, 0.9)
CONFIDENCE_Z = 1.959964
"""Standard normal quantile of a confidence of 95 % on both sides."""
UNLIMITED = 10**12
"""Failures are drawn from so many that even all hours of a year are a sample."""
FAILING = "critical_failing"
"""Column with the chance that all critical load is served by devices that may fail."""
DRAWN = "failures_drawn"
"""Column that says whether that chance is of failures that were drawn."""


def spread_rows(table: pd.DataFrame) -> pd.DataFrame:
    """Rows of the tasks' columns, in the order of variants, begins and hours."""
    return table.explode([name for name in table.columns if name != "variant"]).infer_objects().reset_index(drop=True)


def make_curves(
    rows: pd.DataFrame, hours: int = HOURS_PER_YEAR, lost_load_eur_per_kwh: float | None = None
) -> pd.DataFrame:
    """Survival by length of the outage.

    Parameters
    ----------
    rows
        Of `spread_rows`.
    hours
        Hours in which outages might have begun.
    lost_load_eur_per_kwh
        Value of lost load; None to price nothing.

    Returns
    -------
    pandas.DataFrame
        One row a variant and length `hours`: share of outages in which all critical load (`critical`) and all load
        (`all`) was served, each with the ends of its confidence interval, `_low` and `_high`; kWh not served and kWh
        by priority, their means and quantiles; with a value of lost load the mean and the quantiles of its cost; where
        devices may fail, the chance that all critical load is served in spite of it, as the shares.
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
    if FAILING in rows:
        told = told.join(rows[[FAILING, DRAWN]])
    groups = told.groupby(["variant", "hour"], sort=False)
    curves = groups.mean().drop(columns=DRAWN, errors="ignore")
    n = np.asarray(groups.size(), np.int64)
    for name in ("critical", "all", *([FAILING] if FAILING in rows else [])):
        of_all = np.where(groups[DRAWN].any(), UNLIMITED, hours) if name == FAILING else np.array(hours)
        low, high = wilson_interval(curves[name].to_numpy(), n, of_all)
        curves[f"{name}_low"], curves[f"{name}_high"] = low, high
    for key in ("", *(f"{name}_" for name in PRIORITIES)):
        for share in QUANTILES:
            curves[f"not_served_{key}p{round(100 * share)}_kwh"] = groups[f"not_served_{key}kwh"].quantile(share)
    if lost_load_eur_per_kwh is not None:
        for key in ("", *(f"p{round(100 * share)}_" for share in QUANTILES)):
            curves[f"lost_load_{key}eur"] = lost_load_eur_per_kwh * curves[f"not_served_{key}kwh"]
    return curves.reset_index().rename(columns={"hour": "hours"})


def wilson_interval(share: Floats, n: Ints, of_all: Ints) -> tuple[Floats, Floats]:
    """Interval that holds the share of all with 95 % confidence, from the share of a sample; a point if all are in it.

    E. B. Wilson 1927, "Probable inference, the law of succession, and statistical inference", JASA 22, 209–212; n of N
    count as n (N - 1) / (N - n), by the variance of draws without replacement.

    Examples
    --------
    >>> [round(float(end), 3) for end in wilson_interval(np.array(0.5), np.array(10), np.array(10**9))]
    [0.237, 0.763]
    >>> [float(end) for end in wilson_interval(np.array(0.5), np.array(10), np.array(10))]
    [0.5, 0.5]
    """
    z2 = CONFIDENCE_Z**2 * (of_all - n) / (n * np.maximum(of_all - 1, 1))
    middle = (share + z2 / 2.0) / (1.0 + z2)
    half = np.sqrt(z2 * (share * (1.0 - share) + z2 / 4.0)) / (1.0 + z2)
    return np.clip(middle - half, 0.0, share), np.clip(middle + half, share, 1.0)


def format_markdown(curves: pd.DataFrame, lengths: tuple[int, ...] = (1, 3, 6, 12, 24, 48, 72, 168)) -> str:
    """Survival at some lengths as a Markdown table."""
    titles = ["variant", "outage, h", "critical load served", "all load served"]
    titles += ["critical load served, devices may fail"] if FAILING in curves else []
    titles += ["not served, kWh", "in one of ten, above kWh"]
    titles += ["lost load, EUR"] if "lost_load_eur" in curves else []
    lines = ["| " + " | ".join(titles) + " |", "|" + "---|" * len(titles)]
    names = ["critical", "all", *([FAILING] if FAILING in curves else [])]
    for row in curves[curves["hours"].isin(lengths)].to_dict(orient="records"):
        shares = [f"{row[name]:.2f} ({row[f'{name}_low']:.2f}–{row[f'{name}_high']:.2f})" for name in names]
        energies = [f"{row[name]:.1f}" for name in ("not_served_kwh", "not_served_p90_kwh")]
        energies += [f"{row['lost_load_eur']:.0f}"] if "lost_load_eur" in row else []
        lines.append("| " + " | ".join([row["variant"], str(row["hours"]), *shares, *energies]) + " |")
    return "\n".join(lines)


def write_survival(directory: Path, rows: pd.DataFrame, curves: pd.DataFrame) -> list[Path]:
    """Write every hour of every outage and the curves as CSV, and the figure; returns the files."""
    files = [directory / "survival_hours.csv", directory / "survival.csv", directory / "survival.html"]
    for file, text in zip(files, (format_csv(rows), format_csv(curves), draw_survival(curves)), strict=True):
        write_whole(file, text)
    return files
