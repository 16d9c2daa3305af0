"""Devices on the page of a house: what is listed, what joins and leaves by its forms, and what waits for the ledger."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from hashlib import sha256
from typing import Any

import anyio
import pytest

pytest.importorskip("fastapi", reason="needs the extra: pip install 'gridsettle[web]'")
pytest.importorskip("eth_account", reason="needs the extra: pip install 'gridsettle[web]'")

from served_market import Visitor, close_intervals, open_market, patient
from starlette.responses import Response

from cosim.case.plugged import name_cell, rate_cell_w
from cosim.web.pages.app import ENTRIES
from cosim.web.pages.desk import Desk
from cosim.web.pages.visits import MOST_AT_ONCE, Threads
from market.ledger.format.records import DeviceKind

PANELS = {"device": 3, "kind": DeviceKind.PV, "power_w": 500}
CELL = {"device": 4, "kind": DeviceKind.FUEL_CELL, "energy_wh": 33_330}


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    with open_market(tmp_path_factory.mktemp("market") / "run") as opened:
        yield patient(opened)


@pytest.fixture(scope="module")
def member(desk: Desk) -> Visitor:
    found = Visitor(desk, "member")
    found.join(0)
    close_intervals(desk, 1)
    return found


@pytest.mark.slow
def test_panels_join_are_listed_and_leave(member: Visitor) -> None:
    assert member.state(0, "device", **PANELS).status_code == 200
    assert "<li>panels (PV), 0.5 kW" in member.get("/main").text
    answer = member.state(0, "device", **PANELS, joins=False)
    assert answer.status_code == 200
    assert answer.json()["said"].startswith("It has left; in block ")
    assert "<li>panels (PV), 0.5 kW" not in member.get("/main").text
    assert member.state(0, "device", **PANELS, joins=False).status_code == 400


@pytest.mark.slow
def test_a_fuel_cell_joins(member: Visitor) -> None:
    told = member.get("/house/next?units=1&preset=pem-1.26kw").json()
    assert told["cell_w"] == rate_cell_w("pem-1.26kw", 1)
    sheet = sha256(name_cell("pem-1.26kw").encode()).digest()
    assert member.state(0, "device", **CELL, power_w=told["cell_w"], datasheet=sheet).status_code == 200
    assert "fuel cell, 1.077 kW, 33.33 kWh" in member.get("/main").text
    for wrong in ("units=1", "units=0&preset=pem-6kw", "units=1&preset=own"):
        assert member.get(f"/house/next?{wrong}").status_code == 400


@pytest.mark.slow
def test_what_a_house_has_had_leaves(member: Visitor, desk: Desk) -> None:
    (battery,) = (own for own in desk.live.list_own(0) if own.kind == "battery")
    text = member.get("/main").text
    assert f"battery, {battery.power_w / 1000:g} kW, {battery.energy_wh / 1000:g} kWh, since the first interval" in text
    stated = {"device": 9, "kind": DeviceKind.BATTERY, "power_w": battery.power_w, "energy_wh": battery.energy_wh}
    answer = member.state(0, "device", **stated, joins=False, registered=False)
    assert answer.status_code == 200
    assert "kWh of yours in it; in block" in answer.json()["said"]
    assert "battery, my own energy" not in member.get("/main").text


def test_a_stranger_and_another_member_withdraw_nothing(member: Visitor, desk: Desk) -> None:
    other, stranger = Visitor(desk, "other"), Visitor(desk, "stranger")
    other.join(3)
    stranger.sign_in()
    (panels,) = (own for own in desk.live.list_own(0) if own.kind == "pv")
    stated = {"device": 9, "kind": DeviceKind.PV, "power_w": panels.power_w, "joins": False, "registered": False}
    height = desk.live.next_height
    for visitor in (other, stranger):
        assert visitor.state(0, "device", **stated).status_code == 403
    assert desk.live.next_height == height


def test_what_waits_for_the_ledger_holds_up_nobody_else() -> None:
    """Four statements at the moment of the gate held up every submission until the interval was closed."""
    entries = {(entry.method, entry.path): entry for entry in ENTRIES}
    released, answered = anyio.Event, list[str]()

    async def ask() -> None:
        threads, over = Threads(), released()

        def wait() -> Any:
            anyio.from_thread.run(over.wait)

        def answer(path: str) -> Response:
            answered.append(path)
            return Response()

        async with anyio.create_task_group() as group:
            for path in ("/house/statement", "/operator/switch") * MOST_AT_ONCE:
                group.start_soon(threads.run, entries["POST", path], wait)
            await anyio.sleep(0.05)
            for method, path in (("POST", "/house/submission"), ("POST", "/signin/wallet"), ("GET", "/main")):
                with anyio.fail_after(5):
                    await threads.run(entries[method, path], partial(answer, path))
            over.set()

    anyio.run(ask)
    assert answered == ["/house/submission", "/signin/wallet", "/main"]
