"""Feeders from pandapower's own nets by name, SimBench grids by code, and pandapower JSON files of the user."""

from __future__ import annotations

import importlib
import random
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandapower.networks as pn

from grid_models.errors import GridError, suggest_name
from grid_models.feeder.feeder import Feeder, make_feeder
from grid_models.feeder.net_file import read_net
from grid_models.feeder.own_loads import find_load_tan_phi

_PLAIN = {
    "cigre_lv": pn.create_cigre_network_lv,
    "kerber_landnetz_freileitung_1": pn.create_kerber_landnetz_freileitung_1,
    "kerber_landnetz_freileitung_2": pn.create_kerber_landnetz_freileitung_2,
    "kerber_landnetz_kabel_1": pn.create_kerber_landnetz_kabel_1,
    "kerber_landnetz_kabel_2": pn.create_kerber_landnetz_kabel_2,
    "kerber_dorfnetz": pn.create_kerber_dorfnetz,
    "kerber_vorstadtnetz_kabel_1": pn.create_kerber_vorstadtnetz_kabel_1,
    "kerber_vorstadtnetz_kabel_2": pn.create_kerber_vorstadtnetz_kabel_2,
    "kerber_extreme_landnetz_freileitung": pn.kb_extrem_landnetz_freileitung,
    "kerber_extreme_landnetz_freileitung_trafo": pn.kb_extrem_landnetz_freileitung_trafo,
    "kerber_extreme_landnetz_kabel": pn.kb_extrem_landnetz_kabel,
    "kerber_extreme_landnetz_kabel_trafo": pn.kb_extrem_landnetz_kabel_trafo,
    "kerber_extreme_dorfnetz": pn.kb_extrem_dorfnetz,
    "kerber_extreme_dorfnetz_trafo": pn.kb_extrem_dorfnetz_trafo,
    "kerber_extreme_vorstadtnetz_1": pn.kb_extrem_vorstadtnetz_1,
    "kerber_extreme_vorstadtnetz_2": pn.kb_extrem_vorstadtnetz_2,
    "kerber_extreme_vorstadtnetz_trafo_1": pn.kb_extrem_vorstadtnetz_trafo_1,
    "kerber_extreme_vorstadtnetz_trafo_2": pn.kb_extrem_vorstadtnetz_trafo_2,
    "ieee_european_lv_asymmetric": pn.ieee_european_lv_asymmetric,
}
# Dickert, Domagk & Schegner (2013): range of feeder length, lines, customers.
_DICKERT = (
    ("short", "cable", "single"),
    ("short", "cable", "multiple"),
    ("middle", "cable", "multiple"),
    ("middle", "C&OHL", "multiple"),
    ("long", "cable", "multiple"),
    ("long", "C&OHL", "multiple"),
)
_VOLTAGE_CONTROL = ("rural_1", "rural_2", "village_1", "village_2", "suburb_1")

NETS: dict[str, Callable[[], Any]] = {
    **_PLAIN,
    **{
        f"dickert_{length}_{'cable' if line == 'cable' else 'overhead'}_{customer}_{case}": partial(
            pn.create_dickert_lv_network, length, line, customer, case
        )
        for length, line, customer in _DICKERT
        for case in ("good", "average", "bad")
    },
    **{
        f"voltage_control_{name}": partial(pn.create_synthetic_voltage_control_lv_network, name)
        for name in _VOLTAGE_CONTROL
    },
}
"""pandapower's own low-voltage nets."""

SIMBENCH_CODE = re.compile(r"[01]-[A-Z]+-\S+")

CIGRE_NOTE = (
    "CIGRE LV gives every line max_i_ka = 1.0, a placeholder: line loadings mean little until "
    "network.line_ratings_ka sets ratings"
)


@contextmanager
def _seed_globals(seed: int) -> Iterator[None]:
    """Seed both global generators, from which the Kerber nets draw, and restore them afterwards."""
    python_state, numpy_state = random.getstate(), np.random.get_state()  # noqa: NPY002
    random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002
    try:
        yield
    finally:
        random.setstate(python_state)
        np.random.set_state(numpy_state)  # noqa: NPY002


def make_named_net(name: str, *, seed: int) -> Any:
    """Make pandapower's net of that name, the same for the same seed, or load the SimBench grid of that code.

    Raises
    ------
    GridError
        If there is none of that name.
    """
    if SIMBENCH_CODE.fullmatch(name):
        return _load_simbench_net(name)
    if name not in NETS:
        hint = suggest_name(name, NETS, f"known are {', '.join(NETS)}, and SimBench codes")
        raise GridError(f"network.name: expected the name of one of pandapower's nets, got '{name}'; {hint}")
    with _seed_globals(seed):
        return NETS[name]()


def _load_simbench_net(code: str) -> Any:
    try:
        simbench = importlib.import_module("simbench")
    except ModuleNotFoundError as reason:
        raise GridError(
            f"network.name: expected the package simbench for '{code}', found none; install gridsettle[simbench]"
        ) from reason
    try:
        return simbench.get_simbench_net(code)
    except (ValueError, KeyError) as reason:
        raise GridError(f"network.name: expected a SimBench code like 1-LV-rural1--0-sw, got '{code}'") from reason


def make_named_feeder(
    name: str,
    participants: Sequence[str],
    *,
    seed: int,
    keep_elements: bool = False,
    devices: Mapping[str, Sequence[str]] | None = None,
    at_busbar: Sequence[str] = (),
) -> Feeder:
    """Make a feeder of a named net, with the participants at the buses that carry its loads.

    Participants that all bear names of such buses are placed there. Otherwise the buses are taken in the order of
    their index when there is one a participant, else a sample of them drawn by `seed`.

    Parameters
    ----------
    name
        A key of `NETS`, or a SimBench code such as 1-LV-rural1--0-sw (extra `simbench`).
    participants
        N names, at most as many as the net has buses with loads.
    seed
        Seed of nets that are drawn at random (Kerber), and of the placement.
    keep_elements
        Keep the net's own loads and generators as constant injections.
    devices
        Elements of each participant, see `make_feeder`.
    at_busbar
        Participants that connect at the transformer's low-voltage busbar, which they may share.

    Raises
    ------
    GridError
        If the name is unknown or the net has too few buses with loads.
    """
    net = make_named_net(name, seed=seed)
    places = np.unique(np.concatenate([net[t].bus.to_numpy(np.int64) for t in ("load", "asymmetric_load")]))
    housed = [participant for participant in participants if participant not in at_busbar]
    if len(housed) > places.size:
        raise GridError(
            f"network '{name}': expected at most {places.size} participants, one per bus with a load, "
            f"got {len(housed)}; use fewer houses or a larger net"
        )
    named = {str(net.bus.name[bus]): int(bus) for bus in places}
    if len(named) == places.size and set(housed) <= named.keys():
        chosen = [named[participant] for participant in housed]
    elif len(housed) < places.size:
        chosen = np.sort(np.random.default_rng(seed).choice(places, len(housed), replace=False)).tolist()
    else:
        chosen = places.tolist()
    at = dict(zip(housed, chosen, strict=True)) | dict.fromkeys(at_busbar, find_busbar(net))
    bus = [at[participant] for participant in participants]
    load_tan_phi = find_load_tan_phi(net, bus)
    notes = (CIGRE_NOTE,) if name == "cigre_lv" else ()
    shared_bus = len(at_busbar) > 0
    feeder = make_feeder(
        name,
        net,
        participants,
        bus,
        devices=devices,
        shared_bus=shared_bus,
        keep_elements=keep_elements,
        notes=notes,
    )
    return replace(feeder, load_tan_phi=load_tan_phi)


def find_busbar(net: Any) -> int:
    """Low-voltage bus of a net's first transformer in service, or the external grid's bus where there is none."""
    trafos = net.trafo[net.trafo.in_service.astype(bool)]
    return int(trafos.lv_bus.iloc[0] if len(trafos) else net.ext_grid.bus.iloc[0])


def read_feeder_json(
    path: Path,
    placement: Sequence[tuple[str, str | int]],
    *,
    keep_elements: bool = False,
    shared_bus: bool = False,
    devices: Mapping[str, Sequence[str]] | None = None,
) -> Feeder:
    """Read a feeder from a pandapower JSON file.

    Parameters
    ----------
    path
        File written by `pandapower.to_json`.
    placement
        (participant, bus) pairs; the bus by its index or its name, see `find_bus`.
    keep_elements
        Keep the net's own loads and generators as constant injections.
    shared_bus
        Whether several participants may be at one bus.
    devices
        Elements of each participant, see `make_feeder`.

    Raises
    ------
    GridError
        If the file is no such net, or a bus is unknown or its name ambiguous.
    """
    net = read_net(path)
    bus = [find_bus(net, value, f"{path}, participant '{participant}'") for participant, value in placement]
    load_tan_phi = find_load_tan_phi(net, bus)
    names = [participant for participant, _ in placement]
    feeder = make_feeder(
        path.name, net, names, bus, devices=devices, shared_bus=shared_bus, keep_elements=keep_elements
    )
    return replace(feeder, load_tan_phi=load_tan_phi)


def find_bus(net: Any, value: str | int, where: str) -> int:
    """Find the index of a bus given by its name or index.

    Parameters
    ----------
    net
        pandapower net.
    value
        An integer is an index, text a name or an index, also one like 48.0; `#7` is index 7 even if a bus is named 7.
    where
        Begin of the message.

    Raises
    ------
    GridError
        If there is no such bus, or it could be several.
    """
    text = str(value).strip()
    names = net.bus.name.astype(str)
    if not (names == text).any() and text.removesuffix(".0").isdecimal():
        text = text.removesuffix(".0")  # tools write 48 as 48.0 where other cells of the column are empty
    named = [int(b) for b in net.bus.index[names == text]] if isinstance(value, str) else []
    digits = text.removeprefix("#")
    index = int(digits) if digits.lstrip("-").isdecimal() else None
    indexed = [index] if index is not None and index in net.bus.index else []
    found = sorted({*named, *indexed})
    if len(found) == 1:
        return found[0]
    if len(found) > 1:
        raise GridError(
            f"{where}: expected one bus, found '{text}' as name or index of buses "
            f"{', '.join(map(str, found))}; write # and the index"
        )
    hint = suggest_name(text, net.bus.name, "see the table of buses, net.bus")
    raise GridError(f"{where}: expected the name or the integer index of a bus, got '{str(value).strip()}'; {hint}")
