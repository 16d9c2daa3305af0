"""In which hours the network could not carry what was cleared, and which element was to blame in each."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from cosim.results.columns import is_named
from cosim.results.fairness import CURTAILED_KINDS
from cosim.results.labels import describe_conductor

KINDS = {
    "overvoltage": ("bus", "voltage"),
    "undervoltage": ("bus", "voltage"),
    "line_overload": ("line", "line"),
    "trafo_overload": ("trafo", "transformer"),
    "unbalance": ("bus", "unbalance"),
    "neutral_voltage": ("bus", "neutral to earth"),
    "not_solved": ("", "no power flow solution"),
    "control": ("", "control of voltages without solution"),
}
"""By reason: the table of the net that its element is in, and how the element is introduced.

Reasons that are left out are none of the wires: an outage, or a row that makes up for another.
"""
CUT_KINDS = (*CURTAILED_KINDS, "grid_import")
"""Kinds of exchange that the wires may refuse: what houses sell, and what they draw from the grid."""
NAMED = 6
COLUMNS = ("binding", "reason", "element", "phase", "curtailed_wh")


def name_binding(what: str, name: str, phase: str = "") -> str:
    """The element whose limit was binding, in words: what, its name, its conductor.

    Examples
    --------
    >>> name_binding("transformer", "transformer"), name_binding("cable", "main 2.1", "b")
    ('transformer', 'cable main 2.1 phase b')
    >>> name_binding("voltage", "bus house_17", "a"), name_binding("no power flow solution", "")
    ('voltage house_17 phase a', 'no power flow solution')
    """
    short = name.removeprefix("bus ")
    named = short if short.lower().startswith(what) else f"{what} {short}"
    return f"{named} {describe_conductor(phase)}".strip()


def find_binding(curtailment: pd.DataFrame, net: Any) -> pd.DataFrame:
    """The element that was binding in each interval in which the wires said no.

    Of several it is the one that cut most energy, of equals the first in the table.

    Parameters
    ----------
    curtailment
        As in the file of that name, times as a column.
    net
        pandapower net whose tables the elements index.

    Returns
    -------
    DataFrame
        One row per interval, by time: `COLUMNS`; `curtailed_wh` is all that was cut in it, by whatever element, of
        exchanges and of loads.
    """
    cut = curtailment[(curtailment["curtailed_wh"] > 0) & curtailment["reason"].isin(KINDS)]
    cut = cut.assign(phase=cut["phase"].fillna("") if "phase" in cut else "")
    keys = ["time", "reason", "element", "phase"]
    sums = cut.groupby(keys, sort=False)["curtailed_wh"].sum().reset_index()
    most = sums.sort_values("curtailed_wh", ascending=False, kind="stable").drop_duplicates("time").set_index("time")
    most["curtailed_wh"] = sums.groupby("time")["curtailed_wh"].sum()
    places = list(zip(most["reason"], most["element"], most["phase"], strict=True))
    names = {place: _name_place(net, *place) for place in dict.fromkeys(places)}
    most["binding"] = pd.Series([names[place] for place in places], index=most.index, dtype=object)
    return most.sort_index()[list(COLUMNS)]


def _name_place(net: Any, reason: str, element: int, phase: str) -> str:
    table, what = KINDS[reason]
    if not table:
        return name_binding(what, "")
    found = net[table].loc[element] if element in net[table].index else {}
    cable = table == "line" and found.get("type") == "cs"
    return name_binding("cable" if cable else what, str(found.get("name") or f"#{element}"), phase)


def sum_binding(binding: pd.DataFrame, hours: float) -> pd.DataFrame:
    """Hours and energy, kWh, by binding element, most hours first; the hours add up to all that were curtailed.

    Parameters
    ----------
    binding
        Of `find_binding`.
    hours
        Length of an interval, h.
    """
    grouped = binding.groupby("binding", sort=True)["curtailed_wh"]
    table = pd.DataFrame({"hours": hours * grouped.size(), "curtailed_kwh": grouped.sum() / 1000.0})
    return table.sort_values("hours", ascending=False, kind="stable").rename_axis("binding").reset_index()


def measure_curtailed(curtailment: pd.DataFrame, exchange_sums: pa.Table, net: Any, hours: float) -> dict[str, Any]:
    """Section `curtailed` of a summary: hours, energy and its share of what was cleared, hours by element; JSON-ready.

    Parameters
    ----------
    curtailment, net
        As `find_binding` wants them.
    exchange_sums
        Of `cosim.results.sums.sum_exchanges`.
    hours
        Length of an interval, h.
    """
    table = sum_binding(find_binding(curtailment, net), hours)
    cut_kwh = float(table["curtailed_kwh"].sum())
    cleared = exchange_sums["cleared_wh"].filter(is_named(exchange_sums["kind"], *CUT_KINDS))
    cleared_kwh = int(pc.sum(cleared).as_py() or 0) / 1000.0
    return {
        "hours": float(table["hours"].sum()),
        "cut_kwh": cut_kwh,
        "cut_percent": 100.0 * cut_kwh / cleared_kwh if cut_kwh else 0.0,
        **put_off_kwh(curtailment),
        "by_element": table.to_dict(orient="records"),
    }


def put_off_kwh(curtailment: pd.DataFrame) -> dict[str, float]:
    """What of the energy cut cars and heat pumps take later, as they ask again; nothing where none was put off."""
    shifted = curtailment[(curtailment["kind"] == "shift") & curtailment["reason"].isin(KINDS)]
    return {"put_off_kwh": -int(shifted["curtailed_wh"].sum()) / 1000.0} if len(shifted) else {}


def describe_curtailed(hours: float, by_element: Sequence[dict[str, Any]], of_hours: float) -> str:
    """Hours curtailed by binding element, as one line.

    Parameters
    ----------
    hours, by_element
        Of a summary's section `curtailed`.
    of_hours
        Length of the run, h.

    Examples
    --------
    >>> rows = [{"binding": "transformer", "hours": 41.0}, {"binding": "cable main 2.1 phase b", "hours": 15.5}]
    >>> describe_curtailed(56.5, rows, 8760.0)
    'curtailed in 56.5 h: transformer 41 h, cable main 2.1 phase b 15.5 h'
    >>> describe_curtailed(0.0, [], 8760.0)
    'curtailed in 0 of 8,760 h'
    """
    if not hours:
        return f"curtailed in 0 of {show_hours(of_hours)} h"
    named = [f"{row['binding']} {show_hours(row['hours'])} h" for row in by_element[:NAMED]]
    return f"curtailed in {show_hours(hours)} h: {', '.join([*named, *_describe_rest(by_element[NAMED:])])}"


def _describe_rest(rows: Sequence[dict[str, Any]]) -> Iterable[str]:
    if rows:
        elements = "element" if len(rows) == 1 else "elements"
        yield f"{len(rows)} more {elements} {show_hours(sum(row['hours'] for row in rows))} h"


def show_hours(hours: float) -> str:
    """Hours as text, without rounding a quarter away, and without zeros behind the point.

    Examples
    --------
    >>> show_hours(1234.0), show_hours(15.5), show_hours(0.25)
    ('1,234', '15.5', '0.25')
    """
    return f"{hours:,.2f}".rstrip("0").rstrip(".")
