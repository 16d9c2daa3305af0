"""The envelope of a house: what it says is carried is clean by the power flow, one step more is not."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("fastapi", reason="needs the extra: pip install 'gridsettle[web]'")
pytest.importorskip("eth_account", reason="needs the extra: pip install 'gridsettle[web]'")

from served_market import STREET

from cosim import Scenario
from cosim.case.case import Case, build_case
from cosim.delivery.setpoints import injection_kw
from cosim.interval.fold import run_intervals
from cosim.web.pages.envelope import STEPS_KW, find_room
from grid_models.powerflow.verdicts import Judgement, judge
from market.exchanges import Rows


@pytest.fixture(scope="module")
def solved() -> tuple[Case, Rows]:
    case = build_case(STREET.with_changes(horizon={"hours": 1}))
    (chunk,) = run_intervals(case, case.opening)
    return case, chunk.window.meters


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_one_step_more_than_the_room_is_beyond_a_limit(solved: tuple[Case, Rows], sign: float) -> None:
    case, meters = solved
    for house in range(5):
        room = find_room(case, meters, house, sign)
        more = np.append([room.kw], [room.kw + 1.0] if room.why else [])
        p_kw = np.repeat(injection_kw(meters, case.interval_minutes, None), more.size, axis=0)
        p_kw[:, house] += sign * more
        q_kvar = np.repeat(meters["q_var"] / 1000.0, more.size, axis=0)
        status = judge(case.engine.solve(p_kw, q_kvar), case.limits).status
        assert [each == Judgement.OK for each in status] == [True, False][: more.size]
        assert ("too high" if sign > 0 else "too low") in room.why or not room.why


def test_the_end_of_a_weak_street_has_less_room_than_its_begin(solved: tuple[Case, Rows]) -> None:
    case, meters = solved
    rooms = [find_room(case, meters, house, 1.0).kw for house in range(5)]
    near, far = int(np.argmin(case.feeder.bus)), int(np.argmax(case.feeder.bus))
    assert rooms[far] < rooms[near]
    assert max(rooms) <= STEPS_KW[-1]


def test_nothing_is_solved_far_beyond_the_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a long street 30 kW more have no solution; to find that out takes `runpp` a second, which a page waits for."""
    long = {"houses": {"n_houses": 40, "n_prosumers": 20}, "network": {"n_branches": 1}}
    case = build_case(Scenario().with_changes(horizon={"hours": 1}, **long))
    (chunk,) = run_intervals(case, case.opening)
    farthest = int(np.argmax(case.feeder.bus))
    p_kw = injection_kw(chunk.window.meters, case.interval_minutes, None)
    p_kw[:, farthest] -= STEPS_KW[-1]
    assert not case.engine.solve(p_kw).converged[0]
    monkeypatch.setattr("grid_models.powerflow.engine.solve_by_runpp", None)
    assert "too low" in find_room(case, chunk.window.meters, farthest, -1.0).why
