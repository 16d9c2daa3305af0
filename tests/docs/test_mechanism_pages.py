"""Every number on the pages about mechanisms comes out of the code: the pages are doctests."""

from __future__ import annotations

import doctest
from pathlib import Path
from typing import Any

import pytest

from market.mechanisms import BUILT_IN

FOLDER = Path(__file__).parents[2] / "docs/mechanisms"
PAGES = sorted(page.name for page in FOLDER.glob("*.md"))


def examples(page: str) -> doctest.DocTest:
    text = (FOLDER / page).read_text(encoding="utf-8")
    return doctest.DocTestParser().get_doctest(text, {}, page, str(FOLDER / page), 0)


def run(page: str, names: dict[str, Any]) -> tuple[doctest.TestResults, str]:
    """Run a page's examples with these names known; they are added to."""
    failures: list[str] = []
    test = examples(page)
    test.globs = names
    result = doctest.DocTestRunner(verbose=False).run(test, out=failures.append, clear_globs=False)
    return result, "".join(failures)


@pytest.mark.parametrize("page", PAGES)
def test_examples_of_the_page_hold(page: str) -> None:
    """The overview's session is the beginning of every page's."""
    names: dict[str, Any] = {}
    result, failures = run("index.md", names)
    if page != "index.md":
        result, failures = run(page, names)
    assert result.attempted > 0
    assert result.failed == 0, failures


def test_every_mechanism_has_its_page_and_the_overview_links_it() -> None:
    overview = (FOLDER / "index.md").read_text(encoding="utf-8")
    assert set(PAGES) == {f"{name}.md" for name in BUILT_IN} | {"index.md", "pricing.md"}
    for page in PAGES:
        assert page == "index.md" or f"({page})" in overview


@pytest.mark.parametrize("name", list(BUILT_IN))
def test_every_page_has_pseudo_code_units_example_assumptions_and_source(name: str) -> None:
    text = (FOLDER / f"{name}.md").read_text(encoding="utf-8")
    for part in ("\n```\n", "**Units.**", "## Example", "## Assumes", "## Source"):
        assert part in text, part
