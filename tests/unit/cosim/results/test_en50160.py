"""EN 50160 as a statement: hand-made weeks with known shares give the right word."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

from cosim.results.en50160 import (
    Block,
    Counts,
    Word,
    find_first,
    judge_unbalance,
    judge_voltage,
    merge_words,
    tally_weeks,
)

MONDAY = np.datetime64("2017-01-02T00:00:00")
WEEK = 7 * 144


def make_block(vm_pu: np.ndarray, vuf_percent: np.ndarray | None = None, islanded: np.ndarray | None = None) -> Block:
    """One node, one phase, unless the voltages have more."""
    vm = vm_pu.reshape(vm_pu.shape[0], 1, -1)
    vuf = np.zeros((vm.shape[0], 0)) if vuf_percent is None else vuf_percent.reshape(-1, 1)
    return Block(vm, vuf, np.zeros((vm.shape[0], 1), bool) if islanded is None else islanded.reshape(-1, 1))


def one_week(vm_pu: np.ndarray, minutes: int = 10, **more: np.ndarray) -> Counts:
    (week,) = tally_weeks([make_block(vm_pu, **more)], MONDAY, minutes)
    return week


def with_values(value: float, count: int, n: int = WEEK, otherwise: float = 1.0) -> np.ndarray:
    found = np.full(n, otherwise)
    found[:count] = value
    return found


@pytest.mark.parametrize(
    ("vm_pu", "word"),
    [
        pytest.param(with_values(0.89, 0), "kept", id="all within"),
        pytest.param(with_values(0.89, 50), "kept", id="95.04 %"),
        pytest.param(with_values(0.89, 51), "not kept", id="94.94 %"),
        pytest.param(with_values(0.90, WEEK), "kept", id="all at - 10 %"),
        pytest.param(with_values(1.10, WEEK), "kept", id="all at + 10 %"),
        pytest.param(with_values(0.85, 1), "kept", id="one at - 15 %"),
        pytest.param(with_values(0.8499, 1), "not kept", id="one below - 15 %"),
        pytest.param(with_values(1.1001, 1), "not kept", id="one above + 10 %"),
    ],
)
@pytest.mark.parametrize("minutes", [1, 5, 10])
def test_weeks_of_known_shares_give_the_right_word(vm_pu: np.ndarray, word: str, minutes: int) -> None:
    week = one_week(np.repeat(vm_pu, 10 // minutes), minutes)
    assert judge_voltage(week, minutes) == [word]
    assert week.means == week.valid[0] == WEEK
    assert judge_unbalance(week, minutes) == [Word.NOT_MODELLED]


@pytest.mark.parametrize(("off", "word"), [(8, "kept"), (9, "not kept")])
def test_of_shares_at_95_percent_exactly_the_valid_means_decide(off: int, word: str) -> None:
    vm_pu = with_values(0.89, 50)  # of 1,000 valid means exactly 95.0 % are within, of 999 they are 94.99 %
    vm_pu[WEEK - off :] = np.nan
    week = one_week(vm_pu)
    assert judge_voltage(week, 10) == [word]
    assert (week.off[0], week.islanded[0], week.valid[0]) == (off, 0, WEEK - off)


def test_intervals_without_the_grid_are_counted_apart() -> None:
    vm_pu, islanded = with_values(0.5, 300), np.arange(WEEK) < 300
    vm_pu[:20] = np.nan
    week = one_week(vm_pu, islanded=islanded)
    assert (week.off[0], week.islanded[0], week.valid[0]) == (20, 280, WEEK - 300)
    assert judge_voltage(week, 10) == ["kept"]
    assert week.lowest_vm_pu[0] == 1.0


def test_a_week_without_a_valid_mean_shows_nothing() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        week = one_week(np.full(WEEK, np.nan))
    assert judge_voltage(week, 10) == ["cannot be shown without a valid mean"]
    assert np.isnan(week.lowest_vm_pu[0])


@pytest.mark.parametrize("minutes", [15, 30, 60])
def test_longer_means_cannot_show_it_but_have_figures(minutes: int) -> None:
    n = 7 * 1440 // minutes
    week = one_week(with_values(0.7, n // 2, n), minutes, vuf_percent=np.full(n, 3.0))
    assert judge_voltage(week, minutes) == judge_unbalance(week, minutes) == ["cannot be shown at this resolution"]
    assert (week.means, week.within[0, 0], week.beyond[0]) == (n, n - n // 2, n // 2)


def test_every_phase_is_judged_by_itself() -> None:
    vm_pu = np.ones((WEEK, 3))
    vm_pu[:50, 0], vm_pu[50:100, 1], vm_pu[100:150, 2] = 0.89, 0.89, 1.1
    assert judge_voltage(one_week(vm_pu), 10) == ["kept"]
    vm_pu[:51, 1] = 0.89
    assert judge_voltage(one_week(vm_pu), 10) == ["not kept"]


@pytest.mark.parametrize(("count", "value", "word"), [(50, 9.0, "kept"), (51, 2.01, "not kept"), (WEEK, 2.0, "kept")])
@pytest.mark.parametrize("minutes", [1, 10])
def test_unbalance_within_2_percent_in_95_percent_of_the_means(
    count: int, value: float, word: str, minutes: int
) -> None:
    parts = 10 // minutes
    vuf_percent = np.repeat(with_values(value, count, otherwise=1.0), parts)
    week = one_week(np.ones((WEEK * parts, 3)), minutes, vuf_percent=vuf_percent)
    assert judge_unbalance(week, minutes) == [word]
    assert week.highest_vuf_percent[0] == pytest.approx(value)


def test_means_of_shorter_values_are_root_mean_squares() -> None:
    minutes_of_one_mean = np.array([0.8] * 5 + [1.0] * 5)
    week = one_week(minutes_of_one_mean, 1)
    assert week.lowest_vm_pu[0] == pytest.approx(np.sqrt((0.64 + 1.0) / 2), abs=1e-15)


@pytest.mark.parametrize(("gap", "kind"), [(np.nan, "off"), (0.9, "islanded")])
def test_a_mean_with_one_minute_that_is_not_valid_is_not_valid(gap: float, kind: str) -> None:
    vm_pu = np.ones(WEEK * 10)
    vm_pu[15] = gap
    week = one_week(vm_pu, 1, islanded=vm_pu == 0.9)
    assert (getattr(week, kind)[0], week.valid[0]) == (1, WEEK - 1)


def test_means_begin_at_a_full_ten_minutes() -> None:
    start = np.datetime64("2017-01-02T00:07:00")
    vm_pu = np.concatenate([np.full(3, 0.5), np.ones(10 * WEEK), np.full(7, 0.5)])
    weeks = tally_weeks([make_block(vm_pu)], start, 1)
    assert [week.means for week in weeks] == [WEEK]
    assert weeks[0].lowest_vm_pu[0] == 1.0
    assert find_first(np.datetime64("2017-01-02T00:07:30"), 1) == 0  # no minute begins at a full ten


def test_the_last_week_shows_only_what_its_rest_could_not_mend() -> None:
    day = np.ones(144)
    assert judge_voltage(one_week(day), 10) == ["cannot be shown by an incomplete week"]
    assert judge_voltage(one_week(with_values(0.89, 50, 144)), 10) == ["cannot be shown by an incomplete week"]
    assert judge_voltage(one_week(with_values(0.89, 51, 144)), 10) == ["not kept"]
    assert judge_voltage(one_week(with_values(1.2, 1, 144)), 10) == ["not kept"]


def test_weeks_follow_one_another() -> None:
    vm_pu = np.concatenate([np.ones(WEEK), np.full(WEEK, 0.89), np.ones(144)])
    weeks = tally_weeks([make_block(vm_pu)], MONDAY, 10)
    words = [judge_voltage(week, 10)[0] for week in weeks]
    assert words == ["kept", "not kept", "cannot be shown by an incomplete week"]
    assert merge_words(words[::2]) == "kept"
    assert merge_words(words) == "not kept"
