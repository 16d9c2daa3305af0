"""The table of checks, and the examination that makes them all.

A new check is a function of a `Subject` that yields `Found`, and its row here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

from cosim.nets.doctor import branches, elements, levels, of_scenario, solving, supply
from cosim.nets.doctor.finding import Diagnosis, Finding, Found, Severity
from cosim.nets.doctor.subject import Subject

ERROR, WARNING, NOTE = Severity.ERROR, Severity.WARNING, Severity.NOTE


class Check(NamedTuple):
    """A row of the table.

    Attributes
    ----------
    name
        What it is called, on screen and in the docs.
    find
        Function that yields what is wrong with a subject.
    severity
        Of what it finds, unless that says otherwise.
    why, remedy
        Why it matters, and what to do, unless that says otherwise.
    """

    name: str
    find: Callable[[Subject], Iterator[Found]]
    severity: Severity
    why: str
    remedy: str


CHECKS = (
    Check(
        "no_source",
        supply.find_missing_source,
        ERROR,
        "without a source of voltage no bus has supply, and nothing can be solved",
        "add an external grid (pandapower.create_ext_grid), or put one in service",
    ),
    Check(
        "several_sources",
        supply.list_sources,
        NOTE,
        "each holds its voltage; a difference drives a current through the network between them",
        "leave one in service, unless the network is fed from several sides",
    ),
    Check(
        "open_switch",
        supply.find_open_switches,
        ERROR,
        "what is behind it has no voltage, is judged by nobody, and no participant may be there",
        "close it, or take what is behind it out of service",
    ),
    Check(
        "island",
        supply.find_islands_without_supply,
        ERROR,
        "what is there has no voltage, is judged by nobody, and no participant may be there",
        "put the branch that is missing in, or in service; or take these elements out of service",
    ),
    Check(
        "dead_end",
        supply.find_dead_ends,
        WARNING,
        "buses without voltage stand in every table without a number; an end of the network may have been lost",
        "join them to the rest, or remove them",
    ),
    Check(
        "dead_bus",
        supply.find_elements_at_dead_buses,
        WARNING,
        "a power flow leaves such an element out without a word",
        "put the bus in service, or take the element out of service, too",
    ),
    Check(
        "number",
        elements.find_wrong_numbers,
        ERROR,
        "no power flow can be solved with it; a run refuses the network",
        "correct the number, or take the element out of service",
    ),
    Check(
        "missing_rating",
        branches.find_missing_ratings,
        ERROR,
        "a verdict cannot judge the line: no loading is too much for it, or every one",
        "set max_i_ka from the data sheet, or network.line_ratings_ka in the scenario",
    ),
    Check(
        "placeholder_rating",
        branches.find_placeholder_ratings,
        WARNING,
        "nothing that low voltage carries comes near it, so that no verdict ever finds the line overloaded",
        "set max_i_ka, in kA, from the data sheet, or network.line_ratings_ka in the scenario",
    ),
    Check(
        "line_length",
        branches.find_long_lines,
        ERROR,
        "a length in m where km are expected makes the impedance a thousand times too large",
        "write length_km in km",
    ),
    Check(
        "line_impedance",
        branches.find_line_impedances,
        WARNING,
        "voltages and losses follow from it; a wrong one is often in another unit, or of the whole line",
        "correct r_ohm_per_km and x_ohm_per_km from the data sheet, in ohm per km",
    ),
    Check(
        "trafo_impedance",
        branches.find_trafo_impedances,
        WARNING,
        "voltages below the transformer follow from it",
        "correct vk_percent and vkr_percent from the name plate",
    ),
    Check(
        "trafo_rating",
        branches.find_trafo_ratings,
        WARNING,
        "its impedance and its loading go with its rating, which may be in kVA",
        "write sn_mva in MVA",
    ),
    Check(
        "flipped_trafo",
        levels.find_flipped,
        ERROR,
        "voltages on both sides are those of the wrong level, though a power flow may well be solved",
        "exchange hv_bus and lv_bus, or correct vn_kv of the buses",
    ),
    Check(
        "voltage_level",
        levels.find_wrong_levels,
        ERROR,
        "voltages in pu jump at it, and what is behind is judged at the wrong level",
        "correct vn_kv of the bus or of the transformer, or join other buses",
    ),
    Check(
        "parallel",
        branches.find_unequal_parallels,
        WARNING,
        "current is not shared by rating: one is overloaded before the other is used, or it circulates",
        "make ratios, taps and impedances alike, or open one of them",
    ),
    Check(
        "limits",
        levels.find_contradictory_limits,
        ERROR,
        "no power flow can keep them, so that everything is curtailed",
        "correct the limits, or leave them empty",
    ),
    Check(
        "tap",
        levels.find_taps_beyond,
        WARNING,
        "the transformer or shunt has no such position, and it is taken as it is",
        "correct the position, or its range",
    ),
    Check(
        "idle_tap",
        levels.find_idle_taps,
        NOTE,
        "the voltage is another than the position says",
        "fill in the column, or set the position to the neutral one",
    ),
    Check(
        "medium_voltage_load",
        levels.find_loads_above_low_voltage,
        WARNING,
        "it loads neither transformer nor lines of low voltage; often all loads of a feeder were put at its head",
        "put it at a bus of low voltage, unless it stands for other feeders",
    ),
    Check(
        "negative_load",
        elements.find_negative_loads,
        WARNING,
        "a load below zero feeds, and no outage or report knows it as generation",
        "correct the sign, or make it a static generator (sgen)",
    ),
    Check(
        "scaling",
        elements.find_scalings,
        NOTE,
        "its power is another than p_mw says",
        "set scaling to 1 and p_mw to the power that is meant",
    ),
    Check(
        "duplicate_name",
        elements.find_duplicated_names,
        WARNING,
        "a participant at such a bus is refused, and an outage of such a line or switch opens all of that name",
        "give each a name of its own",
    ),
    Check(
        "zero_sequence",
        solving.find_missing_zero_sequence,
        WARNING,
        "phases differ, and cannot be solved one by one without it; a balanced model takes their sum",
        "fill the columns in, or set network.zero_sequence in the scenario (docs/how-to/phases.md)",
    ),
    Check(
        "left_out",
        elements.list_left_out,
        NOTE,
        "a power flow or a verdict does not have what you may expect it to have",
        "see docs/elements.md for what becomes of each element",
    ),
    Check(
        "profile_length",
        of_scenario.find_profile_lengths,
        ERROR,
        "a run needs an energy of every participant in every interval",
        "change horizon.start or horizon.hours, or the profiles",
    ),
    Check(
        "participant",
        of_scenario.find_unmatched_participants,
        ERROR,
        "every participant needs a profile, and a bus with supply",
        "correct the name or the bus, add the row, or remove it",
    ),
    Check(
        "scenario",
        of_scenario.find_refused_scenario,
        ERROR,
        "a run ends with this message",
        "do what the message says",
    ),
)
"""Checks that read the network, in the order in which findings are told."""

NO_SOLUTION = Check(
    "no_solution",
    solving.find_no_solution,
    ERROR,
    "where no power flow is solved, nothing is judged and nothing settles",
    "look at the power and the lines on the way to this bus; the network cannot carry what is on it",
)
"""Made where all others found no error: an error explains more than a power flow that fails."""


def examine(subject: Subject) -> Diagnosis:
    """Make all checks of a network."""
    findings = [_tell(subject, check, found) for check in CHECKS for found in check.find(subject)]
    if any(finding.severity is ERROR for finding in findings):
        power_flow = "not tried, since there are errors"
    else:
        unsolved = [_tell(subject, NO_SOLUTION, found) for found in NO_SOLUTION.find(subject)]
        findings += unsolved
        power_flow = "no solution" if unsolved else "solved"
    order = list(Severity)
    findings.sort(key=lambda finding: order.index(finding.severity))
    return Diagnosis(tuple(findings), power_flow, len(CHECKS) + 1)


def _tell(subject: Subject, check: Check, found: Found) -> Finding:
    return Finding(
        check.name,
        found.severity or check.severity,
        found.table,
        found.index,
        subject.name(found.table, found.index),
        found.what,
        found.value,
        found.unit,
        check.why,
        found.remedy or check.remedy,
    )
