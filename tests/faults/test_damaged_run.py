"""Finished runs whose files are damaged, missing or of another run: `report` and `compare` name the file and end.

run directory ── manifest.json with the hash of every other file ── report, compare
    one file is spoilt: exit code 2, one message; `--resume` makes it again
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from cosim import Scenario, run
from cosim.cli.app import app
from cosim.scenario.files import format_toml

pytestmark = pytest.mark.slow  # whole runs, damaged and read

SMALL = Scenario().with_changes(
    horizon={"hours": 24, "start": "2017-06-01T00:00:00Z"},
    houses={"n_houses": 3, "n_prosumers": 2},
    network={"n_branches": 1},
    limits={"max_vm_pu": 1.004},
    engine={"verify_sample": 1},
    events=[{"kind": "outage", "start": "2017-06-01T10:00:00Z", "hours": 2, "grid": True}],
)
LEDGER = ("ledger.sqlite", "ledger.lock")
DAMAGES: dict[str, Callable[[Path, Path], object]] = {
    "missing": lambda path, _: path.unlink(),
    "empty": lambda path, _: path.write_bytes(b""),
    "garbage": lambda path, _: path.write_bytes(np.random.default_rng(3).bytes(2000)),
    "of another run": lambda path, other: shutil.copy(other, path),
    "truncated": lambda path, _: path.write_bytes(path.read_bytes()[: path.stat().st_size // 2]),
    "a folder": lambda path, _: (path.unlink(), path.mkdir()),
    "a pipe": lambda path, _: (path.unlink(), os.mkfifo(path)),
    "an empty object": lambda path, _: path.write_text("{}"),
    "a list": lambda path, _: path.write_text("[1, 2]"),
    "deeply nested": lambda path, _: path.write_text("[" * 100_000),
    "a huge number": lambda path, _: path.write_text("9" * 5000),
}


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs")
    run(SMALL, folder / "small")
    other = {"houses": {"n_houses": 5, "n_prosumers": 1}, "horizon": {"hours": 30}}
    run(SMALL.with_changes(seed=2, **other), folder / "other")
    (folder / "small.toml").write_text(format_toml(SMALL))
    return folder


def command(*arguments: str | Path) -> tuple[int, str]:
    done = CliRunner().invoke(app, [str(word) for word in arguments])
    assert done.exception is None or isinstance(done.exception, SystemExit), repr(done.exception)
    return done.exit_code, done.stderr


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_spoilt_file_is_named(damage: str, runs: Path, tmp_path: Path) -> None:
    names = sorted(path.name for path in (runs / "small").iterdir() if path.name not in LEDGER)
    assert len(names) > 12
    if damage in ("missing", "an empty object"):
        names.remove("manifest.json")  # without it nothing says what the other files must be
    for k, name in enumerate(names):
        directory = shutil.copytree(runs / "small", tmp_path / name)
        DAMAGES[damage](directory / name, runs / "other" / name)
        if (directory / name).is_file() and (directory / name).read_bytes() == (runs / "small" / name).read_bytes():
            continue  # an empty table is that of every run
        both = ("compare", runs / "small", directory, "--out", tmp_path / "both")
        code, said = command(*both) if k % 4 == 0 else command("report", directory)
        assert code == 2, (name, said)
        assert said.startswith("gridsettle: "), name
        assert said.count("\n") == 1, said
        assert len(said) < 600
        assert name in said
        assert "--resume" in said or name == "scenario.toml", said
        assert not (directory / "report.html").exists()
    assert not (tmp_path / "both").exists()


@pytest.mark.parametrize("damage", ["missing", "of another run"])
def test_a_spoilt_file_is_made_again(damage: str, runs: Path, tmp_path: Path) -> None:
    for name in ("houses.parquet", "violations.csv", "summary.json", "scenario.toml", "manifest.json", "network.json"):
        directory = shutil.copytree(runs / "small", tmp_path / name)
        shutil.copy(runs / "small.checkpoint", tmp_path / f"{name}.checkpoint")
        DAMAGES[damage](directory / name, runs / "other" / name)
        code, said = command("run", runs / "small.toml", "--out", directory, "--resume", "--quiet", "--no-report")
        assert code == 0, said
        assert command("report", directory, "--quiet") == (0, "")
        for path in (runs / "small").iterdir():
            if path.name not in LEDGER:
                assert (directory / path.name).read_bytes() == path.read_bytes()


@pytest.mark.parametrize("damage", ["missing", "garbage", "of another run", "an empty object"])
def test_without_hashes_what_fails_is_the_files_fault(damage: str, runs: Path, tmp_path: Path) -> None:
    """As in runs of versions that kept none."""
    names = sorted(path.name for path in (runs / "small").iterdir() if path.name not in LEDGER)
    every = 2 if damage == "of another run" else 4  # the other damages are told alike whatever the file
    for name in names[::every]:
        directory = shutil.copytree(runs / "small", tmp_path / name)
        manifest = json.loads((directory / "manifest.json").read_text())
        del manifest["files"]
        (directory / "manifest.json").write_text(json.dumps(manifest))
        DAMAGES[damage](directory / name, runs / "other" / name)
        code, said = command("report", directory)
        assert code in (0, 2), (name, said)
        assert code == 0 or (said.startswith("gridsettle: ") and said.count("\n") == 1), said


def test_a_scenario_that_is_a_link_to_a_device_is_refused_at_once(runs: Path, tmp_path: Path) -> None:
    directory = shutil.copytree(runs / "small", tmp_path / "run")
    (directory / "summary.json").unlink()
    (directory / "summary.json").symlink_to("/dev/zero")
    code, said = command("report", directory)
    assert code == 2
    assert "a folder, device or pipe" in said
