"""A scenario: what is simulated, as a frozen model of the TOML file; unknown keys and impossible values are errors."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import Field, ValidationError

from cosim.errors import ScenarioError
from cosim.notebook import table_html
from cosim.scenario import houses_of_today, sections, voltage
from cosim.scenario.base import AS_IN_NET, ScenarioName, Section
from cosim.scenario.charges import ChargesSection
from cosim.scenario.events import Event
from cosim.scenario.messages import explain
from cosim.scenario.participants import ParticipantSection
from cosim.scenario.tariff import TariffSection


class Scenario(Section):
    """A whole scenario.

    Parameters
    ----------
    where
        Where the content comes from, for messages.
    **content
        Keys and sections as in a scenario file; what is left out is at its default.

    Raises
    ------
    cosim.errors.ScenarioError
        If a key is unknown or a value is not as expected.

    Examples
    --------
    >>> Scenario().horizon.n_intervals
    8760
    """

    name: ScenarioName = Field("default", description="name of the scenario")
    seed: int = Field(1, ge=0, lt=2**31, description="seed of everything random")
    horizon: sections.Horizon = sections.Horizon()
    profiles: sections.ProfilesSection = sections.ProfilesSection()
    houses: sections.HousesSection = sections.HousesSection()
    battery: sections.BatterySection = sections.BatterySection()
    market: sections.MarketSection = sections.MarketSection()
    tariff: TariffSection = TariffSection()
    charges: ChargesSection = ChargesSection()
    pv: sections.PvSection = sections.PvSection()
    network: sections.NetworkSection = sections.NetworkSection()
    tap_changer: voltage.TapChangerSection = voltage.TapChangerSection()
    limits: sections.LimitsSection = sections.LimitsSection()
    curtailment: sections.CurtailmentSection = sections.CurtailmentSection()
    community: sections.CommunitySection = sections.CommunitySection()
    outage: sections.OutageSection = sections.OutageSection()
    own_stack: sections.OwnStackSection = sections.OwnStackSection()
    ev: houses_of_today.EvSection = houses_of_today.EvSection()
    heat_pump: houses_of_today.HeatPumpSection = houses_of_today.HeatPumpSection()
    ledger: sections.LedgerSection = sections.LedgerSection()
    engine: sections.EngineSection = sections.EngineSection()
    participants: tuple[ParticipantSection, ...] = ()
    events: tuple[Event, ...] = ()

    def __init__(self, where: str = "Scenario", /, **content: Any) -> None:
        try:
            super().__init__(**content)
        except ValidationError as reason:
            raise ScenarioError(explain(reason, type(self), where)) from reason

    @classmethod
    def load(cls, source: str | Path) -> Scenario:
        """Scenario from a TOML file, or a bundled one by name; see `cosim.scenario.files.load_scenario`."""
        from cosim.scenario.files import load_scenario

        return load_scenario(source)

    def with_changes(self, where: str = "with_changes", /, **changes: dict[str, Any] | Any) -> Scenario:
        """Scenario with some keys changed, validated anew; `where` names the origin of the changes in messages.

        Raises
        ------
        cosim.errors.ScenarioError
            If a key is unknown or a value is not as expected.

        Examples
        --------
        >>> Scenario().with_changes(horizon={"hours": 24}, seed=7).horizon.hours
        24
        """
        content = self.model_dump()
        content["horizon"] = self.horizon.model_dump(exclude_unset=True)  # what is left out may follow a file
        for key, value in changes.items():
            if isinstance(value, dict) and isinstance(content.get(key), dict):
                content[key] = {**content[key], **value}
            else:
                content[key] = value
        return Scenario(where, **content)

    def _repr_html_(self) -> str:
        """Small table for Jupyter: what tells this scenario apart from the defaults."""
        return format_scenario_html(self)

    def digest(self) -> bytes:
        """SHA-256 over the canonical JSON of every key that can change a result.

        Left out are the name, the engine, the time zone that results are shown in, what the ledger's first block says
        itself, paths and how a file is read: what the files hold is hashed with profiles and network.
        """
        ledger = set(type(self.ledger).model_fields)
        left_out: dict[str, Any] = {
            "profiles": {"file", "day_first"},
            "network": {"file", "participants", "head_file"},
            "houses": {"table"},
            "ledger": ledger,
            "horizon": {"timezone"},
            "engine": True,
            "name": True,
        }
        content = self.model_dump(mode="json", exclude=left_out)
        content["participants"] = [row.given() for row in self.participants]
        if not self.participants:  # as before there were any
            del content["participants"]
        if self.houses.load_cos_phi == 1.0:  # as in ledgers that were begun before loads had reactive power
            del content["houses"]["load_cos_phi"]
        limits = content["limits"]  # as in ledgers that were begun when these were the defaults
        limits |= {name: value for name, value in _LIMITS_BEFORE.items() if limits[name] == AS_IN_NET}
        if not limits["override"]:
            del limits["override"]
        for section, keys in _YOUNGER.items():  # as in ledgers that were begun before there were these keys
            given = getattr(self, section)
            for key in keys:
                if getattr(given, key) == type(given).model_fields[key].default:
                    del content[section][key]
        if not self.tariff.bands:
            del content["tariff"]
        if not self.charges.is_on:  # as before there were any
            del content["charges"]
        if not content["outage"]:
            del content["outage"]
        if not self.tap_changer.enabled:  # as before there were any
            del content["tap_changer"]
        content["pv"].pop("weather_file")  # what it holds is hashed with the profiles
        content["heat_pump"].pop("temperature_file")  # what it holds is hashed with the devices
        for section, key in (("ev", "n_cars"), ("heat_pump", "n_heat_pumps")):  # as before there were any
            if content[section][key] == 0:
                del content[section]
        return hashlib.sha256(json.dumps(content, sort_keys=True, separators=(",", ":")).encode()).digest()


_LIMITS_BEFORE = {"min_vm_pu": 0.9, "max_vm_pu": 1.1, "max_loading_percent": 100.0}
_YOUNGER = {
    "network": ("model", "phases", "zero_sequence", "star_earth_ohm", "house_earth_ohm"),
    "market": ("feed_in_eur_per_kwh", "network", "envelope_rule", "envelope_forecast"),
    "limits": ("max_vuf_percent", "max_neutral_to_earth_v"),
    "outage": ("dispatch", "look_ahead_hours", "lost_load_eur_per_kwh"),
    "pv": (
        *("source", "latitude_deg", "longitude_deg", "tilt_deg", "azimuth_deg"),
        *("volt_watt", "volt_watt_vm_pu", "volt_watt_share"),
    ),
}

SHOWN_ALWAYS = (
    "horizon.start",
    "horizon.hours",
    "horizon.interval_minutes",
    "market.mechanism",
    "network.source",
)


def format_scenario_html(scenario: Scenario) -> str:
    """The keys that tell a scenario apart: the main ones, and those that are not at their default."""
    values = dict(_flatten(scenario.model_dump(mode="json")))
    defaults = dict(_flatten(type(scenario)().model_dump(mode="json")))
    rows = [
        (key, value, "" if value == defaults.get(key) else f"default {defaults.get(key, 'none')}")
        for key, value in values.items()
        if key in SHOWN_ALWAYS or (value != defaults.get(key) and key != "name")
    ]
    return table_html(f"gridsettle scenario '{scenario.name}'", ("key", "value", ""), rows)


def _flatten(content: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Keys of nested tables, joined by points."""
    for key, value in content.items():
        if isinstance(value, dict) and value:
            yield from _flatten(value, f"{prefix}{key}.")
        else:
            yield prefix + key, value
