"""Law: participants at zero change nothing of a net, whatever elements it has, or it is refused by name."""

from __future__ import annotations

import warnings
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pandapower as pp
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from grid_models.errors import GridError
from grid_models.feeder.elements import REPLACED
from grid_models.feeder.feeder import Feeder
from grid_models.feeder.named_nets import read_feeder_json
from grid_models.powerflow.engine import PowerFlow
from tests.laws.given_nets import KINDS, make_net


def solve_file(path: Path, *, keep: bool) -> Any:
    """`runpp` on the file as it is; without its own loads and generators where participants replace them."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        net = pp.from_json(str(path))
        if not keep:
            for table in REPLACED:
                frame = net[table]
                frame["in_service"] &= frame["slack"].astype(bool) if table == "gen" else False
        pp.runpp(net, tolerance_mva=1e-11, max_iteration=30, numba=False)
    return net


def attach(path: Path, buses: list[int], *, keep: bool) -> Feeder:
    """The file's net with two participants at each of some buses."""
    placement = [(f"p{k}", f"#{bus}") for k, bus in enumerate(buses)]
    return read_feeder_json(path, placement, keep_elements=keep, shared_bus=True)


def differences(path: Path, buses: list[int], *, keep: bool) -> tuple[float, float]:
    """Largest differences of voltages, pu, and loadings, %, of participants at zero from the file."""
    net = solve_file(path, keep=keep)
    engine = PowerFlow(attach(path, buses, keep=keep))
    flow = engine.solve(np.zeros((1, len(buses))))
    loading = [(flow.line_loading_percent, net.res_line), (flow.trafo_loading_percent, net.res_trafo)]
    np.testing.assert_array_equal(np.isnan(flow.vm_pu[0]), net.res_bus.vm_pu.isna())
    return (
        float(np.nanmax(np.abs(flow.vm_pu[0] - net.res_bus.vm_pu))),
        max(np.abs(ours[0] - theirs.loading_percent.fillna(0.0)).max() for ours, theirs in loading if len(theirs)),
    )


@pytest.mark.slow
@settings(max_examples=20, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(
    seed=st.integers(0, 2**31),
    kinds=st.sets(st.sampled_from(list(KINDS)), max_size=5),
    sn_mva=st.sampled_from([1.0, 0.1, 100.0]),
    f_hz=st.sampled_from([50.0, 60.0]),
    shuffled=st.booleans(),
    keep=st.booleans(),
)
def test_participants_at_zero_change_nothing(
    seed: int, kinds: set[str], sn_mva: float, f_hz: float, shuffled: bool, keep: bool
) -> None:
    net = make_net(seed, kinds, sn_mva=sn_mva, f_hz=f_hz, shuffled=shuffled)
    rng = np.random.default_rng(seed)
    buses = rng.choice(net.bus.index[net.bus.name.astype(str).str.startswith("house")], 3).tolist()
    with TemporaryDirectory() as directory:
        path = Path(directory) / "net.json"
        pp.to_json(net, str(path))
        try:
            solve_file(path, keep=keep)
        except Exception:  # pandapower solves it not at all, or not as the file's options want it
            with suppress(GridError):
                PowerFlow(attach(path, buses, keep=keep))
            return
        try:
            vm_error, loading_error = differences(path, buses, keep=keep)
        except GridError as refused:
            assert "closed switches join" in str(refused)
            return
    assert vm_error <= 1e-9
    assert loading_error <= 1e-6
