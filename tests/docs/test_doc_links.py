"""Links of README and documentation: inner ones lead somewhere, outer ones are well formed. Nothing is fetched."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from doc_blocks import PAGES, ROOT, text_of

ALL = (*PAGES, "CHANGELOG.md")


def without_code(page: str) -> str:
    return re.sub(r"`[^`\n]*`", "`…`", re.sub(r"^```.*?^```", "", text_of(page), flags=re.DOTALL | re.MULTILINE))


def links(page: str) -> list[str]:
    text = without_code(page)
    angled = re.findall(r"<(https?://[^>]*)>", text)
    return re.findall(r"\]\(([^)\s]*(?:\([^)\s]*\)[^)\s]*)*)(?:\s+\"[^\"]*\")?\)", text) + angled


def bare(page: str) -> list[str]:
    """Addresses that stand in the text without being a link."""
    return re.findall(r"(?<![(<\w/])https?://[^\s)>\"]+", without_code(page))


def anchors(page: Path) -> set[str]:
    """Anchors of a page's headings, as Python-Markdown and GitHub make them for plain headings."""
    text = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)
    titles = re.findall(r"^#+\s+(.*)$", text, flags=re.MULTILINE)
    plain = (re.sub(r"[^\w\s-]", "", title).strip().lower() for title in titles)
    return {re.sub(r"[-\s]+", "-", title) for title in plain}


@pytest.mark.parametrize("page", ALL)
def test_inner_links_lead_somewhere(page: str) -> None:
    for link in links(page):
        if urlsplit(link).scheme:
            continue
        path, _, anchor = unquote(link).partition("#")
        target = (ROOT / page).parent / path if path else ROOT / page
        assert target.exists(), f"{page}: {link}"
        assert target.resolve().is_relative_to(ROOT.resolve()), f"{page}: {link} leads out of the project"
        if anchor:
            assert anchor in anchors(target), f"{page}: {link}"


@pytest.mark.parametrize("page", ALL)
def test_outer_links_are_well_formed(page: str) -> None:
    for link in [*links(page), *bare(page)]:
        parts = urlsplit(link)
        if not parts.scheme:
            continue
        assert parts.scheme in ("https", "mailto"), f"{page}: {link}"
        if parts.scheme == "mailto":
            continue
        assert re.fullmatch(r"[\w-]+(\.[\w-]+)*\.[a-z]{2,}", parts.netloc), f"{page}: {link}"
        assert not re.search(r"[\s<>\"{}|\\^`]|[.,;:]$", link), f"{page}: {link}"
        if parts.netloc == "doi.org":
            assert re.fullmatch(r"/10\.\d{4,9}/\S+", parts.path), f"{page}: {link}"


def test_a_page_that_links_nowhere_would_be_found(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("# A title: *one*\n\n[x](other.md#none) and [y](https://a b)\n", encoding="utf-8")
    assert links(str(page)) == ["other.md#none"]
    assert anchors(page) == {"a-title-one"}
    assert not (page.parent / "other.md").exists()


def test_mkdocs_stops_at_broken_links_and_anchors() -> None:
    settings = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    assert "\nstrict: true\n" in settings
    for kind in ("not_found", "anchors", "unrecognized_links", "absolute_links"):
        assert f"{kind}: warn" in settings
    assert "mkdocs build" in (ROOT / ".ci/run").read_text(encoding="utf-8")
