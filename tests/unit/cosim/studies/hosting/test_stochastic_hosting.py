"""Hosted power of random devices: a case with a known distribution, the same table for the same seed, what stands."""

from __future__ import annotations

import json
from collections import defaultdict
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from typer.testing import CliRunner

from cosim import Scenario, ScenarioError, StochasticHosting, find_stochastic_hosting
from cosim.case.case import build_case
from cosim.case.community import sun_shape
from cosim.cli.app import app
from cosim.cli.terminal import show_stochastic_hosting
from cosim.studies.hosting import first as first_violations
from cosim.studies.hosting.tables import make_percentiles
from grid_models.powerflow.limits import Limits
from grid_models.powerflow.runpp import solve_by_runpp
from grid_models.powerflow.verdicts import Judgement, judge

LINE = Scenario(
    "line",
    horizon={"start": "2017-06-12T10:00:00Z", "hours": 3},
    houses={"n_houses": 1, "n_prosumers": 1},
    network={"n_branches": 1, "spacing_m": 400.0},
)
SIZES_KW, WEIGHTS = (7.3, 16.9), (0.75, 0.25)
REPETITIONS, OF_EACH = 200, 25

STREET = Scenario.load("phases").with_changes(
    horizon={"hours": 24}, houses={"n_houses": 6, "n_prosumers": 4, "mean_load_w": 600.0}, network={"spacing_m": 60.0}
)


def find_limit_kw() -> float:
    """Panels at the end of the line at which pandapower finds the first limit broken, kW, by bisection."""
    case = build_case(LINE)
    sun, load = sun_shape(case.profiles.pv_wh), case.profiles.load_wh / 1000.0
    assert sun.min() > 0.0
    low, high = 0.0, 1000.0
    for _ in range(40):
        middle = (low + high) / 2.0
        p = middle * sun[:, None] - load
        q = -load * float(np.nan_to_num(case.feeder.load_tan_phi)[0])
        flow = solve_by_runpp(case.feeder.as_given(), p, q)
        clean = (judge(flow, Limits.from_feeder(case.feeder)).status == Judgement.OK).all()
        low, high = (middle, high) if clean else (low, middle)
    return low


def find_distribution(limit_kw: float) -> tuple[dict[float, float], dict[float, float]]:
    """Chances of hosted kW, and of kW with the device that breaks the limit: a sum of sizes that passes it."""
    reached, hosted, broken = {0.0: 1.0}, defaultdict[float, float](float), defaultdict[float, float](float)
    while reached:
        now, chance = min(reached), reached.pop(min(reached))
        for size, weight in zip(SIZES_KW, WEIGHTS, strict=True):
            then = round(now + size, 6)
            if then > limit_kw:
                hosted[now] += chance * weight
                broken[then] += chance * weight
            else:
                reached[then] = reached.get(then, 0.0) + chance * weight
    return hosted, broken


@pytest.mark.slow
def test_intervals_of_confidence_cover_what_is_known(tmp_path: Path) -> None:
    """One line, one house: devices are hosted until their sum passes one number, which pandapower finds."""
    table = tmp_path / "sizes.csv"
    rows = "".join(f"pv,{kw},{weight}\n" for kw, weight in zip(SIZES_KW, WEIGHTS, strict=True))
    table.write_text("technology,kw,weight\n" + rows)
    found = find_stochastic_hosting(LINE, draws=REPETITIONS * OF_EACH, technology="pv", per_site=20, sizes=table)
    hosted, broken = find_distribution(find_limit_kw())
    assert len(hosted) >= 4
    kw = np.array(sorted(hosted))
    cdf = np.cumsum([hosted[h] for h in kw])
    assert not found.draws["reached_end"].any()
    empirical = np.searchsorted(np.sort(found.draws["hosted_kw"]), kw + 1e-6) / len(found.draws)
    assert np.abs(empirical - cdf).max() < np.sqrt(np.log(2.0 / 1e-4) / 2.0 / len(found.draws))  # Massart 1990
    hits = defaultdict[float, int](int)
    for repetition in range(REPETITIONS):
        part = found.draws.iloc[repetition * OF_EACH : (repetition + 1) * OF_EACH]
        for row in make_percentiles(part).fillna({"low_kw": 0.0, "high_kw": np.inf}).to_dict(orient="records"):
            true = kw[np.searchsorted(cdf, row["percent"] / 100.0)]
            hits[row["percent"]] += row["low_kw"] - 1e-6 <= true <= row["high_kw"] + 1e-6
    assert min(hits.values()) >= stats.binom.ppf(1e-4, REPETITIONS, 0.95)
    curve = found.curve[found.curve["by"] == "kw"]
    known = np.array([sum(c for h, c in broken.items() if h <= x + 1e-6) for x in curve["penetration"]])
    assert ((curve["low"] <= known) & (known <= curve["high"])).mean() >= 0.9


@pytest.fixture(scope="module")
def street() -> StochasticHosting:
    return find_stochastic_hosting(STREET, draws=20, seed=5)


@pytest.mark.slow
def test_the_same_seed_makes_the_same_table_however_draws_are_batched(
    street: StochasticHosting, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(first_violations, "DRAWS", 7)
    monkeypatch.setattr(first_violations, "ROWS", 33)
    again = find_stochastic_hosting(STREET, draws=20, seed=5)
    for name in ("draws", "percentiles", "curve", "binding", "intervals", "verified"):
        assert getattr(again, name).equals(getattr(street, name)), name
    assert not find_stochastic_hosting(STREET, draws=20, seed=6).draws.equals(street.draws)


@pytest.mark.slow
def test_hosted_power_is_that_of_all_devices_before_the_one_that_breaks_a_limit(street: StochasticHosting) -> None:
    draws = street.draws[~street.draws["reached_end"]]
    assert len(draws)
    assert draws["hosted_kw"].to_numpy() == pytest.approx((draws["broken_kw"] - draws["last_kw"]).to_numpy())
    parts = draws[["pv_kw", "ev_kw", "heat_pump_kw"]].sum(axis=1)
    assert parts.to_numpy() == pytest.approx(draws["hosted_kw"].to_numpy())
    assert street.binding["draws"].sum() == len(draws)
    assert (street.verified["broken"] == 0).all()
    said = json.loads(json.dumps(street.as_dict()))
    assert said["judged"] == "added"
    assert said["intervals"][0]["time"] == "2017-06-12T00:00:00Z"


@pytest.mark.slow
def test_what_draws_at_percentiles_break_elsewhere_joins_the_intervals(street: StochasticHosting) -> None:
    few = find_stochastic_hosting(STREET, draws=20, seed=5, n_intervals=2)
    assert "broken by draws at percentiles" in set(few.intervals["why"])
    assert len(few.intervals) < len(street.intervals) == 24
    assert (few.verified["broken"] == 0).all()
    assert (few.verified["intervals"] == 24).all()
    # In all intervals it is the answer in all of them, whatever others would have said.
    at = few.verified["draw"].to_numpy()
    assert few.draws["hosted_kw"].to_numpy()[at] == pytest.approx(street.draws["hosted_kw"].to_numpy()[at])


@pytest.mark.slow
def test_what_stands_without_any_device_is_named_and_charged_to_nobody() -> None:
    """An evening load that is too much for one phase: all limits, nothing hosted; what is added, PV is hosted."""
    weak = STREET.with_changes(limits={"min_vm_pu": 0.99})
    none = find_stochastic_hosting(weak, draws=20, technology="pv", judge="all")
    assert (none.draws["hosted_kw"] == 0.0).all()
    assert none.summary["before"]["intervals"] > 0
    assert any("so that every draw hosts none" in note for note in none.notes)
    some = find_stochastic_hosting(weak, draws=20, technology="pv")
    assert some.summary["before"] == none.summary["before"]
    assert any("which is not charged to what is placed" in note for note in some.notes)
    assert some.draws["hosted_kw"].median() > 0.0


def test_what_cannot_be_asked_for_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(ScenarioError, match="--draws: expected a whole number from 20"):
        find_stochastic_hosting(LINE, draws=3)
    table = tmp_path / "sizes.csv"
    table.write_text("technology,kw,weight\nev,11,1\n")
    for words, said in (
        (("--seed", "1"), "--seed: expected it with --draws"),
        (("--draws", "20", "--largest-kw", "9"), "--largest-kw: expected it without --draws"),
        (("--draws", "20", "--technology", "wind"), "got 'wind'"),
        (("--draws", "20", "--judge", "some"), "--judge: expected added or all, got 'some'"),
        (("--draws", "20", "--start", "now"), "--start: expected empty or today, got 'now'"),
        (("--draws", "20", "--per-site", "0"), "--per-site: expected a whole number from 1"),
        (("--draws", "20", "--pv-control", "p_v"), "pv.control"),
        (("--draws", "20", "--technology", "pv", "--sizes", str(table)), "got some of ev"),
        (("--draws", "20", "--out", "draws.txt"), "--out: expected a file that ends in .csv or .parquet"),
    ):
        ended = CliRunner().invoke(app, ["hosting", "phases", *words])
        assert (ended.exit_code, said in ended.stderr) == (2, True), (words, ended.stderr)
        assert ended.stderr.count("gridsettle:") == 1


def test_draws_that_break_nothing_are_told_with_what_they_placed(capsys: pytest.CaptureFixture[str]) -> None:
    ends = {"percent": 5.0, "hosted_kw": np.nan, "low_kw": np.nan, "high_kw": np.nan, "reached_end": True}
    summary = {"technology": ["pv"], "draws": 20, "judged": "added", "start": "empty", "pv_control": "none"}
    draws, none = pd.DataFrame({"hosted_kw": [71.0, 112.5]}), pd.DataFrame()
    found = StochasticHosting(
        draws, pd.DataFrame([ends]), none, none, none, none, {**summary, "before": {"of": 24}}, ()
    )
    show_stochastic_hosting(found, "street", [])
    said = capsys.readouterr().out
    assert "no draw breaks a limit with all that it places, 71.0 to 112.5 kW; --per-site" in said
    assert "- to -" not in said
    assert "first limit" not in said
