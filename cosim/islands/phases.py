"""How a house's supply changes in an outage: a state machine whose transitions are one table."""

from __future__ import annotations

from enum import IntEnum

import numpy as np
import numpy.typing as npt


class Phase(IntEnum):
    """How a house is supplied."""

    CONNECTED = 0
    ISLANDED = 1
    SYNCHRONISING = 2
    DARK = 3


class Happening(IntEnum):
    """What happens to a house in an interval: the input of the state machine."""

    GRID_FEEDS = 0  # its part of the network is joined to the grid
    FORMER_HOLDS = 1  # no grid, a grid former holds the voltage
    GRID_WAITS = 2  # a grid former holds the voltage, and the grid is back on the other side of the switch
    NOTHING_HOLDS = 3  # no grid, no former


TRANSITIONS: dict[tuple[Phase, Happening], Phase] = {
    (Phase.CONNECTED, Happening.GRID_FEEDS): Phase.CONNECTED,
    (Phase.CONNECTED, Happening.FORMER_HOLDS): Phase.ISLANDED,  # the former takes over without a break
    (Phase.CONNECTED, Happening.NOTHING_HOLDS): Phase.DARK,
    (Phase.ISLANDED, Happening.FORMER_HOLDS): Phase.ISLANDED,
    (Phase.ISLANDED, Happening.GRID_WAITS): Phase.SYNCHRONISING,
    (Phase.ISLANDED, Happening.NOTHING_HOLDS): Phase.DARK,
    (Phase.ISLANDED, Happening.GRID_FEEDS): Phase.CONNECTED,  # joined to another, grid-fed part
    (Phase.SYNCHRONISING, Happening.GRID_FEEDS): Phase.CONNECTED,
    (Phase.SYNCHRONISING, Happening.GRID_WAITS): Phase.SYNCHRONISING,
    (
        Phase.SYNCHRONISING,
        Happening.FORMER_HOLDS,
    ): Phase.ISLANDED,  # the grid is gone again, or voltages differ
    (Phase.SYNCHRONISING, Happening.NOTHING_HOLDS): Phase.DARK,
    (Phase.DARK, Happening.GRID_FEEDS): Phase.CONNECTED,
    (Phase.DARK, Happening.FORMER_HOLDS): Phase.ISLANDED,  # black start
    (Phase.DARK, Happening.NOTHING_HOLDS): Phase.DARK,
}
"""Phase before an interval and what happens → phase after it."""


PICKUP_FACTOR = 1.5
"""Cold-load pickup: load over ordinary load in the first hour of restored supply: heaters and fridges run at once."""


BLACK_START_SOC = 0.20
"""State of charge that a battery needs to start a dark part (black start)."""


RECONNECTION_VM_PU = 0.05
"""Largest difference of voltage magnitudes at which an island is joined to the grid."""


AS_GOOD_AS_DARK = 0.01
"""Share of its load below which a house in an island counts as dark: then nobody waits for the grid to be joined."""


def advance_phase(phase: npt.NDArray[np.int8], happening: npt.NDArray[np.int8]) -> npt.NDArray[np.int8]:
    """Phase of each house after an interval, (N,), by `TRANSITIONS`.

    Examples
    --------
    >>> advance_phase(np.array([0, 0], np.int8), np.array([1, 3], np.int8)).tolist()
    [1, 3]
    """
    pairs = zip(phase.tolist(), happening.tolist(), strict=True)
    return np.array([TRANSITIONS[Phase(p), Happening(h)] for p, h in pairs], np.int8)
