"""Tables of a market between microgrids: deals, feeders, and houses, each of which closes to the Wh and the nEUR."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from cosim.case.case import Case
from cosim.curtailment.feasible import Outcome
from cosim.interval.chunk import Chunk
from cosim.results.background import measure_background
from cosim.results.csv_text import format_csv
from cosim.results.directory import write_whole
from cosim.studies.balance import check_residuals
from cosim.studies.deals import Deal, find_deal_rows
from market.exchanges import Ints, Kind, Rows

DEALS = (
    "interval",
    "seller",
    "buyer",
    "matched_wh",
    "delivered_wh",
    "price_ueur_per_kwh",
    "amount_neur",
)
_FLOWS = ("imported_wh", "exported_wh", "spilled_wh", "shed_wh")
_METERED = ("load_wh", "pv_wh", "fuel_cell_wh", "charge_wh", "discharge_wh", "bought_wh", "sold_wh", *_FLOWS)


class MicrogridResult(NamedTuple):
    """Tables of a run of several feeders.

    Attributes
    ----------
    deals
        interval, seller, buyer, matched_wh (agreed), delivered_wh (let out by the seller's network and let in by the
        buyer's), price_ueur_per_kwh, amount_neur (of what is delivered).
    feeders
        interval, feeder, p_grid_kw (from the grid at its transformer), imported, exported, spilled and shed Wh,
        losses_wh, outcome. Where a net has elements of its own, what they draw and feed: background_load_wh,
        background_generation_wh (0 at feeders without).
    houses
        interval, feeder, participant, all energies of its meter, and what of its imports and exports are deals:
        deal_in_wh, deal_out_wh, with their money deal_paid_neur and deal_earned_neur.
    """

    deals: pd.DataFrame
    feeders: pd.DataFrame
    houses: pd.DataFrame


class MicrogridTables:
    """The tables while the intervals are run."""

    def __init__(self, cases: Sequence[Case]) -> None:
        self._cases = cases
        self._deals: list[dict[str, Any]] = []
        self._feeders: list[dict[str, Any]] = []
        self._houses: list[pd.DataFrame] = []

    def add(self, t: int, matched: Sequence[Deal], deals: Sequence[Deal], final: Sequence[Chunk]) -> None:
        """Add interval `t`: its deals as agreed and as delivered, and each feeder in its final form."""
        names = [case.scenario.name for case in self._cases]
        self._deals += [_describe_deal(t, names, *pair) for pair in zip(matched, deals, strict=True)]
        for case, chunk in zip(self._cases, final, strict=True):
            _check_meters(t, case, chunk)
            self._feeders.append(_describe_feeder(t, case, chunk))
            self._houses.append(_list_houses(t, case, chunk))

    def finish(self) -> MicrogridResult:
        """All intervals added, as tables."""
        return MicrogridResult(
            pd.DataFrame(self._deals, columns=list(DEALS)),
            _tabulate_feeders(self._feeders),
            pd.concat(self._houses, ignore_index=True) if self._houses else pd.DataFrame(),
        )


def _tabulate_feeders(rows: Sequence[dict[str, Any]]) -> pd.DataFrame:
    """Rows of all feeders; what only some of them have is 0 at the others, and `outcome` is last."""
    table = pd.DataFrame(rows)
    own = [name for name in table.columns if name.startswith("background_")]
    if own:
        table[own] = table[own].fillna(0).astype(np.int64)
    return table[[name for name in table.columns if name != "outcome"] + ["outcome"]] if len(table) else table


def _describe_deal(t: int, names: Sequence[str], matched: Deal, deal: Deal) -> dict[str, Any]:
    amount_neur = deal.wh * deal.price_ueur_per_kwh
    values = (t, names[deal.seller], names[deal.buyer], matched.wh, deal.wh, deal.price_ueur_per_kwh, amount_neur)
    return dict(zip(DEALS, values, strict=True))


def _describe_feeder(t: int, case: Case, chunk: Chunk) -> dict[str, Any]:
    meters, rows = chunk.window.meters[0], chunk.window.rows
    return {
        "interval": t,
        "feeder": case.scenario.name,
        "p_grid_kw": float(chunk.flow.p_grid_kw[0]),
        **{name: int(meters[name].sum()) for name in _FLOWS},
        "losses_wh": int(rows["delivered_wh"][rows["kind"] == Kind.LOSS].sum()),
        **_describe_background(case, chunk),
        "outcome": Outcome(int(chunk.outcome[0])).name.lower(),
    }


def _check_meters(t: int, case: Case, chunk: Chunk) -> None:
    """Raise ConservationError unless what a feeder's houses had of energy is what they used, in interval `t`."""
    sums = {name: int(chunk.window.meters[0][name].sum(dtype=np.int64)) for name in _METERED}
    had = sum(sums[name] for name in ("pv_wh", "fuel_cell_wh", "discharge_wh", "bought_wh", "imported_wh", "shed_wh"))
    used = sum(sums[name] for name in ("load_wh", "charge_wh", "sold_wh", "exported_wh", "spilled_wh"))
    check_residuals([had - used], f"feeder '{case.scenario.name}', interval {t}")


def _describe_background(case: Case, chunk: Chunk) -> dict[str, int]:
    """What the net's own elements draw and feed; nothing where it has none."""
    found = measure_background(case, chunk)
    if found is None:
        return {}
    return {"background_load_wh": int(found.load_wh[0]), "background_generation_wh": int(found.generation_wh[0])}


def _list_houses(t: int, case: Case, chunk: Chunk) -> pd.DataFrame:
    meters, deals, n = chunk.window.meters[0], find_deal_rows(chunk.window.rows), case.profiles.n_participants
    table = pd.DataFrame({name: meters[name].astype(np.int64) for name in _METERED})
    for way, kind, party, money in (
        ("in", Kind.GRID_IMPORT, "buyer", "deal_paid_neur"),
        ("out", Kind.GRID_EXPORT, "seller", "deal_earned_neur"),
    ):
        mine = deals[deals["kind"] == kind]
        table[f"deal_{way}_wh"] = _sum_by_house(mine, party, "delivered_wh", n)
        table[money] = _sum_by_house(mine, party, "amount_neur", n)
    table.insert(0, "participant", list(case.profiles.participants))
    table.insert(0, "feeder", case.scenario.name)
    table.insert(0, "interval", t)
    return table


def _sum_by_house(rows: Rows, party: str, column: str, n: int) -> Ints:
    total = np.zeros(n, np.int64)
    np.add.at(total, rows[party], rows[column])
    return total


def write_microgrids(directory: Path, alone: MicrogridResult, together: MicrogridResult) -> str:
    """Write deals, feeders and houses as CSV; returns a table of each feeder by itself and with the market between."""
    write_whole(directory / "deals.csv", format_csv(together.deals))
    for name, result in (("alone", alone), ("together", together)):
        write_whole(directory / f"feeders_{name}.csv", format_csv(result.feeders))
        write_whole(directory / f"houses_{name}.csv", format_csv(result.houses))
    columns = ["imported_wh", "exported_wh", "spilled_wh"]
    parts = [
        (result.feeders.groupby("feeder")[columns].sum() / 1000.0).rename(
            columns={column: f"{column.removesuffix('_wh')} {label}, kWh" for column in columns}
        )
        for label, result in (("alone", alone), ("together", together))
    ]
    table = pd.concat(parts, axis=1)
    delivered, matched = (together.deals[name].sum() / 1000.0 for name in ("delivered_wh", "matched_wh"))
    lines = f"traded between feeders: {delivered:,.1f} kWh"
    if delivered < matched:
        lines += f" of {matched:,.1f} kWh agreed; networks could not carry the rest"
    return f"{table.to_string(float_format='{:,.1f}'.format)}\n\n{lines}"
