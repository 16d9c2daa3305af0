"""What pages show of an outage: what was spilled, what is open, what waits to be joined."""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandapower as pp
import pytest

pytest.importorskip("fastapi", reason="needs the extra: pip install 'gridsettle[web]'")
pytest.importorskip("eth_account", reason="needs the extra: pip install 'gridsettle[web]'")

from served_market import STREET, Visitor, close_intervals, open_market, patient

from cosim.web.pages.desk import Desk
from cosim.web.pages.feeder_map import find_open
from cosim.web.pages.house import list_cut
from cosim.web.pages.journal import Recorded
from cosim.web.pages.welcome import name_outcome
from cosim.web.pages.words import format_energy, format_price
from market.exchanges import EXCHANGE, NOBODY, Kind, Reason
from market.ledger.format.records import Change


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    """At noon the grid is out: house 0 has more sun than it can use."""
    with open_market(tmp_path_factory.mktemp("outage") / "run") as opened:
        Visitor(opened, "owner").join(0)
        close_intervals(opened, 3)
        opened.live.switch(Change.GRID_OUT, 0, opens=True)
        close_intervals(opened, 2)
        yield patient(opened)


@pytest.fixture(scope="module")
def owner(desk: Desk) -> Visitor:
    visitor = Visitor(desk, "owner")
    visitor.sign_in()
    return visitor


@pytest.mark.slow
def test_what_was_spilled_is_on_the_page_of_the_house_with_its_reason(desk: Desk, owner: Visitor) -> None:
    meters = desk.journal.list_meters(0, 0, 5)
    assert meters["spilled_wh"][-1] > 0
    page = owner.get("/main").text
    spilled = format_energy(int(meters["spilled_wh"][-1]))
    assert f"<dt>generated, not used</dt><dd>{spilled}</dd>" in page
    assert f"generated, not used {format_energy(int(meters['spilled_wh'].sum()))}." in page
    cut = page.partition('id="cut"')[2].partition("</section>")[0]
    assert "generated, not used" in cut
    assert spilled in cut
    assert "cut off from the grid could not balance it, supplied from" in cut or "there is no supply at" in cut


@pytest.mark.parametrize("reason", list(Reason))
@pytest.mark.parametrize("deal_is_cut", [False, True])
def test_generation_that_was_spilled_by_force_is_told_once(reason: Reason, deal_is_cut: bool) -> None:
    rows = np.zeros(2, EXCHANGE)
    rows["seller"], rows["buyer"], rows["element"] = 0, NOBODY, 1
    rows["kind"], rows["reason"] = (Kind.GRID_EXPORT, Kind.SPILL), (Reason.OVERVOLTAGE, reason)
    rows["cleared_wh"], rows["delivered_wh"] = (900, 0), (900 * (not deal_is_cut), 900)
    told = [entry["what"] for entry in list_cut([(1, row) for row in rows], 0)]
    forced = reason != Reason.NONE and not (reason == Reason.MAKES_UP and deal_is_cut)
    assert told == ["sold to the grid"] * deal_is_cut + ["generated, not used"] * forced


def test_what_is_out_is_drawn_as_open_and_now_says_outage(desk: Desk, owner: Visitor) -> None:
    page = owner.get("/").text
    net = desk.live.case.feeder.net
    assert re.findall(r"<title>([^:<]+): open</title>", page) == [net.trafo.name[net.trafo.index[0]]]
    assert f"<title>transformer {net.trafo.index[0]}: open</title>" in Visitor(desk).get("/").text
    assert re.search(r'class="load-open"[^>]*></line></svg>open', page)
    assert re.search(r"<dt>last interval</dt><dd>outage", page)
    before = Recorded(1, np.zeros(0, EXCHANGE), np.zeros(0, EXCHANGE), None, 0, is_islanded=False)
    assert name_outcome(before) == "all deals delivered"


def test_a_branch_is_open_by_itself_or_by_a_switch(desk: Desk) -> None:
    net = copy.deepcopy(desk.live.case.feeder.net)
    line, trafo = int(net.line.index[2]), int(net.trafo.index[0])
    at_line = pp.create_switch(net, int(net.line.from_bus[line]), line, et="l")
    at_trafo = pp.create_switch(net, int(net.trafo.lv_bus[trafo]), trafo, et="t")
    between = pp.create_switch(net, int(net.bus.index[0]), int(net.bus.index[1]), et="b")
    n_lines = len(net.line)
    expected = {
        (Change.LINE_OUT, line): {2},
        (Change.TRANSFORMER_OUT, trafo): {n_lines},
        (Change.SWITCH_OPEN, int(at_line)): {2},
        (Change.SWITCH_OPEN, int(at_trafo)): {n_lines},
        (Change.SWITCH_OPEN, int(between)): set(),
        (Change.GRID_OUT, 0): set(),
    }
    for change, found in expected.items():
        assert find_open(net, frozenset([change])) == found


def test_what_is_closed_again_waits_until_it_is_joined(desk: Desk) -> None:
    """Closes the outage of this module's market: the tests of the outage come before."""
    operator = Visitor(desk, "operator")
    operator.sign_in_as_operator()
    nothing, waits = "Nothing is open by command.", "Closed again; islands join after an interval in step."
    page = operator.get("/operator").text
    assert ("is open <button" in page, nothing in page, waits in page) == (True, False, False)
    desk.live.switch(Change.GRID_OUT, 0, opens=False)
    page = operator.get("/operator").text
    assert ("is open <button" in page, nothing in page, waits in page) == (False, False, True)
    for _ in range(4):
        close_intervals(desk, 1)
        assert desk.live.last is not None
        page, is_joined = operator.get("/operator").text, not desk.live.last.chunk.network.in_force.any()
        assert (nothing in page, waits in page) == (is_joined, not is_joined)
    assert is_joined


@pytest.mark.parametrize(("hours", "words"), [(2, "The run is over. The map"), (3, "when the next interval closes")])
def test_a_server_that_is_started_again_says_when_there_is_a_map(hours: int, words: str, tmp_path: Path) -> None:
    scenario = STREET.with_changes(horizon={"hours": hours})
    with open_market(tmp_path / "run", scenario) as opened:
        assert "once an interval has closed" in Visitor(opened).get("/").text
        close_intervals(opened, 2)
        assert '<svg class="map"' in Visitor(opened).get("/").text
    with open_market(tmp_path / "run", scenario) as opened:
        assert words in Visitor(opened).get("/").text


def test_a_price_is_shown_where_a_trade_was_delivered(tmp_path: Path) -> None:
    """Law: the price of an interval is one of its delivered trades', and there is none without."""
    with open_market(tmp_path / "run") as opened:
        seen = set()
        for t in range(14):
            close_intervals(opened, 1)
            rows = opened.journal.intervals[t].exchanges
            made = rows[(rows["kind"] == Kind.P2P) & (rows["delivered_wh"] > 0)]["price_ueur_per_kwh"].tolist()
            shown = re.search(
                "<dt>price between houses, last interval</dt><dd>(.+?)</dd>", Visitor(opened).get("/").text
            )
            assert shown is not None
            assert shown[1] in ([format_price(price) for price in made] or ["no trade"])
            seen.add(bool(made))
        assert seen == {True, False}


def test_what_is_sold_is_not_said_to_be_sold_to_houses(desk: Desk, owner: Visitor) -> None:
    """In an island the operator buys its losses: the meter counts them as sold."""
    page = owner.get("/main").text
    assert "<dt>sold</dt>" in page
    assert "sold to houses" not in page
