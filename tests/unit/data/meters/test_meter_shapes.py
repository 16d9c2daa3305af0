"""Files of meters in the shapes that people have: energies sum to the Wh, and the account says what became of each."""

from __future__ import annotations

import gzip
from fractions import Fraction
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data.errors import DataError
from data.meters.account import sum_account
from data.meters.cells import spread_energies
from data.meters.energies import UJ_PER_WH, Energies
from data.meters.files import parse_meters
from data.meters.importing import Metered, import_meters, join_files
from data.meters.layouts.dsmr import find_crc16
from data.meters.layouts.hours import place_hours
from data.meters.told import Told
from data.meters.writing import make_profile_table, write_profile_table
from data.tables import read_profiles

MADRID = Told(timezone="Europe/Madrid", stamp="start")
UTC = Told(timezone="UTC", stamp="start")
SILENT = Told()
QUARTERS = ["00:00", "00:15", "00:30", "00:45"]


def read(text: str, told: Told = SILENT) -> Metered:
    return join_files([parse_meters(text, "m.csv", "m", told)], told)


def energies(found: Metered) -> list[int]:
    return found.load_wh[:, 0].tolist()


def counts(found: Metered) -> dict[str, int]:
    return sum_account(found.account).iloc[0].to_dict()


def rows(*pairs: tuple[str, object], head: str = "time,load_kwh") -> str:
    return "\n".join([head, *(f"{time},{value}" for time, value in pairs)]) + "\n"


def local_hours(count: int, *, day: str) -> list[str]:
    """What the clock of Madrid shows at `count` hours from local midnight."""
    begin = np.datetime64(day)
    index = pd.date_range(pd.Timestamp(begin).tz_localize("Europe/Madrid"), periods=count, freq="h")
    return [f"{time:%Y-%m-%d %H:%M}" for time in index]


def test_semicolons_decimal_commas_and_thousands() -> None:
    found = read("Zeit;Verbrauch kWh\n01.06.2024 00:00;1.234,5\n01.06.2024 00:15;0,3\n01.06.2024 00:30;0,2\n", MADRID)
    assert energies(found) == [1_234_500, 300, 200]
    assert any("import" in each for each in found.said)


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "cp1252"])
def test_encodings_and_compression(encoding: str, tmp_path: Path) -> None:
    text = "Zählpunkt;Zeit;kWh\nhäuschen;2024-06-01 00:00;1\nhäuschen;2024-06-01 00:15;2\n"
    path = tmp_path / "x.csv.gz"
    path.write_bytes(gzip.compress(text.encode(encoding)))
    found = import_meters([path], MADRID)
    assert found.meters == ("häuschen",)
    assert energies(found) == [1000, 2000]


@pytest.mark.parametrize(("day", "hours"), [("2024-03-31", 23), ("2024-10-27", 25)])
def test_days_on_which_clocks_are_turned(day: str, hours: int) -> None:
    found = read(
        rows(*((time, k) for k, time in enumerate(local_hours(hours, day=day)))), MADRID._replace(kind="interval")
    )
    assert energies(found) == [1000 * k for k in range(hours)]


def test_the_repeated_hour_told_by_a_flag() -> None:
    text = "time,dst,load_kwh\n" + "".join(
        f"2024-10-27 {time},{dst},{k}\n"
        for k, (time, dst) in enumerate([("03:00", 0), ("02:00", 0), ("02:00", 1), ("01:00", 1)])
    )
    assert energies(read(text, MADRID)) == [3000, 2000, 1000, 0]


def test_the_repeated_hour_told_by_offsets() -> None:
    text = rows(("2024-10-27T02:00+02:00", 1), ("2024-10-27T02:00+01:00", 2), ("2024-10-27T03:00+01:00", 4))
    assert energies(read(text, Told(stamp="start"))) == [1000, 2000, 4000]


def test_a_repeated_hour_that_nothing_tells_apart_is_refused() -> None:
    with pytest.raises(DataError, match="occurs once"):
        read(rows(("2024-10-27 02:00", 1), ("2024-10-27 03:00", 2), ("2024-10-27 04:00", 3)), MADRID)


@pytest.mark.parametrize(
    ("day", "numbers"),
    [
        ("27/10/2024", [*range(1, 26)]),
        ("27/10/2024", [1, 2, 3, 3, *range(4, 25)]),
        ("31/03/2024", [*range(1, 24)]),
        ("31/03/2024", [1, 2, *range(4, 25)]),
        ("30/03/2024", [*range(1, 25)]),
    ],
)
def test_hours_by_their_numbers(day: str, numbers: list[int]) -> None:
    before = f"{int(day[:2]) - 1:02}{day[2:]}"
    text = f"CUPS;Fecha;Hora;Consumo_kWh\nE;{before};24;1,5\n"
    text += "".join(f"E;{day};{n};0,{k:03}\n" for k, n in enumerate(numbers))
    found = read(text, Told(timezone="Europe/Madrid", kind="interval"))
    assert energies(found) == [1500, *range(len(numbers))]
    assert counts(found)["written_count"] == len(numbers) + 1


def test_a_day_of_25_hours_with_24_numbers_is_refused() -> None:
    hours = [0, 1, 2, 2, *range(3, 24)]
    assert place_hours(range(1, 25), hours) is None
    assert place_hours(range(1, 25), [0, 1, *range(3, 24)]) is None


def test_midnight_as_24_says_that_times_are_ends() -> None:
    found = read(rows(("2024-06-01 23:30", 1), ("2024-06-01 24:00", 2)), Told(timezone="UTC"))
    assert found.start == int(np.datetime64("2024-06-01T23:00", "s").astype(int))
    assert any("24:00" in each for each in found.said)


@pytest.mark.parametrize("factor", [1, 1000])
def test_epochs(factor: int) -> None:
    found = read(rows((1_717_200_000 * factor, 1), (1_717_200_900 * factor, 2)), Told(stamp="start"))
    assert energies(found) == [1000, 2000]
    assert found.start == 1_717_200_000


@pytest.mark.parametrize(("rule", "filled"), [("zero", [0, 0]), ("interpolate", [2000, 3000])])
def test_gaps_are_filled_by_the_rule_and_marked(rule: str, filled: list[int]) -> None:
    times = [f"2024-06-01T{h:02}:00Z" for h in (0, 1, 2, 3, 6, 7)]
    text = rows(*zip(times, (5, 3, 2, 1, 4, 1), strict=True))
    with pytest.raises(DataError, match=r"04:00:00Z to 2024-06-01T06:00:00Z.*--fill zero\|interpolate"):
        read(text, UTC)
    found = read(text, UTC._replace(fill=rule))
    assert energies(found) == [5000, 3000, 2000, 1000, *filled, 4000, 1000]
    line = next(line for line in found.account if line.what == "filled")
    assert (line.rule, line.begin, line.number, line.wh) == (rule, "2024-06-01T04:00:00Z", 2, sum(filled))


def test_a_gap_filled_from_the_week_before() -> None:
    begin = np.datetime64("2024-06-01T00:00")
    text = rows(*((f"{begin + np.timedelta64(h, 'h')}Z", h % 5) for h in range(200) if h not in (170, 171)))
    found = read(text, UTC._replace(fill="last-week"))
    assert energies(found)[170:172] == [1000 * (h % 5) for h in (2, 3)]


def test_equal_readings_count_once_and_unequal_ones_are_asked_about() -> None:
    pairs = [("2024-06-01T00:00Z", 2), ("2024-06-01T00:00Z", 2), ("2024-06-01T01:00Z", 1), ("2024-06-01T02:00Z", 3)]
    found = read(rows(*pairs), UTC)
    assert energies(found) == [2000, 1000, 3000]
    assert (counts(found)["refused_count"], counts(found)["refused_wh"]) == (1, 2000)
    pairs[1] = ("2024-06-01T00:00Z", 5)
    with pytest.raises(DataError, match="--duplicates first"):
        read(rows(*pairs), UTC)
    for rule, wh in (("first", 2000), ("last", 5000), ("sum", 7000)):
        assert energies(read(rows(*pairs), UTC._replace(duplicates=rule)))[0] == wh


def test_a_counter_that_rolls_over() -> None:
    text = rows(
        *((f"2024-06-01T0{h}:00Z", v) for h, v in enumerate((99_990, 99_998.5, 1.25, 7))), head="time,index_kwh"
    )
    found = read(text, Told(register_digits=5))
    assert energies(found) == [8500, 2750, 5750]
    assert "rolled over" in next(line.rule for line in found.account if line.what == "refused")


def test_a_counter_that_is_exchanged_is_refused_unless_told() -> None:
    text = rows(*((f"2024-06-01T0{h}:00Z", v) for h, v in enumerate((500, 501, 2, 4))), head="time,index_kwh")
    with pytest.raises(DataError, match="--register-reset zero"):
        read(text)
    assert energies(read(text, Told(register_reset="zero"))) == [1000, 2000, 2000]
    found = read(text, Told(register_reset="gap", fill="zero"))
    assert energies(found) == [1000, 0, 2000]


def test_energies_that_never_fall_may_be_a_counter() -> None:
    with pytest.raises(DataError, match=r"--kind interval\|register"):
        read(rows(*((f"2024-06-01T{h:02}:00Z", h) for h in range(12))), UTC)


def test_negative_readings_are_split_by_what_is_said_of_them() -> None:
    text = rows(("2024-06-01T00:00Z", 1), ("2024-06-01T01:00Z", -2), ("2024-06-01T02:00Z", 3), head="time,net_kwh")
    with pytest.raises(DataError, match=r"--positive import\|export"):
        read(text, UTC)
    found = read(text, UTC._replace(positive="import"))
    assert (energies(found), found.pv_wh[:, 0].tolist()) == ([1000, 0, 3000], [0, 2000, 0])
    found = read(text, UTC._replace(positive="export"))
    assert (energies(found), found.pv_wh[:, 0].tolist()) == ([0, 2000, 0], [1000, 0, 3000])


def test_an_option_on_counters_where_there_are_none_is_refused() -> None:
    with pytest.raises(DataError, match="--register-digits: expected a counter"):
        read(rows(("2024-06-01T00:00Z", 1), ("2024-06-01T01:00Z", 0)), UTC._replace(register_digits=5))


def test_not_a_microjoule_is_lost_between_intervals() -> None:
    half = np.array([UJ_PER_WH // 2])  # one less would be no Wh
    given_half = Energies("m", "import", np.array([57]), np.array([64]), half, half < 0, False)
    assert spread_energies(given_half, 60).wh.sum() == 1


def test_the_checksum_is_that_of_the_standard() -> None:
    assert find_crc16(b"123456789") == 0xBB3D  # check value of CRC-16/ARC


def test_kw_are_means_of_their_interval() -> None:
    text = rows(*((f"2024-06-01T{t}Z", v) for t, v in zip(QUARTERS, (0.4, 1, 0, 2), strict=True)), head="time,load_kw")
    assert energies(read(text, UTC)) == [100, 250, 0, 500]


def test_what_nothing_decides_is_asked_for() -> None:
    text = rows(("2024-06-01 00:00", 1), ("2024-06-01 01:00", 2), ("2024-06-01 02:00", 1), head="time,value")
    for told, option in (
        (Told(), "--unit"),
        (Told(unit="kWh"), "--timezone"),
        (Told(unit="kWh", timezone="UTC"), "--stamp"),
    ):
        with pytest.raises(DataError, match=option):
            read(text, told)
    assert energies(read(text, UTC._replace(unit="kWh"))) == [1000, 2000, 1000]


def test_a_header_and_an_option_that_contradict_each_other_are_refused() -> None:
    with pytest.raises(DataError, match="--unit says"):
        read(rows(("2024-06-01T00:00Z", 1), ("2024-06-01T01:00Z", 0)), UTC._replace(unit="kW"))


def test_lengths_that_change_are_read_where_a_column_says_them_and_refused_elsewhere() -> None:
    times = [f"2024-01-01T{m // 60:02}:{m % 60:02}Z" for m in (0, 10, 20, 30, 60, 90, 120)]
    text = rows(*zip(times, (6, 3, 0, 1, 2, 1, 4), strict=True), head="time,load_kw")
    with pytest.raises(DataError, match="length changes"):
        read(text, UTC)
    steps = ["pas", *["PT10M"] * 3, *["PT30M"] * 4]
    lines = [f"{line},{step}" for line, step in zip(text.splitlines(), steps, strict=True)]
    found = read("\n".join(lines), UTC._replace(interval_minutes=30))
    assert energies(found) == [1500, 500, 1000, 500, 2000]


def test_columns_are_used_refused_or_named_as_left_out() -> None:
    text = "time,load_kwh,export_kwh,price_eur_per_kwh,note\n2024-06-01T00:00Z,1,,0.2,x\n2024-06-01T01:00Z,0,,0.2,y\n"
    found = read(text, UTC)
    assert [each for each in found.said if "left out" in each] == [
        f"column '{name}' left out" for name in ("export_kwh", "price_eur_per_kwh", "note")
    ]
    with pytest.raises(DataError, match="column 'load_kwh', row 2: expected a number"):
        read(text.replace(",1,,", ",many,,"), UTC)
    with pytest.raises(DataError, match="--leave-out"):
        read(text.replace("export_kwh", "total_kwh").replace("1,,", "1,2,"), UTC)


def test_start_and_end_of_each_interval() -> None:
    text = "from,to,kwh\n2024-06-01T00:00Z,2024-06-01T00:15Z,1\n2024-06-01T00:15Z,2024-06-01T01:15Z,4\n"
    assert energies(read(text, Told(interval_minutes=15))) == [1000] * 5
    with pytest.raises(DataError, match="do not overlap"):
        read(text.replace("T00:15Z,1", "T00:30Z,1"), Told(interval_minutes=15))


def test_one_file_a_meter_in_a_folder(tmp_path: Path) -> None:
    for name in ("ann", "bob"):
        (tmp_path / f"{name}.csv").write_text(rows(("2024-06-01T00:00Z", 1), ("2024-06-01T01:00Z", len(name))))
    found = import_meters([tmp_path], UTC)
    assert found.meters == ("ann", "bob")
    assert found.load_wh.sum() == 8000


def test_one_column_a_meter_and_profiles_that_are_read_back(tmp_path: Path) -> None:
    text = "time,ann.load_kwh,ann.pv_kwh,bob.load_kwh\n2024-06-01T00:00Z,1,0,3\n2024-06-01T01:00Z,0.5,2,1\n"
    found = read(text, UTC)
    for name in ("p.csv", "p.parquet"):
        write_profile_table(make_profile_table(found), tmp_path / name, name)
        profiles = read_profiles(tmp_path / name, price_eur_per_kwh=0.2)
        assert profiles.participants == ("ann", "bob")
        assert profiles.load_wh.tolist() == [[1000, 3000], [500, 1000]]
        assert profiles.pv_wh.tolist() == [[0, 0], [2000, 0]]


def test_meters_that_begin_apart_are_asked_about() -> None:
    text = "meter,time,kwh\n" + "".join(
        f"{m},2024-06-01T0{h}:00Z,{h % 2 + 1}\n" for m, b in (("a", 0), ("b", 1)) for h in range(b, 5)
    )
    with pytest.raises(DataError, match=r"--span all\|common"):
        read(text, UTC)
    found = read(text, UTC._replace(span="common"))
    assert len(found.load_wh) == 4
    assert counts(found)["cut_wh"] == 1000
    assert len(read(text, UTC._replace(span="all", fill="zero")).load_wh) == 5


def test_enedis() -> None:
    text = (
        "Identifiant PRM;Type de donnees;Date de debut;Date de fin;Grandeur physique;Grandeur "
        "metier;Etape metier;Unite\n"
        "123;Courbe de charge;01/06/2024;02/06/2024;Energie active;Consommation;Comptage Brut;W\nHorodate;Valeur\n"
        "2024-06-01T00:30:00+02:00;400\n2024-06-01T01:00:00+02:00;1001\n2024-06-01T01:30:00+02:00;0\n"
    )
    found = read(text)
    assert found.meters == ("123",)
    assert found.start == int(np.datetime64("2024-05-31T22:00", "s").astype(int))
    assert found.load_wh.sum() == 701  # (400 + 1001) W of half an hour are 700.5 Wh


@pytest.mark.parametrize(("day", "full"), [("01/06/2024", 96), ("31/03/2024", 92)])
def test_a_day_a_row(day: str, full: int) -> None:
    names = [f"{k // 4:02}:{k % 4 * 15:02}-{(k + 1) // 4:02}:{(k + 1) % 4 * 15:02}" for k in range(96)]
    cells = [f"0,{k:03}" for k in range(full)] + [""] * (96 - full)
    text = ";".join(["POD", "Giorno", *names]) + "\n" + ";".join(["IT1", day, *cells]) + "\n"
    found = read(text, Told(timezone="Europe/Rome", unit="kWh", day_first=True))
    assert energies(found) == list(range(full))
    assert found.meters == ("IT1",)


def test_a_day_a_row_with_what_the_clock_skips_left_empty() -> None:
    cells = ["" if k == 2 else str(k) for k in range(24)]
    text = "date;" + ";".join(map(str, range(1, 25))) + "\n31/03/2024;" + ";".join(cells) + "\n"
    assert energies(read(text, Told(timezone="Europe/Rome", unit="Wh"))) == [k for k in range(24) if k != 2]
    text = text.replace("31/03", "27/10")
    with pytest.raises(DataError, match="a day of 25 hours"):
        read(text, Told(timezone="Europe/Rome", unit="Wh"))


@pytest.mark.slow
def test_nem12() -> None:
    pytest.importorskip("nemreader")
    values = ",".join(["0.125"] * 48)
    text = (
        "100,NEM12,202406020000,MDP,RET\n200,NMI1,E1B1,1,E1,N1,S1,kWh,30,\n"
        f"300,20240601,{values},A,,,20240602,\n200,NMI1,E1B1,1,B1,N1,S1,kWh,30,\n300,20240601,{values},V,,,20240602,\n"
        "400,1,2,N,,\n400,3,48,E52,,\n900\n"
    )
    found = read(text, Told(fill="zero", span="all"))
    assert found.start == int(np.datetime64("2024-05-31T14:00", "s").astype(int))
    assert (found.load_wh.sum(), found.pv_wh.sum()) == (6000, 46 * 125)
    assert any(line.what == "refused" and line.number == 2 for line in found.account)
    for broken in (text.replace("900\n", ""), text.replace(",0.125", "", 1), text.replace("400,1,2", "400,0,2")):
        with pytest.raises(DataError, match=r"m[.]csv"):
            read(broken)


ESPI = """<feed xmlns="http://www.w3.org/2005/Atom">
<entry><link rel="self" href="U/1"/><title>home</title><content><UsagePoint/></content></entry>
<entry><link rel="self" href="U/1/M/1"/><link rel="related" href="T/1"/><content><MeterReading/></content></entry>
<entry><link rel="self" href="T/1"/><content><ReadingType><accumulationBehaviour>4</accumulationBehaviour>
<flowDirection>FLOW</flowDirection><powerOfTenMultiplier>-3</powerOfTenMultiplier><uom>72</uom></ReadingType></content></entry>
<entry><link rel="up" href="U/1/M/1/B"/><content><IntervalBlock>
<IntervalReading><timePeriod><duration>900</duration><start>1717200000</start></timePeriod><value>1500</value></IntervalReading>
<IntervalReading><timePeriod><duration>900</duration><start>1717200900</start></timePeriod><value>1500000</value></IntervalReading>
</IntervalBlock></content></entry></feed>"""


def test_green_button() -> None:
    found = read(ESPI.replace("FLOW", "1"))
    assert (energies(found), int(found.load_wh.sum())) == ([2, 1500], 1502)
    found = read(ESPI.replace("FLOW", "19"))
    assert (found.load_wh.sum(), found.pv_wh.sum()) == (0, 1502)


def test_xml_with_entities_or_very_deep_is_refused() -> None:
    bomb = '<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]><feed>&b;</feed>'
    with pytest.raises(DataError, match="without a document type"):
        read(bomb)
    with pytest.raises(DataError, match="deep"):
        read("<a>" * 100 + "</a>" * 100)


def telegram(clock: str, drawn: str) -> str:
    body = f"/ISK5\r\n\r\n0-0:1.0.0({clock})\r\n0-0:96.1.1(4B31)\r\n"
    body += f"1-0:1.8.1({drawn}*kWh)\r\n1-0:1.8.2(000001.000*kWh)\r\n!"
    return f"{body}{find_crc16(body.encode()):04X}\r\n"


def test_dsmr_telegrams_with_their_checksum() -> None:
    good = [
        telegram(f"2410270{h}", v)
        for h, v in (("20000S", "000010.000"), ("20000W", "000010.500"), ("30000W", "000011.750"))
    ]
    found = read("".join(good))
    assert found.meters == ("K1",)
    assert energies(found) == [500, 1250]
    found = read(good[0] + good[1].replace("10.500", "10.400") + good[2], Told(interval_minutes=60))
    assert (found.load_wh.sum(), counts(found)["refused_count"]) == (1750, 1)


@pytest.mark.parametrize("name", ["=1+1", "grid", '"a\nb"'])
def test_names_that_are_no_names_are_refused(name: str) -> None:
    with pytest.raises(DataError, match="name"):
        read(f"meter,time,load_kwh\n{name},2024-06-01T00:00Z,1\n{name},2024-06-01T01:00Z,0\n", UTC)


def test_very_many_columns_and_a_zip_bomb_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="columns"):
        read("time" + ",a" * 1_000_000 + "\n", UTC)
    path = tmp_path / "bomb.csv.gz"
    path.write_bytes(gzip.compress(b"0" * 110_000_000, 1))
    with pytest.raises(DataError, match="times as long"):
        import_meters([path], UTC)


def spread_naively(given_rows: list[tuple[int, int, int]], width_s: int) -> dict[int, Fraction]:
    """Energy of each interval, Wh, second by second."""
    found: dict[int, Fraction] = {}
    for begin, end, uj in given_rows:
        for second in range(begin, end):
            found[second // width_s] = found.get(second // width_s, Fraction(0)) + Fraction(
                uj, (end - begin) * UJ_PER_WH
            )
    return found


@given(
    st.lists(st.tuples(st.integers(0, 50), st.integers(1, 300), st.integers(0, 10**13)), min_size=1, max_size=8),
    st.sampled_from([60, 300, 900]),
)
def test_spreading_keeps_sums_to_the_wh(parts: list[tuple[int, int, int]], width_s: int) -> None:
    time, given_rows = 3300, []
    for pause, length, uj in parts:
        given_rows.append((time + pause, time + pause + length, uj))
        time += pause + length
    begin, end, uj = (np.array(column, np.int64) for column in zip(*given_rows, strict=True))
    cells = spread_energies(Energies("m", "import", begin, end, uj, uj < 0, False), width_s)
    naive = spread_naively(given_rows, width_s)
    total = sum(naive.values())
    assert int(cells.wh.sum()) == (total + Fraction(1, 2)).__floor__()
    for place, wh in enumerate(cells.wh.tolist()):
        assert abs(wh - naive.get(cells.first + place, 0)) <= 1
