"""Table `phases` of an unbalanced run: at which phases the devices of every house are connected."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from cosim.case.case import Case
from cosim.case.participants import PHASE_EV
from cosim.results.columns import make_schema
from grid_models.feeder.connection import DEVICES, NAMES, Codes, Connections, FourWires

PHASES_TABLE = "phases"
COLUMNS = {device: "phase" if device == "load" else f"phase_{device}" for device in DEVICES}
"""Columns of the table by device, named as in a table of participants."""


def make_phases_table(case: Case) -> pa.Table:
    """One row per participant: house, and the phases a, b, c or abc of its load, panels, battery and fuel cell.

    Those of wall boxes are a column where they are not those of the load.

    A participant has phases for devices that it does not own too.
    """
    connections = case.feeder.connections
    assert connections is not None  # only unbalanced runs have the table
    phases = {column: _name_phases(getattr(connections, device)) for device, column in COLUMNS.items()}
    phases |= {} if connections.ev is None else {PHASE_EV: _name_phases(connections.ev)}
    return pa.table({"house": list(case.profiles.participants), **phases}, make_schema("house", *phases))


def _name_phases(codes: Codes) -> list[str]:
    return [NAMES[code] for code in codes]


def read_connections(phases: pa.Table, wires: FourWires | None = None) -> Connections:
    """Connections that the table says, (N,) codes of each device; `wires` says how a neutral is earthed.

    Examples
    --------
    >>> table = pa.table({"phase": ["a"], "phase_pv": ["abc"], "phase_battery": ["a"], "phase_fuel_cell": ["a"]})
    >>> read_connections(table).pv.tolist()
    [0]
    """
    named = (phases[column].to_pylist() for column in COLUMNS.values())
    load, pv, battery, cell = (_read_codes(names) for names in named)
    ev = _read_codes(phases[PHASE_EV].to_pylist()) if PHASE_EV in phases.column_names else None
    return Connections(load, pv, battery, cell, wires, ev)


def _read_codes(names: Sequence[str]) -> Codes:
    return np.array([NAMES.index(name) for name in names], np.int8)
