"""Customers whose power an envelope bounds, and corners of the box of all their powers.

The *rooms* of M customers are 2M numbers of kW, at least 0: how much each may export, then how much each may import. A
*corner* is a mask of 2M rooms of which each customer uses one at most: the customers are there at the ends of their
ranges, or at 0.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import NamedTuple, TypeVar

import numpy as np

from grid_models.arrays import Complex, Floats, Ints, Mask

Effect = TypeVar("Effect", Floats, Complex)


class _Customers(NamedTuple):
    export_at: Ints
    import_at: Ints
    most_export_kw: Floats
    most_import_kw: Floats
    reactive_at: Ints | None = None
    tan_phi: Floats | None = None


class Customers(_Customers):
    """M customers who take part.

    Attributes
    ----------
    export_at, import_at
        (M,) injection that exports and imports enter at; the same in a balanced model, or where a customer's load and
        panels are on the same phase.
    most_export_kw, most_import_kw
        (M,) what their connections and devices can do at most, at least 0.
    reactive_at, tan_phi
        (M,) injection that reactive power is drawn at, and kvar drawn per kW of import. None: no reactive power.

    Examples
    --------
    >>> two = Customers(np.array([0, 1]), np.array([0, 1]), np.array([5.0, 5.0]), np.array([9.0, 9.0]))
    >>> two.choose_corners(np.array([[0.1, -0.1, -0.1, 0.1]]), two.most_kw)  # the first exports, the second imports
    array([[ True, False, False,  True]])
    """

    @cached_property
    def column(self) -> Ints:
        """(2M,) injection of each room."""
        return np.concatenate([self.export_at, self.import_at])

    @cached_property
    def sign(self) -> Floats:
        """(2M,) change of the injection by 1 kW of each room."""
        return np.repeat([1.0, -1.0], self.export_at.size)

    @cached_property
    def most_kw(self) -> Floats:
        """(2M,) largest value of each room."""
        return np.concatenate([self.most_export_kw, self.most_import_kw])

    def choose_corners(self, effect: Floats, room_kw: Floats) -> Mask:
        """Corners at which quantities are largest, (R, 2M), by the effects, (R, 2M) per kW, of rooms of (2M,) kW.

        A customer whose export and import would both lower a quantity stays at 0.
        """
        export, imported = np.split(effect, 2, axis=-1)
        of_export, of_import = np.split(effect * room_kw, 2, axis=-1)
        exports = (export > 0.0) & ((of_export >= of_import) | (imported <= 0.0))
        return np.concatenate([exports, (imported > 0.0) & ~exports], axis=-1)

    def find_effect(self, by_p: Effect, find_by_q: Callable[[], Effect]) -> Effect:
        """Change of quantities by 1 kW of each room, (R, 2M), by their derivatives by P and by Q, (R, C)."""
        effect: Effect = by_p[:, self.column] * self.sign
        if self.reactive_at is not None and self.tan_phi is not None:
            m = self.reactive_at.size
            effect[:, m:] -= find_by_q()[:, self.reactive_at] * self.tan_phi
        return effect

    def inject_reactive(self, q_kvar: Floats, corner: Mask, room_kw: Floats) -> Floats:
        """The same of reactive injections, (R, C) kvar."""
        if self.reactive_at is None or self.tan_phi is None:
            return q_kvar
        q, m = q_kvar.copy(), self.reactive_at.size
        drawn = np.where(corner, room_kw, 0.0)[:, m:] * self.tan_phi
        for k, column in enumerate(self.reactive_at.tolist()):
            q[:, column] -= drawn[:, k]
        return q

    def inject(self, p_kw: Floats, corner: Mask, room_kw: Floats) -> Floats:
        """Injections, (R, C) kW, at corners, (R, 2M), of boxes, (R, 2M) kW, beside those of all others, (R, C)."""
        p = p_kw.copy()
        power = np.where(corner, self.sign * room_kw, 0.0)
        for room, column in enumerate(self.column.tolist()):
            p[:, column] += power[:, room]
        return p
