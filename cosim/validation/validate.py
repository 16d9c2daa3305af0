"""Trades that were cleared elsewhere, judged by AC power flow: accepted, curtailed or rejected, and by which limit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from cosim.case.case import Case, make_market_case, make_rules, with_network
from cosim.case.control import make_control
from cosim.case.idle_keys import check_idle_keys
from cosim.case.solve import solve_meters
from cosim.case.voltage_control import check_without_voltage_control
from cosim.curtailment.feasible import make_feasible
from cosim.curtailment.search import Attempt
from cosim.delivery.setpoints import mean_kw
from cosim.interrupts.stop import stop_between_lines
from cosim.notebook import table_html
from cosim.scenario.base import AS_IN_NET
from cosim.scenario.model import Scenario
from cosim.validation.options import check_options
from cosim.validation.phases import Phases, check_model, connect, name_model
from cosim.validation.placement import place_participants, with_load_cos_phi
from cosim.validation.tables import make_tables, rename_given, summarise_validation
from cosim.validation.trades import (
    UTILITY,
    JudgedInterval,
    TradedInterval,
    encode_trades,
    find_interval_minutes,
    list_notes,
    make_empty_profiles,
    make_traded_interval,
)
from data.errors import DataError
from data.profiles import Profiles
from data.trades import trades_from_frame
from grid_models.arrays import Ints
from grid_models.feeder.feeder import Feeder
from grid_models.powerflow.flow import Flow
from grid_models.powerflow.verdicts import judge
from market.mechanisms import find_mechanism
from market.settlement import deliver_all, settle


@dataclass(frozen=True, eq=False)
class Validation:
    """The network's answer to trades.

    Attributes
    ----------
    trades
        Trades as given, with status, delivered energy, and the binding element with its limit and value.
    intervals
        One row per interval with trades: verdict before, outcome, power flows.
    houses
        One row per house and such interval: what settles, and what trades moved beyond the profile.
    bus_voltage, branch_loading
        Long tables of voltages and loadings, before and after.
    violations
        Every limit that the trades as given would violate.
    summary
        Counts, energies, agreement with pandapower; JSON-ready.
    net
        The pandapower net with the participants' elements.
    """

    trades: pd.DataFrame
    intervals: pd.DataFrame
    houses: pd.DataFrame
    bus_voltage: pd.DataFrame
    branch_loading: pd.DataFrame
    violations: pd.DataFrame
    summary: Mapping[str, Any]
    net: Any

    @cached_property
    def accepted(self) -> bool:
        """Whether every trade can be delivered whole."""
        return bool((self.trades["status"] == "accepted").all())

    def _repr_html_(self) -> str:
        """Small table for Jupyter: the trades that cannot be delivered whole."""
        return format_validation_html(self)

    def __repr__(self) -> str:
        counts = self.summary["trades"]
        return f"<Validation: {', '.join(f'{n} {status}' for status, n in counts.items())}>"


@stop_between_lines()
def validate(
    net: Any,
    trades: pd.DataFrame,
    profiles: Profiles | None = None,
    *,
    participants: Mapping[str, str | int] | None = None,
    rule: str = "least_curtailment",
    limits: Mapping[str, float] | None = None,
    pv: Mapping[str, Any] | None = None,
    load_cos_phi: float | str | Mapping[str, float] = AS_IN_NET,
    keep_elements: bool = False,
    model: str = "balanced",
    phases: Phases | None = None,
    zero_sequence: Mapping[str, float] | None = None,
    earthing: Mapping[str, float] | None = None,
    interval_minutes: int | None = None,
    timezone: str = "UTC",
    day_first: bool | None = None,
    source: str = "trades",
    notes: Sequence[str] = (),
) -> Validation:
    """Judge trades that were cleared elsewhere by the AC power flow of a network.

    Parameters
    ----------
    net
        A pandapower net, or a `Feeder`, whose connections say the model. A net's own loads and generators are replaced
        by the participants.
    trades
        Columns time, seller, buyer, energy_wh|energy_kwh, price_…; see `data.trades.read_trades`; `grid`: the utility.
    profiles
        Load and generation of each participant; without any the trades alone are injected.
    participants
        Bus of each participant, by its name or index. Left out, a participant is the name of a load of the net, else
        the name or index of a bus.
    rule
        How to curtail: least_curtailment, pro_rata, lifo, max_min or reject.
    limits
        min_vm_pu, max_vm_pu, max_loading_percent: of these and the net's own the stricter ones hold; with override
        = True these alone. Unless balanced also max_vuf_percent, the largest unbalance, 2 if left out; of four wires
        max_neutral_to_earth_v, which is not judged if left out.
    pv
        Reactive power of the PV inverters: keys of `cosim.scenario.sections.PvSection`; none if left out.
    load_cos_phi
        Power factor of the loads, negative where they are capacitive: of all, or of participants by name, the others as
        in the net. `as_in_net`: that of the net's own loads at the bus, 1 where it has none. Profiles may have the
        reactive power instead. What is sold has none.
    keep_elements
        Keep the net's own loads and generators beside the participants.
    model
        balanced: all phases alike; three_phase: each by itself, the neutral earthed everywhere; four_wire: with the
        neutral.
    phases
        Unless balanced: a, b, c or abc of each participant, or of its devices, as {"load": "a", "pv": "abc"}. Those
        left out are on all three.
    zero_sequence
        Unless balanced: r0_over_r1, x0_over_x1 and c0_over_c1, which fill in what the net lacks.
    earthing
        Of four wires: star_earth_ohm (1 if left out), house_earth_ohm (not earthed there if left out).
    interval_minutes
        Length of an interval of trades without profiles. None: the longest that the times of the trades
        allow, from 60 down to 5.
    timezone
        Clock of times without an offset.
    day_first
        Whether 03/04/2017 is in April; None: another date must decide.
    source
        Name of the trades in messages.
    notes
        What was understood of other inputs, for the summary.

    Raises
    ------
    data.errors.DataError, grid_models.errors.GridError, cosim.errors.ScenarioError
        If trades, profiles, network or options cannot be used.

    Examples
    --------
    >>> import pandapower.networks as pn
    >>> trades = pd.DataFrame({"time": ["2017-06-01T12:00Z"], "seller": "loadbus_1_1", "buyer": "grid",
    ...     "energy_kwh": 3.0, "price_eur_per_kwh": 0.1})
    >>> validate(pn.create_kerber_landnetz_kabel_1(), trades).accepted
    True
    """
    if isinstance(net, Feeder) and net.connections is not None:
        model = name_model(net)
    of_phases = {"phases": phases, "zero_sequence": zero_sequence, "earthing": earthing}
    of_limits = {name: (limits or {}).get(name) for name in ("max_vuf_percent", "max_neutral_to_earth_v")}
    check_model(model, {**of_phases, **of_limits})
    decided = {"participants": participants, "keep_elements": keep_elements or None, **of_phases}
    check_options(net, profiles, decided, model=model, interval_minutes=interval_minutes)
    checked = trades_from_frame(trades, source, timezone, day_first)
    checked, renamed = rename_given(checked, model)
    said = list_notes(checked, profiles, interval_minutes, (*renamed, *notes))
    names = _list_participants(net, checked, profiles, participants)
    if profiles is None:
        profiles = make_empty_profiles(checked, names, interval_minutes or find_interval_minutes(checked))
    feeder = net
    if not isinstance(net, Feeder):
        feeder = place_participants(net, profiles.participants, participants, keep_elements=keep_elements)
        if model != "balanced":
            feeder = connect(feeder, model, phases or {}, zero_sequence, earthing, participants or ())
    feeder = with_load_cos_phi(feeder, profiles, load_cos_phi)
    case = make_case(feeder, profiles, rule, limits or {}, pv or {})
    codes = encode_trades(checked, case.profiles, source)
    read = [make_traded_interval(codes, case.profiles, int(t)) for t in np.unique(codes.interval)]
    largest_wh = np.maximum.reduce([case.profiles.pv_wh.max(axis=0), *(each.orders.pv_wh for each in read)])
    case = replace(case, control=make_control(case.scenario.pv, mean_kw(largest_wh, case.interval_minutes)))
    answers, before = _judge_intervals(case, read)
    tables = make_tables(case, checked, codes, answers, before)
    summary = {**summarise_validation(case, tables["trades"], answers), "notes": said}
    return Validation(**tables, summary=summary, net=case.feeder.net)


def _list_participants(
    net: Any, trades: pd.DataFrame, profiles: Profiles | None, participants: Mapping[str, str | int] | None
) -> tuple[str, ...]:
    """Participants: of the profiles, else of the feeder or the table, else whoever trades."""
    if profiles is not None:
        return profiles.participants
    if isinstance(net, Feeder):
        return net.participants
    if participants is not None:
        return tuple(participants)
    parties = dict.fromkeys(pd.concat([trades["seller"], trades["buyer"]]))
    return tuple(name for name in parties if name != UTILITY)


def make_case(
    feeder: Feeder,
    profiles: Profiles,
    rule: str,
    limits: Mapping[str, float],
    pv: Mapping[str, Any] | None = None,
) -> Case:
    """Case of a feeder and profiles whose trades are cleared already; without batteries and events."""
    scenario = Scenario(
        "options",
        horizon={"interval_minutes": profiles.interval_minutes},
        houses={"wallet_eur": 0.0},
        curtailment={"rule": rule},
        limits=dict(limits),
        pv=dict(pv or {}),
        network={"model": name_model(feeder)},
    )
    none, no_battery = find_mechanism("none"), np.zeros(profiles.n_participants, np.int64)
    check_idle_keys(scenario, none)
    check_without_voltage_control(scenario, "a validation of trades, which judges them as they are given")
    market = make_market_case(scenario, profiles, no_battery, none, make_rules(scenario, none))
    at = _find_places(feeder, profiles)
    tan_phi = None if feeder.load_tan_phi is None else feeder.load_tan_phi[at]
    connections = None if feeder.connections is None else feeder.connections.select(at)
    ordered = replace(
        feeder,
        participants=profiles.participants,
        bus=feeder.bus[at],
        load_tan_phi=tan_phi,
        connections=connections,
    )
    return with_network(market, ordered)


def _find_places(feeder: Feeder, profiles: Profiles) -> Ints:
    """Place of each participant of the profiles among those of the feeder, (N,).

    Raises
    ------
    DataError
        If the feeder does not have it.
    """
    place = {name: k for k, name in enumerate(feeder.participants)}
    for name in profiles.participants:
        if name not in place:
            raise DataError(
                f"profiles: expected participants of feeder '{feeder.name}', got '{name}'; correct the name"
            )
    return np.array([place[name] for name in profiles.participants], dtype=np.int64)


def _judge_intervals(case: Case, read: list[TradedInterval]) -> tuple[list[JudgedInterval], Flow]:
    """The K intervals with trades, judged, and their AC solution with all trades as given.

    As given they are solved in one batch; those beyond a limit are made feasible one by one.
    """
    n = case.profiles.n_participants
    settled = [settle(deliver_all(one.rows, n), one.orders, case.opening, case.rules) for one in read]
    solved = solve_meters(case, np.stack([settlement.meters for settlement in settled]))
    before = solved.flow
    settled = [one._replace(meters=metered) for one, metered in zip(settled, solved.meters, strict=True)]
    tried = Attempt(settled, before, judge(before, case.limits))
    answers = [
        JudgedInterval(one, make_feasible(case, one.orders, case.opening, one.rows, tried.at(k)))
        for k, one in enumerate(read)
    ]
    return answers, before


def format_validation_html(validation: Validation) -> str:
    """How many trades can be delivered, and the first of those that cannot."""
    counts = ", ".join(f"{n} {status}" for status, n in validation.summary["trades"].items())
    trades = validation.trades
    cut = trades[trades["status"] != "accepted"].head(10)
    rows = cut.astype(object).where(cut.notna(), "").to_numpy().tolist()
    return table_html(f"gridsettle validation: {counts}", [str(name) for name in cut.columns], rows)
