"""Scripts of OpenDSS that would run, write, leave their folder or never end: refused by file, line and command."""

from __future__ import annotations

from pathlib import Path

import pytest
from dss_circuits import ONE_PHASE, write_circuit
from hypothesis import given, settings
from hypothesis import strategies as st

from cosim.nets.importing.dss import script as scripts
from cosim.nets.importing.dss.process import compile_script
from cosim.nets.importing.dss.script import Command, read_script
from grid_models.errors import GridError

CIRCUIT = "new circuit.x basekv=11\n"
COMMANDS = [
    "shell touch here", "save circuit dir=out", "cd ..", "dump",
    "set datapath=/tmp", "set editor=sh\nvar @a=1", "fileedit x", "estimate", "new storage.s bus1=x", "doscmd ls",
    "new generator.g usermodel=evil.so", "new generator.g user=evil.so", "new regcontrol.r debugtrace=yes",
    "new regcontrol.r t 2 120 2 20 yes", "new loadshape.s dblfile=/etc/passwd", "new loadshape.s mult=(dblfile=x)",
    "new load.l kw=(file=/etc/passwd)", "new load.l kw=[sngfile=x]", "new load.l kw=@secret", 'new load.l "file=x"',
    "new line.l bus1=a'b' kw=2", "new nonsense.n", "redirect ../other.dss", "compile /etc/passwd",
    "new loadshape.s csvfile=../s.csv", "new loadshape.s mult=(file=c:\\x.csv)", "redirect Master.dss", "redirect",
    "solve mode=daily number=24 file=x", "set demandx=1", "load.x.debugtrace=yes", "new line.l bus1=(1 2",
]  # fmt: skip


@pytest.mark.parametrize("command", COMMANDS)
def test_what_is_not_allowed_is_named(tmp_path: Path, command: str) -> None:
    folder = tmp_path / "given"
    folder.mkdir()
    (tmp_path / "other.dss").write_text(CIRCUIT, encoding="utf-8")
    (tmp_path / "s.csv").write_text("1\n", encoding="utf-8")
    path = write_circuit(folder, f"{CIRCUIT}{command}\n")
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(GridError, match=r"Master\.dss, line \d+: .*expected .*(, got |, found none)") as refused:
        read_script(path)
    assert len(str(refused.value)) < 1000
    assert sorted(tmp_path.rglob("*")) == before


def test_a_link_does_not_lead_out(tmp_path: Path) -> None:
    folder = tmp_path / "given"
    folder.mkdir()
    (tmp_path / "secret.dss").write_text("new load.x\n", encoding="utf-8")
    (folder / "inner.dss").symlink_to(tmp_path / "secret.dss")
    with pytest.raises(GridError, match="expected a file inside the folder"):
        read_script(write_circuit(folder, f"{CIRCUIT}redirect inner.dss\n"))


def test_loops_and_many_files_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.dss").write_text("redirect b.dss\n", encoding="utf-8")
    (tmp_path / "b.dss").write_text("redirect a.dss\n", encoding="utf-8")
    with pytest.raises(GridError, match="redirects to itself"):
        read_script(write_circuit(tmp_path, f"{CIRCUIT}redirect a.dss\n"))
    for k in range(12):  # 2^12 readings of the last one
        (tmp_path / f"f{k}.dss").write_text(f"redirect f{k + 1}.dss\n" * 2, encoding="utf-8")
    (tmp_path / "f12.dss").write_text("", encoding="utf-8")
    with pytest.raises(GridError, match="expected at most 500 files"):
        read_script(write_circuit(tmp_path, f"{CIRCUIT}redirect f0.dss\n"))
    monkeypatch.setattr(scripts, "MAX_COMMANDS", 3)
    with pytest.raises(GridError, match="expected at most 3 commands"):
        read_script(write_circuit(tmp_path, ONE_PHASE))


@settings(max_examples=60, deadline=None)
@given(line=st.text(alphabet="new load.x=()[]{}\"'!/~,@ \tkw1\x00é", max_size=30))
def test_any_line_is_taken_or_refused(tmp_path_factory: pytest.TempPathFactory, line: str) -> None:
    path = write_circuit(tmp_path_factory.mktemp("any"), f"{CIRCUIT}{line}\n")
    try:
        said = f": expected {len(read_script(path).commands)}"
    except GridError as refused:
        said = str(refused)
    assert ": expected " in said


@pytest.mark.slow
def test_an_engine_that_does_not_end_is_stopped() -> None:
    pytest.importorskip("opendssdirect")
    endless = (
        Command("new circuit.x basekv=11", "a, line 1"),
        *(Command("calcvoltagebases", "a, line 2"),) * 2_000_000,
    )
    with pytest.raises(GridError, match=r"in 2 s, got none|got an end of its process"):
        compile_script(endless, "a", deadline_s=2)


@pytest.mark.parametrize("command", ["export voltages here.csv", "show powers kva elem", "plot profile phases=all"])
def test_what_writes_or_shows_is_named_and_never_run(tmp_path: Path, command: str) -> None:
    path = tmp_path / "Master.dss"
    path.write_text(CIRCUIT + command + "\n")
    script = read_script(path)
    assert [left.element for left in script.left_out] == [command.split()[0]]
    assert all(command not in each.text for each in script.commands)


@pytest.mark.slow
@pytest.mark.parametrize(
    "command", ["export voltages here.csv", "save circuit dir=out", "new line.l phases=1000000000"]
)
def test_the_engine_writes_nothing_even_if_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: str) -> None:
    pytest.importorskip("opendssdirect")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(GridError, match="expected "):
        compile_script((Command("new circuit.x basekv=11", "a, line 1"), Command(command, "a, line 2")), "a", 20)
    assert list(tmp_path.iterdir()) == []
