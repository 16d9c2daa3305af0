"""Hosting capacity in three phases against a search by `pandapower.runpp_3ph` over all intervals, within 0.1 %."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from copy import deepcopy
from dataclasses import replace
from typing import Any

import numpy as np
import pandapower as pp
import pytest

from cosim.case.case import Case
from cosim.validation.hosting import find_hosting_capacity
from cosim.validation.validate import make_case
from data.profiles import Profiles
from grid_models.feeder.connection import ABC, A, B, C, make_connections
from grid_models.feeder.feeder import make_feeder
from grid_models.phases.fill import FOUR_CORE, with_zero_sequence

pytestmark = pytest.mark.slow  # searches by runpp_3ph

THREE = ("p0", "p1", "p2")
COEFFICIENTS = {ABC: (1 / 3, 1 / 3, 1 / 3), A: (1, 0, 0), B: (0, 1, 0), C: (0, 0, 1)}
END = 60.0
STEPS = 8


def _wires(edges: list[tuple[int, int]]) -> Any:
    net = pp.create_empty_network(sn_mva=1e-3)
    grid = pp.create_bus(net, 20.0, name="grid")
    pp.create_ext_grid(net, grid, vm_pu=1.0)
    buses = [pp.create_bus(net, 0.4, name=f"n{k}") for k in range(4)]
    pp.create_transformer(net, grid, buses[0], "0.4 MVA 20/0.4 kV")
    for a, b in edges:
        pp.create_line(net, buses[a], buses[b], 0.2, "NAYY 4x50 SE", name=f"l{a}{b}")
    return net


def _case(net: Any, connections: Any, **limits: float) -> Case:
    buses = [int(bus) for bus in net.bus.index[net.bus.vn_kv < 1.0]][-3:]
    feeder = with_zero_sequence(make_feeder("wires", net, THREE, buses), FOUR_CORE)
    feeder = replace(feeder, connections=connections, load_tan_phi=np.array([0.3, 0.0, 0.2]))
    load = np.array([[600, 1500, 300], [300, 400, 5200]])
    pv = np.array([[4000, 3000, 2000], [800, 600, 400]])
    profiles = Profiles(np.datetime64("2017-06-01T12:00:00"), 60, THREE, load, pv, 0 * load[:, 0], {})
    return make_case(feeder, profiles, "least_curtailment", {"max_vm_pu": 1.06, **limits})


def radial() -> Case:
    """Panels where the houses are, but for three-phase ones; voltage and unbalance bind."""
    return _case(_wires([(0, 1), (1, 2), (1, 3)]), make_connections([A, B, C], pv=[A, ABC, C]))


def meshed_with_own_loads() -> Case:
    """A ring with loads of the net's own on two phases, and a cable so thin that a conductor binds."""
    net = _wires([(0, 1), (1, 2), (2, 3), (3, 0)])
    net.line.loc[net.line.index[0], "max_i_ka"] = 0.045
    pp.create_asymmetric_load(net, int(net.bus.index[3]), p_a_mw=0.004, q_a_mvar=0.001, p_b_mw=0.002, type="wye")
    return _case(net, make_connections([B, B, A], pv=[B, C, A]), max_vuf_percent=5.0)


class Brute:
    """A search by `runpp_3ph` on a net of its own; of the package it has only its inputs."""

    def __init__(self, case: Case) -> None:
        self.net, self.connections = deepcopy(case.feeder.as_given().net), case.feeder.connections
        self.limits = case.scenario.limits
        zero = dict.fromkeys(
            [f"{what}_{phase}_{unit}" for what, unit in (("p", "mw"), ("q", "mvar")) for phase in "abc"], 0
        )
        self.loads = [pp.create_asymmetric_load(self.net, int(bus), type="wye", **zero) for bus in case.feeder.bus]
        self.panels = [pp.create_asymmetric_sgen(self.net, int(bus), type="wye", **zero) for bus in case.feeder.bus]
        self.load = case.profiles.load_wh / 1000.0
        self.q = self.load * np.array([0.3, 0.0, 0.2])
        self.pv = case.profiles.pv_wh / 1000.0
        self.sun = self.pv.sum(axis=1) / self.pv.sum(axis=1).max()

    def _write(self, table: str, rows: list[int], codes: np.ndarray, values: np.ndarray, column: str) -> None:
        shares = np.array([COEFFICIENTS[int(code)] for code in codes])
        for k, phase in enumerate("abc"):
            self.net[table].loc[rows, column.format(phase)] = values * shares[:, k] / 1000.0

    def is_clean(self, pv_kw: np.ndarray, t: int) -> bool:
        self._write("asymmetric_load", self.loads, self.connections.load, self.load[t], "p_{}_mw")
        self._write("asymmetric_load", self.loads, self.connections.load, self.q[t], "q_{}_mvar")
        self._write("asymmetric_sgen", self.panels, self.connections.pv, pv_kw, "p_{}_mw")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            pp.runpp_3ph(self.net, max_iteration=100, numba=False)
        return self._judge()

    def _judge(self) -> bool:
        buses, lines, trafos = (self.net[f"res_{table}_3ph"] for table in ("bus", "line", "trafo"))
        vm = buses[[f"vm_{phase}_pu" for phase in "abc"]].to_numpy()
        v = vm * np.exp(1j * np.radians(buses[[f"va_{phase}_degree" for phase in "abc"]].to_numpy()))
        turn = np.exp(2j * np.pi / 3.0)
        unbalance = abs(v @ [1.0, turn**2, turn]) / abs(v @ [1.0, turn, turn**2])
        current = np.max([lines[f"i_{c}_{end}_ka"] for c in "abcn" for end in ("from", "to")], axis=0)
        rated = self.net.trafo.sn_mva.to_numpy() / np.sqrt(3.0)
        loads = [
            lines_kv * trafos[f"i_{phase}_{end}_ka"].to_numpy() / rated
            for end, lines_kv in (
                ("hv", self.net.trafo.vn_hv_kv.to_numpy()),
                ("lv", self.net.trafo.vn_lv_kv.to_numpy()),
            )
            for phase in "abc"
        ]
        return bool(
            vm.min() >= 0.9
            and vm.max() <= self.limits.max_vm_pu
            and 100.0 * unbalance.max() <= self.limits.max_vuf_percent
            and (current <= self.net.line.max_i_ka).all()
            and np.max(loads) <= 1.0
        )

    def find_largest(self, inject: Callable[[float], np.ndarray]) -> float:
        """End of the clean levels from 0 up, by steps and then by halves."""

        def holds(level: float) -> bool:
            return all(self.is_clean(row, t) for t, row in enumerate(inject(level)))

        levels = np.linspace(0.0, END, STEPS + 1)
        first = next(k for k, level in enumerate(levels) if not holds(level))
        low, high = levels[first - 1], levels[first]
        while high - low > 2e-4 * high:
            middle = (low + high) / 2.0
            low, high = (middle, high) if holds(middle) else (low, middle)
        return float(low)


@pytest.mark.parametrize(
    ("make", "house", "bound_by"),
    [(radial, 1, "bus n2, phase c"), (meshed_with_own_loads, 0, "line l01, neutral")],
)
def test_hosting_is_that_of_a_search_by_runpp_3ph(make: Callable[[], Case], house: int, bound_by: str) -> None:
    case = make()
    found, brute = find_hosting_capacity(case, np.arange(2), n_first=1), Brute(case)
    assert found.scaling == pytest.approx(brute.find_largest(lambda factor: factor * brute.pv), rel=1e-3)
    largest = brute.find_largest(lambda kw: kw * brute.sun[:, None] * (np.arange(3) == house))
    assert found.houses["largest_kw"][house] == pytest.approx(largest, rel=1e-3)
    assert found.houses["bound_by"][house].startswith(bound_by)
