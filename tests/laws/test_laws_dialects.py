"""Laws of dialects: a table in any of them reads as the plain one does; what may mean two things is refused."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import tempfile
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data.errors import DataError
from data.tables import parse_profiles, read_profiles
from data.trades import parse_trades, read_trades

BERLIN = ZoneInfo("Europe/Berlin")
NAMES = ("Zoë", "house b", "Müller", "Ørsted 3")
BEGIN = datetime(2017, 1, 1, tzinfo=UTC)

Row = tuple[datetime, str, str, int, int]


class Dialect(NamedTuple):
    """How a table is written."""

    separator: str
    decimal: str
    thousands: str
    time: Callable[[datetime], str]
    encoding: str
    pack: Callable[[bytes], bytes]
    ending: str
    header: dict[str, str]
    trailing: str
    quoted: bool


def _offset(form: str) -> Callable[[datetime], str]:
    def write(time: datetime) -> str:
        local = time.astimezone(BERLIN)
        hours = int(local.utcoffset().total_seconds()) // 3600
        offsets = {"hh": f"+{hours:02d}", "hhmm": f"+{hours:02d}00", "hh:mm": f"+{hours:02d}:00"}
        return f"{local:%Y-%m-%d %H:%M:%S}{offsets[form]}"

    return write


ABSOLUTE = {
    "z": lambda time: f"{time:%Y-%m-%dT%H:%MZ}",
    "seconds": lambda time: f"{time:%Y-%m-%d %H:%M:%S.000000}+00:00",
    "+hh": _offset("hh"),
    "+hhmm": _offset("hhmm"),
    "+hh:mm": _offset("hh:mm"),
    "basic": lambda time: f"{time:%Y%m%dT%H%M%SZ}",
    "utc": lambda time: f"{time:%Y-%m-%d %H:%M:%S} UTC",
}
LOCAL = {
    "iso": lambda time: f"{time.astimezone(BERLIN):%Y-%m-%d %H:%M}",
    "german": lambda time: f"{time.astimezone(BERLIN):%d.%m.%Y %H:%M}",
    "short german": lambda time: f"{time.astimezone(BERLIN).day}.{time.astimezone(BERLIN):%m.%Y %H:%M:%S}",
}
UNITS = {"energy_wh": "Energy [Wh]", "price_ueur_per_kwh": "Price (µEUR/kWh)", "time": "Time", "load_wh": "Load (Wh)"}


@st.composite
def dialects(draw: st.DrawFn) -> Dialect:
    separator = draw(st.sampled_from(",;\t|"))
    decimal = draw(st.sampled_from(",."))
    thousands = draw(st.sampled_from(["", "", " ", "'", "\u202f", "." if decimal == "," else ","]))
    encoding = draw(st.sampled_from(["utf-8", "utf-8-sig", "cp1252", "latin-1", "utf-16", "utf-16-le", "utf-32"]))
    if encoding in ("cp1252", "latin-1"):
        thousands = thousands.replace("\u202f", "\u00a0")
    return Dialect(
        separator,
        decimal,
        thousands,
        draw(st.sampled_from([*ABSOLUTE.values(), *LOCAL.values()])),
        encoding,
        draw(st.sampled_from([bytes, gzip.compress, bz2.compress, lzma.compress])),
        draw(st.sampled_from(["\n", "\r\n"])),
        draw(st.sampled_from([{}, UNITS])),
        draw(st.sampled_from(["", "", separator, separator * 2])),
        draw(st.booleans()),
    )


def number(value: float, dialect: Dialect) -> str:
    """A number with two decimals, so that its decimal mark is clear."""
    text = f"{value:,.2f}".replace(",", "T").replace(".", dialect.decimal)
    return text.replace("T", dialect.thousands)


def write(dialect: Dialect, header: list[str], rows: list[list[Any]]) -> bytes:
    def cell(value: Any) -> str:
        if isinstance(value, datetime):
            text = dialect.time(value)
        else:
            text = value if isinstance(value, str) else number(value, dialect)
        return f'"{text}"' if dialect.quoted or dialect.separator in text else text

    lines = [[dialect.header.get(name, name) for name in header], *rows]
    text = "".join(dialect.separator.join(map(cell, line)) + dialect.trailing + dialect.ending for line in lines)
    return dialect.pack((text + dialect.ending).encode(dialect.encoding))


def through_file(content: bytes, read: Callable[..., Any], **options: Any) -> Any:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "t.csv"
        path.write_bytes(content)
        return read(path, **options)


@st.composite
def traded(draw: st.DrawFn) -> list[Row]:
    """Trades in the order of time, one a quarter hour; they may pass a change of clocks."""
    first = BEGIN + timedelta(minutes=15 * draw(st.integers(0, 35_000)))
    rows = []
    for k in range(draw(st.integers(1, 12))):
        seller, buyer = draw(st.permutations(NAMES))[:2]
        rows.append(
            (
                first + timedelta(minutes=15 * k),
                seller,
                buyer,
                draw(st.integers(0, 1_000_000)),
                draw(st.integers(-9_000_000, 9_000_000)),
            )
        )
    return rows


def is_repeated(time: datetime) -> bool:
    """Whether Berlin's clock shows this time twice."""
    wall = time.astimezone(BERLIN).replace(tzinfo=None)
    return wall.replace(tzinfo=BERLIN, fold=0).utcoffset() != wall.replace(tzinfo=BERLIN, fold=1).utcoffset()


@pytest.mark.slow
@settings(max_examples=200)
@given(traded(), dialects())
def test_trades_in_any_dialect_are_the_plain_ones(rows: list[Row], dialect: Dialect) -> None:
    header = ["time", "seller", "buyer", "energy_wh", "price_ueur_per_kwh"]
    plain = (
        ",".join(header)
        + "\n"
        + "".join(f"{time:%Y-%m-%dT%H:%MZ},{','.join(map(str, rest))}\n" for time, *rest in rows)
    )
    expected = parse_trades(io.StringIO(plain))
    content = write(dialect, header, [list(row) for row in rows])
    local = dialect.time in LOCAL.values()
    if local and any(is_repeated(time) for time, *_ in rows):
        return  # the next law
    found = through_file(content, read_trades, timezone="Europe/Berlin")
    pd.testing.assert_frame_equal(found, expected, check_names=True)
    said = " ".join(found.attrs.get("notes", ()))
    assert ("columns separated by" in said) == (dialect.separator != ",")
    assert ("decimal commas" in said) == (dialect.decimal == ",")
    assert ("Windows-1252" in said) == (
        dialect.encoding in ("cp1252", "latin-1") and any(not str(n).isascii() for r in rows for n in r[1:3])
    )
    assert ("clock of Europe/Berlin" in said) == local


@pytest.mark.slow
@settings(max_examples=60)
@given(
    st.integers(2012, 2030), st.sampled_from([1, 5, 10, 15, 30, 60]), st.integers(0, 6), st.integers(1, 6), dialects()
)
def test_local_profiles_through_both_changes_of_clocks_are_those_in_utc(
    year: int, minutes: int, before: int, after: int, dialect: Dialect
) -> None:
    header = ["time", "participant", "load_wh"]
    dialect = dialect._replace(time=LOCAL["iso"])
    for month in (3, 10):
        change = max(
            datetime(year, month, day, 1, tzinfo=UTC)
            for day in range(25, 32)
            if datetime(year, month, day).weekday() == 6
        )
        times = [
            change + timedelta(minutes=minutes * k)
            for k in range(-(before + 1) * 60 // minutes, (after + 1) * 60 // minutes)
        ]
        rows = [[time, name, float(k + 7 * n)] for k, time in enumerate(times) for n, name in enumerate(NAMES[:2])]
        plain = ",".join(header) + "\n" + "".join(f"{t:%Y-%m-%dT%H:%MZ},{n},{v}\n" for t, n, v in rows)
        expected = parse_profiles(io.StringIO(plain), price_eur_per_kwh=0.1)
        content = write(dialect, header, rows)
        found = through_file(content, read_profiles, timezone="Europe/Berlin", price_eur_per_kwh=0.1)
        assert found.digest() == expected.digest()
        assert ("the repeated hour" in found.provenance["notes"]) == (month == 10)


@given(st.integers(1, 12), st.integers(1, 12), st.sampled_from("/-"), st.booleans())
def test_dates_that_may_be_two_are_refused_until_something_decides(a: int, b: int, mark: str, day_first: bool) -> None:
    header = "time,seller,buyer,energy_wh,price_ueur_per_kwh\n"
    text = f"{a:02d}{mark}{b:02d}{mark}2017 12:00Z,a,b,1,1\n"
    with pytest.raises(DataError, match="row 2: expected dates whose order of day and month another date"):
        parse_trades(io.StringIO(header + text))
    month, day = (b, a) if day_first else (a, b)
    decisive = f"25{mark}03{mark}2017 12:00Z,a,b,1,1\n" if day_first else f"03{mark}25{mark}2017 12:00Z,a,b,1,1\n"
    for found in (
        parse_trades(io.StringIO(header + text), day_first=day_first),
        parse_trades(io.StringIO(header + text + decisive)),
        parse_trades(io.StringIO(header + decisive + text)).iloc[::-1],
    ):
        assert found.time.iloc[0] == pd.Timestamp(2017, month, day, 12, tz="UTC")


@given(
    st.lists(st.integers(1_000, 999_999), min_size=1, max_size=5),
    st.sampled_from(",."),
    st.sampled_from([";", "\t", "|"]),
)
def test_numbers_that_may_be_two_are_refused_until_one_decides(values: list[int], mark: str, separator: str) -> None:
    """1,234 may be 1.234 and 1234: another number of the file decides."""
    header = separator.join(["time", "seller", "buyer", "energy_wh", "price_ueur_per_kwh"]) + "\n"
    cells = [f"{value:,}".replace(",", mark) for value in values]
    times = [f"{BEGIN + timedelta(hours=k):%Y-%m-%dT%H:%MZ}" for k in range(len(cells))]

    def table(price: str) -> str:
        return header + "".join(
            separator.join([t, "a", "b", cell, price]) + "\n" for t, cell in zip(times, cells, strict=True)
        )

    with pytest.raises(DataError, match="'energy_wh', row 2: expected a number that can be read in one way only"):
        parse_trades(io.StringIO(table("5")))
    other = "." if mark == "," else ","
    as_thousands = parse_trades(io.StringIO(table(f"5{other}0")))
    assert as_thousands.energy_wh.tolist() == values
    as_decimals = parse_trades(io.StringIO(table(f"5{mark}0")))
    assert as_decimals.energy_wh.tolist() == np.rint(np.array(values) / 1000).astype(int).tolist()
