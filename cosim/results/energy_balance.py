"""Energy balance of every interval over all houses and the network: sources equal uses, to the Wh.

Trades and shares cancel out between houses: what one house buys another one sells.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from cosim.results.background import BackgroundEnergy
from cosim.results.columns import is_named

SOURCES = ("pv_wh", "fuel_cell_wh", "discharge_wh", "from_grid_wh")
USES = ("served_wh", "charge_wh", "spilled_wh", "to_grid_wh", "losses_wh")
BACKGROUND_SOURCES, BACKGROUND_USES = ("background_generation_wh",), ("background_load_wh",)
"""Further sources and uses where the net has elements that belong to no participant."""
BACKGROUND_LOST = ("background_shed_wh", "background_turned_down_wh")
"""What such elements did not draw while they were off or in the dark, and did not feed."""


def make_energy_balance_table(
    houses: pa.Table, exchanges: pa.Table, background: BackgroundEnergy | None = None
) -> pa.Table:
    """Table `energy_balance`: one row per interval.

    Parameters
    ----------
    houses, exchanges
        As in `cosim.results.tables`: every house in every interval, by time.
    background
        What the net's own elements drew and fed in the same intervals; None where it has none.

    Returns
    -------
    pyarrow.Table
        Integers, Wh: `time`, `SOURCES`, `USES`, and `residual_wh` = sources - uses, which is 0. Then, outside the
        sum, `load_wh` = served + shed, `shed_wh`, and `stored_wh`, the content of all batteries at the end of the
        interval. `from_grid_wh` is what houses import plus the losses that no grid-forming device carries. With a
        background, `BACKGROUND_SOURCES` and `BACKGROUND_USES` are sources and uses too, and what it draws from the grid
        and feeds into it is in `from_grid_wh` and `to_grid_wh`; last, and outside the sum, is `BACKGROUND_LOST`.
    """
    time = houses["time"].to_numpy()
    n_houses = int(np.searchsorted(time, time[0], side="right"))
    starts = time[::n_houses]

    def metered(name: str) -> npt.NDArray[np.int64]:
        wh = houses[name].to_numpy().astype(np.int64)
        return np.asarray(wh.reshape(-1, n_houses).sum(axis=1))

    losses = exchanges.filter(is_named(exchanges["kind"], "loss"))
    bought = losses.filter(is_named(losses["seller"], "grid"))
    load, shed = metered("load_wh"), metered("shed_wh")
    columns = {
        **{name: metered(name) for name in ("pv_wh", "fuel_cell_wh", "discharge_wh")},
        "from_grid_wh": metered("imported_wh") + _sum_delivered(bought, starts),
        "served_wh": load - shed,
        "charge_wh": metered("charge_wh"),
        "spilled_wh": metered("spilled_wh"),
        "to_grid_wh": metered("exported_wh"),
        "losses_wh": _sum_delivered(losses, starts),
    }
    sources: tuple[str, ...] = SOURCES
    uses: tuple[str, ...] = USES
    lost: dict[str, npt.NDArray[np.int64]] = {}
    if background is not None:
        lost = dict(zip(BACKGROUND_LOST, (background.shed_wh, background.turned_down_wh), strict=True))
        sources, uses = SOURCES + BACKGROUND_SOURCES, USES + BACKGROUND_USES
        columns["from_grid_wh"] = columns["from_grid_wh"] + background.from_grid_wh
        columns["to_grid_wh"] = columns["to_grid_wh"] + background.to_grid_wh
        columns |= {"background_generation_wh": background.generation_wh, "background_load_wh": background.load_wh}
    return pa.table(
        {
            "time": pa.array(starts, houses.schema.field("time").type),
            **columns,
            "residual_wh": sum(columns[name] for name in sources) - sum(columns[name] for name in uses),
            "load_wh": load,
            "shed_wh": shed,
            "stored_wh": metered("own_wh") + metered("hosted_wh"),
            **lost,
        }
    )


def _sum_delivered(rows: pa.Table, starts: npt.NDArray[np.datetime64]) -> npt.NDArray[np.int64]:
    """Delivered energy of rows by interval, (T,) Wh."""
    total = np.zeros(starts.size, np.int64)
    np.add.at(total, np.searchsorted(starts, rows["time"].to_numpy()), rows["delivered_wh"].to_numpy())
    return total
