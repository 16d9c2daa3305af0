"""Circuits of a folder of tables: a published solution, hand calculations, and what is refused."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from grid_models.phases.engine import PhasePowerFlow
from grid_models.phases.four_wire import make_four_wire
from grid_models.phases.tables import read_tables

REFERENCE = Path(__file__).parents[3] / "reference" / "four_wire"


def read_rows(name: str) -> list[dict[str, str]]:
    with (REFERENCE / name).open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_the_reference_is_met_in_every_voltage_and_current() -> None:
    circuit = make_four_wire(read_tables(REFERENCE))
    engine = PhasePowerFlow(circuit)
    flow = engine.solve(circuit.power_kva[None])
    place = {node: k for k, node in enumerate(zip(circuit.bus, circuit.conductor, strict=True))}
    rows = read_rows("solution_voltage.csv")
    assert len(rows) == len(circuit.bus)
    for row in rows:
        k = place[row["bus"], row["conductor"]]
        assert abs(flow.v[0, k] - complex(float(row["v_re_v"]), float(row["v_im_v"]))) < 1e-8 * circuit.base_v[k]
    terminal = {name: k for k, name in enumerate(engine.terminals)}
    for row in read_rows("solution_current.csv"):
        for end in ("from", "to"):
            k = terminal[row["line"], end, row["conductor"]]
            expected = complex(float(row[f"i_{end}_re_a"]), float(row[f"i_{end}_im_a"]))
            assert abs(flow.current_a[0, k] - expected) < 1e-6


def test_the_reference_is_met_in_unbalance() -> None:
    engine = PhasePowerFlow(make_four_wire(read_tables(REFERENCE)))
    buses, vuf = engine.unbalance_percent(engine.solve(engine.circuit.power_kva[None]).v)
    found = dict(zip(buses, vuf[0], strict=True))
    for row in read_rows("solution_phase_neutral.csv"):
        assert found[row["bus"]] == pytest.approx(float(row["vuf_percent"]), abs=1e-6)
