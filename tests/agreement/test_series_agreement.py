"""A series of power flows read from pandapower's voltages alone is what its result tables hold, whatever the net."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pandapower as pp
import pytest

from grid_models.feeder.feeder import Feeder
from grid_models.feeder.generated import make_radial_feeder
from grid_models.feeder.named_nets import make_named_feeder
from grid_models.feeder.topology import open_elements, with_formers
from grid_models.powerflow import runpp
from grid_models.powerflow.admittance import read_matrices
from grid_models.powerflow.flow import Flow
from grid_models.powerflow.runpp import Reference

pytestmark = pytest.mark.slow  # series of other tools

NAMES = [f"house_{k:02d}" for k in range(6)]


def generated() -> Feeder:
    return make_radial_feeder(NAMES, rng=np.random.default_rng(7), n_branches=2)


def with_element(add: Callable[[Any, int], Any]) -> Callable[[], Feeder]:
    def make() -> Feeder:
        feeder = generated()
        add(feeder.net, int(feeder.bus[2]))
        return feeder

    return make


def island() -> Feeder:
    feeder = generated()
    net = open_elements(feeder.net, trafos=[0], grid=True)
    return replace(feeder, net=with_formers(net, [int(feeder.bus[0])]))


FEEDERS: dict[str, Callable[[], Feeder]] = {
    "generated": generated,
    "cigre": lambda: make_named_feeder("cigre_lv", NAMES, seed=1),
    "branch out": lambda: replace(generated(), net=open_elements(generated().net, lines=[3])),
    "island": island,
    "shunt": with_element(lambda net, bus: pp.create_shunt(net, bus, q_mvar=-0.004, p_mw=0.003)),
    "voltage-dependent load": with_element(lambda net, bus: pp.create_load(net, bus, 0.004, const_z_p_percent=50)),
    "gen": with_element(lambda net, bus: pp.create_gen(net, bus, 0.002, vm_pu=1.0)),
    "ward": with_element(lambda net, bus: pp.create_ward(net, bus, 0.001, 0.0, 0.002, 0.0)),
}


def assert_equal(found: Flow, expected: Flow) -> None:
    assert found.converged.tolist() == expected.converged.tolist()
    for name in Flow._fields:
        if name != "iterations":
            a, b = getattr(found, name), getattr(expected, name)
            assert (a.shape, a.dtype) == (b.shape, b.dtype), name
            np.testing.assert_allclose(a, b, rtol=0, atol=1e-6, err_msg=name)


@pytest.mark.parametrize("compile_after", [runpp.COMPILE_AFTER, 5])
@pytest.mark.parametrize("name", FEEDERS)
def test_a_series_is_what_the_tables_hold(name: str, compile_after: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runpp, "COMPILE_AFTER", compile_after)
    feeder = FEEDERS[name]()
    rng = np.random.default_rng(3)
    p_kw, q_kvar = rng.uniform(-6, 6, (12, 6)), rng.uniform(-1, 1, (12, 6))
    reference = Reference(feeder, read_matrices(feeder.net))
    assert_equal(reference.solve_series(p_kw, q_kvar), reference.solve(p_kw, q_kvar))


def test_an_interval_that_does_not_converge_spoils_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    feeder = generated()
    p_kw = np.full((5, 6), -3.0)
    p_kw[2] = -5000.0
    monkeypatch.setattr(runpp, "COMPILE_AFTER", 2)  # the first that is compiled is the one that fails
    reference = Reference(feeder, read_matrices(feeder.net))
    found = reference.solve_series(p_kw, np.zeros_like(p_kw))
    assert found.converged.tolist() == [True, True, False, True, True]
    assert np.isnan(found.vm_pu[2]).all()
    assert_equal(found, reference.solve(p_kw, np.zeros_like(p_kw)))


def test_a_series_that_begins_with_what_does_not_converge() -> None:
    feeder = generated()
    p_kw = np.full((3, 6), -3.0)
    p_kw[0] = -5000.0
    reference = Reference(feeder, read_matrices(feeder.net))
    assert_equal(
        reference.solve_series(p_kw, np.zeros_like(p_kw)), reference.solve(p_kw, np.zeros_like(p_kw), recycle=True)
    )
