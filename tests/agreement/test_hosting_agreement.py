"""Hosting capacity against a bisection by `pandapower.runpp` over all intervals, within 0.1 %."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from dataclasses import replace
from typing import Any

import numpy as np
import pandapower as pp
import pytest

from cosim import Scenario
from cosim.case.case import Case, build_case
from cosim.validation.hosting import find_hosting_capacity
from cosim.validation.validate import make_case
from data.profiles import Profiles
from grid_models.feeder.feeder import Feeder, make_feeder
from grid_models.feeder.generated import make_radial_feeder

pytestmark = pytest.mark.slow  # bisections by runpp

THREE = ("p0", "p1", "p2")
END_KW, END_SCALING = 1000.0, 100.0
SUN = np.clip(np.sin((np.arange(48) % 24 - 6) / 12 * np.pi), 0.0, None)


def _sunny(peak_w: list[float], load_wh: np.ndarray) -> Profiles:
    """Two days, the second one with nine tenths of the sun."""
    sun = SUN * np.where(np.arange(48) < 24, 1.0, 0.9)
    pv = np.rint(sun[:, None] * peak_w).astype(np.int64)
    start = np.datetime64("2017-06-01T00:00:00")
    return Profiles(start, 60, THREE, load_wh, pv, np.zeros(48, np.int64), {})


def _shop_load(base_wh: int, day_wh: int) -> np.ndarray:
    """Load from 8 to 18 o'clock, so that the hours of least load are those without sun."""
    hour = np.arange(48) % 24
    day = np.where((hour >= 8) & (hour < 18), day_wh, base_wh)
    return np.repeat(day[:, None], 3, axis=1).astype(np.int64)


def _wires(edges: list[tuple[int, int]], n_trafos: int = 1) -> Any:
    net = pp.create_empty_network()
    grid = pp.create_bus(net, 10.0, name="grid")
    pp.create_ext_grid(net, grid, vm_pu=1.0)
    buses = [pp.create_bus(net, 0.4, name=f"n{k}") for k in range(5)]
    for k in range(n_trafos):
        pp.create_transformer(net, grid, buses[3 * k], "0.25 MVA 10/0.4 kV", name=f"t{k}")
    for a, b in edges:
        pp.create_line(net, buses[a], buses[b], 0.15, "NAYY 4x50 SE", name=f"l{a}{b}")
    return net


def _placed(net: Any) -> Feeder:
    return make_feeder("wires", net, THREE, [int(bus) for bus in net.bus.index[3:]])


def little_pv() -> Case:
    return _case(_placed(_wires([(0, 1), (1, 2), (2, 3), (3, 4)])), [1000.0, 1000.0, 1000.0], _shop_load(500, 3000))


def day_load() -> Case:
    return _case(_placed(_wires([(0, 1), (1, 2), (1, 3), (3, 4)])), [300.0, 0.0, 200.0], _shop_load(200, 15000))


def meshed() -> Case:
    edges = [(0, 1), (1, 2), (2, 3), (3, 4), (4, 0)]
    feeder = replace(_placed(_wires(edges)), load_tan_phi=np.array([0.3, 0.6, -0.2]))
    return _case(feeder, [4000.0, 3000.0, 5000.0], _shop_load(700, 900))


def two_transformers() -> Case:
    net = _wires([(0, 1), (1, 2), (3, 4)], n_trafos=2)
    return _case(_placed(net), [4000.0, 500.0, 5000.0], _shop_load(300, 6000))


def own_loads() -> Case:
    """Loads and a generator of the net's own, which are kept, and two houses behind each other."""
    net = _wires([(0, 1), (1, 2), (2, 3), (3, 4)])
    pp.create_load(net, int(net.bus.index[2]), p_mw=0.02, q_mvar=0.005)
    pp.create_sgen(net, int(net.bus.index[5]), p_mw=0.01)
    return _case(_placed(net), [2000.0, 2000.0, 0.0], _shop_load(300, 900))


def real_profiles() -> Case:
    """Load by BDEW's standard profile and generation as in Spain, three houses of a generated feeder."""
    changes = {"horizon": {"hours": 48, "start": "2017-05-01T00:00:00Z"}, "houses": {"n_houses": 3, "n_prosumers": 2}}
    found = build_case(Scenario.load("rural").with_changes(**changes, community={"enabled": False}))
    feeder = make_radial_feeder(THREE, n_branches=1, spacing_m=120.0, rng=np.random.default_rng(3))
    return make_case(feeder, replace(found.profiles, participants=THREE), "least_curtailment", {"max_vm_pu": 1.05})


def _case(feeder: Feeder, peak_w: list[float], load_wh: np.ndarray) -> Case:
    return make_case(feeder, _sunny(peak_w, load_wh), "least_curtailment", {"min_vm_pu": 0.9, "max_vm_pu": 1.08})


NETS = [little_pv, day_load, meshed, two_transformers, own_loads, real_profiles]


class Brute:
    """Bisection with `runpp` on a net of its own, over all intervals; of the package it has only its inputs."""

    def __init__(self, case: Case) -> None:
        self.net, self.limits = deepcopy(case.feeder.net), case.limits
        self.sgens = [pp.create_sgen(self.net, int(bus), 0.0) for bus in case.feeder.bus]
        self.load = case.profiles.load_wh / 1000.0
        tan_phi = np.zeros(3) if case.feeder.load_tan_phi is None else np.nan_to_num(case.feeder.load_tan_phi)
        self.q_mvar = -self.load * tan_phi / 1000.0
        self.pv = case.profiles.pv_wh / 1000.0
        self.sun = self.pv.sum(axis=1) / self.pv.sum(axis=1).max()

    def are_clean(self, injection_kw: np.ndarray) -> bool:
        return all(self.is_clean(row, t) for t, row in enumerate(injection_kw))

    def is_clean(self, injection_kw: np.ndarray, t: int) -> bool:
        self.net.sgen.loc[self.sgens, "p_mw"] = injection_kw / 1000.0
        self.net.sgen.loc[self.sgens, "q_mvar"] = self.q_mvar[t]
        try:
            pp.runpp(self.net, tolerance_mva=1e-9)
        except pp.LoadflowNotConverged:
            return False
        vm, limits = self.net.res_bus.vm_pu, self.limits
        within = (vm <= limits.max_vm_pu).all() and (vm >= limits.min_vm_pu).all()
        return bool(
            within
            and (self.net.res_line.loading_percent <= limits.max_line_loading_percent).all()
            and (self.net.res_trafo.loading_percent <= limits.max_trafo_loading_percent).all()
        )

    def find_largest(self, inject: Callable[[float], np.ndarray], end: float) -> float:
        def holds(level: float) -> bool:
            rows = inject(level)
            return all(self.is_clean(rows[k], k) for k in np.argsort(-self.sun, kind="stable"))

        low, high = 0.0, end
        if holds(end):
            return end
        assert holds(0.0), "a net that is clean without PV"
        while high - low > 2e-4 * high:
            middle = (low + high) / 2.0
            low, high = (middle, high) if holds(middle) else (low, middle)
        return low

    def scaling(self) -> float:
        return self.find_largest(lambda factor: factor * self.pv - self.load, END_SCALING)

    def of_house(self, house: int, kw: float) -> np.ndarray:
        column = np.arange(len(self.sgens)) == house
        return kw * self.sun[:, None] * column - self.load

    def at(self, house: int) -> float:
        return self.find_largest(lambda kw: self.of_house(house, kw), END_KW)


@pytest.mark.parametrize("make", [meshed])  # the others below: half a minute each
def test_hosting_is_that_of_a_bisection_over_all_intervals(make: Callable[[], Case]) -> None:
    case = make()
    found = find_hosting_capacity(case, np.arange(case.n_intervals), n_first=2)
    brute = Brute(case)
    assert found.scaling == pytest.approx(brute.scaling(), rel=1e-3)
    for house, kw in enumerate(found.houses["largest_kw"]):
        assert kw == pytest.approx(brute.at(house), rel=1e-3)


@pytest.mark.parametrize("make", NETS)
def test_answers_are_clean_in_all_intervals_and_a_little_more_is_not(make: Callable[[], Case]) -> None:
    """The same without the bisection: what `runpp` says of the answers themselves, of all houses."""
    case, every = make(), np.arange(48)
    found, brute = find_hosting_capacity(case, every, n_first=2), Brute(case)
    assert brute.are_clean(0.999999 * found.scaling * brute.pv - brute.load)
    if not found.reached_end:
        assert not brute.are_clean(1.001 * found.scaling * brute.pv - brute.load)
    for house, kw in enumerate(found.houses["largest_kw"]):
        assert brute.are_clean(brute.of_house(house, 0.999999 * kw))
        assert kw >= END_KW or not brute.are_clean(brute.of_house(house, 1.001 * kw))


@pytest.mark.parametrize("make", NETS)
def test_the_number_of_intervals_it_begins_on_changes_nothing(make: Callable[[], Case]) -> None:
    case, every = make(), np.arange(48)
    few, all_at_once = (find_hosting_capacity(case, every, n_first=n) for n in (1, 48))
    assert few.scaling == pytest.approx(all_at_once.scaling, rel=1e-6)
    np.testing.assert_allclose(few.houses["largest_kw"], all_at_once.houses["largest_kw"], rtol=1e-6)
