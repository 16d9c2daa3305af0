"""The table of lies of docs/ledger-format.md §11: what a dishonest operator may sign, and who finds it.

The operator takes its finished ledger apart, changes what it likes, keeps the books in order where it can, and signs
everything again. Each row says exactly what `verify`, `audit --all` and `audit --rerun` answer, on ledgers without and
with facts. An empty text means that nothing is found.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import lies
import numpy as np
import pytest
from dishonest import Books, put_together, take_apart
from lies import DAY, NIGHT

from cosim import run
from cosim.audit.audit import audit_ledger
from cosim.audit.rerun import rerun_ledger
from cosim.case.case import Case, build_case
from cosim.errors import ScenarioError
from cosim.recording.keys import make_participant_key
from cosim.scenario.files import format_toml
from market.ledger.check.verify import verify_ledger
from market.ledger.format.checkpoint import checkpoint_path
from market.ledger.format.records import (
    NONE,
    RecordBytes,
    Role,
)
from market.ledger.format.statements import register

pytestmark = pytest.mark.slow  # whole ledgers, signed again and run again


class Run(NamedTuple):
    """A finished run, and its case."""

    directory: Path
    case: Case


@pytest.fixture(scope="module", params=["without facts", "with facts"])
def honest(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Run:
    scenario = DAY.with_changes(ledger={"facts": request.param == "with facts"})
    directory = tmp_path_factory.mktemp("honest") / "run"
    run(scenario, directory)
    return Run(directory, build_case(scenario))


# -- who finds it -----------------------------------------------------------------------------------------------------


class Found(NamedTuple):
    """What each check answers: `verify` and `audit` without facts and with them, `audit --rerun`; empty if nothing.

    `signed` says whether `verify` finds it where the houses sign their entries, and none of them helps the operator.
    """

    tell: Callable[[Books, Case], None]
    verify: str
    verify_with_facts: str
    audit: str
    audit_with_facts: str
    rerun: str
    signed: bool = False


PRICE = "a price that the rules do not give"
LIES: dict[str, Found] = {
    "trades cost double everywhere": Found(
        lies.doubled_everywhere,
        "",
        "a uniform price that the pricing rule does not give",
        "",
        "price_ueur_per_kwh: recorded 127988, found 63994",
        "price_ueur_per_kwh: recorded",
        signed=True,
    ),
    "the grid's energy costs double": Found(
        lies.utility_doubled,
        "",
        PRICE,
        "",
        "price_ueur_per_kwh: recorded 127988",
        "price_ueur_per_kwh: recorded 127988",
        signed=True,
    ),
    "trades cost a house three times as much": Found(
        lies.tripled_for_one,
        "",
        PRICE,
        "",
        "price_ueur_per_kwh: recorded 160989",
        "price_ueur_per_kwh: recorded 160989",
        signed=True,
    ),
    "-2147 EUR/kWh for a friend": Found(
        lies.paid_to_a_friend,
        "",
        PRICE,
        "",
        "recorded -2147483647, found 63262",
        "recorded -2147483647, found 63262",
        signed=True,
    ),
    "a fee is taken": Found(
        lies.fees_taken,
        "",
        "a fee that is not the rules' share",
        "",
        "fee_neur: recorded 1422069, found 0",
        "fee_neur",
        signed=True,
    ),
    "compensation is invented": Found(
        lies.compensation_invented,
        "",
        PRICE,
        "",
        "kind: recorded compensation",
        "kind: recorded compensation",
        signed=True,
    ),
    "load moved to a neighbour": Found(
        lies.load_to_a_neighbour, "", "", "", "", "cleared_wh: recorded 259, found 459", signed=True
    ),
    "a trade given to another house": Found(
        lies.other_buyer,
        "",
        "a request that the house's wallet",
        "",
        "cleared_wh: recorded 791, found 1249",
        "buyer: recorded 1",
        signed=True,
    ),
    "an innocent's trade is cut": Found(
        lies.innocent_cut,
        "",
        "",
        "exchanges were cut though all that were cleared keep every limit",
        "exchanges were cut though all that were cleared keep every limit",
        "status: recorded curtailed, found accepted",
        signed=True,
    ),
    "an innocent is cut beside those who must be": Found(
        lies.another_cut_too,
        "",
        "",
        "",
        "status: recorded curtailed, found accepted",
        "recorded curtailed, found accepted",
        signed=True,
    ),
    "order of the exchanges": Found(
        lies.order_of_exchanges,
        "",
        "",
        "",
        "order of the records: recorded this one here",
        "order of the records",
        signed=True,
    ),
    "losses": Found(
        lies.losses_changed,
        "",
        "",
        "recorded losses 855 Wh, found 805",
        "recorded losses 855 Wh, found 805",
        "cleared_wh: recorded 855, found 805",
    ),
    "wallets at the start": Found(lies.wallets_at_the_start, "", "", "wallet_neur", "wallet_neur", "wallet_neur"),
    "a larger battery at the start": Found(lies.larger_battery, "", "", "soc_max_wh", "soc_max_wh", "soc_max_wh"),
    "two houses change their buses": Found(lies.other_bus, "", "", "bus: recorded", "bus: recorded", "bus: recorded"),
    "another mechanism in the first block": Found(
        lies.other_mechanism,
        "",
        "",
        "'trading'",
        "'trading'",
        "value: recorded 'trading', found 'sharing_p2p'",
        signed=True,
    ),
    "another time of the first interval": Found(
        lies.other_start, "", "", "parameter start", "parameter start", "parameter start", signed=True
    ),
    "the last intervals dropped": Found(
        lies.last_intervals_dropped,
        "",
        "",
        "the ledger ends after 22 of 24 intervals",
        "the ledger ends after 22 of 24 intervals",
        "the ledger ends after 22 of 24 intervals",
    ),
    "a device that nobody asked for": Found(lies.unasked_device, "", "", "", "", "device of house 4"),
    "a line recorded as open": Found(
        lies.line_out,
        "",
        "",
        "line 0: recorded as open, though no outage opened it",
        "line 0: recorded as open, though no outage opened it",
        "(topology), the record: recorded this one, found none",
    ),
    "reactive power that nobody controls": Found(
        lies.reactive_power,
        "",
        "",
        *[
            "reactive power is metered that no load draws, though no inverter is under control: at 1 houses such as "
            "'house_04'"
        ]
        * 2,
        "q_var: recorded 900, found 0",
        signed=True,
    ),
}


def test_orders_in_other_parts_of_the_network_than_there_are(honest: Run, tmp_path: Path) -> None:
    """Two houses trade by themselves, at a price of their own: the books and the pricing rule agree."""
    if not honest.case.scenario.ledger.facts:
        pytest.skip("orders are facts")
    books = take_apart(honest.directory)
    page = books.pages[NIGHT]
    page.orders["part"][0] = 1
    directory = put_together(books, honest.directory, tmp_path / "run")
    assert answer_verify(directory) == ""
    assert "orders are recorded in other parts of the network than the topology gives" in answer_audit(directory)
    assert "part: recorded 1, found 0" in answer_rerun(directory)[0]


def answer_verify(directory: Path, checkpoint: str | None = None) -> str:
    report = verify_ledger(directory, checkpoint=checkpoint)
    return "" if report.ok else report.reason


def answer_audit(directory: Path) -> list[str]:
    return [finding.what for finding in audit_ledger(directory, sample=None).findings]


def answer_rerun(directory: Path) -> list[str]:
    found = rerun_ledger(directory)
    assert found.ok == (not found.differences and not found.findings)
    return [*map(str, found.differences), *(finding.what for finding in found.findings)]


def expect(found: list[str], expected: str) -> None:
    """Exactly nothing, or what is expected among other things."""
    assert bool(found) == bool(expected), found
    assert any(expected in what for what in found) or not expected, found


@pytest.mark.parametrize("lie", LIES)
def test_who_finds_a_lie(lie: str, honest: Run, tmp_path: Path) -> None:
    row, facts = LIES[lie], honest.case.scenario.ledger.facts
    books = take_apart(honest.directory)
    row.tell(books, honest.case)
    directory = put_together(books, honest.directory, tmp_path / "run")
    found = answer_verify(directory)
    expect([found] if found else [], row.verify_with_facts if facts else row.verify)
    expect(answer_audit(directory), row.audit_with_facts if facts else row.audit)
    expect(answer_rerun(directory), row.rerun)
    assert answer_verify(directory, checkpoint_path(honest.directory).read_text())


@pytest.fixture(scope="module")
def signed(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run whose houses sign their entries; their keys are not the operator's."""
    scenario = DAY.with_changes(ledger={"members_sign": True})
    directory = tmp_path_factory.mktemp("signed") / "run"
    run(scenario, directory)
    return Run(directory, build_case(scenario))


def register_all(chain: bytes) -> RecordBytes:
    keys = [make_participant_key(DAY.seed, house) for house in range(6)]
    return np.concatenate([register(chain, i, Role.PARTICIPANT, 1, 2, key) for i, key in enumerate(keys)])


@pytest.mark.parametrize("lie", LIES)
def test_what_houses_that_sign_their_entries_make_impossible(lie: str, signed: Run, tmp_path: Path) -> None:
    """The operator has no key of theirs: what it changes of an entry, and every other chain, lacks their signatures."""
    books = take_apart(signed.directory)
    before = books.parameters.tobytes()
    LIES[lie].tell(books, signed.case)
    books.members.insert(0, register_all)
    if books.parameters.tobytes() == before:
        directory = put_together(books, signed.directory, tmp_path / "run")
        assert bool(answer_verify(directory)) == LIES[lie].signed
    else:
        assert LIES[lie].signed, "another chain, on which nobody has signed"


COLUMNS = ("verify", "verify_with_facts", "audit", "audit_with_facts", "rerun", "signed")


def test_the_page_says_what_is_found() -> None:
    page = (Path(__file__).parents[2] / "docs" / "ledger-format.md").read_text(encoding="utf-8")
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in page.splitlines() if line.startswith("|")]
    for lie, row in LIES.items():
        said = next(cells for cells in rows if cells[0] == lie)
        found = ["yes" if getattr(row, column) else "no" for column in COLUMNS]
        assert said[1:] == [*found[:5], "yes", found[5], "not yet"], lie


def test_an_honest_ledger_that_is_put_together_again_is_the_same(honest: Run, tmp_path: Path) -> None:
    directory = put_together(take_apart(honest.directory), honest.directory, tmp_path / "run")
    assert checkpoint_path(directory).read_text() == checkpoint_path(honest.directory).read_text()
    assert answer_verify(directory) == ""
    assert answer_audit(directory) == []
    assert answer_rerun(directory) == []


VERDICTS: list[tuple[dict[str, int], str]] = [
    ({"lowest_vm_upu": 990_000}, "recorded lowest_vm 0.990000 pu, found"),
    ({"lowest_vm_upu": NONE}, "recorded lowest_vm none, found"),
    ({"highest_vm_upu": NONE}, "recorded highest_vm none, found"),
    ({"lowest_bus": 99}, "recorded lowest_bus 99, found"),
    ({"highest_bus": -1}, "recorded highest_bus -1, found"),
    ({"loading_e4_percent": 990_000}, "recorded loading 99.0000 %, found"),
    ({"loading_e4_percent": NONE, "branch": -1}, "recorded loading none, found"),
    ({"branch": -1}, "recorded branch -1, found"),
    ({"status": 1}, "recorded status curtailed, the block's exchanges give clean"),
    ({"status": 2}, "recorded status shed, the block's exchanges give clean"),
    ({"status": 3}, "recorded status de_energised, the block's exchanges give clean"),
    ({"reason": 1}, "recorded engine 1, found 0"),
    ({"reason": 0x100}, "disagree on whether anybody was without the grid"),
    ({"p_grid_w": 0}, "recorded p_grid 0 W, found"),
    ({"power_flows": 7}, "recorded power_flows 7, found at most 2 for status clean"),
    ({"power_flows": 0}, "recorded power_flows 0, found at least 1"),
]


def test_every_field_of_a_verdict_is_compared(honest: Run, tmp_path: Path) -> None:
    """Each hour's verdict lies in another field."""
    books = take_apart(honest.directory)
    for page, (fields, _) in zip(books.pages, VERDICTS, strict=False):
        for name, value in fields.items():
            page.verdict[name] = value
    directory = put_together(books, honest.directory, tmp_path / "run")
    assert answer_verify(directory) == ""
    findings = audit_ledger(directory, sample=None).findings
    for height, (_, what) in enumerate(VERDICTS, start=1):
        mine = [finding.what for finding in findings if finding.height == height]
        assert any(what in found for found in mine), (height, mine)
    assert {finding.height for finding in findings} == set(range(1, len(VERDICTS) + 1))
    found = rerun_ledger(directory, show=100)
    assert [difference.height for difference in found.differences] == list(range(1, len(VERDICTS) + 1))
    assert all(difference.field in fields for difference, (fields, _) in zip(found.differences, VERDICTS, strict=True))


# -- lies in the files beside the ledger ------------------------------------------------------------------------------


def with_limits(honest: Run, out: Path, max_vm_pu: float, *, digest: bool) -> Path:
    """The run with another limit in its scenario, and the scenario's digest in the first block if wanted."""
    scenario = honest.case.scenario.with_changes(limits={"max_vm_pu": max_vm_pu})
    books = take_apart(honest.directory)
    if digest:
        books.set_parameter("scenario_sha256", scenario.digest())
    directory = put_together(books, honest.directory, out)
    (directory / "scenario.toml").write_text(format_toml(scenario))
    return directory


def test_other_limits_in_the_scenario_alone_are_refused(honest: Run, tmp_path: Path) -> None:
    directory = with_limits(honest, tmp_path / "run", 1.1, digest=False)
    assert answer_verify(directory) == ""
    for check in (answer_audit, answer_rerun):
        with pytest.raises(ScenarioError, match=r"another scenario\.toml"):
            check(directory)


@pytest.mark.parametrize(
    ("max_vm_pu", "what"),
    [(1.1, "exchanges were cut though all that were cleared keep every limit"), (1.001, "settled though bus")],
    ids=["looser", "tighter"],
)
def test_other_limits_with_their_digest_do_not_fit_what_was_settled(
    max_vm_pu: float, what: str, honest: Run, tmp_path: Path
) -> None:
    directory = with_limits(honest, tmp_path / "run", max_vm_pu, digest=True)
    assert answer_verify(directory) == ""
    found = answer_audit(directory)
    assert any(what in one for one in found), found
    if honest.case.scenario.ledger.facts:
        assert any("(parameter max_vm_upu), value: recorded 1003500" in one for one in found), found
    assert answer_rerun(directory)


def test_other_cables_are_found_where_the_scenario_makes_the_network(tmp_path: Path) -> None:
    """The operator ran with other cables than it says; network and digest fit one another."""
    other = DAY.with_changes(network={"main_cable": "NAYY 4x120 SE"})
    run(other, tmp_path / "other")
    books = take_apart(tmp_path / "other")
    books.set_parameter("scenario_sha256", DAY.digest())
    directory = put_together(books, tmp_path / "other", tmp_path / "run")
    (directory / "scenario.toml").write_text(format_toml(DAY))
    assert answer_verify(directory) == ""
    for check in (answer_audit, answer_rerun):
        assert "parameter network_sha256" in check(directory)[0]


def test_another_run_altogether_shows_only_against_a_checkpoint(honest: Run, tmp_path: Path) -> None:
    """All is run and signed anew with another seed: there is nothing wrong with it but that it is another ledger."""
    run(honest.case.scenario.with_changes(seed=2), tmp_path / "run")
    assert answer_verify(tmp_path / "run") == ""
    assert answer_audit(tmp_path / "run") == []
    assert answer_rerun(tmp_path / "run") == []
    kept = checkpoint_path(honest.directory).read_text()
    assert answer_verify(tmp_path / "run", kept)
