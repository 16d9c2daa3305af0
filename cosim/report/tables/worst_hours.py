"""Table `worst_hours`: every interval in which the network said no, with what was binding, what was cut, and whose."""

from __future__ import annotations

import numpy as np
import pandas as pd

from cosim.report.tables.before_and_after import SCALES, with_settled
from cosim.report.tables.run_tables import RunTables
from cosim.results.binding import KINDS
from cosim.results.local_time import show_local
from cosim.results.tables import PARTY_NAMES

QUANTITIES = {
    "overvoltage": ("vm_pu", 1),
    "undervoltage": ("vm_pu", -1),
    "line_overload": ("loading_percent", 1),
    "trafo_overload": ("loading_percent", 1),
    "unbalance": ("vuf_percent", 1),
    "neutral_voltage": ("neutral_v", 1),
}
"""By reason of a cut: the quantity that was beyond its limit, and whether above (1) or below (-1) it."""
COLUMNS = ("time", "local_time", "binding", "cleared", "settled", "limit", "unit", "curtailed_kwh", "whose")
HOUSES_NAMED = 3


def list_worst_hours(run: RunTables) -> pd.DataFrame:
    """Intervals by the energy that was cut in them, most first; of equals the earlier.

    Returns
    -------
    DataFrame
        `COLUMNS`: start of the interval in UTC and local time, the binding element, its value with the exchanges as
        cleared and as settled (missing if it was not beyond its limit before something else was cut), the limit with
        its unit, the energy cut in kWh, and who lost most of it.
    """
    zone, binding = run.zone, run.binding
    found = _find_values(run, binding)
    times = pd.DatetimeIndex(binding.index)
    table = pd.DataFrame(
        {
            "time": times.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "local_time": ["" if zone is None else show_local(time, zone) for time in times],
            "binding": binding["binding"].to_numpy(),
            **{name: found[name].to_numpy() for name in ("cleared", "settled", "limit")},
            "unit": [SCALES[QUANTITIES[r][0]][0] if r in QUANTITIES else "" for r in binding["reason"]],
            "curtailed_kwh": binding["curtailed_wh"].to_numpy(np.float64) / 1000.0,
            "whose": name_losers(run.curtailment).reindex(binding.index).fillna("").to_numpy(),
        }
    )
    return table.sort_values("curtailed_kwh", ascending=False, kind="stable").reset_index(drop=True)


def _find_values(run: RunTables, binding: pd.DataFrame) -> pd.DataFrame:
    """Value as cleared, as settled, and the limit of each interval's binding element; missing where none was found."""
    keys = ["time", "element_type", "element", "phase", "quantity", "side"]
    wanted = binding.reset_index()
    wanted["element_type"] = [KINDS[reason][0] for reason in wanted["reason"]]
    wanted["quantity"] = [QUANTITIES.get(reason, ("", 0))[0] for reason in wanted["reason"]]
    wanted["side"] = np.array([QUANTITIES.get(reason, ("", 0))[1] for reason in wanted["reason"]], np.int64)
    paired = with_settled(run.violations, run.settled(), run.feeder.net)
    above = np.sign(paired["value"] - paired["limit"]).astype(np.int64)
    known = paired.assign(side=above).rename(columns={"value": "cleared"}).drop_duplicates(keys)
    return wanted.merge(known[[*keys, "cleared", "settled", "limit"]], how="left", on=keys)


def name_losers(curtailment: pd.DataFrame) -> pd.Series:
    """Who lost how many kWh in each interval, those first that lost most; by time."""
    cut = curtailment[(curtailment["curtailed_wh"] > 0) & curtailment["reason"].isin(KINDS)]
    sells = ~cut["seller"].isin([*PARTY_NAMES.values()])
    house = cut["seller"].astype(str).where(sells, cut["buyer"].astype(str))
    lost = cut.groupby([cut["time"], house], sort=False)["curtailed_wh"].sum().rename_axis(["time", "house"])
    lost = lost.sort_values(ascending=False, kind="stable") / 1000.0
    return lost.reset_index().groupby("time")[["house", "curtailed_wh"]].apply(_name_most).astype(object)


def _name_most(lost: pd.DataFrame) -> str:
    named = [f"{house} {kwh:,.1f}" for house, kwh in zip(lost["house"], lost["curtailed_wh"], strict=True)]
    rest = f" and {len(named) - HOUSES_NAMED} more" if len(named) > HOUSES_NAMED else ""
    return ", ".join(named[:HOUSES_NAMED]) + rest
