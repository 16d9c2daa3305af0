"""Stochastic hosting capacity: how much a feeder hosts where nobody knows who will connect what, and with what chance.

Every draw places devices one after the other until the first limit is broken. Its hosted power is that of all before.
"""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from cosim.case.case import Case, build_case
from cosim.case.community import COMMUNITY
from cosim.case.event_checks import list_left_out
from cosim.case.head import check_no_head
from cosim.case.unhindered import DeviceLoad, find_device_load
from cosim.errors import ScenarioError
from cosim.interrupts.stop import stop_between_lines
from cosim.scenario.events import LoadEvent
from cosim.scenario.model import Scenario
from cosim.studies.hosting.draws import (
    EV,
    HEAT_PUMP,
    MIX,
    PV,
    TECHNOLOGIES,
    WALL_BOXES_KW,
    Draws,
    Plan,
    draw_devices,
    make_sizes,
    read_sizes,
    read_technologies,
)
from cosim.studies.hosting.first import First, find_first, make_window, name_violations
from cosim.studies.hosting.intervals import PILOTS, Chosen, Standing, choose_intervals, find_broken, find_standing
from cosim.studies.hosting.losses import Lost, find_hunting, find_lost, find_lost_in_all, with_lost
from cosim.studies.hosting.profiles import make_library
from cosim.studies.hosting.street import Street, make_street
from cosim.studies.hosting.tables import (
    Answers,
    make_binding,
    make_curve,
    make_draws_table,
    make_hosted,
    make_percentiles,
)
from grid_models.arrays import Floats, Ints

logger = logging.getLogger(__name__)

JUDGES = ("added", "all")
STARTS = ("empty", "today")
ROUNDS, JOINING = 5, 12
"""How often draws at percentiles are solved in all intervals, and how many that each breaks join at a time."""
JOINED = "broken by draws at percentiles"
BESIDES = "judged with another control"
FEWEST, MOST, MOST_PER_SITE = 20, 100_000, 20


@dataclass(frozen=True, eq=False)
class StochasticHosting:
    """How much a feeder hosts, draw by draw and as chances.

    Attributes
    ----------
    draws
        One row a draw: devices and kW that it placed before the first violation (`hosted_kw`, and by technology), kW
        with the device that breaks it (`broken_kw`), whether it had no more to place (`reached_end`), the interval and
        the limit that is broken most then, and the device that did. With P(V) also what it takes of all generation in
        the intervals judged, with what is hosted (`p_v_lost_kwh`, `p_v_lost_percent`, `p_v_most_lost_kw`).
    percentiles
        Percentiles of hosted kW with their intervals of confidence; `reached_end` where more than all that was placed.
    curve
        Chance of a violation by penetration, in kW (`by` = `kw`) and in devices (`devices`), with its band.
    binding
        How often each limit is the first that is broken, with intervals.
    intervals
        In which draws were judged, and why each was chosen.
    verified
        Draws at percentiles, solved in all intervals as of `cosim.studies.hosting.intervals.find_broken`, and how many
        of these they break.
    summary
        What was asked and found, JSON-ready.
    notes
        Remarks on the network, and on what the answer leaves out.
    """

    draws: pd.DataFrame
    percentiles: pd.DataFrame
    curve: pd.DataFrame
    binding: pd.DataFrame
    intervals: pd.DataFrame
    verified: pd.DataFrame
    summary: dict[str, Any]
    notes: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready: the summary and all tables but that of the draws."""
        tables = ("percentiles", "binding", "curve", "intervals", "verified")
        return {
            **self.summary,
            **{name: _as_records(getattr(self, name)) for name in tables},
            "notes": list(self.notes),
        }


def _as_records(table: pd.DataFrame) -> list[dict[str, Any]]:
    """Rows of a table, JSON-ready: times in ISO 8601, UTC; null where there is no value."""
    if "time" in table:
        table = table.assign(time=pd.to_datetime(table["time"]).dt.strftime("%Y-%m-%dT%H:%M:%SZ"))
    return list(json.loads(table.to_json(orient="records")))


@stop_between_lines()
def find_stochastic_hosting(
    scenario: Scenario,
    *,
    draws: int = 1000,
    seed: int = 1,
    technology: str = MIX,
    per_site: int = 3,
    start: str = "empty",
    judge: str = "added",
    n_intervals: int = 24,
    sizes: Path | None = None,
    besides: npt.ArrayLike = (),
) -> StochasticHosting:
    """Stochastic hosting capacity of a scenario's feeder.

    Parameters
    ----------
    scenario
        Network, limits, load, generation, and the control of PV inverters, which those that are placed follow, too.
    draws, seed
        Number of draws, 20 at least, and where their random numbers begin. More draws begin with the same.
    technology
        What is placed: `pv`, `ev`, `heat_pump`, several with commas between, or `mix` for all.
    per_site
        Most devices that are placed at a house.
    start
        `empty`: panels, cars or heat pumps that houses have today are taken away before others of the same technology
        are placed, so that what is hosted is all that there is of it; `today`: what is placed comes beside them.
    judge
        `added`: a violation is what devices that are placed break, or make worse where it was broken without them;
        `all`: limits hold as they are, so that a feeder which breaks one without any device hosts none.
    n_intervals
        Number of intervals in which draws are judged; see `cosim.studies.hosting.intervals.choose_intervals`.
    sizes
        Table `technology,kw,weight` in place of the distributions of `cosim.studies.hosting.draws`.
    besides
        Begins of intervals in which draws are judged besides, whatever is chosen.

    Raises
    ------
    ScenarioError, data.errors.DataError, grid_models.errors.GridError, market.errors.MarketError
        If an input cannot be used.
    """
    codes = read_technologies(technology)
    _check(draws, seed, per_site, n_intervals)
    for name, word, words in (("start", start, STARTS), ("judge", judge, JUDGES)):
        if word not in words:
            raise ScenarioError(f"--{name}: expected {' or '.join(words)}, got '{word}'; correct it")
    own = {} if sizes is None else read_sizes(sizes)
    if extra := set(own) - set(codes):
        raise ScenarioError(
            f"{sizes}: expected sizes of what is placed, got some of {TECHNOLOGIES[min(extra)]}; leave them out, or "
            "name it in --technology"
        )
    check_no_head(scenario, "hosting capacity")
    case = build_case(scenario)
    boxes = tuple(np.unique(own[1][0]).tolist()) if 1 in own else WALL_BOXES_KW
    library, sites = make_library(case, codes, boxes), _list_sites(case)
    there = (case, find_device_load(case)) if start == "today" else _take_away(case, codes, sites)
    street = make_street(*there, library)
    plan = Plan(codes, sites, per_site, make_sizes(scenario.heat_pump, own), case.feeder.connections is not None)
    placed, pilots = draw_devices(plan, seed, range(draws)), draw_devices(plan, seed, range(PILOTS), stream=1)
    asked = {"draws": draws, "seed": seed, "technology": [TECHNOLOGIES[code] for code in codes], "per_site": per_site}
    joining = np.flatnonzero(np.isin(case.profiles.time, np.asarray(besides, case.profiles.time.dtype)))
    return _study(street, placed, pilots, (n_intervals, joining), {**asked, "start": start, "judged": judge})


def _take_away(case: Case, technologies: tuple[int, ...], sites: Ints) -> tuple[Case, DeviceLoad]:
    """Case and devices without what houses have of some technologies; what the community owns stays."""
    load = find_device_load(case)
    cars, pumps, pv = (wh.copy() for wh in (load.cars_wh, load.heat_pumps_wh, case.profiles.pv_wh))
    for technology, wh in zip((PV, EV, HEAT_PUMP), (pv, cars, pumps), strict=True):
        if TECHNOLOGIES.index(technology) in technologies:
            wh[:, sites] = 0
    return replace(case, profiles=replace(case.profiles, pv_wh=pv)), DeviceLoad(cars, pumps)


def _check(draws: int, seed: int, per_site: int, n_intervals: int) -> None:
    for name, value, low, high in (
        ("draws", draws, FEWEST, MOST),
        ("seed", seed, 0, 2**63 - 1),
        ("per-site", per_site, 1, MOST_PER_SITE),
        ("intervals", n_intervals, 1, 10_000),
    ):
        if not low <= value <= high:
            raise ScenarioError(f"--{name}: expected a whole number from {low} to {high}, got {value}; choose another")


def _list_sites(case: Case) -> Ints:
    """Participants at which devices may be placed: all but the community."""
    has_community = case.scenario.community.enabled
    names = case.feeder.participants
    return np.array([k for k, name in enumerate(names) if not (has_community and name == COMMUNITY)], np.int64)


def _study(
    street: Street, draws: Draws, pilots: Draws, judged: tuple[int, Ints], asked: dict[str, Any]
) -> StochasticHosting:
    judge_all = asked["judged"] == "all"
    standing = find_standing(street)
    unclean = int((standing.excess > 0.0).sum())
    if judge_all and unclean:
        answers, chosen, verified = _answer_none(street, standing, draws)
        chosen = chosen.join(judged[1], BESIDES)
    else:
        chosen = choose_intervals(street, standing, pilots, judged[0], judge_all=judge_all)
        chosen = chosen.join(judged[1], BESIDES)
        logger.info("hosting: %d draws in %d intervals", len(draws.kw), chosen.interval.size)
        answers, chosen, verified = _follow(street, draws, chosen, judge_all=judge_all)
    table = make_draws_table(street, answers)
    if street.case.active is not None:
        window = make_window(street, chosen.interval, judge_all=judge_all)
        table = with_lost(table, find_lost(street, window, draws, answers.first.n_clean))
        verified = _with_lost_in_all(street, draws, answers.first.n_clean, verified)
    worst = "" if not unclean else str(standing.worst or "the power flow, which has no solution")
    before = {"intervals": unclean, "of": street.case.n_intervals, "worst": worst}
    control = "none" if street.case.control is None else street.case.control.inverter.rule
    return StochasticHosting(
        table,
        make_percentiles(table),
        make_curve(table, draws),
        make_binding(table),
        pd.DataFrame({"time": street.case.profiles.time[chosen.interval], "why": chosen.why}),
        verified,
        {
            **asked,
            "pv_control": control,
            **_list_controls(street.case),
            "model": street.case.scenario.network.model,
            "before": before,
        },
        (*street.case.feeder.notes, *_list_notes(street, asked, before, verified, int(answers.hunts.sum()))),
    )


def _list_controls(case: Case) -> dict[str, Any]:
    """P(V) and tap changers, where there are any."""
    p_v = {} if case.active is None else {"p_v_vm_pu": list(case.active.curve.vm_pu)}
    return p_v if case.taps is None else {**p_v, "tap_changers": [int(trafo) for trafo in case.taps.trafos]}


def _with_lost_in_all(street: Street, draws: Draws, n_clean: Ints, verified: pd.DataFrame) -> pd.DataFrame:
    """Draws at percentiles with what P(V) takes from them in all intervals."""
    at, place = np.unique(verified["draw"].to_numpy(np.int64), return_inverse=True)
    lost = find_lost_in_all(street, Draws._make(column[at] for column in draws), n_clean[at])
    return with_lost(verified, Lost._make(column[place] for column in lost))


def _answer_none(street: Street, standing: Standing, draws: Draws) -> tuple[Answers, Chosen, pd.DataFrame]:
    """Answers where limits are broken without any device: none, in every draw."""
    n, worst = len(draws.kw), int(np.argmax(standing.excess))
    first = First(np.zeros(n, np.int64), np.zeros(n, np.int64), np.full(n, standing.excess[worst]))
    chosen = Chosen(np.array([worst]), ["beyond a limit before anything is placed"])
    return Answers(draws, first, chosen.interval, [standing.worst] * n, np.zeros(n, bool)), chosen, _verify_none()


def _verify_none() -> pd.DataFrame:
    return pd.DataFrame({name: [] for name in ("percent", "draw", "hosted_kw", "intervals", "broken")})


def _follow(street: Street, draws: Draws, chosen: Chosen, *, judge_all: bool) -> tuple[Answers, Chosen, pd.DataFrame]:
    """Answers of all draws, those at percentiles in all intervals: what these break joins for all draws."""
    window = make_window(street, chosen.interval, judge_all=judge_all)
    first, why, verified = find_first(street, window, draws), list(chosen.why), set[tuple[int, int]]()
    for left in reversed(range(ROUNDS)):
        picks = make_percentiles(make_hosted(draws, first))
        at, place = np.unique(picks["draw"], return_inverse=True)
        states = [*zip(at.tolist(), first.n_clean[at].tolist(), strict=True)]
        todo = np.array([state not in verified for state in states])
        excess = np.full((at.size, street.case.n_intervals), -np.inf)
        if todo.any():
            some, judged = Draws._make(column[at[todo]] for column in draws), window.base.interval
            excess[todo] = find_broken(street, some, first.n_clean[at[todo]], judged, judge_all=judge_all)
        broken = (excess > 0.0).sum(axis=1)
        verified |= {state for state, n in zip(states, broken.tolist(), strict=True) if n == 0}
        if left == 0 or not broken.any():
            break
        more = _list_worst(excess)
        logger.info("hosting: %d intervals join, which draws at percentiles break", more.size)
        since, window = len(why), window.join(make_window(street, more, judge_all=judge_all))
        first, why = find_first(street, window, draws, first, since), [*why, *[JOINED] * more.size]
    picks = picks[["percent", "draw", "hosted_kw"]].assign(intervals=street.case.n_intervals, broken=broken[place])
    named, hunts = name_violations(street, window, draws, first), find_hunting(street, window, draws, first)
    answers = Answers(draws, first, window.base.interval, named, hunts)
    return answers, Chosen(window.base.interval, why), picks


def _list_worst(excess: Floats) -> Ints:
    """Intervals that are furthest beyond a limit in some draws, (D, K), a few of each."""
    worst = np.argsort(-excess, axis=1, kind="stable")[:, :JOINING]
    return np.unique(worst[np.take_along_axis(excess, worst, axis=1) > 0.0])


def _list_notes(
    street: Street, asked: dict[str, Any], before: dict[str, Any], verified: pd.DataFrame, n_hunting: int
) -> list[str]:
    scenario, notes = street.case.scenario, list[str]()
    if before["intervals"]:
        what = "so that every draw hosts none" if asked["judged"] == "all" else "which is not charged to what is placed"
        count = f"{before['intervals']:,} of {before['of']:,} intervals"
        notes.append(f"before anything is placed {count} are beyond a limit, {what}; the worst: {before['worst']}")
    for row in verified[verified["broken"] > 0].to_dict(orient="records"):
        notes.append(
            f"draw {row['draw']} (percentile {row['percent']:g}) breaks a limit in {row['broken']:,} intervals in "
            "which it was not judged, so that it hosts less: take more of them with --intervals"
        )
    notes.append("batteries stand still; nothing is traded or curtailed; cars and heat pumps take what they want")
    if n_hunting:
        notes.append(
            f"hunting: inverters or tap changers find no state to rest in where {n_hunting:,} of the draws end, which "
            "counts as a violation: gentler curves, a wider band or smaller steps help"
        )
    if street.case.taps is not None:
        notes.append(
            "tap changers begin every interval at the position of the net, and have its time to step: what they did in "
            "the interval before is left out"
        )
        if street.case.taps.count_steps(np.zeros(1), street.controls.interval_s).max() == 0:
            notes.append("tap_changer.delay_s is longer than an interval, so that no tap changer steps")
    idle = ("P(V)", street.case.active is None), ("tap changers that move", street.case.taps is None)
    left_out = [name for name, missing in idle if missing]
    notes.append(f"left out: {', '.join([*left_out, 'envelopes'])}")
    return [*notes, *list_left_out(scenario, "hosting capacity", LoadEvent)]
