"""Sections of a scenario file: keys with their units, defaults and ranges; no key depends on another section."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from cosim.scenario.base import (
    AS_IN_NET,
    CosPhi,
    Hours,
    LoadingLimit,
    Moment,
    NotNegative,
    Positive,
    Ratio,
    Section,
    VoltageLimit,
    Zone,
    is_whole,
)
from grid_models.devices.inverter import VDE_AR_N_4105
from grid_models.devices.volt_watt import VoltWatt
from market.ledger.format import quorum as quorums


class Horizon(Section):
    """When the simulation begins, how long it lasts and in which steps."""

    start: Moment = Field(
        datetime(2017, 1, 1, tzinfo=UTC),
        description="first interval begins, UTC; where source = spain and start or hours are left out, as in the file",
    )
    hours: Hours = Field(8760, gt=0, le=1_000_000, description="length in hours, whole intervals")
    interval_minutes: Literal[1, 5, 10, 15, 30, 60] = Field(
        60, description="length of an interval: 1, 5, 10, 15, 30 or 60 minutes"
    )

    timezone: Zone = Field("UTC", description="time zone of the local time that screen and report show beside UTC")

    @property
    def n_intervals(self) -> int:
        """Number of intervals T."""
        return round(self.hours * 60 / self.interval_minutes)

    @model_validator(mode="after")
    def _of_whole_intervals(self) -> Horizon:
        if not is_whole(self.hours, self.interval_minutes):
            raise ValueError(
                f"hours: expected whole {self.interval_minutes}-minute intervals, got {self.hours:g}; round it, or "
                "choose a shorter interval_minutes"
            )
        return self


class ProfilesSection(Section):
    """Where load, generation and prices come from."""

    source: Literal["synthetic", "spain", "table"] = Field(
        "synthetic",
        description="synthetic: Spain-like series, no file; spain: the Kaggle file; table: your own CSV or Parquet",
    )
    file: Path | None = Field(None, description="the file of source spain or table, relative to this scenario")
    load_shape: Literal["household", "country"] = Field(
        "household",
        description="synthetic load; household: BDEW profile H0; country: a fifth H0, a fifth G0, rest constant",
    )
    timezone: Zone = Field(
        "UTC", description="time zone of times without offset in a table, of weather and temperature too"
    )
    day_first: bool | None = Field(
        None, description="dates like 03/04/2017 in a table: true for April, false for March; none: the file decides"
    )
    price_eur_per_kwh: NotNegative | None = Field(
        None, le=10, description="constant utility price, EUR/kWh, in place of the series'; a table must have none then"
    )


class HousesSection(Section):
    """The houses drawn for synthetic and Spanish series; a table brings its own."""

    n_houses: int = Field(25, gt=0, le=100_000, description="number of houses")
    prosumer_probability: Ratio = Field(0.5, description="chance of a house to have panels")
    n_prosumers: Annotated[int, Field(ge=0)] | Literal["by_chance"] = Field(
        12, description='exact number of prosumers, or "by_chance"'
    )
    panels_min: int = Field(17, ge=1, description="panels per prosumer, at least")
    panels_max: int = Field(21, ge=1, description="panels per prosumer, at most")
    panel_w_min: int = Field(170, ge=1, description="rating of a panel, W, at least")
    panel_w_max: int = Field(350, ge=1, description="rating of a panel, W, at most")
    mean_load_w: Positive = Field(987.0, description="mean load of a house, W")
    load_level_spread: Ratio = Field(0.4, description="houses use (1 ± spread) times the mean load, uniform")
    load_noise: Annotated[float, Field(ge=0, le=2)] = Field(
        0.2, description="standard deviation of the logarithm of each hour's load noise"
    )
    production_ratio: Annotated[float, Field(ge=0, le=100)] | Literal["as_drawn"] = Field(
        0.58,
        description='generation over demand without cars and heat pumps, to which the panels are scaled, or "as_drawn"',
    )
    wallet_eur: NotNegative = Field(100.0, le=1e9, description="money in each wallet at the start, EUR")
    table: Path | None = Field(
        None,
        description="CSV or Parquet with a row for each participant whose parameters are your own, relative to this "
        "scenario; columns as the keys of [[participants]]",
    )
    load_cos_phi: CosPhi = Field(
        AS_IN_NET,
        description="power factor of every load, inductive; negative: capacitive; as_in_net: that of the net's own "
        "loads at the house's bus, 0.95 on a generated feeder",
    )


class BatterySection(Section):
    """Batteries of the houses."""

    capacity_kwh_min: NotNegative = Field(5.0, description="smallest capacity drawn, kWh")
    capacity_kwh_max: NotNegative = Field(15.0, le=10_000, description="largest capacity drawn, kWh")
    charge_efficiency: Annotated[float, Field(gt=0, le=1)] = Field(0.95, description="stored over charged")
    discharge_efficiency: Annotated[float, Field(gt=0, le=1)] = Field(0.95, description="delivered over drawn")
    c_rate: Positive = Field(0.5, le=100, description="largest power over capacity, kW/kWh")
    soc_min: Ratio = Field(0.10, description="lowest state of charge")
    soc_max: Ratio = Field(0.90, description="highest state of charge")
    self_discharge_per_month: Annotated[float, Field(ge=0, lt=1)] = Field(
        0.0, description="share of own energy lost in 30 days"
    )
    inverter_cos_phi: Annotated[float, Field(gt=0, le=1)] = Field(
        0.9,
        description="rated active over apparent power of the inverters; limits what holds an island (the grid former)",
    )
    replacement_eur_per_kwh: NotNegative = Field(
        0.0, le=1e5, description="price of a new battery, EUR/kWh; values the wear in battery_wear.csv"
    )

    @model_validator(mode="after")
    def _ordered(self) -> BatterySection:
        if self.capacity_kwh_min > self.capacity_kwh_max:
            raise ValueError("capacity_kwh_min is above capacity_kwh_max")
        if self.soc_min > self.soc_max:
            raise ValueError("soc_min is above soc_max")
        return self


class MarketSection(Section):
    """How trades and shares are cleared."""

    mechanism: str = Field(
        "sharing_p2p",
        description="none, trading, trading_battery, sharing_central, sharing_p2p, sharing_hybrid, "
        "sharing_selfish, double_auction, or one of an installed package",
    )
    pricing: Literal["requests_offers", "mid_market", "supply_demand_ratio", "fixed"] = Field(
        "requests_offers", description="rule of the uniform price between feed-in tariff and utility price"
    )
    fixed_price_eur_per_kwh: NotNegative = Field(0.0, le=10, description="price of pricing = fixed, EUR/kWh")
    feed_in_ratio: Ratio = Field(1 / 3, description="feed-in tariff over utility price")
    feed_in_eur_per_kwh: NotNegative | None = Field(
        None,
        le=10,
        description="fixed feed-in tariff, EUR/kWh, in place of feed_in_ratio; never above the utility price",
    )
    feed_in: bool = Field(False, description="true: surplus is exported at the feed-in tariff; false: spilled")
    fee: Ratio = Field(0.1, description="contract's share of prosumers' sales (sharing_central, sharing_hybrid)")
    beta: Annotated[float, Field(ge=0.001, le=0.999)] = Field(0.5, description="share of e used at once")
    selfish_beta: Annotated[float, Field(ge=0, le=0.999)] = Field(
        0.1, description="smallest such share that a consumer accepts (sharing_selfish)"
    )
    tau_hours: int = Field(
        12,
        ge=1,
        le=10_000,
        description="how long shared energy stays its owner's in the host's battery (life of a lot), hours",
    )
    arrival: Literal["index", "rotate", "shuffle"] = Field("index", description="order of service")
    network: Literal["after", "envelope"] = Field(
        "after",
        description="after: what the network cannot carry is cut once the market has cleared; envelope: orders are "
        "clipped before to what it carries in any combination",
    )
    envelope_rule: Literal["max_min", "equal", "proportional", "max_total"] = Field(
        "max_min", description="how houses share what the network carries, network = envelope"
    )
    envelope_forecast: Literal["perfect", "day_before"] = Field(
        "perfect",
        description="load and generation that envelopes are found for; perfect: the profiles'; day_before: those of "
        "the same time a day earlier",
    )


class PvSection(Section):
    """Panels: what they generate, and the reactive power of their inverters."""

    source: Literal["profiles", "pvwatts"] = Field(
        "profiles", description="generation; profiles: of the series or table; pvwatts: of a table of weather, by roof"
    )
    weather_file: Path | None = Field(
        None, description="CSV time,ghi,dni,dhi,temp_air,wind_speed of every hour, relative to this scenario"
    )
    latitude_deg: Annotated[float, Field(ge=-66, le=66)] | None = Field(
        None, description="latitude of the houses, degrees north, source = pvwatts"
    )
    longitude_deg: Annotated[float, Field(ge=-180, le=180)] | None = Field(
        None, description="longitude of the houses, degrees east, source = pvwatts"
    )
    tilt_deg: Annotated[float, Field(ge=0, le=90)] = Field(
        30.0, description="tilt of roofs that the table of participants says nothing of, degrees"
    )
    azimuth_deg: Annotated[float, Field(ge=0, le=360)] = Field(
        180.0, description="where those roofs look, degrees; 90: east, 180: south, 270: west"
    )
    control: Literal["none", "cos_phi", "q_v"] = Field(
        "none", description="none: no reactive power; cos_phi: fixed power factor; q_v: characteristic Q(V)"
    )
    cos_phi: Annotated[float, Field(gt=0, le=1)] = Field(0.95, description="power factor of control = cos_phi")
    underexcited: bool = Field(True, description="true: absorbs reactive power, which lowers voltages; false: injects")
    q_v_vm_pu: tuple[Positive, ...] = Field(
        VDE_AR_N_4105.vm_pu, description="voltages of the points of control = q_v, pu (VDE-AR-N 4105:2018-11)"
    )
    q_v_q_pu: tuple[Annotated[float, Field(ge=-1, le=1)], ...] = Field(
        VDE_AR_N_4105.q_pu, description="reactive power at each over the rating, positive = injected"
    )
    rating_kva_per_kw: Positive = Field(
        1.12, le=10, description="rated apparent power over the largest generation of the profile, kVA/kW"
    )
    min_cos_phi: Annotated[float, Field(gt=0, le=1)] = Field(
        0.90, description="smallest power factor, whatever the control asks for"
    )
    volt_watt: bool = Field(False, description="true: inverters reduce active power at high voltage, P(V), volt-watt")
    volt_watt_vm_pu: tuple[Positive, ...] = Field(
        VoltWatt.vm_pu, description="voltages where P(V) begins and where it is complete, pu (IEEE 1547-2018)"
    )
    volt_watt_share: Ratio = Field(
        VoltWatt.share, description="share of the largest generation that P(V) leaves at the second voltage and above"
    )


ZERO_SEQUENCE = ("r0_over_r1", "x0_over_x1", "c0_over_c1")


RATIOS, EARTHS_OHM = (0.01, 1000.0), (0.001, 10_000.0)
"""What ratios of a zero sequence to the positive one may be, and resistances to earth."""


def _check_number(value: Any) -> Any:
    if isinstance(value, bool):
        raise ValueError(f"expected a number, got {str(value).lower()}")
    return value


def _check_range(what: str, low: float, high: float, unit: str = "") -> AfterValidator:
    def check(value: float) -> float:
        if not low <= value <= high:
            raise ValueError(f"expected a {what} from {low:g} to {high:g}{unit}, got {value:g}; correct it")
        return value

    return AfterValidator(check)


ZeroRatio = Annotated[float, BeforeValidator(_check_number), _check_range("ratio", *RATIOS)]
EarthOhm = Annotated[float, BeforeValidator(_check_number), _check_range("resistance", *EARTHS_OHM, " ohm")]


def _check_zero_sequence(given: dict[str, float]) -> dict[str, float]:
    if given and sorted(given) != sorted(ZERO_SEQUENCE):
        raise ValueError(
            f"expected the keys {', '.join(ZERO_SEQUENCE)}, got {', '.join(given)}; write all three, for a four-core "
            "cable {r0_over_r1 = 4.0, x0_over_x1 = 4.0, c0_over_c1 = 1.0}"
        )
    return given


class NetworkSection(Section):
    """The feeder."""

    source: Literal["generated", "named", "file"] = Field(
        "generated",
        description="generated: radial feeder; named: a pandapower net; file: your pandapower JSON",
    )
    name: str | None = Field(None, description="name of a pandapower net, e.g. cigre_lv")
    file: Path | None = Field(None, description="pandapower JSON, relative to this scenario")
    participants: Path | None = Field(None, description="CSV participant,bus for your file")
    head_file: Path | None = Field(
        None, description="table time,vm_pu,max_loading_percent of the feeder's head; none: the voltage in the net"
    )
    model: Literal["balanced", "three_phase", "four_wire"] = Field(
        "balanced",
        description="balanced: all phases alike; three_phase: each by itself, the neutral earthed everywhere; "
        "four_wire: with the neutral as a conductor of its own",
    )
    phases: Literal["balanced", "drawn", "worst"] = Field(
        "drawn",
        description="houses of a generated or named network in an unbalanced model; balanced: all on three phases; "
        "drawn: from the seed; worst: every one-phase house on phase a",
    )
    zero_sequence: Annotated[dict[str, ZeroRatio], AfterValidator(_check_zero_sequence)] = Field(
        {},
        description="r0_over_r1, x0_over_x1 and c0_over_c1 of lines without zero-sequence values, unbalanced models",
    )
    star_earth_ohm: EarthOhm = Field(
        1.0, description="resistance to earth of a transformer's star point, ohm, model = four_wire"
    )
    house_earth_ohm: EarthOhm | None = Field(
        None, description="resistance to earth of the neutral at every house, ohm, model = four_wire; none: not earthed"
    )
    keep_elements: bool = Field(False, description="keep the net's own loads and generators beside the houses")
    shared_bus: bool = Field(False, description="allow several houses at one bus")
    line_ratings_ka: dict[str, Positive] = Field({}, description="line name = max_i_ka, to set ratings")
    n_branches: int = Field(3, ge=1, le=1000, description="main cables of a generated feeder")
    trafo_std_type: str = Field("0.25 MVA 20/0.4 kV", description="pandapower standard type of the transformer")
    main_cable: str = Field("NAYY 4x150 SE", description="pandapower standard type of the main cables")
    service_cable: str = Field("NAYY 4x50 SE", description="pandapower standard type of the house connections")
    spacing_m: Positive = Field(280.0, description="distance between houses along a main cable, m")


class LimitsSection(Section):
    """What the network must keep: of a limit here and the net's own the stricter one holds."""

    min_vm_pu: VoltageLimit = Field(
        AS_IN_NET, description="lowest voltage, pu; as_in_net: that of the bus in the net, else 0.90 (EN 50160)"
    )
    max_vm_pu: VoltageLimit = Field(
        AS_IN_NET, description="highest voltage, pu; as_in_net: that of the bus in the net, else 1.10 (EN 50160)"
    )
    max_loading_percent: LoadingLimit = Field(
        AS_IN_NET, description="highest loading of lines and transformers, %; as_in_net: that in the net, else 100"
    )
    max_vuf_percent: Positive = Field(
        2.0, le=100, description="largest voltage unbalance |V2|/|V1|, %, unbalanced models (EN 50160)"
    )
    max_neutral_to_earth_v: Positive | None = Field(
        None, description="largest voltage of the neutral to earth, V, model = four_wire; none: not judged"
    )
    override: bool = Field(False, description="limits given here hold instead of the net's own, stricter or not")
    warn_loading_percent: Positive = Field(80.0, description="loading that is reported, %")

    @model_validator(mode="after")
    def _ordered(self) -> LimitsSection:
        low, high = self.min_vm_pu, self.max_vm_pu
        if isinstance(low, float) and isinstance(high, float) and low >= high:
            raise ValueError("min_vm_pu is not below max_vm_pu")
        if self.override and not any(isinstance(value, float) for value in (low, high, self.max_loading_percent)):
            raise ValueError("override = true does nothing where every limit is as_in_net; give a limit")
        return self

    def asked(self) -> dict[str, Any]:
        """Arguments of `Limits.from_feeder`: None where the net or a standard decides.

        A default counts as left out, since changed scenarios and those of a run name every key.
        """
        values = self.model_dump()
        if self.max_vuf_percent == type(self).model_fields["max_vuf_percent"].default:
            values["max_vuf_percent"] = None
        return {key: None if value == AS_IN_NET else value for key, value in values.items()}


class CurtailmentSection(Section):
    """What happens to exchanges that the network cannot carry."""

    rule: Literal["least_curtailment", "pro_rata", "lifo", "max_min", "reject", "section_14a"] = Field(
        "least_curtailment",
        description="least_curtailment: cheapest by a linear programme; pro_rata: one share for all; lifo: last come, "
        "first cut; max_min: smallest share as large as possible; reject: all or nothing; section_14a: cars and heat "
        "pumps are dimmed by one share of what each wants above 4.2 kW, then as least_curtailment",
    )
    priority: dict[str, Literal["low", "normal", "high"]] = Field(
        {}, description="house = priority of its load: shed last of all, low before normal before high, in islands too"
    )
    compensation_eur_per_kwh: NotNegative = Field(
        0.0,
        le=10,
        description="paid by the network operator for energy spilled because of curtailment, EUR/kWh",
    )


class LedgerSection(Section):
    """Who signs the ledger, and who may read it."""

    operator_key: Path | None = Field(
        None,
        description="PKCS#8 key of the operator; without one a demonstration key is derived from the seed",
    )
    member_keys: Path | None = Field(
        None,
        description="folder with the houses' keys member-000.key, …, as gridsettle ledger init --members makes them",
    )
    members_sign: bool = Field(False, description="every house signs its own entries, each interval")
    private: bool = Field(
        False,
        description="records that name a house are commitments; they lie in stores of the houses and of the operator",
    )

    facts: bool = Field(
        False,
        description="orders and the market's rules are on the ledger, so that prices and clearing can be verified",
    )

    replacement_wait_hours: int | None = Field(
        None,
        ge=0,
        le=100_000,
        description="hours that a key waits in place of one that the operator ended; 168 if operator_key is set",
    )

    witnesses: tuple[str, ...] = Field(
        (), description="verifier key lines of witnesses, of which a quorum cosigns each checkpoint that counts"
    )

    quorum: int | None = Field(
        None, ge=1, le=32, description="how many of the witnesses must cosign; all of them if left out"
    )

    @model_validator(mode="after")
    def _quorum_can_be_reached(self) -> LedgerSection:
        if self.witnesses:
            quorums.parse_witnesses(self.witnesses, len(self.witnesses) if self.quorum is None else self.quorum)
        elif self.quorum is not None:
            raise ValueError("quorum only with witnesses; give their verifier key lines")
        return self

    @model_validator(mode="after")
    def _keys_are_secret(self) -> LedgerSection:
        if self.private and (self.operator_key is None or self.member_keys is None):
            raise ValueError(
                "private = true only with operator_key and member_keys, since everybody can derive demonstration "
                "keys; make some with gridsettle ledger init"
            )
        if self.operator_key is None and self.replacement_wait_hours is not None:
            raise ValueError(
                "replacement_wait_hours only with operator_key: with demonstration keys everybody can sign for all"
            )
        return self


class CommunitySection(Section):
    """What the houses own together: one more participant, named community."""

    enabled: bool = Field(False, description="whether there is one")
    pv_kwp: NotNegative = Field(8.0, le=1e6, description="its panels, kWp")
    battery_kwh: NotNegative = Field(30.0, le=1e6, description="its battery, kWh")
    fuel_cell: Literal["none", "pem-1.26kw", "pem-6kw", "pem-50kw", "sofc-3kw", "own"] = Field(
        "pem-6kw", description="its fuel cell stacks: none, a preset, or own as in [own_stack]"
    )
    units: int = Field(1, ge=1, le=1000, description="number of stacks")
    tank_kg: NotNegative = Field(10.0, le=1e6, description="hydrogen in the full tank, kg")
    fuel_eur_per_kg: NotNegative = Field(5.3, le=1000, description="price of hydrogen, EUR/kg")
    critical_share: Ratio = Field(0.3, description="share of every house's load that is shed last in an island")


class OutageSection(Section):
    """How the network is run while the grid is away, and what that costs."""

    dispatch: Literal["hourly", "ahead"] = Field(
        "hourly", description="hourly serves all load while it can; ahead keeps energy for critical load to come"
    )
    look_ahead_hours: int = Field(24, ge=1, le=168, description="hours of critical load that ahead keeps energy for")
    lost_load_eur_per_kwh: NotNegative | None = Field(
        None, le=1e6, description="value of lost load, EUR per kWh not served; default: outages are not priced"
    )


class OwnStackSection(Section):
    """The fuel cell named own, from your data sheet; the numbers here are those of pem-6kw."""

    eoc_v: Positive = Field(65.0, description="open-circuit voltage of the stack, V")
    v1_v: Positive = Field(63.0, description="voltage at 1 A, V")
    nominal_a: Positive = Field(133.3, description="nominal current, A")
    nominal_v: Positive = Field(45.0, description="voltage there, V")
    max_a: Positive = Field(225.0, description="maximum current, A")
    max_v: Positive = Field(37.0, description="voltage there, V")
    cells: int = Field(65, ge=1, description="cells in series")
    nominal_efficiency: Annotated[float, Field(gt=0, le=1)] = Field(
        0.55, description="efficiency at the nominal point, of the lower heating value"
    )
    auxiliary_share: Ratio = Field(0.10, description="share of the stack's power that auxiliaries take")
    inverter_efficiency: Annotated[float, Field(gt=0, le=1)] = Field(0.95, description="AC over DC power")
    minimum_load: Ratio = Field(0.10, description="least load, share of nominal power")
    ramp_per_hour: Positive = Field(60.0, description="largest change of power in an hour, share of nominal power")
    start_hours: NotNegative = Field(2 / 60, description="time to start, hours")


class EngineSection(Section):
    """How the run is computed; nothing here changes a result."""

    window: int | None = Field(None, ge=1, le=100_000, description="intervals per window; default adapts")
    verify_sample: int = Field(24, ge=0, description="intervals solved again by pandapower.runpp as a check")
