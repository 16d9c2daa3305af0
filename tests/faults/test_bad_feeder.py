"""Bad networks and placements: `GridError` says where, what was expected, what was found and what to do."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

import numpy as np
import pandapower as pp
import pytest

from grid_models.errors import GridError
from grid_models.feeder.feeder import make_feeder, with_ratings
from grid_models.feeder.generated import make_radial_feeder
from grid_models.feeder.named_nets import make_named_feeder, read_feeder_json
from grid_models.powerflow.admittance import read_matrices
from grid_models.powerflow.engine import PowerFlow


def small_net() -> Any:
    """Transformer, bus bar, two houses and a bus that is connected to nothing.

    ::

        grid o-8-o lv ---- o house a      o spare
                  `------- o house b
    """
    net = pp.create_empty_network()
    medium, low = pp.create_bus(net, 20.0, name="mv"), pp.create_bus(net, 0.4, name="lv")
    pp.create_ext_grid(net, medium)
    pp.create_transformer(net, medium, low, "0.25 MVA 20/0.4 kV")
    for name in ("house a", "house b"):
        bus = pp.create_bus(net, 0.4, name=name)
        pp.create_line(net, low, bus, 0.1, "NAYY 4x50 SE", name=f"to {name}")
    pp.create_bus(net, 0.4, name="spare")
    return net


NET = small_net()


def placed(*placement: tuple[str, int], change: Callable[[Any], None] | None = None) -> Callable[[], object]:
    def make() -> object:
        net = deepcopy(NET)
        if change is not None:
            change(net)
        return PowerFlow(make_feeder("mine", net, [p for p, _ in placement], [b for _, b in placement]))

    return make


def generated(n: int = 3, **options: Any) -> Callable[[], object]:
    return lambda: make_radial_feeder([f"h{k}" for k in range(n)], rng=np.random.default_rng(0), **options)


BAD: dict[str, tuple[Callable[[], object], str]] = {
    "empty net": (
        lambda: make_feeder("mine", pp.create_empty_network(), ["ann"], [0]),
        "network 'mine': expected at least one bus, got an empty net",
    ),
    "no external grid": (
        placed(("ann", 2), change=lambda net: net.ext_grid.drop(net.ext_grid.index, inplace=True)),
        "expected an external grid in service, found none; add one with pandapower.create_ext_grid",
    ),
    "external grid out of service": (
        placed(("ann", 2), change=lambda net: net.ext_grid.__setitem__("in_service", False)),
        "expected an external grid in service",
    ),
    "no participant": (placed(), "network 'mine': expected at least one participant, got none"),
    "unknown bus": (
        placed(("ann", 77)),
        "network 'mine', participant 'ann': expected a bus of the net, got 77; see net.bus",
    ),
    "participant twice": (
        placed(("ann", 2), ("ann", 3)),
        "participant 'ann': expected each participant once",
    ),
    "two on one bus": (
        placed(("ann", 2), ("bob", 2)),
        "participant 'bob': expected a bus of its own, got bus 2 of 'ann'; set shared_bus = true",
    ),
    "bus connected to nothing": (
        placed(("ann", 4)),
        "participant 'ann': expected a bus with supply, got bus 4, which no external grid reaches; close a switch",
    ),
    "bus out of service": (
        placed(("ann", 2), change=lambda net: net.bus.__setitem__("in_service", [True, True, False, True, True])),
        "expected a bus with supply, got bus 2",
    ),
    "line out of service": (
        placed(("ann", 2), change=lambda net: net.line.__setitem__("in_service", [False, True])),
        "expected a bus with supply, got bus 2",
    ),
    "line without rating": (
        placed(("ann", 2), change=lambda net: net.line.__setitem__("max_i_ka", [0.1, np.nan])),
        "line 1 'to house b': expected max_i_ka (times df and parallel) > 0, got nan",
    ),
    "line without impedance": (
        placed(("ann", 2), change=lambda net: net.line.__setitem__("length_km", 0.0)),
        "line 0, column length_km: expected a number above 0, got 0",
    ),
    "nothing but the source": (
        placed(("ann", 0), change=lambda net: net.bus.__setitem__("in_service", [True, *[False] * 4])),
        "expected buses beside the source's",
    ),
    "no branches": (generated(n_branches=0), "n_branches: expected 1 to 3, at most one a participant, got 0"),
    "more branches than houses": (generated(n_branches=4), "n_branches: expected 1 to 3"),
    "no houses": (generated(0), "generated feeder: expected at least one participant, got none"),
    "negative spacing": (generated(spacing_m=-40.0), "spacing_m: expected 1 to 100,000 m, got -40.0"),
    "spacing that is no number": (generated(spacing_m=np.nan), "spacing_m: expected 1 to 100,000 m, got nan"),
    "service cables the wrong way round": (
        generated(service_m=(30.0, 10.0)),
        "service_m: expected 1 <= shortest",
    ),
    "negative service cable": (generated(service_m=(-1.0, 10.0)), "service_m: expected 1 <= shortest"),
    "unknown cable": (
        generated(main_cable="NAYY 4x150"),
        "expected a line standard type of pandapower, got 'NAYY 4x150'; did you mean 'NAYY 4x150 SE'?",
    ),
    "unknown transformer": (
        generated(trafo_std_type="0.4 MVA"),
        "expected a trafo standard type of pandapower",
    ),
    "transformer to medium voltage": (
        generated(trafo_std_type="25 MVA 110/20 kV"),
        "trafo_std_type: expected a transformer to 0.4 kV, got '25 MVA 110/20 kV' to 20.0 kV",
    ),
    "unknown net": (
        lambda: make_named_feeder("kerber_dorfnets", ["ann"], seed=0),
        "expected the name of one of pandapower's nets, got 'kerber_dorfnets'; did you mean 'kerber_dorfnetz'?",
    ),
    "net unlike any": (lambda: make_named_feeder("?", ["ann"], seed=0), "known are cigre_lv, kerber_landnetz"),
    "too many participants": (
        lambda: make_named_feeder("cigre_lv", [f"h{k}" for k in range(16)], seed=0),
        "network 'cigre_lv': expected at most 15 participants, one per bus with a load, got 16; use fewer houses",
    ),
    "rating of no line": (
        lambda: with_ratings(make_feeder("mine", NET, ["ann"], [2]), {"to house c": 0.1}),
        "network 'mine', line 'to house c': expected a line such as to house a, to house b, found none",
    ),
    "negative rating": (
        lambda: with_ratings(make_feeder("mine", NET, ["ann"], [2]), {"to house a": -0.1}),
        "line 'to house a': expected max_i_ka above 0 and at most 20 kA, got -0.1",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_networks_say_what_is_wrong(case: str) -> None:
    make, message = BAD[case]
    with pytest.raises(GridError) as raised:
        make()
    assert message in str(raised.value)


def test_the_same_bus_twice_is_fine_when_asked_for() -> None:
    assert make_feeder("mine", NET, ["ann", "bob"], [2, 2], shared_bus=True).bus.tolist() == [2, 2]


FILES: dict[str, tuple[str | None, list[tuple[str, str | int]], str]] = {
    "missing": (None, [("ann", 2)], "expected a pandapower JSON file, found none"),
    "empty": ("", [("ann", 2)], "expected a net written by pandapower.to_json, got"),
    "not JSON": ("bus,load\n1,2\n", [("ann", 2)], "expected a net written by pandapower.to_json, got"),
    "other JSON": ('{"bus": [1, 2]}', [("ann", 2)], "bus: expected a table, got list"),
    "a list": ("[1, 2]", [("ann", 2)], "expected a net written by pandapower.to_json, got"),
    "unknown bus name": (
        "net",
        [("ann", "house c")],
        "participant 'ann': expected the name or the integer index",
    ),
    "near bus name": ("net", [("ann", "House a")], "got 'House a'; did you mean 'house a'?"),
    "index that is no integer": ("net", [("ann", "2.5")], "the integer index of a bus, got '2.5'"),
    "unknown index": ("net", [("ann", 99)], "got '99'; see the table of buses, net.bus"),
    "negative index": ("net", [("ann", "-1")], "got '-1'"),
    "ambiguous name": (
        "twins",
        [("ann", "house a")],
        "found 'house a' as name or index of buses 2, 5; write #",
    ),
}


@pytest.mark.parametrize("case", FILES)
def test_bad_files_and_tables_say_what_is_wrong(case: str, tmp_path: Path) -> None:
    content, placement, message = FILES[case]
    path = tmp_path / "net.json"
    if content in ("net", "twins"):
        net = deepcopy(NET)
        if content == "twins":
            pp.create_bus(net, 0.4, name="house a")
        pp.to_json(net, str(path))
    elif content is not None:
        path.write_text(content)
    with pytest.raises(GridError) as raised:
        read_feeder_json(path, placement)
    assert message in str(raised.value)
    assert str(path) in str(raised.value)


def test_a_net_that_does_not_solve_is_named() -> None:
    net = pp.create_empty_network()
    grid, far = pp.create_bus(net, 0.4), pp.create_bus(net, 0.4)
    pp.create_ext_grid(net, grid)
    pp.create_line(net, grid, far, 5.0, "NAYY 4x50 SE")
    pp.create_load(net, far, p_mw=10.0)
    with pytest.raises(GridError, match=r"network 'far away': expected a net that pandapower.runpp solves"):
        PowerFlow(make_feeder("far away", net, ["ann"], [far]))
    with pytest.raises(GridError, match=r"network without a name \(2 buses\): expected a net"):
        read_matrices(net)
