"""Write the numbers of docs/how-to/outage.md: the bundled outages with and without the device that is plugged in.

python docs/examples/outage_numbers.py [--study] [FILE]; --study computes the table of random outages, too (minutes).
"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

import pandas as pd

from cosim import Result, run
from cosim.scenario.events import OutageEvent
from cosim.scenario.files import load_scenario
from cosim.studies.outages import average_outages, list_outage_tasks
from cosim.studies.study import run_tasks

PAGE = Path(__file__).parents[1] / "how-to" / "outage.md"
SEEDS = 10


def with_and_without() -> tuple[Result, Result]:
    """The bundled scenario, and the same without the devices that are plugged in."""
    scenario = load_scenario("outage").with_changes(engine={"verify_sample": 0})
    outages = [event.model_dump() for event in scenario.events if isinstance(event, OutageEvent)]
    return run(scenario), run(scenario.with_changes(events=outages))


def plugged_in_table() -> str:
    """What the plugged-in fuel cell adds, as Markdown."""
    more, less = (_figures(result) for result in with_and_without())
    rows = ["| | without | with the second fuel cell |", "|---|---|---|"]
    rows += [f"| {name} | {less[name]} | {more[name]} |" for name in more]
    return "\n".join(rows)


def _figures(result: Result) -> dict[str, str]:
    parts = result.table("outage_intervals").to_pandas().set_index("time")
    parts = parts[parts["supply"] != "grid"]
    metrics = result.summary["resilience"]
    found: dict[str, str] = {}
    for month, name in ((1, "January"), (7, "July")):
        wh = parts[parts.index.month == month].sum(numeric_only=True)
        found[f"load served, {name}"] = f"{100 * wh['served_wh'] / wh['load_wh']:.1f} %"
        found[f"critical load served, {name}"] = f"{100 * wh['critical_served_wh'] / wh['critical_wh']:.1f} %"
    found["load served, both"] = f"{100 * metrics['served_share']:.1f} %"
    found["energy not served, both"] = f"{metrics['energy_not_served_kwh']:.0f} kWh"
    found["hours with critical load short, per house (SAIDI)"] = f"{metrics['saidi_hours']:.1f}"
    found["hours to the first critical load short"] = f"{metrics['hours_to_first_critical_shed']:.0f}"
    found["hydrogen used in all of the run"] = f"{result.summary['fuel_cells']['hydrogen_kg']:.0f} kg"
    return found


def study_table() -> str:
    """Means of the random outages by variant, as Markdown."""
    means = average_outages(run_tasks(list_outage_tasks(load_scenario("outage"), SEEDS)))
    return as_page_table(means)


def as_page_table(means: pd.DataFrame) -> str:
    """Means by variant with headings for people."""
    columns = {
        "energy_not_served_kwh": ("energy not served, kWh", ".1f"),
        "served_share": ("load served", ".3f"),
        "critical_served_share": ("critical load served", ".3f"),
        "survival_hours": ("hours survived", ".1f"),
        "survived_share": ("outages without critical load short", ".1f"),
    }
    rows = ["| variant | " + " | ".join(title for title, _ in columns.values()) + " |"]
    rows.append("|" + "---|" * (1 + len(columns)))
    for record in means.to_dict(orient="records"):
        cells = [format(record[name], digits) for name, (_, digits) in columns.items()]
        rows.append("| " + " | ".join([str(record["variant"]), *cells]) + " |")
    return "\n".join(rows)


def block(page: str, name: str) -> str:
    """Text between the marks of a name."""
    found = re.search(_marks(name), page, flags=re.DOTALL)
    assert found is not None, name
    return found[1]


def replaced(page: str, name: str, text: str) -> str:
    """The page with other text between the marks of a name."""
    return re.sub(_marks(name), lambda _: f"<!-- {name} -->\n{text}\n<!-- end -->", page, flags=re.DOTALL)


def _marks(name: str) -> str:
    return rf"<!-- {re.escape(name)} -->\n(.*?)\n<!-- end -->"


def write(file: Path, *, study: bool) -> None:
    """Put the numbers into the page."""
    page = replaced(file.read_text(encoding="utf-8"), "plugged in", plugged_in_table())
    if study:
        page = replaced(page, "study", study_table())
    file.write_text(page, encoding="utf-8")


def main(arguments: list[str]) -> None:
    """Command line."""
    files: list[Any] = [Path(argument) for argument in arguments if not argument.startswith("--")]
    write(files[0] if files else PAGE, study="--study" in arguments)


if __name__ == "__main__":
    main(sys.argv[1:])
