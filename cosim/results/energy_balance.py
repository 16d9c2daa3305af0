"""Energy of every interval, over all houses and the network: what came in equals what went out, to the Wh.

Trades and shares cancel out between houses; what a house bought, another one sold.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from cosim.results.columns import is_named

SOURCES = ("pv_wh", "fuel_cell_wh", "discharge_wh", "from_grid_wh")
USES = ("served_wh", "charge_wh", "spilled_wh", "to_grid_wh", "losses_wh")
BESIDE = ("load_wh", "shed_wh", "stored_wh")
"""Not part of the sum: load asked for = served + shed; content of all batteries at the end of the interval."""


def make_energy_balance_table(houses: pa.Table, exchanges: pa.Table) -> pa.Table:
    """Table `make_energy_balance_table`: one row per interval.

    Parameters
    ----------
    houses, exchanges
        As in `cosim.results.tables`: every house in every interval, by time.

    Returns
    -------
    pyarrow.Table
        `time`, `SOURCES`, `USES`, `residual_wh` = sources - uses, which is 0, and `BESIDE`; integers, Wh. The grid
        delivers what houses import and the losses that no former of an island carries.
    """
    time = houses["time"].to_numpy()
    n = int(np.searchsorted(time, time[0], side="right"))
    metered = {
        name: houses[f"{name}_wh"].to_numpy().astype(np.int64).reshape(-1, n).sum(axis=1)
        for name in (
            *("load", "pv", "fuel_cell", "charge", "discharge", "imported", "exported", "spilled", "shed"),
            *("own", "hosted"),
        )
    }
    starts = time[::n]
    losses = exchanges.filter(is_named(exchanges["kind"], "loss"))
    lost = _sum_delivered(losses, starts)
    lost_from_grid = _sum_delivered(losses.filter(is_named(losses["seller"], "grid")), starts)
    columns = {
        "pv_wh": metered["pv"],
        "fuel_cell_wh": metered["fuel_cell"],
        "discharge_wh": metered["discharge"],
        "from_grid_wh": metered["imported"] + lost_from_grid,
        "served_wh": metered["load"] - metered["shed"],
        "charge_wh": metered["charge"],
        "spilled_wh": metered["spilled"],
        "to_grid_wh": metered["exported"],
        "losses_wh": lost,
    }
    residual = sum(columns[name] for name in SOURCES) - sum(columns[name] for name in USES)
    beside = {
        "load_wh": metered["load"],
        "shed_wh": metered["shed"],
        "stored_wh": metered["own"] + metered["hosted"],
    }
    at = pa.array(starts, houses.schema.field("time").type)
    return pa.table({"time": at, **columns, "residual_wh": residual, **beside})


def _sum_delivered(rows: pa.Table, starts: npt.NDArray[np.datetime64]) -> npt.NDArray[np.int64]:
    """Delivered energy of rows by interval, (T,) Wh."""
    total = np.zeros(starts.size, np.int64)
    np.add.at(total, np.searchsorted(starts, rows["time"].to_numpy()), rows["delivered_wh"].to_numpy())
    return total
