"""Who may do what: every route, by every role, with the answer that it gets."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

pytest.importorskip("fastapi", reason="needs the extra: pip install 'gridsettle[web]'")
pytest.importorskip("eth_account", reason="needs the extra: pip install 'gridsettle[web]'")

from served_market import Visitor, close_intervals, open_market, patient, submission

from cosim.case.devices import make_battery
from cosim.web.pages.app import ENTRIES
from cosim.web.pages.visits import LONGEST_BODY
from market.ledger.format.records import DeviceKind

ROLES = ("anonymous", "stranger", "member", "other", "granted", "ended", "revoked", "operator")
"""Nobody; signed in but no member; of house 0; of house 3, without a grant of house 0; of house 4 with one; of house 2,
whose grant was withdrawn; who was a member of house 1; the operator."""


@pytest.fixture(scope="module")
def people(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Visitor]]:
    with open_market(tmp_path_factory.mktemp("market") / "run") as desk:
        desk = patient(desk)
        found = {role: Visitor(desk, role) for role in ROLES}
        for role, house in (("member", 0), ("other", 3), ("granted", 4), ("ended", 2), ("revoked", 1)):
            found[role].join(house)
        found["stranger"].sign_in()
        found["operator"].sign_in_as_operator()
        close_intervals(desk, 3)
        for reader in (4, 2):
            assert found["member"].state(0, "grant", other=reader).status_code == 200
        assert found["member"].state(0, "withdraw", other=2).status_code == 200
        desk.people.decisions.revoke(found["revoked"].number())
        desk.carry_out()
        found["revoked"].csrf = found["revoked"].read_csrf("/signin")
        yield found


IN, NO, OFF = 303, 403, 401
"""To the sign-in page; forbidden; sign in first."""
TABLE: dict[tuple[str, str], tuple[int, ...]] = {
    # anonymous, stranger, member, other, granted, ended, revoked, operator
    ("GET", "/"): (200, 200, 200, 200, 200, 200, 200, 200),
    ("GET", "/signin"): (200, 303, 303, 303, 303, 303, 200, 303),
    ("GET", "/main"): (IN, 200, 200, 200, 200, 200, IN, NO),
    ("GET", "/house/next"): (IN, NO, 200, 200, 200, 200, IN, NO),
    ("GET", "/account"): (IN, NO, 200, 200, 200, 200, IN, 400),
    ("GET", "/account?house=1"): (IN, NO, 200, NO, 200, NO, IN, 200),
    ("GET", "/account?house=x"): (IN, NO, 400, 400, 400, 400, IN, 400),
    ("GET", "/account.csv?house=1"): (IN, NO, 200, NO, 200, NO, IN, 200),
    ("GET", "/account/receipt?interval=0&seq=0"): (IN, NO, 404, 404, 200, 200, IN, 400),
    ("GET", "/account/receipt?house=1&interval=1&seq=0"): (IN, NO, 200, NO, 200, NO, IN, 200),
    ("GET", "/account/receipt?house=1&interval=99&seq=0"): (IN, NO, 404, NO, 404, NO, IN, 404),
    ("GET", "/operator"): (IN, NO, NO, NO, NO, NO, IN, 200),
    ("GET", "/operator/checkpoint"): (IN, NO, NO, NO, NO, NO, IN, 200),
    ("GET", "/docs"): (404,) * 8,
    ("GET", "/openapi.json"): (404,) * 8,
    ("GET", "/demo/sign"): (404,) * 8,
    ("GET", "/favicon.ico"): (308,) * 8,
    ("GET", "/static/pages.css"): (200,) * 8,
    ("GET", "/static/../app.py"): (404,) * 8,
    ("GET", "/checkpoint"): (200,) * 8,
    ("GET", "/tile/0/000.p/1"): (200,) * 8,
    ("GET", "/tile/0/../../people.sqlite"): (404,) * 8,
    ("GET", "/house/submission"): (405,) * 8,
    ("POST", "/"): (405,) * 8,
    ("POST", "/demo/sign"): (404,) * 8,
    ("POST", "/signin/message"): (400,) * 8,
    ("POST", "/signin/wallet"): (OFF,) * 8,
    ("POST", "/signin/passkey/new"): (400,) * 8,
    ("POST", "/signin/passkey/register"): (400,) * 8,
    ("POST", "/signin/passkey/known"): (400,) * 8,
    ("POST", "/signin/passkey"): (400,) * 8,
    ("POST", "/signin/operator"): (OFF,) * 8,
    ("POST", "/join?house=9"): (OFF, 303, 409, 409, 409, 409, OFF, NO),
    ("POST", "/house/submission"): (OFF, NO, 400, 400, 400, 400, OFF, NO),
    ("POST", "/house/statement"): (OFF, NO, 400, 400, 400, 400, OFF, NO),
    ("POST", "/house/mode"): (OFF, NO, 303, 303, 303, 303, OFF, NO),
    ("POST", "/account/ask"): (OFF, NO, 400, 400, 400, 400, OFF, NO),
    ("POST", "/account/refuse"): (OFF, NO, 400, 400, 400, 400, OFF, NO),
    ("POST", "/operator/admit"): (OFF, NO, NO, NO, NO, NO, OFF, 400),
    ("POST", "/operator/refuse"): (OFF, NO, NO, NO, NO, NO, OFF, 400),
    ("POST", "/operator/revoke"): (OFF, NO, NO, NO, NO, NO, OFF, 400),
    ("POST", "/operator/clock"): (OFF, NO, NO, NO, NO, NO, OFF, 400),
    ("POST", "/operator/switch"): (OFF, NO, NO, NO, NO, NO, OFF, 400),
    ("POST", "/operator/audit"): (OFF, NO, NO, NO, NO, NO, OFF, 400),
}
ELSEWHERE = {("POST", "/signout")}
"""Routes whose answer ends the visit: they have tests of their own."""


def test_the_table_has_every_route() -> None:
    known = {(method, path.partition("?")[0]) for method, path in TABLE} | ELSEWHERE
    assert {(entry.method, entry.path) for entry in ENTRIES} <= known


@pytest.mark.parametrize(("method", "path"), TABLE)
def test_route_and_role(people: dict[str, Visitor], method: str, path: str) -> None:
    found = []
    for role in ROLES:
        visitor = people[role]
        answer = visitor.get(path) if method == "GET" else visitor.submit_form(path)
        found.append(answer.status_code)
        if answer.status_code == 303 and method == "GET" and path != "/signin":
            assert answer.headers["location"] == "/signin"
    assert dict(zip(ROLES, found, strict=True)) == dict(zip(ROLES, TABLE[method, path], strict=True))


POSTS = [entry.path for entry in ENTRIES if entry.method == "POST"]


@pytest.mark.parametrize("path", POSTS)
@pytest.mark.parametrize("role", ["member", "operator", "anonymous"])
def test_a_forged_form_changes_nothing(people: dict[str, Visitor], path: str, role: str) -> None:
    client = people[role].client
    known = {"csrf": people["other"].csrf, "what": "step", "mode": "manual", "house": "3", "person": "1"}
    before = people[role].desk.live.next_height
    for fields in ({}, known):
        assert client.post(path, data=fields).status_code in (401, 403)
    own = {"X-CSRF-Token": people[role].csrf}
    for strange in ({"Origin": "http://evil.example"}, {"Sec-Fetch-Site": "cross-site"}):
        assert client.post(path, json={}, headers={**own, **strange}).status_code in (401, 403)
    assert people[role].desk.live.next_height == before


@pytest.mark.parametrize("role", ["anonymous", "member", "operator"])
def test_bodies_are_limited_and_must_be_read(people: dict[str, Visitor], role: str) -> None:
    client, token = people[role].client, {"X-CSRF-Token": people[role].csrf}

    def post(content: bytes, kind: str) -> int:
        headers = {**token, "Content-Type": kind}
        return int(client.post("/signin/wallet", content=content, headers=headers).status_code)

    assert post(b"x" * (LONGEST_BODY + 1), "application/json") == 413
    assert post(b"[" * 10_000, "application/json") == 400
    assert post(b"[]", "application/json") == 400
    assert post(b"\xff\xfe", "application/x-www-form-urlencoded") == 400
    assert post(b"a=1&" * 1000, "application/x-www-form-urlencoded") == 400
    assert post(b"x", "multipart/form-data; boundary=x") == 415


ABSURD = {
    "more than all panels": {"net_wh": 10**9},
    "less than the load": {"net_wh": -(10**9)},
    "a reserve below zero": {"reserve_wh": -1},
    "a larger reserve than the battery": {"reserve_wh": 10**9},
    "no such ask": {"ask": 7},
    "a gate that is closed": {"first": 0},
    "behind the run's end": {"first": 10**6},
    "an end before the begin": {"last": 0},
    "another's house": {"house": 3},
    "no house at all": {"house": -1},
}


@pytest.mark.parametrize("what", ABSURD)
def test_absurd_submissions_are_refused(people: dict[str, Visitor], what: str) -> None:
    member = people["member"]
    t = member.desk.live.next_interval
    fields = {"house": 0, "first": t, "number": member.desk.live.next_submission_number(0), **ABSURD[what]}
    answer = member.submit(submission(**fields))
    assert answer.status_code in (400, 403)
    assert len(answer.json()["error"]) > 20
    assert member.desk.live.find_submission(0, t) is None


def test_a_submission_of_another_is_refused_whoever_signs(people: dict[str, Visitor]) -> None:
    desk = people["member"].desk
    record = submission(3, desk.live.next_interval, 1)
    signature = people["other"].sign_submission(record).hex()
    answer = people["member"].post("/house/submission", record=record.hex(), signature=signature)
    assert answer.status_code == 403
    own = submission(0, desk.live.next_interval, 1)
    forged = people["other"].sign_submission(own).hex()
    assert people["member"].post("/house/submission", record=own.hex(), signature=forged).status_code == 400


def test_statements_of_another_are_refused(people: dict[str, Visitor]) -> None:
    before = people["member"].desk.live.next_height
    assert people["other"].state(0, "grant", other=3).status_code == 403
    assert people["other"].state(3, "access", other=0).status_code == 409
    assert people["member"].state(0, "device", bus=0).status_code == 400
    assert people["member"].desk.live.next_height == before


def test_a_device_is_tried_out_before_it_is_registered(people: dict[str, Visitor]) -> None:
    member, live = people["member"], people["member"].desk.live
    answer = member.state(0, "device", power_w=40_000)
    assert answer.status_code == 422
    assert answer.json()["error"].startswith("The wires cannot carry it: the voltage would be too high at house ")
    assert member.state(0, "device", kind=DeviceKind.FUEL_CELL).status_code == 400
    assert member.state(0, "device", joins=False).status_code == 400
    assert (0, 0) not in live.registry.devices
    told = member.get("/house/next?battery_wh=4000").json()
    assert told["battery_w"] == round(make_battery(live.case.scenario.battery, 4000).rated_kw * 1000)


def test_strict_headers_are_on_every_answer(people: dict[str, Visitor]) -> None:
    for path in ("/", "/signin", "/main", "/nowhere", "/static/house.js", "/account?house=1"):
        answer = people["member"].get(path)
        policy = answer.headers["content-security-policy"]
        assert "default-src 'self'" in policy
        assert "frame-ancestors 'none'" in policy
        assert "unsafe" not in policy
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["referrer-policy"] == "no-referrer"


def test_other_hosts_are_refused(people: dict[str, Visitor]) -> None:
    answer = people["anonymous"].client.get("/", headers={"Host": "evil.example"})
    assert answer.status_code == 421


def test_nothing_on_a_page_is_inline_or_from_elsewhere(people: dict[str, Visitor]) -> None:
    for role, paths in (("member", ("/", "/main", "/account")), ("operator", ("/operator",)), ("stranger", ("/main",))):
        for path in paths:
            text = people[role].get(path).text
            for banned in (" style=", "<style", " onclick", "javascript:", "http://", "https://"):
                assert banned not in text.replace('xmlns="http://www.w3.org', ""), (path, banned)


def test_the_welcome_page_tells_nothing_personal(people: dict[str, Visitor]) -> None:
    text = people["anonymous"].get("/").text
    desk = people["member"].desk
    for secret in (*(each.wallet.address.lower() for each in people.values()), *desk.live.case.profiles.participants):
        assert secret not in text.lower()


def test_names_are_escaped(people: dict[str, Visitor]) -> None:
    asked = Visitor(people["member"].desk, "somebody new")
    asked.sign_in()
    asked.submit_form("/join", house=2)
    people["operator"].submit_form("/operator/refuse", person=asked.number(), reason="<script>alert(1)</script>")
    text = asked.get("/main").text
    assert "&lt;script&gt;alert(1)" in text
    assert "<script>alert" not in text


def test_more_submissions_than_a_person_can_make_are_too_many(people: dict[str, Visitor]) -> None:
    granted = people["granted"]
    headers, url = {"X-CSRF-Token": granted.csrf}, "/house/submission"
    answers = [granted.client.post(url, json={}, headers=headers) for _ in range(150)]
    codes = [answer.status_code for answer in answers]
    assert set(codes) == {400, 429}
    assert codes.count(429) >= 50
    refused: Any = next(answer for answer in answers if answer.status_code == 429)
    assert int(refused.headers["retry-after"]) >= 1


def test_a_message_lets_in_once_and_only_the_wallet_that_it_names(people: dict[str, Visitor]) -> None:
    visitor = Visitor(people["member"].desk, "thief")
    asked = {"address": people["member"].wallet.address, "key": "ab" * 32}
    message = visitor.post("/signin/message", **asked).json()["message"]
    assert visitor.post("/signin/wallet", message=message, signature=visitor.sign_message(message)).status_code == 401
    mine = visitor.post("/signin/message", address=visitor.wallet.address, key="ab" * 32).json()["message"]
    signature = visitor.sign_message(mine)
    for changed in (mine.replace("testserver", "evil.example"), mine.replace("Chain ID: 1", "Chain ID: 2")):
        forged = visitor.sign_message(changed)
        assert visitor.post("/signin/wallet", message=changed, signature=forged).status_code == 401
    assert visitor.post("/signin/wallet", message=mine, signature=signature).status_code == 200
    again = Visitor(people["member"].desk, "thief")
    assert again.post("/signin/wallet", message=mine, signature=signature).status_code == 401


def test_signing_out_ends_the_session(people: dict[str, Visitor]) -> None:
    visitor = Visitor(people["member"].desk, "stranger")
    visitor.sign_in()
    cookies = dict(visitor.client.cookies)
    assert visitor.get("/main").status_code == 200
    assert visitor.submit_form("/signout").headers["location"] == "/"
    assert visitor.get("/main").status_code == 303
    for name, value in cookies.items():
        visitor.client.cookies.set(name, value)
    assert visitor.get("/main").status_code == 303
