"""Laws of what happens between intervals: whatever comes and goes, the ledger can be verified and made again."""

from __future__ import annotations

import tempfile
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from live_world import LIVE_WITH_FACTS, join, state_device, submit
from naive_ledger import first_fault

from cosim.audit.audit import audit_ledger
from cosim.audit.rerun import rerun_ledger
from cosim.case.devices import make_battery
from cosim.case.plugged import name_cell, rate_cell_w
from cosim.errors import ScenarioError
from cosim.web.live.run import LiveRun
from grid_models.errors import GridError
from market.errors import MarketError
from market.exchanges import Ask
from market.ledger.check.verify import verify_ledger
from market.ledger.format.records import Change, DeviceKind
from market.ledger.store.store import Store

PV, BATTERY, CELL = DeviceKind.PV, DeviceKind.BATTERY, DeviceKind.FUEL_CELL
SCENARIO = LIVE_WITH_FACTS.with_changes(
    horizon={"hours": 8, "start": "2017-06-20T08:00:00Z"},
    houses={"production_ratio": 3.0},
    limits={"max_vm_pu": 1.05},
    market={"feed_in": True, "tau_hours": 2},
)
RATINGS = {
    PV: (1500, 0, bytes(32)),
    BATTERY: (round(make_battery(SCENARIO.battery, 4000).rated_kw * 1000), 4000, bytes(32)),
    CELL: (rate_cell_w("pem-1.26kw", 1), 33_330, sha256(name_cell("pem-1.26kw").encode()).digest()),
}
HOUSES = st.integers(0, 5)
KINDS = st.sampled_from([PV, BATTERY, CELL])
SWITCHES = st.tuples(st.just("switch"), st.booleans(), st.booleans())
COMINGS_AND_GOINGS = (
    st.tuples(st.just("close")),
    st.tuples(st.just("close")),
    st.tuples(st.just("joins"), HOUSES, KINDS, st.integers(0, 1)),
    st.tuples(st.just("leaves"), HOUSES, KINDS, st.integers(0, 1)),
    st.tuples(st.just("own leaves"), HOUSES, KINDS),
    st.tuples(st.just("registered"), HOUSES, KINDS, st.integers(0, 1)),
    st.tuples(st.just("submit"), HOUSES, st.sampled_from(Ask), st.integers(0, 4000)),
)


def act(live: LiveRun, what: str, *of: Any) -> None:
    """Do something; what cannot be is refused and changes nothing."""
    t = live.next_interval
    if what == "close":
        live.close_interval()
    elif what == "switch":
        line = int(live.case.feeder.net.line.index[-1])
        live.switch(Change.GRID_OUT if of[0] else Change.LINE_OUT, 0 if of[0] else line, opens=of[1])
    elif what == "submit":
        submit(live, of[0], t, min(t + 2, live.n_intervals - 1), ask=of[1], reserve_wh=of[2])
    elif what == "own leaves":
        for own in live.list_own(of[0]):
            if own.kind == of[1].name.lower():
                ratings = own.power_w, own.energy_wh
                live.withdraw_device(state_device(live, of[0], of[1], *ratings, joins=False, registered=False))
    else:
        power_w, energy_wh, sheet = RATINGS[of[1]]
        given = {"device": of[2], "datasheet": sheet, "joins": what != "leaves"}
        records = state_device(live, of[0], of[1], power_w, energy_wh, **given)
        {"joins": live.register_device, "leaves": live.withdraw_device, "registered": live.state_statement}[what](
            records
        )


def run_acts(directory: Path, acts: list[tuple[Any, ...]], *, reopens: bool) -> bytes:
    """Hash of the last block of a run with acts, which is perhaps stopped and opened again after each interval."""
    live = LiveRun.open(SCENARIO, directory)
    join(live, *range(6))
    try:
        for each in [*acts, *[("close",)] * live.n_intervals]:
            if live.is_over:
                break
            try:
                act(live, *each)
            except (ScenarioError, MarketError, GridError):
                continue
            if reopens and each[0] in ("close", "joins", "leaves", "own leaves"):
                live.close()
                live = LiveRun.open(SCENARIO, directory)
    finally:
        live.close()
    with Store.open_to_read(directory) as store:
        return store.block(store.size() - 1).hash


@pytest.mark.slow
@settings(max_examples=2, deadline=None)
@given(st.lists(st.one_of(*COMINGS_AND_GOINGS, SWITCHES), min_size=5, max_size=40))
def test_whatever_comes_and_goes_is_verified_and_made_again(acts: list[tuple[Any, ...]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        directory = Path(folder) / "run"
        run_acts(directory, acts, reopens=False)
        report = verify_ledger(directory)
        assert (report.ok, report.reason) == (True, "")
        assert first_fault(directory) is None
        assert audit_ledger(directory, sample=None).findings == ()
        rerun = rerun_ledger(directory)
        assert (rerun.differences, rerun.findings) == ((), ())


@pytest.mark.slow
@settings(max_examples=1, deadline=None)
@given(st.lists(st.one_of(*COMINGS_AND_GOINGS), min_size=5, max_size=25))
def test_who_stops_and_goes_on_ends_on_the_same_head(acts: list[tuple[Any, ...]]) -> None:
    """Without outages: while one lasts, a server that has just begun lets nothing join before an interval is closed."""
    with tempfile.TemporaryDirectory() as folder:
        heads = [run_acts(Path(folder) / str(reopens), acts, reopens=reopens) for reopens in (False, True)]
    assert heads[0] == heads[1]
