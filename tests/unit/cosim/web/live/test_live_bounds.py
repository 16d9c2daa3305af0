"""What one member cannot do to a served run, by mistake or on purpose."""

from __future__ import annotations

from pathlib import Path

import pytest
from live_world import LIVE, join, key_of, submit

from cosim.case.acts import Switches, make_outage
from cosim.errors import ScenarioError
from cosim.recording.acts import Between, make_command_record, resume_stage, run_with_acts
from cosim.web.live import admission, checks
from cosim.web.live.admission import SubmissionError
from cosim.web.live.run import LiveRun
from market.errors import LedgerError
from market.exchanges import Reason
from market.ledger.format.records import Change, DeviceKind, RecordBytes
from market.ledger.format.statements import grant, make_device_record


def device(live: LiveRun, power_w: int, *, number: int | None = None, kind: int = 1) -> RecordBytes:
    return make_device_record(
        *(live.chain_id, 0, number or live.next_number(0), key_of(0)),
        device=live.next_number(0) % checks.LARGEST_DEVICE,
        kind=DeviceKind(kind),
        bus=int(live.case.feeder.bus[0]),
        power_w=power_w,
        energy_wh=0,
        datasheet=bytes(32),
    )


def test_no_statement_bears_the_largest_number(tmp_path: Path) -> None:
    with LiveRun.open(LIVE, tmp_path / "live") as live:
        join(live, 0, 1)
        far = grant(live.chain_id, 0, 2**32 - 1, key_of(0), reader=1)
        with pytest.raises(LedgerError, match="statement of member 0: expected a number up to 1002, got 4294967295"):
            live.state_statement(far)
        with pytest.raises(LedgerError, match="expected a number up to"):
            live.register_device(device(live, 100, number=2**32 - 1))
        live.state_statement(grant(live.chain_id, 0, live.next_number(0), key_of(0), reader=1))


def test_outages_that_look_ahead_are_refused(tmp_path: Path) -> None:
    ahead = LIVE.with_changes(outage={"dispatch": "ahead"})
    with pytest.raises(ScenarioError, match='outage, dispatch: expected "hourly" for a served run, got "ahead"'):
        LiveRun.open(ahead, tmp_path / "live")
    assert not (tmp_path / "live").exists()


def test_panels_in_small_pieces_are_no_more_than_in_one(tmp_path: Path) -> None:
    """What has joined since the last interval counts in the trial of the next."""
    with LiveRun.open(LIVE, tmp_path / "live") as live:
        join(live, 0)
        live.close_interval()
        whole = 0
        while live.register_device(device(live, 4000)).reason == Reason.NONE:
            whole += 4000
        assert 0 < whole < 60_000
        assert live.register_device(device(live, whole + 4000)).reason != Reason.NONE
        live.close_interval()


def test_a_house_has_so_many_devices(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checks, "MOST_DEVICES", 2)
    with LiveRun.open(LIVE, tmp_path / "live") as live:
        join(live, 0)
        for _ in range(2):
            assert live.register_device(device(live, 10)).reason == Reason.NONE
        with pytest.raises(ScenarioError, match="house_01: expected at most 2 devices, got one more"):
            live.register_device(device(live, 10))


def test_so_many_submissions_wait(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(admission, "MOST_WAITING", 3)
    with LiveRun.open(LIVE, tmp_path / "live") as live:
        join(live, 0)
        for first in (0, 5, 5):
            submit(live, 0, first)
        with pytest.raises(SubmissionError, match="3 submissions of your house wait already"):
            submit(live, 0, 6)
        live.close_interval()
        submit(live, 0, 6)


def test_acts_that_cannot_be_are_none(tmp_path: Path) -> None:
    """An operator may sign anything: a command behind the end, a device of a house that there is not."""
    with LiveRun.open(LIVE, tmp_path / "live") as live:
        case, chain_id = live.case, live.chain_id
    late = Between(LIVE.horizon.n_intervals, make_command_record(Switches(16, Change.GRID_OUT, 0, opens=True)))
    fields = {"device": 1, "kind": DeviceKind.PV, "bus": 0, "power_w": 1, "energy_wh": 0, "datasheet": bytes(32)}
    foreign = Between(3, make_device_record(chain_id, 99, 1, key_of(0), **fields))
    steps = list(run_with_acts(case, [foreign, late], 64, judged=True))
    assert [len(step.records) for step in steps if not step.group] == [0, 0]
    assert resume_stage(case, [foreign, late], case.opening, case.opening_network, 16).fresh == ()
    with pytest.raises(ScenarioError, match="command: expected one before the end of the run"):
        make_outage(case.scenario, case.feeder.net, Switches(16, Change.GRID_OUT, 0, opens=True))
