"""Phases of houses on a network from a file: what the run kept holds them, and without it nothing passes in silence."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from dishonest import put_together, take_apart
from phase_streets import make_phase_scenario
from typer.testing import CliRunner, Result

from cosim import Scenario, run
from cosim.audit.recorded import read_first_block, read_recorded
from cosim.case.connections import choose_wires
from cosim.cli.app import app
from grid_models.feeder.connection import Connections
from market.ledger.check.verify import verify_ledger
from market.ledger.crypto.keys import write_key_pair
from market.ledger.format.header import make_demonstration_key
from market.ledger.store.store import Store

pytestmark = pytest.mark.slow  # whole runs, signed again and audited

N = 4
CHECKS = ("--all", "--rerun")
TAKEN = "Phases of houses: taken from the ledger itself; no table of participants was kept to hold them against."


def ask(directory: Path, *options: str) -> Result:
    return CliRunner().invoke(app, ["ledger", "audit", str(directory), *options])


def make_short(folder: Path, **ledger: object) -> Scenario:
    return make_phase_scenario(folder, N, horizon={"hours": 8, "start": "2017-06-10T08:00:00Z"}, ledger=ledger)


@pytest.fixture(scope="module")
def honest(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("honest")
    run(make_short(folder), folder / "run")
    return folder / "run"


def lie(honest: Path, out: Path, *devices: str, with_digest: bool) -> Path:
    """The ledger signed again, with devices of house 2 on other phases."""
    books = take_apart(honest)
    for device in devices:
        books.houses[f"{device}_phase"][2] = books.houses[f"{device}_phase"][2] % 3 + 1
    if with_digest:
        with Store.open_to_read(honest) as store:
            recorded = read_recorded(honest, read_first_block(store, None))
        codes = [books.houses[f"{name}_phase"].astype("i1") for name in ("load", "pv", "battery", "fuel_cell")]
        connections = Connections(*codes, choose_wires(recorded.scenario))
        books.set_parameter("network_sha256", replace(recorded.feeder, connections=connections).digest())
    directory = put_together(books, honest, out)
    assert verify_ledger(directory).ok
    return directory


@pytest.mark.parametrize("check", CHECKS)
def test_an_honest_run_passes_without_a_caveat(honest: Path, check: str) -> None:
    result = ask(honest, check)
    assert (result.exit_code, TAKEN in result.stdout) == (0, False), result.output


@pytest.mark.parametrize(
    "missing", [("participants.csv",), ("network_source.json",), ("network_source.json", "participants.csv")]
)
def test_a_lie_does_not_pass_where_what_was_kept_is_gone(
    honest: Path, tmp_path: Path, missing: tuple[str, ...]
) -> None:
    directory = lie(honest, tmp_path / "run", "load", "pv", with_digest=True)
    for check in CHECKS:
        found = ask(directory, check)
        assert found.exit_code == 1, found.output
    for name in missing:
        (directory / name).unlink()
    for check in CHECKS:
        refused = ask(directory, check)
        assert refused.exit_code == 2, refused.output
        assert f"{missing[0]}: expected the file that the run kept" in refused.stderr
        assert "; put it back from a copy of the run" in refused.stderr
        assert len(refused.stderr.strip().splitlines()) == 1


@pytest.mark.parametrize("device", ["load", "pv", "battery"])
def test_a_lie_about_one_device_is_named(honest: Path, tmp_path: Path, device: str) -> None:
    directory = lie(honest, tmp_path / "run", device, with_digest=False)
    for check in CHECKS:
        found = ask(directory, check)
        assert found.exit_code in (1, 2)
        assert f"{device}_phase: recorded" in found.stdout or "other phases of the houses (HOUSE" in found.stderr


def test_a_private_run_says_what_holds_its_phases(tmp_path: Path) -> None:
    keys = tmp_path / "keys"
    keys.mkdir(mode=0o700)
    for k, name in enumerate(["operator", *(f"member-{house:03d}" for house in range(N))]):
        write_key_pair(keys / f"{name}.key", make_demonstration_key(7000 + k))
    scenario = make_short(tmp_path, private=True, operator_key=keys / "operator.key", member_keys=keys)
    run(scenario, tmp_path / "run")
    for check in CHECKS:
        result = ask(tmp_path / "run", check, "--open-with", str(keys / "operator.key"))
        assert result.exit_code == 0, result.output
        assert TAKEN in result.stdout
