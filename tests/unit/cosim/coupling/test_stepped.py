"""A run that is stepped from outside: the head of `run` where it is given its own profiles, sound where it is not."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from live_world import HOURS, LIVE, LIVE_WITH_FACTS
from naive_ledger import first_fault

from cosim import IntervalInputs, Scenario, ScenarioError, SteppedRun, audit_ledger, rerun_ledger, run, verify_ledger
from cosim.case.given import GIVEN_FILE
from cosim.results.result import Result
from cosim.web.live.run import LiveRun
from market.ledger.store.store import Store
from market.ledger.store.tip import decode_records


def own_profiles(stepped: SteppedRun) -> IntervalInputs:
    """All that the profiles have of the next interval."""
    profiles, t = stepped.case.profiles, stepped.next_interval
    load, pv = (dict(zip(stepped.houses, wh[t].tolist(), strict=True)) for wh in (profiles.load_wh, profiles.pv_wh))
    return IntervalInputs(load, pv, price_ueur_per_kwh=int(profiles.price_ueur_per_kwh[t]))


def step_all(scenario: Scenario, out: Path, inputs: Mapping[int, IntervalInputs], **options: Any) -> Result:
    """A finished run in which something is given in some intervals."""
    with SteppedRun.open(scenario, out) as stepped:
        while not stepped.is_over:
            stepped.run_interval(inputs.get(stepped.next_interval), **options)
        return stepped.finish()


@pytest.mark.slow
@pytest.mark.parametrize("scenario", [LIVE, LIVE_WITH_FACTS], ids=["plain", "facts"])
@pytest.mark.parametrize("durable", [False, True])
def test_with_its_own_profiles_the_head_is_that_of_a_run(scenario: Scenario, durable: bool, tmp_path: Path) -> None:
    expected = run(scenario, tmp_path / "run").summary
    with SteppedRun.open(scenario, tmp_path / "stepped") as stepped:
        closed = [stepped.run_interval(own_profiles(stepped), durable=durable) for _ in range(HOURS)]
        assert [each.interval for each in closed] == list(range(HOURS))
        assert all((each.block_hash is not None) == durable for each in closed)
        assert stepped.head() == expected["ledger"]["hash"]
        result = stepped.finish()
    assert result.summary == expected
    assert read_given_lines(tmp_path / "stepped") == 0


def read_given_lines(directory: Path) -> int:
    return len((directory / GIVEN_FILE).read_text(encoding="ascii").splitlines()) - 1


@pytest.mark.slow
def test_what_an_interval_became_is_what_the_run_records(tmp_path: Path) -> None:
    with SteppedRun.open(LIVE, tmp_path / "stepped") as stepped:
        house = stepped.houses[2]
        closed = [stepped.run_interval(IntervalInputs(pv_wh={house: 3000}), durable=False) for _ in range(3)]
        assert stepped.run_interval().block_hash == stepped.head()
        assert stepped.next_interval == 4
    with Store.open_to_read(tmp_path / "stepped") as store:
        blocks = [decode_records(block.records) for group in store.groups() for block in group]
    assert len(blocks) == 5
    assert closed[2].vm_pu.shape == (len(stepped.case.feeder.net.bus), 1)
    assert closed[2].p_kw[2] > 0 > closed[2].p_kw[0]
    assert closed[2].sold_wh[2] == closed[2].bought_wh.sum() > 0
    assert closed[2].sold_wh.sum() == closed[2].bought_wh.sum()
    assert (closed[2].outcome, closed[2].curtailed_wh.sum(), closed[2].shed_wh.sum()) == ("clean", 0, 0)
    assert read_given_lines(tmp_path / "stepped") == 3 * len(stepped.houses)


@pytest.mark.slow
@pytest.mark.parametrize("facts", [False, True])
def test_with_others_inputs_it_passes_verify_audit_and_rerun(facts: bool, tmp_path: Path) -> None:
    scenario, directory = LIVE_WITH_FACTS if facts else LIVE, tmp_path / "stepped"
    rng = np.random.default_rng(3)
    with SteppedRun.open(scenario, directory) as stepped:
        used = []
        for t in range(HOURS):
            names = [stepped.houses[k] for k in rng.integers(0, len(stepped.houses), 2)]
            load, pv = ({name: int(rng.integers(0, 6000)) for name in names} for _ in range(2))
            limits = {names[0]: int(rng.integers(0, 200_000))} if t % 5 == 0 else {}
            if t == 9:
                stepped.switch_grid(opens=True)
            if t == 11:
                stepped.switch_grid(opens=False)
            price = int(rng.integers(0, 400_000))
            inputs = IntervalInputs(load, pv, limit_ueur_per_kwh=limits, price_ueur_per_kwh=price)
            closed = stepped.run_interval(inputs, durable=t % 2 == 0)
            used.append((load, price, closed.outcome))
        result = stepped.finish()
    report = verify_ledger(directory)
    assert (report.ok, report.reason, first_fault(directory)) == (True, "", None)
    audit = audit_ledger(directory, sample=None)
    assert audit.findings == ()
    assert len(audit.heights) == HOURS
    rerun = rerun_ledger(directory)
    assert (rerun.ok, rerun.findings, rerun.differences, rerun.n_given) == (True, (), (), HOURS)
    assert {outcome for _, _, outcome in used} >= {"clean", "islanded"}
    assert result.intervals["utility_ueur_per_kwh"].tolist() == [price for _, price, _ in used]
    load_wh = result.houses.reset_index().pivot(index="time", columns="house", values="load_wh")
    for t in range(9):  # until the outage: behind it loads are raised
        assert {name: load_wh[name].iloc[t] for name in used[t][0]} == used[t][0]
    (directory / GIVEN_FILE).unlink()
    assert rerun_ledger(directory).n_different > 0


@pytest.mark.slow
@settings(max_examples=8, deadline=None)
@given(st.data())
def test_whether_blocks_wait_never_changes_the_head(tmp_path_factory: pytest.TempPathFactory, data: Any) -> None:
    n, folder = 4, tmp_path_factory.mktemp("waiting")
    heads = []
    given_wh = data.draw(st.lists(st.none() | st.integers(0, 9000), min_size=n, max_size=n))
    for name in ("one", "other"):
        with SteppedRun.open(LIVE, folder / name) as stepped:
            for wh in given_wh:
                inputs = None if wh is None else IntervalInputs({stepped.houses[1]: wh})
                stepped.run_interval(inputs, durable=name == "one" or data.draw(st.booleans()))
            heads.append(stepped.head())
    assert heads[0] == heads[1]


@pytest.mark.slow
def test_a_limit_price_keeps_a_house_from_buying(tmp_path: Path) -> None:
    bought = []
    for limit in (0, 2_000_000):
        with SteppedRun.open(LIVE, tmp_path / str(limit)) as stepped:
            seller, limits = stepped.houses[2], dict.fromkeys(stepped.houses, limit)
            for _ in range(3):  # the first two charge its battery
                closed = stepped.run_interval(IntervalInputs({}, {seller: 3000}, {}, limits), durable=False)
                assert closed.block_hash is not None  # what is stated has its block at once
            bought.append(int(closed.bought_wh.sum()))
        assert verify_ledger(tmp_path / str(limit)).ok
    assert bought[0] == 0 < bought[1]


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        (IntervalInputs({"nobody": 1}), "interval 0, load: expected names of participants, got 'nobody'"),
        (IntervalInputs({"house_01": -1}), "load of house_01: expected 0 to 2147483647 Wh, got -1"),
        (IntervalInputs(load_varh={"house_01": 1}), "expected profiles that have it"),
        (IntervalInputs(limit_ueur_per_kwh={"house_01": -1}), "limit price of house_01: expected 0"),
        (IntervalInputs(price_ueur_per_kwh=10**8), "price: expected 0 to 10000000"),
    ],
)
def test_an_input_that_cannot_be_used_runs_nothing(inputs: IntervalInputs, message: str, tmp_path: Path) -> None:
    with SteppedRun.open(LIVE, tmp_path / "stepped") as stepped:
        with pytest.raises(ScenarioError, match=message):
            stepped.run_interval(inputs)
        assert (stepped.next_interval, read_given_lines(tmp_path / "stepped")) == (0, 0)
        assert stepped.run_interval().interval == 0


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"ledger": {"members_sign": True}}, "members_sign: expected false for a coupled run"),
        ({"outage": {"dispatch": "ahead"}}, 'expected "hourly" for a coupled run'),
        ({"market": {"network": "envelope"}}, "for a coupled run, which knows no envelopes"),
        ({"pv": {"volt_watt": True}}, "pv.volt_watt: expected false for a coupled run"),
    ],
)
def test_a_scenario_that_cannot_be_coupled_is_refused_by_name(
    changes: dict[str, Any], message: str, tmp_path: Path
) -> None:
    with pytest.raises(ScenarioError, match=message):
        SteppedRun.open(LIVE.with_changes(**changes), tmp_path / "stepped")
    assert not (tmp_path / "stepped").exists()


def test_a_run_that_is_not_over_has_no_tables_and_does_not_go_on(tmp_path: Path) -> None:
    directory = tmp_path / "stepped"
    with SteppedRun.open(LIVE, directory) as stepped:
        stepped.run_interval()
        with pytest.raises(ScenarioError, match=f"expected all {HOURS} intervals to be run, got 1"):
            stepped.finish()
    with pytest.raises(ScenarioError, match="found a run; a coupled run begins anew"):
        SteppedRun.open(LIVE, directory)
    with pytest.raises(ScenarioError, match="found a co-simulation"):
        LiveRun.open(LIVE, directory)
    with pytest.raises(ScenarioError, match=f"ended after 1 of {HOURS} intervals"):
        run(LIVE, directory, resume=True)


@pytest.mark.slow
def test_panels_under_control_generate_no_more_than_they_are_rated(tmp_path: Path) -> None:
    scenario = LIVE.with_changes(pv={"control": "q_v"})
    with SteppedRun.open(scenario, tmp_path / "stepped") as stepped:
        with pytest.raises(ScenarioError, match=r"pv of house_03: expected at most the .* kW of its profile"):
            stepped.run_interval(IntervalInputs(pv_wh={stepped.houses[2]: 90_000}))
        assert stepped.run_interval().interval == 0
