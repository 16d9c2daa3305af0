"""Tables and summary of a medium-voltage net: all elements and intervals, and what is said of them."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from medium_voltage_nets import make_two

import cosim.portfolio.medium_voltage.results as room
from cosim.portfolio.medium_voltage.agree import Agreed, agree
from cosim.portfolio.medium_voltage.results import describe, read_summary, summarise, write_agreed
from data.heads import read_heads
from grid_models.powerflow.verdicts import Judgement

pytestmark = pytest.mark.slow


@cache
def make() -> Agreed:
    return agree(*make_two())


def test_the_table_has_every_element_of_every_interval(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    agreed = make()
    monkeypatch.setattr(room, "ROWS_TOGETHER", 15)  # two intervals at a time
    paths = write_agreed(agreed, tmp_path)
    table = pq.read_table(tmp_path / "mv.parquet").to_pandas()
    assert len(table) == 6 * 7
    for kind, column, values in (
        ("bus", "vm_pu", agreed.flow.vm_pu),
        ("line", "loading_percent", agreed.flow.line_loading_percent),
        ("trafo", "loading_percent", agreed.flow.trafo_loading_percent),
    ):
        rows = table[table["element_type"] == kind]
        wide = rows.pivot_table(index="time", columns="element", values=column, observed=True)
        np.testing.assert_array_equal(wide.to_numpy(), values)
        other = {"vm_pu": "loading_percent", "loading_percent": "vm_pu"}[column]
        assert rows[other].isna().all()
    assert table["name"].head(4).tolist() == ["grid", "station", "middle", "end"]
    assert [path.name for path in paths] == ["a.parquet", "bb.parquet"]
    for path, series in zip(paths, agreed.heads, strict=True):
        assert read_heads(path).digest() == series.digest()
    assert read_summary(tmp_path) == json.loads(json.dumps(summarise(agreed)))
    assert read_summary(tmp_path / "heads") is None


def test_extremes_are_those_of_the_flow() -> None:
    agreed = make()
    summary = summarise(agreed)
    assert summary["highest_vm"]["vm_pu"] == agreed.flow.vm_pu.max()
    assert summary["lowest_vm"]["vm_pu"] == agreed.flow.vm_pu.min()
    loading = max(agreed.flow.line_loading_percent.max(), agreed.flow.trafo_loading_percent.max())
    assert summary["highest_loading"]["loading_percent"] == loading
    assert summary["feeders"] == {name: {"mv_bus": 3, "limited_intervals": 0} for name in ("a", "bb")}
    said = describe(summary)
    assert len(said) == 1
    assert said[0].startswith("medium voltage: 2 feeders agree with the net to ")
    assert summary["highest_loading"]["name"] in said[0]


def test_limits_that_stay_broken_are_said_first_of_all_by_time() -> None:
    agreed = make()
    limits = replace(agreed.mv.limits, max_vm_pu=np.full(4, 0.9))
    status = np.array([0, 0, 1, 1, 0, 0], np.int8)
    broken = replace(
        agreed,
        mv=agreed.mv._replace(limits=limits),
        verdicts=agreed.verdicts._replace(status=status),
        as_asked={2: agreed.as_asked.get(2), 3: None},  # type: ignore[dict-item]
    )
    summary = summarise(broken)
    assert summary["broken_intervals"] == int((status == Judgement.VIOLATED).sum()) == 2
    said = describe(summary)
    assert "limits were broken in 2 of 6 intervals" in said[1]
    assert "limits stay broken in 2 of 6 intervals" in said[2]
    first = summary["broken"][0]
    assert first["time"] == "2017-06-01T11:00:00+00:00"
    assert [each["why"] for each in first["limits"]] == ["no feeder can mend it"] * 4  # every bus, not the worst alone
    assert said[3].startswith("medium voltage: 2017-06-01T11:00:00 UTC: bus ")
    assert said[3].count("no feeder can mend it") == 4
    assert len(said) == 5
