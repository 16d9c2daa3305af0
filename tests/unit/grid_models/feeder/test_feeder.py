"""A feeder is a pandapower net plus participants: their elements, their placement, and a digest of both."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandapower as pp
import pytest

from grid_models.feeder.connection import ABC, DEVICES, B, make_connections
from grid_models.feeder.feeder import Feeder, make_feeder, with_ratings
from grid_models.feeder.generated import make_radial_feeder
from grid_models.feeder.named_nets import make_named_feeder

OWN = make_radial_feeder(["ann", "bob", "cat"], n_branches=1, rng=np.random.default_rng(2))


def feeder() -> Feeder:
    """One feeder for all tests; none changes it."""
    return OWN


def test_every_participant_has_its_elements_named_after_it_at_zero_power() -> None:
    net = feeder().net
    assert net.load.name.tolist() == ["ann", "bob", "cat"]
    assert net.sgen.name.tolist() == ["ann pv", "bob pv", "cat pv"]
    assert net.storage.name.tolist() == ["ann battery", "bob battery", "cat battery"]
    assert set(net.sgen.type) == {"PV"}
    for table in (net.load, net.sgen, net.storage):
        assert not table[["p_mw", "q_mvar"]].to_numpy().any()
        assert table.bus.tolist() == feeder().bus.tolist()


def test_devices_can_be_chosen_per_participant() -> None:
    own = make_radial_feeder(
        ["house", "community"],
        n_branches=1,
        rng=np.random.default_rng(2),
        devices={"house": ["load"], "community": ["pv", "fuel_cell", "battery"]},
    )
    assert own.net.load.name.tolist() == ["house"]
    assert own.net.sgen[["name", "type"]].to_numpy().tolist() == [
        ["community pv", "PV"],
        ["community fuel cell", "FC"],
    ]
    assert own.net.storage.name.tolist() == ["community battery"]


def _lengthen(net: Any) -> None:
    net.line["length_km"] *= 1 + 1e-9


CHANGES: dict[str, Callable[[Any], None]] = {
    "a switch": lambda net: net.switch.__setitem__("closed", False),
    "a tap": lambda net: net.trafo.__setitem__("tap_pos", 1),
    "a line out of service": lambda net: net.line.__setitem__("in_service", [False, *[True] * 5]),
    "a length": _lengthen,
    "the source's voltage": lambda net: net.ext_grid.__setitem__("vm_pu", 1.01),
    "a rating": lambda net: net.line.__setitem__("max_i_ka", 0.3),
    "a limit": lambda net: net.bus.__setitem__("max_vm_pu", 1.05),
    "a further load": lambda net: pp.create_load(net, 2, p_mw=0.001),
    "the base": lambda net: net.__setitem__("sn_mva", 2.0),
}


@pytest.mark.parametrize("change", CHANGES)
def test_digest_follows_what_is_electrical(change: str) -> None:
    own = feeder()
    net = deepcopy(own.net)
    assert replace(own, net=net).digest() == own.digest()
    CHANGES[change](net)
    assert replace(own, net=net).digest() != own.digest()


def test_digest_follows_participants_and_their_order() -> None:
    own = feeder()
    assert replace(own, participants=("ann", "bob", "dan")).digest() != own.digest()
    assert replace(own, bus=own.bus[::-1].copy()).digest() != own.digest()


@pytest.mark.parametrize("device", DEVICES)
def test_digest_follows_the_phase_of_every_device_but_only_where_there_are_phases(device: str) -> None:
    own = feeder()
    assert replace(own, connections=None).digest() == own.digest()
    even = replace(own, connections=make_connections([ABC, ABC, ABC]))
    assert even.digest() != own.digest()
    changed = replace(even.connections, **{device: np.array([ABC, B, ABC], np.int8)})
    assert replace(even, connections=changed).digest() != even.digest()


def test_digest_without_phases_is_that_of_earlier_versions() -> None:
    assert feeder().digest().hex()[:16] == "740ad533ed933a32"


def test_digest_ignores_descriptions_and_empty_columns() -> None:
    own = feeder()
    net = deepcopy(own.net)
    net.bus["geo"] = None
    net.line["name"] = "cable"
    net.line["alpha"] = np.nan
    net.line["parallel"] = net.line.parallel.astype(float)
    net.name = "other"
    assert replace(own, net=net).digest() == own.digest()


@pytest.mark.parametrize(
    "name", ["generated", "cigre_lv", pytest.param("ieee_european_lv_asymmetric", marks=pytest.mark.slow)]
)
def test_digest_survives_a_round_trip_through_json(name: str, tmp_path: Path) -> None:
    own = feeder() if name == "generated" else make_named_feeder(name, ["ann"], seed=3)
    pp.to_json(own.net, str(tmp_path / "net.json"))
    assert replace(own, net=pp.from_json(str(tmp_path / "net.json"))).digest() == own.digest()


@pytest.mark.slow
def test_digest_is_the_same_in_another_process() -> None:
    script = (
        "import numpy as np; from grid_models.feeder.generated import make_radial_feeder as r;"
        "print(r(['ann', 'bob', 'cat'], n_branches=1, rng=np.random.default_rng(2)).digest().hex())"
    )
    found = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        check=True,
        env={"PYTHONHASHSEED": "7"},
    )
    assert found.stdout.strip() == feeder().digest().hex()


def test_ratings_are_set_by_the_lines_names() -> None:
    own = make_named_feeder("cigre_lv", ["ann"], seed=0)
    rated = with_ratings(own, {"Line R1-R2": 0.27, "Line R2-R3": 0.2})
    found = rated.net.line.set_index("name").max_i_ka
    assert found[["Line R1-R2", "Line R2-R3", "Line R3-R4"]].tolist() == [0.27, 0.2, 1.0]
    assert set(own.net.line.max_i_ka) == {1.0}


def test_notes_say_what_the_model_leaves_out() -> None:
    net = deepcopy(feeder().net)
    bus = int(feeder().bus[0])
    pp.create_asymmetric_load(net, bus, p_a_mw=0.001)
    pp.create_bus(net, 0.4)
    notes = make_feeder("x", net, ["dan"], [bus], shared_bus=True).notes
    assert any("1 unbalanced" in note for note in notes)
    assert any("1 buses without supply" in note for note in notes)
    assert feeder().notes == ()


@pytest.mark.slow
def test_nets_of_older_versions_are_completed_without_a_warning() -> None:
    """pandapower warns (an error here) of a transformer table without this column, as its own IEEE net has it."""
    net = deepcopy(feeder().net)
    del net.trafo["tap_dependency_table"]
    completed = make_feeder("x", net, ["dan"], [int(feeder().bus[0])], shared_bus=True).net
    pp.runpp(completed)
    assert not completed.trafo.tap_dependency_table.any()
