"""A run that closes interval by interval: that of `gridsettle run` where nobody submits, sound where people do."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from live_world import HOURS, LIVE, LIVE_WITH_FACTS, close_all, join, key_of, run_with_people, submit
from naive_ledger import first_fault
from submitting import make_submission

from cosim import run
from cosim.audit.audit import audit_ledger
from cosim.audit.rerun import rerun_ledger
from cosim.errors import ScenarioError
from cosim.web.live.admission import SubmissionError
from cosim.web.live.run import LiveRun
from market.exchanges import MISSING, STATED, Ask
from market.ledger.check.verify import verify_ledger
from market.ledger.crypto.keys import is_signed, public_bytes
from market.ledger.format.records import RecordKind, Role, select_rows
from market.ledger.format.statements import rotate
from market.ledger.format.submissions import acknowledgement_message
from market.ledger.store.store import Store
from market.ledger.store.tip import decode_records, read_operator_key, read_tip


def list_submissions(directory: Path) -> dict[int, list[tuple[int, int, int]]]:
    """(house, status, number) of the submissions in each interval's block."""
    found = {}
    with Store.open_to_read(directory) as store:
        for block in (block for group in store.groups() for block in group):
            records = decode_records(block.records)
            if (records[:, 0] == RecordKind.VERDICT).any():
                rows = select_rows(records, RecordKind.SUBMISSION)
                found[len(found)] = [(int(r["house"]), int(r["status"]), int(r["number"])) for r in rows]
    return found


def head_of(directory: Path) -> bytes:
    with Store.open_to_read(directory) as store:
        return store.block(store.size() - 1).hash


@pytest.mark.parametrize("scenario", [LIVE, LIVE_WITH_FACTS], ids=["plain", "facts"])
def test_without_people_the_head_is_that_of_a_run(scenario: Any, tmp_path: Path) -> None:
    result = run(scenario, tmp_path / "run")
    with LiveRun.open(scenario, tmp_path / "live") as live:
        close_all(live)
        assert live.last is not None
        assert live.last.hash.hex() == result.summary["ledger"]["hash"]
        assert live.last.interval == HOURS - 1


@pytest.mark.slow
@pytest.mark.parametrize("facts", [False, True])
def test_with_people_it_passes_verify_audit_and_rerun(facts: bool, tmp_path: Path) -> None:
    directory = run_with_people(tmp_path / "live", facts=facts)
    said = list_submissions(directory)
    assert sum(map(len, said.values())) > 40
    assert {status for rows in said.values() for _, status, _ in rows} == {STATED, MISSING}
    report = verify_ledger(directory)
    assert (report.ok, report.reason) == (True, "")
    assert first_fault(directory) is None
    audit = audit_ledger(directory, sample=None)
    assert (audit.findings, len(audit.heights), len(audit.cleared)) == ((), HOURS, HOURS * facts)
    rerun = rerun_ledger(directory)
    assert (rerun.ok, rerun.findings, rerun.differences) == (True, (), ())


@pytest.mark.slow
def test_people_change_what_is_settled(tmp_path: Path) -> None:
    run(LIVE, tmp_path / "run")
    run_with_people(tmp_path / "live", facts=False)
    with Store.open_to_read(tmp_path / "run") as a, Store.open_to_read(tmp_path / "live") as b:
        assert a.block(a.size() - 1).header[152:] != b.block(b.size() - 1).header[152:]


def test_a_newer_submission_overrides_and_the_standing_one_comes_back(tmp_path: Path) -> None:
    with LiveRun.open(LIVE, tmp_path / "live") as live:
        join(live, 0)
        submit(live, 0, 0, 3, reserve_wh=1)
        submit(live, 0, 1, 1, reserve_wh=2)
        close_all(live)
    said = list_submissions(tmp_path / "live")
    assert [said[t] for t in range(5)] == [[(0, STATED, n)] if n else [] for n in (1, 2, 1, 1, 0)]
    assert verify_ledger(tmp_path / "live").ok


def test_a_house_that_decides_for_itself_and_says_nothing_is_marked(tmp_path: Path) -> None:
    with LiveRun.open(LIVE, tmp_path / "live") as live:
        join(live, 1)
        live.set_manual(1, manual=True)
        assert live.close_interval().late == (1,)
        submit(live, 1, 1)
        assert live.close_interval().late == ()
        live.set_manual(1, manual=False)
        assert live.close_interval().late == ()
    assert list_submissions(tmp_path / "live") == {0: [(1, MISSING, 0)], 1: [(1, STATED, 1)], 2: []}


@pytest.mark.slow
def test_opened_again_it_goes_on_to_the_same_head(tmp_path: Path) -> None:
    def people(live: LiveRun) -> None:
        join(live, 0)
        submit(live, 0, 0, HOURS - 1, reserve_wh=700, ask=Ask.TRADE)
        submit(live, 0, 7, 9, net_wh=-100)

    with LiveRun.open(LIVE, tmp_path / "whole") as live:
        people(live)
        close_all(live)
    with LiveRun.open(LIVE, tmp_path / "cut") as live:
        people(live)
        for _ in range(5):
            live.close_interval()
    with LiveRun.open(LIVE, tmp_path / "cut") as live:
        assert (live.next_interval, live.next_submission_number(0), live.last) == (5, 3, None)
        close_all(live)
    assert head_of(tmp_path / "cut") == head_of(tmp_path / "whole")


def test_the_acknowledgement_is_the_operators_word(tmp_path: Path) -> None:
    with LiveRun.open(LIVE, tmp_path / "live") as live:
        join(live, 2)
        promise = submit(live, 2, 0, reserve_wh=9)
        with Store.open_to_read(tmp_path / "live") as store:
            operator = read_operator_key(read_tip(store))
        assert is_signed(operator, promise.signature, acknowledgement_message(live.chain_id, promise.record))


def test_what_an_old_key_signed_lapses_with_the_key(tmp_path: Path) -> None:
    with LiveRun.open(LIVE, tmp_path / "live") as live:
        join(live, 0)
        submit(live, 0, 0, HOURS - 1, reserve_wh=700)
        live.close_interval()
        number, height = live.next_number(0), live.next_height + 1
        live.state_statement(rotate(live.chain_id, 0, Role.PARTICIPANT, number, height, key_of(0), key_of(77)))
        assert live.find_submission(0, 1) is None
        live.close_interval()
    assert list_submissions(tmp_path / "live") == {0: [(0, STATED, 1)], 1: []}
    assert verify_ledger(tmp_path / "live").ok
    assert first_fault(tmp_path / "live") is None


@pytest.fixture(scope="module")
def open_run(tmp_path_factory: pytest.TempPathFactory) -> Any:
    with LiveRun.open(LIVE, tmp_path_factory.mktemp("open") / "live") as live:
        join(live, 0, 1)
        live.close_interval()
        submit(live, 0, 1, 4, reserve_wh=1)
        yield live


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"house": 3}, "house_04: expected a registered member, found none; register its key first"),
    ({"house": 6}, "house: expected 0 to 5, got 6"),
    ({"key": 1}, "house_01: expected a signature with its key in force, got another"),
    ({"first": 0}, "The gate of interval 0 is closed; the next that is open is 1."),
    ({"last": 16}, "From interval 1 on there are 15 intervals left; you named 16."),
    ({"first": 5, "last": 4}, "From interval 5 on there are 11 intervals left; you named 0."),
    ({"number": 1}, "Submission 1 was handed in already; the next is 2."),
    ({"number": 2**32 - 1}, "The next submission has number 2, not 4294967295."),
    ({"net_wh": 10**6}, "You can give up to 6.920 kWh in an interval, by panels and battery; you named 1,000.000 kWh."),
    ({"net_wh": -(10**6)}, "You take up to 1.956 kWh in an interval; you named 1,000.000 kWh."),
    ({"reserve_wh": 10**6}, "Your battery holds up to 12.456 kWh; you want it to keep 1,000.000 kWh."),
    ({"net_wh": 1, "limit_ueur_per_kwh": 5}, "An offer has no limit price in this market (sharing_p2p)"),
    ({"limit_ueur_per_kwh": 10**7 + 1}, "a record whose limit_ueur_per_kwh is out of range: 10000001"),
    ({"reserve_wh": -1}, "a record whose reserve_wh is out of range: -1"),
    ({"ask": 4}, "a record whose ask is out of range: 4"),
]


@pytest.mark.parametrize(("changed", "message"), REFUSED, ids=[str(changed) for changed, _ in REFUSED])
def test_what_cannot_be_is_refused_by_name(changed: dict[str, Any], message: str, open_run: LiveRun) -> None:
    wanted = {"house": 0, "number": 2, "first": 1, "last": 1} | changed
    signer = key_of(wanted.pop("key", wanted["house"]))
    stated = make_submission(open_run.chain_id, signer, **wanted)
    with pytest.raises(SubmissionError) as refused:
        open_run.submit(*stated)
    assert str(refused.value).startswith(message)
    assert open_run.next_submission_number(0) == 2


def test_a_submission_for_another_chain_is_refused(open_run: LiveRun) -> None:
    with pytest.raises(SubmissionError, match="expected a signature with its key in force"):
        open_run.submit(*make_submission(bytes(32), key_of(0), 0, 2, 1, 1))


@pytest.mark.parametrize("record", [b"", bytes(71), bytes(72), b"\x15" + bytes(71), b"\x13\x01" + bytes(70)])
def test_what_is_no_submission_is_refused(record: bytes, open_run: LiveRun) -> None:
    with pytest.raises(SubmissionError):
        open_run.submit(record, bytes(64))


@pytest.mark.parametrize("option", ["private", "members_sign"])
def test_ledgers_that_people_cannot_take_part_in_are_refused(option: str, tmp_path: Path) -> None:
    keys = {"operator_key": tmp_path / "operator.key", "member_keys": tmp_path}
    scenario = LIVE.with_changes(ledger={option: True, **keys})
    wanted = rf"^ledger, {option}: expected false for a served run, got true: .*; set it to false .* gridsettle run$"
    with pytest.raises(ScenarioError, match=wanted):
        LiveRun.open(scenario, tmp_path / "live")
    assert not (tmp_path / "live").exists()


def test_a_run_that_is_over_closes_no_more(tmp_path: Path) -> None:
    with LiveRun.open(LIVE.with_changes(horizon={"hours": 1}), tmp_path / "live") as live:
        live.close_interval()
        with pytest.raises(ScenarioError, match="the run is over: all of its intervals are closed"):
            live.close_interval()


def test_limits_and_reserves_are_kept(tmp_path: Path) -> None:
    """No house buys from others above its limit, and no battery sells what its house wants to keep."""
    rng = np.random.default_rng(3)
    with LiveRun.open(LIVE, tmp_path / "live") as live:
        houses = range(6)
        join(live, *houses)
        n_trades = 0
        while not live.is_over:
            t, limits, reserves = live.next_interval, rng.integers(0, 300_000, 6), rng.integers(0, 3000, 6)
            room = live.case.opening.ratings.soc_max_wh
            for house in houses:
                reserve = int(min(reserves[house], room[house]))
                submit(live, house, t, limit_ueur_per_kwh=int(limits[house]), reserve_wh=reserve)
            chunk = live.close_interval().chunk
            rows = chunk.window.rows[: chunk.window.offsets[-1]]
            trades = rows[np.isin(rows["kind"], (1, 4)) & (rows["seller"] != rows["buyer"])]
            n_trades += trades.size
            assert (trades["price_ueur_per_kwh"] <= limits[trades["buyer"]]).all()
            meters = chunk.window.meters[0]
            gave = (meters["discharge_wh"] > 0) & (meters["hosted_wh"] == 0)
            assert (meters["own_wh"][gave] >= np.minimum(reserves, room)[gave]).all()
        assert n_trades > 5
    assert public_bytes(key_of(0)) != public_bytes(key_of(1))
