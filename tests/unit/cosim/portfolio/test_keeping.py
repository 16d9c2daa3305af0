"""Which feeders are worst: the order is that of a naive count, whatever order the rows come in."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cosim.errors import ScenarioError
from cosim.portfolio.keeping import Keep, choose_kept, is_kept, parse_keep, rank_rows
from cosim.results.integrity import FILES, MANIFEST, hash_files
from cosim.results.result import TABLES
from cosim.simulation.resume import list_files
from market.ledger.format.header import make_demonstration_key
from market.ledger.format.records import make_parameter_records, view_as_bytes
from market.ledger.write.ledger import Ledger

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
    with pytest.raises(ScenarioError, match="--keep: expected all, none, or 'worst 20' with any number from 1 on, got"):
        parse_keep(text)


def write_run(folder: Path) -> str:
    """A run of a feeder as far as it is looked at; returns the head of its ledger."""
    folder.mkdir(parents=True)
    terms = make_parameter_records({"start": 1_465_776_000, "interval_minutes": 60, "tau_intervals": 6}, first_seq=1)
    with Ledger.create(folder, [view_as_bytes(terms)], make_demonstration_key(1), b"") as ledger:
        head = ledger.head().hash.hex()
    files = list_files(TABLES)
    for name in files:
        (folder / name).write_text(name)
    (folder / MANIFEST).write_text(json.dumps({FILES: hash_files(folder, files)}))
    return head


def test_a_run_is_kept_while_all_of_its_files_are_as_they_were(tmp_path: Path) -> None:
    run = tmp_path / "runs" / "a"
    head = write_run(run)
    assert is_kept(tmp_path, "a", head)
    assert not is_kept(tmp_path, "a", "0" * 64)
    assert not is_kept(tmp_path, "b", head)
    for name in ("summary.json", "houses.parquet", MANIFEST, "ledger.sqlite"):
        before = (run / name).read_bytes()
        (run / name).write_bytes(b"{}")
        assert not is_kept(tmp_path, "a", head)
        (run / name).unlink()
        assert not is_kept(tmp_path, "a", head)
        (run / name).write_bytes(before)
    assert is_kept(tmp_path, "a", head)


def test_what_is_not_a_whole_run_is_not_kept(tmp_path: Path) -> None:
    (tmp_path / "runs/a").mkdir(parents=True)
    (tmp_path / "runs/a/summary.json").write_text('{"ledger": {"hash": "0"}}')
    (tmp_path / "runs/a/manifest.json").write_text('{"files": {}}')
    assert not is_kept(tmp_path, "a", "0")
    assert not is_kept(tmp_path, "a", "")
