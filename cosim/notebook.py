"""What scenarios, results and validations look like in a notebook: small tables, names escaped."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from html import escape
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cosim.results import Result
    from cosim.scenario import Scenario
    from cosim.validate import Validation

UNITS = {"energy_kwh": "kWh", "money_eur": "EUR"}
ALWAYS = ("horizon.start", "horizon.hours", "horizon.interval_minutes", "market.mechanism", "network.source")


def table_html(title: str, header: Iterable[str], rows: Iterable[Iterable[object]]) -> str:
    """A table with a title.

    Examples
    --------
    >>> table_html("x < y", ["key"], [[1]])
    '<table><caption>x &lt; y</caption><thead><tr><th>key</th></tr></thead><tbody><tr><td>1</td></tr></tbody></table>'
    """
    head = "".join(f"<th>{escape(str(name))}</th>" for name in header)
    body = "".join(
        "<tr>" + "".join(f"<td>{escape(str(cell))}</td>" for cell in row) + "</tr>" for row in rows
    )
    return f"<table><caption>{escape(title)}</caption><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def scenario_html(scenario: Scenario) -> str:
    """The keys that tell a scenario apart: the main ones, and those that are not at their default."""
    values = dict(_flat(scenario.model_dump(mode="json")))
    defaults = dict(_flat(type(scenario)().model_dump(mode="json")))
    rows = [
        (key, value, "" if value == defaults.get(key) else f"default {defaults.get(key, 'none')}")
        for key, value in values.items()
        if key in ALWAYS or (value != defaults.get(key) and key != "name")
    ]
    return table_html(f"gridsettle scenario '{scenario.name}'", ("key", "value", ""), rows)


def result_html(result: Result) -> str:
    """Energy, money and the network's extremes of a run."""
    summary = result.summary
    rows = [
        (name.replace("_", " "), f"{value:,.2f}", unit)
        for section, unit in UNITS.items()
        for name, value in summary[section].items()
    ]
    network = summary["network"]
    rows += [
        (f"intervals {name.replace('_', ' ')}", f"{n:,}", "") for name, n in network["outcomes"].items() if n
    ]
    for name, column, digits, unit in (
        ("lowest_voltage", "vm_pu", 4, "pu"),
        ("highest_voltage", "vm_pu", 4, "pu"),
        ("highest_loading", "loading_percent", 1, "%"),
    ):
        if name in network:
            rows.append((name.replace("_", " "), f"{network[name][column]:.{digits}f}", unit))
    return table_html(f"gridsettle run of scenario '{result.scenario.name}'", ("what", "value", "unit"), rows)


def validation_html(validation: Validation) -> str:
    """How many trades can be delivered, and the first of those that cannot."""
    counts = ", ".join(f"{n} {status}" for status, n in validation.summary["trades"].items())
    trades = validation.trades
    cut = trades[trades["status"] != "accepted"].head(10)
    rows = cut.astype(object).where(cut.notna(), "").to_numpy().tolist()
    return table_html(f"gridsettle validation: {counts}", [str(name) for name in cut.columns], rows)


def _flat(content: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Keys of nested tables, joined by points."""
    for key, value in content.items():
        if isinstance(value, dict) and value:
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield prefix + key, value
