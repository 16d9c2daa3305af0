"""Made-up rows of a portfolio that hang together: feeders of a town and its villages, for pages and their tests."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from cosim.portfolio.row import SCHEMA, make_failed_row

START = datetime(2016, 1, 1, tzinfo=UTC)
MESSAGES = (
    "net.json: expected a pandapower net, got a damaged file; write it again",
    "houses.csv: expected a bus of the network for house_07, got 212; correct it",
    "expected a power flow solution without the houses, found none; check switches and lines",
)


def make_portfolio_row(number: int, rng: np.random.Generator) -> dict[str, Any]:
    """Row of a feeder: its strain, from 0 to about 1.5, decides what was cut and what would mend it."""
    strain = float(rng.beta(2.0, 3.5) * 1.5)
    houses, far = int(rng.integers(8, 80)), float(rng.uniform(0.5, 1.2))
    loading, high, low = 70.0 * strain, 1.02 + 0.07 * strain * far, 0.99 - 0.06 * strain * far
    over, above = max(0.0, loading - 60.0), max(0.0, high - 1.08)
    hours = float(round(40 * over + 9000 * above))
    cut = hours * houses * float(rng.uniform(0.1, 0.4))
    binding = None if not hours else "transformer" if over > 200 * above else f"voltage house_{houses:02}"
    voltage = "not needed" if above == 0.0 else "shift" if far < 1.0 else "no shift does it"
    load = 4000.0 * houses
    found = {
        "feeder": f"feeder {number:05}",
        "status": "run",
        "head": rng.bytes(32).hex(),
        "root": rng.bytes(32).hex(),
        "height": 8760,
        "houses": houses,
        "buses": 2 * houses + 3,
        "start": START,
        "intervals": 8760,
        "interval_minutes": 60,
        "clean_intervals": 8760 - int(hours),
        "curtailed_intervals": int(hours),
        **dict.fromkeys(("shed_intervals", "de_energised_intervals", "islanded_intervals"), 0),
        "curtailed_hours": hours,
        "cut_kwh": cut,
        "cut_percent": 100.0 * cut / load,
        "load_kwh": load,
        "pv_kwh": load * float(rng.uniform(0.2, 1.4)),
        "losses_kwh": load * float(rng.uniform(0.01, 0.05)),
        "highest_loading_percent": min(loading, 100.0),
        "highest_loading_element": "transformer",
        "highest_loading_time": START,
        "lowest_vm_pu": low,
        "lowest_vm_bus": f"house_{houses:02}",
        "highest_vm_pu": min(high, 1.1),
        "highest_vm_bus": f"house_{houses:02}",
        "binding_element": binding,
        "binding_element_hours": hours or None,
        "binding_elements": 1 if hours else 0,
        "voltage_binding_hours": hours if binding and binding != "transformer" else 0.0,
        "line_binding_hours": 0.0,
        "transformer_binding_hours": hours if binding == "transformer" else 0.0,
        "other_binding_hours": 0.0,
        "en50160_voltage": "kept" if low > 0.92 else "not kept",
        "en50160_unbalance": "cannot be shown by balanced phases",
        "jain_index": 0.95,
        "cars": houses // 3,
        "heat_pumps": houses // 4,
        "x": 11.4 + float(rng.normal(0.0, 0.15)),
        "y": 48.1 + float(rng.normal(0.0, 0.1)),
        "mend_rating_percent": over,
        "mend_rating_element": "transformer" if over else None,
        "mend_rating_elements": int(over > 0),
        "mend_voltage": voltage,
        "mend_head_shift_pu": {"not needed": 0.0, "shift": -round(above, 4)}.get(voltage),
        "mend_band_lacks_pu": above if voltage.startswith("no") else None,
        "mend_tap_steps": int(np.ceil(above / 0.025)) if voltage == "shift" else None,
        "mend_tap_trafo": "transformer" if voltage == "shift" else None,
        "mend_export_cut_kw": 0.0 if not hours else float(rng.uniform(0.5, 8.0)),
        "mend_export_cut_house": "house_03" if hours else None,
        "mend_import_cut_kw": 0.0,
    }
    return {**dict.fromkeys(SCHEMA.names), **found}


def make_portfolio_rows(n: int, seed: int = 1) -> list[dict[str, Any]]:
    """Rows of n feeders, of which every 97th failed."""
    rng = np.random.default_rng(seed)
    rows = [make_portfolio_row(number, rng) for number in range(1, n + 1)]
    for k in range(96, n, 97):
        rows[k] = {**dict.fromkeys(SCHEMA.names), **make_failed_row(rows[k]["feeder"], MESSAGES[k % len(MESSAGES)])}
    return rows


def write_portfolio(folder: Path, rows: list[dict[str, Any]]) -> Path:
    """A folder with the table of a portfolio alone."""
    folder.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pylist(rows, SCHEMA), folder / "portfolio.parquet")
    return folder
