"""Energy in a study's tables comes from somewhere and goes somewhere: what is left over ends the study.

A residual in a column helps nobody who does not look at it, so no study writes a table that does not balance.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from cosim.errors import ConservationError

SOURCES = ("generation_wh", "fuel_cell_wh", "grid_wh")
USES = ("demand_wh", "wasted_wh", "exported_wh", "stored_wh", "lost_in_batteries_wh")
"""Totals of a market that energy comes from and goes to; trades and shares cancel out between houses."""


def check_totals(totals: dict[str, float], name: str) -> dict[str, float]:
    """The totals of a scenario's market with their `residual_wh`, uses less sources, which is 0.

    Raises
    ------
    ConservationError
        If it is not, or if batteries give and hold more than they were charged with.
    """
    check_residuals([min(totals["lost_in_batteries_wh"], 0)], f"scenario '{name}', lost_in_batteries_wh below 0")
    residual = sum(totals[key] for key in USES) - sum(totals[key] for key in SOURCES)
    check_residuals([residual], f"scenario '{name}', {' + '.join(USES)} - {' - '.join(SOURCES)}")
    return {**totals, "residual_wh": int(residual)}


def check_residuals(residual_wh: npt.ArrayLike, where: str) -> None:
    """Raise ConservationError unless all residuals are 0.

    Parameters
    ----------
    residual_wh
        Sources less uses, or uses less sources, Wh.
    where
        Whose they are, for the message.

    Raises
    ------
    ConservationError
        With the first one that is not.
    """
    residual: npt.NDArray[Any] = np.asarray(residual_wh)
    if residual.any():
        k = int(np.flatnonzero(residual)[0])
        raise ConservationError(
            f"study, {where}: expected energy that balances, got a residual of {residual[k]:+,.0f} Wh in row {k}; "
            "this is a defect, please report it"
        )
