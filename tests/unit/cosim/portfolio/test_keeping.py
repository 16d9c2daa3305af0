"""Which feeders are worst: the order is that of a naive count, whatever order the rows come in."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cosim.errors import ScenarioError
from cosim.portfolio.keeping import Keep, choose_kept, is_kept, parse_keep, rank_rows

ROWS = st.lists(
    st.fixed_dictionaries(
        {
            "feeder": st.text("abc", min_size=1, max_size=3),
            "status": st.sampled_from(["run", "run", "failed"]),
            "cut_kwh": st.sampled_from([0.0, 1.0, 2.5]),
            "highest_loading_percent": st.sampled_from([None, 10.0, 99.0]),
        }
    ),
    unique_by=lambda row: str(row["feeder"]),
    max_size=8,
)


def is_worse(one: dict[str, Any], two: dict[str, Any]) -> bool:
    """The rule, word for word."""
    if one["cut_kwh"] != two["cut_kwh"]:
        return bool(one["cut_kwh"] > two["cut_kwh"])
    loading = [row["highest_loading_percent"] or 0.0 for row in (one, two)]
    if loading[0] != loading[1]:
        return bool(loading[0] > loading[1])
    return bool(one["feeder"] < two["feeder"])


@given(ROWS, st.randoms(use_true_random=False))
def test_each_place_is_the_number_of_worse_feeders(rows: list[dict[str, Any]], order: random.Random) -> None:
    ran = [row for row in rows if row["status"] == "run"]
    shuffled = order.sample(rows, len(rows))
    for place, row in enumerate(rank_rows(shuffled)):
        assert place == sum(is_worse(other, row) for other in ran)
    assert len(rank_rows(rows)) == len(ran)
    assert choose_kept(rows, Keep(2)) == choose_kept(rows, Keep(0, every=True))[:2]
    assert choose_kept(rows, Keep(0)) == []


@pytest.mark.parametrize("text", ["worst", "worst 0", "worst -1", "worst 1.5", "best 3", "", "worst 99999999"])
def test_other_words_are_refused(text: str) -> None:
    with pytest.raises(ScenarioError, match="--keep: expected all, none, or 'worst 20' with any number, got"):
        parse_keep(text)


def test_what_is_not_a_whole_run_is_not_kept(tmp_path: Path) -> None:
    assert not is_kept(tmp_path, "a", "0")
    (tmp_path / "runs/a").mkdir(parents=True)
    (tmp_path / "runs/a/summary.json").write_text('{"ledger": 5}')
    assert not is_kept(tmp_path, "a", "0")
