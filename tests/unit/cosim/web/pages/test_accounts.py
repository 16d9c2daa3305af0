"""Accounts as pages show them: what the ledger says, receipts that can be verified, CSV without formulas, access."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

pytest.importorskip("fastapi", reason="needs the extra: pip install 'gridsettle[web]'")
pytest.importorskip("eth_account", reason="needs the extra: pip install 'gridsettle[web]'")

from served_market import Visitor, close_intervals, open_market, patient, submission

from cosim.web.pages.account import CSV_COLUMNS
from cosim.web.pages.desk import Desk
from cosim.web.pages.journal import Journal
from cosim.web.pages.welcome import find_verifier_key
from market.ledger.check.receipt import Proven, check_receipt, parse_receipt
from market.ledger.format.records import RecordKind, select_rows
from market.ledger.read.account import collect_entries, make_account
from market.ledger.store.registry import find_operators_key
from market.ledger.store.store import Store
from market.ledger.store.tip import decode_records


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    with open_market(tmp_path_factory.mktemp("market") / "run") as opened:
        close_intervals(opened, 20)
        yield patient(opened)


@pytest.fixture(scope="module")
def seller(desk: Desk) -> Visitor:
    visitor = Visitor(desk, "seller")
    visitor.join(0)
    return visitor


def test_balances_and_bills_are_those_of_the_ledger(desk: Desk) -> None:
    with Store.open_to_read(desk.live.directory) as store:
        for house in range(5):
            account = make_account(store, house, collect_entries(store, house))
            assert desk.journal.find_balance(house) == (account.wallet_neur, account.account_neur)
            summed = dict.fromkeys(account.money_neur, 0)
            for _, lines in desk.journal.list_bills(house):
                for kind, neur in lines.items():
                    summed[kind.name.lower()] += neur
            assert summed == dict(account.money_neur)
            assert len(desk.journal.list_entries(house, 0, 20)) == sum(
                row[0] < 16 for row in collect_entries(store, house)
            )


def test_a_journal_that_catches_up_is_one_that_is_read_at_once(desk: Desk) -> None:
    again = Journal(desk.live.directory, lambda interval: f"{desk.live.starts_at(interval):%Y-%m}")
    assert again.blocks == desk.journal.blocks
    assert again.months == desk.journal.months
    for house in range(5):
        assert again.find_balance(house) == desk.journal.find_balance(house)
        assert again.list_bills(house) == desk.journal.list_bills(house)


def test_every_receipt_of_a_house_is_verified_offline(desk: Desk, seller: Visitor) -> None:
    key = find_operators_key(desk.live.registry, desk.live.next_height) or b""
    rows = desk.journal.list_entries(0, 0, 20)
    assert len(rows) > 10
    for height, row in rows:
        answer = seller.get(f"/account/receipt?interval={row['interval']}&seq={row['seq']}")
        proven = check_receipt(parse_receipt(answer.text), key)
        assert isinstance(proven, Proven), proven
        assert (proven.height, proven.record) == (height, row.tobytes())
    assert find_verifier_key(desk) in seller.get("/").text


def test_the_csv_has_every_transaction_and_no_formula(desk: Desk, seller: Visitor) -> None:
    rows = list(csv.DictReader(io.StringIO(seller.get("/account.csv").text)))
    assert tuple(rows[0]) == CSV_COLUMNS
    entries = desk.journal.list_entries(0, 0, 20)[::-1]
    assert [int(row["delivered_wh"]) for row in rows] == [int(entry["delivered_wh"]) for _, entry in entries]
    texts = [row[name] for row in rows for name in ("time", "what", "role", "other", "why")]
    assert not [text for text in texts if text.startswith(("=", "+", "-", "@"))]
    assert any("voltage would be too high at house" in row["why"] for row in rows)


def test_access_is_asked_granted_read_and_withdrawn(desk: Desk, seller: Visitor) -> None:
    reader = Visitor(desk, "reader")
    reader.join(4)
    assert reader.submit_form("/account/ask", house=1).status_code == 303
    assert "They ask you" in seller.get("/account").text
    close_intervals(desk, 1)
    assert reader.get("/account?house=1").status_code == 403
    assert seller.state(0, "grant", other=4).status_code == 200
    assert "They ask you" not in seller.get("/account").text
    assert reader.state(4, "access", other=0).json()["next"] == "/account?house=1"
    assert reader.get("/account?house=1").status_code == 200
    shown = seller.get("/account").text
    assert "house 5: account, once" in shown
    assert "house 5: signed that it reads" in shown
    assert seller.state(0, "withdraw", other=4).status_code == 200
    assert reader.get("/account?house=1").status_code == 403
    assert reader.state(4, "access", other=0).status_code == 409


def test_a_submission_is_taken_shown_and_on_the_ledger(desk: Desk, seller: Visitor) -> None:
    t = desk.live.next_interval
    answer = seller.submit(submission(0, t, 1, net_wh=1000))
    assert answer.json()["said"] == f"Taken for interval {t}, and signed by the operator."
    assert len(answer.json()["promise"]["signature"]) == 128
    assert "give 1.000 kWh" in seller.get("/main").text
    again = seller.submit(submission(0, t, 1, net_wh=1000))
    assert (again.status_code, "handed in already" in again.json()["error"]) == (400, True)
    close_intervals(desk, 1)
    late = seller.submit(submission(0, t, 2))
    assert (late.status_code, "is closed" in late.json()["error"]) == (400, True)


def test_a_house_run_by_hand_that_submits_nothing_is_marked(desk: Desk, seller: Visitor) -> None:
    assert seller.submit_form("/house/mode", mode="manual").status_code == 303
    close_intervals(desk, 1)
    assert "You submitted nothing for the last interval" in seller.get("/main").text
    assert seller.submit_form("/house/mode", mode="automatic").status_code == 303
    close_intervals(desk, 1)
    assert "You submitted nothing" not in seller.get("/main").text


def test_a_revoked_member_is_out_at_once_and_off_the_ledger_once(desk: Desk) -> None:
    visitor = Visitor(desk, "somebody")
    visitor.join(2)
    height = desk.live.next_height
    desk.people.decisions.revoke(visitor.number(), "moved away")
    assert visitor.get("/main").status_code == 303
    with ThreadPoolExecutor() as threads:  # the clock carries out too
        list(threads.map(lambda _: desk.carry_out(), range(4)))
    assert desk.live.next_height == height + 1
    assert len(desk.journal.blocks) == desk.live.next_height
    close_intervals(desk, 1)
    assert desk.live.key_of(2) is None
    visitor.csrf = visitor.read_csrf("/signin")
    visitor.sign_in()
    answer = visitor.get("/main")
    assert (answer.status_code, "ended your membership: moved away" in answer.text) == (403, True)


def test_a_server_that_is_started_again_keeps_sessions_and_submissions(tmp_path: Path) -> None:
    """Between a submission and its gate the server ends: nothing that was acknowledged is lost."""
    with open_market(tmp_path / "run") as desk:
        first = Visitor(desk, "seller")
        first.join(0)
        close_intervals(desk, 1)
        assert first.submit(submission(0, 1, 1, net_wh=500)).status_code == 200
        cookies = dict(first.client.cookies)
    with open_market(tmp_path / "run") as desk:
        second = Visitor(desk, "seller")
        for name, value in cookies.items():
            second.client.cookies.set(name, value)
        assert "give 0.500 kWh" in second.get("/main").text
        close_intervals(desk, 1)
        with Store.open_to_read(tmp_path / "run") as store:
            applied = select_rows(decode_records(store.block(store.size() - 1).records), RecordKind.SUBMISSION)
        assert applied["net_wh"].tolist() == [500]


def test_a_registration_that_came_too_late_is_signed_again(desk: Desk) -> None:
    """A block was written between the page's question and its statement: refused, nothing lost, the next one counts."""
    visitor = Visitor(desk, "slow")
    visitor.sign_in()
    visitor.submit_form("/join", house=2)
    desk.people.decisions.admit(visitor.number(), 1)
    late = visitor.sign_registration(1)
    close_intervals(desk, 2)
    answer = visitor.post("/house/statement", records=late)
    assert answer.status_code == 409
    assert visitor.get("/main").status_code == 200
    assert visitor.post("/house/statement", records=visitor.sign_registration(1)).status_code == 200
    assert not desk.people.decisions.list_decisions_to_carry_out()


def test_the_page_names_the_range_that_is_taken(desk: Desk, seller: Visitor) -> None:
    """Law: what the page says can be given and taken is taken, and 1 Wh more is not."""
    page, t = seller.get("/main").text, desk.live.next_interval
    found = re.search(r'id="range" class="note">give up to ([\d.]+) kWh, take up to ([\d.]+) kWh<', page)
    assert found is not None
    gives, takes = (round(float(kwh) * 1000) for kwh in found.groups())
    for net_wh, status in ((gives, 200), (gives + 1, 400), (-takes, 200), (-takes - 1, 400)):
        record = submission(0, t, desk.live.next_submission_number(0), net_wh=net_wh)
        assert seller.submit(record).status_code == status
