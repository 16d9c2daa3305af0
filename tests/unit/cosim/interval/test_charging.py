"""Runs with network charges: however cut, the same ledger; verified, audited and made again; and a lie is found."""

from __future__ import annotations

import shutil
from pathlib import Path

import naive_ledger
import numpy as np
import pandas as pd
import pytest
from resigned import resign

from cosim import Result, Scenario, compare_runs, run
from cosim.audit.audit import audit_ledger
from cosim.audit.rerun import rerun_ledger
from cosim.case.case import build_case
from cosim.errors import ScenarioError
from cosim.interval.fold import run_intervals
from cosim.report.sections.charges import make_charge_sections
from cosim.report.tables.run_tables import read_run
from cosim.simulation import simulate
from cosim.studies.market_run import run_market
from cosim.web.pages.journal import Journal
from market.exchanges import CHARGE, TERMS, TERMS_KIND
from market.exchanges import CHARGED as CHARGED_PARTS
from market.ledger.check.verify import verify_ledger
from market.ledger.format.header import Header, make_demonstration_key
from market.ledger.format.records import SIZE, RecordKind
from market.ledger.read.account import NETWORK_CHARGES, collect_entries, make_account
from market.ledger.store.store import Store
from market.ledger.store.tip import decode_records
from market.state import POOL_OPERATOR

CHARGED = Scenario().with_changes(
    horizon={"hours": 30, "start": "2017-05-31T06:00:00Z"},
    houses={"n_houses": 5, "n_prosumers": 3, "production_ratio": 1.0},
    network={"n_branches": 1},
    market={"mechanism": "sharing_hybrid", "feed_in": True},
    curtailment={"compensation_eur_per_kwh": 0.1},
    limits={"max_vm_pu": 1.0045},
    engine={"verify_sample": 0},
    events=[{"kind": "outage", "start": "2017-06-01T02:00:00Z", "hours": 3, "grid": True}],
    charges={
        "timezone": "Europe/Vienna",
        "energy_eur_per_kwh": 0.08,
        "local_share": 0.43,
        "power_eur_per_kw_month": 3.0,
        "standing_eur_per_day": 0.1,
        "losses": "pro_rata",
    },
)


def head(directory: Path) -> bytes:
    with Store.open_to_read(directory) as store:
        return store.block(store.size() - 1).hash


class StopError(Exception):
    pass


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("charged") / "run"
    run(CHARGED, directory)
    return directory


@pytest.mark.slow
def test_a_ledger_with_charges_is_right_by_all_who_check_it(whole: Path) -> None:
    report = verify_ledger(whole)
    assert report.ok, report.reason
    assert naive_ledger.first_fault(whole) is None
    assert not audit_ledger(whole, sample=None).findings
    assert rerun_ledger(whole).ok
    with Store.open_to_read(whole) as store:
        blocks = [decode_records(store.block(height).records) for height in range(store.size())]
    charged = [len(block[block[:, 0] == 25]) for block in blocks]
    assert np.flatnonzero(charged).tolist() == [16, 30]
    assert set(charged) == {0, 5}


@pytest.mark.slow
@pytest.mark.parametrize("stop", [15, 16])
def test_a_run_that_is_resumed_charges_what_one_in_one_go_does(
    stop: int, whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def listen(progress: simulate.Progress) -> None:
        if progress.done > stop:
            raise StopError

    monkeypatch.setattr(simulate, "GROUP", 1)
    with pytest.raises(StopError):
        run(CHARGED.with_changes(engine={"window": 1}), tmp_path / "run", listener=listen)
    run(CHARGED.with_changes(engine={"window": 8}), tmp_path / "run", resume=True)
    assert head(tmp_path / "run") == head(whole)


@pytest.mark.slow
@pytest.mark.parametrize("field", [*(name for name in CHARGE.names or () if name[-4:] in ("neur", "d_wh", "ak_w"))])
def test_a_charge_that_does_not_follow_is_found_by_both_verifiers(field: str, whole: Path, tmp_path: Path) -> None:
    def lie(header: Header, body: bytes) -> tuple[Header, bytes]:
        records = np.frombuffer(body, np.uint8).reshape(-1, SIZE).copy()
        at = np.flatnonzero(records[:, 0] == 25)
        if header.height == 16:
            rows = records[at].view(CHARGE).reshape(-1)
            rows[field][2] += 1
            records[at] = rows.view(np.uint8).reshape(-1, SIZE)
        return header, records.tobytes()

    shutil.copytree(whole, tmp_path / "run")
    resign(tmp_path / "run", make_demonstration_key(CHARGED.seed), lie)
    report = verify_ledger(tmp_path / "run")
    naive = naive_ledger.first_fault(tmp_path / "run")
    assert (report.ok, report.height) == (False, 16)
    assert f"house 2: {field}" in report.reason
    assert naive is not None
    assert naive[0] == 16


@pytest.mark.slow
def test_terms_that_the_scenario_does_not_say_are_found_by_an_audit(whole: Path, tmp_path: Path) -> None:
    def lie(header: Header, body: bytes) -> tuple[Header, bytes]:
        records = np.frombuffer(body, np.uint8).reshape(-1, SIZE).copy()
        at = np.flatnonzero(records[:, 0] == TERMS_KIND)
        if header.height == 20:
            terms = records[at].view(TERMS).reshape(-1)
            terms["grid_ueur_per_kwh"] += 1
            records[at] = terms.view(np.uint8).reshape(-1, SIZE)
        return header, records.tobytes()

    shutil.copytree(whole, tmp_path / "run")
    resign(tmp_path / "run", make_demonstration_key(CHARGED.seed), lie)
    findings = audit_ledger(tmp_path / "run", sample=None).findings
    assert [finding.height for finding in findings] == [20]
    assert "grid_ueur_per_kwh: recorded 80001, found 80000" in findings[0].what


@pytest.mark.slow
def test_accounts_bills_of_pages_and_the_table_of_houses_hold_the_charges(whole: Path) -> None:
    journal = Journal(whole, lambda interval: "2017-05" if interval < 16 else "2017-06")
    last = pd.read_parquet(whole / "houses.parquet").tail(5)
    with Store.open_to_read(whole) as store:
        for house in range(5):
            account = make_account(store, house, collect_entries(store, house))
            assert account.money_neur[NETWORK_CHARGES] < 0
            assert account.account_neur == last["account_neur"].iloc[house]
            assert journal.find_balance(house) == (account.wallet_neur, account.account_neur)
            months = [lines[RecordKind.CHARGE] for _, lines in journal.list_bills(house)]
            assert len(months) == 2
            assert sum(months) == account.money_neur[NETWORK_CHARGES]


@pytest.mark.slow
def test_results_say_who_pays_and_what_is_left_to_the_operator(whole: Path) -> None:
    result, table = Result.load(whole), pd.read_parquet(whole / "charges.parquet")
    case = build_case(CHARGED)
    *_, last = run_intervals(case, case.opening)
    operator = int(last.window.accounts[-1, 2 * 5 + POOL_OPERATOR])
    assert round(1e9 * result.summary["charges"]["operator_eur"]) == operator
    assert round(1e9 * result.summary["charges"]["total_eur"]) == table["total_neur"].sum()
    assert table["month"].tolist() == 5 * ["2017-05"] + 5 * ["2017-06"]
    assert (table[[*CHARGED_PARTS]].sum(axis=1) == table["total_neur"]).all()
    assert len(make_charge_sections(read_run(result))[0].tables[0].rows) == 5
    with pytest.raises(ScenarioError, match="charges: expected none for a market without a network"):
        next(run_market(case))


@pytest.mark.slow
def test_a_run_with_charges_differs_from_one_without_by_what_houses_pay_the_operator(
    whole: Path, tmp_path: Path
) -> None:
    run(Scenario(**{**CHARGED.model_dump(exclude_unset=True), "charges": {}}), tmp_path / "without")
    table = compare_runs([tmp_path / "without", whole])["run minus without"]
    energy = table.loc["energy"].droplevel("unit")
    assert set(energy.index[energy.fillna(0) != 0]) == {"energy that network charges are for"}
    paid = table.loc["money by house"].droplevel("unit")
    for house in ("house_01", "house_05"):
        assert paid[f"balance of {house}"] == pytest.approx(-paid[f"network charges of {house}"], abs=1e-9)
    money = table.loc["money"].droplevel("unit")
    assert money["left to the network operator"] == pytest.approx(money["network charges"], abs=1e-9)
