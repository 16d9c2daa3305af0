"""The page docs/how-to/hosting-capacity.md prints what it shows."""

from __future__ import annotations

import pytest
from doc_blocks import blocks

from cosim import Scenario, find_hosting

PAGE = "docs/how-to/hosting-capacity.md"

pytestmark = pytest.mark.slow  # two searches over a week


def test_a_street_of_one_phase_houses_holds_what_the_page_says(capsys: pytest.CaptureFixture[str]) -> None:
    page = blocks(PAGE)
    names: dict[str, object] = {"Scenario": Scenario, "find_hosting": find_hosting}
    shown = [block.text for block in page if block.language == "text"]
    for code, text in zip([block.text for block in page if block.is_python][1:], shown, strict=True):
        exec(compile(code, PAGE, "exec"), names)
        assert capsys.readouterr().out == text
