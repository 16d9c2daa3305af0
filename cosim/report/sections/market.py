"""The market's part of the report: money, curtailment, prices, wallets, batteries."""

from __future__ import annotations

import pandas as pd

from cosim.report.elements import Fact, Figure, PageSection, Table, number, words
from cosim.report.figures.market import (
    draw_batteries,
    draw_curtailed,
    draw_prices,
    draw_sankey,
    draw_wallets,
    list_money_links,
)
from cosim.report.tables.houses import make_house_table
from cosim.report.tables.run_tables import RunTables

NEUR_PER_EUR, UEUR_PER_EUR = 1e9, 1e6

MONEY = {
    "paid_to_grid": "paid to the utility",
    "feed_in": "earned by feed-in",
    "earned_from_p2p": "earned from P2P trades",
    "fees": "fees of the contract",
    "earned_from_sharing": "earned from sharing",
    "contract_sales": "sales of the contract",
    "losses": "network losses",
}
ELEMENT_OF_REASON = {
    "overvoltage": "bus",
    "undervoltage": "bus",
    "line_overload": "line",
    "trafo_overload": "trafo",
    "dark": "bus",
    "island_limit": "bus",
}


def make_money_section(run: RunTables) -> PageSection:
    """Money in numbers and as flows."""
    money = run.result.summary["money_eur"]
    links = list_money_links(run.exchange_sums)
    if not any(value > 0 for _, _, value in links):
        return PageSection("money", "Money", ("No money changed hands.",))
    facts = tuple(
        Fact(f"money_{key}", label, number(money[key], 2), "EUR")
        for key, label in MONEY.items()
        if money[key]
    )
    figure = Figure(
        "money-flow", "Money from who paid, what for, to who earned, EUR.", draw_sankey(links, "EUR")
    )
    return PageSection("money", "Money", facts=facts, figures=(figure,), printed=False)


def name_elements(curtailment: pd.DataFrame, net: object) -> pd.Series:
    """Name of the element whose limit was binding for each row, `not solved` where none was."""
    tables = {kind: getattr(net, kind)["name"] for kind in ("bus", "line", "trafo")}
    names = []
    for reason, element in zip(curtailment["reason"], curtailment["element"], strict=True):
        kind = ELEMENT_OF_REASON.get(str(reason))
        known = kind is not None and element in tables[kind].index
        names.append(str(tables[kind].loc[element]) if known and kind else str(reason).replace("_", " "))
    return pd.Series(names, index=curtailment.index, dtype=object)


def make_curtailment_section(run: RunTables) -> PageSection:
    """What was not delivered as cleared: by house, kind of exchange, element."""
    title, frame = "Curtailment", run.curtailment
    cut = frame[frame["curtailed_wh"] > 0]
    if cut.empty:
        return PageSection(
            "curtailment", title, ("Every exchange was delivered as cleared; nothing was curtailed.",)
        )
    kwh = cut["curtailed_wh"] / 1000.0
    groups = {
        "kind": kwh.groupby(cut["kind"].str.replace("_", " ")).sum(),
        "seller": kwh.groupby(cut["seller"]).sum(),
        "binding element": kwh.groupby(name_elements(cut, run.feeder.net)).sum(),
    }
    rows = [
        (
            words(str(kind).replace("_", " ")),
            words(str(reason).replace("_", " ")),
            number(len(group), 0),
            number(group["cleared_wh"].sum() / 1000.0),
            number(group["delivered_wh"].sum() / 1000.0),
            number(group["curtailed_wh"].sum() / 1000.0),
        )
        for (kind, reason), group in cut.groupby(["kind", "reason"], observed=True)
    ]
    header = ("kind", "because of", "exchanges", "cleared, kWh", "delivered, kWh", "curtailed, kWh")
    rule = run.result.scenario.curtailment.rule
    return PageSection(
        "curtailment",
        title,
        (f"Rule: {rule}. Every curtailed exchange is in curtailment.csv.",),
        tables=(Table("curtailment", "Curtailed exchanges by kind and reason.", header, rows),),
        figures=(
            Figure("curtailed", "Curtailed energy, kWh; the largest of each group.", draw_curtailed(groups)),
        ),
    )


def make_prices_section(run: RunTables) -> PageSection:
    """Utility and market prices."""
    figure = draw_prices(
        run.intervals["utility_ueur_per_kwh"] / UEUR_PER_EUR,
        run.intervals["price_ueur_per_kwh"] / UEUR_PER_EUR,
    )
    return PageSection(
        "prices",
        "Prices",
        figures=(Figure("prices", "Utility and market price, EUR/kWh.", figure),),
        printed=False,
    )


def make_houses_section(run: RunTables, summary: pd.DataFrame) -> PageSection:
    """Each house in a row, wallets and batteries."""
    wallet, account = run.meters["wallet_neur"] / NEUR_PER_EUR, run.meters["account_neur"] / NEUR_PER_EUR
    own, hosted = run.meters["own_wh"] / 1000.0, run.meters["hosted_wh"] / 1000.0
    figures = [
        Figure(
            "wallets",
            "Wallets (P2P and sharing) and utility accounts of the houses, EUR; an account below zero is a bill.",
            draw_wallets(wallet, account),
        )
    ]
    text: tuple[str, ...] = ()
    if float(own.to_numpy().max(initial=0.0)) > 0 or float(hosted.to_numpy().max(initial=0.0)) > 0:
        caption = "Energy stored in the batteries at the end of the intervals, kWh."
        figures.append(Figure("batteries", caption, draw_batteries(own, hosted)))
    else:
        text = ("No battery held any energy.",)
    return PageSection(
        "houses", "Houses", text, tables=(make_house_table(summary),), figures=tuple(figures), printed=False
    )
