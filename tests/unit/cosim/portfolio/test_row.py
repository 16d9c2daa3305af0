"""The row of a feeder: a number of its summary under the name of that number, and nothing that is not there."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from cosim.portfolio.row import COLUMNS, SCHEMA, make_failed_row, make_row, make_rows_table
from cosim.portfolio.row_check import find_row_fault
from cosim.scenario.model import Scenario
from cosim.simulation.simulate import run

DAY = {
    "horizon": {"hours": 24, "start": "2017-06-20T00:00:00Z"},
    "houses": {"n_houses": 4, "n_prosumers": 3, "production_ratio": 2.0},
    "network": {"n_branches": 1, "spacing_m": 200.0},
    "market": {"feed_in": True},
    "limits": {"max_vm_pu": 1.005},
}


def test_every_column_has_a_meaning_and_none_a_time_that_was_taken() -> None:
    assert len(set(SCHEMA.names)) == len(SCHEMA.names) == len(COLUMNS)
    assert all(field.metadata[b"meaning"] for field in SCHEMA)
    assert not {"seconds", "worker", "version"} & set(SCHEMA.names)


def test_a_failed_row_is_null_but_for_its_word() -> None:
    table = make_rows_table([make_failed_row("b", "why"), make_failed_row("a", "so")])
    assert table.schema.equals(SCHEMA, check_metadata=True)
    assert table["feeder"].to_pylist() == ["a", "b"]
    given = {name for name in table.column_names if table[name].null_count == 0}
    assert given == {"feeder", "status", "message"}


@pytest.mark.slow
@pytest.mark.parametrize("model", ["balanced", "four_wire"])
def test_a_row_says_what_the_summary_and_the_tables_say(tmp_path: Path, model: str) -> None:
    result = run(Scenario().with_changes(**DAY).with_changes(network={"model": model}), tmp_path / "run")
    row, summary = make_row("a", result), result.summary
    assert find_row_fault(row) == ""
    for section, unit in (("energy_kwh", "kwh"), ("money_eur", "eur")):
        for name, value in summary[section].items():
            assert row[f"{name}_{unit}"] == value
    assert row["head"] == summary["ledger"]["hash"]
    assert row["houses"] == 4
    assert row["buses"] == len(result.net.bus)
    outcomes = [row[f"{name}_intervals"] for name in ("clean", "curtailed", "shed", "de_energised", "islanded")]
    assert sum(outcomes) == row["intervals"] == 24
    assert row["curtailed_intervals"] > 0
    by_element = summary["curtailed"]["by_element"]
    assert (row["binding_element"], row["binding_element_hours"]) == (by_element[0]["binding"], by_element[0]["hours"])
    hours = [row[f"{kind}_binding_hours"] for kind in ("voltage", "line", "transformer", "other")]
    assert sum(hours) == row["curtailed_hours"] == sum(each["hours"] for each in by_element)
    assert row["voltage_binding_hours"] > 0
    columns = [name for name in result.bus_voltage if name.startswith("vm_")]
    assert row["highest_vm_pu"] == np.nanmax(result.bus_voltage[columns].to_numpy())
    assert (row["highest_vm_phase"] is None) == (model == "balanced")
    assert (row["highest_neutral_voltage_v"] is None) == (model == "balanced")
    assert (row["x"], row["y"]) == (None, None)  # a drawn feeder is nowhere
    assert row["hosting_kw"] is None
    assert isinstance(make_rows_table([row]), pa.Table)
