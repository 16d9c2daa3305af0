"""Sections on the verdict and its exceptions, on the ledger, and on the assumptions of the report."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from cosim.report.elements import Cell, Fact, PageSection, Table, count_decimals, number, words
from cosim.report.tables.before_and_after import TOLERANCE_PERCENT, TOLERANCE_PU, TOLERANCE_V
from cosim.report.tables.run_tables import RunTables, find_limits_of_elements
from cosim.results.applied_limits import describe_limits, list_limits
from cosim.results.en50160 import MEAN_MINUTES
from cosim.results.labels import ENERGY, NETWORK, REVERSE_HOURS, name_place
from cosim.results.outage_devices import DEVICE_METRICS
from cosim.results.summary import EXTREMES, ONLY_UNBALANCED

LISTED = 4

MEANINGS = {
    "clean": "settled as cleared: the network could carry it",
    "curtailed": "exchanges were curtailed until the AC power flow kept every limit",
    "shed": "load had to be shed",
    "islanded": "a part of the network was without the grid: held as an island, or dark",
    "de_energised": "no admissible operation was found: the feeder was switched off, nothing is settled",
}


class Headline(NamedTuple):
    """A headline, one sentence, and the level `good`, `warn` or `bad`; `why` says which elements were binding."""

    level: str
    headline: str
    text: str
    why: str = ""


def sort_outcomes(summary: Mapping[str, Any]) -> dict[str, int]:
    """Intervals by outcome of a run's summary: those of `MEANINGS` first, 0 where there were none."""
    outcomes: Mapping[str, int] = summary["network"]["outcomes"]
    return {name: outcomes.get(name, 0) for name in dict.fromkeys([*MEANINGS, *sorted(outcomes)])}


NO_RESILIENCE: Mapping[str, float] = MappingProxyType({})


def judge_run(counts: Mapping[str, int], beyond: int, resilience: Mapping[str, float] = NO_RESILIENCE) -> Headline:
    """Headline of a run: the worst that happened.

    Parameters
    ----------
    counts
        Intervals by outcome.
    beyond
        Settled intervals with a value beyond its limit.
    resilience
        That section of its summary, where some part was without the grid: load that was not served there, and what
        cars and heat pumps missed because of it.
    """
    judged = _judge_supply(counts, beyond, resilience)
    return judged._replace(text=f"{judged.text}{_describe_devices(resilience)}")


def _describe_devices(resilience: Mapping[str, float]) -> str:
    """What cars and heat pumps missed because of outages, as a sentence; empty without such devices or outages."""
    if "put_off_kwh" not in resilience:
        return ""
    put_off, missing, heat = (resilience[name] for name in DEVICE_METRICS)
    return (
        f" Cars and heat pumps did not take {put_off:,.1f} kWh without the grid; because of it {missing:,.1f} kWh were "
        f"missing in cars as they left, and houses missed {heat:,.1f} kWh of heat."
    )


def _judge_supply(counts: Mapping[str, int], beyond: int, resilience: Mapping[str, float]) -> Headline:
    total = sum(counts.values())
    shed_in_outages_kwh = resilience.get("energy_not_served_kwh", 0.0)
    short = any(resilience.get(name, 0.0) > 0.0 for name in ("missing_in_cars_kwh", "missed_heat_kwh"))
    if beyond:
        return Headline("bad", "Beyond limits.", f"{beyond:,} of {total:,} intervals are settled beyond a limit.")
    if counts["de_energised"]:
        return Headline(
            "bad",
            "The feeder was off.",
            f"{counts['de_energised']:,} of {total:,} intervals could not be repaired: the feeder was "
            "de-energised and nothing of them is settled.",
        )
    if counts["shed"]:
        text = f"In {counts['shed']:,} of {total:,} intervals load had to be shed to keep the limits."
        return Headline("bad", "Load was shed.", text)
    islanded = counts.get("islanded", 0)
    changed = total - counts["clean"] - islanded
    if islanded:
        cut = f" In {changed:,} others exchanges were curtailed." if changed else ""
        of_load = " of other load than cars and heat pumps" if "put_off_kwh" in resilience else ""
        lost = "Outages left cars or heat pumps short." if short else "Outages without loss of load."
        return Headline(
            "bad" if shed_in_outages_kwh or short else "warn",
            "Load was shed in outages." if shed_in_outages_kwh else lost,
            f"In {islanded:,} of {total:,} intervals a part of the network was without the grid, and "
            f"{shed_in_outages_kwh:,.1f} kWh{of_load} were not served there.{cut} Every settled interval keeps its "
            "limits.",
        )
    if changed:
        return Headline(
            "warn",
            "Within limits after curtailment.",
            f"In {changed:,} of {total:,} intervals the network could not carry what the market had cleared; "
            "every settled interval keeps its limits.",
        )
    text = f"The network could carry what the market cleared in all {total:,} intervals."
    return Headline("good", "Within limits.", text)


def count_beyond_limits(run: RunTables) -> int:
    """Intervals settled with a voltage, a loading or an unbalance beyond its limit; without supply there is none."""
    limits = find_limits_of_elements(run)
    broken = run.lowest_vm_pu.to_numpy() < limits.min_vm_pu - TOLERANCE_PU
    broken |= run.highest_vm_pu.to_numpy() > limits.max_vm_pu + TOLERANCE_PU
    overloaded = run.loading_percent.to_numpy() > limits.max_branch_percent + TOLERANCE_PERCENT
    beyond = broken.any(axis=1) | overloaded.any(axis=1)
    if run.vuf_percent is not None:
        beyond |= (run.vuf_percent.to_numpy() > run.limits.max_vuf_percent + TOLERANCE_PERCENT).any(axis=1)
    if run.neutral_v is not None:
        beyond |= (run.neutral_v.to_numpy() > run.limits.max_neutral_v + TOLERANCE_V).any(axis=1)
    return int(beyond.sum())


def make_verdict_section(run: RunTables) -> PageSection:
    """Exceptions with their counts and first times, and the extremes of the run."""
    result, unsolved = run.result, run.unsolved
    counts, beyond = sort_outcomes(result.summary), count_beyond_limits(run)
    broken = int((result.energy_balance["residual_wh"] != 0).sum())
    some_dark = int((run.lowest_vm_pu.isna().any(axis=1) & ~run.off).sum())
    rows: list[tuple[Cell, ...]] = [
        _make_row("settled beyond a limit", beyond, "judged again on the tables; must be zero"),
        _make_row("not balanced", broken, "energy in and out differ; must be zero"),
        _make_row("not solved as cleared", len(unsolved), "the exchanges as cleared had no power flow", unsolved),
        _make_row("feeder off", int(run.off.sum()), "no bus had a voltage", _find_times(run, run.off)),
        _make_row("some buses dark", some_dark, "some, but not all, buses without voltage"),
    ]
    for name in reversed(counts):
        times = None if name == "clean" else _find_times(run, result.intervals["outcome"] == name)
        rows.append(_make_row(name.replace("_", "-"), counts[name], MEANINGS.get(name, ""), times))
    header = ("intervals", "count", "meaning", "first at (UTC)")
    table = Table("exceptions", "Exceptions first: what became of every interval.", header, rows)
    return PageSection("verdict", "Verdict", tables=(table,))


def _find_times(run: RunTables, chosen: pd.Series) -> pd.Series:
    return pd.Series(run.result.intervals.index[chosen.to_numpy()])


def _make_row(name: str, count: int, meaning: str, times: pd.Series | None = None) -> tuple[Cell, ...]:
    times = pd.Series() if times is None else times
    first = ", ".join(f"{time:%Y-%m-%d\N{NO-BREAK SPACE}%H:%M}" for time in times.head(LISTED))
    more = " …" if len(times) > LISTED else ""
    return (words(name), number(count, 0), words(meaning), words(first + more))


def list_extremes(run: RunTables) -> tuple[Fact, ...]:
    """Highest loading, unbalance, voltages, load shed, losses, reverse hours."""
    network, energy = run.result.summary["network"], run.result.summary["energy_kwh"]
    facts = []
    for key, (column, digits, unit) in reversed(EXTREMES.items()):
        if key in ONLY_UNBALANCED and key not in network:
            continue
        spot, label = network.get(key, {}), NETWORK[key]
        where = name_place(spot)
        value = number(spot.get(column, np.nan), digits)
        facts.append(Fact(key, f"{label}, {where}" if where else label, value, unit))
    reverse = run.hours * int((run.result.intervals["p_grid_kw"] < 0).sum())
    facts += [
        *(Fact(key, ENERGY[key], number(energy[key]), "kWh") for key in ("shed", "losses")),
        Fact("reverse_hours", REVERSE_HOURS, number(reverse, count_decimals([reverse])), "h"),
    ]
    return tuple(facts)


def make_ledger_section(run: RunTables) -> PageSection:
    """Head of the ledger and how to verify it."""
    head = run.result.summary.get("ledger")
    if not head:
        return PageSection("ledger", "Ledger", ("This run was kept in memory and wrote no ledger.",))
    rows: list[tuple[Cell, ...]] = [
        (words("blocks after the first (one an interval)"), words(f"{head['height']:,}")),
        (words("hash of the head, SHA-256"), words(head["hash"])),
    ]
    where = str(run.result.directory)
    return PageSection(
        "ledger",
        "Ledger",
        (
            f"To verify every byte, signature and account: gridsettle ledger verify {where}",
            "A head noted elsewhere shows whether this ledger is the same and complete: compare it with the one "
            "above. Pin the operator's public key with --key to know who signed.",
        ),
        tables=(Table("ledger", "Head of the ledger", ("what", "value"), rows),),
    )


def _describe_reactive(run: RunTables) -> str:
    """What houses draw and inject beside active power."""
    if not run.reactive:
        return "Houses draw and inject active power only (cos φ = 1)."
    inverters = "" if run.result.scenario.pv.control == "none" else " and inverters under control set"
    return (
        f"Reactive power is what the loads that are served draw{inverters}: its sum is among the houses, that of each "
        "interval in the column q_var of the table houses."
    )


_FORMULAS = {False: "3·R·I²", True: "R·I² of each phase and (R0 - R1)/3·I² of the neutral"}


def _describe_phases(run: RunTables) -> str:
    """What is assumed of phases."""
    if not run.unbalanced:
        alike = "The three phases are taken as balanced."
        return f"{alike} Single-phase loads and generators make some phase worse than shown."
    return (
        f"Each phase is solved by itself (network.model = {run.result.scenario.network.model}). A voltage is one "
        "between a phase and the neutral. Where nothing else is said, a voltage of a bus is that of its lowest or "
        "highest phase, and a loading that of the most loaded conductor, the neutral among them, which is taken to be "
        "rated like a phase. Unbalance is |V2|/|V1| (VUF); EN 50160 gives 2 % for it."
    )


def _describe_means(minutes: int) -> str:
    """What intervals of some length can say of EN 50160."""
    if minutes <= MEAN_MINUTES:
        return (
            f"Powers are means over {minutes} minute{'s' * (minutes != 1)}: peaks within an interval stay unseen. "
            "EN 50160 judges 10-minute means; what it says of those of this run is stated under its name, and holds "
            "for the profiles as given."
        )
    mean = "an hourly-mean" if minutes == 60 else f"a {minutes}-minute-mean"
    return (
        f"This is {mean} screening: powers are means over {minutes} minutes. EN 50160 judges 10-minute means, so "
        "keeping the limits here does not demonstrate compliance; peaks within an interval stay unseen."
    )


def make_assumptions_section(run: RunTables) -> PageSection:
    """Assumptions behind the numbers of the report, and what they cannot show."""
    scenario, minutes = run.result.scenario, run.result.scenario.horizon.interval_minutes
    sample = run.result.summary.get("agreement", {})
    judge = sample.get("judge", "pandapower.runpp")
    text = [
        _describe_means(minutes),
        _describe_phases(run),
        "Every interval is a steady state of its own (quasi-steady state): no transients, faults or protection.",
        f"Limits: {'; '.join(describe_limits(list_limits(run.limits)))}; loadings are reported from "
        f"{scenario.limits.warn_loading_percent:g} %.",
        f"Exchanges that the network cannot carry are cut by the rule {scenario.curtailment.rule}; money follows "
        "delivered energy.",
        f"Losses of a branch are computed from its loading ({_FORMULAS[run.unbalanced]}, transformers with their iron "
        "losses); the losses of the whole feeder are those of the power flow.",
        "Reverse flow of a line is taken from the meters behind it, the losses there neglected.",
        "Figures are thinned for the eye, tables and extremes are not.",
    ]
    text.insert(3, _describe_reactive(run))
    if sample.get("intervals"):
        text.append(
            f"The fast power flow was compared with {judge} in {sample['intervals']} intervals: largest "
            f"differences {sample['max_vm_error_pu']:.1e} pu and {sample['max_loading_error_percent']:.1e} % loading."
        )
    text += [f"About this network: {note}." for note in run.manifest.get("network_notes", ())]
    text += [f"About the profiles: {note}." for note in run.result.summary.get("notes", ())]
    return PageSection("assumptions", "Assumptions and limits of this report", tuple(text))
