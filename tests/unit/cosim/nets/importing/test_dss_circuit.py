"""What a circuit of OpenDSS holds without a counterpart is refused by its name."""

from __future__ import annotations

from pathlib import Path

import pytest
from dss_circuits import FOUR_WIRE, ONE_PHASE, write_circuit

from cosim.nets.importing import opendss
from cosim.nets.importing.opendss import import_opendss
from grid_models.errors import GridError

pytestmark = pytest.mark.slow
pytest.importorskip("opendssdirect")

WRONG = [
    ("load.h1 model=5", r"load\.h1: expected constant power \(model=1\), got model=5"),
    ("load.h1 vminpu=1.2", r"load\.h1: expected a voltage of 1\.2 to 1\.3 pu"),
    ("load.h2 bus1=2.5", r"bus 2: expected nodes 1, 2, 3 for phases and 4"),
    ("load.h4 bus1=3.2.2", r"load\.h4: expected two different conductors"),
    ("vsource.source z2=(3 9)", r"vsource\.source: expected one impedance in the positive and negative"),
    ("load.h1 frob=1", r"Master\.dss, line \d+: expected a command that OpenDSS takes"),
]


@pytest.mark.parametrize(("edit", "words"), WRONG)
def test_what_has_no_counterpart_is_named(tmp_path: Path, edit: str, words: str) -> None:
    text = ONE_PHASE.replace("set voltagebases", f"edit {edit}\nset voltagebases")
    with pytest.raises(GridError, match=words):
        import_opendss(write_circuit(tmp_path, text))


def test_a_bus_without_a_base_is_named(tmp_path: Path) -> None:
    text = ONE_PHASE.replace("calcvoltagebases\n", "")
    with pytest.raises(GridError, match=r"bus src: expected a voltage base.*calcvoltagebases"):
        import_opendss(write_circuit(tmp_path, text))


def test_what_is_disabled_or_open_is_named(tmp_path: Path) -> None:
    text = FOUR_WIRE.replace("set voltagebases", "disable load.x\nset voltagebases")
    imported = import_opendss(write_circuit(tmp_path, text))
    assert ("load.x", "disabled in the script") in imported.left_out
    assert imported.elements["load"] == 3
    assert not any(row["load"] == "load.x" for row in imported.net.load)


def test_an_import_that_differs_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make = opendss.make_tables

    def wrong(*given: object) -> object:
        circuit = make(*given)
        for row in circuit.tables.load:
            row.cells["p_kw"] *= 1.001
        return circuit

    monkeypatch.setattr(opendss, "make_tables", wrong)
    with pytest.raises(GridError, match=r"bus \w+, conductor \w: expected the voltage of OpenDSS within 1e-06 pu"):
        import_opendss(write_circuit(tmp_path, FOUR_WIRE))
