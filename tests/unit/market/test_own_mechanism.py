"""The how-to of one's own mechanism is a package that installs, is found by name, and runs."""

from __future__ import annotations

import re
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from market_scenes import RICH, F, U, batteries, houses, short

from cosim.delivery.window import Window, settle_window_with
from market.exchanges import GRID, NOBODY, Kind
from market.mechanisms import Mechanism, find_mechanism
from market.rules import PLUGGED_IN, Rules

PAGE = (Path(__file__).parents[3] / "docs/how-to/own-mechanism.md").read_text(encoding="utf-8")
NAME = "neediest_first"
RULES = Rules(mechanism=PLUGGED_IN)


def block(language: str, number: int) -> str:
    return re.findall(rf"```{language}\n(.*?)```", PAGE, flags=re.DOTALL)[number]


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Mechanism]:
    """The page's package as pip would leave it: its module, and a dist-info folder with its entry points."""
    project = tomllib.loads(block("toml", 0))["project"]
    (tmp_path / f"{NAME}.py").write_text(block("python", 0))
    folder = tmp_path / f"{NAME}-{project['version']}.dist-info"
    folder.mkdir()
    header = f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n"
    (folder / "METADATA").write_text(header)
    lines = [
        line
        for group, points in project["entry-points"].items()
        for line in (f"[{group}]", *(f"{name} = {value}" for name, value in points.items()))
    ]
    (folder / "entry_points.txt").write_text("\n".join(lines))
    monkeypatch.syspath_prepend(tmp_path)
    yield find_mechanism(NAME)
    sys.modules.pop(NAME, None)


def one_interval(chosen: Mechanism, surplus_wh: list[int], wallet_neur: list[int] | None = None) -> Window:
    n = len(surplus_wh)
    supply, state = houses(surplus_wh, batteries(*[0] * n), wallet_neur=wallet_neur)
    return settle_window_with(chosen.clear, supply, 0, 1, state, RULES)


def test_it_is_found_by_its_name(installed: Mechanism) -> None:
    assert (installed.name, installed.code) == (NAME, PLUGGED_IN)
    assert (installed.uses_battery, installed.charges_fee) == (True, False)


def test_example_is_short_and_complete() -> None:
    code = [line for line in block("python", 0).splitlines() if line.strip()]
    assert len(code) <= 36
    assert "..." not in block("python", 0)


def test_largest_need_is_served_from_the_largest_offer(installed: Mechanism) -> None:
    """Offers 0: 300, 1: 500; needs 2: 100, 3: 600; the poor house 4 goes to the grid."""
    window = one_interval(installed, [300, 500, -100, -600, -900], [0, 0, RICH, RICH, 0])
    assert short(window.rows[: window.offsets[1]]) == [
        (Kind.P2P, 1, 3, 500),
        (Kind.P2P, 0, 3, 100),
        (Kind.P2P, 0, 2, 100),
        (Kind.SPILL, 0, NOBODY, 100),
        (Kind.GRID_IMPORT, GRID, 4, 900),
    ]
    assert window.unbalanced.tolist() == [-1, -1]


def test_it_is_settled_like_any_other(installed: Mechanism) -> None:
    window = one_interval(installed, [300, -300])
    price = (F + U) // 2
    assert (window.state.wallet_neur - RICH).tolist() == [300 * price, -300 * price]


def test_mistakes_get_the_message_that_the_page_shows() -> None:
    """The page's example of a message is the one of `test_answers_of_ones_own_mechanism_are_checked`."""
    message = f"mechanism '{NAME}', interval 0, house 1, need answered, Wh: expected 300, got 0"
    assert message in PAGE


def test_scenario_with_it_runs_through_the_network(installed: Mechanism, capsys: pytest.CaptureFixture[str]) -> None:
    assert tomllib.loads(block("toml", 1)) == {"market": {"mechanism": installed.name}}
    names: dict[str, object] = {}
    exec(compile(block("python", 1), "own-mechanism.md", "exec"), names)
    assert "p2p" in capsys.readouterr().out
    exchanges = names["result"].exchanges  # type: ignore[attr-defined]
    trades = exchanges[exchanges.kind == "p2p"]
    assert trades.delivered_wh.sum() > 0
    assert (np.asarray(trades.price_ueur_per_kwh) > 0).all()
