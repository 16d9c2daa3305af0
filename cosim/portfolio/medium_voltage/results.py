"""What became of a medium-voltage net: `mv.parquet`, `mv_summary.json`, and the series of the feeders' heads."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from cosim.portfolio.medium_voltage.agree import Agreed
from cosim.portfolio.medium_voltage.net import NAME
from cosim.portfolio.medium_voltage.share import list_shares
from cosim.results.applied_limits import list_limits
from cosim.results.columns import TIME
from cosim.results.directory import make_parquet_options, replace_when_whole, write_json
from cosim.results.folders import make_own_folder
from cosim.results.integrity import read_json
from data.heads import write_heads
from grid_models.powerflow.verdicts import Judgement

MV_TABLE, MV_SUMMARY, HEADS = "mv.parquet", "mv_summary.json", "heads"
BESIDE = (MV_TABLE, MV_SUMMARY, HEADS, f".{MV_TABLE}.partial", f".{MV_SUMMARY}.partial")
"""Names in a portfolio's folder that a medium-voltage net leaves before the first feeder is run."""
ROWS_TOGETHER = 500_000
"""Rows of `mv.parquet` that are made and written at a time."""
LISTED = 20
"""How many intervals with broken limits a summary names one by one, each with all of them."""
SAID = 5
"""How many of these intervals, and of the limits of each, are said in sentences."""
NO_FEEDER, NOT_ENOUGH = "no feeder can mend it", "the feeders were asked for less, which was not enough"
"""Why a limit stays broken: less power of the feeders would not keep it, or did not."""

SCHEMA = pa.schema(
    [
        pa.field("time", TIME, nullable=False),
        pa.field("element_type", pa.dictionary(pa.int8(), pa.string()), nullable=False),
        pa.field("element", pa.int64(), nullable=False),
        pa.field("name", pa.string()),
        pa.field("vm_pu", pa.float64()),
        pa.field("loading_percent", pa.float64()),
    ]
)
"""Of `mv.parquet`: one row per interval and bus, line or transformer, whose index and name in the net these are.

`vm_pu` is null for branches and buses without supply, `loading_percent` for buses.
"""


def write_agreed(agreed: Agreed, directory: Path) -> list[Path]:
    """Write table, summary and series of the heads; returns the files of the series, in the order of the feeders.

    Raises
    ------
    ScenarioError
        If a file cannot be written.
    """
    folder = make_own_folder(directory / HEADS)
    paths = [folder / f"{name}.parquet" for name in agreed.mv.feeder.participants]
    for path, series in zip(paths, agreed.heads, strict=True):
        with replace_when_whole(path) as temporary:
            write_heads(series, temporary)
    options = make_parquet_options(SCHEMA)
    with (
        replace_when_whole(directory / MV_TABLE) as temporary,
        pq.ParquetWriter(temporary, SCHEMA, **options) as writer,
    ):
        for table in list_tables(agreed):
            writer.write_table(table)
    write_json(directory / MV_SUMMARY, summarise(agreed))
    return paths


def list_tables(agreed: Agreed) -> Iterator[pa.Table]:
    """The rows of `mv.parquet`, some intervals at a time."""
    labels = agreed.mv.feeder.labels
    kinds = np.repeat(np.arange(3, dtype=np.int8), [len(labels[table].element) for table in ("bus", "line", "trafo")])
    element = np.concatenate([np.array(labels[table].element, np.int64) for table in ("bus", "line", "trafo")])
    names = [name or None for table in ("bus", "line", "trafo") for name in labels[table].name]
    n_buses, together = int((kinds == 0).sum()), max(1, ROWS_TOGETHER // kinds.size)
    for first in range(0, agreed.time.size, together):
        flow, time = agreed.flow.select(first, first + together), agreed.time[first : first + together]
        no_loading, no_voltage = (
            np.full((time.size, n_buses), np.nan),
            np.full((time.size, kinds.size - n_buses), np.nan),
        )
        columns = [
            pa.array(np.repeat(time.astype("datetime64[ms]"), kinds.size), TIME),
            pa.DictionaryArray.from_arrays(np.tile(kinds, time.size), ["bus", "line", "trafo"]),
            pa.array(np.tile(element, time.size)),
            pa.array(names * time.size, pa.string()),
            pa.array(np.hstack([flow.vm_pu, no_voltage]).ravel(), from_pandas=True),
            pa.array(
                np.hstack([no_loading, flow.line_loading_percent, flow.trafo_loading_percent]).ravel(), from_pandas=True
            ),
        ]
        yield pa.table(columns, SCHEMA)


def summarise(agreed: Agreed) -> dict[str, Any]:
    """Extremes of the net, broken limits, and how well net and feeders agree; JSON-ready."""
    flow, mv = agreed.flow, agreed.mv
    loading = np.hstack([flow.line_loading_percent, flow.trafo_loading_percent])
    broken = np.flatnonzero(agreed.verdicts.status != Judgement.OK)
    limited = np.isfinite(np.stack([series.max_loading_percent for series in agreed.heads], axis=1))
    return {
        "intervals": int(agreed.time.size),
        "feeders": {
            name: {"mv_bus": int(bus), "limited_intervals": int(limited[:, k].sum())}
            for k, (name, bus) in enumerate(zip(mv.feeder.participants, mv.feeder.bus, strict=True))
        },
        "rounds": agreed.n_rounds,
        "residual_pu": agreed.residual_pu,
        "lowest_vm": _find_extreme(agreed, flow.vm_pu, "bus", np.nanargmin, "vm_pu"),
        "highest_vm": _find_extreme(agreed, flow.vm_pu, "bus", np.nanargmax, "vm_pu"),
        "highest_loading": _find_extreme(agreed, loading, "branch", np.nanargmax, "loading_percent")
        if loading.size
        else None,
        "shared_intervals": len(agreed.as_asked),
        "broken_intervals": int(broken.size),
        "broken": [
            {"time": _format_time(agreed.time[t]), "limits": list_broken(agreed, t)} for t in broken[:LISTED].tolist()
        ],
        "limits": list(list_limits(mv.limits)),
        "notes": list(mv.feeder.notes),
    }


def _format_time(time: np.datetime64) -> str:
    """A time as in the summary of a run."""
    return f"{time}+00:00"


def list_broken(agreed: Agreed, t: int) -> list[dict[str, str]]:
    """Every limit that stays broken in an interval, the worst first, and why."""
    p_kw, q_kvar = (np.array([getattr(each, name)[t] for each in agreed.delivered]) for name in _AT_HEADS)
    return [
        {"limit": str(each.violation), "why": NO_FEEDER if each.keeps is None else NOT_ENOUGH}
        for each in list_shares(agreed.mv, agreed.flow, t, p_kw, q_kvar)
    ]


_AT_HEADS = ("p_head_kw", "q_head_kvar")


def _find_extreme(agreed: Agreed, values: Any, table: str, find: Any, unit: str) -> dict[str, Any]:
    """Largest or smallest of some values, (T, n), with its element and time."""
    t, place = (int(k) for k in np.unravel_index(int(find(values)), values.shape))
    labels, n_lines = agreed.mv.feeder.labels, len(agreed.mv.feeder.net.line)
    if table == "branch":
        table, place_in = ("line", place) if place < n_lines else ("trafo", place - n_lines)
    else:
        place_in = place
    element = labels[table].element[place_in]
    return {
        unit: float(values[t, place]),
        "element_type": table,
        "element": element,
        "name": labels[table].name[place_in],
        "time": _format_time(agreed.time[t]),
    }


def read_summary(directory: Path) -> dict[str, Any] | None:
    """What `write_agreed` wrote of a medium-voltage net; None where there is none.

    Raises
    ------
    ScenarioError
        If the file is damaged.
    """
    path = directory / MV_SUMMARY
    return read_json(path) if path.exists() else None


def describe(summary: dict[str, Any]) -> list[str]:
    """A summary in a few sentences, and a line for each of the first intervals with limits that stay broken."""
    said = describe_net(summary)
    said += [_say_broken(each) for each in summary["broken"][:SAID]]
    if summary["broken_intervals"] > SAID:
        said.append(f"more such intervals are in {MV_SUMMARY}, all values in {MV_TABLE}")
    return [f"{NAME}: {sentence}" for sentence in said]


def describe_net(summary: dict[str, Any]) -> list[str]:
    """Agreement, extremes, and how many intervals were shared or stay broken, in sentences."""
    highest, low, high = (summary[name] for name in ("highest_loading", "lowest_vm", "highest_vm"))
    loading = f"{_name(highest)} is loaded to {highest['loading_percent']:.1f} % at most, " if highest else ""
    of_all = f"of {summary['intervals']:,} intervals"
    said = [
        f"{len(summary['feeders']):,} feeders agree with the net to {summary['residual_pu']:.1g} pu "
        f"after {summary['rounds']} rounds; {loading}voltages are {low['vm_pu']:.4f} pu ({_name(low)}) to "
        f"{high['vm_pu']:.4f} pu ({_name(high)})"
    ]
    if summary["shared_intervals"]:
        said.append(
            f"limits were broken in {summary['shared_intervals']:,} {of_all}; what they asked for was shared among the "
            "feeders"
        )
    if summary["broken_intervals"]:
        said.append(
            f"limits stay broken in {summary['broken_intervals']:,} {of_all}; where no feeder can mend them, look at "
            "the net's own loads and generators, and at reactive power"
        )
    return said


def _say_broken(interval: dict[str, Any]) -> str:
    """The limits that stay broken in an interval, in a sentence."""
    limits = interval["limits"]
    said = [f"{each['limit']}, {each['why']}" for each in limits[:SAID]]
    more = [f"{len(limits) - SAID:,} more in {MV_SUMMARY}"] if len(limits) > SAID else []
    return f"{interval['time'].removesuffix('+00:00')} UTC: {'; '.join(said + more)}"


def _name(extreme: dict[str, Any]) -> str:
    """An element in a sentence."""
    kind = {"trafo": "transformer"}.get(extreme["element_type"], extreme["element_type"])
    return f"{kind} '{extreme['name']}'" if extreme["name"] else f"{kind} {extreme['element']}"
