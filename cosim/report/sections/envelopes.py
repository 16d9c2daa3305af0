"""Section on envelopes that orders were clipped to before the market: what they took off, and whether they fitted."""

from __future__ import annotations

from cosim.report.elements import Column, Fact, PageSection, Table, number, tabulate
from cosim.report.tables.run_tables import RunTables
from cosim.results.labels import ENVELOPES, choose_envelope_digits

MOST_ROWS = 20
FORECASTS = {
    "perfect": "load and generation known beforehand",
    "day_before": "load and generation of the same time a day earlier",
}


def make_envelope_sections(run: RunTables) -> list[PageSection]:
    """The section, or nothing where the market knew no envelopes."""
    found = run.result.summary.get("envelopes")
    if found is None:
        return []
    text = (
        f"Before the market cleared, orders were clipped to what the network carries in any combination, by the rule "
        f"{found['rule']} and for {FORECASTS[found['forecast']]}. Too wide: something was cut all the same. Too "
        "narrow: cutting after the market would have carried more. Every house in each hour in which an envelope bound "
        "is in envelopes.parquet."
    )
    facts = tuple(
        Fact(f"envelopes_{key}", label, number(found[key], choose_envelope_digits(unit, [found[key]])), unit)
        for key, (label, unit) in ENVELOPES.items()
    )
    return [PageSection("envelopes", "Envelopes", (text,), facts=facts, tables=(make_table_of_houses(run),))]


def make_table_of_houses(run: RunTables) -> Table:
    """What was taken off each house's orders, of many houses those with the most."""
    columns = ["spilled_wh", "not_taken_wh"]
    sums = run.result.table("envelopes", ("house", *columns)).to_pandas().groupby("house", observed=True)[columns].sum()
    shown = (sums / 1000.0).sort_values(columns, ascending=False, kind="stable").head(MOST_ROWS).reset_index()
    header = [Column("house", "house")]
    header += [Column(f"{key}_wh", f"{ENVELOPES[f'{key}_kwh'][0]}, kWh", 1) for key in ("spilled", "not_taken")]
    return tabulate("envelopes_by_house", f"Taken off orders; at most {MOST_ROWS} houses.", header, shown)
