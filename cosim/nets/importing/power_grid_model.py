"""Import an input of power-grid-model: its own solution judges what was read.

Components and units are those of its documentation, "Components": a model of the positive sequence with lines and
transformers as π, transformers by their clock, and a source behind an impedance.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, NamedTuple

import pandapower as pp

from cosim.nets.importing.checked import fill_ratings, finish_import
from cosim.nets.importing.imported import Imported, LeftOut
from cosim.nets.importing.limited import ask_limited
from cosim.nets.models import Model
from cosim.nets.solve import solve_network
from grid_models.errors import GridError, shorten
from grid_models.feeder.net_file import MAX_ROWS, read_regular_text

AGREEMENT_PU = 1e-6
F_HZ = 50.0
"""Of the capacities of lines; an input has none."""
WHAT = "an input of power-grid-model"
NO_FLOW = {
    "sym_power_sensor": "a measurement",
    "asym_power_sensor": "a measurement",
    "sym_voltage_sensor": "a measurement",
    "asym_voltage_sensor": "a measurement",
    "sym_current_sensor": "a measurement",
    "asym_current_sensor": "a measurement",
    "fault": "a short circuit to calculate",
    "transformer_tap_regulator": "the tap stays where the file has it",
}
"""Components that a power flow does not read."""
_ENDS = ("id", "from_node", "to_node", "from_status", "to_status")
_APPLIANCE = ("id", "node", "status", "type", "p_specified", "q_specified")
REQUIRED: dict[str, tuple[str, ...]] = {
    "node": ("id", "u_rated"),
    "line": (*_ENDS, "r1", "x1", "c1", "tan1"),
    "link": _ENDS,
    "transformer": (*_ENDS, "u1", "u2", "sn", "uk", "pk", "i0", "p0", "clock"),
    "source": ("id", "node", "status", "u_ref"),
    "shunt": ("id", "node", "status", "g1", "b1"),
    "sym_load": _APPLIANCE,
    "sym_gen": _APPLIANCE,
}
"""Components that are read, and what each must have."""
OPTIONAL: dict[str, dict[str, float]] = {
    "line": {"i_n": math.nan},
    "transformer": {"tap_side": 0, "tap_pos": math.nan, "tap_nom": 0, "tap_min": 0, "tap_max": 0, "tap_size": 0.0},
    "source": {"u_ref_angle": 0.0, "sk": 1e10, "rx_ratio": 0.1},
}
"""What may be left out, and what holds then."""
NONE_IF_INFINITE = ("i_n", "tap_pos")
WHOLE = ("id", "node", "from_node", "to_node", "type", "clock", "tap_side", "tap_nom", "tap_min", "tap_max")
LARGEST = 1e15
OF_TAPS = ("uk_min", "uk_max", "pk_min", "pk_max")
ZERO_SEQUENCE = {
    "line": ("r0", "x0", "c0", "tan0"),
    "transformer": ("winding_from", "winding_to", "i0_zero_sequence", "p0_zero_sequence", "r_grounding_from",
                    "x_grounding_from", "r_grounding_to", "x_grounding_to"),
    "shunt": ("g0", "b0"),
    "source": ("z01_ratio",),
}  # fmt: skip


class Given(NamedTuple):
    """Components by their kinds, a dictionary each, and what they hold beside what is read."""

    rows: dict[str, list[dict[str, Any]]]
    left_out: tuple[LeftOut, ...]


def import_power_grid_model(path: Path) -> Imported:
    """Network of an input of power-grid-model.

    Raises
    ------
    GridError
        If it is none, has components without a counterpart, power-grid-model does not solve it, or our solution is
        another by more than 1e-6 pu.
    """
    where = str(path)
    text = read_regular_text(path, WHAT)
    given = parse_input(text, where)
    net = make_net(given, where)
    ratings = fill_ratings(net)
    found = finish_import(
        net,
        where,
        elements={kind: len(rows) for kind, rows in given.rows.items()},
        left_out=given.left_out,
        notes=(
            f"an input has no frequency: {F_HZ:g} Hz",
            "a source is an external grid behind the line of its impedance",
            *ratings,
        ),
    )
    _check_agreement(found.net, ask_limited("power_grid_model", text.encode(), where, WHAT)["nodes"], where)
    return found


def _check_agreement(net: Any, nodes: list[tuple[int, float, float]], where: str) -> None:
    """Raise `GridError` where our solution is not that of power-grid-model at every node."""
    solved = solve_network(net, Model.BALANCED, where)
    bus = {name: str(index) for index, name in net.bus["name"].items()}
    worst, place = 0.0, ""
    for number, vm_pu, va in nodes:
        at = bus[f"node {number}"], "a"
        ours = solved.v[at] / solved.base_v[at]
        if vm_pu == 0.0 and ours != ours:
            continue  # without supply
        difference = abs(ours - vm_pu * complex(math.cos(va), math.sin(va)))
        if not difference <= worst:
            worst, place = difference, f"node {number}"
    if not worst <= AGREEMENT_PU:
        raise GridError(
            f"{where}, {place}: expected the voltage of power-grid-model within {AGREEMENT_PU:g} pu, got a difference "
            f"of {worst:.3g} pu; something is not read as power-grid-model reads it, so nothing is imported"
        )


def parse_input(text: str, where: str) -> Given:
    """Components of an input; `where` begins messages.

    Raises
    ------
    GridError
        If it is none, or one has no counterpart here.
    """
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as reason:
        raise GridError(f"{where}: expected JSON of power-grid-model, got {shorten(reason)}") from reason
    if not isinstance(document, dict) or document.get("type") != "input" or not isinstance(document.get("data"), dict):
        raise GridError(
            f'{where}: expected {WHAT}, with "type": "input" and data, got another; write it with json_serialize'
        )
    if document.get("is_batch"):
        raise GridError(f"{where}: expected one input, got a batch of updates; write one of its scenarios")
    order = document.get("attributes") or {}
    rows, left_out = {}, []
    for kind, given in document["data"].items():
        if not given:
            continue
        if kind in NO_FLOW:
            left_out.append(LeftOut(f"{kind} ({len(given)})", NO_FLOW[kind]))
            continue
        if kind not in REQUIRED:
            raise GridError(
                f"{where}: expected {', '.join(REQUIRED)}, which have a counterpart here, got {len(given)} of "
                f"'{shorten(kind)}'; replace them"
            )
        rows[kind] = _parse_rows(kind, given, order.get(kind) if isinstance(order, dict) else None, where)
        left_out += _list_unread(kind, rows[kind])
    if not rows.get("node"):
        raise GridError(f"{where}: expected nodes, got none")
    _check_numbers(rows, where)
    _check_alone(rows, where)
    return Given(rows, tuple(left_out))


def _parse_rows(kind: str, given: Any, order: Any, where: str) -> list[dict[str, Any]]:
    """Rows as dictionaries, also where they are lists in the order of the file's attributes."""
    if not isinstance(given, list) or len(given) > MAX_ROWS:
        raise GridError(f"{where}, {kind}: expected a list of at most {MAX_ROWS:,} components, got another")
    rows = []
    for place, one in enumerate(given):
        if isinstance(one, list) and isinstance(order, list) and len(order) == len(one):
            one = dict(zip(map(str, order), one, strict=True))
        if not isinstance(one, dict):
            raise GridError(f"{where}, {kind} {place}: expected its attributes by name, got another")
        row = {**OPTIONAL.get(kind, {}), **{name: value for name, value in one.items() if value is not None}}
        for name in REQUIRED[kind]:
            if name not in row:
                raise GridError(f"{where}, {kind} {place}: expected '{name}', got none; fill it")
        for name in (*REQUIRED[kind], *OPTIONAL.get(kind, {})):
            row[name] = _read_number(name, row[name], f"{where}, {kind} {place}")
        rows.append(row)
    return rows


def _read_number(name: str, value: Any, where: str) -> Any:
    """A number of a component; NaN where it has no rating or no tap."""
    if name in NONE_IF_INFINITE and value in ("nan", "inf", math.inf):
        return math.nan
    if name in WHOLE and not isinstance(value, int):
        raise GridError(f"{where}, {name}: expected a whole number, got {shorten(value)!r}")
    is_number = isinstance(value, (int, float))
    if not is_number or not (abs(value) <= LARGEST or (name in NONE_IF_INFINITE and value != value)):
        raise GridError(f"{where}, {name}: expected a finite number, got {shorten(value)!r}")
    return value


def _list_unread(kind: str, rows: list[dict[str, Any]]) -> Iterable[LeftOut]:
    read = {*REQUIRED[kind], *OPTIONAL.get(kind, {})}
    for name in sorted({name for row in rows for name in row} - read):
        if name in ZERO_SEQUENCE.get(kind, ()):
            yield LeftOut(f"{kind}.{name}", "the zero sequence; the network is balanced")
        elif not (kind == "transformer" and name in OF_TAPS):
            yield LeftOut(f"{kind}.{shorten(name)}", "no attribute that a power flow reads")


def _check_numbers(rows: dict[str, list[dict[str, Any]]], where: str) -> None:
    """Check that components have numbers of their own, are at nodes that there are, and use what a net can say."""
    numbers = [row["id"] for of_kind in rows.values() for row in of_kind]
    nodes = {row["id"] for row in rows["node"]}
    if len(set(numbers)) < len(numbers):
        twice = next(number for number in numbers if numbers.count(number) > 1)
        raise GridError(f"{where}, id {twice}: expected a number of one component, got several")
    for kind, of_kind in rows.items():
        for row in of_kind:
            for end in ("node", "from_node", "to_node"):
                if end in row and row[end] not in nodes:
                    raise GridError(f"{where}, {kind} {row['id']}, {end}: expected a node, got {row[end]}; correct it")
            moved = kind == "transformer" and row["tap_pos"] == row["tap_pos"] != row["tap_nom"]
            if moved and (lost := [name for name in OF_TAPS if name in row]):
                raise GridError(
                    f"{where}, transformer {row['id']}: expected one uk and pk for all taps, got {lost[0]} and a tap "
                    "beside its nominal one; write the uk and pk of the tap"
                )
            if row.get("type", 0) not in ((0,) if kind == "sym_gen" else (0, 1, 2)):
                raise GridError(
                    f"{where}, {kind} {row['id']}: expected constant power (type 0), got type {row['type']}; replace it"
                )


def _check_alone(rows: dict[str, list[dict[str, Any]]], where: str) -> None:
    """Check that a load of constant current has its node for itself; pandapower mixes what is at one bus."""
    constant = [row for kind in ("sym_load", "sym_gen") for row in rows.get(kind, []) if row["type"] != 1]
    count = Counter(row["node"] for row in constant)
    for row in constant:
        if row["type"] == 2 and count[row["node"]] > 1:
            raise GridError(
                f"{where}, sym_load {row['id']}: expected a load of constant current (type 2) alone at its node, got "
                f"{count[row['node']] - 1} beside it; give it a node of its own behind a short line"
            )


def make_net(given: Given, where: str) -> Any:
    """Net of pandapower with the components."""
    net = pp.create_empty_network(f_hz=F_HZ)
    pp.set_user_pf_options(net, trafo_model="pi", calculate_voltage_angles=True)
    at: dict[int, int] = {}
    for row in given.rows["node"]:
        if not row["u_rated"] > 0.0:
            raise GridError(f"{where}, node {row['id']}, u_rated: expected more than 0 V, got {row['u_rated']:g}")
        at[row["id"]] = int(pp.create_bus(net, row["u_rated"] / 1e3, name=f"node {row['id']}"))
    for kind, add in _ADD.items():
        for row in given.rows.get(kind, []):
            try:
                add(net, row, at)
            except (ZeroDivisionError, OverflowError, ValueError) as reason:
                raise GridError(f"{where}, {kind} {row['id']}: expected numbers of a network, got {reason}") from reason
    return net


def _open_ends(net: Any, et: str, element: int, row: dict[str, Any], ends: tuple[int, int]) -> None:
    """A switch where one end is open; none in service where both are."""
    closed = bool(row["from_status"]), bool(row["to_status"])
    table = "line" if et == "l" else "trafo"
    net[table].loc[element, "in_service"] = any(closed)
    for bus, is_closed in zip(ends, closed, strict=True):
        if any(closed) and not is_closed:
            pp.create_switch(net, bus, element, et=et, closed=False)


def _add_line(net: Any, row: dict[str, Any], at: dict[int, int]) -> None:
    ends, w = (at[row["from_node"]], at[row["to_node"]]), 2.0 * math.pi * F_HZ
    line = pp.create_line_from_parameters(
        net, *ends, 1.0, row["r1"], row["x1"], row["c1"] * 1e9, row["i_n"] / 1e3,
        g_us_per_km=w * row["c1"] * row["tan1"] * 1e6, name=f"line {row['id']}",
    )  # fmt: skip
    _open_ends(net, "l", int(line), row, ends)


def _add_link(net: Any, row: dict[str, Any], at: dict[int, int]) -> None:
    closed = bool(row["from_status"] and row["to_status"])
    pp.create_switch(net, at[row["from_node"]], at[row["to_node"]], et="b", closed=closed, name=f"link {row['id']}")


def _add_transformer(net: Any, row: dict[str, Any], at: dict[int, int]) -> None:
    ends, rated = (at[row["from_node"]], at[row["to_node"]]), (row["u1"], row["u2"])
    turned = rated[0] < rated[1]
    hv, lv = (1, 0) if turned else (0, 1)
    shift = 30.0 * row["clock"] * (-1.0 if turned else 1.0)
    taps = {}
    if row["tap_pos"] == row["tap_pos"] and row["tap_size"]:
        side = int(row["tap_side"])
        rise = 1.0 if row["tap_max"] >= row["tap_min"] else -1.0
        taps = {
            "tap_side": "hv" if side == hv else "lv",
            "tap_pos": int(row["tap_pos"]),
            "tap_neutral": int(row["tap_nom"]),
            "tap_min": int(min(row["tap_min"], row["tap_max"])),
            "tap_max": int(max(row["tap_min"], row["tap_max"])),
            "tap_step_percent": rise * row["tap_size"] / rated[side] * 100.0,
            "tap_changer_type": "Ratio",
        }
    trafo = pp.create_transformer_from_parameters(
        net, ends[hv], ends[lv], row["sn"] / 1e6, rated[hv] / 1e3, rated[lv] / 1e3, row["pk"] / row["sn"] * 100.0,
        row["uk"] * 100.0, row["p0"] / 1e3, row["i0"] * 100.0, shift_degree=(shift + 180.0) % 360.0 - 180.0,
        name=f"transformer {row['id']}", **taps,
    )  # fmt: skip
    _open_ends(net, "t", int(trafo), row, ends)


def _add_source(net: Any, row: dict[str, Any], at: dict[int, int]) -> None:
    bus, on = at[row["node"]], bool(row["status"])
    u_kv = float(net.bus.vn_kv.at[bus])
    z_ohm, ratio = u_kv**2 / (row["sk"] / 1e6), row["rx_ratio"]
    x_ohm = z_ohm / math.sqrt(1.0 + ratio**2)
    behind = pp.create_bus(net, u_kv, name=f"source {row['id']}")
    pp.create_line_from_parameters(
        net, behind, bus, 1.0, x_ohm * ratio, x_ohm, 0.0, math.nan, name=f"source {row['id']}", in_service=on
    )
    pp.create_ext_grid(
        net, behind, row["u_ref"], math.degrees(row["u_ref_angle"]), name=f"source {row['id']}", in_service=on
    )


def _add_shunt(net: Any, row: dict[str, Any], at: dict[int, int]) -> None:
    bus = at[row["node"]]
    u2 = float(net.bus.vn_kv.at[bus]) ** 2
    name, on = f"shunt {row['id']}", bool(row["status"])
    pp.create_shunt(net, bus, -row["b1"] * u2, row["g1"] * u2, name=name, in_service=on)


def _add_load(net: Any, row: dict[str, Any], at: dict[int, int]) -> None:
    """A load; one of constant impedance is a shunt, since pandapower mixes what depends on the voltage at a bus."""
    bus, p_mw, q_mvar = at[row["node"]], row["p_specified"] / 1e6, row["q_specified"] / 1e6
    name, on = f"load {row['id']}", bool(row["status"])
    if row["type"] == 1:
        pp.create_shunt(net, bus, q_mvar, p_mw, name=name, in_service=on)
        return
    depends = {f"const_i_{of}_percent": 100.0 for of in ("p", "q")} if row["type"] == 2 else {}
    pp.create_load(net, bus, p_mw, q_mvar, name=name, in_service=on, **depends)


def _add_gen(net: Any, row: dict[str, Any], at: dict[int, int]) -> None:
    p_mw, q_mvar = row["p_specified"] / 1e6, row["q_specified"] / 1e6
    pp.create_sgen(net, at[row["node"]], p_mw, q_mvar, name=f"generator {row['id']}", in_service=bool(row["status"]))


_ADD: dict[str, Callable[[Any, dict[str, Any], dict[int, int]], None]] = {
    "line": _add_line,
    "link": _add_link,
    "transformer": _add_transformer,
    "source": _add_source,
    "shunt": _add_shunt,
    "sym_load": _add_load,
    "sym_gen": _add_gen,
}
