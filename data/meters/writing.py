"""Energies of meters as a table of profiles, which `[profiles] source = "table"` reads."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from data.files import PARQUET
from data.meters.importing import Metered


def make_profile_table(metered: Metered) -> pd.DataFrame:
    """A row an interval and meter: time (UTC), participant, load_wh, pv_wh where a meter fed into the grid."""
    n = len(metered.meters)
    seconds = metered.start + np.arange(len(metered.load_wh)) * 60 * metered.interval_minutes
    table = pd.DataFrame(
        {
            "time": np.repeat(seconds.astype("datetime64[s]"), n),
            "participant": np.tile(np.array(metered.meters, dtype=object), len(seconds)),
            "load_wh": metered.load_wh.ravel(),
        }
    )
    return table.assign(pv_wh=metered.pv_wh.ravel()) if metered.pv_wh.any() else table


def write_profile_table(table: pd.DataFrame, path: Path, name: str) -> None:
    """Write a table of profiles to a path, as Parquet or CSV by the ending of a name."""
    if Path(name).suffix in PARQUET:
        table.assign(time=pd.DatetimeIndex(table["time"]).tz_localize("UTC")).to_parquet(path, index=False)
    else:
        stamps = np.char.add(np.datetime_as_string(table["time"].to_numpy().astype("datetime64[s]"), unit="s"), "Z")
        table.assign(time=stamps).to_csv(path, index=False, lineterminator="\n")
