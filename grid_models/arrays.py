"""Types of the arrays that the physics computes with."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Complex = npt.NDArray[np.complex128]
Ints = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]

Places = npt.NDArray[np.intp]
"""Positions in another array, as `numpy.flatnonzero` returns them."""

Numeric = float | Floats
"""Formulas of devices take a number or an array."""
