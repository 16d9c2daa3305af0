"""Which blocks an audit looks at, and what a sample misses."""

from __future__ import annotations

import re
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from dishonest import put_together, take_apart
from typer.testing import CliRunner

import cosim.audit.audit
from cosim import Scenario, run
from cosim.audit.audit import audit_ledger
from cosim.audit.sample import draw_heights, make_nonce, miss_probability, parse_nonce
from cosim.cli.app import app
from cosim.errors import ScenarioError

DAYS = Scenario().with_changes(
    horizon={"hours": 30, "start": "2017-06-20T00:00:00Z"},
    houses={"n_houses": 4, "n_prosumers": 2},
    engine={"verify_sample": 0},
)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("sample") / "run"
    run(DAYS, directory)
    return directory


def test_every_block_is_drawn_by_some_nonce_and_none_is_preferred() -> None:
    """No block is safe from being looked at, as 24 of 72 were."""
    times = np.zeros(73)
    for k in range(2000):
        drawn = draw_heights(b"head", k.to_bytes(2, "little"), 72, 6)
        assert len(set(drawn)) == 6
        assert drawn == sorted(drawn)
        times[drawn] += 1
    assert times[0] == 0
    assert abs(times[1:] - 2000 * 6 / 72).max() < 6 * np.sqrt(2000 * 6 / 72)


def test_the_head_decides_too() -> None:
    """Who signs the head cannot choose it after it knows the nonce, nor the nonce after the head."""
    assert draw_heights(b"one", b"n", 1000, 10) != draw_heights(b"two", b"n", 1000, 10)


@pytest.mark.parametrize(("n", "sample", "n_false"), [(6, 2, 1), (6, 2, 3), (7, 5, 2), (5, 5, 1), (5, 0, 2)])
def test_probability_of_a_miss_by_counting(n: int, sample: int, n_false: int) -> None:
    samples = list(combinations(range(n), sample))
    missed = sum(not set(one) & set(range(n_false)) for one in samples)
    assert miss_probability(n, sample, n_false) == pytest.approx(missed / len(samples))


@pytest.mark.slow
def test_a_nonce_is_new_each_time_and_draws_the_same_again(finished: Path) -> None:
    assert make_nonce() != make_nonce()
    first = audit_ledger(finished, sample=7)
    again = audit_ledger(finished, sample=7, nonce=first.nonce)
    other = audit_ledger(finished, sample=7)
    assert first == again
    assert first.nonce != other.nonce
    assert (first.n_blocks, first.n_drawn, first.findings) == (30, 7, ())


@pytest.mark.parametrize("text", ["", "0", "xyz", "00" * 65])
def test_what_is_no_nonce_is_refused(text: str) -> None:
    with pytest.raises(ScenarioError, match="nonce: expected 1 to 64 bytes in hexadecimal"):
        parse_nonce(text)


@pytest.mark.slow
def test_the_answer_says_what_was_drawn_and_what_may_be_missed(finished: Path) -> None:
    def audit(*options: str) -> str:
        result = CliRunner().invoke(app, ["ledger", "audit", str(finished), *options])
        assert result.exit_code == 0, result.stdout
        return result.stdout

    text = audit("--sample", "10")
    assert "10 blocks solved again by pandapower.runpp" in text
    assert "misses 1 false block with 67 % probability, 2 with 44 %, 5 with 11 %, 10 with 0.6 %" in text
    nonce = re.search(r"nonce ([0-9a-f]{32})", text)
    assert nonce is not None
    assert audit("--sample", "10", "--nonce", nonce[1]) == text
    assert "nonce" not in audit("--all")
    assert "nonce" not in audit()  # 48 of 30 are all


@pytest.mark.slow
def test_more_processes_change_no_finding(finished: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Every block lies, and what is found is told to the last digit."""
    monkeypatch.setattr(cosim.audit.audit, "WORTH_PROCESSES", 1)
    monkeypatch.setattr(cosim.audit.audit, "TASK", 8)
    books = take_apart(finished)
    for page in books.pages:
        page.verdict["p_grid_w"], page.verdict["lowest_vm_upu"], page.verdict["loading_e4_percent"] = 1, 2, 3
    directory = put_together(books, finished, tmp_path / "run")
    alone = audit_ledger(directory, sample=None, nonce=b"n")
    assert len(alone.findings) == 3 * 30
    assert audit_ledger(directory, sample=None, nonce=b"n", n_processes=2) == alone
