"""Report of a portfolio: its numbers are the table's, names of others do no harm, links lead to what is there."""

from __future__ import annotations

import json
import re
from html import unescape
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from portfolio_rows import make_portfolio_rows, write_portfolio

from cosim.errors import ScenarioError
from cosim.portfolio.heads import list_heads, sign_heads, write_heads
from cosim.portfolio.report import write_portfolio_report
from market.errors import LedgerError

HOSTILE = "<img src=x onerror=alert(1)>"


def read_page(folder: Path, rows: list[dict[str, Any]]) -> str:
    return write_portfolio_report(write_portfolio(folder, rows)).page.read_text(encoding="utf-8")


def read_fact(page: str, key: str) -> float:
    found = re.search(rf'data-key="{key}" data-value="([^"]+)"', page)
    assert found is not None, key
    return float(found[1])


def read_rows(page: str, key: str) -> list[list[str]]:
    """Cells of a table, as a reader sees them."""
    table = re.search(rf'<table id="table-{key}">.*?</table>', page, re.S)
    assert table is not None, key
    rows = re.findall(r"<tr>(<td.*?)</tr>", table[0], re.S)
    return [[unescape(re.sub("<[^>]+>", "", cell)) for cell in re.findall(r"<td.*?</td>", row, re.S)] for row in rows]


def make_summary() -> dict[str, Any]:
    """What a medium-voltage net leaves, with a limit that stays broken."""
    extreme = {"element_type": "bus", "element": 3, "name": HOSTILE, "time": "2016-01-01T00:00:00"}
    line = {"element_type": "line", "element": 1, "name": "second", "time": "2016-01-01T00:00:00"}
    limits = [{"limit": f"line {HOSTILE}: 57 % (limit 1 %)", "why": "no feeder can mend it"}]
    band = {"element_type": "bus", "quantity": "max_vm_pu", "origin": "net", "elements": 4, "lowest": 1.032}
    return {
        "intervals": 24,
        "feeders": {"a": {}, "b": {}},
        "rounds": 3,
        "residual_pu": 2e-8,
        "lowest_vm": extreme | {"vm_pu": 0.9876},
        "highest_vm": extreme | {"vm_pu": 1.0321},
        "highest_loading": line | {"loading_percent": 57.8},
        "shared_intervals": 5,
        "broken_intervals": 2,
        "broken": [{"time": f"2016-01-01T0{k}:00:00", "limits": limits} for k in range(2)],
        "limits": [band | {"highest": 1.032}],
        "notes": [],
    }


def test_a_medium_voltage_net_is_told_where_there_is_one(tmp_path: Path) -> None:
    alone = "feeders do not act on one another, and nothing above their heads is judged"
    rows = make_portfolio_rows(3)
    page = read_page(tmp_path, rows)
    assert alone in page
    assert 'id="medium-voltage"' not in page
    (tmp_path / "mv_summary.json").write_text(json.dumps(make_summary()))
    page = write_portfolio_report(tmp_path).page.read_text(encoding="utf-8")
    assert alone not in page
    assert "so feeders act on one another" in page
    assert HOSTILE not in page
    seen = unescape(page)
    for said in (
        "line 'second' is loaded to 57.8 % at most, voltages are 0.9876 pu",
        "to 1.0321 pu",
        "Limits were broken in 5 of 24 intervals",
        "Limits stay broken in 2 of 24 intervals; where no feeder can mend them, look at ",
        "and at reactive power.",
        "Limits: highest voltage: 1.032 pu at 4 buses (the net's own)",
    ):
        assert said in seen
    assert read_rows(page, "broken")[1][0] == "2016-01-01T01:00:00"
    assert [row[2] for row in read_rows(page, "broken")] == ["no feeder can mend it"] * 2


@pytest.mark.parametrize(
    "change",
    [
        {"broken": [3]},
        {"broken": [{"time": 1, "limits": [{}]}]},
        {"lowest_vm": None},
        {"highest_vm": {}},
        {"intervals": "many"},
        {"limits": [{"quantity": "x"}]},
        {"feeders": 2},
        {"broken_intervals": "2"},
        {"broken": {"a": 1}},
    ],
)
def test_a_summary_that_no_portfolio_wrote_is_refused_by_name(tmp_path: Path, change: dict[str, Any]) -> None:
    write_portfolio(tmp_path, make_portfolio_rows(2))
    (tmp_path / "mv_summary.json").write_text(json.dumps(make_summary() | change))
    with pytest.raises(
        ScenarioError, match=r"mv_summary.json: expected the summary of a medium-voltage net .* --resume"
    ):
        write_portfolio_report(tmp_path)
    assert not (tmp_path / "report.html").exists()


def test_tiles_are_sums_and_extremes_of_the_table(tmp_path: Path) -> None:
    rows = make_portfolio_rows(100)
    page = read_page(tmp_path, rows)
    ran = [row for row in rows if row["status"] == "run"]
    assert read_fact(page, "feeders_run") == len(ran)
    assert read_fact(page, "feeders_failed") == 100 - len(ran) == 1
    assert read_fact(page, "feeders_curtailed") == sum(row["curtailed_hours"] > 0 for row in ran)
    assert read_fact(page, "cut_mwh") == pytest.approx(sum(row["cut_kwh"] for row in ran) / 1000.0)
    assert read_fact(page, "highest_loading") == max(row["highest_loading_percent"] for row in ran)
    assert read_fact(page, "lowest_voltage") == min(row["lowest_vm_pu"] for row in ran)
    lowest = min(ran, key=lambda row: float(row["lowest_vm_pu"]))
    assert f"lowest voltage, {lowest['feeder']}" in page


@pytest.mark.slow
def test_feeders_are_ranked_by_energy_then_loading_then_name(tmp_path: Path) -> None:
    rows = make_portfolio_rows(60)
    ran = sorted(rows, key=lambda row: (-row["cut_kwh"], -row["highest_loading_percent"], row["feeder"]))
    page = read_page(tmp_path, rows)
    assert [row[1] for row in read_rows(page, "ranking")] == [row["feeder"] for row in ran]
    assert [row[1] for row in read_rows(page, "worst")] == [row["feeder"] for row in ran[:20]]
    assert [row[0] for row in read_rows(page, "ranking")] == [str(k) for k in range(1, 61)]


def test_words_on_en50160_are_counted(tmp_path: Path) -> None:
    rows = make_portfolio_rows(60)
    for row in rows[:7]:
        row["en50160_voltage"] = "not kept"
    counted = {row[0]: row[1:] for row in read_rows(read_page(tmp_path, rows), "en50160")}
    kept = sum(row["en50160_voltage"] == "kept" for row in rows)
    assert counted["kept"] == [str(kept), "0"]
    assert counted["not kept"] == [str(60 - kept), "0"]
    assert counted["cannot be shown by balanced phases"] == ["0", "60"]


def test_mends_are_those_of_the_table(tmp_path: Path) -> None:
    row = make_portfolio_rows(1)[0] | {
        "curtailed_hours": 5.0,
        "mend_rating_percent": 12.34,
        "mend_rating_element": "cable 3",
        "mend_rating_elements": 3,
        "mend_voltage": "no shift does it",
        "mend_head_shift_pu": None,
        "mend_band_lacks_pu": 0.0123,
        "mend_tap_steps": None,
        "mend_export_cut_kw": 7.5,
        "mend_import_cut_kw": 0.0,
    }
    page = read_page(tmp_path, [row])
    expected = ["12.3", "cable 3 and 2 more", "no shift does it: 0.0123 pu too far apart", "–", "–", "7.5", "0.0"]
    assert read_rows(page, "mends") == [[row["feeder"], *expected]]
    assert read_fact(page, "mend_rating") == read_fact(page, "mend_no_shift") == 1
    assert read_fact(page, "mend_shift") == read_fact(page, "mend_tap") == 0


def test_reports_that_are_kept_are_led_to_and_no_others(tmp_path: Path) -> None:
    rows = make_portfolio_rows(3)
    rows[0]["feeder"] = 'a & "b" #1 %'
    kept = tmp_path / "runs" / rows[0]["feeder"]
    kept.mkdir(parents=True)
    (kept / "report.html").write_text("", encoding="utf-8")
    (tmp_path / "runs" / rows[1]["feeder"]).mkdir()
    page = read_page(tmp_path, rows)
    assert set(re.findall(r'href="(runs[^"]*)"', page)) == {"runs/a%20%26%20%22b%22%20%231%20%25/report.html"}


@pytest.mark.parametrize("name", ["..", "../../etc", "runs/../x"])
def test_no_name_leads_out_of_the_folder(tmp_path: Path, name: str) -> None:
    (tmp_path / "report.html").write_text("", encoding="utf-8")
    (tmp_path / "all" / "runs").mkdir(parents=True)
    (tmp_path / "all" / "report.html").write_text("", encoding="utf-8")
    page = read_page(tmp_path / "all", [make_portfolio_rows(1)[0] | {"feeder": name}])
    assert 'href="runs' not in page


def test_texts_of_others_are_shown_letter_by_letter(tmp_path: Path) -> None:
    rows = make_portfolio_rows(97)
    texts = ("feeder", "binding_element", "mend_rating_element", "mend_note", "highest_loading_element")
    rows[0] |= {name: f"{HOSTILE} {name}" for name in texts}
    rows[0] |= {"cut_kwh": 1e9, "curtailed_hours": 9.0, "mend_rating_elements": 1, "mend_voltage": "cannot be told"}
    rows[0]["en50160_voltage"] = HOSTILE
    rows[96]["message"] = HOSTILE + 5000 * "x"
    page = read_page(tmp_path, rows)
    assert "<img" not in page
    assert f"&lt;img src=x onerror=alert(1)&gt; {texts[0]}" in page
    assert len(read_rows(page, "failed")[0][1]) <= 401
    assert "<script" not in page


def test_nothing_ran(tmp_path: Path) -> None:
    rows = [row for row in make_portfolio_rows(97) if row["status"] == "failed"]
    page = read_page(tmp_path, rows)
    assert "No feeder ran." in page
    assert len(read_rows(page, "failed")) == 1


def test_one_feeder_that_carries_everything_without_coordinates(tmp_path: Path) -> None:
    row = make_portfolio_rows(1)[0] | {"curtailed_hours": 0.0, "cut_kwh": 0.0, "x": None, "y": None}
    page = read_page(tmp_path, [row])
    assert "Every feeder that ran carries it." in page
    assert "No feeder that ran needs mending." in page
    assert 'id="map"' not in page


@pytest.mark.slow
@pytest.mark.parametrize(("n", "rows"), [(1000, 990), (3000, 1000)])
def test_many_feeders_are_a_small_page(tmp_path: Path, n: int, rows: int) -> None:
    page = read_page(tmp_path, make_portfolio_rows(n))
    assert len(page.encode()) < 2_000_000
    assert len(read_rows(page, "ranking")) == rows
    assert len(re.findall("<circle", page)) == min(2000, n - n // 97)
    assert (tmp_path / "portfolio.csv").read_text(encoding="utf-8").count("\n") == n + 1


@pytest.mark.slow
def test_the_checkpoint_is_shown_if_it_is_over_the_table(tmp_path: Path) -> None:
    rows = make_portfolio_rows(97)
    signed = sign_heads(list_heads(rows), b"d" * 32)
    write_portfolio(tmp_path, rows)
    write_heads(tmp_path, signed)
    page = read_page(tmp_path, rows)
    assert signed.checkpoint.origin in page
    assert "97" in read_rows(page, "heads")[0]
    other = [rows[0] | {"head": np.random.default_rng(9).bytes(32).hex()}, *rows[1:]]
    with pytest.raises(LedgerError, match=r"expected the heads of portfolio\.parquet"):
        read_page(tmp_path, other)
    (tmp_path / "heads.txt").write_text(signed.lines.replace(" 8761 ", " 8762 ", 1), encoding="utf-8")
    with pytest.raises(LedgerError, match="expected the heads that were signed"):
        read_page(tmp_path, rows)


def test_a_net_above_that_does_not_carry_it_is_the_headline(tmp_path: Path) -> None:
    folder = write_portfolio(tmp_path, make_portfolio_rows(3))
    assert "The net above does not carry it." not in write_portfolio_report(folder).page.read_text(encoding="utf-8")
    (folder / "mv_summary.json").write_text(json.dumps(make_summary()), encoding="utf-8")
    page = write_portfolio_report(folder).page.read_text(encoding="utf-8")
    assert "The net above does not carry it." in page
    assert "stay broken in 2 intervals" in page


def test_hosting_capacity_is_a_column_where_it_was_asked_for(tmp_path: Path) -> None:
    rows = make_portfolio_rows(3)
    assert "hosting capacity, kW" not in read_page(tmp_path, rows)
    page = read_page(tmp_path, [row | {"hosting_kw": None if row["head"] is None else 41.5} for row in rows])
    assert "hosting capacity, kW" in page
    assert "41.5" in read_rows(page, "ranking")[0]
