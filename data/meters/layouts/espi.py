"""Green Button: readings as ESPI XML, an Atom feed of usage points, meter readings, reading types and interval blocks.

A reading type says what values are: unit (`uom` 72 is Wh, 38 W), `powerOfTenMultiplier`, `flowDirection` (1 drawn, 19
fed in, 4 net), `accumulationBehaviour` (4 energies of intervals, 3 and 1 counters, 6 and 12 powers); times are
seconds since 1970 UTC (NAESB REQ.21, "Energy Services Provider Interface", schema https://www.naesb.org/espi.xsd).
The text is read without a document type, so that there are no entities, and with bounds on its elements.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple
from xml.etree import ElementTree
from xml.parsers import expat

from data.errors import DataError
from data.meters.readings import (
    EXPORT,
    IMPORT,
    INTERVAL,
    LARGEST,
    NET,
    POWER,
    REGISTER,
    Parsed,
    Readings,
    Refused,
    make_readings,
)
from data.meters.told import Told

LARGEST_ELEMENTS, DEEPEST = 5_000_000, 60
UNITS = {"72": "Wh", "38": "W"}
FLOWS = {"1": IMPORT, "19": EXPORT, "4": NET, "0": NET, "": NET}
KINDS = {"4": INTERVAL, "3": REGISTER, "1": REGISTER, "6": POWER, "12": POWER}
ESTIMATED = ("7", "8", "9", "12")
"""ReadingQuality that is no measurement: edited by hand, estimated (two kinds), projected."""


class Entry(NamedTuple):
    """An entry of the feed: its links, title, and the element of its content."""

    own: str
    up: str
    related: tuple[str, ...]
    title: str
    content: ElementTree.Element


class Type(NamedTuple):
    """What a reading type says of values."""

    flow: str
    kind: str
    unit: str
    power_of_ten: int
    length_s: int


def is_xml(text: str) -> bool:
    """Whether a text is XML."""
    return text.lstrip()[:1] == "<"


def parse_espi(text: str, source: str, stem: str, told: Told) -> Parsed:
    """Readings of a Green Button file.

    Raises
    ------
    DataError
        If it is no such XML, has a document type, or a reading type says nothing that is needed.
    """
    for name in ("unit", "kind", "stamp", "timezone"):
        if getattr(told, name):
            raise DataError(
                f"{source}: expected no --{name}, since Green Button says it itself; import the file without it"
            )
    check_xml(text, source)
    entries = _list_entries(ElementTree.fromstring(_without_declaration(text)))
    by_kind = {
        kind: [each for each in entries if _local(each.content) == kind]
        for kind in ("UsagePoint", "MeterReading", "ReadingType", "IntervalBlock")
    }
    if not by_kind["IntervalBlock"] or not by_kind["ReadingType"]:
        raise DataError(
            f"{source}: expected a Green Button feed with ReadingType and IntervalBlock, got none; "
            "ask for interval data"
        )
    readings: list[Readings] = []
    refused: dict[tuple[str, str], int] = {}
    for block in by_kind["IntervalBlock"]:
        reading = _find_parent(block, by_kind["MeterReading"])
        described = _find_type(reading, by_kind["ReadingType"], source)
        meter = told.meter or _name_meter(reading, by_kind["UsagePoint"], stem)
        why = _refuse_type(described)
        values = _child_all(block.content, "IntervalReading")
        if why:
            refused[meter, why] = refused.get((meter, why), 0) + len(values)
            continue
        readings += _read_block(values, read_type(described, source), meter, source)
    left_out = tuple(Refused(meter, "", why, count) for (meter, why), count in refused.items())
    return Parsed(tuple(readings), left_out, ("Green Button (ESPI): units, directions and times in UTC as it says",))


def check_xml(text: str, source: str) -> None:
    """Raise DataError at a document type, and at more or deeper elements than a file of readings has."""
    parser, seen = expat.ParserCreate(), {"elements": 0, "depth": 0}

    def refuse(*_: object) -> None:
        raise DataError(
            f"{source}: expected XML without a document type, got one, which may define entities; remove it"
        )

    def begin(*_: object) -> None:
        seen["elements"] += 1
        seen["depth"] += 1
        if seen["elements"] > LARGEST_ELEMENTS or seen["depth"] > DEEPEST:
            raise DataError(
                f"{source}: expected at most {LARGEST_ELEMENTS:,} elements, {DEEPEST} deep, got more; split the file"
            )

    def end(*_: object) -> None:
        seen["depth"] -= 1

    parser.StartDoctypeDeclHandler, parser.EntityDeclHandler = refuse, refuse
    parser.StartElementHandler, parser.EndElementHandler = begin, end
    try:
        parser.Parse(_without_declaration(text).encode("utf-8", "replace"), True)
    except expat.ExpatError as reason:
        raise DataError(f"{source}: expected whole XML, got another ({reason}); ask for the file again") from reason


def _without_declaration(text: str) -> str:
    """Text without `<?xml … ?>`, whose encoding is that of the file, no more that of the text."""
    text = text.lstrip()
    return text[text.find("?>") + 2 :].lstrip() if text.startswith("<?xml") and "?>" in text[:500] else text


def _list_entries(root: ElementTree.Element) -> list[Entry]:
    found = []
    for entry in (each for each in root.iter() if _local(each) == "entry"):
        links: dict[str, list[str]] = {}
        for link in _child_all(entry, "link"):
            links.setdefault(link.get("rel", ""), []).append(link.get("href", "").rstrip("/"))
        contents = [part for each in _child_all(entry, "content") for part in each]
        own, up = (next(iter(links.get(rel, [])), "") for rel in ("self", "up"))
        found += [Entry(own, up, tuple(links.get("related", [])), _text(entry, "title"), part) for part in contents]
    return found


def _find_parent(block: Entry, readings: Sequence[Entry]) -> Entry | None:
    """The meter reading to which a block belongs, by its links."""
    for each in readings:
        if block.up and (block.up in each.related or (each.own and block.up.startswith(f"{each.own}/"))):
            return each
    return readings[0] if len(readings) == 1 else None


def _find_type(reading: Entry | None, types: Sequence[Entry], source: str) -> ElementTree.Element:
    for each in types:
        if reading is not None and each.own and each.own in reading.related:
            return each.content
    if len(types) == 1:
        return types[0].content
    raise DataError(
        f"{source}: expected links from each IntervalBlock to its MeterReading and "
        "ReadingType, got none; ask for the file again"
    )


def _name_meter(reading: Entry | None, points: Sequence[Entry], stem: str) -> str:
    """The usage point's title, or its number; the name of the file where there is only one."""
    if reading is None or len(points) < 2:
        return stem
    for each in points:
        if reading.up in each.related or (each.own and reading.up.startswith(f"{each.own}/")):
            titles = [point.title for point in points]
            return each.title if each.title and titles.count(each.title) == 1 else each.own.rpartition("/")[2] or stem
    return stem


def _refuse_type(described: ElementTree.Element) -> str:
    """Why values of a type are not used; empty if they are."""
    uom, commodity = _text(described, "uom"), _text(described, "commodity")
    if uom not in UNITS:
        return f"unit (uom) {uom or 'none'}, which is no active energy or power"
    if commodity not in ("", "0", "1", "2"):
        return f"commodity {commodity}, which is no electricity"
    if _text(described, "flowDirection") not in FLOWS:
        return f"flowDirection {_text(described, 'flowDirection')}, which is no active energy"
    return ""


def read_type(described: ElementTree.Element, source: str) -> Type:
    """What a reading type says.

    Raises
    ------
    DataError
        If it does not say how values add up, or says a multiplier that has no meaning.
    """
    unit, behaviour = UNITS[_text(described, "uom")], _text(described, "accumulationBehaviour")
    kind = POWER if unit == "W" else KINDS.get(behaviour, "")
    if kind == "" or (kind == POWER and unit == "Wh"):
        raise DataError(
            f"{source}, ReadingType: expected accumulationBehaviour 4 (energies of intervals), 1, "
            "3 or 9 (counters) of energies, "
            f"got '{behaviour}'; correct the file"
        )
    multiplier, length = _text(described, "powerOfTenMultiplier") or "0", _text(described, "intervalLength") or "0"
    return Type(
        FLOWS[_text(described, "flowDirection")],
        kind,
        unit,
        _to_whole(multiplier, -12, 9, "a powerOfTenMultiplier", source),
        _to_whole(length, 0, 10**7, "an intervalLength", source),
    )


def _read_block(values: Sequence[ElementTree.Element], described: Type, meter: str, source: str) -> list[Readings]:
    begin, end, amounts, estimated = [], [], [], []
    for each in values:
        period = next(iter(_child_all(each, "timePeriod")), each)
        start = _to_whole(_text(period, "start"), 0, 2**33, "a start", source)
        length = _to_whole(_text(period, "duration") or "0", 0, 10**7, "a duration", source) or described.length_s
        if length == 0 and described.kind != REGISTER:
            raise DataError(f"{source}, IntervalReading at {start}: expected a duration, got none; correct the file")
        raw = _to_whole(_text(each, "value"), -(10**15), 10**15, "a value", source)
        power = described.power_of_ten + 6
        amount = raw * 10**power if power >= 0 else (2 * raw + 10**-power) // (2 * 10**-power)
        if abs(amount) > LARGEST[described.kind]:
            raise DataError(
                f"{source}, IntervalReading at {start}: expected at most 1 GWh, got {raw} times "
                f"10^{described.power_of_ten}"
            )
        begin.append(start + (length if described.kind == REGISTER else 0))
        end.append(start + length)
        amounts.append(amount)
        qualities = [_text(quality, "quality") for quality in _child_all(each, "ReadingQuality")]
        estimated.append(any(quality in ESTIMATED for quality in qualities))
    made = make_readings(meter, described.flow, described.kind, begin, end, amounts, estimated, described.unit)
    return [made] if begin else []


def _to_whole(text: str, low: int, high: int, what: str, source: str) -> int:
    plain = text.removeprefix("-")
    number = int(text) if plain.isascii() and plain.isdecimal() and len(plain) < 20 else None
    if number is None or not low <= number <= high:
        raise DataError(f"{source}: expected {what} from {low} to {high}, got '{text[:60]}'; correct the file")
    return number


def _local(element: ElementTree.Element) -> str:
    return str(element.tag).rpartition("}")[2]


def _child_all(element: ElementTree.Element, name: str) -> list[ElementTree.Element]:
    return [each for each in element if _local(each) == name]


def _text(element: ElementTree.Element, name: str) -> str:
    found = _child_all(element, name)
    return (found[0].text or "").strip() if found else ""
