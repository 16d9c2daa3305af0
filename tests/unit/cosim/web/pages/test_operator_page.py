"""The operator's page: whom a request can be admitted to, and by which names houses go there."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("fastapi", reason="needs the extra: pip install 'gridsettle[web]'")
pytest.importorskip("eth_account", reason="needs the extra: pip install 'gridsettle[web]'")

from served_market import STREET, Visitor, close_intervals, open_market, patient

from cosim.case.community import COMMUNITY
from cosim.web.pages.account import CSV_COLUMNS
from cosim.web.pages.desk import Desk
from cosim.web.pages.house import list_free_houses
from market.ledger.format.records import DeviceKind

SHARED = STREET.with_changes(community={"enabled": True, "pv_kwp": 5.0, "battery_kwh": 5.0})


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    with open_market(tmp_path_factory.mktemp("shared") / "run", SHARED) as opened:
        yield patient(opened)


@pytest.fixture(scope="module")
def operator(desk: Desk) -> Visitor:
    visitor = Visitor(desk, "operator")
    visitor.sign_in_as_operator()
    return visitor


def list_options(page: str, person: int) -> list[tuple[str, bool, str]]:
    """Options of the houses for a request: value, whether it is preselected, words."""
    (select,) = re.findall(rf'<select id="house-{person}" name="house" required>(.*?)</select>', page)
    found = re.findall(r'<option value="(\d*)"( selected)?>([^<]+)</option>', select)
    return [(value, bool(chosen), words) for value, chosen, words in found]


@pytest.mark.parametrize(("wish", "chosen"), [(None, ""), (3, "3"), (5, "5")])
def test_a_request_preselects_the_house_that_it_names_or_none(
    wish: int | None, chosen: str, desk: Desk, operator: Visitor
) -> None:
    visitor = Visitor(desk, f"asks for {wish}")
    visitor.sign_in()
    visitor.submit_form("/join", **({} if wish is None else {"house": wish}))
    options = list_options(operator.get("/operator").text, visitor.number())
    assert [value for value, is_chosen, _ in options if is_chosen] == [chosen]
    names = desk.live.case.profiles.participants
    assert [words for value, _, words in options if value] == [f"house {k + 1}, {names[k]}" for k in range(5)]


def test_the_community_is_nobodys(desk: Desk, operator: Visitor) -> None:
    names = desk.live.case.profiles.participants
    assert names[5] == COMMUNITY
    assert list_free_houses(desk) == [0, 1, 2, 3, 4]
    visitor = Visitor(desk, "would be all")
    visitor.sign_in()
    refused = visitor.submit_form("/join", house=6)
    visitor.submit_form("/join")
    for answer in (refused, operator.submit_form("/operator/admit", person=visitor.number(), house=6)):
        assert (answer.status_code, "The community is nobody" in answer.text) == (409, True)
    operator.submit_form("/operator/admit", person=visitor.number(), house=3)
    assert f">house 3, {names[2]}</a>: wallet" in operator.get("/operator").text
    assert visitor.post("/house/statement", records=visitor.sign_registration(2)).status_code == 200
    assert '<option value="6">' not in visitor.get("/account").text


def test_a_battery_says_what_it_stores_and_panels_do_not(desk: Desk, operator: Visitor) -> None:
    visitor = Visitor(desk, "builds")
    visitor.join(4)
    close_intervals(desk, 1)
    battery_w = visitor.get("/house/next?battery_wh=4000").json()["battery_w"]
    battery = {"device": 0, "kind": DeviceKind.BATTERY, "power_w": battery_w, "energy_wh": 4000}
    assert visitor.state(4, "device", **battery).status_code == 200
    assert visitor.state(4, "device", device=1, power_w=500).status_code == 200
    words = [f"battery, {battery_w / 1000:g} kW, 4 kWh", "panels (PV), 0.5 kW"]
    mine, theirs = visitor.get("/main").text, operator.get("/operator").text
    for k, each in enumerate(words):
        assert f"<li>{each}" in mine
        assert f"<li>house 5, {desk.live.case.profiles.participants[4]}: device {k}, {each}</li>" in theirs


def test_columns_of_the_csv_that_are_numbers_name_their_units() -> None:
    texts = {"time", "what", "role", "other", "why"} | {"height", "seq"}
    assert all(re.search("_(wh|neur|ueur_per_kwh|ledger_index)$", name) for name in CSV_COLUMNS if name not in texts)


def test_a_refusal_is_forgotten_when_the_person_asks_again(desk: Desk, operator: Visitor) -> None:
    visitor = Visitor(desk, "asks twice")
    visitor.sign_in()
    visitor.submit_form("/join", house=2)
    operator.submit_form("/operator/refuse", person=visitor.number(), reason="not your house")
    assert "not your house" in visitor.get("/main").text
    visitor.submit_form("/join", house=1)
    page = visitor.get("/main").text
    assert ("Your request waits" in page, "not your house" in page) == (True, False)


def test_once_the_run_is_over_pages_have_no_form_for_it(tmp_path: Path) -> None:
    """Law: whatever a form could still ask of the run is gone with its last interval, and the page says why."""
    gone = ("submission", "panels", "battery", "/house/mode", "/operator/clock", "/operator/switch")
    with open_market(tmp_path / "run", STREET.with_changes(horizon={"hours": 2})) as opened:
        member, operator = Visitor(patient(opened), "member"), Visitor(patient(opened), "operator")
        member.join(0)
        operator.sign_in_as_operator()
        for n_closed, is_over in ((1, False), (1, True)):
            close_intervals(opened, n_closed)
            page = member.get("/main").text + operator.get("/operator").text
            forms = set(re.findall(r'<form [^>]*?(?:data-sign|action)="([\w/]+)"', page))
            assert set(gone) & forms == (set() if is_over else set(gone))
            assert page.count("The run is over") == (5 if is_over else 0)
            assert page.count(" data-over>") == (2 if is_over else 0)
