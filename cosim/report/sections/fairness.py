"""Section on how evenly curtailment falls: Jain's index, and what each house lost."""

from __future__ import annotations

from cosim.report.elements import Column, Fact, PageSection, number, tabulate
from cosim.report.tables.run_tables import RunTables
from cosim.results.labels import FAIRNESS

COLUMNS = (
    Column("house", "house"),
    Column("cleared_kwh", "sold as cleared, kWh", 1),
    Column("delivered_kwh", "delivered, kWh", 1),
    Column("curtailed_kwh", "curtailed, kWh", 1),
    Column("percent", "curtailed, %", 2),
)
LISTED = 60


def make_fairness_section(run: RunTables) -> list[PageSection]:
    """The section, or nothing where nothing that houses sold was cut."""
    fairness, houses = run.result.summary["fairness"], run.result.table("curtailed_by_house").to_pandas()
    if not (houses["curtailed_kwh"] > 0).any():
        return []
    houses["percent"] = 100.0 * houses["curtailed_kwh"] / houses["cleared_kwh"]
    houses = houses.sort_values(["percent", "house"], ascending=[False, True], kind="stable")
    untouched = int((houses["curtailed_kwh"] == 0).sum())
    more = f"; the first {LISTED} of {len(houses)}" if len(houses) > LISTED else ""
    text = (
        "Jain's index of the shares that houses could deliver of what they had sold: 1 where all lose the same share, "
        f"1/n where one of n houses delivers everything. {untouched} of {len(houses)} houses that sold lost nothing."
    )
    facts = (
        Fact("jain_index", FAIRNESS["jain_index"], number(fairness["jain_index"], 4)),
        Fact("smallest_share", FAIRNESS["smallest_share"], number(100.0 * fairness["smallest_share"], 2), "%"),
        Fact("houses_that_sold", FAIRNESS["houses_that_sold"], number(fairness["houses_that_sold"], 0)),
    )
    caption = f"What houses sold and what the network let them deliver, those first that lost the largest share{more}."
    table = tabulate("fairness", caption, COLUMNS, houses.head(LISTED))
    return [PageSection("fairness", "Fairness of curtailment", (text,), facts=facts, tables=(table,))]
