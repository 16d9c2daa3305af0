"""Laws of runs with submissions, whatever people want: books close, nothing unclean settles, windows are nothing."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cosim import Scenario
from cosim.case.case import Case, build_case
from cosim.curtailment.feasible import Outcome
from cosim.interval.fold import run_intervals
from grid_models.powerflow.verdicts import Judgement
from market.exchanges import AUTOMATIC, MISSING, STATED, SUBMISSION, Ask, Rows

HOURS = 24


def make_case(name: str) -> Case:
    summer = {"hours": HOURS, "start": "2017-06-20T00:00:00Z"}
    horizon = {} if name == "outage" else {"horizon": summer}  # events have times of their own
    return build_case(Scenario.load(name).with_changes(**horizon, engine={"verify_sample": 0}))


def random_submissions(case: Case, seed: int) -> Rows:
    """What people want: much of it as much as can be, so that batteries and wires are at their limits."""
    rng, shape = np.random.default_rng(seed), case.inputs.load_wh.shape
    rows = np.zeros(shape, SUBMISSION)
    rows["status"] = rng.choice([0, STATED, STATED, MISSING], shape)
    most = case.opening.ratings.max_discharge_wh + 1
    wanted = rng.choice([-1, 0, 1], shape) * rng.integers(0, most, shape)
    rows["net_wh"] = np.where(rng.random(shape) < 0.3, AUTOMATIC, wanted)
    rows["reserve_wh"] = rng.choice([0, 0, 500, 5000], shape)
    rows["ask"] = rng.choice(list(Ask), shape)
    rows["limit_ueur_per_kwh"] = np.where(rng.random(shape) < 0.5, -1, rng.integers(0, 400_000, shape))
    return rows


def with_rows(case: Case, rows: Rows) -> Case:
    return replace(case, inputs=case.inputs._replace(submissions=rows))


def run_all(case: Case) -> tuple[np.ndarray, np.ndarray]:
    """Accounts after each interval, and all exchanges; every interval is found clean, or off."""
    chunks = list(run_intervals(case, case.opening))
    for chunk in chunks:
        off = np.isin(chunk.outcome, (Outcome.DE_ENERGISED, Outcome.ISLANDED))
        assert ((chunk.verdicts.status == Judgement.OK) | off).all()
    rows = [chunk.window.rows[: chunk.window.offsets[-1]] for chunk in chunks]
    return np.concatenate([chunk.window.accounts for chunk in chunks]), np.concatenate(rows)


@pytest.fixture(scope="module")
def stressed() -> Case:
    return make_case("stressed")


def test_rows_that_say_nothing_change_nothing(stressed: Case) -> None:
    silent = np.zeros(stressed.inputs.load_wh.shape, SUBMISSION)
    silent["status"], silent["net_wh"] = MISSING, 700
    for mine, theirs in zip(run_all(stressed), run_all(with_rows(stressed, silent)), strict=True):
        assert (mine == theirs).all()


@settings(max_examples=6)
@given(seed=st.integers(0, 2**32), window=st.integers(1, 9))
def test_the_length_of_a_window_changes_no_byte(stressed: Case, seed: int, window: int) -> None:
    case = with_rows(stressed, random_submissions(stressed, seed))
    section = case.scenario.engine.model_copy(update={"window": window})
    other = replace(case, scenario=case.scenario.model_copy(update={"engine": section}))
    for mine, theirs in zip(run_all(case), run_all(other), strict=True):
        assert (mine == theirs).all()


@pytest.mark.slow
@pytest.mark.parametrize("name", ["rural", "stressed", "outage", "phases"])
@settings(max_examples=4)
@given(seed=st.integers(0, 2**32))
def test_whatever_people_want_the_books_close_and_nothing_unclean_settles(name: str, seed: int) -> None:
    """Conservation of energy and money is checked in every interval of every run (`check_conserved`)."""
    case = CASES.setdefault(name, make_case(name))
    accounts, rows = run_all(with_rows(case, random_submissions(case, seed)))
    n = case.opening.own_wh.size
    assert (accounts[:, :n] >= 0).all()
    assert rows.size > 0


CASES: dict[str, Case] = {}
