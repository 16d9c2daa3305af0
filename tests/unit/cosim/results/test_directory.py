"""The files of a run, whatever the number of cores."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import cosim.results.parts
from cosim import Scenario, run
from cosim.errors import ScenarioError
from cosim.results.directory import read_in_parts, read_table, write_json, write_table
from market.ledger.crypto import signatures

SCENARIO = Scenario().with_changes(horizon={"hours": 200})


def test_one_core_writes_what_two_write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for n in (1, 2):
        for module in (cosim.results.parts, signatures):
            monkeypatch.setattr(module, "count_usable_cores", lambda n=n: n)
        run(SCENARIO, tmp_path / str(n))
    one, two = (
        {path.name: path.read_bytes() for path in (tmp_path / n).iterdir() if path.name != "ledger.sqlite"}
        for n in ("1", "2")
    )
    assert one == two
    assert "houses.parquet" in one


def test_one_core_joins_even_so_before_the_run_is_finished(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cosim.results.parts, "count_usable_cores", lambda: 1)
    found: list[bool] = []

    def write(path: Path, content: object) -> None:
        found.append((path.parent / "houses.parquet").exists())
        write_json(path, content)

    monkeypatch.setattr("cosim.simulation.simulate.write_json", write)
    run(SCENARIO, tmp_path / "run")
    assert found == [True, True]


@pytest.mark.parametrize("name", ["007", "1e3", "", "NaN", "true"])
def test_a_house_named_like_a_number_keeps_its_name(tmp_path: Path, name: str) -> None:
    written = pa.table({"house": [name], "name": [name], "seller": [name], "capacity_kwh": [1.5]})
    write_table(tmp_path, "battery_wear", written)
    assert read_table(tmp_path, "battery_wear").equals(written)
    assert read_table(tmp_path, "battery_wear", ["seller"]).to_pydict() == {"seller": [name]}


def test_a_table_for_people_has_the_same_types_when_it_is_empty(tmp_path: Path) -> None:
    kept, written = run(SCENARIO), run(SCENARIO, tmp_path / "run")
    for name in ("violations", "curtailment", "battery_wear"):
        assert written.table(name).schema.types == kept.table(name).schema.types, name
        assert written.table(name).equals(kept.table(name)), name
    assert len(written.table("curtailment")) == 0


def test_a_table_read_in_parts_is_the_table(tmp_path: Path) -> None:
    table = pa.table({"time": range(10), "a": range(10), "b": range(10)})
    with pq.ParquetWriter(tmp_path / "houses.parquet", table.schema) as writer:
        for first in (0, 4, 8):
            writer.write_table(table.slice(first, 4))
    parts = list(read_in_parts(tmp_path, "houses", ("b", "time")))
    assert [len(part) for part in parts] == [4, 4, 2]
    assert pa.concat_tables(parts).to_pydict() == {"b": list(range(10)), "time": list(range(10))}
    with pytest.raises(ScenarioError, match=r"expected a finished run with exchanges\.parquet, found none"):
        list(read_in_parts(tmp_path, "exchanges", ["a"]))
