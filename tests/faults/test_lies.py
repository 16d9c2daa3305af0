"""The table of lies of docs/ledger-format.md §11: what a dishonest operator may sign, and who finds it.

The operator takes its finished ledger apart, changes what it likes, keeps the books in order where it can, and signs
everything again. Each row says exactly what `verify`, `audit --all` and `audit --rerun` answer, on ledgers without and
with facts. An empty text means that nothing is found.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from dishonest import Books, Page, put_together, take_apart

from cosim import Scenario, run
from cosim.audit.audit import audit_ledger
from cosim.audit.rerun import rerun_ledger
from cosim.case.case import Case, build_case
from cosim.case.solve import solve_meters
from cosim.delivery.losses import losses_wh
from cosim.errors import ScenarioError
from cosim.recording.keys import make_participant_key
from cosim.scenario.files import format_toml
from grid_models.powerflow.limits import judge
from market.exchanges import GRID, OPERATOR, Kind, Status
from market.ledger.check.verify import verify_ledger
from market.ledger.format.checkpoint import checkpoint_path
from market.ledger.format.records import (
    NONE,
    Change,
    DeviceKind,
    Role,
    make_topology_records,
    quantise,
    view_as_bytes,
)
from market.ledger.format.statements import make_device_record, register

pytestmark = pytest.mark.slow  # whole ledgers, signed again and run again

DAY = Scenario().with_changes(
    horizon={"hours": 24, "start": "2017-06-20T00:00:00Z"},
    houses={"n_houses": 6, "n_prosumers": 3, "production_ratio": 1.0},
    network={"n_branches": 2, "spacing_m": 200.0},
    market={"feed_in": True},
    limits={"max_vm_pu": 1.0035},
    engine={"verify_sample": 0},
)
NIGHT, NOON = 2, 12
"""An hour without trades, and one in which exchanges are curtailed; in `EVENING` four trades settle as cleared."""
EVENING = 15


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


# -- what the operator does -------------------------------------------------------------------------------------------


def resolve(case: Case, page: Page) -> None:
    """Make losses and verdict those of the meters, as an operator does who knows that an audit solves them again."""
    flow, _ = solve_meters(case, page.meters[None])
    verdicts = judge(flow, case.limits)
    v = page.verdict
    for end in ("lowest", "highest"):
        v[f"{end}_vm_upu"] = quantise(getattr(verdicts, f"{end}_vm_pu"), 1e-6)
        v[f"{end}_bus"] = getattr(verdicts, f"{end}_bus")
    v["loading_e4_percent"] = quantise(verdicts.highest_loading_percent, 1e-4)
    v["branch"], v["p_grid_w"] = verdicts.highest_branch, quantise(flow.p_grid_kw, 1e-3)
    lost = page.of(Kind.LOSS)
    page.exchanges["cleared_wh"][lost] = page.exchanges["delivered_wh"][lost] = losses_wh(flow.losses_kw, 60)
    sum_up(page)


def sum_up(page: Page) -> None:
    """Amounts of the exchanges, and the sums in the verdict, as the exchanges give them."""
    page.reprice()
    rows = page.exchanges
    cut = np.isin(rows["kind"], (Kind.P2P, Kind.SHARE_USE, Kind.SHARE_STORE, Kind.LOT_SALE, Kind.GRID_EXPORT))
    page.verdict["losses_wh"] = rows["delivered_wh"][rows["kind"] == Kind.LOSS].sum()
    page.verdict["curtailed_wh"] = (rows["cleared_wh"] - rows["delivered_wh"])[cut].sum()


def import_more(page: Page, house: int, wh: int) -> None:
    """The grid serves `wh` more of a house's load, cleared and delivered."""
    mine = [k for k in page.of(Kind.GRID_IMPORT) if page.exchanges["buyer"][k] == house]
    page.exchanges["cleared_wh"][mine[0]] += wh
    page.exchanges["delivered_wh"][mine[0]] += wh
    page.meters["imported_wh"][house] += wh


def doubled_everywhere(books: Books, case: Case) -> None:
    for page in books.pages:
        page.exchanges["price_ueur_per_kwh"][page.of(Kind.P2P)] *= 2
        if page.orders.size:
            page.orders["price_ueur_per_kwh"] *= 2
        page.reprice()


def utility_doubled(books: Books, case: Case) -> None:
    for page in books.pages:
        page.exchanges["price_ueur_per_kwh"][page.of(Kind.GRID_IMPORT)] *= 2
        page.reprice()


def tripled_for_one(books: Books, case: Case) -> None:
    for page in books.pages:
        mine = [k for k in page.of(Kind.P2P) if page.exchanges["buyer"][k] == 0]
        page.exchanges["price_ueur_per_kwh"][mine] *= 3
        page.reprice()


def paid_to_a_friend(books: Books, case: Case) -> None:
    page = books.pages[NIGHT]
    page.exchanges["price_ueur_per_kwh"][page.of(Kind.GRID_IMPORT)[0]] = -(2**31 - 1)
    page.reprice()


def load_to_a_neighbour(books: Books, case: Case) -> None:
    page = books.pages[NIGHT]
    for house, wh in ((0, -200), (1, 200)):
        page.meters["load_wh"][house] += wh
        import_more(page, house, wh)
        if page.orders.size:
            page.orders["need_wh"][house] += wh
    resolve(case, page)


def innocent_cut(books: Books, case: Case) -> None:
    """A trade that the wires carry is halved: the grid serves the buyer, the seller's energy is spilled."""
    page = books.pages[EVENING]
    k = page.of(Kind.P2P)[0]
    row = page.exchanges[k]
    seller, buyer, wh = int(row["seller"]), int(row["buyer"]), int(row["delivered_wh"]) // 2
    page.exchanges["delivered_wh"][k] -= wh
    page.exchanges["status"][k], page.exchanges["reason"][k] = Status.CURTAILED, 1
    at = int(case.feeder.bus[seller])
    page.exchanges["element"][k] = at
    price = int(page.exchanges["price_ueur_per_kwh"][-1])
    bought = {"kind": 5, "reason": 8, "seller": int(GRID), "buyer": buyer, "delivered_wh": wh}
    page.insert_before_losses(**bought, price_ueur_per_kwh=price)
    page.insert_before_losses(kind=7, reason=8, seller=seller, delivered_wh=wh)
    page.meters["sold_wh"][seller] -= wh
    page.meters["spilled_wh"][seller] += wh
    page.meters["bought_wh"][buyer] -= wh
    page.meters["imported_wh"][buyer] += wh
    page.verdict["status"], page.verdict["power_flows"] = 1, 2
    resolve(case, page)


def another_cut_too(books: Books, case: Case) -> None:
    """Where something must be cut, an export of another house is cut beside it."""
    page = books.pages[NOON]
    sold = page.of(Kind.GRID_EXPORT)
    whole = sold[page.exchanges["delivered_wh"][sold] == page.exchanges["cleared_wh"][sold]]
    cut = next(k for k in sold if k not in whole)
    k, house, wh = whole[0], int(page.exchanges["seller"][whole[0]]), 300
    page.exchanges["delivered_wh"][k] -= wh
    page.exchanges["status"][k] = Status.CURTAILED
    for name in ("reason", "element"):
        page.exchanges[name][k] = page.exchanges[name][cut]
    page.insert_before_losses(kind=7, reason=8, seller=house, delivered_wh=wh)
    page.meters["exported_wh"][house] -= wh
    page.meters["spilled_wh"][house] += wh
    resolve(case, page)


def losses_changed(books: Books, case: Case) -> None:
    page = books.pages[EVENING]
    lost = page.of(Kind.LOSS)
    page.exchanges["cleared_wh"][lost] += 50
    page.exchanges["delivered_wh"][lost] += 50
    sum_up(page)


def wallets_at_the_start(books: Books, case: Case) -> None:
    books.houses["wallet_neur"][2] *= 3


def larger_battery(books: Books, case: Case) -> None:
    books.houses["soc_max_wh"][2] += 1000


def fees_taken(books: Books, case: Case) -> None:
    for page in books.pages:
        sold = page.of(Kind.P2P)
        page.exchanges["fee_neur"][sold] = page.exchanges["amount_neur"][sold] // 10


def compensation_invented(books: Books, case: Case) -> None:
    page = books.pages[EVENING]
    fields = {"kind": 10, "seller": 3, "buyer": int(OPERATOR), "cleared_wh": 500, "delivered_wh": 500}
    page.insert_before_losses(**fields, price_ueur_per_kwh=100_000, reason=8)
    page.reprice()


def order_of_exchanges(books: Books, case: Case) -> None:
    page = books.pages[EVENING]
    page.exchanges[[0, 1]] = page.exchanges[[1, 0]]


def other_buyer(books: Books, case: Case) -> None:
    """A trade is given to another house that needed as much: both import what they do not buy."""
    page = books.pages[EVENING]
    k = page.of(Kind.P2P)[0]
    buyer, seller, wh = (int(page.exchanges[name][k]) for name in ("buyer", "seller", "delivered_wh"))
    other = next(h for h in range(6) if h not in (buyer, seller) and page.meters["bought_wh"][h] > 0)
    page.exchanges["buyer"][k] = other
    for house, sign in ((buyer, -1), (other, 1)):
        page.meters["bought_wh"][house] += sign * wh
        page.meters["load_wh"][house] += sign * wh
        if page.orders.size:
            page.orders["need_wh"][house] += sign * wh
    resolve(case, page)


def last_intervals_dropped(books: Books, case: Case) -> None:
    del books.pages[-2:]


def unasked_device(books: Books, case: Case) -> None:
    """Panels are admitted, in a friend's name and with its signature, that no event of the scenario asks for."""
    key = make_participant_key(case.scenario.seed, 4)
    fields = {"device": 0, "kind": DeviceKind.PV, "bus": int(case.feeder.bus[4]), "power_w": 4000, "energy_wh": 0}
    books.members += [
        lambda chain: register(chain, 4, Role.PARTICIPANT, 1, 2, key),
        lambda chain: make_device_record(chain, 4, 2, key, datasheet=bytes(32), **fields),
    ]


def line_out(books: Books, case: Case) -> None:
    books.pages[NIGHT].rest = view_as_bytes(make_topology_records([(Change.LINE_OUT, 0)]))


def reactive_power(books: Books, case: Case) -> None:
    page = books.pages[NIGHT]
    page.meters["q_var"][3] = 900


def other_mechanism(books: Books, case: Case) -> None:
    books.set_parameter("mechanism", b"trading")


def other_start(books: Books, case: Case) -> None:
    start = int(books.pages[0].start) + 3600
    books.set_parameter("start", start)
    for t, page in enumerate(books.pages):
        page.start = start + 3600 * t


def other_bus(books: Books, case: Case) -> None:
    books.houses["bus"][[0, 1]] = books.houses["bus"][[1, 0]]


# -- who finds it -----------------------------------------------------------------------------------------------------


class Found(NamedTuple):
    """What each check answers: `verify` and `audit` without facts and with them, `audit --rerun`; empty if nothing."""

    tell: Callable[[Books, Case], None]
    verify: str
    verify_with_facts: str
    audit: str
    audit_with_facts: str
    rerun: str


PRICE = "a price that the rules do not give"
LIES: dict[str, Found] = {
    "trades cost double everywhere": Found(
        doubled_everywhere,
        "",
        "a uniform price that the pricing rule does not give",
        "",
        "price_ueur_per_kwh: recorded 127988, found 63994",
        "price_ueur_per_kwh: recorded",
    ),
    "the grid's energy costs double": Found(
        utility_doubled, "", PRICE, "", "price_ueur_per_kwh: recorded 127988", "price_ueur_per_kwh: recorded 127988"
    ),
    "trades cost a house three times as much": Found(
        tripled_for_one, "", PRICE, "", "price_ueur_per_kwh: recorded 160989", "price_ueur_per_kwh: recorded 160989"
    ),
    "-2147 EUR/kWh for a friend": Found(
        paid_to_a_friend, "", PRICE, "", "recorded -2147483647, found 63262", "recorded -2147483647, found 63262"
    ),
    "a fee is taken": Found(
        fees_taken, "", "a fee that is not the rules' share", "", "fee_neur: recorded 1422069, found 0", "fee_neur"
    ),
    "compensation is invented": Found(
        compensation_invented, "", PRICE, "", "kind: recorded compensation", "kind: recorded compensation"
    ),
    "load moved to a neighbour": Found(load_to_a_neighbour, "", "", "", "", "cleared_wh: recorded 259, found 459"),
    "a trade given to another house": Found(
        other_buyer,
        "",
        "a request that the house's wallet",
        "",
        "cleared_wh: recorded 791, found 1249",
        "buyer: recorded 1",
    ),
    "an innocent's trade is cut": Found(
        innocent_cut,
        "",
        "",
        "exchanges were cut though all that were cleared keep every limit",
        "exchanges were cut though all that were cleared keep every limit",
        "status: recorded curtailed, found accepted",
    ),
    "an innocent is cut beside those who must be": Found(
        another_cut_too, "", "", "", "status: recorded curtailed, found accepted", "recorded curtailed, found accepted"
    ),
    "order of the exchanges": Found(
        order_of_exchanges, "", "", "", "order of the records: recorded this one here", "order of the records"
    ),
    "losses": Found(
        losses_changed,
        "",
        "",
        "recorded losses 855 Wh, found 805",
        "recorded losses 855 Wh, found 805",
        "cleared_wh: recorded 855, found 805",
    ),
    "wallets at the start": Found(wallets_at_the_start, "", "", "wallet_neur", "wallet_neur", "wallet_neur"),
    "a larger battery at the start": Found(larger_battery, "", "", "soc_max_wh", "soc_max_wh", "soc_max_wh"),
    "two houses change their buses": Found(other_bus, "", "", "bus: recorded", "bus: recorded", "bus: recorded"),
    "another mechanism in the first block": Found(
        other_mechanism, "", "", "'trading'", "'trading'", "value: recorded 'trading', found 'sharing_p2p'"
    ),
    "another time of the first interval": Found(
        other_start, "", "", "parameter start", "parameter start", "parameter start"
    ),
    "the last intervals dropped": Found(
        last_intervals_dropped,
        "",
        "",
        "the ledger ends after 22 of 24 intervals",
        "the ledger ends after 22 of 24 intervals",
        "the ledger ends after 22 of 24 intervals",
    ),
    "a device that nobody asked for": Found(unasked_device, "", "", "", "", "device of house 4"),
    "a line recorded as open": Found(
        line_out,
        "",
        "",
        "line 0: recorded as open, though no outage opened it",
        "line 0: recorded as open, though no outage opened it",
        "(topology), the record: recorded this one, found none",
    ),
    "reactive power that nobody controls": Found(
        reactive_power,
        "",
        "",
        "reactive power is metered though no inverter is under control",
        "reactive power is metered though no inverter is under control",
        "q_var: recorded 900, found 0",
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
    assert answer_audit(directory) == []
    assert "parameter network_sha256" in answer_rerun(directory)[0]


def test_another_run_altogether_shows_only_against_a_checkpoint(honest: Run, tmp_path: Path) -> None:
    """All is run and signed anew with another seed: there is nothing wrong with it but that it is another ledger."""
    run(honest.case.scenario.with_changes(seed=2), tmp_path / "run")
    assert answer_verify(tmp_path / "run") == ""
    assert answer_audit(tmp_path / "run") == []
    assert answer_rerun(tmp_path / "run") == []
    kept = checkpoint_path(honest.directory).read_text()
    assert answer_verify(tmp_path / "run", kept)


def test_who_signs_its_own_entries_cannot_be_lied_about(tmp_path: Path) -> None:
    """The houses sign, and their keys are not the operator's: it can change none of their records, only its own."""
    scenario = DAY.with_changes(ledger={"members_sign": True})
    run(scenario, tmp_path / "honest")
    books = take_apart(tmp_path / "honest")
    load_to_a_neighbour(books, build_case(scenario))
    books.members = [
        lambda chain: np.concatenate(
            [register(chain, i, Role.PARTICIPANT, 1, 2, make_participant_key(scenario.seed, i)) for i in range(6)]
        )
    ]
    directory = put_together(books, tmp_path / "honest", tmp_path / "run")
    assert answer_verify(directory) == "member 0 did not sign these entries"
    books = take_apart(tmp_path / "honest")
    losses_changed(books, build_case(scenario))
    books.members = [
        lambda chain: np.concatenate(
            [register(chain, i, Role.PARTICIPANT, 1, 2, make_participant_key(scenario.seed, i)) for i in range(6)]
        )
    ]
    shutil.rmtree(directory)
    checkpoint_path(directory).unlink()
    assert answer_verify(put_together(books, tmp_path / "honest", directory)) == ""
