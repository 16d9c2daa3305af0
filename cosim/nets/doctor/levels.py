"""Checks of voltage levels, limits, taps, and of what is at which level."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import numpy as np

from cosim.nets.doctor.branches import LOW_KV
from cosim.nets.doctor.finding import Found, Severity
from cosim.nets.doctor.subject import Subject
from cosim.nets.doctor.supply import LIVE
from grid_models.feeder.elements import list_idle_taps
from grid_models.feeder.plausibility import list_level_breaks, list_steps_beyond, list_taps_beyond
from grid_models.feeder.references import ENDS


def find_flipped(subject: Subject) -> Iterator[Found]:
    """Transformers whose high-voltage bus has a lower rated voltage than the next one."""
    for table in ("trafo", "trafo3w"):
        frame, sides = subject.select(table), ENDS[table]
        for label, row in frame.iterrows():
            kv = [float(subject.net.bus["vn_kv"].at[row[side]]) for side in sides]
            if any(first < second for first, second in pairwise(kv)):
                told = ", ".join(f"{side} {int(row[side])} has {v:g} kV" for side, v in zip(sides, kv, strict=True))
                yield Found(table, int(label), f"the wrong way round: {told}", min(kv) - max(kv), "kV")


def find_wrong_levels(subject: Subject) -> Iterator[Found]:
    """Branches at buses of another rated voltage; flipped transformers are told of by themselves."""
    flipped = {(found.table, found.index) for found in find_flipped(subject)}
    for found in list_level_breaks(subject.net):
        if (found.table, found.index) in flipped:
            continue
        if found.side:
            what = f"its vn_{found.side}_kv is {found.expected_kv:g} kV, its {found.side} bus has {found.got_kv:g} kV"
        else:
            what = f"joins a bus of {found.expected_kv:g} kV with one of {found.got_kv:g} kV"
        severity = Severity.ERROR if found.is_large else Severity.WARNING
        yield Found(found.table, found.index, what, found.got_kv, "kV", severity)


def find_loads_above_low_voltage(subject: Subject) -> Iterator[Found]:
    """What draws or feeds above low voltage, in a net that has low voltage."""
    kv = subject.net.bus["vn_kv"].astype(float)
    if not (kv <= LOW_KV).any():
        return
    for table in LIVE:
        frame = subject.select(table)
        if table == "gen" and len(frame):
            frame = frame[~frame["slack"].astype(bool)]
        for label, value in frame["bus"].map(kv).items() if len(frame) else ():
            if value > LOW_KV:
                what = f"at bus {frame['bus'].at[label]} of {value:g} kV, in a net with low voltage"
                yield Found(table, int(label), what, float(value), "kV")


def find_contradictory_limits(subject: Subject) -> Iterator[Found]:
    """Limits that leave no room: of voltages, loadings and taps."""
    pairs = (("bus", "min_vm_pu", "max_vm_pu", "pu"), ("trafo", "tap_min", "tap_max", ""))
    for table, low, high, unit in pairs:
        frame = subject.select(table)
        if {low, high} <= set(frame.columns):
            below, above = (frame[column].astype(float) for column in (low, high))
            for label in frame.index[(below >= above) if table == "bus" else (below > above)]:
                what = f"{low} {below[label]:g} is not below {high} {above[label]:g}"
                yield Found(table, int(label), what, float(below[label]), unit)
    for table in ("line", "trafo"):
        frame = subject.select(table)
        if "max_loading_percent" in frame:
            most = frame["max_loading_percent"].astype(float)
            for label in frame.index[most <= 0.0]:
                what = f"max_loading_percent is {most[label]:g} %, so nothing may flow"
                yield Found(table, int(label), what, float(most[label]), "%")


def find_taps_beyond(subject: Subject) -> Iterator[Found]:
    """Taps and steps at positions that there are not."""
    for doubt in (*list_taps_beyond(subject.net), *list_steps_beyond(subject.net)):
        yield Found(doubt.table, doubt.index, doubt.what, doubt.value, "steps")


def find_idle_taps(subject: Subject) -> Iterator[Found]:
    """Tap positions that change nothing."""
    for tap in list_idle_taps(subject.net):
        yield Found(tap.table, tap.index, tap.what, tap.position if np.isfinite(tap.position) else None, "steps")
