"""A transformer's two-port as a T: what programs take that have impedances and not admittance matrices."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from grid_models.arrays import Complex
from grid_models.errors import GridError


class Tee(NamedTuple):
    """T of a transformer, referred to its low-voltage side: impedances of both sides, admittance between, ohm and S."""

    hv: complex
    lv: complex
    magnetising: complex


def find_tee(y: Complex, ratio: float) -> Tee:
    """T of a symmetric two-port, (2, 2) S, whose first side has `ratio` times the voltage."""
    referred = y * np.outer([ratio, 1.0], [ratio, 1.0])
    total = -1.0 / referred[0, 1]
    # Of a T: y11 = (1 + lv·ym)/d, y22 = (1 + hv·ym)/d, −y12 = 1/d with d = hv + lv + hv·lv·ym.
    lv_m, hv_m = referred[0, 0] * total - 1.0, referred[1, 1] * total - 1.0
    magnetising = (lv_m + hv_m + lv_m * hv_m) / total
    if abs(magnetising) < 1e-9 / abs(total):
        return Tee(complex(total / 2.0), complex(total / 2.0), 0.0)
    return Tee(complex(hv_m / magnetising), complex(lv_m / magnetising), complex(magnetising))


def turn_back(where: str, positive: Complex, turn: complex) -> Complex:
    """Symmetric two-port of a transformer, (2, 2) S, without the turn of its clock.

    Raises
    ------
    GridError
        If something else turns the phase, too; `where` begins the message.
    """
    found: Complex = positive * np.array([[1.0, 1.0 / turn], [turn, 1.0]])
    if not np.isclose(found[0, 1], found[1, 0], rtol=1e-6):
        raise GridError(f"{where}: expected no tap that turns the phase, got one")
    return found
