"""A radial low-voltage feeder generated from parameters: one transformer, main cables, a service cable per house."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import pandapower as pp

from grid_models.arrays import Floats, Ints
from grid_models.errors import GridError, suggest_name
from grid_models.feeder.feeder import Feeder, make_feeder
from grid_models.feeder.own_loads import HOUSEHOLD_COS_PHI, convert_to_tan_phi

LOW_VOLTAGE_KV = 0.4
METRES_PER_DEGREE = 111_320.0
DEFAULT_SPACING_M = 280.0
DEFAULT_SERVICE_M = (10.0, 30.0)


def make_radial_feeder(
    participants: Sequence[str],
    *,
    n_branches: int = 3,
    trafo_std_type: str = "0.25 MVA 20/0.4 kV",
    main_cable: str = "NAYY 4x150 SE",
    service_cable: str = "NAYY 4x50 SE",
    spacing_m: float = DEFAULT_SPACING_M,
    service_m: tuple[float, float] = DEFAULT_SERVICE_M,
    rng: np.random.Generator,
    devices: Mapping[str, Sequence[str]] | None = None,
) -> Feeder:
    """Make a radial feeder with the houses distributed to its branches in random order.

    ::

        grid --o 20 kV
               8 transformer
               o 0.4 kV bus bar
               |--/ --o--o--o--o …   main cable of branch 1 (with a switch at its head)
               |      |  |  |  |     service cables
               |--/ --o--o--o--o …   branch 2

    Parameters
    ----------
    participants
        N names.
    n_branches
        Number of main cables; no branch stays empty.
    trafo_std_type, main_cable, service_cable
        pandapower standard types.
    spacing_m
        Distance between houses along a main cable, m; each is drawn within ±25 % of it.
    service_m
        Shortest and longest service cable, m.
    rng
        Draws the order of the houses and the lengths.
    devices
        Elements of each participant; see `grid_models.feeder.feeder.make_feeder`.

    Raises
    ------
    GridError
        If a parameter is out of range or a standard type unknown.
    """
    n = len(participants)
    if n == 0:
        raise GridError("generated feeder: expected at least one participant, got none")
    if not 1 <= n_branches <= n:
        raise GridError(f"generated feeder, n_branches: expected 1 to {n}, at most one a participant, got {n_branches}")
    if not 1.0 <= spacing_m <= 1e5:
        raise GridError(f"generated feeder, spacing_m: expected 1 to 100,000 m, got {spacing_m}")
    if not 1.0 <= service_m[0] <= service_m[1] <= 1e5:
        raise GridError(f"generated feeder, service_m: expected 1 <= shortest <= longest <= 100,000 m, got {service_m}")
    net = pp.create_empty_network(name="generated")
    for kind, std_type in (("trafo", trafo_std_type), ("line", main_cable), ("line", service_cable)):
        _check_std_type(net, kind, std_type)
    busbar = _add_substation(net, trafo_std_type)
    order = rng.permutation(n)
    branches = [order[branch::n_branches] for branch in range(n_branches)]
    street = Street(
        np.concatenate(branches),
        np.repeat(np.arange(n_branches), [branch.size for branch in branches]),
        np.round(spacing_m * rng.uniform(0.75, 1.25, n), 1),
        np.round(rng.uniform(*service_m, n), 1),
    )
    bus = _add_street(net, busbar, street, participants, main_cable, service_cable)
    feeder = make_feeder("generated", net, participants, bus.tolist(), devices=devices)
    return replace(feeder, load_tan_phi=np.full(n, convert_to_tan_phi(HOUSEHOLD_COS_PHI)))


class Street(NamedTuple):
    """N houses in their order along the main cables, branch by branch.

    `house` and `branch` are (N,) numbers of the house and of its branch, `spacing_m` and `service_m` the lengths of
    the section of main cable before it and of its service cable.
    """

    house: Ints
    branch: Ints
    spacing_m: Floats
    service_m: Floats


def _add_street(
    net: Any, busbar: int, street: Street, participants: Sequence[str], main_cable: str, service_cable: str
) -> Ints:
    """Add joints, houses, cables and a switch at each branch's head; returns each participant's bus, (N,)."""
    n, branch = street.house.size, street.branch
    heads = np.flatnonzero(np.diff(branch, prepend=-1))
    place = np.arange(n) - heads[branch]
    cumulated: Floats = np.cumsum(street.spacing_m)
    distance = cumulated - (cumulated - street.spacing_m)[heads][branch]
    names = [participants[house] for house in street.house]
    labels = [f"{b + 1}.{k + 1}" for b, k in zip(branch, place, strict=True)]
    y_m = np.asarray(-20.0 * (branch + 1), dtype=np.float64)
    beside = street.service_m * np.where(place % 2, 0.25, -0.25)
    joints = _add_buses(net, [f"joint {label}" for label in labels], distance, y_m)
    homes = _add_buses(net, [f"bus {name}" for name in names], distance, y_m + beside)
    before = np.concatenate([[busbar], joints[:-1]])
    before[heads] = busbar
    main_names, service_names = [f"main {label}" for label in labels], [f"service {name}" for name in names]
    mains = pp.create_lines(net, before, joints, street.spacing_m / 1000.0, main_cable, name=main_names)
    pp.create_lines(net, joints, homes, street.service_m / 1000.0, service_cable, name=service_names)
    switches = [f"branch {b + 1}" for b in range(heads.size)]
    pp.create_switches(net, [busbar] * heads.size, np.asarray(mains)[heads], et="l", name=switches)
    bus = np.empty(n, np.int64)
    bus[street.house] = homes
    return bus


def _add_substation(net: Any, trafo_std_type: str) -> int:
    """Add external grid, transformer and bus bar; returns the bus bar's index."""
    rated = pp.load_std_type(net, trafo_std_type, "trafo")
    if rated["vn_lv_kv"] != LOW_VOLTAGE_KV:
        raise GridError(
            f"generated feeder, trafo_std_type: expected a transformer to {LOW_VOLTAGE_KV} kV, got "
            f"'{trafo_std_type}' to {rated['vn_lv_kv']} kV"
        )
    kv = [rated["vn_hv_kv"], LOW_VOLTAGE_KV]
    medium, busbar = _add_buses(net, ["medium voltage", "bus bar"], np.array([-20.0, 0.0]), np.zeros(2), kv)
    pp.create_ext_grid(net, medium, vm_pu=1.0, name="grid")
    pp.create_transformer(net, medium, busbar, trafo_std_type, name="transformer")
    return int(busbar)


def _add_buses(net: Any, names: list[str], x_m: Floats, y_m: Floats, kv: float | list[float] = LOW_VOLTAGE_KV) -> Ints:
    """Add buses with GeoJSON points; metres are converted to degrees near (0, 0), where maps are to scale."""
    index = np.asarray(pp.create_buses(net, len(names), kv, name=names), dtype=np.int64)
    degrees = np.round(np.stack([x_m, y_m], axis=1) / METRES_PER_DEGREE, 9).tolist()
    net.bus.loc[index, "geo"] = [json.dumps({"coordinates": point, "type": "Point"}) for point in degrees]
    return index


def _check_std_type(net: Any, kind: str, std_type: str) -> None:
    known = list(net.std_types[kind])
    if std_type not in known:
        hint = suggest_name(std_type, known, "see pandapower.available_std_types")
        raise GridError(f"generated feeder: expected a {kind} standard type of pandapower, got '{std_type}'; {hint}")
