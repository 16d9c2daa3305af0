"""docs/how-to/forecasts.md: its commands print what it shows; what meters cannot be used is refused."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from pathlib import Path

import pandas as pd
import pytest
from doc_blocks import blocks
from typer.testing import CliRunner, Result

from cosim.cli.app import app

PAGE = "docs/how-to/forecasts.md"
PRICES = ["--short-price", "0.25", "--long-price", "0.05"]


def make_meters() -> str:
    """Three days of four houses, two with panels; each day has more sun and a steeper load than the one before."""
    lines = ["time,participant,load_wh,pv_wh"]
    for hour in range(72):
        time, day, clock = datetime(2017, 6, 9) + timedelta(hours=hour), hour // 24, hour % 24
        for k, name in enumerate(("ann", "bob", "cleo", "dan")):
            sun = max(0, 6 - abs(12 - clock)) * (500 if k < 2 else 0) * (1 + day) // 2
            lines.append(f"{time:%Y-%m-%dT%H:%MZ},{name},{300 + 40 * k + 7 * clock * day},{sun}")
    return "\n".join(lines) + "\n"


def call(*words: str) -> Result:
    return CliRunner().invoke(app, list(words))


@pytest.mark.slow
def test_the_page_settles_as_it_shows_and_a_perfect_forecast_costs_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("meters.csv").write_text(make_meters(), encoding="utf-8")
    Path("street.toml").write_text(next(b.text for b in blocks(PAGE) if b.language == "toml"), encoding="utf-8")
    said = []
    for words in next(b for b in blocks(PAGE) if b.is_shell).commands:
        done = call(*words[1:])
        assert done.exit_code == 0, (words, done.output)
        said.append(done.stdout)
    assert said[2] == next(b.text for b in blocks(PAGE) if b.language == "text")
    assert said[3].startswith("settled: ok")

    perfect = call("imbalance", "settle", "run", "forecast.csv", *PRICES, "--out", "perfect", "--json")
    summary = json.loads(perfect.stdout)
    assert not any(summary["balances_neur"].values())
    assert (summary["short_wh"], summary["long_wh"], summary["verdicts"]["ok"]) == (0, 0, 48)

    table = pd.read_csv("settled/imbalances.csv")
    meters = pd.read_csv("meters.csv").iloc[4 * 24 :].reset_index()
    forecast = pd.read_csv("forecast.csv")
    off = (meters["pv_wh"] - meters["load_wh"]) - (forecast["pv_wh"] - forecast["load_wh"])
    spilled = pd.read_parquet("run/houses.parquet")["spilled_wh"].to_numpy()
    assert (table["deviation_wh"] == off)[spilled == 0].all()
    assert (table["amount_neur"] == table["deviation_wh"] * 50_000).where(table["deviation_wh"] > 0, True).all()

    Path("large.csv").write_text(make_meters().replace(",dan,", ",dan,99"), encoding="utf-8")
    large = call("imbalance", "settle", "run", "large.csv", "--price", "0.1", "--out", "large", "--json")
    beyond = json.loads(large.stdout)["verdicts"]["violated"]
    verdicts = pd.read_csv("large/verdicts.csv")
    tight = verdicts[["voltage_margin_upu", "loading_margin_ppm"]].min(axis=1) < 0
    assert beyond == tight.sum() == (verdicts["verdict"] == "violated").sum() > 0

    refuse_what_cannot_be_settled()


def refuse_what_cannot_be_settled() -> None:
    """Meters, prices or files that are not as they have to be."""
    path = Path("settled/imbalances.csv")
    path.write_text(path.read_text().replace("-300,-300,0,0", "-300,-300,0,1", 1))
    changed = call("imbalance", "check", "settled", "run", "meters.csv", *PRICES)
    assert changed.exit_code == 1
    assert "NOT WHAT LEDGER AND METERS GIVE: settled/imbalances.csv" in changed.stdout
    Path("strange.csv").write_text(make_meters().replace("dan", "eve"))
    Path("few.csv").write_text("".join(make_meters().splitlines(keepends=True)[: 1 + 4 * 60]))
    for words, message in (
        (("strange.csv", *PRICES), "got 'dan' in one of both alone"),
        (("few.csv", *PRICES), "expected all intervals of the run"),
        (("meters.csv",), "expected --price, or --short-price with --long-price"),
        (("meters.csv", "--price", "0.2", "--short-price", "0.1"), "expected --price, or"),
        (("meters.csv", "--price", "NaN"), "at most six decimals"),
        (("meters.csv", "--short-price", "0.1", "--long-price", "0.2"), "would pay for deviating"),
    ):
        refused = call("imbalance", "settle", "run", *words, "--out", "again")
        assert refused.exit_code == 2, refused.output
        assert message in " ".join(refused.output.split())
        assert not Path("again").exists()
