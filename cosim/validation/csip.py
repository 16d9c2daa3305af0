"""Envelopes as IEEE 2030.5 / CSIP-AUS controls: a `DERControlList` for each customer.

A `DERControl` holds for one interval and limits what the connection point imports (`opModImpLimW`) and exports
(`opModExpLimW`), both at least 0. Power is a 16-bit integer times a power of ten, rounded towards 0, so that no limit
is wider than the envelope.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Any
from urllib.parse import quote
from xml.etree import ElementTree

import pandas as pd

from cosim.errors import ScenarioError

SEP2 = "urn:ieee:std:2030.5:ns"
CSIP_AUS = "https://csipaus.org/ns/v1.3"

LARGEST_INT16 = 2**15 - 1
SCHEDULED = 0
"""`EventStatus` of a control that has not begun."""


def format_csip(table: pd.DataFrame, interval_minutes: int) -> dict[str, str]:
    """XML of each customer's controls, by name; an interval without any safe range has limits of 0.

    Parameters
    ----------
    table
        Of `cosim.validation.envelopes.OperatingEnvelopes`, with the times of its intervals.
    interval_minutes
        Length of an interval.

    Examples
    --------
    >>> row = {"time": pd.Timestamp("2017-06-01T12:00Z"), "participant": "ann", "import_kw": -45.0, "export_kw": 5.0}
    >>> controls = ElementTree.fromstring(format_csip(pd.DataFrame([row]), 60)["ann"])
    >>> [element.text for element in controls[0].find(f"{{{SEP2}}}DERControlBase").iter() if element.text]
    ['1', '4500', '0', '5000']
    """
    return {str(name): _format_list(str(name), rows, interval_minutes) for name, rows in table.groupby("participant")}


def _format_list(name: str, rows: pd.DataFrame, interval_minutes: int) -> str:
    count = str(len(rows))
    namespaces = {"xmlns": SEP2, "xmlns:csipaus": CSIP_AUS}
    root = ElementTree.Element("DERControlList", {**namespaces, "all": count, "results": count})
    created = int(rows["time"].min().timestamp())  # no clock: the same envelopes are the same bytes
    for time, import_kw, export_kw in zip(rows["time"], rows["import_kw"], rows["export_kw"], strict=True):
        control = ElementTree.SubElement(root, "DERControl")
        start = int(time.timestamp())
        _add(control, "mRID", hashlib.sha256(f"{name}\n{start}".encode()).hexdigest()[:32].upper())
        _add(control, "creationTime", created)
        status = ElementTree.SubElement(control, "EventStatus")
        _add(status, "currentStatus", SCHEDULED)
        _add(status, "dateTime", created)
        _add(status, "potentiallySuperseded", "false")
        interval = ElementTree.SubElement(control, "interval")
        _add(interval, "duration", 60 * interval_minutes)
        _add(interval, "start", start)
        base = ElementTree.SubElement(control, "DERControlBase")
        _add_power(base, "csipaus:opModImpLimW", -import_kw)
        _add_power(base, "csipaus:opModExpLimW", export_kw)
    return ElementTree.tostring(root, encoding="unicode", xml_declaration=True) + "\n"


def _add(parent: ElementTree.Element, tag: str, value: Any) -> None:
    ElementTree.SubElement(parent, tag).text = str(value)


def _add_power(parent: ElementTree.Element, tag: str, kw: float) -> None:
    element, watts, multiplier = ElementTree.SubElement(parent, tag), int(1000.0 * max(kw, 0.0)), 0
    while watts > LARGEST_INT16:
        watts, multiplier = watts // 10, multiplier + 1
    _add(element, "multiplier", multiplier)
    _add(element, "value", watts)


def write_csip(table: pd.DataFrame, interval_minutes: int, folder: Path) -> None:
    """Write a file for each customer, `NAME.xml`, into a new folder: all of them or none.

    Raises
    ------
    ScenarioError
        If it cannot be written.
    """
    partial = folder.with_name(f".{folder.name}.partial-{os.getpid()}")
    try:
        partial.mkdir(parents=True)
        for name, text in format_csip(table, interval_minutes).items():
            (partial / f"{quote(name, safe=' ')}.xml").write_text(text, encoding="utf-8", newline="")
        os.replace(partial, folder)
    except OSError as reason:
        raise ScenarioError(
            f"{folder}: expected a folder that can be written to, got {reason.strerror}; choose another with --csip"
        ) from reason
