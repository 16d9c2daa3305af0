"""Map of a network with what the doctor found, as an SVG that stands alone and follows light and dark.

Severities differ in colour, shape and word. Each mark has a number, which the list below the map repeats, and a title,
which browsers show under the pointer and screen readers read.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from copy import copy
from html import escape
from textwrap import wrap
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from cosim.nets.doctor.finding import Diagnosis, Finding, Severity, find_worst
from cosim.report.figures.topology import find_places, find_sources, fit_places
from cosim.report.palette import BLACK, BLUE, GREY, ORANGE, VERMILION
from grid_models.arrays import Floats
from grid_models.feeder.references import ENDS, SWITCHED

WIDTH, HEIGHT, MARGIN = 960, 460, 34
TOP, LINE_HEIGHT, LETTERS = 44, 23, 128
"""Height of the heading and of a line of the list, and letters that fit into one."""
MOST_LISTED = 25
"""Marks whose findings are listed below the map; of the others the number stands there."""
LOOKS = {Severity.ERROR: (VERMILION, BLACK), Severity.WARNING: (ORANGE, BLACK), Severity.NOTE: (BLUE, "#FFFFFF")}
"""Colour of a mark and of the number in it."""
_STYLE = f"""
svg{{background:#fff;color-scheme:light dark}}
text{{font:13px system-ui,sans-serif;fill:{BLACK}}}
.head{{font-size:16px;font-weight:600}} .in{{font-size:11px;font-weight:700;text-anchor:middle}}
.line,.trafo{{stroke:{GREY};stroke-width:2;fill:none}} .off{{stroke-dasharray:5 4}}
.bus{{fill:{GREY};stroke:#fff}} .source{{fill:{BLACK};stroke:#fff}} .mark{{stroke:#fff;stroke-width:1.5}}
@media (prefers-color-scheme:dark){{svg{{background:#16191d}} text{{fill:#e8eaed}} .source{{fill:#e8eaed}}
.line,.trafo{{stroke:#9aa0a6}} .bus{{fill:#9aa0a6}} .bus,.source,.mark{{stroke:#16191d}}}}
"""


class Mark(NamedTuple):
    """Findings at one place: their number on the map, the place in the picture (None: of the whole net)."""

    number: int
    point: tuple[float, float] | None
    findings: tuple[Finding, ...]

    @property
    def severity(self) -> Severity:
        """The worst of them."""
        return find_worst(self.findings)


def draw_findings(net: Any, diagnosis: Diagnosis, name: str) -> str:
    """SVG document of a net, its findings marked and listed.

    Parameters
    ----------
    net
        pandapower net; drawn at its own coordinates where every bus has some, else as a tree.
    diagnosis
        What was found in it.
    name
        Of the network, for the heading.
    """
    places, own = find_places(_with_lengths(net, diagnosis.findings))
    points = fit_places(places.to_numpy(np.float64), (WIDTH, HEIGHT), MARGIN, to_scale=own)
    at = dict(zip((int(bus) for bus in net.bus.index), points + np.array([0.0, TOP]), strict=True))
    marks = make_marks(net, diagnosis.findings, at)
    listed = list(_list_marks(marks))
    height = TOP + HEIGHT + LINE_HEIGHT * (len(listed) + 3)
    counts = ", ".join(_count(diagnosis.count(severity), str(severity)) for severity in Severity)
    summary = f"{_clean(name)}: score {diagnosis.score} of 100; {counts}"
    layout = "at its own coordinates" if own else "as a tree, distance along the lines to the right"
    parts = [
        f'<text class="head" x="{MARGIN}" y="28">{escape(_shorten(summary))}</text>',
        *_draw_net(net, at),
        *(part for mark in reversed(marks) if mark.point is not None for part in _draw_mark(mark, mark.point)),
        *_draw_legend(TOP + HEIGHT + 6, layout),
    ]
    for k, (mark, text) in enumerate(listed):
        y = TOP + HEIGHT + LINE_HEIGHT * (k + 2) + 8
        if mark is not None:
            parts += _draw_shape(mark.severity, (MARGIN, y - 4.0), str(mark.number), "")
        parts.append(f'<text x="{MARGIN + 20}" y="{y}">{escape(text)}</text>')
    description = f"{len(net.bus)} buses, {len(net.line)} lines and {len(net.trafo)} transformers, drawn {layout}."
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" '
        f'role="img" aria-labelledby="title desc"><title id="title">{escape(summary)}</title>'
        f'<desc id="desc">{escape(description)}</desc><style>{_STYLE}</style>{"".join(parts)}</svg>\n'
    )


def _with_lengths(net: Any, findings: Sequence[Finding]) -> Any:
    """The net with the mean length for lines whose own is none or found too long: all others would be one point."""
    length = net.line["length_km"].astype(float)
    too_long = {finding.index for finding in findings if finding.check == "line_length"}
    wrong = ~((length > 0.0) & np.isfinite(length)) | length.index.isin(too_long)
    if not wrong.any():
        return net
    laid = copy(net)
    laid["line"] = net.line.assign(length_km=length.mask(wrong, length[~wrong].mean() if (~wrong).any() else 1.0))
    return laid


def make_marks(net: Any, findings: Sequence[Finding], at: dict[int, Floats]) -> list[Mark]:
    """Marks of findings by place, in the order of the findings; those of the whole net have no place.

    Parameters
    ----------
    net
        pandapower net.
    findings
        What was found in it.
    at
        Place of each bus in the picture.
    """
    grouped: dict[tuple[float, float] | str, list[Finding]] = {}
    for finding in findings:
        buses = _find_buses(net, finding)
        point = np.mean([at[bus] for bus in buses], axis=0).round(1).tolist() if buses else None
        grouped.setdefault(finding.check if point is None else (point[0], point[1]), []).append(finding)
    return [
        Mark(number, None if isinstance(key, str) else key, tuple(some))
        for number, (key, some) in enumerate(grouped.items(), 1)
    ]


def _find_buses(net: Any, finding: Finding) -> list[int]:
    """Buses amid which a finding is marked; none where it is of the whole net."""
    frame = net.get(finding.table)
    if finding.index is None or not isinstance(frame, pd.DataFrame) or finding.index not in frame.index:
        return []
    if finding.table == "bus":
        return [finding.index]
    row: Any = frame.loc[finding.index]
    if finding.table == "switch":
        ends = SWITCHED[row["et"]]
        return [int(row["bus"])] if ends in ENDS else [int(row["bus"]), int(row["element"])]
    columns = ENDS.get(finding.table) or [name for name in ("bus", "from_bus", "to_bus") if name in row]
    buses = [int(row[name]) for name in columns]
    return [bus for bus in buses if bus in net.bus.index]


def _draw_net(net: Any, at: dict[int, Floats]) -> Iterator[str]:
    for table, (begin, end) in (("line", ENDS["line"]), ("trafo", ENDS["trafo"])):
        frame = net[table]
        names = frame["name"] if "name" in frame else [None] * len(frame)
        rows = zip(frame.index, frame[begin], frame[end], frame["in_service"].astype(bool), names, strict=True)
        for label, first, second, is_on, name in rows:
            (x1, y1), (x2, y2) = at[int(first)], at[int(second)]
            title = _title(_place(table, label, name) + ("" if is_on else ", out of service"))
            look = f"{table}{'' if is_on else ' off'}"
            yield f'<path class="{look}" d="M{x1:.1f} {y1:.1f}L{x2:.1f} {y2:.1f}">{title}</path>'
            if table == "trafo":
                middle = f'cx="{(x1 + x2) / 2:.1f}" cy="{(y1 + y2) / 2:.1f}"'
                yield f'<circle class="{look}" {middle} r="10">{title}</circle>'
    sources = set(find_sources(net))
    names = net.bus["name"] if "name" in net.bus else [None] * len(net.bus)
    for label, name in zip(net.bus.index, names, strict=True):
        x, y = at[int(label)]
        is_source = int(label) in sources
        title = _title(_place("bus", label, name) + (", source" if is_source else ""))
        if is_source:
            yield f'<rect class="source" x="{x - 6:.1f}" y="{y - 6:.1f}" width="12" height="12">{title}</rect>'
        else:
            yield f'<circle class="bus" cx="{x:.1f}" cy="{y:.1f}" r="4">{title}</circle>'


def _draw_mark(mark: Mark, point: tuple[float, float]) -> Iterable[str]:
    said = "; ".join(f"{finding.severity}, {finding.place}: {finding.what}" for finding in mark.findings)
    return _draw_shape(mark.severity, point, str(mark.number), said)


def _draw_shape(severity: Severity, point: tuple[float, float], number: str, said: str) -> list[str]:
    """A triangle of an error, a square of a warning, a circle of a note, with a number in it."""
    (x, y), (fill, ink) = point, LOOKS[severity]
    title = _title(said) if said else ""
    look = f'class="mark" fill="{fill}"'
    if severity is Severity.ERROR:
        shape = f'<path {look} d="M{x:.1f} {y - 13:.1f}l13 21h-26z">{title}</path>'
    elif severity is Severity.WARNING:
        shape = f'<rect {look} x="{x - 9:.1f}" y="{y - 9:.1f}" width="18" height="18">{title}</rect>'
    else:
        shape = f'<circle {look} cx="{x:.1f}" cy="{y:.1f}" r="10">{title}</circle>'
    text = f'<text class="in" x="{x:.1f}" y="{y + 5:.1f}" style="fill:{ink}" aria-hidden="true">{number}</text>'
    return [shape, text]


def _draw_legend(y: float, layout: str) -> Iterator[str]:
    x = float(MARGIN)
    for severity in Severity:
        yield from _draw_shape(severity, (x, y), "", "")
        yield f'<text x="{x + 18:.0f}" y="{y + 5}">{severity}</text>'
        x += 100.0
    yield f'<rect class="source" x="{x - 6:.1f}" y="{y - 6:.1f}" width="12" height="12"/>'
    yield f'<text x="{x + 14:.0f}" y="{y + 5}">source</text>'
    yield f'<text x="{x + 100:.0f}" y="{y + 5}">drawn {layout}</text>'


def _list_marks(marks: Sequence[Mark]) -> Iterator[tuple[Mark | None, str]]:
    """Lines of text below the map, the first of each mark with it."""
    if not marks:
        yield None, "nothing was found"
    for mark in marks[:MOST_LISTED]:
        for k, finding in enumerate(mark.findings[:3]):
            lines = wrap(_clean(f"{finding.place}: {finding.what} ({finding.check})"), LETTERS)[:3]
            yield from ((mark if k == j == 0 else None, line) for j, line in enumerate(lines))
        if len(mark.findings) > 3:
            yield None, f"and {len(mark.findings) - 3} more there"
    if len(marks) > MOST_LISTED:
        yield None, f"and {len(marks) - MOST_LISTED} more marks: gridsettle net check --json tells all"


def _place(table: str, label: Any, name: Any) -> str:
    return f"{table} {label}" + ("" if name is None or pd.isna(name) or name == "" else f" '{name}'")


def _count(n: int, word: str) -> str:
    return f"{n} {word}{'s' * (n != 1)}"


def _title(text: str) -> str:
    return f"<title>{escape(_clean(text))}</title>"


def _clean(text: str) -> str:
    """Text without what XML must not hold, such as control characters and halves of letters."""
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)


def _shorten(text: str) -> str:
    return text if len(text) <= LETTERS else f"{text[: LETTERS // 2]} … {text[-LETTERS // 2 :]}"
