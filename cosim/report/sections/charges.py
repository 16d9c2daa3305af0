"""Section on network charges: what the use of the network cost, and who paid how much for what."""

from __future__ import annotations

from cosim.report.elements import Column, Fact, PageSection, Table, number, tabulate
from cosim.report.tables.run_tables import RunTables
from cosim.results.charges import CHARGES_TABLE
from cosim.results.labels import CHARGES
from market.exchanges import CHARGED, NEUR_PER_EUR

MOST_ROWS = 20
_HEADERS = {
    "grid_neur": "energy from the grid",
    "local_neur": "from other houses",
    "power_neur": "power",
    "standing_neur": "standing",
    "loss_neur": "losses",
    "total_neur": "in all",
}


def make_charge_sections(run: RunTables) -> list[PageSection]:
    """The section, or nothing where the use of the network is not charged for."""
    found = run.result.summary.get(CHARGES_TABLE)
    if found is None:
        return []
    charges = run.result.scenario.charges
    losses = "losses are passed on to them" if charges.losses == "pro_rata" else "the network operator bears the losses"
    text = (
        "Houses pay for energy that comes to them over the network for their own use; for energy from other houses "
        f"{100 * charges.local_share:g} % of the energy part; {losses}. Every house and month is in charges.parquet, "
        "and gridsettle bill makes its bill."
    )
    facts = tuple(
        Fact(f"charges_{key}", label, number(found[key], 1 if unit == "kWh" else 2), unit)
        for key, (label, unit) in CHARGES.items()
        if found[key] or key == "operator_eur"
    )
    return [PageSection("charges", "Network charges", (text,), facts=facts, tables=(make_table_of_houses(run),))]


def make_table_of_houses(run: RunTables) -> Table:
    """What each house paid by part, of many houses those that paid most."""
    names = [*CHARGED, "total_neur"]
    table = run.result.table(CHARGES_TABLE, ("house", "withdrawn_wh", *names)).to_pandas()
    sums = table.groupby("house", observed=True)[["withdrawn_wh", *names]].sum()
    sums = sums.sort_values("total_neur", ascending=False, kind="stable").head(MOST_ROWS)
    shown = sums[names] / NEUR_PER_EUR
    shown.insert(0, "withdrawn_kwh", sums["withdrawn_wh"] / 1000)
    header = [Column("house", "house"), Column("withdrawn_kwh", "energy, kWh", 1)]
    header += [Column(name, f"{_HEADERS[name]}, EUR", 2) for name in names]
    caption = f"Network charges by house; at most {MOST_ROWS} houses, those that paid most."
    return tabulate("charges_by_house", caption, header, shown.reset_index())
