"""Power factors of a net's own loads: by hand, per bus, scaled, and only what is in service."""

from __future__ import annotations

import numpy as np
import pandapower as pp
import pandapower.networks as pn
import pytest

from grid_models.feeder.generated import make_radial_feeder
from grid_models.feeder.named_nets import make_named_feeder
from grid_models.feeder.own_loads import convert_to_cos_phi, convert_to_tan_phi, find_load_tan_phi


def test_loads_at_a_bus_are_summed_scaled_and_only_in_service() -> None:
    net = pp.create_empty_network()
    buses = pp.create_buses(net, 4, 0.4)
    pp.create_load(net, buses[0], p_mw=3.0, q_mvar=1.0)
    pp.create_load(net, buses[0], p_mw=1.0, q_mvar=-0.5, scaling=2.0)
    pp.create_load(net, buses[0], p_mw=1.0, q_mvar=9.0, in_service=False)
    pp.create_asymmetric_load(net, buses[1], p_a_mw=1.0, p_b_mw=2.0, p_c_mw=1.0, q_a_mvar=0.5, q_c_mvar=0.5)
    pp.create_load(net, buses[2], p_mw=0.0, q_mvar=1.0)
    np.testing.assert_allclose(find_load_tan_phi(net, buses), [0.0, 0.25, np.nan, np.nan])


@pytest.mark.parametrize("mode", ["underexcited", "overexcited"])
@pytest.mark.parametrize("cos_phi", [0.3, 0.95, 1.0])
def test_a_negative_power_factor_is_what_pandapower_calls_overexcited(cos_phi: float, mode: str) -> None:
    net = pp.create_empty_network()
    bus = pp.create_bus(net, 0.4)
    pp.create_load_from_cosphi(net, bus, sn_mva=1.0, cos_phi=cos_phi, mode=mode)
    signed = cos_phi if mode == "underexcited" else -cos_phi
    found = find_load_tan_phi(net, [bus])[0]
    assert convert_to_tan_phi(signed) == pytest.approx(found, abs=1e-12)
    assert convert_to_cos_phi(found) == pytest.approx(cos_phi if cos_phi == 1.0 else signed)


def test_feeders_know_the_power_factors_of_the_loads_that_they_replace() -> None:
    net = pn.create_cigre_network_lv()
    places = net.load.bus.unique()
    feeder = make_named_feeder("cigre_lv", [f"h{k}" for k in range(len(places))], seed=1)
    assert feeder.load_tan_phi is not None
    np.testing.assert_allclose(feeder.load_tan_phi, find_load_tan_phi(net, feeder.bus.tolist()))
    assert np.unique(np.round(np.cos(np.arctan(feeder.load_tan_phi)), 2)).tolist() == [0.85, 0.9, 0.95]


def test_a_generated_house_has_the_power_factor_of_benchmark_houses() -> None:
    feeder = make_radial_feeder(["a", "b"], n_branches=1, rng=np.random.default_rng(0))
    assert feeder.load_tan_phi is not None
    assert np.cos(np.arctan(feeder.load_tan_phi)).tolist() == pytest.approx([0.95, 0.95])
