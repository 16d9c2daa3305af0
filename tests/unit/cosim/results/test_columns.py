"""Times and names as all tables keep them."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cosim import Scenario, run
from cosim.results.columns import TIME, is_named

NAMES = ["p2p", "loss", "", "grid"]


@given(st.lists(st.lists(st.sampled_from(NAMES), max_size=6), max_size=4), st.sets(st.sampled_from(NAMES)))
def test_names_are_found_as_in_plain_strings(chunks: list[list[str]], wanted: set[str]) -> None:
    plain = pa.chunked_array(chunks, pa.string())
    coded = pa.chunked_array(
        [pa.array(chunk, pa.string()).dictionary_encode() for chunk in chunks],
        pa.dictionary(pa.int32(), pa.string()),
    )
    expected = pc.is_in(plain, pa.array(sorted(wanted), pa.string())).to_pylist()
    assert is_named(plain, *wanted).to_pylist() == expected
    assert is_named(coded, *wanted).to_pylist() == expected


@pytest.mark.slow
def test_tables_in_memory_have_the_times_of_those_on_disk(tmp_path: object) -> None:
    scenario = Scenario().with_changes(horizon={"hours": 24})
    kept, written = run(scenario), run(scenario, f"{tmp_path}/run")
    for name in (
        "exchanges",
        "houses",
        "intervals",
        "bus_voltage",
        "branch_loading",
        "violations",
        "energy_balance",
    ):
        assert kept.table(name).schema.field("time").type == TIME
    for name in ("exchanges", "houses", "intervals"):
        assert written.table(name).schema.equals(kept.table(name).schema)
        assert np.array_equal(written.table(name)["time"].to_numpy(), kept.table(name)["time"].to_numpy())
