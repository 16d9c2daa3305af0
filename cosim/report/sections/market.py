"""Sections on the market: money, curtailment, prices, houses with their wallets and batteries."""

from __future__ import annotations

import pandas as pd

from cosim.report.elements import Column, Fact, Figure, PageSection, number, tabulate
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
from cosim.results.labels import ENERGY, MONEY, name_place
from market.exchanges import NEUR_PER_EUR, UEUR_PER_EUR

CURTAILMENT = (
    Column("kind", "kind"),
    Column("reason", "because of"),
    Column("exchanges", "exchanges", 0),
    Column("cleared_wh", "cleared, kWh", 1),
    Column("delivered_wh", "delivered, kWh", 1),
    Column("curtailed_wh", "curtailed, kWh", 1),
)
ELEMENT_OF_REASON = {
    "overvoltage": "bus",
    "undervoltage": "bus",
    "line_overload": "line",
    "trafo_overload": "trafo",
    "dark": "bus",
    "island_limit": "bus",
    "unbalance": "bus",
    "neutral_voltage": "bus",
}
SUFFIXES = {"unbalance": ", unbalance", "neutral_voltage": ", neutral to earth"}
"""What a bus's name lacks where the limit of none of its phases was binding."""


def make_money_section(run: RunTables) -> PageSection:
    """Money in numbers and as flows."""
    money = run.result.summary["money_eur"]
    links = list_money_links(run.exchange_sums)
    if not any(value > 0 for _, _, value in links):
        return PageSection("money", "Money", ("No money changed hands.",))
    facts = tuple(
        Fact(f"money_{key}", label, number(money[key], 2), "EUR") for key, label in MONEY.items() if money[key]
    )
    figure = Figure("money-flow", "Money from who paid, what for, to who earned, EUR.", draw_sankey(links, "EUR"))
    return PageSection("money", "Money", facts=facts, figures=(figure,))


def name_elements(curtailment: pd.DataFrame, net: object) -> pd.Series:
    """Name of the element whose limit was binding for each row, and its conductor; the reason where there is none."""
    tables = {kind: getattr(net, kind)["name"] for kind in ("bus", "line", "trafo")}
    names = []
    rows = zip(curtailment["reason"], curtailment["element"], list_phases(curtailment), strict=True)
    for reason, element, phase in rows:
        kind = ELEMENT_OF_REASON.get(str(reason))
        known = kind is not None and element in tables[kind].index
        name = str(tables[kind].loc[element]) if known and kind else str(reason).replace("_", " ")
        names.append(name_place({"element": name, "phase": phase}) + SUFFIXES.get(str(reason), ""))
    return pd.Series(names, index=curtailment.index, dtype=object)


def list_phases(curtailment: pd.DataFrame) -> pd.Series:
    """Conductor of each row's binding limit; empty where there is no single one."""
    empty = pd.Series("", index=curtailment.index, dtype=object)
    return curtailment["phase"].fillna("") if "phase" in curtailment else empty


def name_reasons(curtailment: pd.DataFrame) -> list[str]:
    """Reason of each row, with the phase or the neutral whose limit was binding."""
    rows = zip(curtailment["reason"].astype(str), list_phases(curtailment), strict=True)
    return [name_place({"element": reason, "phase": phase}) for reason, phase in rows]


def make_curtailment_section(run: RunTables) -> PageSection:
    """What was not delivered as cleared: by house, kind of exchange, element."""
    title, frame = "Curtailment", run.curtailment
    facts = (Fact("curtailed", ENERGY["curtailed"], number(run.result.summary["energy_kwh"]["curtailed"]), "kWh"),)
    cut = frame[frame["curtailed_wh"] > 0]
    if cut.empty:
        return PageSection(
            "curtailment", title, ("Every exchange was delivered as cleared; nothing was curtailed.",), facts
        )
    kwh = cut["curtailed_wh"] / 1000.0
    groups = {
        "kind": kwh.groupby(cut["kind"].str.replace("_", " ")).sum(),
        "seller": kwh.groupby(cut["seller"]).sum(),
        "binding element": kwh.groupby(name_elements(cut, run.feeder.net)).sum(),
    }
    grouped = cut.assign(reason=name_reasons(cut)).groupby(["kind", "reason"], observed=True)[
        ["cleared_wh", "delivered_wh", "curtailed_wh"]
    ]
    sums = (grouped.sum() / 1000.0).assign(exchanges=grouped.size()).reset_index()
    sums[["kind", "reason"]] = sums[["kind", "reason"]].replace("_", " ", regex=True)
    rule = run.result.scenario.curtailment.rule
    figure = draw_curtailed(groups, long_names=run.unbalanced)
    return PageSection(
        "curtailment",
        title,
        (
            f"Rule: {rule}. Every curtailed exchange is in curtailment.csv. Below is what houses could not sell; the "
            "energy cut by the network, above, also counts what they could not draw from the grid.",
        ),
        facts,
        tables=(tabulate("curtailment", "Curtailed exchanges by kind and reason.", CURTAILMENT, sums),),
        figures=(Figure("curtailed", "Curtailed energy, kWh; the largest of each group.", figure),),
    )


def make_prices_section(run: RunTables) -> PageSection:
    """Utility and market prices."""
    columns = ("utility_ueur_per_kwh", "price_ueur_per_kwh")
    figure = draw_prices(*(run.result.intervals[name] / UEUR_PER_EUR for name in columns))
    figures = (Figure("prices", "Utility and market price, EUR/kWh.", figure),)
    return PageSection("prices", "Prices", figures=figures)


def make_houses_section(run: RunTables, summary: pd.DataFrame) -> PageSection:
    """Table of the houses, their wallets and batteries."""
    wallet, account = (run.meter(name) / NEUR_PER_EUR for name in ("wallet_neur", "account_neur"))
    own, hosted = (run.meter(name) / 1000.0 for name in ("own_wh", "hosted_wh"))
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
    return PageSection("houses", "Houses", text, tables=(make_house_table(summary),), figures=tuple(figures))
