"""Contracted power of houses, judged: how far and how often a house drew or fed in more than it has contracted."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from cosim.case.case import Case
from cosim.case.houses import list_rows
from cosim.results.columns import TIME
from cosim.results.sums import Parts

CONTRACT_TABLE = "contract_power"
_IN = ("load_wh", "charge_wh", "spilled_wh")
_OUT = ("pv_wh", "fuel_cell_wh", "discharge_wh", "shed_wh")


def has_contracts(case: Case) -> bool:
    """Whether a house has contracted a power."""
    return any(row.contract_power_kw is not None for row in case.scenario.participants)


def make_contract_table(case: Case, parts: Parts) -> pa.Table:
    """Table `contract_power` of a run: one row for each house that has contracted a power.

    Parameters
    ----------
    case
        Whose table of participants names the powers.
    parts
        Reads the table `houses`.

    Returns
    -------
    pyarrow.Table
        Columns house, contract_kw, highest_kw, time_of_highest, intervals_above and kwh_above, of the mean power of an
        interval through the house's meter, either way.
    """
    rows = list_rows(case.scenario, case.profiles.participants)
    limits = {k: row.contract_power_kw for k, row in enumerate(rows) if row is not None and row.contract_power_kw}
    chosen, contract = list(limits), np.array(list(limits.values()), np.float64)
    hours, n = case.interval_minutes / 60.0, case.profiles.n_participants
    highest, above, excess = np.full((3, contract.size), 0.0)
    time: list[Any] = [None] * contract.size
    for part in parts("houses", ("time", *_IN, *_OUT)):
        kw = np.abs(_net_wh(part).reshape(-1, n)[:, chosen]) / 1000.0 / hours
        above += (kw > contract).sum(axis=0)
        excess += np.maximum(kw - contract, 0.0).sum(axis=0) * hours
        for j in np.flatnonzero(kw.max(axis=0) > highest):
            at = int(np.argmax(kw[:, j]))
            highest[j], time[j] = kw[at, j], part["time"][at * n].as_py()
    return pa.table(
        {
            "house": [case.profiles.participants[k] for k in chosen],
            "contract_kw": contract,
            "highest_kw": highest,
            "time_of_highest": pa.array(time, TIME),
            "intervals_above": above.astype(np.int64),
            "kwh_above": excess,
        }
    )


def _net_wh(part: pa.Table) -> npt.NDArray[np.int64]:
    """What each row drew, Wh, less what it fed in."""
    drawn = np.sum([part[name].to_numpy().astype(np.int64) for name in _IN], axis=0)
    return np.asarray(drawn - np.sum([part[name].to_numpy().astype(np.int64) for name in _OUT], axis=0))


def summarise_contracts(table: pa.Table) -> dict[str, Any]:
    """Which houses went beyond their contracted power, JSON-ready."""
    beyond = [row for row in table.to_pylist() if row["intervals_above"]]
    return {
        "houses": len(table),
        "houses_beyond": [row["house"] for row in beyond],
        "intervals_above": sum(row["intervals_above"] for row in beyond),
    }
