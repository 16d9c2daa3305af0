"""Write the numbers of docs/how-to/outage.md: the bundled outages with and without the device that is plugged in.

python docs/examples/outage_numbers.py [--study] [FILE]; --study computes the table of random outages, too (minutes), and
the table and the figure of survival.
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
from cosim.scenario.random_outages import HOURS_PER_YEAR
from cosim.studies import survival, survival_curves
from cosim.studies.outages import average_outages, list_outage_tasks
from cosim.studies.study import run_tasks

PAGE = Path(__file__).parents[1] / "how-to" / "outage.md"
FIGURE = PAGE.parent / "images" / "survival.svg"
SEEDS = 10
STARTS, LONGEST = 146, 168
WIDTH, HEIGHT, LEFT, BOTTOM = 640, 300, 50, 40
COLOURS = ("#0072B2", "#009E73", "#D55E00", "#555555")


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


def study_table(variants: tuple[str, ...] = ()) -> str:
    """Means of the random outages by variant, as Markdown; of some variants, or of all."""
    tasks = list_outage_tasks(load_scenario("outage"), SEEDS)
    chosen = [task for task in tasks if not variants or task.labels["variant"] in variants]
    return as_page_table(average_outages(run_tasks(chosen)))


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


def study_curves() -> pd.DataFrame:
    """What `gridsettle study survival` finds."""
    tasks = survival.list_survival_tasks(load_scenario("outage"), STARTS, LONGEST, HOURS_PER_YEAR)
    return survival_curves.make_curves(survival_curves.spread_rows(run_tasks(tasks)))


def draw_curves(curves: pd.DataFrame) -> str:
    """Share of outages with all critical load served, by length, with bands of 95 % confidence, as an SVG."""
    across, up = WIDTH - LEFT - 20, HEIGHT - BOTTOM - 10

    def place(hours: Any, share: Any) -> str:
        pairs = zip(hours, share, strict=True)
        return " ".join(f"{LEFT + h * across / LONGEST:.1f},{10 + (1 - s) * up:.1f}" for h, s in pairs)

    parts = []
    for x in range(0, LONGEST + 1, 24):
        at = place([x], [0.0]).split(",")[0]
        parts.append(f'<text x="{at}" y="{HEIGHT - 22}" text-anchor="middle">{x}</text>')
    for y in (0.0, 0.25, 0.5, 0.75, 1.0):
        parts.append(f'<polyline points="{place([0, LONGEST], [y, y])}" stroke="#ccc" fill="none"/>')
        parts.append(f'<text x="{LEFT - 6}" y="{14 + (1 - y) * up:.0f}" text-anchor="end">{y:.2f}</text>')
    for k, (name, rows) in enumerate(curves.groupby("variant", sort=False)):
        band = place(rows["hours"], rows["critical_low"]), place(rows["hours"][::-1], rows["critical_high"][::-1])
        parts.append(f'<polygon points="{" ".join(band)}" fill="{COLOURS[k]}" fill-opacity="0.2"/>')
        line = place(rows["hours"], rows["critical"])
        parts.append(f'<polyline points="{line}" stroke="{COLOURS[k]}" stroke-width="2" fill="none"/>')
        parts.append(f'<text x="{WIDTH - 20}" y="{28 + 18 * k}" text-anchor="end" fill="{COLOURS[k]}">{name}</text>')
    parts.append(f'<text x="{LEFT + across // 2}" y="{HEIGHT - 4}" text-anchor="middle">length of the outage, h</text>')
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" '
    white = '<rect width="100%" height="100%" fill="white"/>'
    return "\n".join([f'{head}font-size="12">', white, *parts, "</svg>", ""])


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
        curves = study_curves()
        page = replaced(page, "survival", survival_curves.format_markdown(curves))
        FIGURE.write_text(draw_curves(curves), encoding="utf-8")
    file.write_text(page, encoding="utf-8")


def main(arguments: list[str]) -> None:
    """Command line."""
    files: list[Any] = [Path(argument) for argument in arguments if not argument.startswith("--")]
    write(files[0] if files else PAGE, study="--study" in arguments)


if __name__ == "__main__":
    main(sys.argv[1:])
