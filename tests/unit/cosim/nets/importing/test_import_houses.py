"""Participants of an imported network: who stands for what, at which phase, and what stays."""

from __future__ import annotations

import numpy as np
import pandapower as pp
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cosim.errors import ScenarioError
from cosim.nets.importing.checked import finish_import
from cosim.nets.importing.houses import _share, find_houses
from cosim.nets.importing.imported import Imported
from cosim.nets.models import Model
from data.profiles import Profiles


def make_net() -> pp.pandapowerNet:
    net = pp.create_empty_network()
    for name in ("head", "a", "a", "grid", "b"):
        pp.create_bus(net, 0.4, name=name)
    pp.create_ext_grid(net, 0)
    for bus in range(1, 5):
        pp.create_line(net, 0, bus, 0.05, "NAYY 4x150 SE")
    return net


def test_constant_powers_become_profiles_and_the_rest_stays() -> None:
    net = make_net()
    pp.create_load(net, 1, 0.003, 0.001)
    pp.create_load(net, 1, -0.001, 0.0)
    pp.create_load(net, 2, 0.002, 0.0, const_z_p_percent=100.0)
    pp.create_load(net, 2, 0.002, 0.0)
    pp.create_sgen(net, 3, 0.004, 0.0005)
    pp.create_storage(net, 4, 0.002, 1.0)
    pp.create_load(net, 4, 0.009, in_service=False)
    pp.create_motor(net, 4, 0.01, 0.9)
    housed = find_houses(finish_import(net, "net"))
    assert housed is not None
    assert [house[:2] for house in housed.houses] == [("bus 1", 1), ("bus 3", 3), ("b", 4)]
    assert housed.profiles.load_wh[0].tolist() == [3000, 0, 2000]
    assert housed.profiles.pv_wh[-1].tolist() == [1000, 4000, 0]
    assert housed.profiles.load_varh is not None
    assert housed.profiles.load_varh[0].tolist() == [1000, 0, 0]
    assert housed.kept == {"load": [2, 3], "motor": [0]}
    assert "bus 3 (-0.5 kvar)" in housed.notes[-1]


def test_phases_are_participants_of_their_own_in_three_phases() -> None:
    net = make_net()
    pp.create_asymmetric_load(net, 1, p_a_mw=0.001, p_b_mw=0.002)
    pp.create_asymmetric_load(net, 4, p_c_mw=0.004)
    pp.create_load(net, 4, 0.003)
    net.line[["r0_ohm_per_km", "x0_ohm_per_km", "c0_nf_per_km"]] = 1.0
    imported = finish_import(net, "net")
    assert imported.model is Model.THREE_PHASE
    housed = find_houses(imported)
    assert housed is not None
    assert housed.houses == (("bus 1 a", 1, "a"), ("bus 1 b", 1, "b"), ("b abc", 4, "abc"), ("b c", 4, "c"))
    assert housed.profiles.load_wh[0].tolist() == [1000, 2000, 3000, 4000]
    summed = find_houses(imported._replace(model=Model.BALANCED))
    assert summed is not None
    assert summed.houses == (("bus 1", 1, "abc"), ("b", 4, "abc"))
    assert summed.profiles.load_wh[0].tolist() == [3000, 7000]


def test_series_of_the_file_are_placed_by_names_of_buses_or_loads() -> None:
    net = make_net()
    pp.create_load(net, 3, 0.001, name="ann")
    imported = finish_import(net, "net")

    def with_names(*names: str) -> Imported:
        energy = np.zeros((4, len(names)), np.int64)
        start = np.datetime64("2017-01-01T00:00:00")
        return imported._replace(profiles=Profiles(start, 15, names, energy, energy, energy[:, 0], {}))

    housed = find_houses(with_names("b", "ann"))
    assert housed is not None
    assert [house.bus for house in housed.houses] == [4, 3]
    with pytest.raises(ScenarioError, match="'a': expected the name of a bus or of a load, found none"):
        find_houses(with_names("a"))  # two buses have it


def test_a_network_without_power_has_no_participants() -> None:
    assert find_houses(finish_import(make_net(), "net")) is None


@given(st.integers(-(10**12), 10**12), st.integers(1, 50))
def test_shares_add_up_and_differ_by_one_at_most(total: int, n: int) -> None:
    shares = _share(total, n)
    assert sum(shares) == total
    assert max(shares) - min(shares) <= 1


def make_by_phase(kind: str, powers_mw: tuple[float, float, float]) -> Imported:
    net = make_net()
    p_mw = dict(zip(("p_a_mw", "p_b_mw", "p_c_mw"), powers_mw, strict=True))
    pp.create_asymmetric_load(net, 1, name="load.x", type=kind, **p_mw)
    ones = np.full((2, 1), 7, np.int64)
    profiles = Profiles(np.datetime64("2017-01-01"), 60, ("load.x",), ones, 0 * ones, np.zeros(2, np.int64), {})
    return Imported(net, Model.THREE_PHASE, profiles, {}, ())


@pytest.mark.parametrize(
    ("powers_mw", "phase"), [((0.0, 0.003, 0.0), "b"), ((0.002, 0.002, 0.002), "abc"), ((0.0, 0.0, 0.0), "abc")]
)
def test_a_series_is_at_the_phase_of_its_load(powers_mw: tuple[float, float, float], phase: str) -> None:
    housed = find_houses(make_by_phase("wye", powers_mw))
    assert housed is not None
    assert [house.phase for house in housed.houses] == [phase]
    assert (housed.unlike, housed.kept) == ((), {})


@pytest.mark.parametrize(("kind", "powers_mw"), [("delta", (0.003, 0.0, 0.0)), ("wye", (0.003, 0.001, 0.0))])
def test_a_series_at_no_phase_of_a_participant_is_named(kind: str, powers_mw: tuple[float, float, float]) -> None:
    housed = find_houses(make_by_phase(kind, powers_mw))
    assert housed is not None
    assert housed.unlike == ("load.x",)


def test_a_load_between_phases_stays_in_the_network() -> None:
    imported = make_by_phase("delta", (0.003, 0.0, 0.0))
    pp.create_load(imported.net, 2, 0.001)
    housed = find_houses(imported._replace(profiles=None))
    assert housed is not None
    assert [house.bus for house in housed.houses] == [2]
    assert housed.kept == {"asymmetric_load": [0]}
