"""The files of a run, whatever the number of cores."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest

import cosim.run_directory
from cosim import Scenario, run
from cosim.errors import ScenarioError
from cosim.run_directory import write_parts
from market.ledger import signatures

SCENARIO = Scenario().with_changes(horizon={"hours": 200})


def test_one_core_writes_what_two_write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for n in (1, 2):
        for module in (cosim.run_directory, signatures):
            monkeypatch.setattr(module, "usable_cores", lambda n=n: n)
        run(SCENARIO, tmp_path / str(n))
    one, two = (
        {path.name: path.read_bytes() for path in (tmp_path / n).iterdir() if path.name != "ledger.sqlite"}
        for n in ("1", "2")
    )
    assert one == two
    assert "houses.parquet" in one


def test_parts_of_another_version_are_not_gone_on_with(tmp_path: Path) -> None:
    (tmp_path / ".parts").mkdir()
    old = pa.table({"time": pa.array([0], pa.timestamp("s", tz="UTC"))})
    write_parts(tmp_path, 0, 1, {"houses": old})
    write_parts(tmp_path, 1, 2, {"houses": old})
    there = sorted((tmp_path / ".parts").iterdir())
    with pytest.raises(ScenarioError, match=r"houses-000000000-.*expected the columns.*begin anew"):
        write_parts(tmp_path, 2, 3, {"houses": old.cast(pa.schema([("time", pa.timestamp("ms", tz="UTC"))]))})
    assert sorted((tmp_path / ".parts").iterdir()) == there


def test_one_core_joins_even_so_before_the_run_is_finished(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cosim.run_directory, "usable_cores", lambda: 1)
    found: list[bool] = []
    monkeypatch.setattr(
        "cosim.simulate.write_json",
        lambda path, content: found.append((path.parent / "houses.parquet").exists()),
    )
    run(SCENARIO, tmp_path / "run")
    assert found == [True, True]
