"""Pages in a browser as narrow as a phone: nothing covers or cuts anything, and the seconds count down."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest

pytest.importorskip("fastapi", reason="needs the extra: pip install 'gridsettle[web]'")
pytest.importorskip("eth_account", reason="needs the extra: pip install 'gridsettle[web]'")
playwright = pytest.importorskip("playwright.sync_api", reason="needs the extra: pip install 'gridsettle[test]'")

from served_market import SITE, Visitor, close_intervals, open_market  # noqa: E402

CHROMIUM = shutil.which("chromium")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="needs chromium")
PATHS = ("/", "/main", "/account", "/static/pages.css", "/static/live.js", "/static/house.js", "/static/keys.js")
MODULES = ("/static/records.js", "/static/submission.js", "/static/talk.js")


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What a market says to a member whose clock runs."""
    with open_market(tmp_path_factory.mktemp("small") / "run", seconds=3600.0) as desk:
        visitor = Visitor(desk, "owner")
        visitor.join(0)
        close_intervals(desk, 6)
        return {SITE.origin + path: visitor.get(path) for path in (*PATHS, *MODULES)}


@pytest.fixture(scope="module")
def page(answers: dict[str, Any]) -> Iterator[Any]:
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        shown = browser.new_page(viewport={"width": 360, "height": 740}, timezone_id="UTC")

        def answer(route: Any) -> None:
            known = answers.get(route.request.url)
            if known is None:
                route.abort()
            else:
                route.fulfill(status=200, body=known.content, content_type=known.headers["content-type"])

        shown.route("**/*", answer)
        shown.answer_route = answer
        yield shown
        browser.close()


def test_the_seconds_count_down_without_a_word_to_screen_readers(page: Any) -> None:
    page.clock.install()
    page.goto(f"{SITE.origin}/")
    timer = page.get_by_role("timer")
    first = int(timer.inner_text())
    page.clock.run_for(10_000)
    assert first - int(timer.inner_text()) in (9, 10, 11)
    assert timer.get_attribute("aria-live") == "off"


def test_times_are_told_in_the_zone_of_the_browser_beside_utc(page: Any) -> None:
    zoned = page.context.browser.new_page(timezone_id="Asia/Tokyo")
    zoned.route("**/*", page.answer_route)
    for path in ("/", "/account"):
        zoned.goto(SITE.origin + path)
        times = zoned.locator("time")
        assert times.count() > 0
        for text, at in zip(times.all_inner_texts(), times.all(), strict=True):
            begin = datetime.fromisoformat(str(at.get_attribute("datetime")))
            local = begin.astimezone(ZoneInfo("Asia/Tokyo"))
            same_day = local.date() == begin.date()
            assert f"({'' if same_day else f'{local:%m-%d} '}{local:%H:%M}" in text.replace(f"({local:%Y}-", "(")
    zoned.close()
    page.goto(f"{SITE.origin}/")  # its zone is UTC: nothing to add
    assert "(" not in page.locator("time").first.inner_text()


def test_hidden_heads_and_links_cover_nothing(page: Any) -> None:
    page.goto(f"{SITE.origin}/account")
    hidden = page.evaluate(
        """() => [...document.querySelectorAll(".skip, .stack thead, .stack th")].map((part) => {
          const box = part.getBoundingClientRect();
          const first = document.querySelector(".stack tbody td").getBoundingClientRect();
          const apart = box.bottom <= first.top + 1 || box.width <= 1 || box.height <= 1;
          return [part.className || part.tagName, apart, box.left >= -1];
        })"""
    )
    assert hidden
    assert [part for part in hidden if not (part[1] and part[2])] == []


def test_no_amount_is_cut(page: Any) -> None:
    page.goto(f"{SITE.origin}/account")
    beyond = page.evaluate(
        """() => [...document.querySelectorAll(".scroll")].filter((part) => part.scrollWidth > part.clientWidth + 1)
          .map((part) => part.getAttribute("aria-label"))"""
    )
    assert beyond == []


@pytest.mark.parametrize("path", ["/", "/main"])
def test_no_label_of_a_chart_is_clipped(path: str, page: Any) -> None:
    page.goto(SITE.origin + path)
    clipped = page.evaluate(
        """() => [...document.querySelectorAll("svg.curve text")].filter((text) => {
          const [box, frame] = [text.getBoundingClientRect(), text.closest("svg").getBoundingClientRect()];
          return box.left < frame.left - 0.5 || box.right > frame.right + 0.5;
        }).map((text) => text.textContent)"""
    )
    assert clipped == []
