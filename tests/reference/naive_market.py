"""The market once more, slowly: dictionaries, plain integers and exhaustive search, from its description alone.

Nothing of the market's clearing or settlement is used here. The only thing taken over is the pair of hash functions
that decide who arrives when and who bids what, since a hash has no second implementation worth writing.
Energies in Wh, prices in µEUR/kWh, money in nEUR, rates in per mille or parts per million.

Where the description leaves a choice of rounding, this is what both sides do: the supply-demand ratio is rounded down
to 1e-4; the hybrid's sale rate to 1e-3; a battery's room is turned into energy at the terminals once an interval, and
a full battery takes nothing, not even a Wh that its losses would swallow.
"""

from __future__ import annotations

from typing import Any

from market.arrival import order_arrivals, random_bits
from market.rules import Pricing, Rules

GRID, CONTRACT, OPERATOR, NOBODY = -1, -2, -3, -4
MILLION = 1_000_000

TRADES = {
    "trading",
    "trading_battery",
    "sharing_central",
    "sharing_p2p",
    "sharing_hybrid",
    "sharing_selfish",
    "double_auction",
}
SHARES = {"sharing_central", "sharing_p2p", "sharing_hybrid", "sharing_selfish"}
NO_BATTERY = {"none", "trading"}
WITH_CONTRACT = {"sharing_central", "sharing_hybrid"}

NO_WISH = {"net": None, "reserve": 0, "ask": "rules", "limit": None}

World = dict[str, Any]
House = dict[str, Any]
Row = dict[str, Any]


# ---------------------------------------------------------------------------------------------------- the battery


def content_of(charge: int, house: House) -> int:
    """Wh that remain in the battery when `charge` Wh go in at its terminals."""
    return charge * house["charge_ppm"] // MILLION


def cost_of(discharge: int, house: House) -> int:
    """Wh that must leave the battery for `discharge` Wh at its terminals: the least x with x·η >= discharge."""
    x = discharge
    while x * house["discharge_ppm"] < discharge * MILLION:
        x += 1
    return x


def fits(charge: int, room: int, house: House) -> bool:
    return charge == 0 or (room > 0 and content_of(charge, house) <= room)


def largest(limit: int, allowed: Any) -> int:
    """Largest e in 0 … limit that is allowed, found by asking for every single one."""
    return max([e for e in range(limit + 1) if allowed(e)], default=0)


# ------------------------------------------------------------------------------------------------------- interval


def run_interval(
    world: World,
    t: int,
    load: list[int],
    pv: list[int],
    fuel_cell: list[int],
    utility: int,
    mechanism: str,
    rules: Rules,
    wishes: dict[int, dict[str, Any]] | None = None,
) -> tuple[list[Row], int]:
    """One interval: change `world`; return its exchanges and the pricing rule's price (auctions make their own).

    `wishes` are what people submitted, by house: net (None to balance the house), reserve, ask, limit (None for none).
    """
    houses: list[House] = world["houses"]
    feed_in_price = utility * rules.feed_in_numerator // rules.feed_in_denominator
    if rules.feed_in_ueur_per_kwh >= 0:
        feed_in_price = min(rules.feed_in_ueur_per_kwh, utility)
    lots_fall_due(world, t)
    world["so_far"] = (
        world["lots_stored"],
        world["lots_sold"],
    )  # what this interval brings is not settled yet
    world["payable"] = world["contract"]
    for i, house in enumerate(houses):
        house["wish"] = (wishes or {}).get(i, NO_WISH)
        own_balance(world, i, pv[i] + fuel_cell[i] - load[i], uses_battery(mechanism, rules))
        house["role"] = role_of(house, utility, mechanism)

    arrivals = [int(i) for i in order_arrivals(len(houses), t, rules)]
    offers = [i for i in arrivals if houses[i]["role"] == "offer"]
    trade_requests = [i for i in arrivals if houses[i]["role"] == "trade request"]
    share_requests = [i for i in arrivals if houses[i]["role"] == "share request"]

    rows: list[Row] = []
    price = price_of(houses, offers, trade_requests, utility, feed_in_price, rules)
    if mechanism != "double_auction":
        limits = {i: houses[i]["wish"]["limit"] for i in trade_requests}
        trade_requests = [i for i in trade_requests if limits[i] is None or limits[i] >= price]
        price = price_of(houses, offers, trade_requests, utility, feed_in_price, rules)
    if mechanism == "double_auction":
        auction(world, rows, offers, trade_requests, utility, feed_in_price, t, rules)
    elif mechanism in TRADES:
        trade(world, rows, offers, trade_requests, price, mechanism, rules)
    if mechanism in SHARES:
        share(world, rows, offers, share_requests, price, t, mechanism, rules)
    grid(world, rows, utility, feed_in_price, rules)

    for seq, row in enumerate(rows):
        row["interval"], row["seq"] = t, seq
    pay(world, rows)
    return rows, price


def uses_battery(mechanism: str, rules: Rules) -> bool:
    return mechanism not in NO_BATTERY and rules.battery == 1


def lots_fall_due(world: World, t: int) -> None:
    houses = world["houses"]
    for lot in world["lots"]:
        if lot["expiry"] <= t:
            houses[lot["host"]]["own"] += lot["stored"]
    world["lots"] = [lot for lot in world["lots"] if lot["expiry"] > t]
    for house in houses:
        house["own"] -= house["own"] * house["self_discharge_ppm"] // MILLION


def own_balance(world: World, i: int, surplus: int, battery: bool) -> None:
    """Own battery first; what is left over is the house's `left`, positive to give, negative to get."""
    house = world["houses"][i]
    hosted = sum(lot["stored"] for lot in world["lots"] if lot["host"] == i)
    room = house["soc_max"] - house["own"] - hosted
    house["left"] = surplus
    house["charge"] = house["discharge"] = 0
    house["can_take"] = house["can_give"] = 0
    if not battery:
        return
    into = surplus if house["wish"]["net"] is None else surplus - house["wish"]["net"]
    if into > 0 and surplus > 0:  # no battery charges from the network
        charge = largest(min(into, surplus, house["max_charge"]), lambda e: fits(e, room, house))
        house["own"] += content_of(charge, house)
        room -= content_of(charge, house)
        house["charge"] = charge
        house["left"] -= charge
    elif into < 0:
        spare = max(0, house["own"] - max(house["soc_min"], house["wish"]["reserve"]))
        discharge = largest(min(-into, house["max_discharge"]), lambda e: cost_of(e, house) <= spare)
        house["own"] -= cost_of(discharge, house)
        room += cost_of(discharge, house)
        house["discharge"] = discharge
        house["left"] += discharge
    house["can_take"] = largest(house["max_charge"] - house["charge"], lambda e: fits(e, room, house))
    house["can_give"] = house["max_discharge"] - house["discharge"]


def role_of(house: House, utility: int, mechanism: str) -> str:
    if house["left"] > 0:
        return "offer"
    if house["left"] == 0:
        return "nothing"
    ask = house["wish"]["ask"]
    if ask in ("rules", "trade") and house["wallet"] >= -house["left"] * utility:
        return "trade request"
    if ask in ("rules", "share") and mechanism in SHARES and house["can_take"] > 0:
        return "share request"
    return "grid"


def price_of(
    houses: list[House],
    offers: list[int],
    trade_requests: list[int],
    utility: int,
    feed_in_price: int,
    rules: Rules,
) -> int:
    F, U = feed_in_price, utility
    R, O = len(trade_requests), len(offers)  # noqa: E741
    supply = sum(houses[i]["left"] for i in offers)
    demand = sum(-houses[i]["left"] for i in trade_requests)
    if rules.pricing == Pricing.REQUESTS_OFFERS:
        return U if R + O == 0 else F + (U - F) * R // (R + O)
    if rules.pricing == Pricing.MID_MARKET:
        return (F + U) // 2
    if rules.pricing == Pricing.SUPPLY_DEMAND_RATIO:
        if supply >= demand:
            return F if supply > 0 else U
        ratio = supply * 10_000 // demand
        return U if ratio == 0 else U * F * 10_000 // ((U - F) * ratio + F * 10_000) if F > 0 else 0
    return min(max(rules.fixed_price_ueur_per_kwh, F), U)


# -------------------------------------------------------------------------------------------------------- trading


def trade(
    world: World,
    rows: list[Row],
    offers: list[int],
    requests: list[int],
    price: int,
    mechanism: str,
    rules: Rules,
) -> None:
    """Lots for sale, oldest first, then offers; to the requests in the order of their arrival."""
    houses = world["houses"]
    for buyer in requests:
        for lot in world["lots"]:
            host = houses[lot["host"]]
            e = lot_sale(world, lot, -houses[buyer]["left"])
            if e > 0:
                lot["stored"] -= cost_of(e, host)
                if lot["owner"] >= 0:
                    world["lots_sold"] += cost_of(e, host)
                host["can_give"] -= e
                host["discharge"] += e
                houses[buyer]["left"] += e
                own = lot["owner"] == buyer
                add(rows, "lot_sale", lot["owner"], buyer, e, 0 if own else price, lot["host"], lot["id"])
        for seller in offers:
            e = min(-houses[buyer]["left"], houses[seller]["left"])
            if e > 0:
                houses[seller]["left"] -= e
                houses[buyer]["left"] += e
                add(rows, "p2p", seller, buyer, e, price, seller)
                if mechanism in WITH_CONTRACT:
                    rows[-1]["fee"] = e * price * rules.fee_permille // 1000


def lot_sale(world: World, lot: dict[str, int], need: int) -> int:
    """What a lot can sell: no more than the need, its content, and what its host's battery may still give."""
    host = world["houses"][lot["host"]]
    state_of_charge = host["own"] + sum(x["stored"] for x in world["lots"] if x["host"] == lot["host"])
    content = min(lot["stored"], state_of_charge - host["soc_min"])
    return largest(min(need, host["can_give"]), lambda e: cost_of(e, host) <= max(0, content))


def auction(
    world: World,
    rows: list[Row],
    offers: list[int],
    requests: list[int],
    utility: int,
    feed_in_price: int,
    t: int,
    rules: Rules,
) -> None:
    """Uniform-price double auction: cheapest ask meets dearest bid until they no longer agree."""
    houses = world["houses"]
    values = {
        i: feed_in_price + int(random_bits(rules.seed + 1, t, i)) % (utility - feed_in_price + 1)
        for i in range(len(houses))
    }
    for i in range(len(houses)):
        if (limit := houses[i]["wish"]["limit"]) is not None:
            values[i] = max(limit, feed_in_price) if i in offers else min(limit, utility)
    asks = sorted(offers, key=lambda i: values[i])  # Python's sort keeps ties in arrival order
    bids = sorted(requests, key=lambda i: -values[i])
    price = NOBODY
    for buyer in bids:
        for seller in asks:
            e = min(-houses[buyer]["left"], houses[seller]["left"])
            if e > 0 and values[buyer] >= values[seller]:
                houses[seller]["left"] -= e
                houses[buyer]["left"] += e
                add(rows, "p2p", seller, buyer, e, 0, seller)
                price = (values[buyer] + values[seller]) // 2
    for row in rows:
        row["price"] = price


# -------------------------------------------------------------------------------------------------------- sharing


def share(
    world: World,
    rows: list[Row],
    offers: list[int],
    requests: list[int],
    price: int,
    t: int,
    mechanism: str,
    rules: Rules,
) -> None:
    """Offers still unmatched go to share requests, first come first served."""
    houses = world["houses"]
    asked_enough: set[int] = set()
    for seller in offers:
        routes = [goes_to_contract(world, houses[seller]["left"], price, mechanism, rules)]
        if mechanism == "sharing_hybrid" and routes[0]:
            routes.append(False)  # what the contract cannot pay for is shared P2P
        for by_contract in routes:
            for consumer in requests:
                offer = houses[seller]["left"]
                if by_contract and price > 0:
                    offer = min(offer, world["payable"] // price)
                if offer == 0 or consumer in asked_enough:
                    continue
                e, use = shared_amount(houses[consumer], offer, mechanism, rules)
                hand_over(world, rows, seller, consumer, e, use, price if by_contract else 0, by_contract, t, rules)
                if e < offer:
                    asked_enough.add(consumer)


def goes_to_contract(world: World, offer: int, price: int, mechanism: str, rules: Rules) -> bool:
    if mechanism != "sharing_hybrid":
        return mechanism == "sharing_central"
    ever, sold = world["so_far"]
    rate = sold * 1000 // ever if ever > 0 else 1000
    now = min(offer * price, world["payable"])
    later = offer * price // 1000 * (1000 - rules.beta_permille) // 1000 * rate
    return bool(now > 0 and now >= later)


def shared_amount(consumer: House, offer: int, mechanism: str, rules: Rules) -> tuple[int, int]:
    """Largest energy e that can be shared, and the part of it that the consumer uses at once."""
    need = -consumer["left"]

    def used(e: int) -> int:
        if mechanism == "sharing_selfish":
            return min(need, rules.selfish_beta_permille * e // 1000)
        return rules.beta_permille * e // 1000

    def allowed(e: int) -> bool:
        return used(e) <= need and e - used(e) <= consumer["can_take"]

    e = largest(offer, allowed)
    return e, used(e)


def hand_over(
    world: World,
    rows: list[Row],
    seller: int,
    consumer: int,
    e: int,
    use: int,
    price: int,
    by_contract: bool,
    t: int,
    rules: Rules,
) -> None:
    houses = world["houses"]
    store = e - use
    houses[seller]["left"] -= e
    houses[consumer]["left"] += use
    if use > 0:
        add(rows, "share_use", seller, consumer, use, price, consumer)
    if store > 0:
        content = content_of(store, houses[consumer])
        owner = CONTRACT if by_contract else seller
        houses[consumer]["can_take"] -= store
        houses[consumer]["charge"] += store
        lot = {
            "id": world["next_lot"],
            "owner": owner,
            "host": consumer,
            "stored": content,
            "expiry": t + rules.tau_intervals,
        }
        world["next_lot"] += 1
        world["lots"].append(lot)
        if owner >= 0:
            world["lots_stored"] += content
        add(rows, "share_store", seller, owner, store, price, consumer, lot["id"])
    if by_contract:
        world["payable"] -= e * price


# ------------------------------------------------------------------------------------------------- grid and money


def grid(world: World, rows: list[Row], utility: int, feed_in_price: int, rules: Rules) -> None:
    for i, house in enumerate(world["houses"]):
        if house["left"] < 0:
            add(rows, "grid_import", GRID, i, -house["left"], utility)
        elif house["left"] > 0 and rules.feed_in:
            add(rows, "grid_export", i, GRID, house["left"], feed_in_price)
        elif house["left"] > 0:
            add(rows, "spill", i, NOBODY, house["left"], 0)


def add(
    rows: list[Row],
    kind: str,
    seller: int,
    buyer: int,
    energy: int,
    price: int,
    host: int = NOBODY,
    lot: int = NOBODY,
) -> None:
    rows.append(
        {
            "kind": kind,
            "seller": seller,
            "buyer": buyer,
            "host": host,
            "lot": lot,
            "energy": energy,
            "price": price,
            "fee": 0,
        }
    )


def pay(world: World, rows: list[Row]) -> None:
    """Move the money; lots that are used up are gone."""
    houses = world["houses"]
    for row in rows:
        amount = row["amount"] = row["energy"] * row["price"]
        seller, buyer = row["seller"], row["buyer"]
        if row["kind"] == "grid_import":
            houses[buyer]["account"] -= amount
            world["utility"] += amount
        elif row["kind"] == "grid_export":
            world["utility"] -= amount
            houses[seller]["account"] += amount
        elif row["kind"] in ("share_use", "share_store"):
            world["contract"] -= amount
            houses[seller]["wallet"] += amount
        elif row["kind"] in ("p2p", "lot_sale"):
            houses[buyer]["wallet"] -= amount
            world["contract"] += row["fee"]
            if seller == CONTRACT:
                world["contract"] += amount
            else:
                houses[seller]["wallet"] += amount - row["fee"]
    world["lots"] = [lot for lot in world["lots"] if lot["stored"] > 0]


# ------------------------------------------------------------------------------------------------------ the meter


def meter(world: World, i: int, load: int, pv: int, fuel_cell: int, rows: list[Row]) -> dict[str, int]:
    """What passed the terminals of house i, and what lies in its battery."""
    house = world["houses"][i]

    def total(*wanted: tuple[str, str]) -> int:
        return sum(row["energy"] for row in rows for kind, end in wanted if row["kind"] == kind and row[end] == i)

    return {
        "load_wh": load,
        "pv_wh": pv,
        "fuel_cell_wh": fuel_cell,
        "charge_wh": house["charge"],
        "discharge_wh": house["discharge"],
        "bought_wh": total(("p2p", "buyer"), ("lot_sale", "buyer"), ("share_use", "buyer"), ("share_store", "host")),
        "sold_wh": total(("p2p", "seller"), ("lot_sale", "host"), ("share_use", "seller"), ("share_store", "seller")),
        "imported_wh": total(("grid_import", "buyer")),
        "exported_wh": total(("grid_export", "seller")),
        "spilled_wh": total(("spill", "seller")),
        "shed_wh": 0,
        "own_wh": house["own"],
        "hosted_wh": sum(lot["stored"] for lot in world["lots"] if lot["host"] == i),
    }
