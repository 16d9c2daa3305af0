"""Bills: what an exchange is to each side, sums that are the account's to the nEUR, and what cannot be billed."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from cosim import Scenario, run
from cosim.bills.bill import Bill, check_bill, make_bills
from cosim.bills.lines import BOUGHT, NETWORK, OTHER, SOLD, Line, Sums, add_exchanges, list_lines
from cosim.bills.page import make_bill_table, render_bills
from cosim.cli.app import app
from cosim.errors import ConservationError, ScenarioError
from market.exchanges import CONTRACT, EXCHANGE, GRID, OPERATOR, Kind

BILLED = Scenario().with_changes(
    name="<street & more>",
    horizon={"hours": 48, "start": "2017-05-30T22:00:00Z"},
    houses={"n_houses": 5, "n_prosumers": 3, "production_ratio": 3.0},
    network={"n_branches": 1},
    battery={"capacity_kwh_min": 2.0, "capacity_kwh_max": 3.0},
    market={"mechanism": "sharing_hybrid", "feed_in": True},
    curtailment={"compensation_eur_per_kwh": 0.1},
    limits={"max_vm_pu": 1.004},
    engine={"verify_sample": 0},
    charges={
        "timezone": "Europe/Vienna",
        "energy_eur_per_kwh": 0.08,
        "local_share": 0.43,
        "power_eur_per_kw_month": 3.0,
        "losses": "pro_rata",
    },
)


@pytest.fixture(scope="module")
def billed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("billed") / "run"
    run(BILLED, directory)
    return directory


def make_row(kind: Kind, seller: int, buyer: int, wh: int, neur: int, fee: int = 0) -> np.void:
    row = np.zeros(1, EXCHANGE)[0]
    row["kind"], row["seller"], row["buyer"] = kind, seller, buyer
    row["delivered_wh"], row["amount_neur"], row["fee_neur"] = wh, neur, fee
    return row


def test_an_exchange_is_a_purchase_to_one_house_and_a_sale_to_the_other() -> None:
    rows = np.array(
        [
            make_row(Kind.P2P, 0, 1, 100, 500, 50),
            make_row(Kind.SHARE_USE, 0, 1, 20, 80),
            make_row(Kind.LOT_SALE, CONTRACT, 1, 10, 30),
            make_row(Kind.GRID_IMPORT, GRID, 0, 7, 70),
            make_row(Kind.COMPENSATION, 0, OPERATOR, 4, 40),
            make_row(Kind.SPILL, 1, -4, 9, 0),
        ]
    )
    sums = Sums({}, {})
    add_exchanges(sums, rows, 2)
    assert [line[:4] for line in list_lines(sums, 0)] == [
        (BOUGHT, "from the grid", 7, -70),
        (SOLD, "traded, to other houses", 100, 500),
        (SOLD, "shared by you, used at once", 20, 80),
        (OTHER, "fees of the sharing contract", None, -50),
        (OTHER, "compensation for energy that the network did not carry", 4, 40),
    ]
    assert [line[:4] for line in list_lines(sums, 1)] == [
        (BOUGHT, "traded, from other houses", 100, -500),
        (BOUGHT, "stored energy of others, out of batteries", 10, -30),
        (BOUGHT, "shared with you, used at once", 20, 0),
    ]


def test_a_bill_that_is_not_what_the_account_moved_by_is_a_defect() -> None:
    moment = pd.Timestamp("2017-06-01")
    bill = Bill("house_01", "2017-06", moment, moment, (Line(BOUGHT, "from the grid", 1, -5),), 10, 5)
    assert check_bill(bill).total_neur == -5
    with pytest.raises(ConservationError, match="expected -6 nEUR as the account moved by, got -5"):
        check_bill(bill._replace(closing_neur=4))


@pytest.mark.slow
def test_bills_sum_to_what_accounts_moved_by_and_charges_are_those_of_the_table(billed: Path) -> None:
    bills = make_bills(billed)
    assert [(bill.house, bill.month) for bill in bills.bills][3:6] == [
        ("house_04", "2017-05"),
        ("house_05", "2017-05"),
        ("house_01", "2017-06"),
    ]
    houses = pd.read_parquet(billed / "houses.parquet").reset_index()
    last = houses.tail(5).set_index("house")
    table = make_bill_table(bills.bills)
    for house, lines in table[table["group"] != "Total"].groupby("house"):
        moved = last.loc[house, "wallet_neur"] + last.loc[house, "account_neur"]
        assert lines["amount_neur"].sum() == moved - 100_000_000_000
    charges = pd.read_parquet(billed / "charges.parquet")
    assert -table.loc[table["group"] == NETWORK, "amount_neur"].sum() == charges["total_neur"].sum()
    assert {BOUGHT, SOLD, OTHER, NETWORK, "Total"} == set(table["group"])
    assert "compensation for energy that the network did not carry" in set(table["what"])
    page = render_bills(make_bills(billed, "house_02", "2017-06"))
    assert "run &lt;street &amp; more&gt;" in page
    assert "<script" not in page
    assert "Taxes, levies and value added tax are not included" in page


@pytest.mark.slow
def test_what_cannot_be_billed_is_refused_and_nothing_written(billed: Path, tmp_path: Path) -> None:
    for words, said in (
        (["--house", "house_09"], "--house: expected a house of the run (house_01, house_02"),
        (["--month", "June"], "--month: expected a month of the run written as 2017-06 (2017-05, 2017-06), got 'June'"),
        (["--out", str(tmp_path / "bill.pdf")], "expected a file FILE.html"),
    ):
        done = CliRunner().invoke(app, ["bill", str(billed), *words])
        assert (done.exit_code, said in done.output.replace("\n", " ")) == (2, True), done.output
    done = CliRunner().invoke(app, ["bill", str(billed), "--csv", "--out", str(tmp_path / "all.html")])
    assert done.exit_code == 0, done.output
    assert sorted(path.name for path in tmp_path.iterdir()) == ["all.csv", "all.html"]
    damaged = tmp_path / "damaged"
    shutil.copytree(billed, damaged)
    table = pd.read_parquet(damaged / "houses.parquet")
    table["account_neur"] += 1
    table.to_parquet(damaged / "houses.parquet")
    with pytest.raises(ScenarioError, match=r"houses\.parquet"):
        make_bills(damaged)
