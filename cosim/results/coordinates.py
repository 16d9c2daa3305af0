"""Places of buses on the map: GeoJSON points of a net's column `geo`."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np


def read_point(geo: Any) -> tuple[float, float] | None:
    """Coordinates of a GeoJSON point, None of anything else.

    Examples
    --------
    >>> read_point('{"type": "Point", "coordinates": [11.5, 48.1]}'), read_point("here"), read_point(None)
    ((11.5, 48.1), None, None)
    """
    try:
        x, y = json.loads(geo)["coordinates"][:2]
        return float(x), float(y)
    except (TypeError, ValueError, KeyError):
        return None


def find_centre(net: Any) -> dict[str, float | None]:
    """Mean coordinates `x` and `y` of those buses of a net that have any; None where none has."""
    points = [read_point(value) for value in net.bus.geo] if "geo" in net.bus else []
    known = [point for point in points if point is not None and all(map(math.isfinite, point))]
    if not known:
        return {"x": None, "y": None}
    x, y = np.mean(known, axis=0).tolist()
    return {"x": x, "y": y}
