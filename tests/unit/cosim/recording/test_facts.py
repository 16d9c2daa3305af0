"""Facts on a ledger: what they are a function of, what they leave as it is, and what must be said when they change."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from dishonest import take_apart
from typer.testing import CliRunner

import cosim.simulation.simulate
from cosim import Scenario, run
from cosim.case.case import build_case
from cosim.cli.app import app
from cosim.curtailment.versions import CURTAILMENT_VERSIONS
from cosim.recording.facts import digest_limits, digest_versions
from cosim.scenario.files import read_bundled
from cosim.simulation.simulate import Progress
from grid_models.powerflow.limits import Limits
from market.ledger.books.rules import read_rules
from market.ledger.format.records import read_parameters, view_as_bytes
from market.versions import MARKET_VERSIONS

DAY = Scenario().with_changes(
    horizon={"hours": 30, "start": "2017-06-20T00:00:00Z"},
    houses={"n_houses": 5, "n_prosumers": 3, "production_ratio": 2.0},
    market={"feed_in": True},
    ledger={"facts": True},
    limits={"max_vm_pu": 1.002},
    engine={"verify_sample": 0},
)


def head(scenario: Scenario, directory: Path) -> str:
    return str(run(scenario, directory).summary["ledger"]["hash"])


@pytest.mark.slow
def test_the_length_of_a_window_changes_no_order(tmp_path: Path) -> None:
    heads = {head(DAY.with_changes(engine={"window": window}), tmp_path / str(window)) for window in (1, 5, 512, None)}
    assert len(heads) == 1


@pytest.mark.slow
def test_a_resumed_run_records_the_same_orders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class KilledError(Exception):
        pass

    def kill(progress: Progress) -> None:
        if progress.done >= 12:
            raise KilledError

    whole = head(DAY, tmp_path / "whole")
    monkeypatch.setattr(cosim.simulation.simulate, "GROUP", 8)
    scenario = DAY.with_changes(engine={"window": 4})
    with pytest.raises(KilledError):
        run(scenario, tmp_path / "run", listener=kill)
    assert run(scenario, tmp_path / "run", resume=True).summary["ledger"]["hash"] == whole


def test_facts_change_nothing_but_the_ledger(tmp_path: Path) -> None:
    without = DAY.with_changes(ledger={"facts": False})
    assert without.digest() == DAY.digest()
    with_facts, plain = run(DAY, tmp_path / "facts"), run(without, tmp_path / "plain")
    for name in ("exchanges", "houses", "intervals", "bus_voltage"):
        assert with_facts.table(name).equals(plain.table(name)), name
    a, b = take_apart(tmp_path / "facts"), take_apart(tmp_path / "plain")
    for one, other in zip(a.pages, b.pages, strict=True):
        assert one.orders.size == 5
        assert other.orders.size == 0
        for name in one.exchanges.dtype.names:
            np.testing.assert_array_equal(one.exchanges[name], other.exchanges[name], err_msg=name)


def test_rules_and_limits_stand_in_the_first_block(tmp_path: Path) -> None:
    run(DAY, tmp_path / "run")
    parameters = read_parameters(view_as_bytes(take_apart(tmp_path / "run").parameters))
    case = build_case(DAY)
    assert read_rules(parameters) == case.rules
    assert parameters["limits_sha256"][:32] == digest_limits(case.limits)
    tighter = Limits.from_feeder(case.feeder, max_vm_pu=1.001)
    assert digest_limits(tighter) != digest_limits(case.limits)


def test_orders_are_exported_where_there_are_any(tmp_path: Path) -> None:
    run(DAY, tmp_path / "run")
    run(DAY.with_changes(ledger={"facts": False}), tmp_path / "plain")
    for name in ("run", "plain"):
        result = CliRunner().invoke(app, ["ledger", "export", str(tmp_path / name), str(tmp_path / f"{name}-tables")])
        assert result.exit_code == 0, result.output
    assert not (tmp_path / "plain-tables" / "orders.parquet").exists()
    orders = pq.read_table(tmp_path / "run-tables" / "orders.parquet")
    assert len(orders) == 30 * 5
    assert set(orders["status"].to_pylist()) <= {0, 1, 2}


def test_no_bundled_scenario_has_facts() -> None:
    """They are asked for, so that no head changes."""
    for name in read_bundled():
        assert not Scenario.load(name).ledger.facts


GOLDEN = ("bf9323ac0167ae1d", "d3b9ed83a435e10c")
"""Digest of the versions of all rules, and the head of a day under them."""


def test_whoever_changes_what_a_rule_gives_raises_its_version(tmp_path: Path) -> None:
    """If this head changes since a rule gives something else: raise the rule's version, and replace both."""
    digest = digest_versions({**MARKET_VERSIONS, **CURTAILMENT_VERSIONS})
    assert (digest.hex()[:16], head(DAY, tmp_path / "run")[:16]) == GOLDEN
