"""Every table of a result opens as a DataFrame with names for codes and a UTC index."""

from __future__ import annotations

import pandas as pd
import pytest

from cosim import Result, Scenario, run


@pytest.fixture(scope="module")
def result() -> Result:
    return run(Scenario().with_changes(horizon={"hours": 24}))


@pytest.mark.parametrize("table", ["exchanges", "houses", "intervals", "bus_voltage", "branch_loading"])
def test_table_opens_with_a_utc_index(result: Result, table: str) -> None:
    frame = getattr(result, table)
    assert isinstance(frame.index, pd.DatetimeIndex)
    assert str(frame.index.tz) == "UTC"
    assert len(frame) > 0


def test_kinds_of_exchange_have_their_names(result: Result) -> None:
    kinds = result.exchanges.kind
    assert {"grid_import", "loss"} <= set(kinds) <= {
        "p2p", "share_use", "share_store", "lot_sale", "grid_import", "grid_export", "spill", "loss"
    }  # fmt: skip
