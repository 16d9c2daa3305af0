"""Sections on what is agreed outside the market: the utility's tariff by time of use, and contracted powers."""

from __future__ import annotations

import pandas as pd

from cosim.report.elements import Column, PageSection, tabulate
from cosim.report.tables.run_tables import RunTables
from cosim.results.contract_power import CONTRACT_TABLE

BANDS = (
    Column("when", "when"),
    Column("price_eur_per_kwh", "utility price, EUR/kWh", 4),
    Column("intervals", "intervals", 0),
)
CONTRACTS = (
    Column("house", "house"),
    Column("contract_kw", "contracted, kW", 2),
    Column("highest_kw", "highest mean power, kW", 2),
    Column("intervals_above", "intervals above", 0),
    Column("kwh_above", "above, kWh", 2),
)


def make_agreed_sections(run: RunTables) -> list[PageSection]:
    """A section each, or nothing where there is neither a tariff nor a contracted power."""
    summary, found = run.result.summary, []
    if "tariff" in summary:
        frame = pd.DataFrame(summary["tariff"]["bands"]).assign(when=_name_bands(run))
        said = f"The first band that fits counts; hours are those of {summary['tariff']['timezone']}."
        table = tabulate("tariff", "Bands of the tariff and the intervals in which they held.", BANDS, frame)
        found.append(PageSection("tariff", "Tariff by time of use", (said,), tables=(table,)))
    if CONTRACT_TABLE in summary:
        frame = run.result.table(CONTRACT_TABLE).to_pandas()
        said = "Contracted power is judged, not enforced: mean power of an interval through the meter, either way."
        table = tabulate("contracts", "Houses that have contracted a power.", CONTRACTS, frame)
        found.append(PageSection("contracts", "Contracted power", (said,), tables=(table,)))
    return found


def _name_bands(run: RunTables) -> list[str]:
    """When each band holds, in words."""
    names = []
    for band in run.result.scenario.tariff.bands:
        hours = "" if (band.from_hour, band.to_hour) == (0, 24) else f"{band.from_hour} to {band.to_hour} h"
        months = f"months {', '.join(map(str, band.months))}" if band.months else ""
        names.append("; ".join(filter(None, (hours, ", ".join(band.days), months))) or "always")
    return names
