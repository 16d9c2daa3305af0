"""Import a network of CGMES 2.4.15 (CIM): pandapower's converter makes the net, the file's own voltages judge it.

Profiles EQ, SSH and TP describe the network; SV, where it is given, holds the solution of the program that wrote it.
The converter leaves out what it does not know with a line in a log. So every piece of equipment is looked for in the
net, by the number (`rdf:ID`) that it has in the file.
"""

from __future__ import annotations

import io
import json
import zipfile
import zlib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple
from xml.parsers import expat

from cosim.nets.importing.checked import fill_ratings, finish_import
from cosim.nets.importing.imported import Imported, LeftOut
from cosim.nets.importing.limited import ask_limited
from cosim.nets.models import Model
from cosim.nets.solve import solve_network
from grid_models.errors import GridError, shorten
from grid_models.feeder.net_file import MAX_BYTES, parse_net, read_regular_bytes

WHAT = "a network of CGMES"
AGREEMENT_PU = 1e-3
"""Largest difference to the file's own voltages: programs write them as they converged, often with four digits."""
MOST_FILES, MOST_ELEMENTS, MOST_DEPTH = 20, 2_000_000, 8
RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
CIM = "http://iec.ch/TC57/2013/CIM-schema-cim16#"
EQUIPMENT = frozenset(
    {
        *[
            "ACLineSegment",
            "PowerTransformer",
            "SeriesCompensator",
            "EquivalentBranch",
            "EnergyConsumer",
            "ConformLoad",
        ],
        *["ConformLoad", "NonConformLoad", "StationSupply", "ExternalNetworkInjection", "SynchronousMachine"],
        *[
            "AsynchronousMachine",
            "EnergySource",
            "EquivalentInjection",
            "EquivalentShunt",
            "LinearShuntCompensator",
            "PetersenCoil",
        ],
        *["NonlinearShuntCompensator", "StaticVarCompensator", "Breaker", "Disconnector", "LoadBreakSwitch", "Switch"],
        *["ProtectedSwitch", "Fuse", "Jumper", "GroundDisconnector", "GroundingImpedance", "Ground"],
        *["PowerElectronicsConnection", "DCLineSegment", "VsConverter", "CsConverter"],
    }
)
"""Classes that conduct: each piece must be in the net, or the file is refused."""
DESCRIBES = frozenset(
    {
        *["Terminal", "ConnectivityNode", "TopologicalNode", "TopologicalIsland", "BaseVoltage", "VoltageLevel", "Bay"],
        *["Substation", "SubGeographicalRegion", "GeographicalRegion", "PowerTransformerEnd", "RegulatingControl"],
        *["BusbarSection", "GeneratingUnit", "SvVoltage", "Line", "OperationalLimitSet", "OperationalLimitType"],
        *["CurrentLimit", "RatioTapChanger", "TapChangerControl", "SvPowerFlow", "SvTapStep", "SvStatus"],
    }
)
"""Classes that the converter reads to describe those, and the solution."""


class Content(NamedTuple):
    """What XML holds: equipment by its number, how many there are of other classes, and voltages of nodes, kV."""

    equipment: dict[str, str]
    others: Counter[str]
    voltage_kv: dict[str, float]


def import_cgmes(path: Path) -> Imported:
    """Network of a zip file, or one XML file, of CGMES 2.4.15.

    Raises
    ------
    GridError
        If it is none, is too large, has a document type, has equipment that the net has not, cannot be run, or
        has another solution than that of the file.
    """
    where = str(path)
    documents = list(_list_documents(path))
    content = Content({}, Counter(), {})
    for name, document in documents:
        _read_content(document, f"{where}, {name}", content)
    if not content.equipment:
        raise GridError(f"{where}: expected {WHAT} 2.4.15, got XML without equipment of its profile EQ; add it")
    try:
        texts = [document.decode("utf-8") for _, document in documents]
    except UnicodeDecodeError as reason:
        raise GridError(
            f"{where}: expected XML in UTF-8, got other bytes ({reason.reason}); write it again"
        ) from reason
    told = ask_limited("cgmes", json.dumps(texts).encode(), where, WHAT)
    net = parse_net(told["net"], where)
    _check_complete(net, content, where)
    node = {str(each): index for index, each in net.bus["cim_topnode"].items()} if "cim_topnode" in net.bus else {}
    left_out = tuple(
        LeftOut(f"{name} ({n})", "no equipment, and nothing that describes one")
        for name, n in sorted(content.others.items())
        if name not in DESCRIBES
    )
    notes = fill_ratings(net)
    found = finish_import(
        _without_numbers(net), where, elements=dict(Counter(content.equipment.values())), left_out=left_out, notes=notes
    )
    return found._replace(notes=(*found.notes, _compare(found.net, node, content.voltage_kv, where)))


def _list_documents(path: Path) -> Iterator[tuple[str, bytes]]:
    """XML of a file, or of a zip file's members as far as they may be large."""
    content = read_regular_bytes(path, WHAT)
    if path.suffix.lower() != ".zip":
        yield path.name, content
        return
    left = MAX_BYTES
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            members = [each for each in archive.infolist() if not each.is_dir()]
            if len(members) > MOST_FILES:
                raise GridError(f"{path}: expected at most {MOST_FILES} files, got {len(members):,}; pack fewer")
            for member in members:
                if not member.filename.lower().endswith(".xml"):
                    raise GridError(f"{path}: expected XML files, got '{shorten(member.filename)}'; leave it out")
                with archive.open(member) as file:
                    document = file.read(left + 1)  # what the archive says of its sizes may be wrong
                left -= len(document)
                if left < 0:
                    raise GridError(f"{path}: expected at most {MAX_BYTES:,} bytes unpacked, got more; split it")
                yield shorten(member.filename), document
    except GridError:
        raise
    except (zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError, EOFError, OSError, ValueError) as reason:
        raise GridError(f"{path}: expected a zip file that can be unpacked, got {shorten(reason)}") from reason


def _read_content(document: bytes, where: str, content: Content) -> None:
    """Add what a document holds; a document type is refused before anything is made of it."""
    parser, state = expat.ParserCreate(namespace_separator=" "), _State()

    def refuse(*_: object) -> None:
        raise GridError(f"{where}: expected XML without a document type, got one; remove it")

    def begin(tag: str, attributes: dict[str, str]) -> None:
        state.n += 1
        state.tags.append(tag)
        if state.n > MOST_ELEMENTS or len(state.tags) > MOST_DEPTH:
            raise GridError(f"{where}: expected at most {MOST_ELEMENTS:,} elements, {MOST_DEPTH} deep, got more")
        number = attributes.get(f"{RDF} ID")
        if len(state.tags) == 2 and tag.startswith(f"{CIM} ") and number is not None:
            name = tag.removeprefix(f"{CIM} ")
            if name in EQUIPMENT:
                content.equipment[number] = name
            else:
                content.others[name] += 1
        if tag == f"{CIM} SvVoltage.TopologicalNode":
            state.node = attributes.get(f"{RDF} resource", "").lstrip("#")
        state.text = ""

    def end(tag: str) -> None:
        state.tags.pop()
        if tag == f"{CIM} SvVoltage.v":
            state.v = state.text
        elif tag == f"{CIM} SvVoltage":
            content.voltage_kv[state.node] = _read_kv(state.v, where)

    def add(text: str) -> None:
        state.text = (state.text + text)[:100]

    parser.StartDoctypeDeclHandler, parser.EntityDeclHandler = refuse, refuse
    parser.StartElementHandler, parser.EndElementHandler = begin, end
    parser.CharacterDataHandler = add
    try:
        parser.Parse(document, True)
    except expat.ExpatError as reason:
        raise GridError(f"{where}: expected whole XML, got another ({reason}); write it again") from reason


class _State:
    """Where a parser is."""

    def __init__(self) -> None:
        self.n, self.tags = 0, list[str]()
        self.text = self.node = self.v = ""


def _read_kv(text: str, where: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0.0 <= value < 1e5:
        raise GridError(f"{where}, SvVoltage.v: expected kV, got '{shorten(text)}'; correct it")
    return value


def _check_complete(net: Any, content: Content, where: str) -> None:
    """Check that every piece of equipment is in the net, by its number."""
    numbers = {
        str(number)
        for table in net.values()
        if hasattr(table, "columns") and "origin_id" in table.columns
        for number in table["origin_id"]
    }
    lost = {number: name for number, name in content.equipment.items() if number not in numbers}
    if lost:
        number, name = next(iter(lost.items()))
        raise GridError(
            f"{where}: expected equipment that pandapower's converter takes, got {name} '{shorten(number)}' and "
            f"{len(lost) - 1} more that it leaves out; replace them, or convert the network by another program"
        )


def _without_numbers(net: Any) -> Any:
    """The net without what only CIM needs."""
    for table in net.values():
        if hasattr(table, "columns"):
            table.drop(columns=[each for each in table.columns if each.startswith(("origin_", "cim_"))], inplace=True)
    return net


def _compare(net: Any, node: dict[str, int], voltage_kv: dict[str, float], where: str) -> str:
    """How far our solution is from the file's; `GridError` where it is another."""
    given = {name: kv for name, kv in voltage_kv.items() if name in node and kv > 0.0}
    if not given:
        return "the file has no voltages (profile SV): nothing but pandapower's converter stands for what was read"
    solved = solve_network(net, Model.BALANCED, where)
    worst, place = 0.0, ""
    for name, kv in given.items():
        bus = node[name]
        difference = abs(abs(solved.v[str(bus), "a"]) * 3**0.5 / 1e3 - kv) / float(net.bus.vn_kv.at[bus])
        if not difference <= worst:
            worst, place = difference, name
    if not worst <= AGREEMENT_PU:
        raise GridError(
            f"{where}, node '{shorten(place)}': expected the voltage of the file (SvVoltage) within {AGREEMENT_PU:g} "
            f"pu, got a difference of {worst:.3g} pu; something is not read as it was meant, so nothing is imported"
        )
    return f"our voltages are those of the file (SvVoltage) at {len(given)} nodes within {worst:.1e} pu"
