"""Load shapes of a circuit as profiles: energies of each load and generator in each interval.

The first value of a shape is that of the first interval, as in OpenDSS, and a shape that is shorter begins again.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from cosim.nets.importing.dss.process import Compiled, Element, Shape
from cosim.nets.importing.imported import LeftOut
from data.profiles import INTERVALS_MINUTES, LENGTHS, Profiles
from grid_models.arrays import Complex, Floats, Ints

START = np.datetime64("2017-01-01T00:00:00")
"""Shapes have no dates; scenarios begin here unless they say otherwise."""
LARGEST = 50_000_000
"""Most energies, intervals times participants."""
POWER_CURVES = ("effcurve", "p-tcurve")


class Series(NamedTuple):
    """Profiles, None where no load or generator follows a shape, and which shapes were not read and why."""

    profiles: Profiles | None
    left_out: tuple[LeftOut, ...]


def make_profiles(compiled: Compiled) -> Series:
    """Profiles of the loads and generators, named by class and name."""
    powers = [element for element in compiled.elements if element.kind in ("load", "generator", "pvsystem")]
    notes = list(_find_unread(compiled))
    shaped = {element.full: shape for element in powers if (shape := _find_shape(element, compiled)) is not None}
    if not shaped:
        return Series(None, tuple(notes))
    lengths = {shape.minutes for shape in shaped.values()}
    minutes = min(lengths)
    longest = max(len(shape.p) * shape.minutes for shape in shaped.values())
    n = int(longest // minutes)
    if minutes not in INTERVALS_MINUTES or any(length % minutes for length in lengths) or n * len(powers) > LARGEST:
        said = ", ".join(f"{length:g}" for length in sorted(lengths))
        why = f"shapes of {said} minutes; profiles have one interval of {LENGTHS}"
        return Series(None, (*notes, LeftOut("load shapes", f"{why}, and at most {LARGEST:,} energies")))
    kva = np.stack([_spread(element, shaped.get(element.full), minutes, n) for element in powers], axis=1)
    hours = minutes / 60.0
    load, pv, q = (
        _sum_to_integers(part * 1000.0 * hours)
        for part in (np.maximum(kva.real, 0.0), np.maximum(-kva.real, 0.0), np.where(kva.real > 0.0, kva.imag, 0.0))
    )
    notes.append(LeftOut("dates", f"load shapes have none: the profiles begin at {START}Z"))
    profiles = Profiles(
        START,
        int(minutes),
        tuple(element.full for element in powers),
        load,
        pv,
        np.zeros(n, np.int64),
        {"source": "load shapes of OpenDSS"},
        q,
        int(max(lengths)),
    )
    return Series(profiles, tuple(notes))


def _find_shape(element: Element, compiled: Compiled) -> Shape | None:
    """Shape that an element follows."""
    fixed = element.properties.get("status", "").lower() == "fixed" and element.kind == "load"
    curved = any(element.properties.get(name) for name in POWER_CURVES)
    shape = compiled.shapes.get(_name_shape(element).lower())
    readable = element.properties["model"] == "1" and not fixed and not curved
    return shape if readable and shape is not None and shape.p and shape.minutes > 0.0 else None


def _name_shape(element: Element) -> str:
    """Name of the yearly shape of an element, else of its daily one."""
    return element.properties.get("yearly", "") or element.properties.get("daily", "")


def _find_unread(compiled: Compiled) -> list[LeftOut]:
    """Elements that name a shape which is not read."""
    notes = []
    for element in compiled.elements:
        named = [_name_shape(element), element.properties.get("duty", "")]
        if named[0] and (element.kind == "vsource" or _find_shape(element, compiled) is None):
            why = f"its power does not follow the shape '{named[0]}' alone; it is constant in the profiles"
            notes.append(LeftOut(f"series of {element.full}", why))
        if named[1] and not named[0]:
            notes.append(
                LeftOut(f"series of {element.full}", f"duty shape '{named[1]}'; daily and yearly ones are read")
            )
    return notes


def _spread(element: Element, shape: Shape | None, minutes: float, n: int) -> Complex:
    """Complex power of an element in each interval, (n,) kVA."""
    if shape is None:
        return np.full(n, element.power_kva)
    p, q = np.array(shape.p), np.array(shape.q)
    with_q = q.size == p.size
    power = element.power_kva
    if not shape.actual:
        values: Complex = np.asarray(p * power.real + 1j * (q if with_q else p) * power.imag, dtype=np.complex128)
    else:
        sign = np.sign(power.real) if element.kind != "load" else 1.0
        follows = p * (power.imag / power.real if power.real else 0.0)
        values = np.asarray(sign * p + 1j * (q if with_q else follows), dtype=np.complex128)
    return np.asarray(np.resize(np.repeat(values, round(shape.minutes / minutes)), n), dtype=np.complex128)


def _sum_to_integers(energy: Floats) -> Ints:
    """Whole numbers (n, m) whose sums from the begin on are those of the energies, rounded."""
    total = np.rint(np.cumsum(energy, axis=0)).astype(np.int64)
    return np.diff(total, axis=0, prepend=0)
