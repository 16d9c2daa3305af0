"""Lies about cars and heat pumps: the rows of docs/ledger-format.md §11 that only a ledger with devices can hold.

As in `test_lies.py`, the operator changes its finished ledger and signs everything again.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import lies
import naive_ledger
import numpy as np
import pytest
from dishonest import Books, put_together, take_apart
from lies import DAY

from cosim import run
from cosim.audit.audit import audit_ledger
from cosim.audit.rerun import rerun_ledger
from cosim.case.case import Case, build_case
from cosim.errors import ScenarioError
from cosim.recording.keys import make_participant_key
from market.exchanges import CAR, Kind, Status
from market.ledger.check.verify import verify_ledger
from market.ledger.format.header import decode_header
from market.ledger.format.records import RecordBytes, Role
from market.ledger.format.statements import register
from market.ledger.store.store import Store

pytestmark = pytest.mark.slow  # whole ledgers, signed again and run again

WINTER = DAY.with_changes(
    horizon={"hours": 19, "start": "2017-01-10T00:00:00Z"},
    ev={"n_cars": 4, "charger_kw": 22.0},
    heat_pump={"n_heat_pumps": 2},
    limits={"min_vm_pu": 0.991, "max_vm_pu": 1.05},
)


class Run(NamedTuple):
    """A finished run, and its case."""

    directory: Path
    case: Case


@pytest.fixture(scope="module", params=["without facts", "with facts"])
def honest(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Run:
    scenario = WINTER.with_changes(ledger={"facts": request.param == "with facts"})
    directory = tmp_path_factory.mktemp("honest") / "run"
    run(scenario, directory)
    return Run(directory, build_case(scenario))


@pytest.fixture(scope="module")
def signed(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run whose houses sign their entries; their keys are not the operator's."""
    scenario = WINTER.with_changes(ledger={"members_sign": True})
    directory = tmp_path_factory.mktemp("signed") / "run"
    run(scenario, directory)
    return Run(directory, build_case(scenario))


def find_waiting(books: Books, *, last: bool = False) -> tuple[int, int]:
    """The first hour, or the last, in which a car did not get what it asked for, and the car."""
    for t, page in reversed([*enumerate(books.pages)]) if last else enumerate(books.pages):
        found = np.flatnonzero((page.devices["status"] == CAR) & (page.devices["given_wh"] < page.devices["wanted_wh"]))
        if found.size:
            return t, int(found[0])
    raise AssertionError("no car had to wait")


def row_alone(books: Books, case: Case) -> None:
    """A car got a kWh more, and nobody says so elsewhere."""
    t, j = find_waiting(books)
    books.pages[t].devices["given_wh"][j] += 1000


def content_invented(books: Books, case: Case) -> None:
    """A car holds a kWh more from an hour on."""
    t, j = find_waiting(books)
    for page in books.pages[t:]:
        page.devices["held_wh"][j] += 1000


def charged_elsewhere(books: Books, case: Case) -> None:
    """A battery that was charged elsewhere although it was full enough."""
    t, j = find_waiting(books)
    books.pages[t].devices["made_up_wh"][j] += 1000
    for page in books.pages[t:]:
        page.devices["held_wh"][j] += 1000


def waited_for_nothing(books: Books, case: Case) -> None:
    """The exchanges say that a car waited for a kWh less than its rows do."""
    t, _ = find_waiting(books)
    page = books.pages[t]
    page.exchanges["delivered_wh"][page.of(Kind.SHIFT)[0]] -= 1


def other_capacity(books: Books, case: Case) -> None:
    """All rows of a car say a larger battery."""
    books.devices["capacity_wh"][0] += 1000
    for page in books.pages:
        page.devices["capacity_wh"][0] += 1000


def favourite_served(books: Books, case: Case) -> None:
    """A car is given a kWh that it had to wait for; its rows, its meter, the exchanges and the verdict all say so."""
    t, j = find_waiting(books, last=True)
    page = books.pages[t]
    house = int(page.devices["house"][j])
    waited = next(k for k in page.of(Kind.SHIFT) if page.exchanges["buyer"][k] == house)
    assert page.exchanges["delivered_wh"][waited] > 1000
    page.exchanges["delivered_wh"][waited] -= 1000
    give(books, t, j, 1000)
    lies.resolve(case, page)


def give(books: Books, t: int, j: int, wh: int) -> None:
    """A device gets `wh` more than it did: it holds more from then on, and its house imports more."""
    page = books.pages[t]
    house, gain, before = (int(page.devices[name][j]) for name in ("house", "gain_ppm", "given_wh"))
    stored = (before + wh) * gain // 1_000_000 - before * gain // 1_000_000
    page.devices["given_wh"][j] += wh
    page.devices["stored_wh"][j] += stored
    for later in books.pages[t:]:
        later.devices["held_wh"][j] += stored
    for name in ("load_wh", "reason", "imported_wh"):
        page.meters[name][house] = int(page.meters[name][house]) + wh
    bought = next(k for k in page.of(Kind.GRID_IMPORT) if page.exchanges["buyer"][k] == house)
    page.exchanges["delivered_wh"][bought] += wh


def shortfall_hidden(books: Books, case: Case) -> None:
    """A car left with a kWh less than it wanted, and its row does not say so; or it did not, and it says so."""
    for page in books.pages:
        leaving = np.flatnonzero((page.devices["status"] == CAR) & (page.devices["stays"] == 1))
        if leaving.size:
            page.devices["unserved_wh"][leaving[0]] += 1000
            return
    raise AssertionError("no car left")


def innocent_dimmed(books: Books, case: Case) -> None:
    """A car waits in an hour in which the network could carry all."""
    for t, page in enumerate(books.pages):
        given = page.devices["given_wh"]
        free = np.flatnonzero((page.devices["status"] == CAR) & (given > 2000) & (given == page.devices["wanted_wh"]))
        imports = page.exchanges["buyer"][page.of(Kind.GRID_IMPORT)]
        chosen = [j for j in free if page.devices["house"][j] in imports]
        if chosen and page.verdict["status"][0] == 0:
            give(books, t, chosen[0], -1000)
            fields = {"kind": Kind.SHIFT, "status": Status.CURTAILED, "reason": 2, "interval": t}
            page.insert_before_losses(**fields, buyer=int(page.devices["house"][chosen[0]]), delivered_wh=1000)
            page.verdict["status"], page.verdict["power_flows"] = 1, 2
            lies.resolve(case, page)
            return
    raise AssertionError("no car is charged freely")


def dimmed_too_far(books: Books, case: Case) -> None:
    """Dimming left a car a kWh less than 4.2 kW, says its row."""
    t, j = find_waiting(books)
    books.pages[t].devices["floor_wh"][j] -= 1000


class Found(NamedTuple):
    """What `verify` and `audit --all` answer without facts and with them, and `audit --rerun`; empty if nothing.

    Where `verify` finds it, nobody audits.
    """

    tell: Callable[[Books, Case], None]
    verify: str
    verify_with_facts: str
    audit: str = ""
    audit_with_facts: str = ""
    rerun: str = ""


CAPACITY = "capacity_wh: recorded 56000, found 55000"
JUST = "exchanges were cut though all that were cleared keep every limit"
LIES = {
    "a car got more, in its row alone": Found(row_alone, *["stored energy that was not given"] * 2),
    "a car holds more": Found(
        content_invented, *["a content that does not follow from what it held and was given"] * 2
    ),
    "a car was charged elsewhere": Found(charged_elsewhere, *["energy made up for that was not missing"] * 2),
    "a car of the exchanges waits for another energy": Found(
        waited_for_nothing,
        "energy to wait for that is not among the exchanges",
        "an order that is not what the house's own balance leaves",
    ),
    "dimmed below 4.2 kW, and it says otherwise": Found(dimmed_too_far, *["another energy left by dimming"] * 2),
    "another battery of a car": Found(other_capacity, "", "", *[CAPACITY] * 3),
    "a favourite's car is charged beside the limits": Found(
        favourite_served, "", "", "settled though", "settled though", "delivered_wh: recorded"
    ),
    "an innocent's car is dimmed": Found(innocent_dimmed, "", "", JUST, JUST, "delivered_wh: recorded"),
    "a car left with less": Found(shortfall_hidden, "", "", "", "", "unserved_wh: recorded 1000, found 0"),
}


def expect(found: list[str], expected: str) -> None:
    assert bool(found) == bool(expected), found
    assert any(expected in what for what in found) or not expected, found


@pytest.mark.parametrize("lie", LIES)
def test_who_finds_a_lie_about_devices(lie: str, honest: Run, tmp_path: Path) -> None:
    row, facts = LIES[lie], honest.case.scenario.ledger.facts
    books = take_apart(honest.directory)
    row.tell(books, honest.case)
    directory = put_together(books, honest.directory, tmp_path / "run")
    verified = verify_ledger(directory)
    expect([] if verified.ok else [verified.reason], row.verify_with_facts if facts else row.verify)
    assert (naive_ledger.first_fault(directory) is None) == verified.ok
    if not verified.ok:
        return
    expect(
        [finding.what for finding in audit_ledger(directory, sample=None).findings],
        row.audit_with_facts if facts else row.audit,
    )
    found = rerun_ledger(directory)
    expect([*map(str, found.differences), *(finding.what for finding in found.findings)], row.rerun)


@pytest.mark.parametrize(
    "lie", ["", "a favourite's car is charged beside the limits", "an innocent's car is dimmed", "a car left with less"]
)
def test_houses_that_sign_their_entries_sign_their_devices(lie: str, signed: Run, tmp_path: Path) -> None:
    books = take_apart(signed.directory)
    books.members.insert(0, register_all)
    if lie:
        LIES[lie].tell(books, signed.case)
    assert verify_ledger(put_together(books, signed.directory, tmp_path / "run")).ok == (not lie)


def register_all(chain: bytes) -> RecordBytes:
    keys = [make_participant_key(WINTER.seed, house) for house in range(6)]
    return np.concatenate([register(chain, i, Role.PARTICIPANT, 1, 2, key) for i, key in enumerate(keys)])


@pytest.fixture(scope="module")
def phased(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """One-phase wall boxes in three phases, where the net's limits let some of them wait."""
    changes = {"network": {"model": "three_phase"}, "ev": {"charger_kw": 7.4}, "limits": {"min_vm_pu": 0.96}}
    scenario = WINTER.with_changes(**changes, ledger={"facts": True})
    directory = tmp_path_factory.mktemp("phased") / "run"
    run(scenario, directory)
    return Run(directory, build_case(scenario))


def test_a_wall_box_on_another_phase_is_found(phased: Run, tmp_path: Path) -> None:
    assert audit_ledger(phased.directory, sample=None).findings == ()
    assert rerun_ledger(phased.directory).ok
    assert naive_ledger.first_fault(phased.directory) is None
    books = take_apart(phased.directory)
    find_waiting(books)
    said = int(books.devices["stays"][0])
    books.devices["stays"][0] = said % 3 + 1
    directory = put_together(books, phased.directory, tmp_path / "run")
    assert verify_ledger(directory).ok
    words = f"stays: recorded {said % 3 + 1}, found {said}"
    assert any(words in finding.what for finding in audit_ledger(directory, sample=None).findings)
    assert any(words in str(difference) for difference in rerun_ledger(directory).differences)
    books.devices["stays"][0] = 4
    directory = put_together(books, phased.directory, tmp_path / "none")
    with pytest.raises(ScenarioError, match="expected phases from 0 to 3 of every house"):
        audit_ledger(directory)


def test_the_page_says_what_is_found() -> None:
    page = (Path(__file__).parents[2] / "docs" / "ledger-format.md").read_text(encoding="utf-8")
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in page.splitlines() if line.startswith("|")]
    for lie, row in LIES.items():
        found = ["yes" if said else "no" for said in row[1:]]
        if row.verify:
            found[2:] = ["–", "–", "–"]
        assert next(cells for cells in rows if cells[0] == lie)[1:] == [*found, "yes", "yes", "not yet"], lie


def test_the_honest_ledger_is_right_in_every_check(honest: Run) -> None:
    assert verify_ledger(honest.directory).ok
    assert naive_ledger.first_fault(honest.directory) is None
    assert not audit_ledger(honest.directory, sample=None).findings
    assert rerun_ledger(honest.directory).ok
    with Store.open_to_read(honest.directory) as store:
        assert decode_header(store.block(0).header).version == 3
