"""Places of elements and codes of conductors, as a ledger states them, for the columns of a `Flow`.

In a balanced model a column is an element's place in its table, and there are no conductors.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from grid_models.arrays import Floats
from grid_models.feeder.feeder import Feeder
from grid_models.powerflow.flow import Flow
from market.exchanges import CONDUCTORS, Ints


class Conductors(NamedTuple):
    """How many columns of a flow each element has: its conductors, in the order of their codes.

    Attributes
    ----------
    of_bus, of_line, of_trafo
        Columns of a bus, a line and a transformer; 1 in a balanced model.
    n_lines
        Lines, which come before the transformers.
    """

    of_bus: int
    of_line: int
    of_trafo: int
    n_lines: int

    def split_buses(self, columns: Ints) -> tuple[Ints, Ints]:
        """Places of buses, and codes of conductors, of columns of voltages; -1 and 0 for -1."""
        return np.where(columns < 0, -1, columns // self.of_bus), self._code(columns, columns, self.of_bus)

    def split_branches(self, columns: Ints) -> tuple[Ints, Ints]:
        """Places of branches, lines first, and codes of conductors, of columns of loadings; -1 and 0 for -1."""
        behind = columns - self.of_line * self.n_lines
        trafo = self.n_lines + behind // self.of_trafo, self._code(columns, behind, self.of_trafo)
        line = columns // self.of_line, self._code(columns, columns, self.of_line)
        place, code = (np.where(behind < 0, a, b) for a, b in zip(line, trafo, strict=True))
        return np.where(columns < 0, -1, place), code

    def _code(self, columns: Ints, behind: Ints, n: int) -> Ints:
        return np.where((columns < 0) | (self.of_bus == 1), 0, 1 + behind % n)

    def find_bus_column(self, place: int, code: int) -> int:
        """Column of a recorded bus and conductor; -1 where there is none."""
        return self._find(place, code, self.of_bus, 0)

    def find_branch_column(self, place: int, code: int) -> int:
        """Column of a recorded branch and conductor among those of lines, then transformers; -1 where there is none."""
        if place < self.n_lines:
            return self._find(place, code, self.of_line, 0)
        return self._find(place - self.n_lines, code, self.of_trafo, self.of_line * self.n_lines)

    def _find(self, place: int, code: int, n: int, first: int) -> int:
        least = 0 if self.of_bus == 1 else 1
        return first + place * n + code - least if place >= 0 and least <= code < least + n else -1


def make_conductors(feeder: Feeder) -> Conductors:
    """Conductors of a feeder's elements.

    Examples
    --------
    >>> made = Conductors(3, 4, 3, n_lines=2)
    >>> [column.tolist() for column in made.split_branches(np.array([-1, 0, 7, 8, 11]))]
    [[-1, 0, 1, 2, 3], [0, 1, 4, 1, 1]]
    >>> [made.find_branch_column(place, code) for place, code in ((-1, 0), (0, 1), (1, 4), (2, 1), (3, 1), (3, 4))]
    [-1, 0, 7, 8, 11, -1]
    """
    of_bus, of_line, of_trafo = (len(feeder.conductors(table)) for table in ("bus", "line", "trafo"))
    return Conductors(of_bus, of_line, of_trafo, len(feeder.net.line))


def find_highest_neutral(flow: Flow, conductors: Conductors) -> tuple[Floats, Ints]:
    """Largest loading of a line's neutral in each interval of an unbalanced flow, (K,) %, and its line, (K,).

    NaN and -1 where the interval is not solved, or there is no line.
    """
    percent = flow.line_loading_percent[:, conductors.of_line - 1 :: conductors.of_line]
    if percent.shape[1] == 0:
        return np.full(len(percent), np.nan), np.full(len(percent), -1)
    known = flow.converged & ~np.isnan(percent).all(axis=1)
    line = np.where(known, np.argmax(np.where(np.isnan(percent), -np.inf, percent), axis=1), -1)
    return np.where(known, percent[np.arange(len(percent)), line], np.nan), line


def name_conductor(code: int) -> str:
    """Name of a recorded code, `none` for 0 and for what is none.

    Examples
    --------
    >>> [name_conductor(code) for code in (0, 1, 4, 9)]
    ['none', 'a', 'n', 'none']
    """
    return CONDUCTORS[code] if 0 < code < len(CONDUCTORS) else "none"
