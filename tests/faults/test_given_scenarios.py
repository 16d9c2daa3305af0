"""Whole scenarios that were answered wrongly once, each through its command, with the right value."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from cosim.cli.app import app

INPUTS = Path(__file__).parent / "inputs"


@pytest.fixture
def folder(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    shutil.copytree(INPUTS / request.param, tmp_path / "given")
    monkeypatch.chdir(tmp_path / "given")
    return tmp_path / "given"


def call(*words: str) -> str:
    done = CliRunner().invoke(app, list(words))
    assert done.exit_code == 0, done.output
    return done.stdout


@pytest.mark.parametrize("folder", ["hosting"], indirect=True)
def test_hosting_holds_in_every_interval(folder: Path) -> None:
    """`faults/hosting-wrong-hours`: three shops with 3 kWp, seven days; 498.7 kW at p2, found on hours without sun."""
    found = json.loads(call("hosting", "s.toml", "--json"))
    largest = {house["house"]: house["largest_kw"] for house in found["houses"]}
    assert found["scaling"] == pytest.approx(71.2, rel=1e-3)
    assert largest["p2"] == pytest.approx(188.6, rel=1e-3)
    assert not found["reached_end"]


@pytest.mark.slow
@pytest.mark.parametrize("folder", ["microgrids"], indirect=True)
def test_a_deal_is_a_part_of_the_import_of_its_buyer(folder: Path) -> None:
    """`faults/microgrids-count-twice`: the buyer's import was 136,194 Wh while 88.8 kW came from the grid."""
    call("study", "microgrids", "north.toml", "p2pcut.toml", "--hours", "3", "--out", "o")
    feeders = pd.read_csv("o/feeders_together.csv")
    buying = feeders[feeders["feeder"] == "p2pcut"]
    assert buying["imported_wh"].tolist() == [86_194] * 3
    assert buying["p_grid_kw"].to_numpy() == pytest.approx(88.8, abs=0.05)
    deals, houses = pd.read_csv("o/deals.csv"), pd.read_csv("o/houses_together.csv")
    assert deals["delivered_wh"].tolist()[:2] == [50_000, 20_000]
    assert houses.groupby("feeder")["imported_wh"].sum()["p2pcut"] == 3 * 86_194


def test_a_constant_price_holds_with_synthetic_series(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`faults/constant-price-ignored`: 0.30 was asked for, 0.042 to 0.081 EUR/kWh were run."""
    monkeypatch.chdir(tmp_path)
    Path("price.toml").write_text(
        'name = "price"\n[horizon]\nhours = 4\n[houses]\nn_houses = 3\nn_prosumers = 1\n'
        "[profiles]\nprice_eur_per_kwh = 0.30\n"
    )
    call("run", "price.toml", "--out", "run", "--no-report", "--quiet")
    prices = pq.read_table("run/intervals.parquet")["utility_ueur_per_kwh"].to_pylist()
    assert set(prices) == {300_000}
