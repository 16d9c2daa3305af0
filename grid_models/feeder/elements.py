"""What becomes of each kind of element of a net: carried, replaced by the participants, kept, not run, or refused.

`ELEMENT_TYPES` is the one table of it. `docs/elements.md` says the same, and a test compares the two.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from pandapower.topology import unsupplied_buses

from grid_models.errors import GridError
from grid_models.feeder.plausibility import list_doubts


class Handling(StrEnum):
    """What becomes of an element."""

    CARRIED = "carried"
    """Part of the network, as pandapower solves it."""
    REPLACED = "replaced"
    """Replaced by the participants, unless `keep_elements` is set; then kept."""
    KEPT = "kept"
    """Stays beside the participants, with its own power."""
    NOT_RUN = "not run"
    """What it would change during a time series is left as it is."""
    IGNORED = "ignored"
    """Says nothing that a power flow reads."""
    REFUSED = "refused"
    """A net that has it in service is refused."""


class ElementType(NamedTuple):
    """Elements of a table, in words, and what becomes of them."""

    words: str
    handling: Handling


ELEMENT_TYPES: dict[str, ElementType] = {
    "bus": ElementType("buses", Handling.CARRIED),
    "line": ElementType("lines", Handling.CARRIED),
    "trafo": ElementType("transformers", Handling.CARRIED),
    "trafo3w": ElementType("three-winding transformers", Handling.CARRIED),
    "impedance": ElementType("impedances", Handling.CARRIED),
    "switch": ElementType("switches", Handling.CARRIED),
    "ext_grid": ElementType("external grids", Handling.CARRIED),
    "load": ElementType("loads", Handling.REPLACED),
    "sgen": ElementType("static generators", Handling.REPLACED),
    "storage": ElementType("storages", Handling.REPLACED),
    "motor": ElementType("motors", Handling.REPLACED),
    "gen": ElementType("generators", Handling.REPLACED),
    "asymmetric_load": ElementType("unbalanced loads", Handling.REPLACED),
    "asymmetric_sgen": ElementType("unbalanced generators", Handling.REPLACED),
    "shunt": ElementType("shunts", Handling.KEPT),
    "ward": ElementType("wards", Handling.KEPT),
    "xward": ElementType("extended wards", Handling.KEPT),
    "dcline": ElementType("DC links", Handling.KEPT),
    "svc": ElementType("static var compensators", Handling.KEPT),
    "ssc": ElementType("static synchronous compensators", Handling.KEPT),
    "tcsc": ElementType("series capacitors with thyristors", Handling.KEPT),
    "controller": ElementType("controllers", Handling.NOT_RUN),
    "measurement": ElementType("measurements", Handling.IGNORED),
    "pwl_cost": ElementType("piecewise linear costs", Handling.IGNORED),
    "poly_cost": ElementType("polynomial costs", Handling.IGNORED),
    "group": ElementType("groups", Handling.IGNORED),
    "bus_dc": ElementType("DC buses", Handling.REFUSED),
    "line_dc": ElementType("DC lines", Handling.REFUSED),
    "load_dc": ElementType("DC loads", Handling.REFUSED),
    "source_dc": ElementType("DC sources", Handling.REFUSED),
    "vsc": ElementType("voltage source converters", Handling.REFUSED),
    "vsc_stacked": ElementType("stacked voltage source converters", Handling.REFUSED),
    "vsc_bipolar": ElementType("bipolar voltage source converters", Handling.REFUSED),
}
"""Tables of a pandapower net. Generators that are a slack are sources, and carried like external grids."""

REPLACED = tuple(name for name, kind in ELEMENT_TYPES.items() if kind.handling is Handling.REPLACED)

_KNOWN_BESIDE = (
    *("_", "res_", "characteristic", "output_writer", "trafo_characteristic", "shunt_characteristic"),
    *("bus_geodata", "line_geodata", "bus_dc_geodata", "line_dc_geodata", "q_capability"),
    *("loadcases", "studycases", "substation"),  # of SimBench
)
"""Begins of the names of tables that are read, or left out with a note of their own, or say where elements are."""

SOLVER_OPTIONS = {
    *("algorithm", "init", "init_vm_pu", "init_va_degree", "max_iteration", "tolerance_mva", "numba", "lightsim2grid"),
    *("use_umfpack", "permc_spec", "v_debug", "recycle", "only_v_results", "check_connectivity", "run_control"),
}
"""Options of `runpp` that say how a solution is found, not what it is; those stored in a net are dropped."""


REFUSED_REMEDY = "take them out of service, or put what they feed into the AC network"

SUMMED = "unbalanced loads or generators: counted as the sum of their phases"
"""End of the note on kept elements that have phases; it is true of the balanced model alone."""


def check_element_types(name: str, net: Any) -> None:
    """Raise `GridError` if the net has elements in service that are not supported."""
    for table, index in list_refused(net):
        raise GridError(
            f"network '{name}': expected an AC network, got {ELEMENT_TYPES[table].words} in service (table '{table}', "
            f"index {index}); {REFUSED_REMEDY}"
        )


def list_refused(net: Any) -> Iterator[tuple[str, int]]:
    """Table and index of each element in service for which a net is refused."""
    for table, kind in ELEMENT_TYPES.items():
        for label in _in_service(net, table).index if kind.handling is Handling.REFUSED else ():
            yield table, int(label)


def drop_elements(net: Any) -> None:
    """Remove the elements that participants replace; generators that are a slack stay."""
    for table in REPLACED:
        rows = _replaced_rows(net, table)
        if len(rows):
            net[table].drop(rows, inplace=True)


def switch_off_elements(net: Any) -> None:
    """Take the elements that participants replace out of service, and leave everything else as it is."""
    for table in REPLACED:
        net[table].loc[_replaced_rows(net, table), "in_service"] = False


def complete_taps(net: Any) -> None:
    """Say of transformers of older versions that no table gives their taps, as pandapower assumes, but with a warning.

    Where splines give the impedance of a tap, the column would switch them off, and is not added.
    """
    for table in ("trafo", "trafo3w"):
        frame = net[table]
        splined = "tap_dependent_impedance" in frame and (frame["tap_dependent_impedance"] == True).any()  # noqa: E712
        if "tap_dependency_table" not in frame and not splined:
            frame["tap_dependency_table"] = False


def drop_solver_options(net: Any) -> None:
    """Remove from a net the options for `runpp` that say how to find a solution."""
    given = net.get("user_pf_options") or {}
    if SOLVER_OPTIONS & set(given):
        net["user_pf_options"] = {key: value for key, value in given.items() if key not in SOLVER_OPTIONS}


def _replaced_rows(net: Any, table: str) -> Any:
    frame = net[table]
    return frame.index[~frame["slack"].astype(bool)] if table == "gen" else frame.index


def _in_service(net: Any, table: str) -> Any:
    """Rows of a table that are in service; generators that are a slack are not counted."""
    frame = net[table] if table in net else pd.DataFrame()
    if "in_service" in frame:
        frame = frame[frame["in_service"].astype(bool)]
    return frame[~frame["slack"].astype(bool)] if table == "gen" and len(frame) else frame


def list_notes(net: Any, *, keep_elements: bool) -> list[str]:
    """What is replaced, kept, simplified or left out of a net, in words for the user."""
    return [
        *net.get("_left_out", ()),
        *_list_handled(net, keep_elements=keep_elements),
        *_list_simplified(net, keep_elements=keep_elements),
        *(f"{tap.table} {tap.label}: {tap.what}" for tap in list_idle_taps(net)),
        *list_doubts(net),
    ]


def _list_handled(net: Any, *, keep_elements: bool) -> Iterator[str]:
    """Elements that are replaced, kept and not run."""
    replaced, kept = (_count_elements(net, handling) for handling in (Handling.REPLACED, Handling.KEPT))
    if keep_elements:
        replaced, kept = [], replaced + kept
    if replaced:
        yield f"elements of the net that participants replace: {', '.join(replaced)}; keep_elements = true keeps them"
    if kept:
        yield f"elements of the net that are kept beside the participants: {', '.join(kept)}"
    yield from list_unread(net)


def list_unread(net: Any) -> Iterator[str]:
    """Elements that no power flow reads, tables that pandapower has not, controllers, in words."""
    unread = _count_elements(net, Handling.IGNORED)
    if unread:
        yield f"elements of the net that no power flow reads: {', '.join(unread)}"
    unknown = [f"'{name}' ({len(net[name])})" for name in _list_unknown_tables(net)]
    if unknown:
        yield f"tables of the net that pandapower has not, and that are not read: {', '.join(unknown)}"
    if len(net.controller):
        yield f"{len(net.controller)} controllers stored in the net are not run: taps and setpoints stay as they are"


def _list_unknown_tables(net: Any) -> list[str]:
    """Tables with rows that no pandapower net has, such as those of a misspelt name."""
    tables = [name for name, table in net.items() if isinstance(table, pd.DataFrame) and len(table)]
    return [name for name in tables if name not in ELEMENT_TYPES and not name.startswith(_KNOWN_BESIDE)]


def _count_elements(net: Any, handling: Handling) -> list[str]:
    """Elements in service that are handled so, in words and with their number."""
    counts = [(kind.words, len(_in_service(net, t))) for t, kind in ELEMENT_TYPES.items() if kind.handling is handling]
    return [f"{words} ({count})" for words, count in counts if count]


def list_unjudged(net: Any) -> Iterator[str]:
    """Elements whose rating no verdict knows, in words."""
    if len(net.trafo3w):
        yield f"{len(net.trafo3w)} three-winding transformers: carried in the power flow, their loading is not judged"
    rated = int(net.switch["in_ka"].notna().sum()) if "in_ka" in net.switch else 0
    if rated:
        yield f"{rated} switches with a rated current (in_ka): carried in the power flow, their loading is not judged"


def _list_simplified(net: Any, *, keep_elements: bool) -> Iterator[str]:
    yield from list_unjudged(net)
    unbalanced = len(net.asymmetric_load) + len(net.asymmetric_sgen)
    if keep_elements and unbalanced:
        yield f"{unbalanced} {SUMMED}"
    dark = len(unsupplied_buses(net))
    if dark:
        yield f"{dark} buses without supply: they have no voltage and are not judged"
    options = net.get("user_pf_options") or {}
    if options:
        said = ", ".join(f"{key} = {value}" for key, value in sorted(options.items()))
        yield f"options for runpp that are stored in the net are followed: {said}"


_TAP_TYPES = ("Ratio", "Symmetrical", "Ideal")


@dataclass(frozen=True)
class IdleTap:
    """A tap position that changes nothing: index and name of its transformer, the position, and why."""

    table: str
    index: int
    label: str
    what: str
    position: float


def list_idle_taps(net: Any) -> Iterator[IdleTap]:
    """Tap positions beside the neutral one that change nothing, since a column that they need is empty."""
    for table in ("trafo", "trafo3w"):
        frame = _in_service(net, table)
        for tap in ("tap", "tap2"):
            for label, row in frame.iterrows() if f"{tap}_pos" in frame else ():
                reason = _find_idle_reason(row, tap)
                if reason:
                    name = f" '{row['name']}'" if isinstance(row.get("name"), str) else ""
                    what = f"its tap position {row[f'{tap}_pos']:g} has no effect, since {reason}"
                    yield IdleTap(table, int(label), f"{label}{name}", what, float(row[f"{tap}_pos"]))


def _find_idle_reason(row: Any, tap: str) -> str:
    """Why the tap position of a transformer has no effect; empty where it has one, or is the neutral one."""
    position, neutral = _number(row[f"{tap}_pos"]), _number(row.get(f"{tap}_neutral"))
    if np.isnan(position) or position == (0.0 if np.isnan(neutral) else neutral):
        return ""
    if row.get("tap_dependency_table") is True or f"{tap}_phase_shifter" in row:
        return ""
    kind = row.get(f"{tap}_changer_type")
    if kind not in _TAP_TYPES:
        return f"{tap}_changer_type is {'empty' if pd.isna(kind) or kind == '' else repr(kind)}"
    if np.isnan(neutral):
        return f"{tap}_neutral is empty"
    if row.get(f"{tap}_side") not in ("hv", "mv", "lv"):
        return f"{tap}_side is empty"
    steps = [_number(row.get(f"{tap}_step_{unit}")) for unit in ("percent", "degree")]
    return "" if any(step != 0.0 and not np.isnan(step) for step in steps) else f"{tap}_step_percent is empty"


def _number(value: Any) -> float:
    return float("nan") if pd.isna(value) else float(value)
