"""EN 50160: the counting in arrays says what the naive twin says, however the run is cut into blocks."""

from __future__ import annotations

from itertools import pairwise

import naive_en50160 as naive
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from cosim.results.en50160 import Block, Word, judge_unbalance, judge_voltage, tally_weeks

LEVELS = np.array([1.0, 0.9, 1.1, 0.85, 0.895, 0.84, 1.11, np.nan])
UNBALANCE = np.array([0.0, 2.0, 2.1])
LIKELY = st.sampled_from([0.0, 0.03, 0.049, 0.05, 0.051, 0.2])


@st.composite
def runs(draw: st.DrawFn) -> tuple[Block, int, int]:
    """A run of up to two and a half weeks with a few odd values, the length of its intervals, and its begin."""
    minutes, phases = draw(st.sampled_from([5, 10, 15])), draw(st.sampled_from([1, 3]))
    late, nodes = draw(st.sampled_from([0, 5, 7])), 2
    n = draw(st.sampled_from([144, 1007, 1008, 1009, 2016, 2500])) * 10 // minutes + draw(st.integers(0, 2))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    share = [draw(LIKELY) for _ in range(2)]
    vm = np.where(rng.random((n, nodes, phases)) < share[0], rng.choice(LEVELS, (n, nodes, phases)), 1.0)
    vm[:, 1] = np.where(rng.random((n, phases)) < share[1], rng.choice(LEVELS[:5], (n, phases)), 1.0)
    vuf = np.where(rng.random((n, nodes)) < share[0], rng.choice(UNBALANCE, (n, nodes)), 1.0)
    islanded = rng.random((n, nodes)) < draw(st.sampled_from([0.0, 0.002]))
    return Block(vm, vuf if phases == 3 else vuf[:, :0], islanded), minutes, late


def cut(block: Block, places: list[int]) -> list[Block]:
    bounds = [0, *sorted(places), len(block.islanded)]
    return [block.select(first, stop) for first, stop in pairwise(bounds)]


@settings(max_examples=30)
@given(runs(), st.lists(st.integers(0, 2500), max_size=4))
def test_words_and_counts_are_those_of_the_naive_twin(run: tuple[Block, int, int], places: list[int]) -> None:
    block, minutes, late = run
    start = np.datetime64("2017-01-02T00:00:00") + np.timedelta64(late, "m")
    weeks = tally_weeks(cut(block, places), start, minutes)
    per_week = 1008 if minutes <= 10 else 672
    for node in range(2):
        vuf = list(block.vuf_percent[:, node]) if block.vuf_percent.size else None
        means = naive.name_means(block.vm_pu[:, node].tolist(), vuf, block.islanded[:, node], minutes, late)
        assert len(weeks) == -(-len(means) // per_week)
        for number, week in enumerate(weeks):
            expected = means[number * per_week : (number + 1) * per_week]
            kinds = [kind for kind, _, _ in expected]
            got = week.means, week.off[node], week.islanded[node], week.valid[node]
            assert got == (len(expected), kinds.count("off"), kinds.count("islanded"), kinds.count("valid"))
            voltage, unbalance = naive.judge_week(expected, minutes)
            assert judge_voltage(week, minutes)[node] == voltage
            known = Word.NOT_MODELLED if vuf is None else unbalance
            assert judge_unbalance(week, minutes)[node] == known


@given(runs(), st.integers(1, 2500))
def test_what_a_week_does_not_keep_its_rest_cannot_mend(run: tuple[Block, int, int], stop: int) -> None:
    block, minutes, _ = run
    start = np.datetime64("2017-01-02T00:00:00")
    early, whole = (tally_weeks([part], start, minutes) for part in (block.select(0, stop), block))
    for before, after in zip(early, whole, strict=False):
        for judge in (judge_voltage, judge_unbalance):
            for was, now in zip(judge(before, minutes), judge(after, minutes), strict=True):
                assert now == Word.NOT_KEPT or was != Word.NOT_KEPT
