"""Published results of pandapower's benchmark networks, by both engines.

CIGRE LV: Strunz et al. (2014), "Benchmark Systems for Network Integration of Renewable and Distributed Energy
Resources", CIGRE TB 575, as pandapower ships it. Kerber: G. Kerber (2011), "Aufnahmefähigkeit von
Niederspannungsverteilnetzen für die Einspeisung aus Photovoltaikkleinanlagen", dissertation, TU München.
"""

from __future__ import annotations

import numpy as np
import pandapower as pp
import pytest

from grid_models.feeder.feeder import Feeder, make_feeder
from grid_models.feeder.named_nets import make_named_feeder
from grid_models.powerflow.engine import PowerFlow
from grid_models.powerflow.flow import Flow
from grid_models.powerflow.runpp import solve_by_runpp


def own_loads_only(name: str) -> tuple[Feeder, Flow, Flow]:
    """The net with its own loads and one idle participant, solved by the fast engine and by runpp."""
    feeder = make_named_feeder(name, ["idle"], seed=0, keep_elements=True)
    idle = np.zeros((1, 1))
    return feeder, PowerFlow(feeder).solve(idle), solve_by_runpp(feeder, idle)


def test_cigre_lv_voltages() -> None:
    feeder, fast, judge = own_loads_only("cigre_lv")
    row = {name: k for k, name in enumerate(feeder.net.bus.name)}
    for flow in (fast, judge):
        assert flow.vm_pu[0, row["Bus R18"]] == pytest.approx(0.92380, abs=5e-6)
        assert flow.vm_pu[0, row["Bus C12"]] == pytest.approx(0.91227, abs=5e-6)


def test_kerber_dorfnetz_voltage_and_transformer() -> None:
    _, fast, judge = own_loads_only("kerber_dorfnetz")
    for flow in (fast, judge):
        assert flow.vm_pu[0].min() == pytest.approx(0.954972, abs=5e-7)
        assert flow.trafo_loading_percent[0, 0] == pytest.approx(88.0487, abs=5e-5)


def test_two_bus_line_by_hand() -> None:
    """P at the end of a line of resistance r, its reactance negligible: V² - V + r·P = 0."""
    net = pp.create_empty_network()
    source, house = pp.create_bus(net, 0.4), pp.create_bus(net, 0.4)
    pp.create_ext_grid(net, source)
    pp.create_line_from_parameters(net, source, house, 1.0, 0.32, 1e-9, 0.0, 0.2)
    feeder = make_feeder("two buses", net, ["house"], [house])
    flow = PowerFlow(feeder).solve(np.array([[-30.0], [20.0]]))
    r = 0.32 / 0.4**2  # pu on 1 MVA
    for k, p in enumerate((0.030, -0.020)):
        v = (1.0 + np.sqrt(1.0 - 4.0 * r * p)) / 2.0
        assert flow.vm_pu[k, 1] == pytest.approx(v, abs=1e-11)
        current = p / v
        assert flow.losses_kw[k] == pytest.approx(1e3 * r * current**2, abs=1e-8)
        rated = np.sqrt(3.0) * 0.4 * 0.2
        assert flow.line_loading_percent[k, 0] == pytest.approx(100.0 * abs(current) / rated, abs=1e-8)
        assert flow.p_grid_kw[k] == pytest.approx(1e3 * current, abs=1e-8)
