"""What P(V) and tap changers did in a run: columns of its tables, and a section of its summary."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from cosim.case.case import Case
from cosim.delivery.volt_watt import reduced_by_house_wh
from cosim.interval.chunk import Chunk
from cosim.results.sums import Parts

REDUCED, HUNTING = "volt_watt_wh", "hunting"
"""Column of the table `houses`, what P(V) took of the generation; of `intervals`, whether a control did not rest."""


def has_voltage_control(case: Case) -> bool:
    """Whether a run has P(V) or tap changers."""
    return case.active is not None or case.taps is not None


def list_tap_columns(case: Case) -> tuple[str, ...]:
    """Columns of the table `intervals` with the positions of tap changers, by the number of the transformer."""
    return () if case.taps is None else tuple(f"tap_pos_{trafo}" for trafo in case.taps.trafos)


def list_house_columns(case: Case, chunk: Chunk) -> dict[str, npt.NDArray[Any]]:
    """What P(V) took of each house in each interval, (K·N,) Wh; nothing where inverters reduce no power."""
    if case.active is None:
        return {}
    window, n = chunk.window, chunk.window.meters.shape[1]
    rows = (window.rows[a:b] for a, b in zip(window.offsets[:-1], window.offsets[1:], strict=True))
    return {REDUCED: np.concatenate([reduced_by_house_wh(of_one, n) for of_one in rows])}


def list_interval_columns(case: Case, chunk: Chunk) -> dict[str, npt.NDArray[Any]]:
    """Where tap changers stood, and whether a control hunted, (K,) each; nothing without such controls."""
    if not has_voltage_control(case):
        return {}
    taps = dict(zip(list_tap_columns(case), chunk.flow.tap_pos.T, strict=True))
    return {**taps, HUNTING: np.isin(np.arange(chunk.first, chunk.stop), chunk.hunting)}


def summarise_voltage_control(case: Case, parts: Parts) -> dict[str, Any]:
    """Section `voltage_control` of a summary; nothing without P(V) and tap changers, JSON-ready."""
    if not has_voltage_control(case):
        return {}
    names = list_tap_columns(case)
    intervals = pa.concat_tables(parts("intervals", (HUNTING, *names)))
    found: dict[str, Any] = {"hunting": int(np.sum(intervals[HUNTING].to_numpy(zero_copy_only=False)))}
    if case.active is not None:
        found |= _sum_reduced(case, parts)
    if case.taps is not None:
        found["taps"] = {
            name: _describe_taps(opening, intervals[name].to_numpy())
            for name, opening in zip(names, case.taps.opening.tolist(), strict=True)
        }
    return {"voltage_control": found}


def _sum_reduced(case: Case, parts: Parts) -> dict[str, float | int]:
    """Energy that P(V) took, kWh, the intervals in which it did, and the houses."""
    n = case.profiles.n_participants
    total, by_house, intervals = 0, np.zeros(n, np.int64), 0
    for part in parts("houses", (REDUCED,)):
        wh = part[REDUCED].to_numpy().reshape(-1, n)
        total, by_house, intervals = total + int(wh.sum()), by_house + wh.sum(axis=0), intervals + int(wh.any(1).sum())
    return {
        "volt_watt_kwh": total / 1000.0,
        "volt_watt_intervals": intervals,
        "volt_watt_houses": int((by_house > 0).sum()),
    }


def _describe_taps(opening: int, position: npt.NDArray[np.int64]) -> dict[str, int]:
    """Steps of a tap changer, and the positions between which it was."""
    steps = int(np.abs(np.diff(np.concatenate([[opening], position]))).sum())
    return {"steps": steps, "lowest": int(position.min()), "highest": int(position.max()), "last": int(position[-1])}
