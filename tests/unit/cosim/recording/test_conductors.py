"""Places and conductors on a ledger, and the columns of a flow that they stand for: there and back."""

from __future__ import annotations

import numpy as np
import pytest

from cosim.recording.conductors import Conductors, find_highest_neutral
from grid_models.powerflow.flow import make_unsolved_flow

MODELS = {"balanced": Conductors(1, 1, 1, n_lines=3), "three phases": Conductors(3, 4, 3, n_lines=3)}


@pytest.mark.parametrize("model", MODELS)
def test_every_column_is_stated_and_found_again(model: str) -> None:
    made = MODELS[model]
    buses, branches = np.arange(-1, 5 * made.of_bus), np.arange(-1, 3 * made.of_line + 2 * made.of_trafo)
    for columns, split, find in (
        (buses, made.split_buses, made.find_bus_column),
        (branches, made.split_branches, made.find_branch_column),
    ):
        places, codes = split(columns)
        assert [find(int(place), int(code)) for place, code in zip(places, codes, strict=True)] == columns.tolist()
        assert len(set(zip(places.tolist(), codes.tolist(), strict=True))) == columns.size
        assert codes[0] == 0
        assert (codes[1:] > 0).all() == (model != "balanced")


def test_lines_come_before_transformers_and_have_a_neutral() -> None:
    places, codes = MODELS["three phases"].split_branches(np.arange(18))
    assert places.tolist() == [0] * 4 + [1] * 4 + [2] * 4 + [3] * 3 + [4] * 3
    assert codes.tolist() == [1, 2, 3, 4] * 3 + [1, 2, 3] * 2


@pytest.mark.parametrize(("place", "code"), [(-1, 0), (0, 0), (0, 4), (0, -1), (0, 9), (-2, 1)])
def test_a_phase_that_no_bus_has_stands_for_no_column(place: int, code: int) -> None:
    assert MODELS["three phases"].find_bus_column(place, code) == -1


def test_the_highest_neutral_is_that_of_the_solved_intervals() -> None:
    flow = make_unsolved_flow(3, 3, 12, 3, 1, n_power=1, n_unbalance=1)
    flow.line_loading_percent[:] = 0.0
    flow.line_loading_percent[0, [3, 7, 11]] = [1.0, 5.0, np.nan]
    flow.line_loading_percent[0, 4] = 99.0  # a phase is no neutral
    flow.converged[:2] = True
    percent, line = find_highest_neutral(flow, MODELS["three phases"])
    assert percent[:2].tolist() == [5.0, 0.0]
    assert np.isnan(percent[2])
    assert line.tolist() == [1, 0, -1]
    none = make_unsolved_flow(1, 3, 0, 3, 1)
    assert find_highest_neutral(none, Conductors(3, 4, 3, n_lines=0))[1].tolist() == [-1]
