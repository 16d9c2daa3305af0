"""The report in a browser: no errors, no requests, every figure drawn and labelled; and on paper."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from phase_streets import make_phase_scenario

from cosim.report.comparison import compare_runs, write_comparison
from cosim.report.page import write_report
from cosim.report.pdf import print_pdf
from cosim.scenario.model import Scenario
from cosim.simulation.simulate import run

playwright = pytest.importorskip("playwright.sync_api", reason="needs playwright: pip install playwright")
CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium: apt-get install chromium"),
]

STRESSED = Scenario().with_changes(
    name="browser",
    horizon={"hours": 60, "start": "2017-06-10T00:00:00Z"},
    houses={"n_houses": 5, "n_prosumers": 4, "mean_load_w": 9000.0, "production_ratio": 3.0},
    market={"feed_in": True},
    network={"n_branches": 1},
    limits={"min_vm_pu": 0.985, "max_vm_pu": 1.015},
)
OUTAGE = Scenario().with_changes(
    name="outage",
    horizon={"hours": 48, "start": "2017-01-17T00:00:00Z"},
    houses={"n_houses": 4, "n_prosumers": 2},
    network={"n_branches": 2},
    community={"enabled": True, "battery_kwh": 15.0, "fuel_cell": "pem-1.26kw", "tank_kg": 1.0},
    events=[
        {"kind": "outage", "start": "2017-01-17T16:00:00Z", "hours": 8, "grid": True},
        {"kind": "outage", "start": "2017-01-18T08:00:00Z", "hours": 6, "switches": ["branch 2"]},
    ],
)
REPORT_FIGURES = {
    *(
        "duration",
        "voltage-distance",
        "map",
        "heat-loading",
        "heat-vmin",
        "heat-vmax",
        "grid-power",
        "losses",
    ),
    *("before-after", "curtailed", "energy-flow", "money-flow", "prices", "wallets", "batteries"),
}
PHASE_FIGURES = REPORT_FIGURES | {"unbalance-duration", "heat-vuf"}
OUTAGE_FIGURES = {"outage-supply", "outage-priority", "outage-stores", "outage-frequency"}
UNITS = {
    "Hz",
    "kg",
    "%",
    "pu",
    "kWh",
    "kW",
    "EUR",
    "km",
    "h",
    "hour",
    "hours",
    "day",
    "days",
    "month",
    "time",
    "week",
}
PAGES = ("full/report.html", "off/report.html", "outage/report.html", "phases/report.html")
GROUPS = {"house", "quantity", "kind", "seller", "element"}

FIGURES = """() => [...document.querySelectorAll('.js-plotly-plot')].map(g => ({
    key: g.id.replace('figure-', ''),
    points: g._fullData.reduce((n, t) => n + (t.visible === true
        ? (t.type === 'sankey' ? t.link.value.length : (t.z || t.x || []).length) : 0), 0),
    marks: g.querySelectorAll('path, image, rect.bg').length,
    suffixes: g._fullData.filter(t => t.type === 'sankey').map(t => t.valuesuffix),
    titles: Object.keys(g._fullLayout).filter(k => /^[xy]axis/.test(k)).map(k => g._fullLayout[k])
        .filter(a => a.visible && a.showticklabels).map(a => a.title.text),
    width: g.getBoundingClientRect().width, caption: g.closest('figure').querySelector('figcaption').innerText,
}))"""


OVERLAPS = """() => {
    const kinds = ['.xtick text', '.ytick text', '.xtitle', '.ytitle', '.legendtext', '.annotation-text'];
    const apart = (a, b) => a.right <= b.left + 2 || b.right <= a.left + 2
        || a.bottom <= b.top + 2 || b.bottom <= a.top + 2;
    return [...document.querySelectorAll('.js-plotly-plot')].flatMap(g => {
        const texts = [...g.querySelectorAll(kinds.join(', '))]
            .filter(t => t.textContent.trim() && !t.closest('.slider-group'))
            .map(t => ({text: t.textContent, box: t.getBoundingClientRect()})).filter(t => t.box.width > 0);
        return texts.flatMap((a, i) => texts.slice(i + 1).filter(b => !apart(a.box, b.box))
            .map(b => `${g.id}: ${a.text} | ${b.text}`));
    });
}"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("browser")
    write_report(run(STRESSED, path / "full"))
    scenario = STRESSED.with_changes(horizon={"hours": 3}, limits={"max_loading_percent": 0.05})
    write_report(run(scenario, path / "off"))
    write_comparison(compare_runs([path / "full", path / "off"]), path / "side")
    write_report(run(OUTAGE, path / "outage"), hosting=True)
    write_report(run(make_phase_scenario(path), path / "phases"))
    return path


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with playwright.sync_playwright() as driver:
        started = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        yield started
        started.close()


def spoken(text: str) -> set[str]:
    """Words and units of a caption or an axis title."""
    return set(re.findall(r"[A-Za-z]+|%", text))


def opened(browser: Any, file: Path) -> tuple[Any, list[str], list[str]]:
    """Page, what it said and failed at, and what it asked the network for."""
    page = browser.new_page(viewport={"width": 1180, "height": 900})
    said: list[str] = []
    asked: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("request", lambda request: asked.append(request.url))
    page.goto(file.as_uri())
    page.wait_for_function("document.querySelectorAll('.js-plotly-plot .main-svg').length > 0")
    page.wait_for_timeout(500)
    return page, said, asked


@pytest.mark.parametrize("name", [*PAGES, "side/comparison.html"])
def test_pages_open_without_errors_and_requests(browser: Any, folder: Path, name: str) -> None:
    page, said, asked = opened(browser, folder / name)
    assert said == []
    assert asked == [(folder / name).as_uri()]
    figures = page.evaluate(FIGURES)
    assert figures
    for figure in figures:
        assert figure["points"] > 0, figure
        assert figure["marks"] > 0, figure
        assert spoken(figure["caption"]) & UNITS, figure
        for title in [*figure["titles"], *figure["suffixes"]]:
            assert spoken(title) & (UNITS | GROUPS), figure
        assert figure["width"] <= 1180
    wider = page.evaluate("document.documentElement.scrollWidth > document.documentElement.clientWidth")
    assert not wider
    page.close()


@pytest.mark.parametrize(("name", "expected"), [("full", REPORT_FIGURES), ("phases", PHASE_FIGURES)])
def test_every_figure_of_the_report_is_there(browser: Any, folder: Path, name: str, expected: set[str]) -> None:
    page, _, _ = opened(browser, folder / name / "report.html")
    assert {figure["key"] for figure in page.evaluate(FIGURES)} == expected
    page.close()


def test_every_figure_of_an_outage_is_there(browser: Any, folder: Path) -> None:
    page, _, _ = opened(browser, folder / "outage" / "report.html")
    keys = {figure["key"] for figure in page.evaluate(FIGURES)}
    assert keys >= OUTAGE_FIGURES | {"hosting"}
    sections = page.evaluate("[...document.querySelectorAll('section')].map(s => s.id)")
    linked = page.evaluate("[...document.querySelectorAll('nav a')].map(a => a.hash.slice(1))")
    assert sections == linked
    empty = page.evaluate("[...document.querySelectorAll('section')].filter(s => s.children.length < 2).map(s => s.id)")
    assert empty == []
    page.close()


@pytest.mark.parametrize("name", ["full", "outage", "phases"])
def test_no_text_of_a_figure_covers_another(browser: Any, folder: Path, name: str) -> None:
    """Titles, legends, tick labels and annotations of one figure do not overlap."""
    page, _, _ = opened(browser, folder / name / "report.html")
    assert page.evaluate(OVERLAPS) == []
    page.close()


def test_the_slider_shows_another_hour(browser: Any, folder: Path) -> None:
    page, said, _ = opened(browser, folder / "full" / "report.html")
    shown = "document.querySelector('#figure-map')._fullData.map(t => t.visible)"
    before = page.evaluate(shown)
    page.evaluate(
        "Plotly.restyle('figure-map', ...document.querySelector('#figure-map').layout.sliders[0].steps[1].args)"
    )
    assert page.evaluate(shown) != before
    assert said == []
    page.close()


@pytest.mark.parametrize(("name", "pages"), [("full", 7), ("outage", 9), ("phases", 8)])
def test_the_report_prints_on_a_few_pages(folder: Path, name: str, pages: int) -> None:
    pdf = print_pdf(folder / name / "report.html", folder / "report.pdf", CHROMIUM)
    content = pdf.read_bytes()
    assert content.startswith(b"%PDF")
    assert 2 <= content.count(b"/Type /Page\n") <= pages
