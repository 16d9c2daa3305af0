"""Net and feeders by themselves are the one net that `pandapower.runpp` solves: three medium-voltage nets."""

from __future__ import annotations

from typing import Any

import pandapower.networks as pn
import pytest
from medium_voltage_nets import build, compare_with_joined, make_net, make_scenario

from cosim.portfolio.medium_voltage.agree import agree
from cosim.portfolio.medium_voltage.feeders import FeederUnder

KERBER = "kerber_landnetz_freileitung_1", "kerber_landnetz_kabel_1", "kerber_dorfnetz"


def hang(buses: list[Any], **more: Any) -> list[FeederUnder]:
    """A generated feeder at each bus, every one with other houses."""
    names = [f"f{k}" for k in range(len(buses))]
    return [
        FeederUnder(name, bus, make_scenario(name, hours=4, **{"seed": k, **more}))
        for k, (name, bus) in enumerate(zip(names, buses, strict=True))
    ]


def hang_kerber() -> list[FeederUnder]:
    made = hang(["middle", "end", "end"])
    return [
        feeder._replace(
            scenario=feeder.scenario.with_changes(network={"source": "named", "name": name, "keep_elements": True})
        )
        for feeder, name in zip(made, KERBER, strict=True)
    ]


NETS = {
    "cigre, ten feeders": (pn.create_cigre_network_mv, lambda: hang([3, 4, 5, 6, 7, 8, 9, 10, 11, 11])),
    "oberrhein": (pn.mv_oberrhein, lambda: hang([80, 54, 216])),
    "kerber at 10 kV": (lambda: make_net(vn_kv=10.0, second_ka=0.2), hang_kerber),
}


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:tap_dependency_table is missing:DeprecationWarning")  # an older net
@pytest.mark.parametrize("name", NETS)
def test_net_and_feeders_are_one_network(name: str) -> None:
    make, feeders = NETS[name]
    mv, cases = build(make(), feeders())
    agreed = agree(mv, cases)
    assert agreed.residual_pu <= 1e-6
    for t in (0, 3):
        vm_pu, percent = compare_with_joined(cases, agreed, t)
        assert 0.0 < vm_pu <= 1e-6
        assert 0.0 < percent <= 1e-4
