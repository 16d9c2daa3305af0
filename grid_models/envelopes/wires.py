"""The network that envelopes are found for, at each voltage that its head may have."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from grid_models.feeder.feeder import Feeder
from grid_models.powerflow.head import with_head_voltage
from grid_models.powerflow.limits import Limits
from grid_models.ranges import check_range
from grid_models.response.sensitivity import AnyPowerFlow, make_engine


class Wires(NamedTuple):
    """One engine for each voltage that the head of a network may have, and the limits."""

    engines: tuple[AnyPowerFlow, ...]
    limits: Limits


def make_wires(feeder: Feeder, limits: Limits, head_vm_pu: Sequence[float] = ()) -> Wires:
    """Network with one voltage of its external grids, or several: what is clean at the lowest and the highest.

    Parameters
    ----------
    feeder, limits
        The network and its limits.
    head_vm_pu
        Voltages of the external grids, pu; those of the net if left out.

    Raises
    ------
    GridError
        If a voltage is not between 0.5 and 1.5 pu, or the network cannot be solved.
    """
    check_range("voltage of the head", list(head_vm_pu), 0.5, 1.5, remedy="give it in pu, e.g. 0.98 and 1.03")
    feeders = [with_head_voltage(feeder, vm_pu) for vm_pu in dict.fromkeys(head_vm_pu)] or [feeder]
    return Wires(tuple(make_engine(each) for each in feeders), limits)
