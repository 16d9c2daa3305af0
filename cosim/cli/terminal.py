"""Tables and lines that commands print on standard output when they are done."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import pandas as pd
import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from cosim.cli.errors import make_printable
from cosim.nets.doctor.finding import POINTS
from cosim.results import binding, labels, local_time
from cosim.results.applied_limits import describe_limits
from cosim.results.statement_words import describe_statement
from cosim.results.summary import EXTREMES
from cosim.results.voltage_words import describe_voltage_control

if TYPE_CHECKING:
    from cosim.nets.doctor.finding import Diagnosis, Finding
    from cosim.nets.judges import Difference
    from cosim.nets.solution import NetSolution
    from cosim.prices.local_prices import LocalPrices
    from cosim.results.result import Result
    from cosim.studies.hosting.compared import ComparedHosting
    from cosim.studies.hosting.study import StochasticHosting
    from cosim.validation.envelopes import OperatingEnvelopes
    from cosim.validation.hosting import Hosting
    from cosim.validation.validate import Validation
    from data.meters.account import Line

NOT_SOLVED = "not solved"
MOST_NAMED = 5
MOST_ROWS = 40
"""Trades shown; those that were not accepted come first."""

SHOWN_ENERGIES = (*("load", "pv", "from_grid", "p2p", "lot_sale", "shared", "spilled", "curtailed", "shed", "losses"),)
SHOWN_OF_DEVICES = ("charged", "not_served", "consumed", "shortfall", "shifted")
SHOWN_MONEY = ("paid_to_grid", "earned_from_p2p", "earned_from_sharing")
"""Sums of a summary that a finished run shows."""

REASONS = {"not_solved": "not solved as given: the power flow of these trades has no solution"}
"""Reasons that need more words than their name."""

PHASES = {**{phase: f", phase {phase}" for phase in "abc"}, "n": ", neutral"}
"""Conductors of an unbalanced model behind the name of an element."""

Extremes = dict[tuple[str, ...], float]
"""Values by their places."""

PORTFOLIO = {
    "cut kWh": ("cut_kwh", 1),
    "hours cut": ("curtailed_hours", 0),
    "loading %": ("highest_loading_percent", 1),
    "lowest pu": ("lowest_vm_pu", 4),
    "highest pu": ("highest_vm_pu", 4),
}
"""Columns of a portfolio's worst feeders, and their decimals."""

STYLES = {"accepted": "", "curtailed": "yellow", "rejected": "red"}


def show_written(files: Sequence[Path]) -> None:
    """Name the files that a command wrote."""
    typer.echo("wrote " + ", ".join(str(file) for file in files))


def make_table(title: str, *columns: str) -> Table:
    """An empty table; a column whose name ends with > is aligned right. No name is cut: many begin alike."""
    table = Table(title=f"gridsettle: {title}", title_justify="left")
    for name in columns:
        justify: Literal["left", "right"] = "right" if name.endswith(">") else "left"
        table.add_column(name.removesuffix(">"), justify=justify, overflow="fold")
    return table


def show_summary(result: Result) -> None:
    """Print a run's summary as one table."""
    summary = result.summary
    energy, money = summary["energy_kwh"], summary["money_eur"]
    table = make_table(f"scenario '{result.scenario.name}'", "what", "value>", "unit")
    for key in SHOWN_ENERGIES:
        table.add_row(labels.ENERGY[key], f"{energy[key]:,.1f}", "kWh")
    for key in (key for key in labels.BACKGROUND if key in energy):
        table.add_row(labels.BACKGROUND[key], f"{energy[key]:,.1f}", "kWh")
    for section, names in labels.FLEXIBLE.items():
        for key in (key for key in names if key in SHOWN_OF_DEVICES and section in summary):
            table.add_row(names[key], f"{summary[section][f'{key}_kwh']:,.1f}", "kWh")
    for key, label in labels.OUTAGE_DEVICES.items():
        if key in summary.get("resilience", {}):
            table.add_row(label, f"{summary['resilience'][key]:,.1f}", "kWh")
    for key, (label, unit) in labels.ENVELOPES.items() if "envelopes" in summary else ():
        value = summary["envelopes"][key]
        table.add_row(label, f"{value:,.{labels.choose_envelope_digits(unit, [value])}f}", unit)
    for key in SHOWN_MONEY:
        table.add_row(labels.MONEY[key], f"{money[key]:,.2f}", "EUR")
    for key in ("total_eur", "operator_eur") if "charges" in summary else ():
        label, unit = labels.CHARGES[key]
        table.add_row(label, f"{summary['charges'][key]:,.2f}", unit)
    for key, label in labels.OUTAGE_COST.items():
        if key in summary.get("resilience", {}):
            table.add_row(label, f"{summary['resilience'][key]:,.2f}", "EUR")
    table.add_section()
    for row in (*_curtailed_rows(result), *_network_rows(summary)):
        table.add_row(*row)
    console = Console()
    console.print(table)
    if "curtailed" in summary:
        console.print(_describe_curtailed(result), soft_wrap=True, highlight=False, markup=False)
    for limit in describe_limits(summary.get("limits", ())):
        console.print(f"limits: {limit}", soft_wrap=True, highlight=False, markup=False)
    for line in describe_statement(summary["en50160"]) if "en50160" in summary else ():
        console.print(line, soft_wrap=True, highlight=False, markup=False)
    for line in describe_voltage_control(summary["voltage_control"]) if "voltage_control" in summary else ():
        console.print(line, soft_wrap=True, highlight=False, markup=False)
    for note in (*summary.get("notes", ()), *summary["network"].get("notes", ())):
        console.print(f"note: {note}", soft_wrap=True, highlight=False, markup=False)
    if result.directory is not None:
        console.print(f"results in {result.directory}", soft_wrap=True)


def _describe_curtailed(result: Result) -> str:
    """Hours curtailed by binding element, as one line."""
    of_hours = result.summary["network"]["intervals"] * result.scenario.horizon.interval_minutes / 60.0
    curtailed = result.summary["curtailed"]
    return binding.describe_curtailed(curtailed["hours"], curtailed["by_element"], of_hours)


def _curtailed_rows(result: Result) -> Iterator[tuple[str, str, str]]:
    """Hours and per cent curtailed, the transformers and their largest flows with their times."""
    if curtailed := result.summary.get("curtailed"):
        yield labels.CURTAILED_HOURS, binding.show_hours(curtailed["hours"]), "h"
        yield labels.CUT_KWH, f"{curtailed['cut_kwh']:,.1f}", "kWh"
        yield labels.CUT_PERCENT, f"{curtailed['cut_percent']:.2f}", "%"
        if "put_off_kwh" in curtailed:
            yield labels.PUT_OFF_KWH, f"{curtailed['put_off_kwh']:,.1f}", "kWh"
    transformer, zone = result.summary.get("transformer", {}), local_time.find_zone(result.scenario)
    if "rated_kva" in transformer:
        yield labels.RATED_KVA, f"{transformer['rated_kva']:,.0f}", "kVA"
    for key, label in labels.FLOWS.items():
        if key in transformer:
            when = local_time.show_time(transformer[key]["time"], zone)
            yield f"{label}, {when}", f"{transformer[key]['kw']:,.1f}", "kW"


def _network_rows(summary: Any) -> Iterator[tuple[str, str, str]]:
    network = summary["network"]
    yield "intervals, all AC-checked", f"{network['intervals']:,}", ""
    for outcome, count in sorted(network["outcomes"].items()):
        yield f"  {outcome.replace('_', ' ')}", f"{count:,}", ""
    for extreme, (quantity, digits, unit) in EXTREMES.items():
        if extreme in network:
            found = network[extreme]
            place = escape(labels.name_place(found))
            yield f"{labels.NETWORK[extreme]} ({place})", f"{found[quantity]:.{digits}f}", unit
    agreement = summary.get("agreement", {})
    if agreement.get("intervals"):
        label = f"engine against {agreement.get('judge', 'pandapower')} ({agreement['intervals']} intervals)"
        yield label, f"{agreement['max_vm_error_pu']:.1e}", "pu"
    elif "judge" in agreement:
        yield f"engine against {agreement['judge']}", "not compared", ""
        if "why_not" in agreement:
            yield f"  {escape(agreement['why_not'])}", "", ""
    if summary.get("ledger"):
        head = summary["ledger"]
        yield f"ledger head, block {head['height']}", head["hash"][:16] + "…", ""


def show_validation(found: Validation, out: Path | None = None) -> None:
    """Print every trade's answer, up to 40 of them, and the extremes before and after."""
    console = Console()
    trades = found.trades.assign(touched=found.trades["status"] != "accepted")
    first = trades.sort_values("touched", ascending=False, kind="stable").head(MOST_ROWS).sort_index()
    console.print(_trades_table(first))
    for row, trade in first[first["touched"]].iterrows():
        text = f"row {row} {trade['status']}: {describe_limit(trade)}"
        console.print(text, soft_wrap=True, highlight=False, markup=False)
    if len(trades) > len(first):
        console.print(f"… and {len(trades) - len(first):,} more")
    for line in _validation_lines(found):
        console.print(line, soft_wrap=True, highlight=False, markup=False)
    if out is not None:
        console.print(f"tables in {out}", soft_wrap=True)


def _trades_table(trades: pd.DataFrame) -> Table:
    table = Table(title="gridsettle: trades judged by AC power flow", title_justify="left")
    for name in ("row", "time (UTC)", "seller", "buyer"):
        table.add_column(name, no_wrap=name == "time (UTC)")
    for name in ("kWh", "delivered"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("answer", no_wrap=True)
    for row, trade in trades.iterrows():
        status = trade["status"]
        table.add_row(
            str(row),
            f"{trade['time']:%Y-%m-%d %H:%M}",
            trade["seller"],
            trade["buyer"],
            f"{trade['energy_wh'] / 1000:.3f}",
            f"{trade['delivered_wh'] / 1000:.3f}",
            f"[{STYLES[status]}]{status}[/]" if STYLES[status] else status,
        )
    return table


def describe_limit(trade: pd.Series[Any]) -> str:
    """The limit that binds a trade in words; empty for an accepted one."""
    if trade["status"] == "accepted":
        return ""
    reason = REASONS.get(str(trade["reason"]), str(trade["reason"]).replace("_", " "))
    if not trade["element_type"]:
        return reason
    unit, digits = {"vm_pu": ("pu", 4), "vuf_percent": ("%", 2), "neutral_v": ("V", 1)}.get(trade["quantity"], ("%", 1))
    kind, name = trade["element_type"], str(trade["element_name"] or trade["element"])
    label = name if name.lower().startswith(kind) else f"{kind} {name}"
    label += PHASES.get(trade.get("phase", ""), "")
    reached = " delivered up to" if trade["reason"] == "not_solved" else ""
    return f"{reason},{reached} {label} at {trade['value']:.{digits}f} {unit}, limit {trade['limit']:g} {unit}"


def _validation_lines(found: Validation) -> list[str]:
    summary, voltage, loading = found.summary, found.bus_voltage, found.branch_loading
    counts, energy = summary["trades"], summary["energy_kwh"]
    off = found.intervals.loc[found.intervals["outcome"] == "de_energised", "time"]
    settled = loading[~loading["time"].isin(off)]
    lines = [
        f"{counts['accepted']} accepted, {counts['curtailed']} curtailed, {counts['rejected']} rejected by "
        f"{summary['rule']}; {energy['delivered']:.3f} of {energy['traded']:.3f} kWh delivered",
        f"voltages {_describe_range(_join(voltage, 'before_vm'), NOT_SOLVED)} before, "
        f"{_describe_range(_join(voltage, 'after_vm'), 'none')} after",
        f"highest loading {_describe_highest(_join(loading, 'before_loading'), NOT_SOLVED)} before, "
        f"{_describe_highest(_join(settled, 'after_loading'), 'none')} after",
        *_describe_phases(found),
    ]
    unsolved, intervals = int((found.intervals["before"] == "not_solved").sum()), len(found.intervals)
    if 0 < unsolved < intervals:
        lines.append(f"before: without {unsolved} of {intervals} intervals, which have no power flow as given")
    lines += _describe_shed(found.houses)
    if len(off):
        lines.append(f"{len(off)} intervals could not be made clean: nothing of them is delivered")
    lines += [f"limits: {limit}" for limit in describe_limits(summary["limits"])]
    return lines + [f"note: {note}" for note in (*summary["notes"], *summary["network"]["notes"])]


def _join(table: pd.DataFrame, begin: str) -> pd.Series[Any]:
    """Values of all columns of a name, as there are several of phases."""
    return pd.concat([table[name] for name in table.columns if name.startswith(begin)], ignore_index=True)


def _describe_phases(found: Validation) -> list[str]:
    """Unbalance, and the agreement of what settles with another program, of an unbalanced model."""
    voltage, agreement = found.bus_voltage, found.summary["agreement"]
    if "after_vuf_percent" not in voltage:
        return []
    before, after = (voltage[f"{when}_vuf_percent"] for when in ("before", "after"))
    lines = [
        f"largest unbalance (VUF) {_describe_highest(before, NOT_SOLVED, 2)} before, "
        f"{_describe_highest(after, 'none', 2)} after"
    ]
    if agreement["intervals"]:
        lines.append(
            f"{agreement['intervals']} settled intervals solved again by {agreement['judge']} on the net as given: "
            f"at most {agreement['max_vm_error_pu']:.1e} pu apart"
        )
    elif "why_not" in agreement:
        lines.append(f"not compared with {agreement['judge']}: {agreement['why_not']}")
    return lines


def _describe_range(values: pd.Series[Any], missing: str) -> str:
    return f"{values.min():.4f} … {values.max():.4f} pu" if values.notna().any() else missing


def _describe_highest(values: pd.Series[Any], missing: str, digits: int = 1) -> str:
    return f"{values.max():.{digits}f} %" if values.notna().any() else missing


def _describe_shed(houses: pd.DataFrame) -> list[str]:
    """Load that was shed, and the houses that lost most of it."""
    lost = houses.groupby("house", sort=False)["shed_wh"].sum().sort_values(ascending=False, kind="stable") / 1000
    lost = lost[lost > 0]
    if lost.empty:
        return []
    named = ", ".join(f"{house} {kwh:,.3f}" for house, kwh in lost.head(MOST_NAMED).items())
    more = f" and {len(lost) - MOST_NAMED:,} more" if len(lost) > MOST_NAMED else ""
    return [f"load shed: {lost.sum():,.3f} kWh ({named}{more})"]


def show_hosting(capacity: Hosting, name: str) -> None:
    """Print how much PV the feeder holds, at every house alike and at each by itself."""
    houses, phased = capacity.houses, ("phase_pv",) if "phase_pv" in capacity.houses else ()
    heads = "house", "bus", *("phase" for _ in phased), "largest PV, kW>", "bound by"
    table = make_table(f"hosting capacity of '{name}'", *heads)
    for _, row in houses.iterrows():
        place = row[["house", "bus", *phased]]
        table.add_row(*place, f"{row['largest_kw']:,.1f}", row["bound_by"])
    console = Console()
    console.print(table)
    console.print(
        f"all PV scaled alike: {capacity.scaling:.3f} times as much as now, bound by {capacity.bound_by}; "
        f"verified in all {capacity.n_intervals:,} intervals",
        soft_wrap=True,
        highlight=False,
    )
    for note in capacity.notes:
        console.print(f"note: {note}", soft_wrap=True, highlight=False, markup=False)


def show_stochastic_hosting(found: StochasticHosting, name: str, written: Sequence[Path]) -> None:
    """Print percentiles of what draws host, and the limits that most of them break first."""
    said, console = found.summary, Console()
    placed = ", ".join(said["technology"])
    title = f"hosting capacity of '{name}', {placed}, {said['draws']:,} draws"
    takes = "p_v_lost_percent" in found.verified
    table = make_table(
        title, "percentile>", "hosted, kW>", "95 %>", *(["P(V) takes of all generation>"] if takes else [])
    )
    for row in found.percentiles.to_dict(orient="records"):
        lost = [f"{value:.1f} %" for value in _list_lost(found, row["percent"])]
        table.add_row(f"{row['percent']:g}", *_describe_hosted(row), *lost)
    console.print(table)
    if len(found.binding):
        console.print(_make_binding_table(found))
    else:
        kw = found.draws["hosted_kw"]
        console.print(
            f"no draw breaks a limit with all that it places, {kw.min():,.1f} to {kw.max():,.1f} kW; --per-site places "
            "more at each house",
            soft_wrap=True,
            highlight=False,
        )
    judged = "added" if said["judged"] == "added" else "all limits"
    console.print(
        f"start: {said['start']}; judged: {judged}; reactive control: {said['pv_control']}; "
        f"{len(found.intervals)} intervals, draws at percentiles verified in all {said['before']['of']:,}",
        soft_wrap=True,
        highlight=False,
    )
    show_notes(found.notes)
    if written:
        show_written(written)


def _describe_hosted(row: Mapping[Any, Any]) -> tuple[str, str]:
    """A percentile of what is hosted, and its interval of confidence."""
    hosted = "more than was placed" if row["reached_end"] else f"{row['hosted_kw']:,.1f}"
    return hosted, _describe_ends(row)


def _describe_ends(row: Mapping[Any, Any]) -> str:
    ends = ["-" if end != end else f"{end:,.1f}" for end in (row["low_kw"], row["high_kw"])]
    return "-" if ends == ["-", "-"] else " to ".join(ends)


def _list_lost(found: StochasticHosting, percent: float) -> list[float]:
    """Share of generation that P(V) takes from the draw at a percentile in all intervals, %; nothing without P(V)."""
    if "p_v_lost_percent" not in found.verified:
        return []
    return found.verified.loc[found.verified["percent"] == percent, "p_v_lost_percent"].to_list()


def _make_binding_table(found: StochasticHosting) -> Table:
    table = make_table("the first limit that is broken", "limit", "of draws>", "95 %>")
    for row in found.binding.head(MOST_NAMED).to_dict(orient="records"):
        words = (row["element_name"] or row["element_type"], row["phase"], row["quantity"], row["side"])
        place = make_printable(" ".join(filter(None, words)))
        table.add_row(escape(place), f"{row['share']:.1%}", f"{row['low']:.1%} to {row['high']:.1%}")
    return table


def show_compared_hosting(compared: ComparedHosting, name: str, written: Sequence[Path]) -> None:
    """Print what the same draws host without voltage control and with each, and what each gains."""
    console, first = Console(), next(iter(compared.found.values())).summary
    title = f"hosting capacity of '{name}', {', '.join(first['technology'])}, {first['draws']:,} draws"
    columns = ("control", "percentile>", "hosted, kW>", "95 %>", "P(V) takes of all generation>")
    table = make_table(title, *columns)
    for control, found in compared.found.items():
        for row in found.percentiles.to_dict(orient="records"):
            lost = _list_lost(found, row["percent"])
            table.add_row(control, f"{row['percent']:g}", *_describe_hosted(row), f"{lost[0]:.1f} %" if lost else "-")
    console.print(table)
    table = make_table("what draws host more than without", "control", "percentile>", "more, kW>", "95 %>")
    for row in compared.gains.to_dict(orient="records"):
        table.add_row(row["control"], f"{row['percent']:g}", f"{row['gain_kw']:,.1f}", _describe_ends(row))
    console.print(table)
    several: dict[str, list[str]] = {}
    for control, found in compared.found.items():
        for note in found.notes:
            several.setdefault(note, []).append(control)
    everywhere = len(compared.found)
    show_notes(
        [note if len(names) == everywhere else f"with {', '.join(names)}: {note}" for note, names in several.items()]
    )
    if written:
        show_written(written)


def show_local_prices(found: LocalPrices, written: Sequence[Path]) -> None:
    """Print the range of prices in each interval with what binds there, and the intervals without any."""
    columns = ("interval", "from, UTC", "head>", "lowest>", "highest>", "binding")
    table = make_table("local prices, EUR/kWh", *columns)
    rows = list(found.list_ranges())
    for row in rows[:MOST_ROWS]:
        shown = (f"{row[key] / 1e6:.4f}" for key in ("head_ueur", "lowest_ueur", "highest_ueur"))
        place = escape(make_printable("; ".join(row["binding"])))
        table.add_row(str(row["interval"]), f"{row['time']:%Y-%m-%d %H:%M}", *shown, place)
    console = Console()
    console.print(table)
    if len(rows) > MOST_ROWS:
        console.print(f"and {len(rows) - MOST_ROWS:,} more", highlight=False)
    said = found.summary
    console.print(
        f"{said['priced']:,} of {said['intervals']:,} intervals priced, {said['congested']:,} of them congested; load "
        f"lost at {said['lost_load_eur_per_kwh']:g} EUR/kWh, waiting at {said['waiting_eur_per_kwh']:g} EUR/kWh",
        soft_wrap=True,
        highlight=False,
    )
    for each in found.not_priced[:10]:
        typer.echo(f"not priced: interval {each['interval']} at {each['time']}: {each['reason']}")
    if len(found.not_priced) > 10:
        typer.echo(f"and {len(found.not_priced) - 10:,} more that are not priced; --json has them")
    show_notes(found.notes)
    if written:
        show_written(written)


def show_envelopes(found: OperatingEnvelopes, written: Sequence[Path]) -> None:
    """Print the mean envelope of each customer with what stops it most often, and the intervals without any."""
    of = "mean " if found.table["time"].nunique(dropna=False) > 1 else ""
    columns = ("customer", f"{of}import, kW>", "by", f"{of}export, kW>", "by")
    table = make_table(f"operating envelopes, {found.rule}", *columns)
    for name, rows in found.table.groupby("participant", sort=False):
        cells = [
            cell
            for side in ("import", "export")
            for cell in (f"{rows[f'{side}_kw'].mean():,.2f}", str(rows[f"{side}_element"].mode().iloc[0]))
        ]
        table.add_row(*(escape(make_printable(cell)) for cell in (str(name), *cells)))
    console = Console()
    console.print(table)
    said = found.summary
    failing = len(said["not_robust"])
    console.print(f"{said['intervals'] - failing:,} of {said['intervals']:,} intervals robust", highlight=False)
    for each in said["not_robust"][:10]:
        where = " ".join(filter(None, (each["element"], each["quantity"], each["phase"])))
        console.print(
            make_printable(f"no safe range{_at(each['time'])}: others alone break {where} ({each['corner']})"),
            soft_wrap=True,
            markup=False,
        )
    for limit in describe_limits(found.limits):
        console.print(f"limits: {limit}", soft_wrap=True, highlight=False, markup=False)
    show_notes(found.notes)
    if written:
        show_written(written)


def _at(time: str | None) -> str:
    return "" if time is None else f" at {time}"


def show_notes(notes: Iterable[str]) -> None:
    """Print remarks, one a line."""
    for note in notes:
        typer.echo(f"note: {make_printable(note)}")


def show_diagnosis(found: Diagnosis, network: Path) -> None:
    """Print what the doctor found, the worst first, by check, and the score."""
    typer.echo(make_printable(f"{network}: {found.n_checks} checks, power flow: {found.power_flow}"))
    grouped: dict[tuple[str, str], list[Finding]] = {}
    for finding in found.findings:
        grouped.setdefault((str(finding.severity), finding.check), []).append(finding)
    for (severity, check), some in grouped.items():
        typer.echo(f"\n{severity}: {check}" + (f" ({len(some)} times)" if len(some) > 1 else ""))
        for finding in some[:MOST_NAMED]:
            typer.echo(make_printable(f"  {finding.place}: {finding.what}"))
        if len(some) > MOST_NAMED:
            typer.echo(f"  and {len(some) - MOST_NAMED} more, which --json lists")
        typer.echo(f"  why: {some[0].why}")
        typer.echo(f"  remedy: {some[0].remedy}")
    typer.echo("")
    show_score(found)


def show_score(found: Diagnosis) -> None:
    """Print the score of a network, and how it is made."""
    counts = ", ".join(f"{found.count(s)} {s}{'s' * (found.count(s) != 1)}" for s in POINTS)
    typer.echo(f"{'sound' if found.is_sound else 'not sound'}: {counts}; score {found.score} of 100")
    rule = ", ".join(f"{points} for {severity}s" for severity, points in POINTS.items())
    typer.echo(f"(100 less {rule}, once for each kind of finding, however many elements have it)")


def show_net(found: NetSolution, network: Path, out: Path | None) -> None:
    """Print the extremes of a solved network, its notes and the files written."""
    # Where all phases are alike, the first stands for them.
    length, phases = (-1, "a") if found.model == "balanced" else (None, "abc")
    vm: Extremes = {at[:length]: abs(v) / found.base_v[at] for at, v in found.v.items() if v == v and at[1] in phases}
    to_earth: Extremes = {at: abs(v) for at, v in found.v.items() if v == v and at[1] == "n"}
    limit = {at: a for at, a in found.rated_a.items() if a > 0.0 and at[2] in phases + "n"}
    rated: Extremes = {at[:length]: 100.0 * abs(found.current_a[at]) / a for at, a in limit.items()}
    neutral: Extremes = {at: abs(i) for at, i in found.current_a.items() if at[2] == "n"}
    unbalance: Extremes = {(bus,): percent for bus, percent in found.unbalance_percent.items() if percent == percent}
    table = make_table(f"{network}, {found.model}", "what", "value>", "unit", "where")
    for words, values, pick, unit, digits in (
        ("lowest voltage to earth", vm, min, "pu", 4),
        ("highest voltage to earth", vm, max, "pu", 4),
        ("highest voltage of a neutral", to_earth, max, "V", 2),
        ("highest loading", rated, max, "%", 1),
        ("largest neutral current", neutral, max, "A", 2),
        ("largest voltage unbalance", unbalance, max, "%", 3),
    ):
        if values:
            at = pick(values, key=values.__getitem__)
            table.add_row(words, f"{values[at]:.{digits}f}", unit, escape(", ".join(at)))
    Console().print(table)
    show_notes(found.notes)
    if out is not None:
        show_written([out / "voltage.csv", out / "branch_current.csv"])


def show_meters(sums: pd.DataFrame, lines: Sequence[Line], said: Iterable[str], written: Sequence[Path]) -> None:
    """Print what was read, filled, refused and written of each meter, why, and what was understood."""
    parts = ("read", "cut", "filled", "refused", "written")
    table = make_table("profiles of meters, how many: Wh", "meter", "direction", *(f"{name}>" for name in parts))
    for row in sums.head(MOST_ROWS).to_dict(orient="records"):
        cells = [f"{row[f'{name}_count']:,}: {row[f'{name}_wh']:,}" if row[f"{name}_count"] else "-" for name in parts]
        table.add_row(*(escape(make_printable(str(row[name]))) for name in ("meter", "direction")), *cells)
    Console().print(table)
    if len(sums) > MOST_ROWS:
        typer.echo(f"and {len(sums) - MOST_ROWS:,} more; --report has them all")
    rest = [line for line in lines if line.what not in ("read", "written")]
    for line in rest[:MOST_ROWS]:
        times = f" {line.begin} to {line.end}" if line.begin else ""
        which = f"{line.what} {line.meter}, {line.direction}: {line.rule},{times} {line.number:,}, {line.wh:,} Wh"
        typer.echo(make_printable(which))
    if len(rest) > MOST_ROWS:
        typer.echo(f"and {len(rest) - MOST_ROWS:,} more such lines; --report has them all")
    show_notes(said)
    show_written(written)


def show_difference(judge: str, found: Difference) -> None:
    """Print by how much a judge differs."""
    line = f"{judge}: largest difference {found.voltage_pu:.2e} pu ({found.place})"
    if found.terminal:
        line += f", {found.current_a:.2e} A ({found.terminal})"
    typer.echo(make_printable(line))


def show_portfolio(told: dict[str, Any], sentences: Iterable[str] = ()) -> None:
    """Print what became of a portfolio: how many feeders ran, why others did not, the worst, and where all are.

    `sentences` say what became of what they have in common.
    """
    table = make_table(f"portfolio, {told['run']:,} of {told['feeders']:,} feeders run")
    table.add_column("worst", overflow="fold")
    for name in PORTFOLIO:
        table.add_column(name, justify="right")
    for row in told["worst"]:
        shown = [f"{row[key]:,.{digits}f}" if row[key] is not None else "" for key, digits in PORTFOLIO.values()]
        table.add_row(escape(row["feeder"]), *shown)
    Console().print(table)
    for key, label, those in (("switched_off", "note", "were switched off"), ("failed", "failed", "failed")):
        rows = told[key]
        for row in rows[:MOST_NAMED]:
            typer.echo(make_printable(f"{label}: {row['feeder']}: {row['message']}"))
        if len(rows) > MOST_NAMED:
            typer.echo(f"and {len(rows) - MOST_NAMED:,} more that {those}; the table has their messages")
    for sentence in sentences:
        typer.echo(make_printable(sentence))
    typer.echo(f"wrote {told['table']}" + (f", and runs with reports in {told['runs']}" if told["runs"] else ""))
