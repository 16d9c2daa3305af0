"""Every key of a scenario has an effect, or is refused where it has none, or is listed here with the reason."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any, get_args

import pytest
from typer.testing import CliRunner

from cosim import Result, Scenario, ScenarioError, run
from cosim.case.case import build_market
from cosim.case.idle_keys import RULES, check_idle_keys, without_idle_keys
from cosim.cli.app import app
from cosim.scenario.base import Section
from cosim.scenario.events import Event
from cosim.scenario.files import format_toml, parse_scenario, read_bundled
from cosim.scenario.random_outages import list_outages
from market.mechanisms import find_mechanism

Changes = dict[str, Any]

SMALL: Changes = {
    "horizon": {"start": "2017-06-01T00:00:00Z", "hours": 24},
    "houses": {"n_houses": 5, "n_prosumers": 3},
}
OUTAGE = [{"kind": "outage", "start": "2017-06-01T03:00:00Z", "hours": 14, "grid": True}]
SUNNY = {"houses": {"n_houses": 5, "n_prosumers": 5, "production_ratio": 3.0}}
FEW = {"houses": {"n_houses": 5, "n_prosumers": 2, "production_ratio": 2.0}}
POOR = {"houses": {"n_houses": 5, "n_prosumers": 2, "production_ratio": 2.0, "wallet_eur": 0.05}}
FED_IN: Changes = {**SUNNY, "market": {"feed_in": True}}
COMMUNITY = {"community": {"enabled": True}}
DARK_HOURS = {"events": OUTAGE, "community": {"enabled": True, "tank_kg": 0.3}}
OWN = {"community": {"enabled": True, "fuel_cell": "own", "fuel_eur_per_kg": 0.5}}
RATIOS = {"r0_over_r1": 4.0, "x0_over_x1": 4.0, "c0_over_c1": 1.0}
Q_V = {"pv": {"control": "q_v"}, **SUNNY}

CARS: Changes = {
    "horizon": {"start": "2017-01-10T00:00:00Z", "hours": 48},
    "ev": {"n_cars": 4, "charger_kw": 7.4},
    "limits": {"min_vm_pu": 0.985},
}
PUMPS: Changes = {"horizon": {"start": "2017-01-10T00:00:00Z", "hours": 24}, "heat_pump": {"n_heat_pumps": 3}}
ON_QUARTERS: Changes = {"horizon": {"start": "2017-01-10T00:00:00Z", "hours": 24, "interval_minutes": 15}}
FROM_GROUND = {**PUMPS, "heat_pump": {"n_heat_pumps": 3, "source": "ground"}}

LOW = (0.99, 1.0)
P_V: Changes = {"pv": {"volt_watt": True, "volt_watt_vm_pu": LOW}, **SUNNY}
NARROW: Changes = {**FED_IN, "limits": {"max_vm_pu": 1.01}}
WITHIN: Changes = {**NARROW, "market": {"feed_in": True, "network": "envelope"}}
TAPS: Changes = {"tap_changer": {"enabled": True, "vm_lower_pu": 0.96, "vm_upper_pu": 1.05, "tap_pos": 2}}

EFFECTS: dict[str, tuple[Changes, Any]] = {
    "seed": ({}, 2),
    "horizon.start": ({}, "2017-06-02T00:00:00Z"),
    "horizon.hours": ({}, 25),
    "horizon.interval_minutes": ({}, 30),
    "profiles.load_shape": ({}, "country"),
    "profiles.price_eur_per_kwh": ({}, 0.3),
    "houses.n_houses": ({}, 6),
    "houses.prosumer_probability": ({"houses": {"n_houses": 5, "n_prosumers": "by_chance"}}, 1.0),
    "houses.n_prosumers": ({}, 2),
    "houses.panels_min": ({"houses": {"production_ratio": "as_drawn"}}, 1),
    "houses.panels_max": ({"houses": {"production_ratio": "as_drawn"}}, 60),
    "houses.panel_w_min": ({"houses": {"production_ratio": "as_drawn"}}, 340),
    "houses.panel_w_max": ({"houses": {"production_ratio": "as_drawn"}}, 900),
    "houses.mean_load_w": ({}, 500.0),
    "houses.load_level_spread": ({}, 0.1),
    "houses.load_noise": ({}, 0.0),
    "houses.production_ratio": ({}, 1.0),
    "houses.wallet_eur": ({}, 5.0),
    "houses.load_cos_phi": ({}, 0.8),
    "market.feed_in_eur_per_kwh": (FED_IN, 0.02),
    "tariff.bands": ({}, [{"price_eur_per_kwh": 0.3}]),
    "charges.energy_eur_per_kwh": ({}, 0.07),
    "charges.bands": ({}, [{"price_eur_per_kwh": 0.07}]),
    "charges.local_share": ({**FEW, "charges": {"energy_eur_per_kwh": 0.07}}, 0.4),
    "charges.power_eur_per_kw_month": ({}, 3.0),
    "charges.standing_eur_per_day": ({}, 0.1),
    "charges.standing_eur_per_month": ({}, 4.0),
    "charges.losses": ({}, "pro_rata"),
    "participants": ({}, [{"participant": "house_02", "battery_kwh": 1.0}]),
    "battery.capacity_kwh_min": ({}, 1.0),
    "battery.capacity_kwh_max": ({}, 40.0),
    "battery.charge_efficiency": ({}, 0.8),
    "battery.discharge_efficiency": ({}, 0.8),
    "battery.c_rate": ({}, 0.05),
    "battery.soc_min": ({}, 0.3),
    "battery.soc_max": ({}, 0.4),
    "battery.self_discharge_per_month": ({}, 0.9),
    "battery.replacement_eur_per_kwh": ({}, 500.0),
    "market.mechanism": ({}, "trading"),
    "market.pricing": ({}, "mid_market"),
    "market.fixed_price_eur_per_kwh": ({"market": {"pricing": "fixed", "fixed_price_eur_per_kwh": 0.04}}, 0.045),
    "market.feed_in_ratio": (FEW, 0.6),
    "market.feed_in": (SUNNY, True),
    "market.fee": ({**FEW, "market": {"mechanism": "sharing_central"}}, 0.3),
    "market.beta": (POOR, 0.2),
    "market.selfish_beta": ({**POOR, "market": {"mechanism": "sharing_selfish"}}, 0.7),
    "market.tau_hours": (POOR, 2),
    "market.arrival": (FEW, "rotate"),
    "pv.control": (SUNNY, "cos_phi"),
    "pv.cos_phi": ({"pv": {"control": "cos_phi"}, **SUNNY}, 0.99),
    "pv.underexcited": ({"pv": {"control": "cos_phi"}, **SUNNY}, False),
    "pv.q_v_vm_pu": (Q_V, (0.90, 0.97, 0.99, 1.01)),
    "pv.q_v_q_pu": ({"pv": {"control": "q_v", "q_v_vm_pu": (0.93, 0.97, 0.99, 1.01)}, **SUNNY}, (0.2, 0.0, 0.0, -0.2)),
    "pv.rating_kva_per_kw": ({"pv": {"control": "q_v", "q_v_vm_pu": (0.93, 0.97, 0.99, 1.01)}, **SUNNY}, 1.5),
    "pv.volt_watt": ({"limits": {"max_vm_pu": 1.05}, **SUNNY}, True),
    "pv.volt_watt_vm_pu": (P_V, (0.98, 1.01)),
    "pv.volt_watt_share": (P_V, 0.5),
    "tap_changer.enabled": ({}, True),
    "tap_changer.vm_lower_pu": (TAPS, 1.0),
    "tap_changer.vm_upper_pu": ({"tap_changer": {"enabled": True, "vm_upper_pu": 1.06, "tap_pos": -2}}, 1.03),
    "tap_changer.delay_s": (TAPS, 86_400.0),
    "pv.min_cos_phi": ({"pv": {"control": "q_v", "q_v_vm_pu": (0.9, 0.91, 0.92, 0.93)}, **SUNNY}, 0.99),
    "network.n_branches": ({}, 1),
    "network.trafo_std_type": ({}, "0.4 MVA 20/0.4 kV"),
    "network.main_cable": ({}, "NAYY 4x50 SE"),
    "network.service_cable": ({}, "NAYY 4x150 SE"),
    "network.spacing_m": ({}, 100.0),
    "network.source": ({"network": {"name": "cigre_lv"}}, "named"),
    "network.name": ({"network": {"source": "named", "name": "cigre_lv"}}, "kerber_landnetz_kabel_1"),
    "network.keep_elements": ({"network": {"source": "named", "name": "cigre_lv"}}, True),
    "network.line_ratings_ka": ({}, {"service house_01": 0.01}),
    "limits.min_vm_pu": (SUNNY, 0.9999),
    "limits.max_vm_pu": (FED_IN, 1.0001),
    "limits.max_loading_percent": (SUNNY, 1.0),
    "curtailment.rule": ({**SUNNY, "limits": {"max_vm_pu": 1.0005}, "market": {"feed_in": True}}, "reject"),
    "curtailment.priority": (DARK_HOURS, {"house_01": "low"}),
    "curtailment.compensation_eur_per_kwh": (
        {**SUNNY, "limits": {"max_vm_pu": 1.0005}, "market": {"feed_in": True}},
        0.1,
    ),
    "community.enabled": ({}, True),
    "community.pv_kwp": (COMMUNITY, 3.0),
    "community.battery_kwh": (COMMUNITY, 3.0),
    "community.fuel_cell": (DARK_HOURS, "none"),
    "community.units": (DARK_HOURS, 2),
    "community.tank_kg": (DARK_HOURS, 0.1),
    "community.fuel_eur_per_kg": (COMMUNITY, 0.1),
    "community.critical_share": (DARK_HOURS, 0.9),
    "market.network": (NARROW, "envelope"),
    "market.envelope_rule": (WITHIN, "max_total"),
    "market.envelope_forecast": (
        {**WITHIN, "horizon": {"start": "2017-06-01T00:00:00Z", "hours": 48}},
        "day_before",
    ),
    "outage.dispatch": (DARK_HOURS, "ahead"),
    "outage.look_ahead_hours": ({**DARK_HOURS, "outage": {"dispatch": "ahead"}}, 1),
    "outage.lost_load_eur_per_kwh": (DARK_HOURS, 8.0),
    "ev.n_cars": ({"horizon": {"start": "2017-01-10T00:00:00Z", "hours": 24}}, 2),
    "ev.charger_kw": (CARS, 11.0),
    "ev.battery_kwh": (CARS, 30.0),
    "ev.efficiency": (CARS, 0.8),
    "ev.consumption_kwh_per_100km": (CARS, 25.0),
    "ev.target": (CARS, 0.7),
    "ev.strategy": (CARS, "at_departure"),
    "heat_pump.n_heat_pumps": ({"horizon": {"start": "2017-01-10T00:00:00Z", "hours": 24}}, 2),
    "heat_pump.heat_kwh_per_year": (PUMPS, 20_000.0),
    "heat_pump.heat_spread": (PUMPS, 0.0),
    "heat_pump.power_kw": (PUMPS, 2.0),
    "heat_pump.minimum_load": ({**PUMPS, "heat_pump": {"n_heat_pumps": 3, "strategy": "at_departure"}}, 0.4),
    "heat_pump.minimum_on_minutes": (
        {**ON_QUARTERS, "heat_pump": {"n_heat_pumps": 3, "strategy": "at_departure"}},
        180,
    ),
    "heat_pump.buffer_kwh": (PUMPS, 20.0),
    "heat_pump.source": (PUMPS, "ground"),
    "heat_pump.flow_c": (PUMPS, 55.0),
    "heat_pump.cop": (PUMPS, "hplib"),
    "heat_pump.strategy": (PUMPS, "at_departure"),
    "heat_pump.ground_c": (FROM_GROUND, 12.0),
    "own_stack.eoc_v": (OWN, 66.0),
    "own_stack.v1_v": (OWN, 62.0),
    "own_stack.nominal_a": (OWN, 120.0),
    "own_stack.nominal_v": (OWN, 46.0),
    "own_stack.max_a": (OWN, 240.0),
    "own_stack.max_v": (OWN, 36.0),
    "own_stack.nominal_efficiency": (OWN, 0.4),
    "own_stack.auxiliary_share": (OWN, 0.3),
    "own_stack.inverter_efficiency": (OWN, 0.5),
    "own_stack.minimum_load": (OWN, 0.6),
    "own_stack.ramp_per_hour": (OWN, 0.2),
    "own_stack.start_hours": (OWN, 0.9),
}
"""Key: what else the scenario says, and another value that must change tables or summary."""

_PHASES = "it needs an unbalanced model: tests of runs in phases"
LISTED = {
    "network.model": _PHASES,
    "network.phases": _PHASES,
    "network.zero_sequence": _PHASES,
    "limits.max_vuf_percent": _PHASES,
    "limits.max_neutral_to_earth_v": _PHASES,
    "network.star_earth_ohm": _PHASES,
    "network.house_earth_ohm": _PHASES,
    "name": "it names the run; the summary of two runs under other names is the same by intent",
    "profiles.source": "the files of the other sources: tests of the readers and test_own_profiles",
    "profiles.file": "test_own_profiles",
    "heat_pump.temperature_file": "test_flexible_devices",
    "ev.v2g": "true is refused by name: test_flexible_devices",
    "profiles.timezone": "test_own_profiles",
    "profiles.day_first": "tests of the table reader",
    "network.file": "test_bad_input and test_community_networks",
    "network.participants": "test_bad_input and test_community_networks",
    "network.head_file": "tests of the head",
    "network.shared_bus": "it allows what is refused otherwise: test_bad_input",
    "own_stack.cells": "cells and voltages scale alike, so the stack's power is the same; it says what was built",
    "battery.inverter_cos_phi": "it binds where an island's former is at its rating: test_battery_wear",
    "limits.override": "it needs a net with limits of its own; refused without a limit: tests of limits",
    "limits.warn_loading_percent": "the loading that the report calls high: WARN",
    "houses.table": "test_houses_table",
    "pv.source": "it needs a table of weather: test_roofs",
    **dict.fromkeys(
        ("pv.weather_file", "pv.latitude_deg", "pv.longitude_deg", "pv.tilt_deg", "pv.azimuth_deg"), "test_roofs"
    ),
    **dict.fromkeys(
        (
            *("tap_changer.transformers", "tap_changer.side", "tap_changer.bus", "tap_changer.tap_pos"),
            *("tap_changer.tap_min", "tap_changer.tap_max", "tap_changer.tap_neutral"),
            *("tap_changer.tap_step_percent", "tap_changer.tap_side"),
        ),
        "test_voltage_control: what changes taps, and what replaces the net's",
    ),
    "charges.timezone": "months and bands on a local clock: test_charge_terms",
    "tariff.timezone": "it needs bands that differ: test_tariff",
    "horizon.timezone": "local time beside UTC on screen and report: test_local_time",
    "events": "a list; each kind has tests of its own",
}
"""Keys that are not tried here, and why."""

LISTED_SECTIONS = {
    "ledger": "who signs and who may read a ledger, which a run in memory has not: tests of recording and ledger",
    "engine": "how a run is computed: it changes no result by intent; test_laws_windows",
}


def list_keys(model: type[Section] = Scenario, prefix: str = "") -> Iterator[str]:
    for key, field in model.model_fields.items():
        inner = field.annotation
        if isinstance(inner, type) and issubclass(inner, Section):
            yield from list_keys(inner, f"{key}.")
        else:
            yield prefix + key


def merge(*several: Mapping[str, Any]) -> Changes:
    found: Changes = {}
    for changes in several:
        for key, value in changes.items():
            both = isinstance(value, dict) and isinstance(found.get(key), dict)
            found[key] = {**found[key], **value} if both else value
    return found


def as_change(key: str, value: Any) -> Changes:
    section, point, inner = key.partition(".")
    return {section: {inner: value}} if point else {section: value}


@cache
def _fingerprint(text: str) -> str:
    return fingerprint(run(parse_scenario(text, "test")))


def fingerprint(result: Result) -> str:
    """Digest of all tables and of the summary, but for the comparison with pandapower."""
    digest = hashlib.sha256()
    for name in sorted(result.tables):
        digest.update(result.table(name).to_pandas().to_csv().encode())
    summary = {key: value for key, value in result.summary.items() if key != "agreement"}
    return hashlib.sha256(digest.digest() + repr(summary).encode()).hexdigest()


def test_every_key_is_tried_or_listed() -> None:
    tried = [key for key in list_keys() if key.partition(".")[0] not in LISTED_SECTIONS]
    assert sorted([*EFFECTS, *LISTED]) == sorted(tried)


@pytest.mark.slow
@pytest.mark.parametrize("key", EFFECTS)
def test_a_key_that_is_accepted_has_an_effect(key: str) -> None:
    base, value = EFFECTS[key]
    first = Scenario("test", **merge(SMALL, base))
    if key == "network.source":
        first = first.with_changes(network={"name": None})
        changed = first.with_changes(network={"source": value, "name": "cigre_lv"})
    else:
        changed = first.with_changes(**as_change(key, value))
    assert _fingerprint(format_toml(first)) != _fingerprint(format_toml(changed))


NO_MARKET: Changes = {"market": {"mechanism": "none"}}

IDLE: dict[str, tuple[Changes, Any]] = {
    "profiles.file": ({}, Path("prices.csv")),
    "profiles.timezone": ({}, "Europe/Berlin"),
    "profiles.day_first": ({}, True),
    "houses.prosumer_probability": ({}, 0.2),
    "market.fixed_price_eur_per_kwh": ({}, 0.1),
    "market.pricing": (NO_MARKET, "mid_market"),
    "market.arrival": (NO_MARKET, "rotate"),
    "market.feed_in_ratio": (NO_MARKET, 0.5),
    "market.fee": ({}, 0.2),
    "market.beta": ({"market": {"mechanism": "trading"}}, 0.2),
    "market.selfish_beta": ({}, 0.5),
    "market.tau_hours": ({"market": {"mechanism": "trading_battery"}}, 3),
    "market.envelope_rule": ({}, "equal"),
    "market.envelope_forecast": ({}, "day_before"),
    "pv.cos_phi": ({"pv": {"control": "q_v"}}, 0.9),
    "pv.underexcited": ({}, False),
    "pv.q_v_vm_pu": ({"pv": {"control": "cos_phi"}}, (0.9, 0.97, 1.03, 1.07)),
    "pv.q_v_q_pu": ({}, (0.2, 0.0, 0.0, -0.2)),
    "pv.rating_kva_per_kw": ({}, 1.5),
    "pv.min_cos_phi": ({}, 0.95),
    "network.name": ({}, "cigre_lv"),
    "network.file": ({}, Path("net.json")),
    "network.participants": ({}, Path("placement.csv")),
    "network.shared_bus": ({}, True),
    "network.keep_elements": ({}, True),
    "network.zero_sequence": ({}, RATIOS),
    "network.phases": ({}, "worst"),
    "network.star_earth_ohm": ({"network": {"model": "three_phase"}}, 2.0),
    "network.house_earth_ohm": ({"network": {"model": "three_phase"}}, 20.0),
    "limits.max_vuf_percent": ({}, 3.0),
    "limits.max_neutral_to_earth_v": ({"network": {"model": "three_phase"}}, 50.0),
    "network.n_branches": ({"network": {"source": "named", "name": "cigre_lv"}}, 2),
    "battery.inverter_cos_phi": ({}, 1.0),
    "community.critical_share": ({}, 0.5),
    "outage.dispatch": ({}, "ahead"),
    "outage.look_ahead_hours": (DARK_HOURS, 48),
    "outage.lost_load_eur_per_kwh": ({}, 8.0),
    "own_stack.cells": ({}, 60),
    "ev.charger_kw": ({}, 22.0),
    "ev.strategy": ({}, "price"),
    "heat_pump.buffer_kwh": ({}, 20.0),
    "heat_pump.ground_c": (PUMPS, 10.0),
}


@pytest.mark.parametrize("key", IDLE)
def test_a_key_that_does_nothing_is_refused_by_name(key: str) -> None:
    base, value = IDLE[key]
    scenario = Scenario("test", **merge(SMALL, base, as_change(key, value)))
    with pytest.raises(ScenarioError) as caught:
        build_market(scenario)
    assert f"{key}: expected its default" in str(caught.value)
    assert "without" in str(caught.value)
    mended = without_idle_keys(scenario, find_mechanism(scenario.market.mechanism))
    check_idle_keys(mended, find_mechanism(mended.market.mechanism))


@pytest.mark.parametrize("mechanism", ["none", "double_auction"])
def test_no_trade_without_a_market_or_in_an_auction_has_a_fixed_price(mechanism: str) -> None:
    market = {"mechanism": mechanism, "pricing": "fixed", "fixed_price_eur_per_kwh": 0.1}
    with pytest.raises(ScenarioError) as caught:
        build_market(Scenario("test", **merge(SMALL, {"market": market})))
    assert [line.split(": ")[0].split(", ")[1] for line in str(caught.value).splitlines()] == [
        "market.pricing",
        "market.fixed_price_eur_per_kwh",
    ]


@pytest.mark.parametrize("mechanism", ["none", "double_auction"])
def test_local_trade_in_an_island_has_the_price_of_the_rule(mechanism: str) -> None:
    market = {"mechanism": mechanism, "pricing": "fixed", "fixed_price_eur_per_kwh": 0.1}
    build_market(Scenario("test", **merge(SMALL, {"market": market, "events": OUTAGE})))


PLUG = {"kind": "register", "at": "2017-06-01T12:00:00Z", "participant": "house_01"}
BY_CHANCE = {"kind": "random_outages", "per_year": 200.0, "mean_hours": 3.0}
EVENT_EFFECTS: dict[str, list[tuple[Changes, Any]]] = {
    "register.preset": [({**PLUG, "device": "fuel_cell"}, "sofc-3kw")],
    "register.units": [({**PLUG, "device": "fuel_cell"}, 2)],
    "register.tank_kg": [({**PLUG, "device": "fuel_cell"}, 3.0)],
    "register.fuel_eur_per_kg": [({**PLUG, "device": "fuel_cell"}, 0.1)],
    "register.pv_kwp": [({**PLUG, "device": "pv"}, 2.0)],
    "register.battery_kwh": [({**PLUG, "device": "battery"}, 5.0)],
    "register.soc": [({**PLUG, "device": "battery"}, 0.9)],
    "random_outages.per_year": [(BY_CHANCE, 800.0)],
    "random_outages.mean_hours": [(BY_CHANCE, 9.0)],
    "random_outages.lengths": [(BY_CHANCE, "fixed")],
    "random_outages.spread": [({**BY_CHANCE, "lengths": "lognormal"}, 2.0)],
    "random_outages.longest_hours": [(BY_CHANCE, 1.0), ({**BY_CHANCE, "lengths": "lognormal"}, 1.0)],
}
"""Keys of events that have a default, an event in which they have an effect, and another value."""

OPENS = ("outage.grid", "outage.switches", "outage.lines", "random_outages.grid")
"""What an outage opens: without an effect on the supply it is still a topology of its own, which the tables tell."""

EVENT_IDLE: list[tuple[Changes, str, Any, str]] = [
    ({**PLUG, "device": "battery"}, "pv_kwp", 5.0, 'device = "pv"'),
    ({**PLUG, "device": "pv"}, "preset", "sofc-3kw", 'device = "fuel_cell"'),
    ({**PLUG, "device": "pv"}, "units", 2, 'device = "fuel_cell"'),
    ({**PLUG, "device": "battery"}, "tank_kg", 2.0, 'device = "fuel_cell"'),
    ({**PLUG, "device": "battery"}, "fuel_eur_per_kg", 2.0, 'device = "fuel_cell"'),
    ({**PLUG, "device": "fuel_cell"}, "battery_kwh", 2.0, 'device = "battery"'),
    ({**PLUG, "device": "pv"}, "soc", 0.1, 'device = "battery"'),
    ({**BY_CHANCE, "lengths": "fixed"}, "spread", 2.0, 'lengths = "lognormal"'),
    (BY_CHANCE, "spread", 2.0, 'lengths = "lognormal"'),
    ({**BY_CHANCE, "lengths": "fixed"}, "longest_hours", 48.0, 'lengths = "exponential" or "lognormal"'),
]


def test_every_key_of_an_event_with_a_default_is_tried_or_has_its_own_tests() -> None:
    own = {*OPENS, "random_outages.switches", "random_outages.lines", "load.quantity"}
    found = {
        f"{get_args(kind.model_fields['kind'].annotation)[0]}.{key}"
        for kind in get_args(get_args(Event)[0])
        for key, field in kind.model_fields.items()
        if not field.is_required()
    }
    assert found == {*EVENT_EFFECTS} | own


@pytest.mark.slow
@pytest.mark.parametrize("name", EVENT_EFFECTS)
def test_a_key_of_an_event_that_is_accepted_has_an_effect(name: str) -> None:
    key = name.partition(".")[2]
    for event, value in EVENT_EFFECTS[name]:
        less, more = (Scenario("test", **merge(SMALL, {"events": [one]})) for one in (event, {**event, key: value}))
        if name.startswith("random_outages"):
            year = {"horizon": {"hours": 8760}}
            drawn = [[outage for _, outage in list_outages(one.with_changes(**year))] for one in (less, more)]
            assert drawn[0] != drawn[1]
        else:
            assert _fingerprint(format_toml(less)) != _fingerprint(format_toml(more))


@pytest.mark.parametrize(("event", "key", "value", "needs"), EVENT_IDLE)
def test_a_key_of_an_event_that_does_nothing_is_refused_by_name(
    event: Changes, key: str, value: Any, needs: str
) -> None:
    scenario = Scenario("test", **merge(SMALL, {"events": [{**event, key: value}]}))
    with pytest.raises(ScenarioError) as caught:
        build_market(scenario)
    assert f"events, entry 1, {key}: expected its default" in str(caught.value)
    assert f"without {needs}, got {value}" in str(caught.value)
    market = find_mechanism(scenario.market.mechanism)
    check_idle_keys(without_idle_keys(scenario, market), market)


def test_a_fixed_length_is_not_cut() -> None:
    event = {**BY_CHANCE, "lengths": "fixed", "mean_hours": 100.0}
    with pytest.raises(ScenarioError, match="entry 1, mean_hours: expected at most longest_hours = 72"):
        build_market(Scenario("test", **merge(SMALL, {"events": [event]})))


def test_an_own_stack_is_that_of_a_fuel_cell() -> None:
    battery = {**PLUG, "device": "battery", "preset": "own"}
    with pytest.raises(ScenarioError, match=r"own_stack.cells: .*(.|\n)*entry 1, preset"):
        build_market(Scenario("test", **merge(SMALL, {"own_stack": {"cells": 60}, "events": [battery]})))


def test_a_table_refuses_the_keys_of_drawn_houses(tmp_path: Path) -> None:
    scenario = Scenario("test", profiles={"source": "table", "file": tmp_path / "x.csv"}, houses={"mean_load_w": 500.0})
    with pytest.raises(ScenarioError, match=r"houses.mean_load_w: .* a table brings its own houses"):
        build_market(scenario)


def test_a_fixed_price_must_be_given() -> None:
    with pytest.raises(ScenarioError, match=r'price above 0 for market.pricing = "fixed"'):
        build_market(Scenario("test", market={"pricing": "fixed"}))


def test_all_mistakes_are_named_at_once() -> None:
    with pytest.raises(ScenarioError) as caught:
        build_market(Scenario("test", market={"fee": 0.2, "selfish_beta": 0.3}))
    assert [line.split(": ")[0].split(", ")[1] for line in str(caught.value).splitlines()] == [
        "market.fee",
        "market.selfish_beta",
    ]


@pytest.mark.parametrize("name", sorted(read_bundled()))
def test_bundled_scenarios_have_no_idle_key_and_load_as_a_run_writes_them(name: str) -> None:
    scenario = Scenario.load(name)
    written = parse_scenario(format_toml(scenario), "scenario.toml")
    assert written == scenario
    check_idle_keys(written, find_mechanism(written.market.mechanism))


def test_rules_name_keys_that_there_are() -> None:
    known = set(list_keys())
    for rule in RULES:
        assert {f"{rule.section}.{key}" for key in rule.keys} <= known


def test_a_constant_price_holds_with_every_source() -> None:
    case = build_market(Scenario("test", **merge(SMALL, {"profiles": {"price_eur_per_kwh": 0.3}})))
    assert set(case.profiles.price_ueur_per_kwh.tolist()) == {300_000}


def test_the_command_refuses_in_one_message_per_key(tmp_path: Path) -> None:
    path = tmp_path / "idle.toml"
    path.write_text('name = "idle"\n[horizon]\nhours = 3\n[market]\nfee = 0.2\n', encoding="utf-8")
    for command in (["scenario", "check", str(path)], ["run", str(path), "--out", str(tmp_path / "out")]):
        ended = CliRunner().invoke(app, command)
        assert ended.exit_code == 2
        assert "market.fee" in ended.output


@pytest.mark.parametrize("n_cars", [0, 1])
def test_dimming_that_dims_nobody_is_a_note(n_cars: int) -> None:
    changes = {"curtailment": {"rule": "section_14a"}, "horizon": {"hours": 2}, "ev": {"n_cars": n_cars}}
    notes = str(build_market(Scenario().with_changes(**changes, heat_pump={"n_heat_pumps": 0})).profiles.provenance)
    assert ("so that nothing is dimmed" in notes) == (n_cars == 0)
