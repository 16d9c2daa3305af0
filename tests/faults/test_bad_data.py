"""Bad files: each gives one DataError that names file, column and row, what was expected and what was got."""

import io

import pytest

from data.errors import DataError
from data.tables import parse_profiles, parse_trades, read_profiles, read_trades

HEADER = "time,participant,load_wh,pv_wh,price_eur_per_kwh"
ROWS = (
    "2017-01-01T00:00Z,a,500,0,0.05",
    "2017-01-01T00:00Z,b,600,0,0.05",
    "2017-01-01T01:00Z,a,510,10,0.06",
    "2017-01-01T01:00Z,b,610,20,0.06",
    "2017-01-01T02:00Z,a,520,30,0.07",
    "2017-01-01T02:00Z,b,620,40,0.07",
)


def profiles(*rows, header=HEADER, **options):
    return parse_profiles(io.StringIO("\n".join([header, *rows])), "p.csv", **options)


def changed(row, old, new):
    """The good rows with one of them altered; row counts as in the file, the header being row 1."""
    rows = list(ROWS)
    assert old in rows[row - 2]
    rows[row - 2] = rows[row - 2].replace(old, new, 1)
    return rows


def local(*hours):
    return [f"2017-10-29T{hour}:00,a,1,0,0.1" for hour in hours]


def test_the_good_rows_are_good():
    assert profiles(*ROWS).load_wh.sum() == 3360


BAD_PROFILES = {
    "empty": ([], {"header": ""}, "p.csv: expected a header and rows, got an empty file"),
    "no rows": ([], {}, "p.csv: expected at least one row, got none"),
    "no time": (ROWS, {"header": HEADER.replace("time", "hour")}, "column 'hour': expected one of time, "),
    "no participant": (
        ["2017-01-01,1"],
        {"header": "time,load_wh"},
        "expected a column 'participant', got time",
    ),
    "no load": (
        ["2017-01-01,a,1"],
        {"header": "time,participant,pv_wh"},
        "one of the columns load_wh, .* got none",
    ),
    "two loads": (
        ["2017-01-01,a,1,1"],
        {"header": "time,participant,load_wh,load_kw"},
        "got load_wh, load_kw; remove the others",
    ),
    "misspelt column": (ROWS, {"header": HEADER.replace("pv_wh", "pw_wh")}, r"'pw_wh': .*nearest: 'pv_wh'"),
    "no number": (
        changed(4, "510", "much"),
        {},
        "'load_wh', row 4: expected a finite number of Wh >= 0, got 'much'",
    ),
    "nan": (changed(4, "510", "nan"), {}, "column 'load_wh', row 4: .*got 'nan'"),
    "nothing": (changed(5, "610", ""), {}, "column 'load_wh', row 5: .*got nothing; fill"),
    "infinite": (changed(5, ",20,", ",inf,"), {}, "column 'pv_wh', row 5: .*got 'inf'"),
    "negative": (changed(6, ",30,", ",-30,"), {}, "column 'pv_wh', row 6: .*got '-30'"),
    "MWh-sized": (
        changed(2, "500", "10000001"),
        {},
        "row 2: expected at most 10,000,000 Wh, got '10000001'; the limit is 10",
    ),
    "kWh-sized": (
        ["2017-01-01T00:00Z,a,500,0.1", "2017-01-01T01:00Z,a,50000,0.1"],
        {"header": "time,participant,load_kwh,price_eur_per_kwh"},
        "row 3: expected at most 10,000 kWh, got '50000'",
    ),
    "duplicate": ((*ROWS, ROWS[5]), {}, "column 'time', row 8: expected each time once for 'b'"),
    "backwards": (
        ROWS[4:] + ROWS[:4],
        {},
        "column 'time', row 4: expected each time later than the row before for 'a'",
    ),
    "missing pair": (
        ROWS[:3] + ROWS[4:],
        {},
        "got none for 2017-01-01T01:00:00 UTC and 'b' .1 such rows missing",
    ),
    "gap": (
        (*ROWS, ROWS[4].replace("02", "05"), ROWS[5].replace("02", "05")),
        {},
        "got nothing between 2017-01-01T02",
    ),
    "odd step": (
        changed(4, "01:00", "00:20")[:1:2] + changed(4, "01:00", "00:20")[2:3],
        {},
        "got 20 minutes from",
    ),
    "two-hourly": (ROWS[0:1] + ROWS[4:5], {}, "expected a row every 1, 5, 10, 15, 30 or 60 minutes, got 120 minutes"),
    "one time": (ROWS[:2], {}, "expected at least two times, got one"),
    "no such time": (
        changed(3, "2017-01-01", "2017-02-30"),
        {},
        "'time', row 3: expected a time like 2017.*got '2017-02-30",
    ),
    "local habit": (
        changed(3, "2017-01-01T00:00Z", "01.02.2017 00:00"),
        {},
        "row 3: expected dates written alike, got '01.02.2017 00:00'",
    ),
    "no time at all": (
        changed(3, "2017-01-01T00:00Z", ""),
        {},
        "'time', row 3: expected a time, got nothing",
    ),
    "mixed offsets": (
        changed(4, "Z", ""),
        {},
        "'time', row 4: expected times that all have an offset or none",
    ),
    "hour twice": (
        local("01", "02", "03"),
        {"timezone": "Europe/Madrid"},
        "row 3: expected a time that occurs once",
    ),
    "hour never": (
        [row.replace("10-29", "03-26") for row in local("01", "02", "03")],
        {"timezone": "Europe/Madrid"},
        "row 3: expected a time that occurs in Europe/Madrid",
    ),
    "no such zone": (
        ROWS,
        {"timezone": "Mars/Olympus"},
        "timezone: expected a name like .* got 'Mars/Olympus'",
    ),
    "no name": (changed(3, ",b,", ",,"), {}, "column 'participant', row 3: expected a name .* got nothing"),
    "space in name": (changed(3, ",b,", ", b,"), {}, "column 'participant', row 3: .*got ' b'"),
    "two prices at a time": (
        changed(5, "0.06", "0.061"),
        {},
        "'price_eur_per_kwh', row 5: expected the same price",
    ),
    "price in another unit": (
        changed(5, "0.06", "56.5"),
        {},
        "row 5: expected at most 10 EUR/kWh, got '56.5'; .*unit",
    ),
    "negative price": (changed(5, "0.06", "-0.06"), {}, "'price_eur_per_kwh', row 5: .*got '-0.06'"),
    "price twice over": (
        ROWS,
        {"price_eur_per_kwh": 0.1},
        "got the column price_eur_per_kwh and a constant price",
    ),
    "no price": (
        ["2017-01-01,a,1"],
        {"header": "time,participant,load_wh", "interval_minutes": 60},
        "source .* got none",
    ),
    "absurd constant": (
        ["2017-01-01,a,1"],
        {"header": "time,participant,load_wh", "interval_minutes": 60, "price_eur_per_kwh": 11.0},
        "expected a constant price from 0 to 10 EUR/kWh, got 11",
    ),
    "odd interval wanted": (ROWS, {"interval_minutes": 45}, "1, 5, 10, 15, 30 or 60 minutes, got 45"),
    "hours not full": (
        [f"2017-01-01T{at}Z,a,1,1,0.1" for at in ("00:30", "01:00", "01:30", "02:00")],
        {"interval_minutes": 60},
        "expected a begin at a full 60 minutes .* got 4 intervals from 2017-01-01T00:30:00",
    ),
    "too many values": (changed(4, "510", "5,10"), {}, "row 4: expected as many values as in the header, 5, got 6"),
    "wide, unknown": (
        ["2017-01-01,1"],
        {"header": "time,a.lod_wh"},
        "column 'a.lod_wh': .*nearest: 'a.load_wh'",
    ),
    "wide, no load": (
        ["2017-01-01,1"],
        {"header": "time,a.pv_wh", "interval_minutes": 60},
        "of the columns a.load_wh",
    ),
    "wide, duplicate": (
        ["2017-01-01,1,0.1", "2017-01-01,2,0.1"],
        {"header": "time,a.load_wh,price_eur_per_kwh"},
        "row 3: expected each time once for 'every participant'",
    ),
    "wide, nan": (
        ["2017-01-01T00:00,1,0.1", "2017-01-01T01:00,,0.1"],
        {"header": "time,a.load_kw,price_eur_per_kwh"},
        "column 'a.load_kw', row 3: .*got nothing",
    ),
}


@pytest.mark.parametrize(("rows", "options", "message"), BAD_PROFILES.values(), ids=BAD_PROFILES.keys())
def test_bad_profiles(rows, options, message):
    with pytest.raises(DataError, match=message):
        profiles(*rows, **options)


TRADES = (
    "2017-06-01T12:00Z,a,b,1.5,0.11",
    "2017-06-01T12:00Z,a,grid,0.25,0.05",
    "2017-06-01T13:00Z,grid,c,0.75,0.3",
)
TRADE_HEADER = "time,seller,buyer,energy_kwh,price_eur_per_kwh"


def changed_trade(row, old, new):
    rows = list(TRADES)
    assert old in rows[row - 2]
    rows[row - 2] = rows[row - 2].replace(old, new, 1)
    return rows


BAD_TRADES = {
    "empty": ([], "", "t.csv: expected a header and rows"),
    "no rows": ([], TRADE_HEADER, "t.csv: expected at least one row"),
    "no seller": (["2017-06-01,b,1,0.1"], TRADE_HEADER.replace("seller,", ""), "expected a column 'seller'"),
    "no energy": (
        ["2017-06-01,a,b,0.1"],
        TRADE_HEADER.replace("energy_kwh,", ""),
        "energy_wh, energy_kwh, got none",
    ),
    "no price": (
        ["2017-06-01,a,b,1"],
        TRADE_HEADER.replace(",price_eur_per_kwh", ""),
        "price_ueur_per_kwh, got none",
    ),
    "unknown column": (TRADES, TRADE_HEADER.replace("buyer", "byer"), "a column 'buyer', got .*nearest: 'byer'"),
    "two energies": (
        ["2017-06-01,a,b,1,1,0.1"],
        TRADE_HEADER.replace("energy_kwh", "energy_kwh,energy_wh"),
        "got energy_wh, energy_kwh; remove the other",
    ),
    "two prices": (
        ["2017-06-01,a,b,1,0.1,100"],
        TRADE_HEADER + ",price_eur_per_mwh",
        "expected one of the columns price_eur.* got price_eur_per_kwh, price_eur_per_mwh; remove",
    ),
    "negative energy": (
        changed_trade(3, "0.25", "-0.25"),
        TRADE_HEADER,
        "'energy_kwh', row 3: .*got '-0.25'",
    ),
    "no energy value": (changed_trade(3, "0.25", ""), TRADE_HEADER, "'energy_kwh', row 3: .*got nothing"),
    "nan energy": (changed_trade(3, "0.25", "NaN"), TRADE_HEADER, "'energy_kwh', row 3: .*got 'NaN'"),
    "MWh as kWh": (
        changed_trade(2, "1.5", "0.00015"),
        TRADE_HEADER,
        "row 2: expected 0 or more than half a Wh",
    ),
    "Wh as kWh": (
        changed_trade(2, "1.5", "1500"),
        TRADE_HEADER,
        "row 2: expected at most 1,000 kWh, got '1500'",
    ),
    "price far below zero": (
        changed_trade(4, "0.3", "-300"),
        TRADE_HEADER,
        "'price_eur_per_kwh', row 4: expected a finite number of EUR/kWh >= -10, got '-300'",
    ),
    "EUR/MWh as EUR/kWh": (
        changed_trade(4, "0.3", "300"),
        TRADE_HEADER,
        "row 4: expected at most 10 EUR/kWh",
    ),
    "seller is buyer": (
        changed_trade(2, ",b,", ",a,"),
        TRADE_HEADER,
        "'buyer', row 2: expected a buyer other",
    ),
    "grid to grid": (changed_trade(4, ",c,", ",grid,"), TRADE_HEADER, "'buyer', row 4: .*got 'grid'"),
    "no such time": (
        changed_trade(3, "T12:00", "T25:00"),
        TRADE_HEADER,
        "'time', row 3: .*got '2017-06-01T25:00Z'",
    ),
    "no buyer": (changed_trade(3, "grid", ""), TRADE_HEADER, "'buyer', row 3: expected a name"),
    "too many values": (
        changed_trade(3, "0.25", "0,25"),
        TRADE_HEADER,
        "row 3: expected as many values as in the header",
    ),
}


@pytest.mark.parametrize(("rows", "header", "message"), BAD_TRADES.values(), ids=BAD_TRADES.keys())
def test_bad_trades(rows, header, message):
    with pytest.raises(DataError, match=message):
        parse_trades(io.StringIO("\n".join([header, *rows])), "t.csv")


def test_good_trades_are_good():
    assert len(parse_trades(io.StringIO("\n".join([TRADE_HEADER, *TRADES])))) == 3


FILES = {
    "no_text.csv": (
        b"time,participant,l\x81st\n",
        "no_text.csv: expected text in UTF-8, UTF-16 or Windows-1252, got other bytes .byte 18.; save it as UTF-8",
    ),
    "table.parquet": (b"time,participant\n", "table.parquet: expected a readable Parquet file"),
    "picture.csv": (b"\x89PNG\r\n\x1a\n\x00\x00\xff", "picture.csv, line 2: expected text, got the control character"),
    "letter.csv": (b"Dear Sir or Madam\nhello\n", "letter.csv.*: expected .*time"),
    "empty.csv": (b"", "empty.csv: expected a header and rows"),
    "blank.csv": (b"\n\n\n", "blank.csv: expected a header and rows"),
}


@pytest.mark.parametrize("read", [read_profiles, read_trades])
@pytest.mark.parametrize(("name", "content", "message"), [(k, *v) for k, v in FILES.items()], ids=FILES.keys())
def test_bad_files(tmp_path, read, name, content, message):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=message):
        read(tmp_path / name)


@pytest.mark.parametrize("read", [read_profiles, read_trades])
@pytest.mark.parametrize("name", ["nowhere.csv", "nowhere.parquet"])
def test_missing_files(tmp_path, read, name):
    with pytest.raises(DataError, match=f"{name}: expected a file, found none; check the path"):
        read(tmp_path / name)


def test_a_folder_is_no_file(tmp_path):
    with pytest.raises(DataError, match="expected a file, got a folder"):
        read_profiles(tmp_path)


def test_bad_price_files(tmp_path):
    table, prices = tmp_path / "p.csv", tmp_path / "prices.csv"
    table.write_text("time,participant,load_wh\n2017-01-01T00:00Z,a,1\n2017-01-01T01:00Z,a,1\n")
    cases = {
        "time,price_eur_per_kwh\n2017-01-01T00:00Z,0.1\n2017-01-01T00:00Z,0.1": "row 3: expected rising times",
        "time,price_eur_per_kwh\n2017-01-01T00:30Z,0.1\n2017-01-01T01:30Z,0.1": "got none for 2017-01-01T00:00:00",
        "time,price\n2017-01-01T00:30Z,0.1": "'price': .*nearest: 'price_eur_per_",
        "time,price_eur_per_kwh,x\n2017-01-01T00:30Z,0.1,1": "prices.csv, column 'x'",
        "time,price_eur_per_kwh\n2017-01-01T00:00Z,\n2017-01-01T01:00Z,0.1": "row 2: .*got nothing",
    }
    for text, message in cases.items():
        prices.write_text(text)
        with pytest.raises(DataError, match=message):
            read_profiles(table, prices=prices)
