"""The report of a portfolio in a browser: no errors, no requests, no scripts; on a desk, on a phone, and by axe."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from portfolio_rows import make_portfolio_rows, write_portfolio

from cosim.portfolio.report import write_portfolio_report

playwright = pytest.importorskip("playwright.sync_api", reason="needs playwright: pip install playwright")
CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
AXE = os.environ.get("AXE_CORE", "")
"""The file axe.min.js of the npm package axe-core: `.ci/run` fetches it."""
needs_axe = pytest.mark.skipif(not AXE, reason="needs axe-core: npm pack axe-core; AXE_CORE=package/axe.min.js")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium: apt-get install chromium"),
]
SIZES = (1, 3, 200)

OVERLAPS = """() => {
    const apart = (a, b) => a.right <= b.left + 1 || b.right <= a.left + 1
        || a.bottom <= b.top + 1 || b.bottom <= a.top + 1;
    return [...document.querySelectorAll('svg.drawing')].flatMap(drawing => {
        const texts = [...drawing.querySelectorAll('text')]
            .map(t => ({text: t.textContent, box: t.getBoundingClientRect()}));
        return texts.flatMap((a, i) => texts.slice(i + 1).filter(b => !apart(a.box, b.box))
            .map(b => `${a.text} | ${b.text}`));
    });
}"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("portfolio")
    for n in SIZES:
        rows = make_portfolio_rows(n)
        rows[0]["feeder"] = "north & south"
        run = write_portfolio(path / str(n), rows) / "runs" / "north & south"
        run.mkdir(parents=True)
        (run / "report.html").write_text("<title>its own report</title>", encoding="utf-8")
        write_portfolio_report(path / str(n))
    return path


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with playwright.sync_playwright() as driver:
        started = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        yield started
        started.close()


@pytest.mark.parametrize("n", SIZES)
@pytest.mark.parametrize(("width", "scheme"), [(1440, "light"), (390, "dark")])
def test_pages_open_without_errors_and_fit(browser: Any, folder: Path, n: int, width: int, scheme: str) -> None:
    page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
    said: list[str] = []
    asked: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("request", lambda request: asked.append(request.url))
    file = folder / str(n) / "report.html"
    page.goto(file.as_uri())
    assert said == []
    assert asked == [file.as_uri()]
    assert page.evaluate("document.scripts.length") == 0
    assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
    assert page.evaluate("[...document.querySelectorAll('svg.drawing')].every(d => d.querySelector('rect, circle'))")
    assert page.evaluate(OVERLAPS) == []
    sections = page.evaluate("[...document.querySelectorAll('section')].map(s => s.id)")
    assert sections == page.evaluate("[...document.querySelectorAll('nav a')].map(a => a.hash.slice(1))")
    page.close()


def test_a_name_leads_to_the_feeders_own_report(browser: Any, folder: Path) -> None:
    page = browser.new_page()
    page.goto((folder / "3" / "report.html").as_uri())
    page.click("#table-ranking a")
    assert page.title() == "its own report"
    page.close()


@needs_axe
@pytest.mark.parametrize("width", [1440, 390])
def test_axe_finds_no_fault(browser: Any, folder: Path, width: int) -> None:
    page = browser.new_page(viewport={"width": width, "height": 900})
    page.goto((folder / "200" / "report.html").as_uri())
    page.evaluate(Path(AXE).read_text(encoding="utf-8"))
    found = page.evaluate("axe.run(document, {resultTypes: ['violations']})")
    assert [(fault["id"], fault["nodes"][0]["html"]) for fault in found["violations"]] == []
    page.close()
