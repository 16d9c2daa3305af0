"""Names on pages: one number of a house everywhere, elements by name, and names of people for the operator alone."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator
from pathlib import Path

import pandapower as pp
import pytest

pytest.importorskip("fastapi", reason="needs the extra: pip install 'gridsettle[web]'")
pytest.importorskip("eth_account", reason="needs the extra: pip install 'gridsettle[web]'")

from served_market import STREET, Visitor, close_intervals, open_market, patient, submission

from cosim import Scenario
from cosim.case.case import build_case
from cosim.results.labels import name_house, number_house
from cosim.web.pages.desk import Desk
from cosim.web.pages.names import Sight, make_names
from market.exchanges import Kind
from market.ledger.read.account import collect_entries
from market.ledger.store.store import Store

PEOPLE = ("ann", "bob", "cyd", "dan")
SHARED = STREET.with_changes(community={"enabled": True, "pv_kwp": 5.0, "battery_kwh": 5.0})


def make_own_street(folder: Path) -> Scenario:
    """A street from files, whose net names its elements after people."""
    net = pp.create_empty_network()
    medium, last = pp.create_bus(net, 20.0, name="medium voltage"), pp.create_bus(net, 0.4, name="bar")
    pp.create_ext_grid(net, medium)
    pp.create_transformer(net, medium, last, "0.25 MVA 20/0.4 kV", name="station Mill Lane")
    for who in PEOPLE:
        bus = pp.create_bus(net, 0.4, name=f"door of {who}", index=10 * len(net.bus))
        pp.create_line(net, last, bus, 0.4, "NAYY 4x50 SE", name=f"cable to {who.title()}", index=100 + len(net.line))
        last = bus
    pp.to_json(net, str(folder / "net.json"))
    placed = "".join(f"{who},door of {who}\n" for who in PEOPLE)
    (folder / "people.csv").write_text(f"participant,bus\n{placed}", encoding="utf-8")
    suns = (0.2, 0.1, 16.0, 18.0)
    lines = [
        f"2017-06-10T{hour:02d}:00Z,{who},{1.0 if who in 'annbob' else 0.3},{sun if hour > 1 else 0},0.25\n"
        for hour in range(8)
        for who, sun in zip(PEOPLE, suns, strict=True)
    ]
    heads = "time,participant,load_kwh,pv_kwh,price_eur_per_kwh\n"
    (folder / "profiles.csv").write_text(heads + "".join(lines), encoding="utf-8")
    files = {"source": "file", "file": str(folder / "net.json"), "participants": str(folder / "people.csv")}
    return Scenario().with_changes(
        name="mill lane",
        horizon={"start": "2017-06-10T00:00:00Z", "hours": 8},
        profiles={"source": "table", "file": str(folder / "profiles.csv")},
        network=files,
        market={"feed_in": True, "mechanism": "trading"},
        limits={"min_vm_pu": 0.97, "max_vm_pu": 1.03},
    )


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    folder = tmp_path_factory.mktemp("own")
    with open_market(folder / "run", make_own_street(folder)) as opened:
        close_intervals(opened, 5)
        yield patient(opened)


@pytest.fixture(scope="module")
def visitors(own: Desk) -> dict[str, Visitor]:
    found = {name: Visitor(own, name) for name in ("stranger", "seller", "buyer", "operator")}
    found["seller"].join(3)
    found["buyer"].join(0)
    found["operator"].sign_in_as_operator()
    close_intervals(own, 1)
    return found


def read_pages(visitors: dict[str, Visitor], who: str) -> str:
    paths = {"stranger": ("/", "/signin"), "operator": ("/", "/operator", "/account?house=4")}
    return "".join(visitors[who].get(path).text for path in paths.get(who, ("/", "/main", "/account", "/account.csv")))


def test_members_read_names_of_elements_and_nobodys_own(visitors: dict[str, Visitor]) -> None:
    """Law: no page of another than the operator has a name of the tables in it; the operator's have them all."""
    for who in ("stranger", "seller", "buyer"):
        pages = read_pages(visitors, who)
        assert not re.search(rf"\b({'|'.join(PEOPLE)})\b", pages, re.IGNORECASE), who
        assert ("station Mill Lane" in pages) == (who != "stranger")
    theirs = read_pages(visitors, "operator").lower()
    assert all(who in theirs for who in PEOPLE)
    assert "<title>bus door of dan (house 4): " in theirs
    assert "<title>line cable to dan: " in theirs


def test_what_binds_is_named_as_the_reader_may_see_it(visitors: dict[str, Visitor]) -> None:
    page = visitors["seller"].get("/main").text
    cut = page.partition('id="cut"')[2].partition("</section>")[0]
    envelope = page.partition('id="envelope"')[2].partition("</section>")[0]
    for part in (cut, envelope):
        assert re.search(r"too high at house \d|would flow in line cable to house \d", part), part
    account = visitors["operator"].get("/account?house=4").text
    assert re.search(r"too high at bus door of \w+ \(house \d\)|would flow in line cable to \w+", account)
    answer = visitors["seller"].state(3, "device", power_w=400_000)
    assert re.search("too high at house|line cable to house|station Mill Lane", answer.json()["error"]), answer.text


def test_a_house_has_one_number_everywhere(own: Desk, visitors: dict[str, Visitor]) -> None:
    """Law: pages, messages, files and the operator's lists call the ledger's house k house k + 1."""
    seller, operator = visitors["seller"], visitors["operator"]
    assert "<h1>House 4</h1>" in seller.get("/main").text
    assert "<h1>Account of house 4</h1>" in seller.get("/account").text
    assert "has ledger index 3" in seller.get("/account").text
    assert 'filename="house-4-2017-06.csv"' in seller.get("/account.csv").headers["content-disposition"]
    assert ">house 4, dan</a>" in operator.get("/operator").text
    assert seller.state(3, "grant", other=0).json()["said"].startswith("House 1 may read")
    assert "House 1 has not granted" in seller.get("/account?house=1").text
    assert (seller.get("/account?house=0").status_code, seller.get("/account?house=5").status_code) == (400, 400)
    assert "<h1>Account of house 1</h1>" in operator.get("/account?house=1").text


def test_what_people_do_by_mistake_is_refused_in_words_of_the_page(own: Desk, visitors: dict[str, Visitor]) -> None:
    """A person meets no index, no field and no state of the store, however it errs by ordinary use of a page."""
    seller = visitors["seller"]
    asks = Visitor(own, "asks")
    asks.sign_in()
    wrong = [asks.submit_form("/join", house=house) for house in (0, 5, 99)]
    assert ('href="/account"' in asks.get("/").text, 'href="/account"' in seller.get("/").text) == (False, True)
    assert asks.submit_form("/join", house=2).status_code == 303
    wrong += [asks.submit_form("/join", house=2), seller.submit_form("/join", house=2)]
    assert seller.submit_form("/account/ask", house=1).status_code == 303
    wrong += [seller.submit_form("/account/ask", house=house) for house in (0, 1, 2, 4, 5)]
    wrong += [seller.post("/house/submission", record="15" + "00" * 11 + "03" + "00" * 59, signature="00" * 64)]
    own.people.decisions.admit(asks.number(), 1)
    early = asks.submit(submission(1, own.live.next_interval, 1))
    assert (early.status_code, "does not count yet" in early.text) == (403, True)
    for answer in wrong:
        found = re.search(r'role="alert">(.*?)</p>', answer.text)
        said = answer.json()["error"] if found is None else found[1]
        assert answer.status_code in (400, 403, 404, 409), said
        assert not re.search(r"[Hh]ouse [05]\b|ouse 99|state |got |index|field", said), said


def test_the_csv_leads_back_to_the_ledger(own: Desk, visitors: dict[str, Visitor]) -> None:
    """Law: every row of the CSV names the record on the ledger, its other party and its element there."""
    rows = list(csv.DictReader(io.StringIO(visitors["seller"].get("/account.csv").text)))
    with Store.open_to_read(own.live.directory) as store:
        known = collect_entries(store, 3)
    assert rows
    assert len(rows) == sum(row[0] < Kind.METER for row in known)
    entries = own.journal.list_entries(3, 0, 6)[::-1]
    for row, (height, entry) in zip(rows, entries, strict=True):
        other = int(entry["buyer"] if entry["seller"] == 3 else entry["seller"])
        assert (int(row["height"]), int(row["seq"])) == (height, entry["seq"])
        assert row["other_ledger_index"] == (str(other) if other >= 0 else "")
        assert other < 0 or row["other"] == name_house(other)
        assert row["element_ledger_index"] == (str(entry["element"]) if entry["element"] >= 0 else "")
    assert any(row["element_ledger_index"] for row in rows)


def test_the_community_is_no_house_and_is_called_so(tmp_path: Path) -> None:
    with open_market(tmp_path / "run", SHARED) as desk:
        member, operator = Visitor(patient(desk), "member"), Visitor(patient(desk), "operator")
        member.join(0)
        operator.sign_in_as_operator()
        close_intervals(desk, 4)
        welcome = member.get("/").text
        assert "<p>5 houses on one street network, and a community battery" in welcome
        assert "<title>the community: " in welcome
        assert "Account of the community" in operator.get("/account?house=6").text
        everything = "".join(operator.get(path).text for path in ("/operator", "/account?house=1", "/account?house=6"))
        assert "house 6" not in everything
        assert "house 0" not in everything.replace("its house 0 is house 1", "")


def test_the_welcome_page_of_a_market_without_a_community_names_none(visitors: dict[str, Visitor]) -> None:
    assert "<p>4 houses on one street network sell" in re.sub(r"\s+", " ", visitors["stranger"].get("/").text)


@pytest.mark.parametrize("name", ["default", "phases", "cigre_lv", "kerber"])
def test_every_element_has_a_name_of_its_own(name: str) -> None:
    """Law: whoever looks, no two elements of a table have one name, so that a reason names one."""
    case = build_case(Scenario.load(name).with_changes(horizon={"hours": 1}, events=()))
    names, net = make_names(case), case.feeder.net
    tables = {"bus": net.bus.index, "line": net.line.index, "transformer": net.trafo.index}
    for sight in Sight:
        for table, index in tables.items():
            called = [names.places[sight](table, int(k)) for k in index]
            assert len(set(called)) == len(called)
            assert all(called)
    for house in names.houses:
        assert name_house(house) == names.places[Sight.MEMBER]("bus", int(case.feeder.bus[house]))
    assert names.places[Sight.OPERATOR]("bus", -1) == "bus -1"


def test_numbers_of_houses_are_those_in_the_tables_names() -> None:
    case = build_case(Scenario.load("default").with_changes(horizon={"hours": 1}, events=()))
    for house in make_names(case).houses:
        assert case.profiles.participants[house] == f"house_{number_house(house):02d}"
