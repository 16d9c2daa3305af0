"""Voltages and powers agree, or what does not is named."""

from __future__ import annotations

import numpy as np
import pytest
from medium_voltage_nets import make_two

import cosim.portfolio.medium_voltage.exchange as room
from cosim.portfolio.medium_voltage.exchange import NoAgreementError, describe_residual, exchange, solve_medium_voltage
from cosim.portfolio.medium_voltage.feeders import Delivered, deliver, solve_head, with_series
from data.heads import make_head_series

pytestmark = pytest.mark.slow


def begin(vm_pu: float = 1.0) -> tuple[list, list[Delivered], np.ndarray]:
    cases = make_two()[1]
    time = cases[0].profiles.time
    series = make_head_series(time, np.full(time.size, vm_pu), np.full(time.size, np.inf), "test")
    cases = [with_series(case, series) for case in cases]
    return cases, [deliver(case) for case in cases], time


def test_what_is_agreed_is_a_solution_of_net_and_feeders_wherever_it_begins() -> None:
    mv, _ = make_two()
    cases, delivered, time = begin()
    found = [exchange(mv, cases, delivered, time, np.full((time.size, 2), vm)) for vm in (0.95, 1.05)]
    np.testing.assert_allclose(found[0].vm_pu, found[1].vm_pu, atol=1e-8)
    assert 2 <= found[0].n_exchanges <= 5
    every = np.arange(time.size)
    powers = [solve_head(*pair, every, vm) for *pair, vm in zip(cases, delivered, found[0].vm_pu.T, strict=True)]
    p_kw, q_kvar = (np.stack(columns, axis=1) for columns in zip(*powers, strict=True))
    flow = solve_medium_voltage(mv, time, p_kw, q_kvar)
    np.testing.assert_allclose(flow.vm_pu[:, mv.row], found[0].vm_pu, atol=1e-8)
    np.testing.assert_array_equal(found[0].flow.vm_pu[:, mv.row], found[0].vm_pu)


def test_an_interval_that_is_off_takes_nothing() -> None:
    cases, delivered, time = begin()
    off = delivered[0]._replace(is_off=np.arange(time.size) == 2)
    p_kw, q_kvar = solve_head(cases[0], off, np.arange(time.size), np.ones(time.size))
    assert (p_kw[2], q_kvar[2]) == (0.0, 0.0)
    assert np.abs(np.delete(p_kw, 2)).min() > 0.0


def test_what_does_not_agree_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    mv, _ = make_two()
    cases, delivered, time = begin()
    monkeypatch.setattr(room, "MAX_EXCHANGES", 1)
    words = (
        r"interval 2017-06-01T\d\d:00:00 UTC, bus 3 'end': expected .* feeder '(a|bb)' that agree to 1e-06 pu after 1 "
    )
    with pytest.raises(NoAgreementError, match=words):
        exchange(mv, cases, delivered, time, np.full((time.size, 2), 0.95))


def test_a_net_or_a_feeder_without_solution_is_named() -> None:
    mv, _ = make_two()
    cases, delivered, time = begin()
    much = [delivered[0], delivered[1]._replace(p_kw=delivered[1].p_kw.copy())]
    much[1].p_kw[3] = -1e5
    words = r"interval 2017-06-01T12:00:00 UTC, bus 3 'end': expected an AC solution of feeder 'bb' at 1\.0000 pu"
    with pytest.raises(NoAgreementError, match=words):
        exchange(mv, cases, much, time, np.ones((time.size, 2)))
    p_kw = np.zeros((time.size, 2))
    p_kw[1, 0] = 1e6
    words = r"interval 2017-06-01T10:00:00 UTC: .* take 1,000,000 kW together, most of it feeder 'a' at bus 3 'end'"
    with pytest.raises(NoAgreementError, match=words):
        solve_medium_voltage(mv, time, p_kw, np.zeros_like(p_kw))


def test_the_largest_residual_is_named() -> None:
    mv, _ = make_two()
    time = np.array(["2017-06-01T00", "2017-06-01T01"], "datetime64[h]")
    said = describe_residual(mv, time, np.array([[1e-9, 2e-6], [3e-3, 1e-3]]), "after 2 rounds")
    assert "interval 2017-06-01T01 UTC, bus 3 'end'" in said
    assert "feeder 'a'" in said
    assert "residual of 0.003 pu (2 such intervals)" in said
