"""Import a circuit of OpenDSS: its own engine compiles and solves it, and our solution must be the same."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from cosim.nets.importing.dss.circuit import make_tables
from cosim.nets.importing.dss.net import make_net
from cosim.nets.importing.dss.process import Compiled, compile_script
from cosim.nets.importing.dss.profiles import make_profiles
from cosim.nets.importing.dss.script import Script, read_script
from cosim.nets.importing.imported import Imported, LeftOut
from cosim.nets.models import Model
from cosim.nets.solution import NetSolution
from cosim.nets.solve import solve_network
from grid_models.errors import GridError
from grid_models.phases.tables import CONDUCTORS, Tables

AGREEMENT_PU = 1e-6
"""Largest difference of any node's voltage between OpenDSS and our solution of what was imported."""


def import_opendss(path: Path) -> Imported:
    """Network of a script of OpenDSS, with an account of what it held.

    Parameters
    ----------
    path
        The script that begins the circuit; it may redirect to files in its folder.

    Raises
    ------
    GridError
        If the script is not allowed, OpenDSS does not solve it, it holds what has no counterpart here, or our solution
        differs from that of OpenDSS by more than 1e-6 pu anywhere.
    """
    script = read_script(path)
    compiled = compile_script(script.commands, str(path))
    circuit = make_tables(compiled, str(path))
    found = solve_network(circuit.tables, Model.FOUR_WIRE, str(path))
    check_agreement(found, compiled, str(path))
    series = make_profiles(compiled)
    left_out = (*script.left_out, *list_left_out(compiled), *circuit.left_out, *series.left_out)
    counts = count_elements(script, compiled)
    net = make_net(circuit.tables, compiled.elements)
    if net is not None and _says_the_same(net, compiled):
        notes = (*left_out, *list_simplified(circuit.tables, net))
        return Imported(net, Model.THREE_PHASE, series.profiles, counts, notes)
    return Imported(circuit.tables, Model.FOUR_WIRE, series.profiles, counts, left_out)


def _says_the_same(net: Any, compiled: Compiled) -> bool:
    """Whether a net in three phases has the voltages of OpenDSS."""
    try:
        found = solve_network(net, Model.THREE_PHASE)
    except GridError:  # what three phases cannot represent, tables do
        return False
    names = net.bus["name"].to_dict()
    v = {(names[int(bus)], phase): value for (bus, phase), value in found.v.items()}
    base_v = {(names[int(bus)], phase): value for (bus, phase), value in found.base_v.items()}
    return find_difference(found._replace(v=v, base_v=base_v), compiled)[0] <= AGREEMENT_PU


def check_agreement(found: NetSolution, compiled: Compiled, where: str) -> None:
    """Raise `GridError` where a solution is not that of OpenDSS at every node."""
    worst, place = find_difference(found, compiled)
    if not worst <= AGREEMENT_PU:
        raise GridError(
            f"{where}, {place}: expected the voltage of OpenDSS within {AGREEMENT_PU:g} pu, got a difference of "
            f"{worst:.3g} pu; something in the circuit is not read as OpenDSS reads it, so nothing is imported"
        )


def find_difference(found: NetSolution, compiled: Compiled) -> tuple[float, str]:
    """Largest difference between a solution and OpenDSS, pu, and where it is; infinite where a node has no voltage."""
    worst, where = 0.0, ""
    for (bus, node), v in compiled.voltage.items():
        place = bus, CONDUCTORS[node - 1]
        difference = abs(found.v[place] - v) / found.base_v[place] if place in found.v else np.inf
        if not difference <= worst:
            worst, where = float(difference), f"bus {bus}, conductor {place[1]}"
            if not np.isfinite(worst):
                break
    return worst, where


def list_simplified(tables: Tables, net: Any) -> list[LeftOut]:
    """What a reader of a net must know that its circuit says and a net cannot."""
    fewer = [row for row in tables.bus if row["conductors"] != "abc"]
    notes = [
        LeftOut(
            f"bus {row['bus']}", f"has {row['conductors']} only; the net has three phases, the others without current"
        )
        for row in fewer
    ]
    for table in ("asymmetric_load", "asymmetric_sgen"):
        for name in net[table]["name"][net[table]["type"] == "delta"]:
            why = "lies between phases; participants of a run lie between phase and neutral: keep it in the net"
            notes.append(LeftOut(f"connection of {name}", why))
    return notes


def list_left_out(compiled: Compiled) -> list[LeftOut]:
    """Controls, whose state stays, and what is disabled."""
    held = [LeftOut(name, "its taps or steps stay where OpenDSS left them") for name in compiled.controls]
    return [*held, *(LeftOut(name, "disabled in the script") for name in compiled.disabled)]


def count_elements(script: Script, compiled: Compiled) -> dict[str, int]:
    """How many elements of each class there are."""
    counts = dict(script.skipped)
    for name in (*(element.full for element in compiled.elements), *compiled.controls, *compiled.disabled):
        kind = name.partition(".")[0]
        counts[kind] = counts.get(kind, 0) + 1
    return dict(sorted(counts.items()))
