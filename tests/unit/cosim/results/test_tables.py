"""Tables: names in few bytes, and what may be null."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from cosim import Result, Scenario, run
from cosim.results.tables import encode_names, make_table

MAY_BE_NULL = {
    "exchanges": set(),
    "houses": set(),
    "intervals": {"p_grid_kw", "losses_kw"},
    "bus_voltage": {"vm_pu"},
    "branch_loading": {"loading_percent"},
}


@pytest.mark.parametrize(("n_names", "width"), [(1, 8), (128, 8), (129, 16), (32768, 16), (32769, 32)])
def test_every_name_has_its_code_in_as_few_bytes_as_do(n_names: int, width: int) -> None:
    names = [f"house_{k}" for k in range(n_names)]
    for codes in (np.arange(-4, n_names - 4, dtype=np.int32), np.array([n_names - 5, -4], np.int32)):
        column = encode_names(codes, names, 4)
        assert column.type.index_type.bit_width == width
        assert column.to_pylist() == [names[code + 4] for code in codes]


def test_codes_of_one_byte_do_not_overflow_when_they_are_shifted() -> None:
    names = [str(k) for k in range(140)]
    assert encode_names(np.array([127], np.int8), names, 4).to_pylist() == ["131"]


def test_a_line_and_a_transformer_may_have_the_same_name() -> None:
    column = encode_names(np.array([0, 1, 2, 1]), ["main", "unnamed #0", "unnamed #0"])
    assert column.to_pandas().tolist() == ["main", "unnamed #0", "unnamed #0", "unnamed #0"]


def test_a_column_that_is_never_null_refuses_to_be() -> None:
    table = make_table({"wh": np.arange(6)[::2], "vm_pu": pa.array([None, 1.0, 1.0])}, nullable=("vm_pu",))
    assert [field.nullable for field in table.schema] == [False, True]
    with pytest.raises(ValueError, match=r"'wh'.*no null"):
        make_table({"wh": pa.array([None], pa.int64())})


def test_tables_say_which_columns_may_be_null_in_memory_and_on_disk(tmp_path: Path) -> None:
    scenario = Scenario().with_changes(horizon={"hours": 3})
    run(scenario, tmp_path / "run")
    for result in (run(scenario), Result.load(tmp_path / "run")):
        for name, columns in MAY_BE_NULL.items():
            table = result.table(name)
            assert {field.name for field in table.schema if field.nullable} == columns, name
            table.validate(full=True)
