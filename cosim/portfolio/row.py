"""The row of a feeder in `portfolio.parquet`: what its run came to, in the words and numbers of its summary.

Nothing here differs between two runs of the same index: no time that was taken, no name of a worker, no path.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

import pyarrow as pa

from cosim.portfolio.mends import MEND_COLUMNS, measure_mends
from cosim.results.binding import KINDS, find_binding, sum_binding
from cosim.results.columns import TIME
from cosim.results.coordinates import find_centre
from cosim.results.result import Result
from cosim.results.summary import METERED

RUN, FAILED = "run", "failed"
"""What a row's `status` may be."""
OUTCOMES = ("clean", "curtailed", "shed", "de_energised", "islanded")
"""Outcomes of an interval, as a summary counts them."""
EXCHANGED = ("from_grid", "p2p", "lot_sale", "shared", "losses", "curtailed")
BACKGROUND = ("to_grid", "background_load", "background_generation")
MONEY = (
    *("paid_to_grid", "feed_in", "earned_from_p2p", "fees", "earned_from_sharing", "contract_sales", "losses"),
    "compensation",
)
KINDS_OF_BINDING = {"bus": "voltage", "line": "line", "trafo": "transformer"}
"""How hours with a binding element are counted, by the table of the net that it is in; else as `other`."""

_TEXT, _COUNT, _FLOAT = pa.string(), pa.int64(), pa.float64()

COLUMNS: tuple[tuple[str, pa.DataType, str], ...] = (
    ("feeder", _TEXT, "name of the feeder in the index, unique"),
    ("status", _TEXT, "run, or failed; of a feeder that failed every column but name, status and message is null"),
    ("message", _TEXT, "why the feeder failed, or in how many intervals it had to be switched off; null where neither"),
    ("head", _TEXT, "hash of the last block of the feeder's ledger, hexadecimal: the same wherever the feeder runs"),
    ("root", _TEXT, "root of the tree over that ledger's blocks, hexadecimal"),
    ("height", _COUNT, "number of that ledger's last block"),
    ("houses", _COUNT, "participants, a community's common devices among them"),
    ("buses", _COUNT, "buses of the network"),
    ("start", TIME, "begin of the first interval"),
    ("intervals", _COUNT, "intervals that were run"),
    ("interval_minutes", _COUNT, "length of an interval, minutes"),
    *((f"{name}_intervals", _COUNT, f"intervals whose outcome is {name}") for name in OUTCOMES),
    ("curtailed_hours", _FLOAT, "hours in which the wires did not carry what was cleared"),
    ("cut_kwh", _FLOAT, "energy that the wires kept from exchanges and loads"),
    ("cut_percent", _FLOAT, "the same over what was cleared, %"),
    ("put_off_kwh", _FLOAT, "of it what cars and heat pumps take later; null where nothing was put off"),
    *((f"{name}_kwh", _FLOAT, f"`energy_kwh.{name}` of the feeder's summary") for name in (*METERED, *EXCHANGED)),
    *((f"{name}_kwh", _FLOAT, f"`energy_kwh.{name}` of the summary; null without background") for name in BACKGROUND),
    *((f"{name}_eur", _FLOAT, f"`money_eur.{name}` of the feeder's summary") for name in MONEY),
    ("network_charges_eur", _FLOAT, "`charges.total_eur` of the summary; null without network charges"),
    (
        "operator_eur",
        _FLOAT,
        "`charges.operator_eur`, left to the operator; null without network charges",
    ),
    ("highest_loading_percent", _FLOAT, "highest loading of a line or transformer, %"),
    ("highest_loading_element", _TEXT, "the line or transformer that had it"),
    ("highest_loading_phase", _TEXT, "its conductor; null in a balanced run"),
    ("highest_loading_time", TIME, "begin of that interval"),
    ("lowest_vm_pu", _FLOAT, "lowest voltage of a bus, pu"),
    ("lowest_vm_bus", _TEXT, "the bus that had it"),
    ("lowest_vm_phase", _TEXT, "its phase; null in a balanced run"),
    ("lowest_vm_time", TIME, "begin of that interval"),
    ("highest_vm_pu", _FLOAT, "highest voltage of a bus, pu"),
    ("highest_vm_bus", _TEXT, "the bus that had it"),
    ("highest_vm_phase", _TEXT, "its phase; null in a balanced run"),
    ("highest_vm_time", TIME, "begin of that interval"),
    ("largest_vuf_percent", _FLOAT, "largest voltage unbalance |V2|/|V1|, %; null in a balanced run"),
    ("largest_vuf_bus", _TEXT, "the bus that had it"),
    ("highest_neutral_loading_percent", _FLOAT, "highest loading of a neutral, %; null in a balanced run"),
    ("highest_neutral_voltage_v", _FLOAT, "highest voltage of a neutral to earth, V; null without four wires"),
    ("trafo_kva", _FLOAT, "rating of all transformers in service; null where there is none"),
    ("largest_import_kw", _FLOAT, "largest power from the grid; null where nothing came"),
    ("largest_export_kw", _FLOAT, "largest power to the grid; null where nothing went"),
    ("binding_element", _TEXT, "the element that was binding for most hours, in words; null where none was"),
    ("binding_element_hours", _FLOAT, "hours in which it was; null where none was"),
    ("binding_elements", _COUNT, "how many elements were binding in some hour"),
    *(
        (f"{kind}_binding_hours", _FLOAT, f"of the hours curtailed, those in which the binding element was {words}")
        for kind, words in (
            ("voltage", "a bus: its voltage, unbalance or neutral"),
            ("line", "a line or cable"),
            ("transformer", "a transformer"),
            ("other", "none: the power flow or the control of voltages had no solution"),
        )
    ),
    ("en50160_voltage", _TEXT, "word on EN 50160, clause 4.2.2, over all nodes; null without nodes of low voltage"),
    ("en50160_unbalance", _TEXT, "word on EN 50160, clause 4.2.4"),
    ("jain_index", _FLOAT, "fairness of curtailment (Jain); 1: all houses that sold were cut alike"),
    ("cars", _COUNT, "electric cars"),
    ("cars_not_served_kwh", _FLOAT, "what cars wanted and had not at departure; null without cars"),
    ("heat_pumps", _COUNT, "heat pumps"),
    ("heat_shortfall_kwh", _FLOAT, "heat that heat pumps did not deliver; null without heat pumps"),
    ("hours_without_grid", _FLOAT, "hours in which the grid did not feed a part of the network; null without outages"),
    ("hosting_kw", _FLOAT, "firm hosting capacity, kW; null unless it was asked for"),
    ("x", _FLOAT, "mean of the buses' coordinates, first of a pair (longitude); null where the net has none"),
    ("y", _FLOAT, "mean of the buses' coordinates, second of a pair (latitude); null where the net has none"),
    ("notes", _TEXT, "what was left out of the feeder's network or filled in, and how its files were read"),
    *MEND_COLUMNS,
)
"""Name, type and meaning of each column; units stand in the names."""

SCHEMA = pa.schema([pa.field(name, kind, metadata={"meaning": meaning}) for name, kind, meaning in COLUMNS])
"""Schema of `portfolio.parquet`."""


def make_row(name: str, result: Result, *, hosting_kw: float | None = None) -> dict[str, Any]:
    """Row of a feeder that ran, every column of `SCHEMA` in it.

    Parameters
    ----------
    name
        Of the feeder.
    result
        Of its run, with a ledger.
    hosting_kw
        Its hosting capacity, where that was asked for.
    """
    summary = result.summary
    cars, pumps = summary.get("cars", {}), summary.get("heat_pumps", {})
    ledger, transformer, standard = summary["ledger"], summary["transformer"], summary.get("en50160", {})
    found = {
        "feeder": name,
        "status": RUN,
        "message": _describe_off(summary["network"]),
        "head": ledger["hash"],
        "root": ledger["root"],
        "height": ledger["height"],
        "houses": len(next(result.parts("houses", ("house",)))["house"].unique()),
        "buses": len(result.net.bus),
        "start": next(result.parts("intervals", ("time",)))["time"][0].as_py(),
        "interval_minutes": result.scenario.horizon.interval_minutes,
        **_list_sums(summary),
        **_list_extremes(summary["network"]),
        **_list_binding(result),
        "trafo_kva": transformer.get("rated_kva"),
        "largest_import_kw": transformer.get("largest_import", {}).get("kw"),
        "largest_export_kw": transformer.get("largest_export", {}).get("kw"),
        "en50160_voltage": standard.get("voltage", {}).get("word"),
        "en50160_unbalance": standard.get("unbalance", {}).get("word"),
        "jain_index": summary["fairness"]["jain_index"],
        "cars": cars.get("number", 0),
        "cars_not_served_kwh": cars.get("not_served_kwh"),
        "heat_pumps": pumps.get("number", 0),
        "heat_shortfall_kwh": pumps.get("shortfall_kwh"),
        "hours_without_grid": summary.get("resilience", {}).get("hours_without_grid"),
        "hosting_kw": hosting_kw,
        **_find_place(result),
        "notes": " | ".join((*summary["network"].get("notes", ()), *summary.get("notes", ()))),
    }
    return {**dict.fromkeys(SCHEMA.names), **found, **measure_mends(result)}


def _describe_off(network: Mapping[str, Any]) -> str | None:
    """That a feeder was switched off, as no admissible operation was found; None where that never was so."""
    off = network["outcomes"].get("de_energised", 0)
    return (
        f"switched off in {off:,} of {network['intervals']:,} intervals: no admissible operation found" if off else None
    )


def _find_place(result: Result) -> dict[str, float | None]:
    """Mean coordinates of the feeder; none of one that is drawn, whose coordinates are those of a drawing."""
    return {"x": None, "y": None} if result.scenario.network.source == "generated" else find_centre(result.net)


def make_failed_row(name: str, message: str) -> dict[str, Any]:
    """Row of a feeder that failed, and why."""
    return {**dict.fromkeys(SCHEMA.names), "feeder": name, "status": FAILED, "message": message}


def _list_sums(summary: Mapping[str, Any]) -> dict[str, Any]:
    """Intervals, hours, energies and money of a summary, under the names of columns."""
    network, curtailed = summary["network"], summary["curtailed"]
    return {
        "intervals": network["intervals"],
        **{f"{name}_intervals": network["outcomes"].get(name, 0) for name in OUTCOMES},
        "curtailed_hours": curtailed["hours"],
        **{name: curtailed.get(name) for name in ("cut_kwh", "cut_percent", "put_off_kwh")},
        **{f"{name}_kwh": summary["energy_kwh"].get(name) for name in (*METERED, *EXCHANGED, *BACKGROUND)},
        **{f"{name}_eur": summary["money_eur"][name] for name in MONEY},
        "network_charges_eur": summary.get("charges", {}).get("total_eur"),
        "operator_eur": summary.get("charges", {}).get("operator_eur"),
    }


def _list_extremes(network: Mapping[str, Any]) -> dict[str, Any]:
    """Extremes of a summary's section `network`, under the names of columns; those that it has not are null."""
    loading = network.get("highest_loading", {})
    found = {
        "highest_loading_percent": loading.get("loading_percent"),
        "highest_loading_element": loading.get("element"),
        "highest_loading_phase": loading.get("phase"),
        "highest_loading_time": _read_time(loading),
    }
    for name in ("lowest", "highest"):
        voltage = network.get(f"{name}_voltage", {})
        found |= {f"{name}_vm_{key}": voltage.get(key) for key in ("bus", "phase")}
        found |= {f"{name}_vm_pu": voltage.get("vm_pu"), f"{name}_vm_time": _read_time(voltage)}
    unbalance = network.get("largest_unbalance", {})
    return {
        **found,
        "largest_vuf_percent": unbalance.get("vuf_percent"),
        "largest_vuf_bus": unbalance.get("bus"),
        "highest_neutral_loading_percent": network.get("highest_neutral_loading", {}).get("loading_percent"),
        "highest_neutral_voltage_v": network.get("highest_neutral_voltage", {}).get("neutral_v"),
    }


def _read_time(extreme: Mapping[str, Any]) -> datetime | None:
    return datetime.fromisoformat(extreme["time"]) if extreme else None


def _list_binding(result: Result) -> dict[str, Any]:
    """The element that was binding for most hours, and hours by the kind of element."""
    hours = result.scenario.horizon.interval_minutes / 60.0
    binding = find_binding(result.table("curtailment").to_pandas(), result.net)
    kinds = binding["reason"].map(lambda reason: KINDS_OF_BINDING.get(KINDS[reason][0], "other"))
    by_element = sum_binding(binding, hours).to_dict(orient="records")
    most = by_element[0] if by_element else {}
    counted = {
        f"{kind}_binding_hours": hours * int((kinds == kind).sum()) for kind in (*KINDS_OF_BINDING.values(), "other")
    }
    return {
        "binding_element": most.get("binding"),
        "binding_element_hours": most.get("hours"),
        "binding_elements": len(by_element),
        **counted,
    }


def make_rows_table(rows: Iterable[Mapping[str, Any]]) -> pa.Table:
    """Table of rows in the order of their names; times may be words, as JSON has them."""
    ordered = sorted(rows, key=lambda row: str(row["feeder"]))
    return pa.Table.from_pylist(
        [{name: _read_value(row.get(name), name) for name in SCHEMA.names} for row in ordered], SCHEMA
    )


def _read_value(value: Any, name: str) -> Any:
    return datetime.fromisoformat(value) if SCHEMA.field(name).type == TIME and isinstance(value, str) else value
