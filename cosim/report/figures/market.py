"""Figures of the market: flows of energy and money, prices, wallets, batteries, curtailment."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from plotly.colors import get_colorscale

from cosim.report.figures.sampling import STEPS, choose_step, round_values
from cosim.report.palette import (
    BELOW,
    BLACK,
    BLUE,
    GREEN,
    GREY,
    HEAT,
    HOUSES_AXIS,
    LEFT,
    ORANGE,
    RIGHT,
    SKY,
    VERMILION,
    YELLOW,
    plain_text,
    style_figure,
    title_axes,
)
from cosim.report.plot import Plot, Spec, make_panels
from cosim.results.labels import BACKGROUND, ENERGY, SERVED, TO_GRID
from market.exchanges import NEUR_PER_EUR

Link = tuple[str, str, float]


class BackgroundFlows(NamedTuple):
    """Where the energy of the net's own elements came from and went to, kWh.

    Attributes
    ----------
    from_grid, from_houses, kept
        What its loads drew: from the grid, in islands from houses and from its own generation.
    to_houses, to_grid
        What its generation fed beside that.
    """

    from_grid: float
    from_houses: float
    kept: float
    to_houses: float
    to_grid: float


OWN, DEMAND = "houses' own energy", "houses' demand"
NODE_COLORS = {
    ENERGY["pv"]: ORANGE,
    ENERGY["from_grid"]: GREY,
    "grid energy": GREY,
    "utility pays": GREY,
    "utility earns": GREY,
    ENERGY["discharge"]: GREEN,
    ENERGY["p2p"]: BLUE,
    "P2P trades": BLUE,
    "sharing": SKY,
    SERVED: BLACK,
    ENERGY["spilled"]: VERMILION,
    ENERGY["losses"]: YELLOW,
    "feed-in": ORANGE,
}
PAYERS = {"grid": "utility pays", "operator": "network operator", "contract": "contract pays"}
PAYEES = {"grid": "utility earns", "operator": "network operator earns", "contract": "contract earns"}
PURPOSES = {
    "p2p": "P2P trades",
    "share_use": "sharing",
    "share_store": "sharing",
    "lot_sale": "sharing",
    "grid_import": "grid energy",
    "grid_export": "feed-in",
    "loss": "network losses",
}
BARS_SHOWN = 20
TOTAL_PX = 220


def draw_sankey(links: Sequence[Link], unit: str) -> Any:
    """Flows from node to node; links without a flow are left out."""
    flowing = [link for link in links if link[2] > 0]
    nodes = list(dict.fromkeys(name for source, sink, _ in flowing for name in (source, sink)))
    trace = {
        "type": "sankey",
        "valueformat": ",.2f",
        "valuesuffix": f" {unit}",
        "node": {
            "label": nodes,
            "color": [NODE_COLORS.get(name, SKY) for name in nodes],
            "pad": 22,
            "thickness": 16,
        },
        "link": {
            "source": [nodes.index(source) for source, _, _ in flowing],
            "target": [nodes.index(sink) for _, sink, _ in flowing],
            "value": [value for _, _, value in flowing],
            "color": "rgba(118,118,118,0.30)",
        },
    }
    figure = style_figure(Plot(trace), height=400)
    return figure.update_layout(margin={"l": 15, "r": 15, "t": 15, "b": 15})


def list_energy_links(
    energy_kwh: Mapping[str, float], losses_of_islands_kwh: float = 0.0, background: BackgroundFlows | None = None
) -> list[Link]:
    """Energy of all houses from where it came to where it went, kWh; inflow and outflow of every node agree.

    What houses neither trade, share, export nor spill of their own energy, they use themselves. In islands the
    grid-forming devices supply the losses.
    """
    kwh, given = energy_kwh, background or BackgroundFlows(0.0, 0.0, 0.0, 0.0, 0.0)
    own = kwh["pv"] - kwh["spilled"] + kwh["fuel_cell"] + kwh["discharge"]
    handed_on = {ENERGY[key]: kwh[key] for key in ("p2p", "lot_sale", "shared")}
    own_use = own - sum(handed_on.values()) - kwh["exported"] - losses_of_islands_kwh - given.from_houses
    losses = kwh["losses"] - losses_of_islands_kwh
    return [
        (ENERGY["pv"], ENERGY["spilled"], kwh["spilled"]),
        (ENERGY["pv"], OWN, kwh["pv"] - kwh["spilled"]),
        (ENERGY["fuel_cell"], OWN, kwh["fuel_cell"]),
        (ENERGY["discharge"], OWN, kwh["discharge"]),
        *((OWN, label, value) for label, value in handed_on.items()),
        (OWN, TO_GRID, kwh["exported"]),
        (OWN, DEMAND, own_use),
        *((label, DEMAND, value) for label, value in handed_on.items()),
        (ENERGY["from_grid"], DEMAND, kwh["imported"]),
        (ENERGY["from_grid"], ENERGY["losses"], losses),
        (OWN, ENERGY["losses"], losses_of_islands_kwh),
        (DEMAND, SERVED, kwh["load"] - kwh["shed"]),
        (DEMAND, ENERGY["charge"], kwh["charge"]),
        (ENERGY["from_grid"], BACKGROUND["background_load"], given.from_grid),
        (OWN, BACKGROUND["background_load"], given.from_houses),
        (BACKGROUND["background_generation"], BACKGROUND["background_load"], given.kept),
        (BACKGROUND["background_generation"], DEMAND, given.to_houses),
        (BACKGROUND["background_generation"], TO_GRID, given.to_grid),
    ]


def list_money_links(exchange_sums: pd.DataFrame) -> list[Link]:
    """Money from who paid, by what it was paid for, to who earned, EUR; columns as in exchanges.parquet.

    The buyer pays, except that the contract pays for energy that is shared into it; a fee goes to the contract.
    """
    paid = exchange_sums[exchange_sums["amount_neur"] != 0]
    kind = paid["kind"].astype(str)
    payer = paid["buyer"].astype(str).where(~kind.isin(["share_use", "share_store"]), "contract")
    eur = pd.DataFrame(
        {
            "payer": payer.map(PAYERS).fillna("houses buying"),
            "what": kind.map(PURPOSES).fillna(kind),
            "payee": paid["seller"].astype(str).map(PAYEES).fillna("houses selling"),
            "net": (paid["amount_neur"] - paid["fee_neur"]) / NEUR_PER_EUR,
            "fee": paid["fee_neur"] / NEUR_PER_EUR,
        }
    )
    eur["gross"] = eur["net"] + eur["fee"]
    eur["contract"] = "contract's fees"
    links: list[Link] = []
    steps = (("payer", "what", "gross"), ("what", "payee", "net"), ("what", "contract", "fee"))
    for source, sink, column in steps:
        sums = eur.groupby([source, sink], as_index=False)[column].sum()
        links += list(zip(sums[source], sums[sink], sums[column].astype(float), strict=True))
    return links


def draw_prices(utility_eur_per_kwh: pd.Series, market_eur_per_kwh: pd.Series) -> Any:
    """Utility and market price over time, and their mean course over the day, EUR/kWh."""
    step = choose_step(utility_eur_per_kwh.index)
    figure = make_panels(
        1,
        2,
        column_widths=[0.65, 0.35],
        horizontal_spacing=0.1,
        share_y=True,
        titles=("over time", "mean day"),
    )
    for label, series, color in (
        ("utility", utility_eur_per_kwh, GREY),
        ("market", market_eur_per_kwh, BLUE),
    ):
        means = series.resample(step).mean()
        daily = series.groupby(pd.DatetimeIndex(series.index).hour).mean()
        look: Spec = {"name": label, "line": {"color": color}}
        figure.add_scatter(x=means.index, y=round_values(means, 5), **look, **LEFT)
        figure.add_scatter(x=daily.index, y=round_values(daily, 5), **look, showlegend=False, **RIGHT)
    figure = style_figure(figure, height=340, titled=True)
    title_axes(figure, STEPS[step] + ("" if step == "h" else ", mean"), "price, EUR/kWh", **LEFT)
    return title_axes(figure, "hour of the day, UTC", **RIGHT)


def draw_wallets(wallet_eur: pd.DataFrame, account_eur: pd.DataFrame) -> Any:
    """Each house's wallet over time, and what wallet and utility account came to, EUR; (T, N) each."""
    titles = ("wallets over time", "at the end")
    figure = make_panels(1, 2, column_widths=[0.55, 0.45], horizontal_spacing=0.12, titles=titles)
    ends = wallet_eur.resample(choose_step(wallet_eur.index, 400)).last()
    figure.add_trace(_make_wallet_lines(ends), **LEFT)
    order = wallet_eur.iloc[-1].sort_values().index
    for label, values, color in (
        ("wallet", wallet_eur.iloc[-1][order], BLUE),
        ("utility account", account_eur.iloc[-1][order], ORANGE),
    ):
        figure.add_bar(
            y=[plain_text(house) for house in order],
            x=round_values(values, 2),
            name=label,
            orientation="h",
            marker={"color": color},
            **RIGHT,
        )
    height = max(380, 120 + 15 * len(order))
    figure = style_figure(figure, height=height, titled=True).update_layout(barmode="relative")
    title_axes(figure, "time", "wallet, EUR", **LEFT)
    return title_axes(figure, "EUR", **RIGHT).update_yaxes(**HOUSES_AXIS, **RIGHT)


def _make_wallet_lines(ends: pd.DataFrame) -> Spec:
    """All wallets as one trace, a gap after each: plotly needs far longer for as many traces."""
    gap = np.full((1, ends.shape[1]), np.nan)
    values = np.vstack([round_values(ends, 2), gap]).T.reshape(-1)
    names = np.repeat([plain_text(house) for house in ends.columns], len(ends) + 1)
    return {
        "type": "scatter",
        "x": np.tile(pd.DatetimeIndex([*ends.index, pd.NaT]).tz_convert(None).to_numpy(), ends.shape[1]),
        "y": values,
        "text": names,
        "mode": "lines",
        "connectgaps": False,
        "line": {"width": 1, "color": BLUE},
        "opacity": 0.55,
        "showlegend": False,
        "hovertemplate": "%{y:,.2f} EUR<extra>%{text}</extra>",
    }


def draw_batteries(own_kwh: pd.DataFrame, hosted_kwh: pd.DataFrame) -> Any:
    """What all batteries hold, own and hosted for others, kWh, and each house's mean by day; (T, N) each."""
    houses_px = max(200, 14 * own_kwh.shape[1])
    figure = make_panels(
        2,
        1,
        row_heights=[TOTAL_PX, houses_px],
        vertical_spacing=100 / (TOTAL_PX + houses_px + 100),
        titles=("all batteries together", "each house, mean"),
    )
    step = choose_step(own_kwh.index)
    for label, frame, color in (("own", own_kwh, BLUE), ("hosted for others", hosted_kwh, ORANGE)):
        total = frame.sum(axis=1).resample(step).mean()
        figure.add_scatter(
            x=total.index,
            y=round_values(total, 3),
            name=label,
            stackgroup="content",
            line={"width": 0.5, "color": color},
            **LEFT,
        )
    coarse = step if own_kwh.shape[1] * len(own_kwh.resample(step).size()) < 60_000 else "W"
    means = (own_kwh + hosted_kwh).resample(coarse).mean()
    figure.add_heatmap(
        x=means.index,
        y=[plain_text(house) for house in means.columns],
        z=round_values(means.T, 2),
        colorscale=get_colorscale(HEAT),
        colorbar={
            "title": {"text": "kWh"},
            "thickness": 14,
            "lenmode": "pixels",
            "len": houses_px,
            "y": 0,
            "yanchor": "bottom",
        },
        hovertemplate="%{y}, %{x}: %{z} kWh<extra></extra>",
        **BELOW,
    )
    figure = style_figure(figure, height=TOTAL_PX + houses_px + 240, titled=True)
    title_axes(figure, f"{STEPS[step]}, mean", "stored, kWh", **LEFT)
    return title_axes(figure, f"{STEPS[coarse]}, mean", **BELOW).update_yaxes(**HOUSES_AXIS, **BELOW)


def draw_curtailed(groups: Mapping[str, pd.Series], *, long_names: bool = False) -> Any:
    """Curtailed energy, kWh, by several groupings side by side; the largest of each.

    `long_names` leaves more room for the names beside the bars.
    """
    spacing, ticks = (0.24, {"nticks": 4}) if long_names else (0.16, {})
    figure = make_panels(1, len(groups), horizontal_spacing=spacing, titles=[f"by {name}" for name in groups])
    longest = min(BARS_SHOWN, max(series.size for series in groups.values()))
    for k, (name, series) in enumerate(groups.items(), start=1):
        largest = series.sort_values(ascending=False).head(BARS_SHOWN)[::-1]
        figure.add_bar(
            y=[plain_text(label) for label in largest.index],
            x=np.round(largest.to_numpy(np.float64), 3),
            orientation="h",
            marker={"color": (BLUE, ORANGE, GREEN)[(k - 1) % 3]},
            hovertemplate="%{y}: %{x:,.3f} kWh<extra></extra>",
            row=1,
            col=k,
        )
        figure.update_xaxes(title={"text": "curtailed, kWh"}, rangemode="tozero", **ticks, row=1, col=k)
        # The same range gives bars the same thickness in every column.
        bounds = [largest.size - longest - 0.5, largest.size - 0.5]
        figure.update_yaxes(title={"text": name}, type="category", range=bounds, row=1, col=k)
    figure = style_figure(figure, height=max(260, 120 + 22 * longest), showlegend=False)
    return figure.update_layout(margin={"t": 50})
