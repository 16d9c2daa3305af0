"""Types of the arrays that physics computes with."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Numeric = float | npt.NDArray[np.float64]
Floats = npt.NDArray[np.float64]


Ints = npt.NDArray[np.int64]
