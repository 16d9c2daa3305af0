"""Names of houses, buses and lines from the files of others are shown letter by letter, as no markup and no formula."""

from __future__ import annotations

import csv
import re
from pathlib import Path

import pandapower as pp
import pytest

from cosim import Scenario, run

HOUSES = ("<b>ann</b>", '=HYPERLINK("http://x")', "a & b", "%{x}<br>")


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("names")
    net = pp.create_empty_network()
    medium, low = pp.create_bus(net, 20.0, name="<i>mv</i>"), pp.create_bus(net, 0.4, name="=lv")
    pp.create_ext_grid(net, medium)
    pp.create_transformer(net, medium, low, "0.25 MVA 20/0.4 kV", name="<a href='x'>t</a>")
    buses = [pp.create_bus(net, 0.4, name=f"<i>{k}</i>") for k in range(len(HOUSES))]
    for k, bus in enumerate(buses):
        pp.create_line(net, low, bus, 0.9, "NAYY 4x50 SE", name=f"<u>{k}</u>")
    pp.to_json(net, str(folder / "net.json"))
    with (folder / "participants.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("participant", "bus"), *zip(HOUSES, buses, strict=True)])
    with (folder / "profiles.csv").open("w", newline="") as file:
        rows = [
            (f"2017-06-01T{hour:02d}:00:00Z", house, 20_000, 40_000 * (hour % 2), 0.2)
            for hour in range(12)
            for house in HOUSES
        ]
        csv.writer(file).writerows([("time", "participant", "load_wh", "pv_wh", "price_eur_per_kwh"), *rows])
    scenario = Scenario().with_changes(
        horizon={"hours": 12, "start": "2017-06-01T00:00:00Z"},
        profiles={"source": "table", "file": folder / "profiles.csv"},
        network={"source": "file", "file": folder / "net.json", "participants": folder / "participants.csv"},
        limits={"min_vm_pu": 0.985, "max_vm_pu": 1.015},
        market={"feed_in": True},
    )
    run(scenario, folder / "run").report(hosting=True)
    return folder / "run"


@pytest.mark.slow
def test_figures_show_names_letter_by_letter(directory: Path) -> None:
    page = (directory / "report.html").read_text(encoding="utf-8")
    drawn = "".join(re.findall(r"Plotly\.newPlot\(.*?</script>", page, flags=re.DOTALL))
    # plotly's own writer spells these signs so that no script ends within a string
    drawn = drawn.replace("\\u003c", "<").replace("\\u003e", ">").replace("\\u0026", "&")
    assert "&lt;b&gt;ann" in drawn
    assert "&lt;i&gt;0" in drawn
    for tag in ("<b>ann", "<i>", "<u>", "<a href='x'", "%{x}<br>"):
        assert tag not in drawn, drawn[max(0, drawn.find(tag) - 200) :][:300]
    body = page[page.index("<body") :]
    text = re.sub(r"<script.*?</script>", "", body, flags=re.DOTALL)
    assert "&lt;b&gt;ann&lt;/b&gt;" in text
    assert not re.search(r"<b>ann|<i>\d|<u>\d|<a href='x'", text)


def test_tables_for_people_hold_no_formula(directory: Path) -> None:
    files = sorted(file for file in directory.glob("*.csv") if file.name != "participants.csv")  # the input as given
    assert {"house_summary.csv", "branch_summary.csv", "hosting.csv", "violations.csv"} <= {file.name for file in files}
    marked = 0
    for file in files:
        with file.open(newline="", encoding="utf-8") as lines:
            for row in csv.reader(lines):
                for cell in row:
                    number = re.fullmatch(r"[-+]?[\d.]+(e[-+]?\d+)?|-?inf|nan", cell)
                    assert number or not cell.startswith(("=", "+", "-", "@")), (file.name, cell)
                    marked += cell.startswith("'=")
    assert marked >= 2
