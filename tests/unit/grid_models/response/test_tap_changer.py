"""On-load tap changers: deadband, one step a delay, limits, hunting; against pandapower's own controller."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pandapower as pp
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pandapower.control import DiscreteTapControl

from grid_models.arrays import Floats
from grid_models.errors import GridError
from grid_models.feeder.feeder import Feeder
from grid_models.feeder.generated import make_radial_feeder
from grid_models.powerflow.flow import Flow
from grid_models.response.tap_changer import Followed, TapChangers, TapSettings, TapState, follow_taps

N = 6
MINUTE_S, HOUR_S = 60.0, 3600.0


@cache
def make_feeder(seed: int = 0, **taps: Any) -> Feeder:
    feeder = make_radial_feeder([f"house {k}" for k in range(N)], rng=np.random.default_rng(seed))
    for key, value in taps.items():
        feeder.net.trafo[key] = value
    return feeder


def make_changers(band: tuple[float, float], delay_s: float = 60.0, seed: int = 0, **taps: Any) -> TapChangers:
    return TapChangers(make_feeder(seed, **taps), np.array([0]), TapSettings(*band, delay_s))


def follow(changers: TapChangers, p_kw: Floats, before: TapState, seconds: float) -> tuple[Followed, Flow]:
    """Where the changer comes to rest for one interval's injections, (N,) kW, and the flow there."""
    found = follow_taps(changers, before, 1, seconds, lambda engine, rows: engine.solve(p_kw[None][rows]))
    return found, changers.engine(found.position[0]).solve(p_kw[None])


def at(position: int, waited_s: float = 0.0) -> TapState:
    return TapState(np.array([position]), np.array([waited_s]))


@cache
def make_ordinary() -> TapChangers:
    return make_changers((0.985, 1.015))


@settings(max_examples=20, deadline=None)
@given(
    power=st.floats(-40, 40),
    start=st.integers(-2, 2),
    delay_s=st.sampled_from([30.0, 60.0, 240.0]),
    seconds=st.sampled_from([60.0, 300.0]),
    waited_s=st.floats(0, 59),
)
def test_at_most_one_step_a_delay_and_none_inside_the_band(
    power: float, start: int, delay_s: float, seconds: float, waited_s: float
) -> None:
    changers, p_kw = make_ordinary(), np.full(N, power)
    changers.settings = TapSettings(0.985, 1.015, delay_s)  # its engines stay
    waited_s = min(waited_s, delay_s)
    before = at(start, waited_s)
    found, flow = follow(changers, p_kw, before, seconds)
    steps = abs(int(found.position[0, 0]) - start)
    assert steps <= (waited_s + seconds) / delay_s + 1e-6
    assert -2 <= found.position[0, 0] <= 2
    first = changers.engine(before.position).solve(p_kw[None])
    if changers.find_excess(first)[0, 0] == 0:
        assert steps == 0
    after = changers.wait(before, found.position[0], flow, seconds)
    if not found.hunts[0] and changers.is_at_rest(found.position[0], flow)[0]:
        assert after.waited_s[0] == 0.0
    elif not found.hunts[0]:
        assert 0.0 <= after.waited_s[0] < delay_s  # else there was time for one more step


def test_a_long_delay_is_waited_for_over_several_intervals() -> None:
    changers, p_kw = make_changers((0.985, 1.015), delay_s=150.0, tap_pos=2), np.full(N, -5.0)
    state, seen = at(2), []
    for _ in range(6):
        found, flow = follow(changers, p_kw, state, MINUTE_S)
        state = changers.wait(state, found.position[0], flow, MINUTE_S)
        seen.append(int(state.position[0]))
    assert seen == [2, 2, 1, 1, 0, 0]


def test_a_step_that_crosses_the_band_is_hunting_and_moves_nothing() -> None:
    p_kw, ordinary = np.full(N, -6.0), make_ordinary()
    low = ordinary.engine(np.array([0])).solve(p_kw[None]).vm_pu[0, 1] + 1e-5
    # A step of 2.5 % changes a voltage beneath 1 pu by less, but its base by 1/0.975.
    changers = make_changers((low, low + 0.025), delay_s=0.0)
    found, _ = follow(changers, p_kw, at(0), HOUR_S)
    assert found.hunts[0]
    assert found.position[0, 0] == 0


@pytest.mark.parametrize(
    ("taps", "said"),
    [
        ({"tap_step_percent": np.nan}, "expected taps"),
        ({"tap_side": None}, "expected taps"),
        ({"tap_pos": 5}, "tap_min <= tap_pos <= tap_max"),
        ({"tap_step_percent": 5.0}, "at least one step"),
    ],
)
def test_a_transformer_that_cannot_is_refused(taps: dict[str, Any], said: str) -> None:
    with pytest.raises(GridError, match=said):
        make_changers((0.98, 1.02), **taps)


def test_a_band_that_is_none_is_refused() -> None:
    with pytest.raises(GridError, match="vm_lower_pu below vm_upper_pu"):
        TapSettings(1.02, 0.98)


@pytest.mark.slow
@pytest.mark.parametrize(("seed", "side"), [(1, "hv"), (2, "lv"), (3, "hv")])
def test_it_rests_where_pandapowers_controller_does(seed: int, side: str) -> None:
    """The judge: `DiscreteTapControl` in `runpp(run_control=True)`, from the same position, without delay."""
    rng = np.random.default_rng(seed)
    start = int(rng.integers(-2, 3))
    changers = make_changers((0.985, 1.012), 0.0, seed, tap_side=side, tap_pos=start)
    for power in (-14.0, 3.0, 25.0):
        p_kw = rng.uniform(0.5, 1.5, N) * power
        found, flow = follow(changers, p_kw, at(start), HOUR_S)
        net = pp.from_json_string(pp.to_json(changers.feeder.net))
        for k, bus in enumerate(changers.feeder.bus):
            pp.create_sgen(net, int(bus), p_mw=p_kw[k] / 1000.0)
        DiscreteTapControl(net, 0, 0.985, 1.012)
        pp.runpp(net, run_control=True, calculate_voltage_angles=True, tolerance_mva=1e-10, numba=False)
        assert not found.hunts[0]
        assert int(net.trafo.tap_pos.iloc[0]) == int(found.position[0, 0])
        np.testing.assert_allclose(flow.vm_pu[0], net.res_bus.vm_pu.to_numpy(), atol=1e-6)
