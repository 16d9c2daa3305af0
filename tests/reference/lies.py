"""Lies that a dishonest operator tells: each changes the pages of a ledger that is taken apart (`dishonest`).

Where it can, the operator keeps books, verdict and orders in agreement with its lie.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from dishonest import Books, Page

from cosim import Scenario
from cosim.case.case import Case
from cosim.case.solve import solve_meters
from cosim.delivery.losses import losses_wh
from cosim.recording.conductors import find_highest_neutral, make_conductors
from cosim.recording.keys import make_participant_key
from grid_models.powerflow.verdicts import judge
from market.exchanges import GRID, OPERATOR, Kind, Status
from market.ledger.format.records import Change, DeviceKind, Role, make_topology_records, quantise, view_as_bytes
from market.ledger.format.statements import make_device_record, register

DAY = Scenario().with_changes(
    horizon={"hours": 24, "start": "2017-06-20T00:00:00Z"},
    houses={"n_houses": 6, "n_prosumers": 3, "production_ratio": 1.0, "load_cos_phi": 1.0},
    network={"n_branches": 2, "spacing_m": 200.0},
    market={"feed_in": True},
    limits={"max_vm_pu": 1.0035},
    engine={"verify_sample": 0},
)
NIGHT, NOON = 2, 12
"""An hour without trades, and one in which exchanges are curtailed; in `EVENING` four trades settle as cleared."""
EVENING = 15


def resolve(case: Case, page: Page) -> None:
    """Make losses and verdict those of the meters, as an operator does who knows that an audit solves them again."""
    flow = solve_meters(case, page.meters[None]).flow
    verdicts, made = judge(flow, case.limits), make_conductors(case.feeder)
    v, phases = page.verdict, page.phases
    for end in ("lowest", "highest"):
        v[f"{end}_vm_upu"] = quantise(getattr(verdicts, f"{end}_vm_pu"), 1e-6)
        v[f"{end}_bus"], code = made.split_buses(getattr(verdicts, f"{end}_bus"))
        phases[f"{end}_phase"] = code[: phases.size]
    v["loading_e4_percent"] = quantise(verdicts.highest_loading_percent, 1e-4)
    v["branch"], code = made.split_branches(verdicts.highest_branch)
    v["p_grid_w"] = quantise(flow.p_grid_kw, 1e-3)
    if phases.size:
        phases["branch_conductor"] = code
        phases["vuf_e4_percent"] = quantise(verdicts.highest_vuf_percent, 1e-4)
        phases["vuf_bus"] = verdicts.highest_vuf_bus
        percent, phases["neutral_line"] = find_highest_neutral(flow, made)
        phases["neutral_e4_percent"] = quantise(percent, 1e-4)
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
    """Panels take part, in a friend's name and with its signature, that no event of the scenario asks for."""
    key = make_participant_key(case.scenario.seed, 4)
    fields: dict[str, Any] = {
        "device": 0,
        "kind": DeviceKind.PV,
        "bus": int(case.feeder.bus[4]),
        "power_w": 4000,
        "energy_wh": 0,
    }
    if not case.scenario.ledger.members_sign:
        books.members.append(lambda chain: register(chain, 4, Role.PARTICIPANT, 1, 2, key))
    ratings = books.houses[4:5].copy()
    for name in ("seq", "own_wh", "wallet_neur", "load_tan_phi_ppm"):
        ratings[name] = 0
    taken_in = view_as_bytes(ratings)
    books.members.append(
        lambda chain: np.concatenate([make_device_record(chain, 4, 2, key, datasheet=bytes(32), **fields), taken_in])
    )


def line_out(books: Books, case: Case) -> None:
    page = books.pages[NIGHT]
    page.rest = np.concatenate([view_as_bytes(make_topology_records([(Change.LINE_OUT, 0)])), page.rest])


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
