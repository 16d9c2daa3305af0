"""Parts of a stopped run that are damaged, missing or foreign: the run goes on to its own head and tables all the same.

run ── group 0 ── group 1 ─✗        .parts: tables and a seal of each group; some of it is spoilt
resume: the parts are checked first; where they are not as written, recorded intervals are run again for their tables
"""

from __future__ import annotations

import json
import logging
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.ipc as pa_ipc
import pytest
from typer.testing import CliRunner

import cosim.simulation.simulate as simulate
from cosim import Result, Scenario, run
from cosim.cli.app import app
from cosim.errors import ScenarioError
from cosim.results.parts import DAMAGED
from cosim.results.result import TABLES
from cosim.scenario.files import format_toml
from market.ledger.check.verify import verify_ledger

pytestmark = pytest.mark.slow  # whole runs, damaged and gone on with

SMALL = Scenario().with_changes(
    horizon={"hours": 48, "start": "2017-06-01T00:00:00Z"},
    houses={"n_houses": 4, "n_prosumers": 2},
    network={"n_branches": 1},
    limits={"max_vm_pu": 1.004},
    engine={"verify_sample": 2, "window": 8},
    events=[{"kind": "outage", "start": "2017-06-01T20:00:00Z", "hours": 3, "grid": True}],
)
OTHER = SMALL.with_changes(seed=2)
NAMES = (*TABLES, "energy_balance", "outage_intervals", "curtailment", "curtailed_by_house", "resilience")


class CutError(Exception):
    """Where a test cuts a run off."""


@contextmanager
def cut(after: str) -> Iterator[Callable[[simulate.Progress], None]]:
    """A listener that cuts a run off in its third group of intervals, or when all of them are recorded."""

    def listen(progress: simulate.Progress) -> None:
        if after == "half" and progress.done > 40:
            raise CutError

    with pytest.MonkeyPatch.context() as patch, suppress(CutError):
        if after == "all":
            patch.setattr(simulate, "join_parts", _cut)
        yield listen
        raise AssertionError("the run was not cut off")


def _cut(*_: object) -> None:
    raise CutError


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Undisturbed runs, and runs cut off in their midst and behind their last interval."""
    folder = tmp_path_factory.mktemp("damaged")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(simulate, "GROUP", 16)
        for name, scenario in (("small", SMALL), ("other", OTHER)):
            run(scenario, folder / name)
            for after in ("half", "all"):
                with cut(after) as listener:
                    run(scenario, folder / f"{name}-{after}", listener=listener)
        yield folder


Damage = Callable[[Path, Path], None]
"""What is done to the folder of parts; the folder of parts of another run is at hand."""


def _part(parts: Path, name: str = "houses", kind: str = "arrow") -> Path:
    return sorted(parts.glob(f"{name}*.{kind}"))[0]


def _to_part(change: Callable[[Path], object]) -> Damage:
    return lambda parts, _: change(_part(parts)) and None


def _to_seal(change: Callable[[Path], object]) -> Damage:
    return lambda parts, _: change(_part(parts, "0", "json")) and None


def _truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def _flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def _make_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()
    (path / "deep").mkdir()


def _make_pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def _with_other_columns(path: Path) -> None:
    with pa_ipc.open_file(path) as reader:
        table = reader.read_all()
    table = table.drop_columns(table.column_names[-1])
    with pa_ipc.new_file(path, table.schema) as writer:
        writer.write_table(table)


def _as_before_seals(parts: Path, _: Path) -> None:
    for seal in parts.glob("*.json"):
        seal.unlink()


def _of_another_version(path: Path) -> None:
    seal = json.loads(path.read_text())
    path.write_text(json.dumps({**seal, "run": seal["run"] + ".dev1"}))


def _all_of_another_run(parts: Path, other: Path) -> None:
    shutil.rmtree(parts)
    shutil.copytree(other, parts)


def _swap(parts: Path, _: Path) -> None:
    one, two = _part(parts, "bus_voltage"), _part(parts, "branch_loading")
    first, second = one.read_bytes(), two.read_bytes()
    one.write_bytes(second)
    two.write_bytes(first)


def _a_file_in_place_of_the_folder(parts: Path, _: Path) -> None:
    shutil.rmtree(parts)
    parts.write_text("no folder")


def _one_of_another_run(parts: Path, other: Path) -> None:
    shutil.copy(_part(other), _part(parts))


DAMAGES: dict[str, Damage] = {
    "a part missing": _to_part(Path.unlink),
    "a part truncated": _to_part(_truncate),
    "a part empty": _to_part(lambda path: path.write_bytes(b"")),
    "a part garbage": _to_part(lambda path: path.write_bytes(np.random.default_rng(1).bytes(5000))),
    "a bit of a part flipped": _to_part(_flip),
    "a folder in a part's place": _to_part(_make_folder),
    "a pipe in a part's place": _to_part(_make_pipe),
    "a part that nobody may read": _to_part(lambda path: path.chmod(0)),
    "a part with other columns": _to_part(_with_other_columns),
    "a part of another run": _one_of_another_run,
    "all parts of another run": _all_of_another_run,
    "two tables swapped": _swap,
    "parts without seals": _as_before_seals,
    "parts of another version": _to_seal(_of_another_version),
    "a seal missing": _to_seal(Path.unlink),
    "a seal empty": _to_seal(lambda path: path.write_text("")),
    "a seal of other keys": _to_seal(lambda path: path.write_text('{"first": 0}')),
    "a seal of other types": _to_seal(
        lambda path: path.write_text('{"first": [], "stop": "x", "run": 1, "sha256": 3}')
    ),
    "a seal deeply nested": _to_seal(lambda path: path.write_text("[" * 60_000)),
    "a seal that is too large": _to_seal(lambda path: path.write_text(" " * 100_000)),
    "no part left": lambda parts, _: [path.unlink() for path in parts.iterdir()] and None,
    "no folder left": lambda parts, _: shutil.rmtree(parts),
    "a file in place of the folder": _a_file_in_place_of_the_folder,
}
HARMLESS: dict[str, Damage] = {
    "a part beyond the ledger": lambda parts, _: (
        shutil.copy(_part(parts), parts / "houses-000000900-000000950.arrow") and None
    ),
    "a group beyond the ledger": lambda parts, _: (
        (parts / "000000900-000000950.json").write_text('{"first": 900, "stop": 950, "run": "x", "sha256": {}}')
        and None
    ),
    "somebody's notes": lambda parts, _: (parts / "notes.txt").write_text("mine") and None,
    "somebody's folder": lambda parts, _: (parts / "houses-000000000-000000016").mkdir(),
    "a part half written": lambda parts, _: (parts / ".houses-000000048-000000064.arrow.partial").touch(),
}


def expect_same(directory: Path, undisturbed: Path) -> None:
    """Same summary with the same head, same tables, a sound ledger, nothing left behind."""
    found, expected = Result.load(directory), Result.load(undisturbed)
    assert found.summary == expected.summary
    for name in NAMES:
        assert found.table(name).equals(expected.table(name)), name
    assert verify_ledger(directory).ok
    assert sorted(path.name for path in directory.iterdir()) == sorted(path.name for path in undisturbed.iterdir())


MIDWAY = ("a part missing", "a part truncated", "all parts of another run", "no folder left", *HARMLESS)


@pytest.mark.parametrize(
    ("name", "after"), [*((name, "all") for name in (*DAMAGES, *HARMLESS)), *((name, "half") for name in MIDWAY)]
)
def test_a_run_goes_on_whatever_became_of_its_parts(
    name: str, after: str, made: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    directory = shutil.copytree(made / f"small-{after}", tmp_path / "run")
    ({**DAMAGES, **HARMLESS}[name])(directory / ".parts", made / f"other-{after}" / ".parts")
    readable = name == "a part that nobody may read" and os.geteuid() == 0
    with caplog.at_level(logging.WARNING):
        run(SMALL, directory, resume=True)
    told = [record.getMessage() for record in caplog.records]
    assert len(told) == (name in DAMAGES and not readable), told
    assert all("again" in line and ".parts" in line for line in told if "none that are whole" not in line)
    expect_same(directory, made / "small")


@pytest.mark.parametrize("seed", range(10))
def test_law_whatever_is_done_to_the_files_of_parts(seed: int, made: Path, tmp_path: Path) -> None:
    """A few random changes of bytes, names and lengths."""
    rng = np.random.default_rng(seed)
    directory = shutil.copytree(made / f"small-{rng.choice(['half', 'all'])}", tmp_path / "run")
    for _ in range(int(rng.integers(1, 4))):
        files = sorted((directory / ".parts").iterdir())
        path = files[int(rng.integers(len(files)))]
        content = bytearray(path.read_bytes())
        what = rng.integers(4)
        if what == 0 and content:
            content[int(rng.integers(len(content)))] ^= int(rng.integers(1, 256))
        elif what == 1:
            del content[int(rng.integers(len(content) + 1)) :]
        elif what == 2:
            content = bytearray(files[int(rng.integers(len(files)))].read_bytes())
        path.unlink() if what == 3 else path.write_bytes(content)
    run(SMALL, directory, resume=True)
    expect_same(directory, made / "small")


@pytest.mark.parametrize("name", ["houses.parquet", "curtailment.csv", "summary.json", "network.json"])
def test_a_finished_run_whose_files_are_gone_gets_them_again(name: str, made: Path, tmp_path: Path) -> None:
    directory = shutil.copytree(made / "small", tmp_path / "run")
    (directory / name).unlink()
    run(SMALL, directory, resume=True)
    expect_same(directory, made / "small")


def test_cut_off_while_it_makes_tables_again(made: Path, tmp_path: Path) -> None:
    directory = shutil.copytree(made / "small-all", tmp_path / "run")
    _part(directory / ".parts").unlink()
    kept = sorted(path.name for path in (directory / ".parts").iterdir())
    for _ in range(2):
        with cut("half") as listener:
            run(SMALL, directory, resume=True, listener=listener)
        assert sorted(path.name for path in (directory / DAMAGED).iterdir()) == kept
    run(SMALL, directory, resume=True)
    expect_same(directory, made / "small")


def test_tables_are_not_made_by_a_version_that_ends_intervals_otherwise(
    made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    directory = shutil.copytree(made / "small-all", tmp_path / "run")
    ledger = (directory / "ledger.sqlite").read_bytes()
    _part(directory / ".parts").unlink()
    kept = sorted(path.name for path in (directory / ".parts").iterdir())
    real = simulate.run_intervals

    def otherwise(*arguments: object, **options: object) -> Iterator[simulate.Chunk]:
        for chunk in real(*arguments, **options):  # type: ignore[arg-type]
            accounts = chunk.window.accounts + (np.arange(chunk.first, chunk.stop) >= 20)[:, None]
            yield chunk._replace(window=chunk.window._replace(accounts=accounts))

    monkeypatch.setattr(simulate, "run_intervals", otherwise)
    with pytest.raises(ScenarioError, match=r"expected interval 20 to end as the ledger has it.*\.parts\.damaged"):
        run(SMALL, directory, resume=True)
    assert sorted(path.name for path in (directory / DAMAGED).iterdir()) == kept
    assert (directory / "ledger.sqlite").read_bytes() == ledger
    monkeypatch.undo()
    run(SMALL, directory, resume=True)
    expect_same(directory, made / "small")


def test_a_private_run_gets_its_tables_again(tmp_path: Path) -> None:
    assert CliRunner().invoke(app, ["ledger", "init", str(tmp_path / "keys"), "--members", "5"]).exit_code == 0
    keys = {"operator_key": tmp_path / "keys" / "operator.key", "member_keys": tmp_path / "keys"}
    scenario = SMALL.with_changes(ledger={"private": True, "members_sign": True, **keys}, horizon={"hours": 24})
    done = run(scenario, tmp_path / "whole")
    with cut("all") as listener:
        run(scenario, tmp_path / "run", listener=listener)
    _part(tmp_path / "run" / ".parts").unlink()
    again = run(scenario, tmp_path / "run", resume=True)
    assert again.summary == done.summary
    assert again.table("houses").equals(done.table("houses"))


def test_the_command_says_what_it_makes_again(made: Path, tmp_path: Path) -> None:
    directory = shutil.copytree(made / "small-all", tmp_path / "run")
    _truncate(_part(directory / ".parts"))
    (tmp_path / "small.toml").write_text(format_toml(SMALL))
    done = CliRunner().invoke(
        app, ["run", str(tmp_path / "small.toml"), "--out", str(directory), "--resume", "--quiet", "--no-report"]
    )
    assert done.exit_code == 0, done.output
    expect_same(directory, made / "small")


def test_parts_are_checked_before_the_first_interval(
    made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    directory = shutil.copytree(made / "small-half", tmp_path / "run")
    _truncate(_part(directory / ".parts"))
    seen: list[int] = []
    real = simulate.must_repeat
    monkeypatch.setattr(simulate, "must_repeat", lambda *a: seen.append(0) or real(*a))
    with pytest.raises(CutError):
        run(SMALL, directory, resume=True, listener=lambda progress: seen.append(progress.done) or _cut())
    assert seen[0] == 0


def test_tables_joined_from_parts_hold_no_mark_of_them(made: Path) -> None:
    assert Result.load(made / "small").table("houses").schema.metadata is None
    assert isinstance(Result.load(made / "small").table("houses"), pa.Table)
