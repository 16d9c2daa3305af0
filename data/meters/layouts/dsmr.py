"""Telegrams of DSMR meters (P1), one after the other in a file, as loggers keep them.

A telegram begins with `/`, ends with `!` and the CRC-16 of all between (polynomial x¹⁶+x¹⁵+x²+1, least significant
bit first); 0-0:1.0.0 is its time, with S in summer and W in winter, 1-0:1.8.x are counters of what is drawn, 2.8.x of
what is fed in (Netbeheer Nederland, "P1 Companion Standard", version 5.0.2). Telegrams whose CRC is wrong are refused
and counted.
"""

from __future__ import annotations

import binascii
import re
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from data.errors import DataError
from data.meters.readings import EXPORT, IMPORT, REGISTER, Parsed, Readings, Refused, make_readings, to_millionths
from data.meters.told import Told

TELEGRAM = re.compile(r"/[^/!]{4,20000}?!([0-9A-Fa-f]{4})?[ \t]*(?:\r?\n|$)")
STAMP = re.compile(r"^0-0:1\.0\.0\((\d{12})([SW])\)", re.M)
SERIAL = re.compile(r"^0-0:96\.1\.1\(([0-9A-Fa-f]{2,64})\)", re.M)
COUNTER = re.compile(r"^1-[03]:([12])\.8\.([0-4])\((\d{1,9}(?:\.\d{1,6})?)\*(k?Wh)\)", re.M)
SUMMER = {"S": 2, "W": 1}
"""Hours from UTC of the standard's clock, that of Amsterdam."""
LARGEST_TELEGRAMS = 1_000_000


class Telegram(NamedTuple):
    """Meter, time in seconds since 1970 UTC, and counters in µWh, of a telegram."""

    meter: str
    second: int
    drawn: int | None
    fed: int | None


def is_dsmr(text: str) -> bool:
    """Whether a text begins as a telegram."""
    begin = text.lstrip()[:2000]
    return begin.startswith("/") and bool(re.search(r"^[01]-[0-9]:\d+\.\d+\.\d+\(", begin, re.M))


def parse_dsmr(text: str, source: str, stem: str, told: Told) -> Parsed:
    """Counters of telegrams.

    Raises
    ------
    DataError
        If there is no whole telegram, or one has no time.
    """
    for name in ("unit", "kind", "stamp", "timezone"):
        if getattr(told, name):
            raise DataError(
                f"{source}: expected no --{name}, since a telegram says it itself; import the file without it"
            )
    found: list[Telegram] = []
    n_wrong = n_without = last = 0
    for match in TELEGRAM.finditer(text):
        if len(found) >= LARGEST_TELEGRAMS:
            raise DataError(f"{source}: expected at most {LARGEST_TELEGRAMS:,} telegrams, got more; split the file")
        last = match.end()
        body = match[0][: match[0].index("!") + 1]
        if match[1] is None:
            n_without += 1
        elif not has_checksum(body, int(match[1], 16)):
            n_wrong += 1
            continue
        found.append(_read_telegram(match[0], told.meter or stem, f"{source}, character {match.start() + 1}"))
    rest = text[last:].strip()
    n_wrong += bool(rest)
    if not found:
        raise DataError(
            f"{source}: expected telegrams whose checksum is right, got none of {n_wrong}; record them again"
        )
    refused = (
        [Refused(told.meter or found[0].meter, IMPORT, "telegrams that are cut or have a wrong checksum", n_wrong)]
        if n_wrong
        else []
    )
    words = ["DSMR telegrams: counters in kWh at the time of each, clock of Amsterdam by S and W"]
    words += [f"{n_without:,} telegrams without a checksum, which cannot be checked"] if n_without else []
    meters = list(dict.fromkeys(each.meter for each in found))
    readings = [
        _make_channel([each for each in found if each.meter == meter], meter, flow)
        for meter in meters
        for flow in (IMPORT, EXPORT)
    ]
    return Parsed(tuple(each for each in readings if each.begin.size), tuple(refused), tuple(words))


def has_checksum(body: str, expected: int) -> bool:
    """Whether a telegram from `/` to `!` has a CRC-16; lines that a logger ended with a line feed alone count, too."""
    ways = {body, re.sub(r"\r?\n", "\r\n", body)}
    return any(find_crc16(each.encode("latin-1", "replace")) == expected for each in ways)


def find_crc16(content: bytes) -> int:
    """CRC-16 of the P1 standard: polynomial 0x8005 mirrored, begin 0.

    Examples
    --------
    >>> hex(find_crc16(b"123456789"))
    '0xbb3d'
    """
    crc = 0
    for byte in content:
        crc = (crc >> 8) ^ _CRC[(crc ^ byte) & 0xFF]
    return crc


def _make_crc(byte: int) -> int:
    for _ in range(8):
        byte = (byte >> 1) ^ (0xA001 if byte & 1 else 0)
    return byte


_CRC = [_make_crc(byte) for byte in range(256)]


def _read_telegram(text: str, stem: str, where: str) -> Telegram:
    stamp, serial = STAMP.search(text), SERIAL.search(text)
    if not stamp:
        raise DataError(f"{where}: expected a time (0-0:1.0.0) in each telegram, got none; DSMR before 4.0 has none")
    try:
        clock = datetime.strptime(stamp[1], "%y%m%d%H%M%S") - timedelta(hours=SUMMER[stamp[2]])
    except ValueError as reason:
        raise DataError(f"{where}: expected a time like 240131120000W, got '{stamp[1]}'; record it again") from reason
    second = int((clock - datetime(1970, 1, 1)).total_seconds())
    counters = {(way, tariff): to_millionths(number, unit) or 0 for way, tariff, number, unit in COUNTER.findall(text)}
    return Telegram(_read_serial(serial[1]) if serial else stem, second, _add(counters, "1"), _add(counters, "2"))


def _add(counters: dict[tuple[str, str], int], way: str) -> int | None:
    """Counter of a direction: that of all tariffs where there is one, else their sum."""
    if (way, "0") in counters:
        return counters[way, "0"]
    parts = [value for (each, _), value in counters.items() if each == way]
    return sum(parts) if parts else None


def _read_serial(digits: str) -> str:
    """The meter's number, which telegrams spell in hexadecimal."""
    try:
        text = binascii.unhexlify(digits).decode("ascii")
    except (binascii.Error, UnicodeDecodeError):
        return digits
    return text.strip() if text.isprintable() and text.strip() else digits


def _make_channel(found: Sequence[Telegram], meter: str, flow: str) -> Readings:
    values = [each.drawn if flow == IMPORT else each.fed for each in found]
    rows = [(each.second, value) for each, value in zip(found, values, strict=True) if value is not None]
    seconds = [second for second, _ in rows]
    return make_readings(meter, flow, REGISTER, seconds, seconds, [value for _, value in rows])
