"""A run's imbalances: judged, settled and tabled, so that anybody with ledger and meters can make them again."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from cosim.case.solve import solve_meters
from cosim.community.files import Settled
from cosim.delivery.setpoints import injection_wh
from cosim.imbalances.committed import Committed, read_committed
from cosim.imbalances.metered import fit_to_run, read_energies, with_metered
from cosim.results.columns import TIME
from data.forecasts import measure_errors
from data.profiles import Profiles
from grid_models.powerflow.verdicts import Judgement, Verdicts, judge
from market.exchanges import Rows
from market.imbalances import ImbalancePrices, Imbalances, settle_imbalances


class Clock(NamedTuple):
    """How times of a table of meters are read: see `data.tables.read_profiles`."""

    timezone: str
    day_first: bool | None


def settle_run(directory: Path, meters: Path, prices: ImbalancePrices, clock: Clock) -> Settled:
    """Settle what meters say beside what a run committed to.

    Raises
    ------
    ScenarioError, data.errors.DataError, market.errors.MarketError
        If run, meters or prices cannot be used.
    """
    committed = read_committed(directory)
    minutes = committed.case.interval_minutes
    metered = fit_to_run(
        read_energies(meters, minutes, clock.timezone, clock.day_first), committed.case.profiles, str(meters)
    )
    real = with_metered(committed.meters, metered)
    verdicts = judge(solve_meters(committed.case, real).flow, committed.case.limits)
    found = settle_imbalances(injection_wh(committed.meters), injection_wh(real), prices)
    tables = {
        "imbalances": make_imbalances(committed, real, found),
        "verdicts": make_verdicts(committed.case.profiles, verdicts),
        "errors": make_errors(committed.meters, real, committed.case.profiles.participants),
    }
    return Settled(make_summary(committed, metered, prices, found, verdicts), tables, {})


def make_imbalances(committed: Committed, real: Rows, found: Imbalances) -> pa.Table:
    """A row for each interval and house, Wh and nEUR."""
    profiles = committed.case.profiles
    return pa.table(
        {
            "time": pa.array(np.repeat(_times(profiles), profiles.n_participants), TIME),
            "house": pa.array(list(profiles.participants) * profiles.n_intervals, pa.string()),
            "committed_wh": pa.array(injection_wh(committed.meters).ravel()),
            "delivered_wh": pa.array(injection_wh(real).ravel()),
            "deviation_wh": pa.array(found.deviation_wh.ravel()),
            "amount_neur": pa.array(found.amount_neur.ravel()),
        }
    )


def make_verdicts(profiles: Profiles, verdicts: Verdicts) -> pa.Table:
    """A row for each interval: what the network says of what meters delivered."""
    return pa.table(
        {
            "time": pa.array(_times(profiles), TIME),
            "verdict": pa.array([Judgement(status).name.lower() for status in verdicts.status.tolist()], pa.string()),
            "voltage_margin_upu": pa.array(_millionths(verdicts.voltage_margin_pu)),
            "loading_margin_ppm": pa.array(_millionths(verdicts.loading_margin_percent / 100.0)),
        }
    )


def _millionths(values: Any) -> list[int | None]:
    return [None if np.isnan(value) else round(value * 1_000_000) for value in values.tolist()]


def make_errors(meters: Rows, real: Rows, names: tuple[str, ...]) -> pa.Table:
    """A row for each house, and one for all together: errors of forecast load and generation, Wh an interval."""
    columns: dict[str, pa.Array] = {"house": pa.array([*names, "all"], pa.string())}
    for what in ("load_wh", "pv_wh"):
        forecast, actual = (_with_total(rows[what].astype(np.int64)) for rows in (meters, real))
        for name, values in measure_errors(forecast, actual)._asdict().items():
            columns[f"{what.removesuffix('_wh')}_{name}"] = pa.array(values.round(6).tolist(), pa.float64())
    return pa.table(columns)


def _with_total(energies_wh: Any) -> Any:
    return np.column_stack([energies_wh, energies_wh.sum(axis=1)])


def make_summary(
    committed: Committed, metered: Profiles, prices: ImbalancePrices, found: Imbalances, verdicts: Verdicts
) -> dict[str, Any]:
    """What was settled, from what, in whole Wh and nEUR."""
    names = committed.case.profiles.participants
    energies = np.ascontiguousarray(np.stack([metered.load_wh, metered.pv_wh]), "<i8")
    balances = dict(zip(names, found.amount_neur.sum(axis=0).tolist(), strict=True))
    return {
        "ledger_head": committed.head,
        "meters_sha256": hashlib.sha256(energies.tobytes()).hexdigest(),
        **prices._asdict(),
        "n_houses": len(names),
        "n_intervals": metered.n_intervals,
        "interval_minutes": metered.interval_minutes,
        "short_wh": int(np.maximum(-found.deviation_wh, 0).sum()),
        "long_wh": int(np.maximum(found.deviation_wh, 0).sum()),
        "verdicts": {each.name.lower(): int((verdicts.status == each).sum()) for each in Judgement},
        "balances_neur": {**balances, "utility": int(found.utility_neur.sum())},
    }


def _times(profiles: Profiles) -> Any:
    return profiles.time.astype(np.int64) * 1000
