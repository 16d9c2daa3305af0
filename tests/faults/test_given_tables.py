"""Tables as ordinary tools write them, each through `gridsettle validate`: understood and said, or refused by name."""

from __future__ import annotations

import bz2
import gzip
import json
import lzma
import random
import zipfile
from collections.abc import Callable
from pathlib import Path

import pandapower as pp
import pandas as pd
import pytest
from click.testing import Result
from typer.testing import CliRunner

from cosim.cli.app import app
from data.errors import DataError
from data.raw_text import read_text
from data.trades import read_trades

pytestmark = pytest.mark.slow  # each makes a run

INPUTS = Path(__file__).parent / "inputs" / "tables"
PLAIN = "time,seller,buyer,energy_kwh,price_eur_per_kwh\n2017-06-01T12:00Z,house a,house b,20,0.12\n"


@pytest.fixture(scope="module")
def net(tmp_path_factory: pytest.TempPathFactory) -> Path:
    net = pp.create_empty_network()
    medium, low = pp.create_bus(net, 20.0), pp.create_bus(net, 0.4)
    pp.create_ext_grid(net, medium)
    pp.create_transformer(net, medium, low, "0.25 MVA 20/0.4 kV")
    for name in ("house a", "house b", "Müller"):
        pp.create_line(net, low, pp.create_bus(net, 0.4, name=name), 0.05, "NAYY 4x150 SE")
    path = tmp_path_factory.mktemp("net") / "net.json"
    pp.to_json(net, str(path))
    return path


def judge(net: Path, trades: Path, *options: str) -> Result:
    return CliRunner().invoke(app, ["validate", "--net", str(net), "--trades", str(trades), *options])


def notes(net: Path, trades: Path, *options: str) -> tuple[str, list[dict]]:
    """What was said of the inputs, and the judged trades; on screen and in the summary it is the same."""
    shown = judge(net, trades, *options)
    assert shown.exit_code == 0, shown.output
    out = trades.parent / f"{trades.name}-judged"
    told = judge(net, trades, *options, "--json", "--out", str(out))
    said = json.loads(told.stdout)["notes"]
    assert all(f"note: {note}" in shown.stdout for note in said)
    assert json.loads((out / "summary.json").read_text())["notes"] == said
    return " ".join(said), pd.read_csv(out / "trades.csv", dtype={"trade_id": str}).to_dict("records")


def given(tmp_path: Path, name: str) -> Path:
    copy = tmp_path / name
    copy.write_bytes((INPUTS / name).read_bytes())
    return copy


def refused(run: Result, *words: str) -> None:
    assert run.exit_code == 2, run.output
    assert not isinstance(run.exception, Exception) or isinstance(run.exception, SystemExit)
    lines = run.stderr.strip().splitlines()
    assert len([line for line in lines if line.startswith("gridsettle: ")]) == 1
    for word in words:
        assert word in run.stderr
    assert "pandas" not in run.stderr
    assert "codec" not in run.stderr
    assert "Error tokenizing" not in run.stderr


def test_plain_tables_have_nothing_to_say(net: Path, tmp_path: Path) -> None:
    (tmp_path / "plain.csv").write_text(PLAIN)
    assert notes(net, tmp_path / "plain.csv")[0] == ""


def test_other_columns_are_carried_through_as_they_are(net: Path, tmp_path: Path) -> None:
    said, trades = notes(net, given(tmp_path, "extra.csv"))
    assert "carried through: trade_id, note" in said
    assert (trades[0]["trade_id"], trades[0]["note"], trades[0]["status"]) == ("007", "x", "accepted")


@pytest.mark.parametrize(
    "column",
    ["cos_phi", "Cos Phi", "cosφ", "q_kvar", "energy_kvarh", "power_factor", "pf", "Q", "reactive energy", "var"],
)
def test_reactive_power_of_trades_is_refused_by_name(net: Path, tmp_path: Path, column: str) -> None:
    head, *rows = PLAIN.strip().splitlines()
    text = "\n".join([f"{head},{column}", *(f"{row},0.9" for row in rows)])
    (tmp_path / "trades.csv").write_text(text + "\n", encoding="utf-8")
    refused(judge(net, tmp_path / "trades.csv"), f"column {column}: expected trades of active energy", "--load-cos-phi")


def test_columns_that_sound_like_reactive_power_are_carried_through(net: Path, tmp_path: Path) -> None:
    head, *rows = PLAIN.strip().splitlines()
    text = "\n".join([f"{head},variant,quarter,faq", *(f"{row},1,2,3" for row in rows)])
    (tmp_path / "trades.csv").write_text(text + "\n")
    assert (
        "carried through: variant, quarter, faq (no answer depends on them)" in notes(net, tmp_path / "trades.csv")[0]
    )


def test_equal_rows_are_two_trades(net: Path, tmp_path: Path) -> None:
    said, trades = notes(net, given(tmp_path, "equal_rows.csv"))
    assert "rows that equal an earlier one, each a trade: 1 (the first is row 3)" in said
    assert [trade["delivered_wh"] for trade in trades] == [2000, 2000]


@pytest.mark.slow
def test_negative_prices_are_prices(net: Path, tmp_path: Path) -> None:
    said, trades = notes(net, given(tmp_path, "negative_price.csv"))
    assert said == ""
    assert trades[0]["amount_neur"] == -2000 * 50_000


@pytest.mark.slow
def test_a_negative_price_is_paid_for_what_is_delivered_of_a_curtailed_trade(net: Path, tmp_path: Path) -> None:
    text = PLAIN + "2017-06-01T12:00Z,house a,grid,900,-0.05\n"
    (tmp_path / "t.csv").write_text(text)
    _, trades = notes(net, tmp_path / "t.csv")
    cut = trades[1]
    assert cut["status"] == "curtailed"
    assert 0 < cut["delivered_wh"] < 900_000
    assert cut["amount_neur"] == -50_000 * cut["delivered_wh"]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["german.csv", "excel.csv"])
def test_decimal_commas_and_german_dates_are_understood_and_said(net: Path, tmp_path: Path, name: str) -> None:
    said, trades = notes(net, given(tmp_path, name), "--timezone", "Europe/Berlin")
    assert (trades[0]["time"], trades[0]["energy_wh"]) == ("2017-06-01 10:00:00+00:00", 20_500)
    assert trades[0]["price_ueur_per_kwh"] == 120_000
    for part in (
        "columns separated by semicolons",
        "decimal commas ('20,5' is 20.5)",
        "dates with the day first ('01.06.2017 12:00' is 2017-06-01 12:00)",
        "times without an offset on the clock of Europe/Berlin",
    ):
        assert part in said


def test_semicolons_with_points_are_understood_and_said(net: Path, tmp_path: Path) -> None:
    said, trades = notes(net, given(tmp_path, "semicolons.csv"))
    assert said == "semicolons.csv: columns separated by semicolons"
    assert (trades[0]["energy_wh"], trades[0]["price_ueur_per_kwh"]) == (20_000, 120_000)


@pytest.mark.parametrize("kind", ["gz", "bz2", "xz", "zip"])
def test_compressed_tables_are_read(net: Path, tmp_path: Path, kind: str) -> None:
    path, content = tmp_path / f"trades.csv.{kind}", PLAIN.encode()
    if kind == "zip":
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("trades.csv", content)
    else:
        path.write_bytes({"gz": gzip, "bz2": bz2, "xz": lzma}[kind].compress(content))
    said, trades = notes(net, path)
    assert "read as " in said
    assert trades[0]["delivered_wh"] == 20_000


@pytest.mark.slow
@pytest.mark.parametrize(
    ("encoding", "name"),
    [("latin-1", "Windows-1252"), ("cp1252", "Windows-1252"), ("utf-16", "UTF-16"), ("utf-16-le", "UTF-16")],
)
def test_other_encodings_are_read_and_said_with_a_word(net: Path, tmp_path: Path, encoding: str, name: str) -> None:
    path = tmp_path / "t.csv"
    path.write_bytes(PLAIN.replace("house a", "Müller").encode(encoding))
    said, trades = notes(net, path)
    assert f"read as {name} text (with 'Müller')" in said
    assert trades[0]["seller"] == "Müller"


def test_an_offset_of_hours_is_an_offset(net: Path, tmp_path: Path) -> None:
    said, trades = notes(net, given(tmp_path, "offset_hours_only.csv"), "--timezone", "Europe/Berlin")
    assert (trades[0]["time"], said) == ("2017-06-01 10:00:00+00:00", "")


def test_both_hours_of_autumn_are_told_by_the_order_of_the_rows(net: Path, tmp_path: Path) -> None:
    said, trades = notes(net, given(tmp_path, "autumn.csv"), "--timezone", "Europe/Berlin")
    times = pd.to_datetime([trade["time"] for trade in trades])
    assert (times == pd.date_range("2017-10-28T22:00Z", periods=20, freq="15min")).all()
    assert "the repeated hour of 2017-10-29 told by the order of the rows" in said
    assert "intervals of 15 minutes" in said


def test_an_autumn_night_without_a_time_zone_is_refused_by_name(net: Path, tmp_path: Path) -> None:
    run = judge(net, given(tmp_path, "autumn.csv"))
    refused(run, "autumn.csv, column 'time', row 14", "'2017-10-29 02:00:00'", "--timezone")


def test_a_column_named_twice_is_named(net: Path, tmp_path: Path) -> None:
    (tmp_path / "plain.csv").write_text(PLAIN)
    run = judge(net, tmp_path / "plain.csv", "--profiles", str(given(tmp_path, "two_pv_columns.csv")))
    refused(run, "two_pv_columns.csv, column 'pv_kwh'", "column 4 and again in column 5", "rename, add up or remove")


@pytest.mark.slow
def test_an_ambiguous_date_is_refused_and_an_option_decides(net: Path, tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text(PLAIN.replace("2017-06-01T12:00Z", "03/04/2017 12:00Z"))
    refused(judge(net, path), "t.csv, column 'time', row 2", "'03/04/2017 12:00Z'", "--day-first or --month-first")
    said, trades = notes(net, path, "--day-first")
    assert trades[0]["time"] == "2017-04-03 12:00:00+00:00"
    assert "dates with the day first ('03/04/2017 12:00Z' is 2017-04-03 12:00)" in said
    (tmp_path / "us").mkdir()
    other = tmp_path / "us" / "t.csv"
    other.write_text(path.read_text())
    assert notes(net, other, "--month-first")[1][0]["time"] == "2017-03-04 12:00:00+00:00"


def test_a_day_above_12_elsewhere_decides(net: Path, tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    first = PLAIN.replace("2017-06-01T12:00Z", "03/04/2017 12:00Z")
    path.write_text(first + "13/04/2017 12:00Z,house a,house b,20,0.12\n")
    assert notes(net, path)[1][0]["time"] == "2017-04-03 12:00:00+00:00"
    refused(judge(net, path, "--month-first"), "row 3", "a date with the month first, as was asked for")
    path.write_text(first + "13/04/2017 12:00Z,house a,house b,20,0.12\n04/13/2017 12:00Z,house a,house b,20,0.12\n")
    refused(judge(net, path), "row 4", "'04/13/2017 12:00Z'")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"PK\x03\x04broken", ("zip archive",)),
        (gzip.compress(PLAIN.encode())[:-12], ("whole gzip file", "damaged")),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", ("an Excel workbook",)),
        (b"PAR1xxxxPAR1", ("a Parquet file", ".parquet")),
        (PLAIN.replace("20,", "1 kWh,").encode(), ("'energy_kwh', row 2", "'1 kWh'")),
        (PLAIN.replace("20,", "\u0663,").encode(), ("'energy_kwh', row 2", "'\u0663'")),
        (PLAIN.replace("2017", "9999").encode(), ("'time', row 2", "from 1900 to 2200", "'9999-06-01T12:00Z'")),
        (PLAIN.replace("2017-06-01T12:00Z", "0001-01-01T00:00+14").encode(), ("'time', row 2", "from 1900 to 2200")),
        (PLAIN.replace("20,", ',"').encode(), ("row 2", "quotes that are closed")),
        (PLAIN.replace("house b", "h\x00").encode(), ("line 2", "control character U+0000")),
    ],
    ids=[
        "zip",
        "gzip",
        "excel",
        "parquet",
        "unit in a cell",
        "other digits",
        "year 9999",
        "year 1",
        "open quote",
        "nul",
    ],
)
def test_what_is_no_such_table_is_refused_by_name(
    net: Path, tmp_path: Path, content: bytes, words: tuple[str, ...]
) -> None:
    path = tmp_path / "t.csv"
    path.write_bytes(content)
    refused(judge(net, path), "t.csv", *words)


def test_an_archive_of_two_files_is_refused_by_name(net: Path, tmp_path: Path) -> None:
    path = tmp_path / "t.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.csv", PLAIN)
        archive.writestr("b.csv", PLAIN)
    refused(judge(net, path), "expected a zip archive of one file, got 2 (a.csv, b.csv)")


def test_a_small_file_cannot_fill_the_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("data.raw_text.MAX_BYTES", 1_000_000)
    path = tmp_path / "bomb.csv.gz"
    path.write_bytes(gzip.compress(b" " * 50_000_000))
    with pytest.raises(ValueError, match="expected at most 1,000,000 bytes of text, got more"):
        read_text(path)


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress, lzma.compress])
def test_text_that_unpacks_to_hundreds_of_times_its_file_is_refused_on_the_way(
    pack: Callable[[bytes], bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("data.raw_text.FREE_BYTES", 1_000_000)
    path = tmp_path / "bomb.csv.gz"
    path.write_bytes(pack(b" " * 20_000_000))
    with pytest.raises(ValueError, match="expected text at most 200 times as long as its compressed file, got more"):
        read_text(path)


@pytest.mark.slow
def test_an_answer_can_be_judged_again(net: Path, tmp_path: Path) -> None:
    (tmp_path / "plain.csv").write_text(PLAIN)
    notes(net, tmp_path / "plain.csv")
    answer = tmp_path / "plain.csv-judged" / "trades.csv"
    said, trades = notes(net, answer)
    assert (trades[0]["status"], trades[0]["given_status"], trades[0]["given_row"]) == ("accepted", "accepted", 2)
    assert "column 'status' of the trades is carried as 'given_status'" in said


TOKENS = (
    b";",
    b",",
    b'"',
    b"\n",
    b"\r",
    b"\x00",
    b"\xff",
    b".",
    b"1e999",
    b"NaN",
    b"9" * 30,
    b"+99:99",
    b"sep=;\n",
    b"PK\x03\x04",
)


def mutate(content: bytes, rng: random.Random) -> bytes:
    """The content with a token more, a few bytes less, another byte, or a part of it repeated."""
    at, other = sorted((rng.randrange(len(content) + 1), rng.randrange(len(content) + 1)))
    return rng.choice(
        (
            content[:at] + rng.choice(TOKENS) + content[at:],
            content[:at] + content[at + 5 :],
            content[:at] + bytes([rng.randrange(256)]) + content[at + 1 :],
            content[:other] + content[at:other][:60] + content[other:],
        )
    )


def test_damaged_tables_are_read_or_refused_in_our_own_words(tmp_path: Path) -> None:
    seeds = [path.read_bytes() for path in sorted(INPUTS.glob("*.csv"))]
    seeds += [gzip.compress(seeds[0]), seeds[0].decode().encode("utf-16")]
    rng, path, read, messages = random.Random(1), tmp_path / "t.csv", 0, []
    for _ in range(1000):
        path.write_bytes(mutate(rng.choice(seeds), rng))
        try:
            read_trades(path, timezone=rng.choice(("UTC", "Europe/Berlin")))
            read += 1
        except DataError as reason:
            messages.append(str(reason))
    assert not [text for text in messages if any(word in text for word in ("pandas", "codec", "okeniz", "convert it"))]
    assert 50 < read < 950
