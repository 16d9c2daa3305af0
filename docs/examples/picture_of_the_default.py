"""Draw docs/images/default.svg: a year of the default scenario, where its wires said no, and when.

python docs/examples/picture_of_the_default.py [FILE [RUN]]

Without a RUN directory the scenario is run first.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from itertools import chain
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

import numpy as np
import pandas as pd

from cosim import Result, Scenario, run
from cosim.report.figures.topology import distance_km, find_places
from cosim.report.palette import BLUE, PURPLE, SKY, VERMILION
from cosim.results.binding import find_binding, show_hours

WIDTH, HEIGHT = 840, 546
STREET = (132.0, 160.0, 568.0, 286.0)
"""Left, top, right and bottom of the plan of the street."""
LABELS, ROW = 604, 18
"""Left edge of the labels beside the street, and the height of one."""
STRIP = (64.0, 366.0, 816.0, 510.0)
"""Left, top, right and bottom of the strip of all hours of the year."""
DAYS, MARK = 365, 4.6
COMMUNITY = "community"
SAID = {
    "overvoltage": ("high", "voltage too high, above {bus_max_vm_pu:g} pu"),
    "undervoltage": ("low", "voltage too low, below {bus_min_vm_pu:g} pu"),
    "trafo_overload": ("full", "transformer above {trafo_max_loading_percent:g} %"),
}
"""By reason of a cut: the class that colours it, and its words."""
STYLE = f"""
svg {{ --page: #ffffff; --ink: #1f2328; --soft: #59636e; --line: #8c959f; --pale: #eef1f4; --edge: #d1d9e0;
  --high: {VERMILION}; --low: {BLUE}; --full: {PURPLE}; font-family: system-ui, "Segoe UI", Helvetica, Arial, sans-serif }}
@media (prefers-color-scheme: dark) {{
  svg {{ --page: #0d1117; --ink: #f0f6fc; --soft: #a5aeb8; --line: #6e7681; --pale: #1b222b; --edge: #3d444d; --low: {SKY} }}
}}
.page {{ fill: var(--page); stroke: var(--edge) }} text {{ fill: var(--ink); font-size: 13px }}
.title {{ font-size: 19px; font-weight: 600 }} .head {{ font-weight: 600 }} .soft {{ fill: var(--soft) }} .hours {{ font-weight: 600 }}
.cable {{ stroke: var(--line); stroke-width: 2.5; fill: none; stroke-linecap: round }} .service {{ stroke: var(--line); stroke-width: 1; fill: none }}
.house {{ fill: var(--page); stroke: var(--line); stroke-width: 1.2 }} .roof {{ fill: var(--line) }}
.leader {{ fill: none; stroke: var(--soft); stroke-width: 0.8 }} .ring {{ fill: none; stroke: var(--ink); stroke-width: 1.6 }}
.sky {{ fill: var(--pale) }} .grid {{ stroke: var(--edge); stroke-width: 1 }}
.high {{ fill: var(--high) }} .low {{ fill: var(--low) }} .full {{ fill: var(--full) }}
"""


def draw(result: Result) -> str:
    """The picture of a run as SVG."""
    curtailment = result.table("curtailment").to_pandas()
    binding = find_binding(curtailment.assign(time=pd.to_datetime(curtailment["time"], utc=True)), result.net)
    title, *lines = describe(result, binding)
    parts = chain(
        [write(24, 36, title, "title"), *(write(24, 60 + ROW * k, line, "soft") for k, line in enumerate(lines))],
        draw_legend(result, binding),
        draw_street(result, binding),
        draw_strip(result, binding),
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}" '
        f'role="img" aria-labelledby="t d">\n<title id="t">{escape(title)}</title>\n'
        f'<desc id="d">{escape(" ".join(lines))}</desc>\n<style>{STYLE}</style>\n'
        f'<rect class="page" x="0.5" y="0.5" width="{WIDTH - 1}" height="{HEIGHT - 1}" rx="8"/>\n'
        + "\n".join(parts)
        + "\n</svg>\n"
    )


def describe(result: Result, binding: pd.DataFrame) -> tuple[str, str, str]:
    """The year in one sentence, what the street has, and what the wires cost it."""
    summary, houses = result.summary, result.scenario.houses
    curtailed, cars, pumps = summary["curtailed"], summary["cars"]["number"], summary["heat_pumps"]["number"]
    return (
        f"In {len(binding)} of {summary['network']['intervals']:,} hours the wires of this street said no to its market",
        f"{houses.n_houses} houses and their community on one {summary['transformer']['rated_kva']:,.0f} kVA transformer: "
        f"panels on {houses.n_prosumers} roofs, {cars} cars, {pumps} heat pumps.",
        f"{curtailed['cut_kwh']:,.0f} kWh were cut or put off, {curtailed['cut_percent']:.2f} % of what was cleared; "
        "whatever settled has a clean AC power flow.",
    )


def draw_legend(result: Result, binding: pd.DataFrame) -> Iterable[str]:
    """What the colours mean, and the hours of each."""
    x, y = 24.0, 60.0 + 2 * ROW + 8
    limits = {f"{row['element_type']}_{row['quantity']}": row["highest"] for row in result.summary["limits"]}
    for reason, (look, text) in SAID.items():
        words, hours = text.format(**limits), int((binding["reason"] == reason).sum())
        yield f'<circle class="{look}" cx="{x + 6:g}" cy="{y - 4.5:g}" r="6"/>'
        yield f'<text x="{x + 18:g}" y="{y:g}">{escape(words)} <tspan class="hours">{hours} h</tspan></text>'
        x += 6.6 * len(words) + 70


def write(x: float, y: float, words: str, look: str = "", anchor: str = "start") -> str:
    """Text at a place."""
    named = f' class="{look}"' if look else ""
    moved = "" if anchor == "start" else f' text-anchor="{anchor}"'
    return f'<text x="{x:g}" y="{y:g}"{named}{moved}>{escape(words)}</text>'


def draw_street(result: Result, binding: pd.DataFrame) -> Iterable[str]:
    """Plan of the street: cables, houses, the transformer, and discs where the wires said no."""
    net = result.net
    points = place_buses(net)
    yield write(24, 136, "Where", "head")
    yield from draw_cables(net, points)
    yield from draw_houses(net, points, find_roofs(result), set(binding["element"]))
    yield from draw_places(net, points, binding)


def place_buses(net: Any) -> pd.DataFrame:
    """Coordinates x, y of every bus in the picture, rounded; the street is stretched across."""
    places, _ = find_places(net)
    left, top, right, bottom = STREET
    size = places.max() - places.min()
    x = left + (places["x"] - places["x"].min()) / size["x"] * (right - left)
    y = top + (places["y"].max() - places["y"]) / size["y"] * (bottom - top)
    return pd.DataFrame({"x": x.round(1), "y": y.round(1)})


def draw_cables(net: Any, points: pd.DataFrame) -> Iterable[str]:
    """Lines of the net, and how long each branch is."""
    main = net.line["name"].str.startswith("main")
    for is_main, line in zip(main, net.line.itertuples(), strict=True):
        a, b = points.loc[line.from_bus], points.loc[line.to_bus]
        yield f'<path class="{"cable" if is_main else "service"}" d="M{a.x:g} {a.y:g}L{b.x:g} {b.y:g}"/>'
    metres = 1000 * distance_km(net, list(net.bus["name"]))
    branch = net.line["name"][main].str.extract(r"main (\d+)\.")[0]
    for name, lines in net.line[main].groupby(branch):
        bar, joint = points.loc[lines["from_bus"].iloc[0]], points.loc[lines["to_bus"].iloc[0]]
        end = metres[net.bus.loc[lines["to_bus"].iloc[-1], "name"]]
        yield write(bar.x - 6, joint.y + 4.5, f"branch {name}, {end:.0f} m", "soft", "end")


def find_roofs(result: Result) -> set[str]:
    """Houses with panels."""
    made = result.table("houses", ["house", "pv_wh"]).to_pandas().groupby("house", observed=True)["pv_wh"].sum()
    return set(made.index[made > 0])


def draw_houses(net: Any, points: pd.DataFrame, roofs: set[str], hidden: set[int]) -> Iterable[str]:
    """A small house at every bus that is one, where no disc will hide it, and what the signs mean."""
    for bus, name in net.bus["name"].items():
        if str(name).startswith("bus ") and str(name) != "bus bar" and bus not in hidden:
            yield draw_house(*points.loc[bus], str(name).removeprefix("bus "), roofs)
    x, y = STREET[0] + 40, STREET[3] + 28
    house = next(iter(roofs - {COMMUNITY}))
    for sign, words in ((house, "house with panels"), ("", "without panels"), (COMMUNITY, "community")):
        yield draw_house(x, y - 4, sign, roofs) + write(x + 12, y, words, "soft")
        x += 6.4 * len(words) + 40


def draw_house(x: float, y: float, name: str, roofs: set[str]) -> str:
    """A house, filled if it has panels, or the community's square."""
    if name == COMMUNITY:
        return f'<rect class="house roof" x="{x - 4.5:g}" y="{y - 4.5:g}" width="9" height="9"/>'
    look = "house roof" if name in roofs else "house"
    return f'<path class="{look}" d="M{x - 4.5:g} {y + 4:g}v-5l4.5 -4.5l4.5 4.5v5z"/>'


def draw_places(net: Any, points: pd.DataFrame, binding: pd.DataFrame) -> Iterable[str]:
    """A disc at every place whose limits were binding, its area by hours, and a label for each of its conductors."""
    hours = binding.groupby(["reason", "element", "binding"]).size().rename("hours").reset_index()
    hours["look"] = [SAID[reason][0] for reason in hours["reason"]]
    hours = hours.sort_values(["hours", "binding"], ascending=[False, True])
    trafo = hours[hours["look"] == "full"]
    at = points.loc[[net.trafo["hv_bus"].iloc[0], net.trafo["lv_bus"].iloc[0]]].mean()
    yield draw_disc(at, trafo)
    yield f'<circle class="ring" cx="{at.x - 3.5:g}" cy="{at.y:g}" r="6"/><circle class="ring" cx="{at.x + 3.5:g}" cy="{at.y:g}" r="6"/>'
    yield from write_rows(at.x + 30, at.y - 4, trafo)
    yield from draw_buses(points, hours[hours["look"] != "full"])


def draw_disc(at: Any, rows: pd.DataFrame) -> str:
    """Disc whose area is proportional to the hours of its rows."""
    radius = 3.1 * np.sqrt(rows["hours"].sum())
    return f'<circle class="{rows["look"].iloc[0]}" cx="{at.x:g}" cy="{at.y:g}" r="{radius:.1f}"/>'


def write_rows(x: float, y: float, rows: pd.DataFrame) -> Iterable[str]:
    """A label for each row: what was binding, and for how many hours."""
    for k, row in enumerate(rows.itertuples()):
        words = f'{escape(row.binding)} <tspan class="hours">{show_hours(row.hours)} h</tspan>'
        yield f'<text x="{x:g}" y="{y + k * ROW + 4.5:g}">{words}</text>'


def draw_buses(points: pd.DataFrame, hours: pd.DataFrame) -> Iterable[str]:
    """Discs of houses, with leaders to labels on the right: those of the upper branch go up, the others down."""
    middle = (STREET[1] + STREET[3]) / 2 + 20
    places = points.loc[hours["element"].unique()].sort_values("x")
    upper, lower = places[places["y"] < middle], places[places["y"] >= middle].iloc[::-1]
    n_upper = int(hours["element"].isin(upper.index).sum())
    y = middle - 16 - ROW * n_upper
    for bus, at in chain(upper.iterrows(), lower.iterrows()):
        rows = hours[hours["element"] == bus]
        if at.y >= middle > y:
            y = middle + 22
        yield f'<path class="leader" d="M{at.x:g} {at.y:g}V{y:g}H{LABELS - 5}"/>'
        yield draw_disc(at, rows)
        yield from write_rows(LABELS, y, rows)
        y += ROW * len(rows)


def draw_strip(result: Result, binding: pd.DataFrame) -> Iterable[str]:
    """Every hour of the year, day by day; those coloured in which the wires said no."""
    left, top, right, bottom = STRIP
    zone = result.scenario.horizon.timezone
    yield write(24, top - 16, f"When: day of the year, and hour of the day in {zone}", "head")
    yield f'<rect class="sky" x="{left:g}" y="{top:g}" width="{right - left:g}" height="{bottom - top:g}"/>'
    for hour in (0, 6, 12, 18, 24):
        y = top + (bottom - top) * hour / 24
        yield f'<path class="grid" d="M{left:g} {y:g}H{right:g}"/>' + write(
            left - 8, y + 4.5, f"{hour}:00", "soft", "end"
        )
    year = result.scenario.horizon.start.year
    for first in pd.date_range(f"{year}-01-01", periods=12, freq="MS"):
        x = left + (right - left) * (first.dayofyear - 1) / DAYS
        yield f'<path class="grid" d="M{x:.1f} {top:g}V{bottom:g}"/>' + write(
            round(x + 3, 1), bottom + 18, f"{first:%b}", "soft"
        )
    local = binding.index.tz_convert(zone)
    for when, reason in zip(local, binding["reason"], strict=True):
        x = left + (right - left) * (when.dayofyear - 0.5) / DAYS - MARK / 2
        y = top + (bottom - top) * when.hour / 24
        yield f'<rect class="{SAID[reason][0]}" x="{x:.1f}" y="{y:g}" width="{MARK:g}" height="6" rx="1"/>'


def make(target: Path, directory: Path | None = None) -> None:
    """Draw the run of a directory, or a new one."""
    result = Result.load(directory) if directory else run(Scenario.load("default"))
    target.write_text(draw(result), encoding="utf-8")


if __name__ == "__main__":
    given = [Path(word) for word in sys.argv[1:]]
    make(given[0] if given else Path(__file__).parents[1] / "images/default.svg", *given[1:])
