"""The rules of docs/ledger-format.md §8a, plain Python: what recorded orders make of prices and fees."""

from __future__ import annotations

from collections.abc import Callable

from naive_fields import EXCHANGE, METER, ORDER, SUBMISSION, demand

Parameter = Callable[[str], int]

RANGES = {
    "pricing": (0, 3),
    "fixed_price": (0, 10**7),
    "feed_in_numerator": (0, 10**6),
    "feed_in_denominator": (1, 10**6),
    "feed_in": (0, 1),
    "battery": (0, 1),
    "fee_permille": (0, 1000),
    "beta_permille": (1, 999),
    "selfish_permille": (0, 999),
    "tau_intervals": (1, 10**6),
    "arrival": (0, 2),
}


def check_rules(p: Parameter) -> None:
    for name, (low, high) in RANGES.items():
        demand(low <= p(name) <= high, name)
    demand(p("feed_in_numerator") <= p("feed_in_denominator"), "tariff")


def feed_in_price(u: int, p: Parameter, fixed: bool) -> int:
    return min(u, p("feed_in_fixed")) if fixed else u * p("feed_in_numerator") // p("feed_in_denominator")


class Order:
    def __init__(self, row: bytes) -> None:
        self.status = row[1]
        self.house, self.part, *energies, self.u, self.f, self.p, _ = ORDER.unpack(row[12:])
        self.offer, self.need, self.charge, self.discharge, self.charge_left, _ = energies


def check_facts(rows: list[bytes], wallets: list[int], p: Parameter, fixed: bool = False) -> None:
    orders = [Order(row) for row in rows if row[0] == 19]
    exchanges = [
        (row[0], int.from_bytes(row[2:4], "little"), EXCHANGE.unpack(row[12:])) for row in rows if row[0] <= 12
    ]
    islanded = any(int.from_bytes(row[2:4], "little") & 0x100 for row in rows if row[0] == 17)
    stated = {f[0]: f for f in (SUBMISSION.unpack(row[12:]) for row in rows if row[0] == 21 and row[1] == 1)}
    statuses = list_statuses(orders, wallets, stated, islanded, p)
    for i, order in enumerate(orders):
        demand(order.house == i and order.u == orders[0].u, "order")
        demand(order.f == feed_in_price(order.u, p, fixed), "tariff")
        demand(not (order.offer and order.need), "offer and need")
        demand(order.status in statuses[i], "request")
        demand(order.p == uniform_price([one for one in orders if one.part == order.part], p), "uniform price")
    if not islanded:
        check_answers(orders, exchanges, [METER.unpack(row[12:]) for row in rows if row[0] == 16])
    for kind, reason, (seller, buyer, _, _, _, _, _, price, amount, fee) in exchanges:
        demand(price_fits(kind, reason == 8, seller, buyer, price, orders, p), "price")
        demand(fee == (amount * p("fee_permille") // 1000 if kind == 1 else 0), "fee")


def ask_of(order: Order, ask: int, wallet: int) -> int:
    if not order.need:
        return 0
    if ask in (0, 1) and order.need * order.u <= wallet:
        return 1
    return 2 if ask in (0, 2) and order.charge_left else 0


def list_statuses(
    orders: list[Order], wallets: list[int], stated: dict[int, tuple[int, ...]], islanded: bool, p: Parameter
) -> list[set[int]]:
    """What each house may have asked for."""
    asked = [ask_of(order, stated[i][3] if i in stated else 0, wallets[i]) for i, order in enumerate(orders)]
    found = []
    for i, order in enumerate(orders):
        may = {asked[i]}
        if i in stated and p("mechanism_code") not in (7, 8) and asked[i] == 1:
            limit, part = stated[i][4], [k for k, one in enumerate(orders) if one.part == order.part]
            if 0 <= limit < uniform_price([orders[k] for k in part], p, [asked[k] for k in part]):
                may = {0}
        if islanded and i in stated:
            may |= {asked[i], ask_of(order, 0, wallets[i])}
        found.append(may)
    return found


def check_answers(
    orders: list[Order], exchanges: list[tuple[int, int, tuple[int, ...]]], meters: list[tuple[int, ...]]
) -> None:
    for i, order in enumerate(orders):
        _, load, pv, fuel_cell, *_ = meters[i]
        waits = sum(f[6] for k, _, f in exchanges if k == 12 and f[1] == i)
        left = pv + fuel_cell - load - waits - order.charge + order.discharge
        demand(left == order.offer - order.need, "own balance")
        demand(order.offer == sum(f[5] for k, _, f in exchanges if k in (1, 2, 3, 6, 7) and f[0] == i), "offer")
        demand(order.need == sum(f[5] for k, _, f in exchanges if k in (1, 2, 4, 5) and f[1] == i), "need")


def uniform_price(part: list[Order], p: Parameter, statuses: list[int] | None = None) -> int:
    u, f = part[0].u, part[0].f
    asks = [o.status for o in part] if statuses is None else statuses
    asking, offering = [o for o, ask in zip(part, asks, strict=True) if ask == 1], [o for o in part if o.offer]
    requests, offers = len(asking), len(offering)
    demand_wh, supply_wh = sum(o.need for o in asking), sum(o.offer for o in offering)
    if p("pricing") == 0:
        price = f + (u - f) * requests // (requests + offers) if requests + offers else u
    elif p("pricing") == 1:
        price = (f + u) // 2
    elif p("pricing") == 3:
        price = p("fixed_price")
    elif demand_wh == 0:
        price = f if supply_wh else u
    else:
        ratio = supply_wh * 10**4 // demand_wh
        divisor = (u - f) * ratio + f * 10**4
        price = f if ratio >= 10**4 else u * f * 10**4 // divisor if divisor else u
    return min(max(price, f), u)


def price_fits(kind: int, local: bool, seller: int, buyer: int, price: int, orders: list[Order], p: Parameter) -> bool:
    mechanism, u, f = p("mechanism_code"), orders[0].u, orders[0].f
    if kind in (7, 8, 11, 12):
        return price == 0
    if kind == 9:
        return price == u
    if kind == 10:
        return price == p("compensation")
    if mechanism == 8 and not local:
        return price >= 0
    if kind == 5:
        return price == u
    if kind == 6:
        return price == f and p("feed_in") == 1
    if kind == 4:
        return price == (0 if seller == buyer else orders[buyer].p)
    at = orders[seller].p
    if kind == 1:
        if mechanism == 7 and not local:
            return f <= price <= u
        return price == at and orders[seller].part == orders[buyer].part
    paid = mechanism in (3, 5) and not local
    if kind == 3:
        return price == (at if buyer == -2 and paid else 0)
    return (price == 0 and (local or mechanism != 3)) or (paid and price == at)
