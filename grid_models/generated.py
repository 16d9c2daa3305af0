"""A radial low-voltage feeder drawn from parameters: one transformer, main cables, a service cable per house."""

from __future__ import annotations

import difflib
import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandapower as pp

from grid_models.errors import GridError
from grid_models.feeder import Feeder, make_feeder

LOW_VOLTAGE_KV = 0.4
DEFAULT_SPACING_M = 250.0
DEFAULT_SERVICE_M = (10.0, 30.0)


def radial_feeder(
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
    """Radial feeder with the houses dealt to its branches in random order.

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
        Deals the houses and draws the lengths.
    devices
        Elements of each participant; see `grid_models.feeder.make_feeder`.

    Raises
    ------
    GridError
        If a parameter is out of range or a standard type unknown.
    """
    n = len(participants)
    if n == 0:
        raise GridError("generated feeder: expected at least one participant, got none")
    if not 1 <= n_branches <= n:
        raise GridError(
            f"generated feeder, n_branches: expected 1 to {n}, at most one a participant, got {n_branches}"
        )
    if not 1.0 <= spacing_m <= 1e5:
        raise GridError(f"generated feeder, spacing_m: expected 1 to 100,000 m, got {spacing_m}")
    if not 1.0 <= service_m[0] <= service_m[1] <= 1e5:
        raise GridError(
            f"generated feeder, service_m: expected 1 <= shortest <= longest <= 100,000 m, got {service_m}"
        )
    net = pp.create_empty_network(name="generated")
    for kind, std_type in (("trafo", trafo_std_type), ("line", main_cable), ("line", service_cable)):
        _check_std_type(net, kind, std_type)
    busbar = _substation(net, trafo_std_type)
    order = rng.permutation(n)
    spacing = np.round(spacing_m * rng.uniform(0.75, 1.25, n), 1)
    service = np.round(rng.uniform(*service_m, n), 1)
    bus = np.empty(n, np.int64)
    for branch in range(n_branches):
        houses = order[branch::n_branches]
        previous, distance = busbar, 0.0
        for k, house in enumerate(houses):
            distance += spacing[house]
            joint = _bus(net, f"branch {branch + 1} joint {k + 1}", distance, -20.0 * (branch + 1))
            label = f"main {branch + 1}.{k + 1}"
            main = pp.create_line(net, previous, joint, spacing[house] / 1000.0, main_cable, name=label)
            if k == 0:
                pp.create_switch(net, busbar, main, et="l", closed=True, name=f"branch {branch + 1}")
            side = service[house] * (1 if k % 2 else -1) / 4.0
            bus[house] = _bus(net, f"bus {participants[house]}", distance, -20.0 * (branch + 1) + side)
            pp.create_line(
                net,
                joint,
                int(bus[house]),
                service[house] / 1000.0,
                service_cable,
                name=f"service {participants[house]}",
            )
            previous = joint
    return make_feeder("generated", net, participants, bus.tolist(), devices=devices)


def _substation(net: Any, trafo_std_type: str) -> int:
    rated = pp.load_std_type(net, trafo_std_type, "trafo")
    if rated["vn_lv_kv"] != LOW_VOLTAGE_KV:
        raise GridError(
            f"generated feeder, trafo_std_type: expected a transformer to {LOW_VOLTAGE_KV} kV, got "
            f"'{trafo_std_type}' to {rated['vn_lv_kv']} kV"
        )
    medium = _bus(net, "medium voltage", -20.0, 0.0, vn_kv=rated["vn_hv_kv"])
    busbar = _bus(net, "bus bar", 0.0, 0.0)
    pp.create_ext_grid(net, medium, vm_pu=1.0, name="grid")
    pp.create_transformer(net, medium, busbar, trafo_std_type, name="transformer")
    return busbar


def _bus(net: Any, name: str, x_m: float, y_m: float, vn_kv: float = LOW_VOLTAGE_KV) -> int:
    """Bus with a GeoJSON point; metres near (0, 0) written as degrees, so that any map tool draws it to scale."""
    degrees = [round(x_m / 111_320.0, 9), round(y_m / 111_320.0, 9)]
    geo = json.dumps({"coordinates": degrees, "type": "Point"})
    index = int(pp.create_bus(net, vn_kv=vn_kv, name=name))
    net.bus.loc[index, "geo"] = geo
    return index


def _check_std_type(net: Any, kind: str, std_type: str) -> None:
    known = list(net.std_types[kind])
    if std_type not in known:
        near = difflib.get_close_matches(std_type, known, n=1)
        hint = f"; did you mean '{near[0]}'?" if near else ""
        raise GridError(
            f"generated feeder: expected a {kind} standard type of pandapower, got '{std_type}'{hint}"
        )
