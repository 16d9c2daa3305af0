"""Inputs of power-grid-model: its own solution is ours, and what has no counterpart is refused or named."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from cosim.errors import ScenarioError
from cosim.nets.importing import power_grid_model
from cosim.nets.importing.formats import choose_format, import_network
from cosim.nets.importing.imported import Imported
from grid_models.errors import GridError

pytest.importorskip("power_grid_model", reason="the extra gridsettle[phases] is not installed")

ON = {"from_status": 1, "to_status": 1}
TRAFO = {
    **ON, "u1": 20500.0, "u2": 410.0, "sn": 4e5, "uk": 0.05, "pk": 4e3, "i0": 0.004, "p0": 600.0, "winding_from": 2,
    "winding_to": 1, "clock": 5, "tap_side": 0, "tap_pos": 2, "tap_nom": 0, "tap_min": -3, "tap_max": 3,
    "tap_size": 500.0,
}  # fmt: skip
CABLE = {**ON, "r1": 0.05, "x1": 0.02, "c1": 3e-7, "tan1": 0.01, "i_n": 270.0}


def make_data() -> dict[str, list[dict[str, Any]]]:
    """Two sources, transformers in both directions, a link, an open end, every kind of load, a shunt and a sensor."""
    of_load = {"status": 1, "p_specified": 2e4, "q_specified": 5e3}
    return {
        "node": [{"id": k, "u_rated": 20000.0 if k in (1, 7) else 400.0} for k in range(1, 9)],
        "line": [
            {"id": 11, "from_node": 2, "to_node": 3, **CABLE},
            {"id": 12, "from_node": 3, "to_node": 4, **CABLE, "to_status": 0},
            {"id": 13, "from_node": 5, "to_node": 6, **CABLE, "extra": "laid in 1990"},
            {"id": 14, "from_node": 1, "to_node": 7, **CABLE, "from_status": 0, "to_status": 0},
        ],
        "link": [{"id": 15, "from_node": 3, "to_node": 5, **ON}],
        "transformer": [
            {"id": 16, "from_node": 1, "to_node": 2, **TRAFO},
            {
                "id": 17,
                "from_node": 8,
                "to_node": 7,
                **TRAFO,
                "u1": 400.0,
                "u2": 20000.0,
                "tap_side": 1,
                "tap_min": 3,
                "tap_max": -3,
                "tap_size": 300.0,
            },
        ],
        "source": [
            {"id": 21, "node": 1, "status": 1, "u_ref": 1.02, "sk": 1e8, "rx_ratio": 0.2},
            {"id": 22, "node": 7, "status": 1, "u_ref": 0.99, "u_ref_angle": 0.1},
        ],
        "sym_load": [
            {"id": 31, "node": 3, "type": 0, **of_load},
            {"id": 32, "node": 6, "type": 1, **of_load},
            {"id": 33, "node": 8, "type": 2, **of_load},
        ],
        "sym_gen": [{"id": 34, "node": 6, "type": 0, **of_load, "p_specified": 9e3}],
        "shunt": [{"id": 35, "node": 5, "status": 1, "g1": 0.01, "b1": 0.02}],
        "sym_voltage_sensor": [{"id": 41, "measured_object": 3, "u_sigma": 1.0, "u_measured": 400.0}],
    }


def read(folder: Path, data: dict[str, Any], **more: Any) -> Imported:
    document = {"version": "1.0", "type": "input", "is_batch": False, "attributes": {}, "data": data, **more}
    path = folder / "grid.json"
    path.write_text(json.dumps(document), encoding="utf-8")
    return import_network([path])


@pytest.mark.slow
def test_the_solution_of_power_grid_model_is_ours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = make_data()
    found = read(tmp_path, data)
    assert choose_format([tmp_path / "grid.json"]) == "power-grid-model"
    assert found.elements == {kind: len(rows) for kind, rows in data.items() if kind != "sym_voltage_sensor"}
    said = {each.element for each in found.left_out}
    assert {"sym_voltage_sensor (1)", "line.extra", "transformer.winding_from"} <= said
    compact = {**data, "node": [[row["id"], row["u_rated"]] for row in data["node"]]}
    again = read(tmp_path, compact, attributes={"node": ["id", "u_rated"]})
    assert again.net.bus.equals(found.net.bus)
    monkeypatch.setattr(power_grid_model, "F_HZ", 60.0)  # what is read otherwise than power-grid-model reads it
    with pytest.raises(GridError, match=r"node \d: expected the voltage of power-grid-model within 1e-06 pu, got"):
        read(tmp_path, data)


@pytest.mark.parametrize(
    ("kind", "changed", "message"),
    [
        ("node", {"u_rated": "high"}, "node 0, u_rated: expected a finite number, got 'high'"),
        ("node", {"id": 2}, "id 2: expected a number of one component, got several"),
        ("line", {"to_node": 99}, "line 11, to_node: expected a node, got 99"),
        ("sym_gen", {"type": 1}, r"sym_gen 34: expected constant power \(type 0\), got type 1"),
        (
            "sym_gen",
            {"node": 8},
            r"sym_load 33: expected a load of constant current .* alone at its node, got 1",
        ),
        ("transformer", {"uk_min": 0.04}, "transformer 16: expected one uk and pk for all taps, got uk_min"),
        ("source", {"u_ref": None}, "source 0: expected 'u_ref', got none"),
    ],
)
def test_what_cannot_be_read_is_refused_by_name(
    kind: str, changed: dict[str, Any], message: str, tmp_path: Path
) -> None:
    data = make_data()
    data[kind][0].update(changed)
    with pytest.raises(GridError, match=message):
        read(tmp_path, data)


def test_another_component_or_a_batch_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(GridError, match="got 1 of 'asym_load'; replace them"):
        read(tmp_path, {**make_data(), "asym_load": [{"id": 50}]})
    with pytest.raises(GridError, match="expected one input, got a batch"):
        read(tmp_path, make_data(), is_batch=True)


@pytest.mark.parametrize("name", ["grid.uct", "grid.UCTE"])
def test_formats_that_are_not_read_are_refused_with_a_way_round(name: str) -> None:
    with pytest.raises(ScenarioError, match=rf"{name}: expected another format, got UCTE.*; convert it by"):
        choose_format([Path(name)])
