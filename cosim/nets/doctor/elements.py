"""Checks of elements by themselves: numbers, names, signs, and what the verdict leaves out."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd

from cosim.nets.doctor.finding import NET, Found, Severity
from cosim.nets.doctor.subject import Subject
from grid_models.feeder.elements import (
    ELEMENT_TYPES,
    REFUSED_REMEDY,
    Handling,
    list_refused,
    list_unjudged,
    list_unread,
)
from grid_models.feeder.net_file import LEFT_OUT
from grid_models.feeder.net_tables import list_empty
from grid_models.feeder.plausibility import list_impossible

NAMED = ("bus", "line", "trafo", "trafo3w", "switch")
"""Tables whose elements scenarios call by their names."""
MAY_BE_INFINITE = ("max_i_ka", "min_", "max_")
"""Begins of columns in which infinity says that there is no limit, or that another check looks at."""


def find_wrong_numbers(subject: Subject) -> Iterator[Found]:
    """Numbers that no network has, that are empty, or that are infinite."""
    net = subject.net
    for flaw in list_impossible(net):
        yield Found(flaw.table, flaw.index, f"{flaw.column}: {flaw}", flaw.got if np.isfinite(flaw.got) else None)
    for table, label, column in list_empty(net):
        yield Found(table, label, f"{column} is empty (nan)")
    for table in ELEMENT_TYPES:
        frame = subject.select(table).select_dtypes("number")
        for column in frame.columns:
            if not str(column).startswith(MAY_BE_INFINITE):
                for label in frame.index[np.isinf(frame[column].to_numpy(np.float64, na_value=np.nan))]:
                    yield Found(table, int(label), f"{column} is {frame[column].at[label]}")


def find_duplicated_names(subject: Subject) -> Iterator[Found]:
    """Names that several elements of a table have, at the second of them."""
    for table, kind in ELEMENT_TYPES.items():
        frame = subject.net.get(table)
        if kind.handling in (Handling.IGNORED, Handling.NOT_RUN) or not isinstance(frame, pd.DataFrame):
            continue
        if "name" not in frame or not len(frame):
            continue
        names = frame["name"].dropna().astype(str)
        for name, same in names[names != ""].groupby(names):
            if len(same) > 1:
                shown = ", ".join(map(str, same.index[:5])) + (" …" if len(same) > 5 else "")
                what = f"{len(same)} elements of '{table}' are called '{name}': {shown}"
                severity = None if table in NAMED else Severity.NOTE
                yield Found(table, int(same.index[1]), what, float(len(same)), "elements", severity)


def list_left_out(subject: Subject) -> Iterator[Found]:
    """What is refused, and what the verdict leaves out."""
    for table, label in list_refused(subject.net):
        what = f"{ELEMENT_TYPES[table].words} in service are refused"
        yield Found(table, label, what, severity=Severity.ERROR, remedy=REFUSED_REMEDY)
    for said in (*subject.net.get(LEFT_OUT, ()), *list_unread(subject.net), *list_unjudged(subject.net)):
        yield Found(NET, None, said)


def find_scalings(subject: Subject) -> Iterator[Found]:
    """Elements whose power is scaled."""
    for table in ELEMENT_TYPES:
        frame = subject.select(table)
        if "scaling" in frame:
            scaling = frame["scaling"].astype(float)
            for label in frame.index[(scaling != 1.0) & np.isfinite(scaling)]:
                yield Found(table, int(label), f"scaling is {scaling[label]:g}", float(scaling[label]), "times")


def find_negative_loads(subject: Subject) -> Iterator[Found]:
    """Loads that feed."""
    for table, columns in (("load", ("p_mw",)), ("asymmetric_load", ("p_a_mw", "p_b_mw", "p_c_mw"))):
        frame = subject.select(table)
        if len(frame):
            least = (frame[list(columns)].astype(float).mul(frame["scaling"].astype(float), axis=0)).min(axis=1)
            for label in frame.index[least < 0.0]:
                kw = 1000.0 * float(least[label])
                yield Found(table, int(label), f"draws {kw:g} kW: it feeds", kw, "kW")
