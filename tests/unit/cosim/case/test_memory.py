"""What a run needs is estimated before it starts, and refused with the number where it cannot fit."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from cosim import Scenario, run
from cosim.case import memory
from cosim.case.checks import check_memory
from cosim.case.memory import MIB, Keeps, estimate_bytes, find_available_bytes
from cosim.cli.app import app
from cosim.errors import ScenarioError

ROOT = Path(__file__).parents[4]
FACTOR = 1.5
"""Between estimate and measured peak, either way; docs/decisions/0098."""


def available(monkeypatch: pytest.MonkeyPatch, mib: int) -> None:
    monkeypatch.setattr("cosim.case.checks.find_available_bytes", lambda: mib * MIB)


@pytest.mark.parametrize("keeps", Keeps)
def test_more_of_anything_needs_more(keeps: Keeps) -> None:
    rng = np.random.default_rng(0)
    for _ in range(200):
        houses, intervals, elements = (int(n) for n in rng.integers(1, 40_000, 3))
        least = estimate_bytes(houses, intervals, elements, keeps)
        assert least <= estimate_bytes(houses, 2 * intervals, elements, keeps)
        assert least <= estimate_bytes(houses, intervals, 2 * elements, keeps)
        if houses % 32 == 0:
            assert least < estimate_bytes(2 * houses, intervals, elements, keeps)


def test_what_cannot_fit_is_refused_with_the_number(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "huge.toml").write_text("[houses]\nn_houses = 100000\nn_prosumers = 4\n")
    available(monkeypatch, 16_000)
    for command in (["scenario", "check", "huge.toml"], ["run", "huge.toml"], ["hosting", "huge.toml"]):
        monkeypatch.chdir(tmp_path)
        done = CliRunner().invoke(app, command)
        assert done.exit_code == 2, done.output
        assert done.stderr.startswith(
            "gridsettle: memory: expected a run that fits, got one of 100,000 houses and 8,760"
        )
        assert " GiB, with 15.6 GiB available; take fewer houses or a shorter horizon" in done.stderr
        assert done.stderr.count("\n") == 1


def test_a_report_needs_more_and_can_be_left_out(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    available(monkeypatch, estimate_bytes(400, 8760) // MIB + 1)
    Path("town.toml").write_text("[houses]\nn_houses = 400\n")
    done = CliRunner().invoke(app, ["run", "town.toml", "--out", "out"])
    assert done.exit_code == 2
    assert "or leave the report out (--no-report)" in done.stderr
    assert not Path("out").exists()
    check_memory(400, 8760)


def test_a_report_of_phases_needs_more(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    available(monkeypatch, estimate_bytes(400, 8760, keeps=Keeps.REPORT) // MIB + 1)
    Path("town.toml").write_text('[houses]\nn_houses = 400\n[network]\nmodel = "three_phase"\n')
    done = CliRunner().invoke(app, ["run", "town.toml", "--out", "out"])
    assert done.exit_code == 2
    assert "or leave the report out (--no-report)" in done.stderr
    assert not Path("out").exists()


def test_a_run_without_a_directory_keeps_its_tables(monkeypatch: pytest.MonkeyPatch) -> None:
    year = Scenario()
    available(monkeypatch, estimate_bytes(26, 8760) // MIB + 5)
    with pytest.raises(ScenarioError, match="or give the run a directory"):
        run(year)


def test_a_large_network_counts_by_its_buses_and_branches(monkeypatch: pytest.MonkeyPatch) -> None:
    available(monkeypatch, 2000)
    check_memory(10, 8760)
    with pytest.raises(ScenarioError, match="memory"):
        check_memory(10, 8760, n_elements=20_000)


def test_nothing_is_checked_where_nothing_tells(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("_read_meminfo", "_read_cgroups", "_read_address_space"):
        monkeypatch.setattr(memory, name, lambda: iter(()))
    assert find_available_bytes() is None
    check_memory(10**9, 10**9)


@pytest.mark.skipif(not Path("/proc/meminfo").exists(), reason="no /proc here")
def test_the_machine_tells_what_it_has() -> None:
    found = find_available_bytes()
    assert found is not None
    assert found > 100 * MIB


def test_the_least_limit_counts_and_what_is_only_cached_is_free(tmp_path: Path) -> None:
    own = tmp_path / "cgroup"
    for lines, files, below in (
        ("0::/box/inner\n", ("memory.max", "memory.current", "inactive_file"), ""),
        ("4:memory:/box/inner\n9:pids:/\n", memory.CGROUP_1, "memory"),
    ):
        own.write_text(lines)
        for folder, limit, used, cached in (
            ("box/inner", "max", 700, 0),
            ("box", "1000", 800, 300),
            ("", "5000", 1, 0),
        ):
            group = tmp_path / "fs" / below / folder
            group.mkdir(parents=True, exist_ok=True)
            (group / files[0]).write_text(f"{limit}\n")
            (group / files[1]).write_text(f"{used}\n")
            (group / "memory.stat").write_text(f"anon 5\n{files[2]} {cached}\n")
        assert min(memory._read_cgroups(tmp_path / "fs", own)) == 500


@pytest.mark.skipif(sys.platform != "linux", reason="needs RLIMIT_AS and /proc")
def test_a_limit_of_the_shell_is_respected(tmp_path: Path) -> None:
    program = (
        "import resource; resource.setrlimit(resource.RLIMIT_AS, (2**32, 2**32))\n"
        "from cosim.case.memory import find_available_bytes\nprint(find_available_bytes())"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert 0 < int(done.stdout) < 2**32


CASES = {
    "rural": (26, 8760),
    "town": (400, 8760),
    "suburb": (400, 1440),
}
UNTIL = {"suburb": "2017-03-02"}
"""Ends of those whose year would take too long; of the others the year is measured."""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="peaks are in KiB on Linux only")
@pytest.mark.parametrize(("name", "report"), [("rural", False), ("town", True), ("suburb", False)])
def test_the_estimate_is_near_the_measured_peak(name: str, report: bool, tmp_path: Path) -> None:
    houses, intervals = CASES[name]
    program = (
        "import re, sys\nfrom pathlib import Path\nfrom cosim.cli.entry import main\ntry:\n    main()\nfinally:\n"
        # not ru_maxrss: a new program inherits that of the process that started it
        "    status = Path('/proc/self/status').read_text()\n"
        "    print(re.search(r'VmHWM:\\s+(\\d+) kB', status)[1], file=sys.stderr)"
    )
    more = [] if report else ["--no-report"]
    command = [sys.executable, "-c", program, "run", name, "--quiet", *more, "--out"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    once = [*command, str(tmp_path / "once"), "--until", "2017-01-03"]  # compiles what is not compiled yet
    subprocess.run(once, env=environment, capture_output=True, check=True)
    until = ["--until", UNTIL[name]] if name in UNTIL else []
    done = subprocess.run(
        [*command, str(tmp_path / "out"), *until], env=environment, capture_output=True, text=True, check=True
    )
    peak = int(done.stderr.split()[-1]) * 1024
    estimate = estimate_bytes(houses, intervals, keeps=Keeps.REPORT if report else Keeps.PARTS)
    assert peak / FACTOR < estimate < peak * FACTOR, (peak // MIB, estimate // MIB)
