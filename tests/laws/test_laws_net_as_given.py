"""Law: participants at zero change nothing of a net, whatever elements it has, or it is refused by name."""

from __future__ import annotations

import warnings
from contextlib import suppress
from copy import deepcopy
from pathlib import Path
from typing import Any

import numpy as np
import pandapower as pp
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from grid_models.errors import GridError
from grid_models.feeder.elements import REPLACED
from grid_models.feeder.feeder import Feeder, make_feeder
from grid_models.feeder.named_nets import read_feeder_json
from grid_models.feeder.voltage_dependence import COLUMNS
from grid_models.powerflow.engine import PowerFlow
from tests.laws.given_nets import KINDS, make_net

NAMES = ["ann", "bob", "cid"]


def solve_as_given(net: Any, *, keep: bool) -> Any:
    """`runpp` on a copy of a net as it is; without its own loads and generators where participants replace them."""
    net = deepcopy(net)
    for table in () if keep else REPLACED:
        frame = net[table]
        frame["in_service"] &= frame["slack"].astype(bool) if table == "gen" else False
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pp.runpp(net, tolerance_mva=1e-11, max_iteration=30, numba=False)
    return net


def choose_buses(net: Any, seed: int) -> list[int]:
    houses = net.bus.index[net.bus.name.astype(str).str.startswith("house")]
    return [int(bus) for bus in np.random.default_rng(seed).choice(houses, len(NAMES))]


def are_joined_differently(net: Any, buses: list[int]) -> bool:
    """Whether a closed switch joins a participant's bus to one whose loads depend on the voltage in another way."""
    if not net.user_pf_options.get("voltage_depend_loads", True):
        return False
    active = net.load[net.load.in_service.astype(bool)]
    mean = active.groupby("bus")[COLUMNS].mean()
    joined = net.switch[(net.switch.et == "b") & net.switch.closed & (net.switch.z_ohm == 0.0)]
    pairs = [(int(a), int(b)) for a, b in zip(joined.bus, joined.element, strict=True)]
    return any(
        {*pair} & {*buses} and {*pair} <= {*mean.index} and not np.allclose(mean.loc[pair[0]], mean.loc[pair[1]])
        for pair in pairs
    )


def check_equal(feeder: Feeder, solved: Any) -> None:
    """Voltages to 1e-9 pu and loadings to 1e-6 % are those of a solved net, with participants at zero."""
    flow = PowerFlow(feeder).solve(np.zeros((1, len(NAMES))))
    np.testing.assert_allclose(flow.vm_pu[0], solved.res_bus.vm_pu, rtol=0.0, atol=1e-9)
    for ours, theirs in (
        (flow.line_loading_percent, solved.res_line),
        (flow.trafo_loading_percent, solved.res_trafo),
    ):
        np.testing.assert_allclose(ours[0], theirs.loading_percent.fillna(0.0), rtol=0.0, atol=1e-6)


@pytest.mark.slow
@settings(max_examples=25, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(
    seed=st.integers(0, 2**31),
    kinds=st.sets(st.sampled_from(list(KINDS)), max_size=8),
    sn_mva=st.sampled_from([1.0, 0.1, 100.0]),
    f_hz=st.sampled_from([50.0, 60.0]),
    shuffled=st.booleans(),
    keep=st.booleans(),
)
def test_participants_at_zero_change_nothing(
    seed: int, kinds: set[str], sn_mva: float, f_hz: float, shuffled: bool, keep: bool
) -> None:
    net = make_net(seed, kinds, sn_mva=sn_mva, f_hz=f_hz, shuffled=shuffled)
    buses = choose_buses(net, seed)
    try:
        solved = solve_as_given(net, keep=keep)
    except Exception:  # pandapower solves it not at all, or not as its options want it
        with suppress(GridError):
            PowerFlow(make_feeder("given", net, NAMES, buses, keep_elements=keep, shared_bus=True))
        return
    if keep and are_joined_differently(net, buses):
        with pytest.raises(GridError, match="closed switches join"):
            make_feeder("given", net, NAMES, buses, shared_bus=True)
        return
    check_equal(make_feeder("given", net, NAMES, buses, keep_elements=keep, shared_bus=True), solved)


FILES = [
    {"constant impedance", "ratio taps", "no dependency column", "switches", "gen", "motor", "xward", "another solver"},
    {"constant current", "symmetrical taps", "second transformer", "three windings", "shunt", "ward", "dcline"},
    {"tap table", "asymmetric", "out of service", "line temperature", "loading by power", "impedance", "storage"},
    {"old tap columns", "slack gen", "second grid", "mesh", "no angles", "sgen", "loads"},
]


@pytest.mark.slow
@pytest.mark.parametrize("kinds", FILES)
@pytest.mark.parametrize("keep", [True, False])
def test_files_are_read_as_pandapower_reads_them(kinds: set[str], keep: bool, tmp_path: Path) -> None:
    path = tmp_path / "net.json"
    pp.to_json(make_net(7, kinds, sn_mva=1.0, f_hz=50.0, shuffled=True), str(path))
    net = pp.from_json(str(path))
    placement = [(name, f"#{bus}") for name, bus in zip(NAMES, choose_buses(net, 7), strict=True)]
    feeder = read_feeder_json(path, placement, keep_elements=keep, shared_bus=True)
    check_equal(feeder, solve_as_given(net, keep=keep))
