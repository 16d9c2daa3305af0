"""A SimBench grid with its profiles, by its code."""

from __future__ import annotations

from cosim.nets.importing.checked import count_elements, finish_import
from cosim.nets.importing.imported import Imported, LeftOut
from data.simbench import read_simbench

PRICE_EUR_PER_KWH = 0.25
"""Utility price of imported networks, whose files have none."""
_BESIDE = {
    "loadcases": "study cases of a grid; its profiles are used",
    "studycases": "study cases of a grid; its profiles are used",
}


def import_simbench(code: str) -> Imported:
    """Grid of a SimBench code: every load, generator and storage with its own series of quarter hours, all switches.

    Raises
    ------
    data.errors.DataError
        If the package is not installed, or there is no such grid.
    GridError
        If the grid cannot be used.
    """
    found = read_simbench(code, price_eur_per_kwh=PRICE_EUR_PER_KWH)
    net, counted = found.net, count_elements(found.net)
    net.pop("profiles", None)  # read
    left_out = tuple(LeftOut(name, why) for name, why in _BESIDE.items() if net.pop(name, None) is not None)
    return finish_import(
        net,
        f"simbench {code}",
        profiles=found.profiles,
        elements=counted,
        left_out=left_out,
        participants=tuple(zip(found.profiles.participants, found.buses, strict=True)),
        notes=(
            "a participant per bus: what its loads draw and its storages charge is its load, what its generators feed "
            "and its storages discharge its generation, in whole Wh a quarter hour",
            "times of SimBench are taken as UTC",
        ),
    )
