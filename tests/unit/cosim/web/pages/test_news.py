"""News to pages that listen, the clock, audits: what runs beside the routes."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("fastapi", reason="needs the extra: pip install 'gridsettle[web]'")
pytest.importorskip("eth_account", reason="needs the extra: pip install 'gridsettle[web]'")

from served_market import Visitor, close_intervals, open_market

from cosim.web.pages import announcer
from cosim.web.pages.clock import Clock
from cosim.web.pages.desk import Desk


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    with open_market(tmp_path_factory.mktemp("market") / "run") as opened:
        close_intervals(opened, 4)
        yield opened


async def listen(desk: Desk, last: int | None, wanted: int, then: Callable[[], None] = lambda: None) -> list[str]:
    """The first events of a stream; `then` is called once it waits."""
    stream, found = desk.announcer.stream(last), list[str]()
    async for text in stream:
        if text.startswith("id:"):
            found.append(text)
        elif text.startswith("retry:"):
            asyncio.get_running_loop().call_later(0.05, then)
        if len(found) >= wanted:
            break
    await stream.aclose()  # type: ignore[attr-defined]
    return found


def test_a_page_that_was_cut_off_gets_what_it_missed(desk: Desk) -> None:
    events = asyncio.run(listen(desk, 1, 3))
    assert [event.split("\n")[0] for event in events] == ["id: 2", "id: 3", "id: 4"]
    body = json.loads(events[-1].split("data: ")[1])
    assert (body["height"], body["interval"]) == (4, 3)
    assert body["hash"] == desk.live.last.hash.hex() if desk.live.last else False
    assert desk.announcer.n_clients == 0


def test_a_page_that_listens_gets_what_comes(desk: Desk) -> None:
    height = desk.live.next_height
    events = asyncio.run(listen(desk, None, 2, lambda: close_intervals(desk, 2)))
    assert [event.split("\n")[0] for event in events] == [f"id: {height}", f"id: {height + 1}"]


def test_what_is_replayed_and_who_listens_is_bounded(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(announcer, "MOST_REPLAYED", 2)
    newest = desk.live.next_height - 1
    assert [event.split("\n")[0] for event in asyncio.run(listen(desk, 0, 2))] == [f"id: {newest - 1}", f"id: {newest}"]
    monkeypatch.setattr(announcer, "MOST_CLIENTS", 0)
    answer = Visitor(desk).get("/events")
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "30")


def test_one_address_does_not_keep_all_others_from_listening(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(announcer, "MOST_OF_ONE", 1)

    async def listen_twice() -> list[bool]:
        first = desk.announcer.stream(None, "192.0.2.1")
        await anext(first)
        found = [desk.announcer.is_full(client) for client in ("192.0.2.1", "192.0.2.2")]
        await first.aclose()  # type: ignore[attr-defined]
        return [*found, desk.announcer.is_full("192.0.2.1")]

    assert asyncio.run(listen_twice()) == [True, False, False]


def test_silence_is_broken_by_a_heartbeat(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(announcer, "HEARTBEAT_S", 0.01)

    async def second() -> list[str]:
        stream = desk.announcer.stream(None)
        found = [await anext(stream), await anext(stream)]
        await stream.aclose()  # type: ignore[attr-defined]
        return found

    assert asyncio.run(second())[1] == ": nothing new\n\n"


def wait_until(holds: Callable[[], Any]) -> None:
    end = time.monotonic() + 20
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.01)


def test_the_clock_closes_by_steps_and_by_itself_until_the_run_is_over() -> None:
    closed = list[int]()

    def close() -> bool:
        closed.append(1)
        return len(closed) < 5

    with Clock(close, lambda: None, None) as clock:
        clock.step()
        clock.step()
        wait_until(lambda: len(closed) == 2)
        assert clock.seconds is None
        clock.run_every(0.01)
        wait_until(lambda: len(closed) == 5)
        wait_until(lambda: clock.seconds is None)
    assert len(closed) == 5


def test_a_clock_that_fails_stops_and_says_why() -> None:
    def close() -> bool:
        raise ValueError("the disk is full")

    with Clock(close, lambda: None, 0.01) as clock:
        wait_until(lambda: clock.failure)
        assert clock.failure == "ValueError: the disk is full"
        assert clock.seconds is None


def test_a_clock_goes_on_where_carrying_out_fails() -> None:
    closed = list[int]()

    def tick() -> None:
        raise OSError("the store is held by another command")

    def close() -> bool:
        closed.append(1)
        return True

    with Clock(close, tick, 0.01) as clock:
        wait_until(lambda: len(closed) >= 3)
        assert "held by another command" in clock.failure
        assert clock.seconds == 0.01


def test_the_operator_steps_and_audits(desk: Desk) -> None:
    operator = Visitor(desk, "operator")
    assert operator.sign_in_as_operator().headers["location"] == "/operator"
    before = desk.live.next_interval
    assert operator.submit_form("/operator/clock", what="step").status_code == 303
    wait_until(lambda: len(desk.journal.intervals) == before + 1)
    for wrong in ("0", "-1", "nan", "1e9", ""):
        assert operator.submit_form("/operator/clock", what="start", seconds=wrong).status_code == 400
    assert "checkpoint" in operator.get("/operator").text
    assert operator.get("/operator/checkpoint").text.startswith("gridsettle/")


@pytest.mark.slow
def test_the_answer_of_an_audit_is_shown(desk: Desk) -> None:
    operator = Visitor(desk, "operator")
    operator.sign_in_as_operator()
    assert operator.submit_form("/operator/audit", what="verify").status_code == 303
    assert operator.submit_form("/operator/audit", what="verify").status_code == 409
    wait_until(lambda: not desk.auditor.is_busy)
    assert desk.auditor.exit_code == 0
    assert "ok, " in operator.get("/operator").text


def test_the_operators_code_is_good_once(desk: Desk) -> None:
    visitor = Visitor(desk, "operator")
    code = desk.people.codes.make_code()
    assert visitor.submit_form("/signin/operator", code=code).status_code == 303
    assert Visitor(desk, "operator").submit_form("/signin/operator", code=code).status_code == 401


def test_sign_ins_from_one_address_are_limited(tmp_path: Path, desk: Desk) -> None:
    visitor = Visitor(desk, "impatient")
    codes = [visitor.submit_form("/signin/operator", code="AAAA-AAAA-AAAA-AAAA").status_code for _ in range(60)]
    assert set(codes) == {401, 429}
