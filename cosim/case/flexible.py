"""Cars and heat pumps of a scenario: which houses have one, what it is, and what it will do, drawn from the seed."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256

import numpy as np
import numpy.typing as npt

from cosim.case.community import COMMUNITY
from cosim.case.heat_pumps import HeatPumps, make_heat_pumps, read_own_temperatures
from cosim.case.houses import list_rows
from cosim.delivery.flexible import DIMMED_KW, NO_DEVICES, FlexibleDevices
from cosim.errors import ScenarioError
from cosim.scenario.houses_of_today import EvSection
from cosim.scenario.model import Scenario
from data.ev_sessions import Sessions, draw_sessions
from data.profiles import Profiles
from data.temperature_table import Temperatures
from grid_models.devices.flexible import PPM, Strategy
from market.exchanges import CAR, FLEXIBLE, FLEXIBLE_KIND, HEAT_PUMP, Ints, Rows
from market.state import NO_FLEXIBLE

CAR_HOUSES, HEAT_HOUSES, TRIPS = 5, 6, 7
"""Numbers of the random streams of houses with cars, of houses with heat pumps, and of trips."""
SAMPLED = 1
"""Behind that of trips: of cars that nobody has."""


def make_flexible_devices(scenario: Scenario, profiles: Profiles, own: Temperatures | None = None) -> FlexibleDevices:
    """Devices that can wait: cars by house, then heat pumps by house.

    Parameters
    ----------
    scenario
        Who has which.
    profiles
        Participants and times.
    own
        The user's temperatures; None: they are drawn.

    Raises
    ------
    ScenarioError
        If more houses are to have a device than there are, or what a device needs is missing.
    data.errors.DataError
        If the table of temperatures does not cover the run.
    """
    cars, pumps = (draw_houses(scenario, profiles.participants, section) for section in ("ev", "heat_pump"))
    if not cars.size and not pumps.size:
        return NO_DEVICES
    if scenario.ledger.private:
        raise ScenarioError(
            f"scenario '{scenario.name}', ledger.private: expected false where houses have cars or heat pumps, since "
            f"their records cannot be hidden yet, got true; {_tell_how_to_do_without(scenario)}, or set private to "
            "false"
        )
    sessions = _draw_sessions(scenario, profiles, cars.size)
    return _join(scenario, profiles, (cars, sessions), (pumps, make_heat_pumps(scenario, profiles, pumps.size, own)))


def sample_devices(scenario: Scenario, profiles: Profiles, n: int, section: str) -> FlexibleDevices:
    """Cars (`ev`) or heat pumps (`heat_pump`) that nobody has: what n more of them would do, one house after the other.

    Raises
    ------
    ScenarioError
        If a heat pump needs what is not installed.
    """
    houses, nobody = np.arange(n, dtype=np.int64) % profiles.n_participants, np.zeros(0, np.int64)
    wh_per_km = np.full(n if section == "ev" else 0, scenario.ev.consumption_kwh_per_100km * 10.0)
    seed = int(np.random.default_rng([scenario.seed, TRIPS, SAMPLED]).integers(2**31))
    sessions = draw_sessions(profiles.start, profiles.n_intervals, profiles.interval_minutes, wh_per_km, seed)
    if section == "ev":
        return _join(scenario, profiles, (houses, sessions), (nobody, make_heat_pumps(scenario, profiles, 0)))
    own = read_own_temperatures(scenario)
    return _join(scenario, profiles, (nobody, sessions), (houses, make_heat_pumps(scenario, profiles, n, own)))


def draw_houses(scenario: Scenario, participants: Sequence[str], section: str) -> Ints:
    """Houses that have a device of a section, in order.

    Those of which the table of participants says so, and as many more as are missing, drawn among houses of which it
    says nothing; the community never draws one.

    Raises
    ------
    ScenarioError
        If more houses are to have one than there are.
    """
    key, wanted, stream = {
        "ev": ("n_cars", scenario.ev.n_cars, CAR_HOUSES),
        "heat_pump": ("n_heat_pumps", scenario.heat_pump.n_heat_pumps, HEAT_HOUSES),
    }[section]
    said = [None if row is None else getattr(row, section) for row in list_rows(scenario, participants)]
    own = [k for k, word in enumerate(said) if word]
    n = len(participants) - (COMMUNITY in participants and scenario.community.enabled)
    free, missing = [k for k in range(n) if said[k] is None], wanted - len(own)
    if missing > len(free):
        of_table = f" of which the table of participants does not say no in column '{section}'"
        raise ScenarioError(
            f"scenario '{scenario.name}', {section}.{key}: expected at most one for each of {len(own) + len(free)} "
            f"houses{of_table if len(free) < n else ''}, got {wanted}; take fewer, or more houses"
        )
    if missing <= 0:
        return np.array(own, np.int64)
    order = np.random.default_rng([scenario.seed, stream]).permutation(n).tolist()
    drawn = [k for k in order if said[k] is None][:missing]
    return np.sort(np.array([*own, *drawn], np.int64))


def _tell_how_to_do_without(scenario: Scenario) -> str:
    """How to have no cars and no heat pumps: numbers take away those that are drawn, the table those that it names."""
    counts = {"ev": scenario.ev.n_cars, "heat_pump": scenario.heat_pump.n_heat_pumps}
    n_named = {key: sum(bool(getattr(row, key)) for row in scenario.participants) for key in counts}
    in_table = " and ".join(f"'{key}'" for key, n in n_named.items() if n)
    keys = {"ev": "ev.n_cars", "heat_pump": "heat_pump.n_heat_pumps"}
    drawn = " and ".join(keys[key] for key, n in n_named.items() if counts[key] > n or not n)
    ways = [f"write no in column {in_table} of the table of participants"] if in_table else []
    return " and ".join([*ways, *([f"set {drawn} to 0"] if drawn else [])])


def _draw_sessions(scenario: Scenario, profiles: Profiles, n_cars: int) -> Sessions:
    wh_per_km = np.full(n_cars, scenario.ev.consumption_kwh_per_100km * 10.0)
    seed = int(np.random.default_rng([scenario.seed, TRIPS]).integers(2**31))
    return draw_sessions(profiles.start, profiles.n_intervals, profiles.interval_minutes, wh_per_km, seed)


def _join(
    scenario: Scenario, profiles: Profiles, of_cars: tuple[Ints, Sessions], of_pumps: tuple[Ints, HeatPumps]
) -> FlexibleDevices:
    (cars, sessions), (pumps, heat), ev, pump = of_cars, of_pumps, scenario.ev, scenario.heat_pump
    hours, n_intervals = profiles.interval_minutes / 60.0, profiles.n_intervals
    never = np.zeros((n_intervals, pumps.size), np.int32)

    def each(of_a_car: float, of_a_pump: float) -> Ints:
        return np.repeat([round(of_a_car), round(of_a_pump)], [cars.size, pumps.size]).astype(np.int64)

    efficiency = np.full((n_intervals, cars.size), round(ev.efficiency * PPM), np.int32)
    least_on = -(-pump.minimum_on_minutes // profiles.interval_minutes)
    return FlexibleDevices(
        kind=each(CAR, HEAT_PUMP),
        house=np.concatenate([cars, pumps]),
        strategy=each(Strategy[ev.strategy.upper()], Strategy[pump.strategy.upper()]),
        power_wh=each(ev.charger_kw * hours * 1000.0, pump.power_kw * hours * 1000.0),
        least_power_wh=each(0, pump.power_kw * pump.minimum_load * hours * 1000.0),
        capacity_wh=each(ev.battery_kwh * 1000.0, pump.buffer_kwh * 1000.0),
        target_wh=each(_target_wh(ev), 0),
        n_must_run=each(0, least_on),
        gain_ppm=np.hstack([efficiency, heat.gain_ppm]),
        used_wh=np.hstack([sessions.used_wh, heat.demand_wh]),
        leaves=np.hstack([sessions.leaves, never]),
        price_ueur_per_kwh=profiles.price_ueur_per_kwh.copy(),
        numbers=np.array([round(DIMMED_KW * hours * 1000.0), 24 * 60 // profiles.interval_minutes]),
    )


def _target_wh(ev: EvSection) -> float:
    return ev.target * ev.battery_kwh * 1000.0


def make_opening_rows(devices: FlexibleDevices) -> Rows:
    """Rows of devices before the first interval, (D,): cars are charged, buffers are half full."""
    n = devices.kind.size
    if n == 0:
        return NO_FLEXIBLE
    rows = np.zeros(n, FLEXIBLE)
    rows["kind"], rows["status"], rows["house"] = FLEXIBLE_KIND, devices.kind, devices.house
    rows["capacity_wh"], rows["most_wh"], rows["least_wh"] = (
        devices.capacity_wh,
        devices.power_wh,
        devices.least_power_wh,
    )
    rows["held_wh"] = np.where(devices.kind == CAR, devices.target_wh, devices.capacity_wh // 2)
    rows["gain_ppm"] = np.where(devices.kind == CAR, devices.gain_ppm[0], 0)
    return rows


def digest_devices(devices: FlexibleDevices) -> bytes:
    """SHA-256 over the devices and all that they will do: each column as little-endian integers."""
    hashed = sha256()
    for column in devices[:-2]:  # prices are those of the profiles
        wide: npt.NDArray[np.int64] = np.ascontiguousarray(column).astype("<i8")
        hashed.update(np.array(wide.shape, "<i8").tobytes() + wide.tobytes())
    return hashed.digest()
