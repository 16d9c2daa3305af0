"""Zero sequence of a pandapower net, from its own columns; what is missing is named, never assumed.

A transformer is a T of its leakage `vk0`, divided by `si0_hv_partial`, and its magnetising impedance `mag0_percent`, in
per cent of the leakage. The vector group says which ends of the T are open, and which are earthed.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from grid_models.arrays import Complex, Floats
from grid_models.errors import GridError, shorten
from grid_models.powerflow.taps import find_rated_kv

LINE_COLUMNS = ("r0_ohm_per_km", "x0_ohm_per_km", "c0_nf_per_km")
SOURCE_COLUMNS = ("s_sc_max_mva", "rx_max", "x0x_max", "r0x0_max")
TRAFO_COLUMNS = ("vk0_percent", "vkr0_percent", "mag0_percent", "mag0_rx", "si0_hv_partial")
RANGES = {
    "line": (("r0_ohm_per_km", 0.0, 1e6), ("x0_ohm_per_km", 0.0, 1e6), ("c0_nf_per_km", 0.0, 1e9)),
    "trafo": (
        ("sn_mva", 1e-9, 1e9),
        ("parallel", 1.0, 1e6),
        ("vk0_percent", 0.0, 1e3),
        ("vkr0_percent", 0.0, 1e3),
        ("mag0_percent", 0.0, 1e12),
        ("mag0_rx", 0.0, 1e12),
        ("si0_hv_partial", 0.0, 1.0),
    ),
    "ext_grid": (("s_sc_max_mva", 1e-3, 1e9), ("rx_max", 0.0, 1e3), ("x0x_max", 0.0, 1e3), ("r0x0_max", 0.0, 1e3)),
}
"""What columns of each table hold in rows in service; beyond it numbers overflow."""
LEAST = 1e-9
"""Smallest value that is not 0."""
MOST_STAR_OHM = 1e6
GROUPS = ("dyn", "yzn", "yyn", "ynyn")
VOLTAGE_FACTOR = 1.1
"""c of IEC 60909, by which pandapower makes an impedance of a short-circuit power."""
IN_SCENARIO = (
    "; for a run, network.zero_sequence = {r0_over_r1 = 4.0, x0_over_x1 = 4.0, c0_over_c1 = 1.0} in its scenario fills "
    "in what the net lacks, for gridsettle validate --zero-sequence r0_over_r1=4,x0_over_x1=4,c0_over_c1=1"
)
MOST_NAMED = 5


def find_line_zero(net: Any) -> tuple[Complex, Complex]:
    """Series admittance and half of the admittance to earth of each line in the zero sequence, (L,) S.

    Raises
    ------
    GridError
        If a line in service has no zero-sequence values; lines are named.
    """
    line = net.line
    _check_columns(
        net,
        "line",
        LINE_COLUMNS,
        "the zero sequence of a cable is that of its data sheet; a usual guess for four-core cables is "
        "net.line['r0_ohm_per_km'] = 4 * net.line.r_ohm_per_km, likewise x0_ohm_per_km, and "
        "net.line['c0_nf_per_km'] = net.line.c_nf_per_km",
    )
    _check_ranges(net, "line")
    length, parallel = line.length_km.to_numpy(np.float64), line.parallel.to_numpy(np.float64)
    z = line.r0_ohm_per_km.to_numpy(np.float64) + 1j * line.x0_ohm_per_km.to_numpy(np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        series = parallel / (z * length)
    bad = np.flatnonzero(~np.isfinite(series) & line.in_service.to_numpy(bool))
    if bad.size:
        raise GridError(
            f"{_list_rows(net, 'line', bad)}: expected r0_ohm_per_km, x0_ohm_per_km and length_km above 0, got 0"
        )
    c0 = line.c0_nf_per_km.to_numpy(np.float64)
    return series, 1j * np.pi * float(net.f_hz) * c0 * 1e-9 * length * parallel


def find_trafo_zero(net: Any) -> Complex:
    """Zero-sequence admittance of each transformer between its sides, (R, 2, 2) S.

    Raises
    ------
    GridError
        If a transformer in service has no zero-sequence values, or no earthed star point on its low-voltage side.
    """
    check_vector_groups(net)
    remedy = "a usual guess is vk0_percent = vk_percent, vkr0_percent = vkr_percent, mag0_percent = 100, mag0_rx = 0, "
    _check_columns(net, "trafo", TRAFO_COLUMNS, f"{remedy}si0_hv_partial = 0.9")
    _check_leakages(net)
    _check_ranges(net, "trafo")
    y = np.zeros((len(net.trafo), 2, 2), np.complex128)
    rated_kv = find_rated_kv(net)
    for k in np.flatnonzero(net.trafo.in_service.to_numpy(bool)):
        y[k] = _trafo_zero(net, int(k), rated_kv[k])
    return y


def _trafo_zero(net: Any, k: int, rated_kv: Floats) -> Complex:
    """Zero-sequence admittance of a transformer, (2, 2) S."""
    row = net.trafo.iloc[k]
    vk0, vkr0 = float(row.vk0_percent), float(row.vkr0_percent)
    base_ohm = rated_kv[1] ** 2 / float(row.sn_mva) / float(row.parallel)
    leakage = (vkr0 + 1j * np.sqrt(vk0**2 - vkr0**2)) / 100.0 * base_ohm
    rx = float(row.mag0_rx)
    ratio = float(row.mag0_percent) / 100.0
    turn = (rx + 1j) / np.sqrt(rx**2 + 1.0)
    magnetising = 1.0 / (turn * vk0 / 100.0 * base_ohm * ratio) if ratio else 0.0
    hv, lv = leakage * float(row.si0_hv_partial), leakage * (1.0 - float(row.si0_hv_partial))
    lv += 3.0 * _find_star_ohm(net, k)
    group = str(row.vector_group).lower()
    if group == "ynyn":
        sign = _ynyn_sign(net, k)
        pi = np.array([[1.0 + lv * magnetising, -sign], [-sign, 1.0 + hv * magnetising]])
        turns = np.array([rated_kv[1] / rated_kv[0], 1.0])
        return np.asarray(pi * np.outer(turns, turns) / (hv + lv + hv * lv * magnetising))
    if group == "dyn":
        ohm = lv + 1.0 / (1.0 / hv + magnetising) if hv else lv
    elif group == "yzn":
        ohm = hv + lv
    else:
        ohm = lv + 1.0 / magnetising if magnetising else np.inf
    if not np.isfinite(ohm):
        raise GridError(
            f"{_list_rows(net, 'trafo', [k])}: expected mag0_percent above 0 for Yyn, got {row.mag0_percent}"
        )
    return np.array([[0.0, 0.0], [0.0, 1.0 / ohm]], dtype=np.complex128)


def _check_leakages(net: Any) -> None:
    """Raise `GridError` where a transformer in service has no leakage, or more resistance than impedance."""
    for k in np.flatnonzero(net.trafo.in_service.to_numpy(bool)):
        vk0, vkr0 = (float(net.trafo[column].iloc[k]) for column in ("vk0_percent", "vkr0_percent"))
        if not 0.0 <= vkr0 <= vk0 or not vk0 > 0.0:
            raise GridError(
                f"{_list_rows(net, 'trafo', [k])}: expected vk0_percent above 0 and vkr0_percent at most that, got "
                f"{vk0} and {vkr0}"
            )


def _find_star_ohm(net: Any, k: int) -> complex:
    """Impedance between the low-voltage star point and earth; refused where there are two star points."""
    row = net.trafo.iloc[k]
    z = star_ohm(row)
    if max(abs(z.real), abs(z.imag)) > MOST_STAR_OHM:
        raise GridError(
            f"{_list_rows(net, 'trafo', [k])}: expected rn_ohm and xn_ohm of at most {MOST_STAR_OHM:g}, got {z}; "
            "correct the impedance that earths the star point"
        )
    if z and str(row.vector_group).lower() == "ynyn":
        raise GridError(
            f"{_list_rows(net, 'trafo', [k])}: expected rn_ohm and xn_ohm of 0 with two star points, got {z}; the net "
            "does not say which of them they earth"
        )
    return z


def star_ohm(row: Any) -> complex:
    """Impedance between the star point of a transformer's row and earth; what is no number is none."""
    given = [pd.to_numeric(row.get(column, 0.0), errors="coerce") for column in ("rn_ohm", "xn_ohm")]
    r, x = (float(value) if value is not None and np.isfinite(value) else 0.0 for value in given)
    return complex(r, x)


def _ynyn_sign(net: Any, k: int) -> float:
    shift = float(net.trafo.shift_degree.iloc[k]) % 360.0
    if shift not in (0.0, 180.0):
        raise GridError(
            f"{_list_rows(net, 'trafo', [k])}: expected shift_degree 0 or 180 of a YNyn transformer, got {shift:g}; "
            "correct shift_degree or vector_group"
        )
    return 1.0 if shift == 0.0 else -1.0


def check_vector_groups(net: Any) -> None:
    """Raise `GridError` where a transformer in service has no earthed star point on its low-voltage side."""
    live = np.flatnonzero(net.trafo.in_service.to_numpy(bool))
    if live.size and "vector_group" not in net.trafo:
        raise GridError(
            f"{_list_rows(net, 'trafo', live)}: expected the column vector_group; add it, "
            f"e.g. net.trafo['vector_group'] = 'Dyn'{IN_SCENARIO}"
        )
    for k in live:
        group = net.trafo.vector_group.iloc[k]
        if str(group).lower() not in GROUPS:
            bare = str(group).rstrip("0123456789")
            remedy = (
                f"write '{bare}', and the clock as shift_degree"
                if bare.lower() in GROUPS and bare != str(group)
                else "a low-voltage network of three phases needs an earthed star point there"
            )
            got = "none" if pd.isna(group) or group == "" else f"'{group}'"
            raise GridError(
                f"{_list_rows(net, 'trafo', [k])}: expected vector_group Dyn, Yzn, Yyn or YNyn, got {got}; {remedy}"
            )


def find_source_impedance(net: Any, grid: Any) -> Complex:
    """Impedance of an external grid in the zero, positive and negative sequence, (3,) ohm.

    As in `pandapower.runpp_3ph`, the positive sequence has none; a weak source is to be modelled as a line.

    Parameters
    ----------
    net
        pandapower net.
    grid
        Row of its `ext_grid`.
    """
    vn_kv = float(net.bus.vn_kv.at[grid.bus])
    z = VOLTAGE_FACTOR * vn_kv**2 / float(grid.s_sc_max_mva)
    x = z / np.sqrt(float(grid.rx_max) ** 2 + 1.0)
    x0 = float(grid.x0x_max) * x
    return np.array([float(grid.r0x0_max) * x0 + 1j * x0, 0.0, float(grid.rx_max) * x + 1j * x])


def check_sources(net: Any) -> None:
    """Raise `GridError` where an external grid in service has no short-circuit power or zero sequence."""
    remedy = "e.g. for a strong one s_sc_max_mva = 1000, rx_max = 0.1, x0x_max = 1, r0x0_max = 0.1"
    _check_columns(net, "ext_grid", SOURCE_COLUMNS, remedy)
    rows = net.ext_grid[net.ext_grid.in_service.astype(bool)]
    for column, positive in (("s_sc_max_mva", True), ("x0x_max", True), ("rx_max", False), ("r0x0_max", False)):
        for index, value in rows[column].items():
            if not (value > 0.0 if positive else value >= 0.0):
                wanted = "above 0" if positive else "of at least 0"
                raise GridError(f"network, ext_grid {index}: expected {column} {wanted}, got {value}")
    _check_ranges(net, "ext_grid")


def _check_columns(net: Any, table: str, columns: tuple[str, ...], remedy: str) -> None:
    """Give columns the type of numbers; raise `GridError` with the rows in service that lack a finite one."""
    live = net[table].in_service.to_numpy(bool)
    for column in columns:
        if column in net[table]:
            net[table][column] = pd.to_numeric(net[table][column], errors="coerce").astype(np.float64)
            lacking = np.flatnonzero(live & ~np.isfinite(net[table][column].to_numpy()))
        else:
            lacking = np.flatnonzero(live)
        if lacking.size:
            raise GridError(
                f"{_list_rows(net, table, lacking)}: expected {column} (zero sequence), found none; "
                f"fill it in, {remedy}{IN_SCENARIO}"
            )


def _check_ranges(net: Any, table: str) -> None:
    """Raise `GridError` with the rows in service whose values are out of `RANGES`, or too near 0 to divide by."""
    live = net[table].in_service.to_numpy(bool)
    for column, low, high in RANGES[table]:
        values = pd.to_numeric(net[table][column], errors="coerce").to_numpy(np.float64)
        fits = (values >= low) & (values <= high) & ((values == 0.0) | (values >= LEAST))
        beyond = np.flatnonzero(live & ~fits)
        if beyond.size:
            got = net[table][column].iloc[beyond[0]]
            near = f", and none between 0 and {LEAST:g}" if low <= values[beyond[0]] <= high else ""
            raise GridError(
                f"{_list_rows(net, table, beyond)}: expected {column} from {low:g} to {high:g}{near}, got {got}; "
                "correct the value"
            )


def _list_rows(net: Any, table: str, rows: Any) -> str:
    """Names of rows of a table, the first few."""
    named = [(net[table].index[k], net[table]["name"].iloc[k]) for k in rows[:MOST_NAMED]]
    shown = [f"{index} '{shorten(name)}'" if name and isinstance(name, str) else str(index) for index, name in named]
    more = f" and {len(rows) - MOST_NAMED} more" if len(rows) > MOST_NAMED else ""
    return f"network, {table} {', '.join(shown)}{more}"
