"""A former supplies the reactive power of loads within its apparent power; what is beyond it is shed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from cosim import Scenario
from cosim.case.case import build_case
from cosim.interval.chunk import Chunk
from cosim.interval.fold import run_intervals
from grid_models.feeder.topology import Supply

OUT = {"kind": "outage", "start": "2017-01-17T01:00:00Z", "hours": 1, "grid": True}
S_KVA = 4.5 / 0.9
"""Of a battery of 9 kWh at 0.5 kW/kWh and a power factor of 0.9."""


def run_outage(folder: Path, load_wh: int, load_cos_phi: float) -> Chunk:
    """Two houses lose the grid with full batteries; only one has load."""
    rows = [
        f"2017-01-17T{t:02d}:00Z,{name},{load_wh if (name, t) == ('a', 1) else 0},0" for t in range(2) for name in "ab"
    ]
    (folder / "p.csv").write_text("\n".join(["time,participant,load_wh,pv_wh", *rows]))
    scenario = Scenario(
        profiles={"source": "table", "file": folder / "p.csv", "price_eur_per_kwh": 0.2},
        horizon={"start": "2017-01-17T00:00:00Z", "hours": 2},
        houses={"load_cos_phi": load_cos_phi},
        network={"n_branches": 1, "spacing_m": 20.0},
        battery={"capacity_kwh_min": 9.0, "capacity_kwh_max": 9.0, "soc_min": 0.0, "soc_max": 1.0},
        events=[OUT],
    )
    case = build_case(scenario)
    full = case.opening._replace(own_wh=case.opening.ratings.soc_max_wh.copy())
    return next(chunk for chunk in run_intervals(case, full) if chunk.event is not None)


def served_wh(chunk: Chunk) -> int:
    meters = chunk.window.meters[0]
    return int(meters["load_wh"].sum()) - int(meters["shed_wh"].sum())


@pytest.mark.parametrize(("load_cos_phi", "all_served"), [(1.0, True), (0.95, True), (-0.95, True), (0.3, False)])
def test_load_is_served_as_far_as_apparent_power_goes(load_cos_phi: float, all_served: bool, tmp_path: Path) -> None:
    """4 kW at cos φ = 0.3 draw 12.7 kvar, 5 kVA carry 39 % of that; at 0.95 they draw 1.3 kvar, within it."""
    chunk = run_outage(tmp_path, 4000, load_cos_phi)
    assert chunk.event is not None
    (part,) = chunk.event.parts
    assert part.supply == Supply.ISLAND
    q_kvar = float(chunk.flow.q_slack_kvar[0].sum())
    drawn = served_wh(chunk) / 1000.0 * np.copysign(np.sqrt(1.0 - load_cos_phi**2) / abs(load_cos_phi), load_cos_phi)
    assert q_kvar == pytest.approx(drawn, abs=0.3)
    assert abs(q_kvar) <= S_KVA
    if all_served:
        assert served_wh(chunk) == 4000
    else:
        assert 0.3 * 4000 < served_wh(chunk) < S_KVA / 12.7 * 4000
