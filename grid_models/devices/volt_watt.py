"""Active power of an inverter by its voltage, P(V) or volt-watt: less above a voltage, so that a feeder is not lifted.

Above the first voltage of the characteristic an inverter may deliver ever less of its rating, linearly down to a share
of it at the second voltage, and that share beyond.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from grid_models.arrays import Numeric
from grid_models.errors import GridError
from grid_models.ranges import check_field


@dataclass(frozen=True)
class VoltWatt:
    """P(V): largest active power over the rating by voltage.

    Attributes
    ----------
    vm_pu
        Voltages where the reduction begins and where it is complete, rising; pu.
    share
        Share of the rating that is left at the second voltage and above it.

    Raises
    ------
    GridError
        If there are not two rising voltages, or the share is outside 0 to 1.

    Notes
    -----
    The defaults are those of IEEE 1547-2018, table 31, category B: 1.06 and 1.10 pu, 0.2 of the rating. VDE-AR-N
    4105:2018-11 knows the same reduction by the voltage, P(U), without points of its own.

    Examples
    --------
    >>> VoltWatt().share_at(np.array([1.05, 1.08, 1.12])).round(3).tolist()
    [1.0, 0.6, 0.2]
    """

    vm_pu: tuple[float, ...] = (1.06, 1.10)
    share: float = 0.2

    def __post_init__(self) -> None:
        where = "inverter, P(V) characteristic"
        if len(self.vm_pu) != 2 or not self.vm_pu[0] < self.vm_pu[1]:
            raise GridError(
                f"{where}, vm_pu: expected two rising voltages, where the reduction begins and where it ends, got "
                f"{list(self.vm_pu)}; give two such as [1.06, 1.10]"
            )
        check_field(where, self, "vm_pu", 0, 2, above=True, remedy="give voltages in pu")
        check_field(where, self, "share", 0, 1, remedy="give the share of the rating that is left")

    def share_at(self, vm_pu: Numeric) -> Numeric:
        """Largest active power over the rating at a voltage, number or array; 1 where it is NaN."""
        share: Numeric = np.interp(np.nan_to_num(vm_pu), self.vm_pu, (1.0, self.share))
        return share
