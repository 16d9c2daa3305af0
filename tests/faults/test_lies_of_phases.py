"""Lies about phases: the rows of docs/ledger-format.md §11 that only a ledger of an unbalanced model can hold.

As in `test_lies.py`, the operator changes its finished ledger and signs everything again.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import lies
import numpy as np
import pytest
from dishonest import Books, put_together, take_apart
from lies import DAY, NOON

from cosim import run
from cosim.audit.audit import audit_ledger
from cosim.audit.rerun import rerun_ledger
from cosim.case.case import Case, build_case
from cosim.errors import ScenarioError
from grid_models.feeder.connection import Connections
from market.exchanges import CONDUCTORS, Reason, with_conductor
from market.ledger.check.verify import verify_ledger
from market.ledger.format.records import NONE

pytestmark = pytest.mark.slow  # whole ledgers, signed again and run again

STREET = DAY.with_changes(network={"model": "three_phase"}, limits={"max_vm_pu": 1.012})


class Run(NamedTuple):
    """A finished run, and its case."""

    directory: Path
    case: Case


@pytest.fixture(scope="module", params=["without facts", "with facts"])
def honest(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Run:
    scenario = STREET.with_changes(ledger={"facts": request.param == "with facts"})
    directory = tmp_path_factory.mktemp("honest") / "run"
    run(scenario, directory)
    return Run(directory, build_case(scenario))


class Found(NamedTuple):
    """What `audit --all` answers without facts and with them, and `audit --rerun`; empty if nothing."""

    tell: Callable[[Books, Case], None]
    audit: str
    audit_with_facts: str
    rerun: str
    signed: bool = False


def other_house_phase(books: Books, case: Case) -> None:
    """The first house moves to another phase with all its devices, and nobody says so elsewhere."""
    code = books.houses["load_phase"][0]
    for name in ("load_phase", "pv_phase", "fuel_cell_phase"):
        books.houses[name][0] = code % 3 + 1


def other_house_phase_and_digest(books: Books, case: Case) -> None:
    other_house_phase(books, case)
    codes = [books.houses[f"{device}_phase"].astype(np.int8) for device in ("load", "pv", "battery", "fuel_cell")]
    feeder = replace(case.feeder, connections=Connections(*codes))
    books.set_parameter("network_sha256", feeder.digest())


def other_conductor(books: Books, case: Case) -> None:
    page = books.pages[NOON]
    over = [with_conductor(Reason.OVERVOLTAGE, name) for name in CONDUCTORS[1:4]]
    mine = np.flatnonzero(np.isin(page.exchanges["reason"], over))
    assert mine.size
    page.exchanges["reason"][mine] = over[0]


def innocent_cut(books: Books, case: Case) -> None:
    lies.innocent_cut(books, case)
    rows = books.pages[lies.EVENING].exchanges
    rows["reason"][rows["reason"] == Reason.OVERVOLTAGE] = with_conductor(Reason.OVERVOLTAGE, "b")


JUST = "exchanges were cut though all that were cleared keep every limit"
LIES = {
    "an innocent's trade is cut": Found(
        innocent_cut, JUST, JUST, "status: recorded curtailed, found accepted", signed=True
    ),
    "a house on another phase": Found(
        other_house_phase,
        "(house of house 0), load_phase: recorded a, found c",
        "load_phase: recorded a, found c",
        "load_phase: recorded a, found c",
    ),
    "a house on another phase, with the network's digest": Found(
        other_house_phase_and_digest,
        "(parameter network_sha256), value: recorded",
        "(parameter network_sha256), value: recorded",
        "(parameter network_sha256), value: recorded",
        signed=True,
    ),
    "another conductor of a reason": Found(
        other_conductor, "", "phase: recorded a, found b", "phase: recorded a, found b", signed=True
    ),
}


def answer_audit(directory: Path) -> list[str]:
    return [finding.what for finding in audit_ledger(directory, sample=None).findings]


def expect(found: list[str], expected: str) -> None:
    assert bool(found) == bool(expected), found
    assert any(expected in what for what in found) or not expected, found


@pytest.mark.parametrize("lie", LIES)
def test_who_finds_a_lie_about_phases(lie: str, honest: Run, tmp_path: Path) -> None:
    row, facts = LIES[lie], honest.case.scenario.ledger.facts
    books = take_apart(honest.directory)
    row.tell(books, honest.case)
    directory = put_together(books, honest.directory, tmp_path / "run")
    assert verify_ledger(directory).ok
    expect(answer_audit(directory), row.audit_with_facts if facts else row.audit)
    found = rerun_ledger(directory)
    expect([*map(str, found.differences), *(finding.what for finding in found.findings)], row.rerun)


def test_a_phase_that_is_none_is_refused_in_words(honest: Run, tmp_path: Path) -> None:
    books = take_apart(honest.directory)
    books.houses["pv_phase"][2] = 4
    directory = put_together(books, honest.directory, tmp_path / "run")
    assert verify_ledger(directory).reason == "a record whose pv_phase is out of range: 4"
    for check in (audit_ledger, rerun_ledger):
        with pytest.raises(ScenarioError, match=r"expected phases from 0 to 3 of every house in the ledger's first"):
            check(directory)


def test_an_honest_ledger_with_phases_is_silent(honest: Run, tmp_path: Path) -> None:
    directory = put_together(take_apart(honest.directory), honest.directory, tmp_path / "run")
    assert verify_ledger(directory).ok
    audit = audit_ledger(directory, sample=None)
    assert audit.findings == ()
    assert len(audit.cleared) == (24 if honest.case.scenario.ledger.facts else 0)
    assert rerun_ledger(directory).ok


FIELDS: list[tuple[str, dict[str, int], str]] = [
    ("phases", {"lowest_phase": 0}, "recorded lowest_phase none, found"),
    ("phases", {"highest_phase": 0}, "recorded highest_phase none, found"),
    ("phases", {"branch_conductor": 0}, "recorded branch_conductor none, found"),
    ("phases", {"vuf_e4_percent": 0}, "recorded vuf 0.0000 %, found"),
    ("phases", {"vuf_e4_percent": NONE}, "recorded vuf none, found"),
    ("phases", {"vuf_bus": 0}, "recorded vuf_bus 0, found"),
    ("phases", {"vuf_bus": -1}, "recorded vuf_bus -1, found"),
    ("phases", {"neutral_e4_percent": 990_000}, "recorded neutral 99.0000 %, found"),
    ("phases", {"neutral_e4_percent": NONE}, "recorded neutral none, found"),
    ("phases", {"neutral_line": -1}, "recorded neutral_line -1, found"),
    ("phases", {"neutral_mv": 5000}, "recorded neutral voltage 5.000 V, found none"),
    ("phases", {"neutral_bus": 3}, "recorded neutral_bus 3, found -1"),
    ("verdict", {"lowest_bus": 0}, "recorded lowest_bus 0, found"),
    ("verdict", {"highest_vm_upu": 990_000}, "recorded highest_vm 0.990000 pu, found"),
    ("verdict", {"branch": -1}, "recorded branch -1, found"),
    ("verdict", {"p_grid_w": 0}, "recorded p_grid 0 W, found"),
]
TURNED = ("lowest_phase", "highest_phase", "branch_conductor")


def test_every_field_of_the_phases_is_compared(honest: Run, tmp_path: Path) -> None:
    """Each hour lies in another field; behind them come hours in which a conductor is another one."""
    books = take_apart(honest.directory)
    expected = list(FIELDS)
    for page, (what, fields, _) in zip(books.pages, FIELDS, strict=False):
        for name, value in fields.items():
            getattr(page, what)[name] = value
    for page, name in zip(books.pages[len(FIELDS) :], TURNED, strict=False):
        said = int(page.phases[name][0])
        page.phases[name] = said % 3 + 1
        words = f"recorded {name} {CONDUCTORS[said % 3 + 1]}, found {CONDUCTORS[said]}"
        expected.append(("phases", {name: 0}, words))
    directory = put_together(books, honest.directory, tmp_path / "run")
    assert verify_ledger(directory).ok
    findings = audit_ledger(directory, sample=None).findings
    for height, (_, _, words) in enumerate(expected, start=1):
        mine = [finding.what for finding in findings if finding.height == height]
        assert any(words in found for found in mine), (height, words, mine)
    assert {finding.height for finding in findings} == set(range(1, len(expected) + 1))
    found = rerun_ledger(directory, show=100)
    assert [difference.field for difference in found.differences] == [next(iter(fields)) for _, fields, _ in expected]


def test_the_page_says_what_is_found_of_phases() -> None:
    page = (Path(__file__).parents[2] / "docs" / "ledger-format.md").read_text(encoding="utf-8")
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in page.splitlines() if line.startswith("|")]
    for lie, row in LIES.items():
        said = next(cells for cells in rows if cells[0] == lie)
        found = ["yes" if text else "no" for text in (row.audit, row.audit_with_facts, row.rerun)]
        assert said[1:] == ["no", "no", *found, "yes", "yes" if row.signed else "no", "not yet"], lie
