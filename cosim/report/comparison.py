"""Comparison of runs: energy, money, curtailment and loading, and the differences from the first run."""

from __future__ import annotations

import collections
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from cosim.errors import ScenarioError
from cosim.report.elements import Cell, Figure, PageSection, Table, count_decimals, number, show_hours, words
from cosim.report.page import render_page
from cosim.report.palette import CYCLE, plain_text, style_figure
from cosim.report.plot import Plot
from cosim.report.sections.findings import sort_outcomes
from cosim.report.tables.branches import FULL_PERCENT, WARN_PERCENT
from cosim.results.charges import CHARGES_TABLE, sum_of_operator
from cosim.results.columns import name_columns
from cosim.results.csv_text import format_csv
from cosim.results.directory import write_whole
from cosim.results.fairness import measure_offered, share_of_offered
from cosim.results.folders import make_folder
from cosim.results.labels import (
    BACKGROUND,
    BY_HOUSE,
    CARS_LEFT_SHORT,
    CHARGES,
    CURTAILED,
    CURTAILED_HOURS,
    CUT_KWH,
    CUT_PERCENT,
    ENERGIES,
    ENERGY,
    ENVELOPES,
    FLEXIBLE,
    MONEY,
    NETWORK,
    OFFERED,
    OUTAGE_COST,
    OUTAGE_DEVICES,
    PUT_OFF_KWH,
    REVERSE_HOURS,
    choose_envelope_digits,
)
from cosim.results.result import Result
from cosim.results.summary import EXTREMES
from cosim.results.sums import sum_exchanges
from grid_models.feeder.connection import CONDUCTORS
from market.exchanges import NEUR_PER_EUR

DEVICES, OUTAGES = "cars and heat pumps", "outages"
WITHIN, MONEY_BY_HOUSE, ENERGY_BY_HOUSE = "envelopes", "money by house", "energy by house"
GROUPS = ("energy", "money", "curtailment", WITHIN, "fairness", MONEY_BY_HOUSE, ENERGY_BY_HOUSE, DEVICES, "network")
CUT = (
    (CURTAILED_HOURS, "hours", "h"),
    (CUT_KWH, "cut_kwh", "kWh"),
    (CUT_PERCENT, "cut_percent", "%"),
    (PUT_OFF_KWH, "put_off_kwh", "kWh"),
)
LENGTH = ("network", "length of the run", "h")
Quantity = tuple[tuple[str, str, str], float]
"""(group, quantity, unit) and value."""


def compare_runs(directories: Sequence[str | Path]) -> pd.DataFrame:
    """Table of runs.

    Parameters
    ----------
    directories
        Two or more finished runs.

    Returns
    -------
    DataFrame
        Index (group, quantity, unit); one column per run by the name of its directory, then one column
        `NAME minus FIRST` for every run but the first. Missing where a run has no such value.

    Raises
    ------
    cosim.errors.ScenarioError
        If fewer than two runs are given, one is given twice, or one is not finished.
    """
    if len(directories) < 2:
        raise ScenarioError(f"compare: expected two or more run directories, got {len(directories)}")
    runs = [Path(directory) for directory in directories]
    names = name_runs(runs)
    results = {name: Result.load(run) for name, run in zip(names, runs, strict=True)}
    within, charged = (any(key in result.summary for result in results.values()) for key in (WITHIN, CHARGES_TABLE))
    columns = {name: _read_quantities(result, within=within, charged=charged) for name, result in results.items()}
    table = pd.DataFrame(columns)
    table.index = pd.MultiIndex.from_tuples(list(table.index), names=["group", "quantity", "unit"])
    by_group = np.argsort([GROUPS.index(group) for group, _, _ in table.index], kind="stable")
    table = table.iloc[by_group]
    table = table[(table.fillna(0) != 0).any(axis=1) | table.index.get_level_values("group").isin((DEVICES, WITHIN))]
    for name in names[1:]:
        table[f"{name} minus {names[0]}"] = table[name] - table[names[0]]
    return table


def _read_quantities(result: Result, *, within: bool, charged: bool) -> dict[tuple[str, str, str], float]:
    with result.check_files():
        found = dict(list_quantities(result))
        found |= dict(list_charge_quantities(result)) if charged else {}
        return found | dict(list_envelope_quantities(result)) if within else found


def name_runs(directories: Sequence[Path]) -> list[str]:
    """Names of the directories, longer where two have the same.

    Examples
    --------
    >>> name_runs([Path("a/x"), Path("b/x"), Path("b/y")])
    ['a/x', 'b/x', 'y']
    """
    resolved = [directory.resolve() for directory in directories]
    if len(set(resolved)) < len(resolved):
        raise ScenarioError("compare: expected each run once, got one twice; remove it")
    short = [path.name for path in resolved]
    return [name if short.count(name) == 1 else str(given) for name, given in zip(short, directories, strict=True)]


def list_quantities(result: Result) -> Iterator[Quantity]:
    """Everything that is compared of a run."""
    energy, money = result.summary["energy_kwh"], result.summary["money_eur"]
    labels = ENERGY | BACKGROUND
    yield from ((("energy", labels[key], "kWh"), energy[key]) for key in ENERGIES if key in energy)
    yield from ((("money", label, "EUR"), money[key]) for key, label in MONEY.items())
    yield from ((("curtailment", ENERGY[key], "kWh"), energy[key]) for key in CURTAILED)
    curtailed = result.summary.get("curtailed", {})
    for label, key, unit in CUT:
        yield ("curtailment", label, unit), curtailed.get(key, np.nan)
    for outcome, count in sort_outcomes(result.summary).items():
        yield ("curtailment", f"intervals {outcome.replace('_', ' ')}", "intervals"), count
    yield from list_device_quantities(result.summary)
    yield from list_network_quantities(result)


def list_charge_quantities(result: Result) -> Iterator[Quantity]:
    """What is compared where some run charges for the network: parts, the operator, what each house pays and has."""
    found, paid = result.summary.get(CHARGES_TABLE), dict[str, int]()
    if found is None:
        operator_eur = sum_of_operator(sum_exchanges(result.parts)) / NEUR_PER_EUR
        found = {**dict.fromkeys(CHARGES, 0.0), "operator_eur": operator_eur}
    else:
        table = result.table(CHARGES_TABLE, ("house", "total_neur")).to_pandas()
        paid = table.groupby("house", observed=True)["total_neur"].sum().to_dict()
    for key, (label, unit) in CHARGES.items():
        yield ("energy" if unit == "kWh" else "money", label, unit), found[key]
    label, unit = BY_HOUSE["charged"]
    for row in _read_last_balances(result):
        yield (MONEY_BY_HOUSE, label.format(row["house"]), unit), paid.get(row["house"], 0) / NEUR_PER_EUR
    yield from list_balances(result)


def list_envelope_quantities(result: Result) -> Iterator[Quantity]:
    """What is compared where some run clips orders to envelopes: what these did, fairness, and money by house."""
    found = result.summary.get(WITHIN, {})
    yield from (((WITHIN, label, unit), found.get(key, np.nan)) for key, (label, unit) in ENVELOPES.items())
    spilled = dict[str, float]()
    if len(result.envelopes):
        sums = result.envelopes.groupby("house", observed=True)["spilled_wh"].sum()
        spilled = {str(name): wh / 1000.0 for name, wh in sums.items()}
    houses = share_of_offered(result.table("curtailed_by_house"), spilled)
    shares = measure_offered(houses)
    yield from ((("fairness", label, unit), shares[key]) for key, (label, unit) in OFFERED.items())
    yield from list_balances(result)
    for name, (delivered, offered) in houses.items():
        for key, value in (("delivered_kwh", delivered), ("delivered_percent", 100.0 * delivered / offered)):
            label, unit = BY_HOUSE[key]
            yield (ENERGY_BY_HOUSE, label.format(name), unit), value


def list_balances(result: Result) -> Iterator[Quantity]:
    """Wallet and utility account of every house at the end of a run."""
    label, unit = BY_HOUSE["balance"]
    for row in _read_last_balances(result):
        balance = (row["wallet_neur"] + row["account_neur"]) / NEUR_PER_EUR
        yield (MONEY_BY_HOUSE, label.format(row["house"]), unit), balance


def _read_last_balances(result: Result) -> list[dict[str, Any]]:
    """Each house with its wallet and its account in the last interval."""
    columns = ("house", "wallet_neur", "account_neur")
    last = collections.deque(result.parts("houses", columns), maxlen=1).pop()
    n = pc.count_distinct(last["house"].cast(pa.string())).as_py()
    return list(last.slice(len(last) - n).to_pylist())


def list_device_quantities(summary: Mapping[str, Any]) -> Iterator[Quantity]:
    """What is compared of cars and heat pumps: what they took, had to wait for and missed; nothing without any."""
    for section, labels in FLEXIBLE.items():
        for key, label in labels.items() if section in summary else ():
            yield (DEVICES, label, "kWh"), summary[section][f"{key}_kwh"]
        if section == "cars" and section in summary:
            yield (DEVICES, CARS_LEFT_SHORT, "stays"), summary["cars"]["sessions_not_served"]
    for group, names, unit in ((DEVICES, OUTAGE_DEVICES, "kWh"), (OUTAGES, OUTAGE_COST, "EUR")):
        for key, label in names.items():
            if key in summary.get("resilience", {}):
                yield (group, label, unit), summary["resilience"][key]


def list_network_quantities(result: Result) -> Iterator[Quantity]:
    """What is compared of the network: extremes, hours of high loading and of reverse flow."""
    network = result.summary["network"]
    for key, (column, _, unit) in reversed(EXTREMES.items()):
        yield ("network", NETWORK[key], unit), network.get(key, {}).get(column, np.nan)
    hours = result.scenario.horizon.interval_minutes / 60.0
    yield LENGTH, hours * network["intervals"]
    highest = find_highest_loading(result)
    for percent in (WARN_PERCENT, FULL_PERCENT):
        count = pc.sum(pc.greater_equal(highest, percent)).as_py() or 0
        yield ("network", f"some element at {percent:g} % or more", "h"), hours * count
    p_grid_kw = result.table("intervals", ("p_grid_kw",))["p_grid_kw"]
    exporting = pc.sum(pc.less(p_grid_kw, 0.0)).as_py() or 0
    yield ("network", REVERSE_HOURS, "h"), hours * exporting


def find_highest_loading(result: Result) -> pa.ChunkedArray:
    """Highest loading of any element, and of any conductor of it, in each interval, %, (T,)."""
    conductors = ("",) if result.scenario.network.model == "balanced" else CONDUCTORS["line"]
    columns = name_columns("loading_percent", conductors).values()
    highest = [
        _group_highest(part["time"], pc.max_element_wise(*(part[column] for column in columns)))
        for part in result.parts("branch_loading", ("time", *columns))
    ]
    parts = pa.concat_tables(highest)
    return _group_highest(parts["time"], parts["value"])["value"]


def _group_highest(time: pa.ChunkedArray, value: pa.ChunkedArray) -> pa.Table:
    # One thread: several return the groups in the order in which they end.
    grouped = pa.table({"time": time, "value": value}).group_by("time", use_threads=False).aggregate([("value", "max")])
    return grouped.rename_columns({"value_max": "value"})


def choose_digits(quantity: str, unit: str, values: Iterable[float]) -> int:
    """Decimals that the values of a quantity of this unit are shown with; hours as exactly as they are known."""
    if quantity == NETWORK["largest_unbalance"]:
        return EXTREMES["largest_unbalance"][1]
    if quantity == OFFERED["offered_jain"][0]:
        return 4
    if unit == "kWh" and quantity in {label for label, _ in ENVELOPES.values()}:
        return choose_envelope_digits(unit, values)
    return count_decimals(values) if unit == "h" else {"pu": 4, "EUR": 2, "intervals": 0, "stays": 0}.get(unit, 1)


def write_comparison(table: pd.DataFrame, folder: Path) -> tuple[Path, Path]:
    """Write `comparison.csv` and `comparison.html` into `folder`; both whole or not at all."""
    make_folder(folder)
    csv, page = folder / "comparison.csv", folder / "comparison.html"
    write_whole(csv, format_csv(table, index=True))
    write_whole(page, make_comparison_page(table))
    return csv, page


def make_comparison_page(table: pd.DataFrame) -> str:
    """The comparison as a page that needs nothing else."""
    runs = [str(name) for name in table.columns if " minus " not in str(name)]
    parts = {name: part.droplevel("group") for name, part in table.groupby("group", sort=False)}
    sections = [make_group_section(str(name), part, runs) for name, part in parts.items()]
    sections[0] = sections[0]._replace(text=list_warnings(table))
    return render_page("Comparison of runs", " · ".join(runs), None, sections)


def list_warnings(table: pd.DataFrame) -> tuple[str, ...]:
    """What keeps the runs of a comparison from being comparable as they stand, in sentences."""
    runs = table[[name for name in table.columns if " minus " not in str(name)]]
    return (*compare_lengths(runs), *compare_models(runs))


def make_group_section(group: str, part: pd.DataFrame, runs: list[str]) -> PageSection:
    """Section on one group of quantities; index (quantity, unit)."""
    title = group.capitalize()
    header = ("quantity", "unit", *(str(name) for name in part.columns))
    rows: list[tuple[Cell, ...]] = [
        (words(quantity), words(unit), *(number(float(v), choose_digits(quantity, unit, values)) for v in values))
        for (quantity, unit), values in zip(part.index, part.to_numpy(np.float64), strict=True)
    ]
    figures = tuple(
        Figure(f"{group.replace(' ', '-')}-{unit}", f"{title}, {unit}.", draw_bars(part[runs], unit))
        for unit in dict.fromkeys(part.index.get_level_values("unit"))
        if unit in ("kWh", "EUR")
    )
    caption = f"{title} of each run, and differences from {runs[0]}."
    key = group.replace(" ", "-")
    return PageSection(key, title, tables=(Table(key, caption, header, rows),), figures=figures)


def compare_lengths(runs: pd.DataFrame) -> tuple[str, ...]:
    """Warning if runs are not of the same length: their sums cannot be compared then."""
    lengths = runs.xs(LENGTH)
    if lengths.nunique() == 1:
        return ()
    listed = ", ".join(f"{name} {show_hours(hours)} h" for name, hours in lengths.astype(float).to_dict().items())
    return (f"The runs differ in length ({listed}); sums over them are not comparable as they stand.",)


def compare_models(runs: pd.DataFrame) -> tuple[str, ...]:
    """What voltages and loadings are of where some runs solve each phase and others take phases as balanced."""
    unbalance = ("network", NETWORK["largest_unbalance"], "%")
    if unbalance not in runs.index or runs.xs(unbalance).notna().all():
        return ()
    balanced = ", ".join(str(name) for name, value in runs.xs(unbalance).items() if value != value)
    return (
        f"Phases are taken as balanced in {balanced}: voltages and loadings there are those of all three, in the other "
        "runs those of the worst phase or conductor.",
    )


def draw_bars(part: pd.DataFrame, unit: str) -> Any:
    """Quantities of one unit as bars, one colour per run; index (quantity, unit)."""
    chosen = part.xs(unit, level="unit")
    figure = Plot()
    for k, name in enumerate(chosen.columns):
        figure.add_bar(
            y=list(chosen.index),
            x=chosen[name].to_numpy(),
            name=plain_text(name),
            orientation="h",
            marker={"color": CYCLE[k % len(CYCLE)]},
            hovertemplate="%{y}: %{x:,.2f} " + unit + "<extra>" + str(name) + "</extra>",
        )
    height = 150 + (12 + 14 * len(chosen.columns)) * len(chosen)
    figure = style_figure(figure, height=height, x=unit, y="quantity", barmode="group")
    return figure.update_yaxes(autorange="reversed")
