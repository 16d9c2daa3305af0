"""What is imported solves to what OpenDSS finds on the same file, at every node of four circuits and of their nets."""

from __future__ import annotations

from pathlib import Path

import pytest
from dss_circuits import CIRCUITS, FOUR_WIRE, ONE_PHASE, write_circuit

from cosim.nets.importing.opendss import AGREEMENT_PU, import_opendss
from cosim.nets.models import Model
from cosim.nets.solve import read_network, solve_network
from grid_models.phases.tables import CONDUCTORS, write_tables

pytestmark = pytest.mark.slow
dss = pytest.importorskip("opendssdirect")


def ask_opendss(path: Path) -> dict[tuple[str, str], complex]:
    """Voltages of the file as OpenDSS itself reads it, with none of our reading between."""
    dss.Text.Command("clear")
    dss.Text.Command(f'compile "{path}"')
    dss.Text.Command("set maxiterations=1000")
    dss.Text.Command("set tolerance=1e-10")
    dss.Text.Command("solve mode=snap")
    assert dss.Solution.Converged()
    values = dss.Circuit.AllBusVolts()
    places = [name.split(".") for name in dss.Circuit.AllNodeNames()]
    return {
        (bus, CONDUCTORS[int(node) - 1]): complex(values[2 * k], values[2 * k + 1])
        for k, (bus, node) in enumerate(places)
    }


@pytest.mark.parametrize("name", sorted(CIRCUITS))
def test_every_node_has_the_voltage_of_opendss(tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_circuit(tmp_path, CIRCUITS[name])
    monkeypatch.chdir(tmp_path)
    expected = ask_opendss(path)
    imported = import_opendss(path)
    if imported.model is Model.FOUR_WIRE:
        write_tables(imported.net, tmp_path / "tables")
        found = solve_network(read_network(tmp_path / "tables", Model.FOUR_WIRE), Model.FOUR_WIRE)
        buses = {bus: bus for bus, _ in found.v}
    else:
        found = solve_network(imported.net, imported.model)
        buses = {name: str(index) for index, name in imported.net.bus["name"].items()}
    for (bus, conductor), v in expected.items():
        place = buses[bus], conductor
        assert abs(found.v[place] - v) / found.base_v[place] < AGREEMENT_PU, place


def test_a_circuit_without_a_neutral_is_a_net_that_runs_take(tmp_path: Path) -> None:
    imported = import_opendss(write_circuit(tmp_path, ONE_PHASE))
    assert imported.model is Model.THREE_PHASE
    assert imported.net.asymmetric_load["name"].tolist() == ["load.h1", "load.h2", "load.h3", "load.h4"]
    named = {left.element for left in imported.left_out}
    assert named == {"solve", "vminpu, vmaxpu", "bus 4", "connection of load.h4", "ratings of 400 A"}
    assert imported.net.line["max_i_ka"].tolist()[1] == 0.18


def test_a_four_wire_line_keeps_its_resistance(tmp_path: Path) -> None:
    imported = import_opendss(write_circuit(tmp_path, FOUR_WIRE))
    mutual = {
        (row["i"], row["j"]): row["r_ohm_per_km"] for row in imported.net.linecode_matrix if row["code"] == "code1"
    }
    assert mutual["a", "b"] == pytest.approx(0.16, rel=1e-9)
    assert mutual["n", "n"] == pytest.approx(0.35, rel=1e-9)
    assert imported.elements == {"line": 2, "load": 3, "monitor": 1, "reactor": 2, "transformer": 1, "vsource": 1}
    assert [row["r_ohm"] for row in imported.net.earthing] == pytest.approx([0.8, 15.0])
    assert {"monitor.m", "solve"} <= {left.element for left in imported.left_out}
