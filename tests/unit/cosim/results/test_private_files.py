"""Files of private runs: for their owner alone, each explained; what is published has none of them."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner, Result

from cosim import Scenario, run
from cosim.cli.app import app
from cosim.results.private_files import CLEAR, explain_clear, write_for_owner
from cosim.results.publication import PUBLIC
from cosim.simulation.simulate import Progress
from market.ledger.check.verify import verify_ledger
from market.ledger.crypto.keys import write_key_pair
from market.ledger.format.header import make_demonstration_key

N = 4
STORES = {f"vaults/{name}.sqlite" for name in ("operator", *range(N))}
COMMITTED_OR_SEALED = {"ledger.sqlite", "ledger.lock", "vaults", *STORES}
ROUTINE = 0o022


def command(*arguments: str) -> Result:
    result = CliRunner().invoke(app, list(arguments))
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result


def test_phases_of_houses_are_explained_only_where_there_are_some() -> None:
    assert "which house is connected to which phase" in explain_clear(["phases.csv"])["phases.csv"]
    assert "phases.csv" not in explain_clear(["houses.parquet"])


@pytest.fixture(autouse=True)
def _umask() -> object:
    before = os.umask(ROUTINE)
    yield
    os.umask(before)


def make_scenario(folder: Path, *, private: bool) -> Scenario:
    ledger = {"operator_key": folder / "operator.key", "member_keys": folder, "private": private}
    return Scenario().with_changes(
        horizon={"hours": 24, "start": "2017-06-01T00:00:00Z"},
        houses={"n_houses": N, "n_prosumers": 2},
        engine={"verify_sample": 0},
        ledger=ledger,
    )


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("files") / "keys"
    folder.mkdir(mode=0o700)
    for k, name in enumerate(["operator", *(f"member-{house:03d}" for house in range(N))]):
        write_key_pair(folder / f"{name}.key", make_demonstration_key(8000 + k))
    return folder


def list_files(directory: Path) -> set[str]:
    return {str(path.relative_to(directory)) for path in directory.rglob("*")}


def find_open_to_others(directory: Path) -> list[Path]:
    return [path for path in (directory, *directory.rglob("*")) if path.stat().st_mode & 0o077]


@pytest.fixture(scope="module")
def done(keys: Path) -> Path:
    directory, seen = keys.parent / "run", []

    def look(_: Progress) -> None:
        seen.append(find_open_to_others(directory))

    before = os.umask(ROUTINE)
    run(make_scenario(keys, private=True), directory, listener=look)
    assert os.umask(before) == ROUTINE, "what was set before the run holds behind it"
    assert seen
    assert not any(seen), "files in the making are nobody else's either"
    assert command("report", str(directory), "--hosting", "--quiet").exit_code == 0
    return directory


def test_every_file_is_for_its_owner(done: Path) -> None:
    assert find_open_to_others(done) == []
    assert (done / "vaults").stat().st_mode & 0o777 == 0o700
    assert done.with_name("run.checkpoint").stat().st_mode & 0o077 == 0


def test_every_file_is_committed_sealed_or_listed_with_its_reason(done: Path) -> None:
    manifest = json.loads((done / "manifest.json").read_text())
    assert list_files(done) - COMMITTED_OR_SEALED <= set(manifest[CLEAR])
    assert all(len(reason) > 20 for reason in manifest[CLEAR].values())
    assert "not to be given away" in manifest[CLEAR]["houses.parquet"]


def test_digests_of_what_a_seed_draws_are_salted(done: Path, keys: Path) -> None:
    manifest, scenario = (done / "manifest.json").read_text(), make_scenario(keys, private=True)
    assert "profiles_hmac" in manifest
    for text in (manifest, command("ledger", "show", str(done), "0").output):
        assert scenario.digest().hex() not in text
    shown = command("ledger", "show", str(done), "0", "--json").output
    names = [bytes.fromhex(json.loads(line)["name"]).rstrip(b"\0") for line in shown.splitlines() if '"name"' in line]
    assert b"scenario_hmac" in names
    assert not {b"seed", b"scenario_sha256", b"profiles_sha256"} & set(names)


def test_a_run_that_is_not_private_is_as_it_was(keys: Path, tmp_path: Path) -> None:
    run(make_scenario(keys, private=False), tmp_path / "run")
    assert (tmp_path / "run" / "houses.parquet").stat().st_mode & 0o777 == 0o644
    manifest = json.loads((tmp_path / "run" / "manifest.json").read_text())
    assert CLEAR not in manifest
    assert {"scenario_sha256", "profiles_sha256"} <= set(manifest)


def fail_while_private() -> None:
    with write_for_owner(True):
        assert os.umask(0o077) == 0o077
        raise RuntimeError


def test_the_umask_comes_back_whatever_happens() -> None:
    with pytest.raises(RuntimeError):
        fail_while_private()
    with write_for_owner(False):
        assert os.umask(ROUTINE) == ROUTINE


# -- what is given away ----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def published(done: Path) -> Path:
    out = done.with_name("public")
    assert command("ledger", "publish", str(done), str(out)).exit_code == 0
    return out


def test_what_is_published_has_no_private_file(done: Path, published: Path) -> None:
    assert list_files(published) == {"ledger.sqlite", "network.json", "manifest.json"}
    assert set(json.loads((published / "manifest.json").read_text())) == set(PUBLIC)
    report = verify_ledger(published, checkpoint=published.with_name("public.checkpoint").read_text())
    assert (report.ok, report.head) == (True, verify_ledger(done).head)
    assert (published / "ledger.sqlite").read_bytes()[18:20] == b"\1\1", "a file without a log"


def test_an_export_of_a_private_ledger_has_no_row_of_a_house(done: Path, published: Path, tmp_path: Path) -> None:
    for directory in (done, published):
        out = tmp_path / directory.name
        assert command("ledger", "export", str(directory), str(out)).exit_code == 0
        for name in ("exchanges", "meters", "topology"):
            assert pq.read_table(out / f"{name}.parquet").num_rows == 0
        verdicts = pq.read_table(out / "verdicts.parquet").to_pandas()
        assert verdicts.drop(columns=["height", "interval", "seq"]).drop_duplicates().shape[0] == 1


def test_a_run_in_the_open_is_published_with_its_scenario(keys: Path, tmp_path: Path) -> None:
    run(make_scenario(keys, private=False), tmp_path / "run")
    assert command("ledger", "publish", str(tmp_path / "run"), str(tmp_path / "out"), "--quiet").exit_code == 0
    assert list_files(tmp_path / "out") == {"ledger.sqlite", "network.json", "manifest.json", "scenario.toml"}
    assert "ok" in command("ledger", "audit", str(tmp_path / "out"), "--all").output


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda d: (d / "public").mkdir() or (d / "public" / "x").write_text(""), "expected a new or empty folder"),
        (lambda d: (d / "run.checkpoint").unlink(), "expected the checkpoint of the run beside its directory"),
        (lambda d: (d / "run" / "manifest.json").unlink(), "manifest.json: expected a JSON file of a run"),
        (lambda d: (d / "run" / "network.json").unlink(), "network.json: expected a file of the run"),
        (lambda d: (d / "run" / "scenario.toml").unlink(), "scenario.toml"),
    ],
)
def test_what_cannot_be_published_is_one_message(
    spoil: object, message: str, done: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(done, tmp_path / "run")
    shutil.copy(done.with_name("run.checkpoint"), tmp_path)
    spoil(tmp_path)  # type: ignore[operator]
    monkeypatch.chdir(tmp_path)
    result = command("ledger", "publish", "run", "public")
    assert (result.exit_code, message in result.output) == (2, True), result.output
    assert not (tmp_path / "public" / "ledger.sqlite").exists()
