"""Keys that do nothing in a scenario: set away from their default where what they belong to is not chosen.

A file that spells out every default, as a run writes it, has none of them. What is behind a switch of its own, such as
`community.enabled`, may stay set while it is off; so may the batteries of houses whose market uses none, since markets
are compared over the same houses.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from cosim.case.idle_events import describe_idle_events, without_idle_event_keys
from cosim.errors import ScenarioError
from cosim.scenario.events import OutageEvent, RandomOutagesEvent, RegisterEvent
from cosim.scenario.houses_of_today import EvSection, HeatPumpSection
from cosim.scenario.model import Scenario
from cosim.scenario.sections import HousesSection, OwnStackSection
from cosim.scenario.voltage import TapChangerSection
from market.mechanisms import BUILT_IN, Mechanism

Condition = Callable[[Scenario, Mechanism], bool]


class Rule(NamedTuple):
    """Keys of a section that have an effect under a condition only; `needs` is the condition in words."""

    section: str
    keys: tuple[str, ...]
    needs: str
    has_effect: Condition


class IdleKey(NamedTuple):
    """A key that is set and does nothing, and what it needs to have an effect."""

    section: str
    key: str
    needs: str


def _by_source(section: str, *sources: str) -> Condition:
    return lambda scenario, _: getattr(scenario, section).source in sources


def _by_market(*names: str) -> Condition:
    """One of these mechanisms, or one of another package, which is given all parameters."""
    return lambda _, mechanism: mechanism.name in names or mechanism.name not in BUILT_IN


def _by_model(*models: str) -> Condition:
    return lambda scenario, _: scenario.network.model in models


def _by_control(*controls: str) -> Condition:
    return lambda scenario, _: scenario.pv.control in controls


def _draws_houses(scenario: Scenario, _: Mechanism) -> bool:
    """Whether houses are drawn; a table that is not named yet is the first mistake to mend, and says so itself."""
    return scenario.profiles.source != "table" or scenario.profiles.file is None


def _reads_times(scenario: Scenario, _: Mechanism) -> bool:
    """Whether a table with times is read: of profiles, weather or temperatures."""
    own = scenario.pv.weather_file, scenario.heat_pump.temperature_file
    return scenario.profiles.source == "table" or any(path is not None for path in own)


def _has_outages(scenario: Scenario, _: Mechanism) -> bool:
    return any(isinstance(event, OutageEvent | RandomOutagesEvent) for event in scenario.events)


def _has_own_stack(scenario: Scenario, _: Mechanism) -> bool:
    rows = any(row.fuel_cell == "own" for row in scenario.participants)
    return (
        rows
        or scenario.community.fuel_cell == "own"
        or any(
            event.device == "fuel_cell" and event.preset == "own"
            for event in scenario.events
            if isinstance(event, RegisterEvent)
        )
    )


def _has_cars(scenario: Scenario, _: Mechanism) -> bool:
    """Whether houses have cars; a table of houses that is not read yet may say so."""
    said = any(row.ev for row in scenario.participants) or scenario.houses.table is not None
    return scenario.ev.n_cars > 0 or said


def _has_heat_pumps(scenario: Scenario, _: Mechanism) -> bool:
    """Whether houses have heat pumps; a table of houses that is not read yet may say so."""
    said = any(row.heat_pump for row in scenario.participants) or scenario.houses.table is not None
    return scenario.heat_pump.n_heat_pumps > 0 or said


def _trades(scenario: Scenario, mechanism: Mechanism) -> bool:
    """Whether houses trade: by a market, or in an island, where what a former gives is local trade in every market."""
    return mechanism.name != "none" or _has_outages(scenario, mechanism)


def _is_priced(scenario: Scenario, mechanism: Mechanism) -> bool:
    """Whether trades follow the pricing rule; an auction makes a price of its own, but for local trade in islands."""
    return mechanism.name not in ("none", "double_auction") or _has_outages(scenario, mechanism)


_TRADE, _PRICED = "a mechanism that trades", "a mechanism that trades at the price of the rule"
_SHARES = "sharing_central", "sharing_p2p", "sharing_hybrid"
_UNBALANCED = 'network.model = "three_phase" or "four_wire"'
_EV = tuple(key for key in EvSection.model_fields if key != "n_cars")
_HEAT_PUMP = tuple(key for key in HeatPumpSection.model_fields if key not in ("n_heat_pumps", "ground_c"))
_TAPS = tuple(key for key in TapChangerSection.model_fields if key != "enabled")
_LAYOUT = "n_branches", "trafo_std_type", "main_cable", "service_cable", "spacing_m"
_DRAWN = tuple(key for key in HousesSection.model_fields if key not in ("wallet_eur", "load_cos_phi", "table"))

RULES = (
    Rule("profiles", ("file",), 'profiles.source = "spain" or "table"', _by_source("profiles", "spain", "table")),
    Rule("profiles", ("load_shape",), 'profiles.source = "synthetic"', _by_source("profiles", "synthetic")),
    Rule(
        "profiles",
        ("timezone", "day_first"),
        'profiles.source = "table", pv.weather_file or heat_pump.temperature_file',
        _reads_times,
    ),
    Rule(
        "houses",
        _DRAWN,
        'profiles.source = "synthetic" or "spain"; a table brings its own houses',
        _draws_houses,
    ),
    Rule(
        "houses",
        ("prosumer_probability",),
        'houses.n_prosumers = "by_chance"',
        lambda scenario, _: scenario.houses.n_prosumers == "by_chance",
    ),
    Rule("market", ("arrival",), f"{_TRADE}, or an outage", _trades),
    Rule("market", ("pricing",), f"{_PRICED}, or an outage", _is_priced),
    Rule(
        "market",
        ("feed_in_ratio", "feed_in_eur_per_kwh"),
        f"{_TRADE}, an outage, or market.feed_in = true",
        lambda scenario, mechanism: scenario.market.feed_in or _trades(scenario, mechanism),
    ),
    Rule(
        "market",
        ("feed_in_ratio",),
        "leaving market.feed_in_eur_per_kwh out, which replaces it",
        lambda scenario, _: scenario.market.feed_in_eur_per_kwh is None,
    ),
    Rule(
        "market",
        ("envelope_rule", "envelope_forecast"),
        'market.network = "envelope"',
        lambda scenario, _: scenario.market.network == "envelope",
    ),
    Rule("tariff", ("timezone",), "tariff.bands", lambda scenario, _: bool(scenario.tariff.bands)),
    Rule("charges", ("timezone",), "a price of [charges]", lambda scenario, _: scenario.charges.is_on),
    Rule(
        "charges",
        ("local_share",),
        "charges.energy_eur_per_kwh or charges.bands",
        lambda scenario, _: bool(scenario.charges.bands or scenario.charges.energy_eur_per_kwh),
    ),
    Rule(
        "market",
        ("fixed_price_eur_per_kwh",),
        f'market.pricing = "fixed", and {_PRICED} or an outage',
        lambda scenario, mechanism: scenario.market.pricing == "fixed" and _is_priced(scenario, mechanism),
    ),
    Rule(
        "market",
        ("fee",),
        'market.mechanism = "sharing_central" or "sharing_hybrid"',
        lambda _, mechanism: mechanism.charges_fee or mechanism.name not in BUILT_IN,
    ),
    Rule("market", ("beta",), "market.mechanism = one of " + ", ".join(_SHARES), _by_market(*_SHARES)),
    Rule("market", ("selfish_beta",), 'market.mechanism = "sharing_selfish"', _by_market("sharing_selfish")),
    Rule("market", ("tau_hours",), "a sharing mechanism", _by_market(*_SHARES, "sharing_selfish")),
    Rule(
        "pv",
        ("weather_file", "latitude_deg", "longitude_deg", "tilt_deg", "azimuth_deg"),
        'pv.source = "pvwatts"',
        _by_source("pv", "pvwatts"),
    ),
    Rule("houses", ("production_ratio",), 'pv.source = "profiles"', _by_source("pv", "profiles")),
    Rule("pv", ("cos_phi", "underexcited"), 'pv.control = "cos_phi"', _by_control("cos_phi")),
    Rule("pv", ("q_v_vm_pu", "q_v_q_pu"), 'pv.control = "q_v"', _by_control("q_v")),
    Rule("pv", ("rating_kva_per_kw", "min_cos_phi"), 'pv.control = "cos_phi" or "q_v"', _by_control("cos_phi", "q_v")),
    Rule(
        "pv",
        ("volt_watt_vm_pu", "volt_watt_share"),
        "pv.volt_watt = true",
        lambda scenario, _: scenario.pv.volt_watt,
    ),
    Rule("tap_changer", _TAPS, "tap_changer.enabled = true", lambda scenario, _: scenario.tap_changer.enabled),
    Rule("network", _LAYOUT, 'network.source = "generated"', _by_source("network", "generated")),
    Rule("network", ("name",), 'network.source = "named"', _by_source("network", "named")),
    Rule(
        "network",
        ("file", "participants", "shared_bus"),
        'network.source = "file"',
        _by_source("network", "file"),
    ),
    Rule(
        "network",
        ("keep_elements",),
        'network.source = "named" or "file"; a generated feeder has no elements of its own',
        _by_source("network", "named", "file"),
    ),
    Rule("network", ("zero_sequence",), _UNBALANCED, _by_model("three_phase", "four_wire")),
    Rule("network", ("star_earth_ohm", "house_earth_ohm"), 'network.model = "four_wire"', _by_model("four_wire")),
    Rule(
        "network",
        ("phases",),
        f'{_UNBALANCED} and network.source = "generated" or "named"; in a network of your own the table of '
        "participants names phases",
        lambda scenario, _: scenario.network.model != "balanced" and scenario.network.source != "file",
    ),
    Rule("limits", ("max_vuf_percent",), _UNBALANCED, _by_model("three_phase", "four_wire")),
    Rule("limits", ("max_neutral_to_earth_v",), 'network.model = "four_wire"', _by_model("four_wire")),
    Rule("battery", ("inverter_cos_phi",), "an outage among the events", _has_outages),
    Rule("community", ("critical_share",), "an outage among the events", _has_outages),
    Rule("outage", ("dispatch", "lost_load_eur_per_kwh"), "an outage among the events", _has_outages),
    Rule(
        "outage",
        ("look_ahead_hours",),
        'outage.dispatch = "ahead" and an outage among the events',
        lambda scenario, mechanism: scenario.outage.dispatch == "ahead" and _has_outages(scenario, mechanism),
    ),
    Rule("ev", _EV, "ev.n_cars above 0, or yes in column 'ev' of the table of participants", _has_cars),
    Rule(
        "heat_pump",
        _HEAT_PUMP,
        "heat_pump.n_heat_pumps above 0, or yes in column 'heat_pump' of the table of participants",
        _has_heat_pumps,
    ),
    Rule(
        "heat_pump",
        ("ground_c",),
        'heat_pump.source = "ground" and heat_pump.n_heat_pumps above 0',
        lambda scenario, mechanism: scenario.heat_pump.source == "ground" and _has_heat_pumps(scenario, mechanism),
    ),
    Rule("own_stack", tuple(OwnStackSection.model_fields), 'a fuel cell of preset "own"', _has_own_stack),
)


def find_idle_keys(scenario: Scenario, mechanism: Mechanism) -> Iterator[IdleKey]:
    """Keys of a scenario that are away from their default and have no effect."""
    for rule in RULES:
        if rule.has_effect(scenario, mechanism):
            continue
        section = getattr(scenario, rule.section)
        for key in rule.keys:
            field = type(section).model_fields.get(key)
            if field is not None and getattr(section, key) != field.default:
                yield IdleKey(rule.section, key, rule.needs)


def check_idle_keys(scenario: Scenario, mechanism: Mechanism) -> None:
    """Refuse keys that do nothing, and a fixed price that is none.

    Raises
    ------
    ScenarioError
        One line for each such key.
    """
    where = f"scenario '{scenario.name}', "
    wrong = [
        f"{where}{section}.{key}: expected its default {_default(scenario, section, key)} since it has no effect "
        f"without {needs}, got {getattr(getattr(scenario, section), key)}; leave it out, or choose what it needs"
        for section, key, needs in find_idle_keys(scenario, mechanism)
    ]
    wrong += describe_idle_events(scenario)
    if (
        scenario.market.pricing == "fixed"
        and scenario.market.fixed_price_eur_per_kwh == 0.0
        and _is_priced(scenario, mechanism)
    ):
        wrong.append(
            f'{where}market.fixed_price_eur_per_kwh: expected a price above 0 for market.pricing = "fixed", got none; '
            "add fixed_price_eur_per_kwh = …"
        )
    if wrong:
        raise ScenarioError("\n".join(wrong))


def list_idle_batteries(scenario: Scenario, mechanism: Mechanism) -> tuple[str, ...]:
    """A note where the table of participants names batteries and nobody uses any, in no island either; allowed."""
    if mechanism.uses_battery or _has_outages(scenario, mechanism):
        return ()
    named = [row.participant for row in scenario.participants if row.battery_kwh]
    if not named:
        return ()
    others = f" and of {len(named) - 1} more" if named[1:] else ""
    return (
        f"table of participants: the battery of '{named[0]}'{others} stays idle: market.mechanism = "
        f'"{mechanism.name}" uses none',
    )


def list_idle_dimming(scenario: Scenario, n_devices: int) -> tuple[str, ...]:
    """A note where devices are to be dimmed and no house has any; allowed, as the rule cuts exchanges besides."""
    if n_devices or scenario.curtailment.rule != "section_14a":
        return ()
    return (
        'curtailment.rule = "section_14a": no house has a car or heat pump, so that nothing is dimmed; exchanges are '
        "cut as by least_curtailment",
    )


def _default(scenario: Scenario, section: str, key: str) -> str:
    default = type(getattr(scenario, section)).model_fields[key].default
    return "(not set)" if default is None else str(default)


def without_idle_keys(scenario: Scenario, mechanism: Mechanism) -> Scenario:
    """The scenario with its idle keys at their defaults: for studies, which vary what other keys depend on."""
    changes: dict[str, Any] = {}
    if (events := without_idle_event_keys(scenario)) != scenario.events:
        changes["events"] = list(events)
    for section, key, _ in find_idle_keys(scenario, mechanism):
        changes.setdefault(section, {})[key] = type(getattr(scenario, section)).model_fields[key].default
    return scenario.with_changes(**changes) if changes else scenario
