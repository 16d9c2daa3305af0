"""A street whose houses are on one phase each and whose panels are all on phase b, as files of a scenario."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandapower as pp
import pandas as pd

from cosim import Scenario

PHASES = "abc"


def make_street(n_houses: int, *, spacing_km: float = 0.06) -> Any:
    """pandapower net: a transformer and a cable with a house at every pole, zero sequence included."""
    net = pp.create_empty_network(name="street")
    medium, bar = pp.create_bus(net, 20.0, name="medium voltage"), pp.create_bus(net, 0.4, name="bar")
    pp.create_ext_grid(net, medium, s_sc_max_mva=1000.0, rx_max=0.1, x0x_max=1.0, r0x0_max=0.1)
    pp.create_transformer(net, medium, bar, "0.25 MVA 20/0.4 kV", name="station")
    last = bar
    for k in range(n_houses):
        pole = pp.create_bus(net, 0.4, name=f"pole {k + 1}")
        pp.create_line(net, last, pole, spacing_km, "NAYY 4x50 SE", name=f"cable {k + 1}")
        last = pole
    line, trafo = net.line, net.trafo
    line["r0_ohm_per_km"], line["x0_ohm_per_km"] = 4 * line.r_ohm_per_km, 4 * line.x_ohm_per_km
    line["c0_nf_per_km"] = line.c_nf_per_km
    trafo["vector_group"] = "Dyn"
    trafo["vk0_percent"], trafo["vkr0_percent"] = trafo.vk_percent, trafo.vkr_percent
    trafo["mag0_percent"], trafo["mag0_rx"], trafo["si0_hv_partial"] = 100.0, 0.0, 0.9
    return net


def make_phase_scenario(folder: Path, n_houses: int = 9, **changes: Any) -> Scenario:
    """Scenario of two summer days on that street; loads on a, b, c in turn, panels and batteries on b."""
    pp.to_json(make_street(n_houses), str(folder / "street.json"))
    names = [f"house_{k + 1:02d}" for k in range(n_houses)]
    table = {
        "participant": names,
        "bus": [f"pole {k + 1}" for k in range(n_houses)],
        "phase": [PHASES[k % 3] for k in range(n_houses)],
        "phase_pv": ["b"] * n_houses,
        "phase_battery": ["b"] * n_houses,
    }
    pd.DataFrame(table).to_csv(folder / "participants.csv", index=False)
    given = {
        "name": "street",
        "horizon": {"hours": 48, "start": "2017-06-10T00:00:00Z"},
        "houses": {"n_houses": n_houses, "n_prosumers": n_houses - 2, "mean_load_w": 400.0, "production_ratio": 2.0},
        "market": {"feed_in": True},
        "limits": {"max_vm_pu": 1.05, "max_vuf_percent": 1.2},
        "network": {
            "source": "file",
            "file": folder / "street.json",
            "participants": folder / "participants.csv",
            "model": "three_phase",
        },
    }
    return Scenario().with_changes(**given).with_changes(**changes)
