"""A small street with houses on one phase, as files that a scenario names, for runs in three phases."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandapower as pp

from cosim import Scenario
from grid_models.feeder.generated import make_radial_feeder

HOUSES = tuple(f"house_{k:02d}" for k in range(1, 7))
PHASES = {
    "house_01": "a,a",
    "house_02": "b,b",
    "house_03": "c,abc",
    "house_04": "a,a",
    "house_05": "a,abc",
    "house_06": "b,b",
}
"""Phase of each house, and of its panels."""


def with_zero_sequence(net: Any) -> Any:
    """The net with the zero-sequence data of a usual cable and of a Dyn transformer."""
    net.line["r0_ohm_per_km"], net.line["x0_ohm_per_km"] = 4 * net.line.r_ohm_per_km, 4 * net.line.x_ohm_per_km
    net.line["c0_nf_per_km"] = net.line.c_nf_per_km
    trafo = {"vector_group": "Dyn", "mag0_percent": 100.0, "mag0_rx": 0.0, "si0_hv_partial": 0.9}
    trafo |= {"vk0_percent": net.trafo.vk_percent, "vkr0_percent": net.trafo.vkr_percent}
    grid = {"s_sc_max_mva": 1000.0, "rx_max": 0.1, "x0x_max": 1.0, "r0x0_max": 0.1}
    for table, columns in ((net.trafo, trafo), (net.ext_grid, grid)):
        for name, values in columns.items():
            table[name] = values
    return net


def write_street(folder: Path, *, spacing_m: float = 200.0) -> dict[str, Any]:
    """Write net and table of participants; returns the section `network` that names them."""
    feeder = make_radial_feeder(HOUSES, n_branches=2, spacing_m=spacing_m, rng=np.random.default_rng(1))
    folder.mkdir(parents=True, exist_ok=True)
    pp.to_json(with_zero_sequence(feeder.as_given().net), str(folder / "street.json"))
    rows = [f"{name},{bus},{PHASES[name]}" for name, bus in zip(HOUSES, feeder.bus, strict=True)]
    (folder / "houses.csv").write_text("\n".join(["participant,bus,phase,phase_pv", *rows]) + "\n")
    files = {"file": str(folder / "street.json"), "participants": str(folder / "houses.csv")}
    return {"source": "file", "model": "three_phase", **files}


def make_street(folder: Path, hours: int = 24, **changes: Any) -> Scenario:
    """A summer's day in the street, with exports that its limits cut."""
    day = Scenario().with_changes(
        horizon={"hours": hours, "start": "2017-06-20T00:00:00Z"},
        houses={"n_houses": len(HOUSES), "n_prosumers": 3, "production_ratio": 1.0, "load_cos_phi": 0.95},
        market={"feed_in": True},
        limits={"max_vm_pu": 1.02},
        network=write_street(folder),
        engine={"verify_sample": 0},
    )
    return day.with_changes(**changes)
