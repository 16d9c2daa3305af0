"""Plug and play: admitted, refused with the reason, effective from the next interval."""

from __future__ import annotations

from typing import Any

from cosim.case.case import build_case
from cosim.case.state import ADMITTED, REFUSED
from cosim.interval.chunk import Chunk
from cosim.interval.fold import run_intervals
from cosim.scenario.model import Scenario
from market.exchanges import Reason

OUT = {"kind": "outage", "start": "2017-06-20T06:00:00Z", "hours": 8, "grid": True}


def _stream(*events: dict[str, Any], **changes: Any) -> list[Chunk]:
    scenario = Scenario().with_changes(
        **{
            "horizon": {"hours": 24, "start": "2017-06-20T00:00:00Z"},
            "houses": {"n_houses": 4, "n_prosumers": 2},
            "network": {"n_branches": 1},
            "community": {"enabled": True},
            "events": list(events),
            **changes,
        }
    )
    case = build_case(scenario)
    return list(run_intervals(case, case.opening))


def _request(device: str, **keys: Any) -> dict[str, Any]:
    at = "2017-06-20T09:00:00Z"
    return {"kind": "register", "at": at, "participant": "house_01", "device": device, **keys}


def _pv_wh(stream: list[Chunk], t: int) -> int:
    chunk = next(chunk for chunk in stream if chunk.first <= t < chunk.stop)
    return int(chunk.window.meters["pv_wh"][t - chunk.first, 0])


def test_panels_count_from_the_interval_after_the_request() -> None:
    without, with_panels = _stream(OUT), _stream(OUT, _request("pv", pv_kwp=3.0))
    assert _pv_wh(with_panels, 9) == _pv_wh(without, 9)
    assert all(_pv_wh(with_panels, t) > _pv_wh(without, t) for t in (10, 12, 16))
    assert [a.standing for chunk in with_panels for a in chunk.decisions] == [ADMITTED]


def test_device_at_a_dark_bus_is_refused_with_the_reason() -> None:
    nothing = {"capacity_kwh_min": 0.0, "capacity_kwh_max": 0.0}
    stream = _stream(OUT, _request("pv"), battery=nothing, community={"enabled": False})
    (answer,) = [a for chunk in stream for a in chunk.decisions]
    assert (answer.standing, answer.reason) == (REFUSED, Reason.DARK)
    assert answer.element >= 0


def test_device_that_the_wires_cannot_take_is_refused_with_the_limit() -> None:
    stream = _stream(OUT, _request("pv", pv_kwp=500.0))
    (answer,) = [a for chunk in stream for a in chunk.decisions]
    assert answer.standing == REFUSED
    assert answer.reason in (Reason.OVERVOLTAGE, Reason.LINE_OVERLOAD, Reason.NOT_SOLVED)
    assert _pv_wh(stream, 12) == _pv_wh(_stream(OUT), 12)
