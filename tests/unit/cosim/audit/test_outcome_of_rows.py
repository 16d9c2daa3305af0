"""How an interval became clean, by its exchanges alone."""

from __future__ import annotations

import numpy as np

from cosim.audit.verdicts import _find_outcome
from cosim.curtailment.feasible import Outcome
from market.exchanges import EXCHANGE, Kind, Status


def rows_of(*exchanges: tuple[Kind, int, int, Status]) -> np.ndarray:
    rows = np.zeros(len(exchanges), EXCHANGE)
    for row, (kind, cleared, delivered, status) in zip(rows, exchanges, strict=True):
        row["kind"], row["cleared_wh"], row["delivered_wh"], row["status"] = kind, cleared, delivered, status
    return rows


def test_a_house_that_is_to_charge_less_is_curtailment_without_a_cut_exchange() -> None:
    """Across phases own charging loads the network: import and spill grow then, and no exchange is cut."""
    clean = rows_of((Kind.GRID_IMPORT, 500, 500, Status.ACCEPTED), (Kind.LOSS, 9, 9, Status.ACCEPTED))
    grown = rows_of((Kind.GRID_IMPORT, 500, 800, Status.ACCEPTED), (Kind.SPILL, 0, 300, Status.ACCEPTED))
    cut = rows_of((Kind.P2P, 500, 100, Status.CURTAILED))
    assert _find_outcome(Outcome.CURTAILED, islanded=False, rows=clean) == Outcome.CLEAN
    assert _find_outcome(Outcome.CLEAN, islanded=False, rows=grown) == Outcome.CURTAILED
    assert _find_outcome(Outcome.CLEAN, islanded=False, rows=cut) == Outcome.CURTAILED
    assert _find_outcome(Outcome.CLEAN, islanded=True, rows=grown) == Outcome.CLEAN
