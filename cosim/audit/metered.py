"""The profiles of a run, read back from its ledger: what the meters recorded, less what events added to it.

Two things stand between a profile and its meter. A house that comes back from the dark draws more for an hour: cold-
load pickup. Panels that were plugged in add to those of the profile. Both grow strictly with it, and can be undone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import cache
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from cosim.audit.recorded import OpenedBlock, Recorded
from cosim.case.community import scale_panels_wh
from cosim.case.devices import Device, PvDevice
from cosim.case.frames import PROFILES_FILE
from cosim.errors import ScenarioError
from cosim.islands.phases import PICKUP_FACTOR
from cosim.recording.topology import Changes, apply_changes, read_changes
from data.profiles import Profiles
from grid_models.feeder.topology import Supply, find_islands
from market.exchanges import GRID, Kind
from market.ledger.format.records import NONE, RecordKind, select_exchanges, select_rows

Ints = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]


class Metered(NamedTuple):
    """What a ledger of T intervals and N houses recorded.

    Attributes
    ----------
    load_wh, pv_wh, price_ueur_per_kwh
        As metered, (T, N), (T, N) and (T,); the load without cars and heat pumps.
    dark
        (T, N) houses without supply.
    there
        (D, T) devices of the scenario that the ledger has admitted.
    drawn_var, shed_wh
        Reactive power that houses drew, and load that was not served, (T, N) each.
    """

    load_wh: Ints
    pv_wh: Ints
    price_ueur_per_kwh: Ints
    dark: Mask
    there: Mask
    drawn_var: Ints
    shed_wh: Ints

    @property
    def has_shed(self) -> bool:
        """Whether any load was not served."""
        return bool(self.shed_wh.any())


def read_metered_profiles(recorded: Recorded, devices: Sequence[Device], blocks: Iterable[OpenedBlock]) -> Profiles:
    """Profiles that the meters of a ledger follow from; zero behind its last interval.

    Parameters
    ----------
    recorded
        The run.
    devices
        Of its scenario.
    blocks
        All blocks of the ledger.

    Raises
    ------
    ScenarioError
        If a block has not a meter for every house, or the ledger has more intervals than its first block says.
    """
    metered = _read_metered(recorded, len(devices), blocks)
    minutes = recorded.interval_minutes
    raised = find_raised(metered.dark, 60 // minutes)
    load_wh = np.where(raised, undo_pickup(metered.load_wh), metered.load_wh)
    panels = [k for k, device in enumerate(devices) if isinstance(device, PvDevice)]
    pv_wh = without_panels(metered.pv_wh, [devices[k] for k in panels], metered.there[panels], minutes)
    start, names = np.datetime64(recorded.read_parameter("start"), "s"), recorded.feeder.participants
    load_varh = _find_load_varh(recorded, metered)
    return Profiles(start, minutes, names, load_wh, pv_wh, metered.price_ueur_per_kwh, {"source": "ledger"}, load_varh)


def _find_load_varh(recorded: Recorded, metered: Metered) -> Ints | None:
    """Reactive energies that the meters follow from, (T, N) varh; None where the ledger states power factors.

    Raises
    ------
    ScenarioError
        If the meters do not tell them: they hold the reactive power of inverters too, or of a part of the load only.
    """
    if not (recorded.houses["load_tan_phi_ppm"] == NONE).any():
        return None
    if recorded.scenario.pv.control != "none" or metered.has_shed:
        raise ScenarioError(
            f"{recorded.directory}: expected {PROFILES_FILE}, since the reactive power of the profiles does not follow "
            "from the meters where inverters are under control or load was shed, found none; run the scenario again "
            "with its profiles and compare the heads"
        )
    return np.rint(metered.drawn_var * recorded.interval_minutes / 60.0).astype(np.int64)


def _read_metered(recorded: Recorded, n_devices: int, blocks: Iterable[OpenedBlock]) -> Metered:
    total, n = recorded.n_intervals, recorded.houses.size
    load_wh, pv_wh = np.zeros((2, total, n), np.int64)
    dark, there = np.zeros((total, n), bool), np.zeros((n_devices, total), bool)
    found = Metered(load_wh, pv_wh, np.zeros(total, np.int64), dark, there, *np.zeros((2, total, n), np.int64))

    @cache
    def find_dark(changes: Changes) -> Mask:
        islands = find_islands(apply_changes(recorded.feeder.net, changes))
        return np.asarray(islands.find_supply(recorded.feeder.bus) == Supply.DARK)

    for block in (block for block in blocks if block.holds_interval):
        t, meters = block.interval, select_rows(block.records, Kind.METER)
        if meters.size != n or t >= total:
            raise ScenarioError(
                f"block {block.height}: expected a meter for each of {n} houses in one of {total} intervals, got "
                f"{meters.size} in interval {t}; run gridsettle ledger verify"
            )
        found.load_wh[t], found.pv_wh[t] = meters["load_wh"], meters["pv_wh"]
        devices = select_rows(block.records, RecordKind.FLEXIBLE)
        np.subtract.at(found.load_wh[t], devices["house"], devices["given_wh"])
        found.drawn_var[t], found.shed_wh[t] = -meters["q_var"], meters["shed_wh"]
        found.price_ueur_per_kwh[t] = _find_price(block)
        if changes := read_changes(block.records):
            found.dark[t] = find_dark(changes)
        _follow_devices(found.there, block)
    return found


def _follow_devices(there: Mask, block: OpenedBlock) -> None:
    """Note devices that join behind the block's interval, or leave at its begin."""
    for row in select_rows(block.records, RecordKind.DEVICE):
        device, joins = int(row["device"]), row["status"] == 1
        if 0 <= device < len(there):
            there[device, block.interval + joins :] = joins


def _find_price(block: OpenedBlock) -> int:
    """Utility price of an interval: the operator buys the losses at it in every one."""
    rows = select_exchanges(block.records)
    bought = rows[(rows["kind"] == Kind.LOSS) & (rows["seller"] == GRID)]
    return int(np.clip(bought["price_ueur_per_kwh"][0], 0, 10_000_000)) if bought.size else 0


def find_raised(dark: Mask, n_intervals: int) -> Mask:
    """Which loads cold-load pickup raised, (T, N): in the first `n_intervals` with supply after some without."""
    raised = np.zeros_like(dark)
    left = np.zeros(dark.shape[1], np.int64)
    for t in range(1, dark.shape[0]):
        left = np.where(dark[t - 1], n_intervals, np.maximum(left - 1, 0))
        raised[t] = (left > 0) & ~dark[t]
    return raised


def undo_pickup(raised_wh: Ints) -> Ints:
    """Load that cold-load pickup raised to `raised_wh`; the next larger where none would be raised to that.

    Examples
    --------
    >>> undo_pickup(np.array([0, 2, 3, 4, 6])).tolist()
    [0, 1, 2, 3, 4]
    """
    load = np.floor(raised_wh / PICKUP_FACTOR).astype(np.int64) - 1
    for _ in range(3):
        load = np.where(np.rint(load * PICKUP_FACTOR) < raised_wh, load + 1, load)
    return np.maximum(load, 0)


def without_panels(pv_wh: Ints, panels: Sequence[Device], there: Mask, interval_minutes: int) -> Ints:
    """Generation without panels that were plugged in, (T, N).

    These generate as all panels of the profile together do, in proportion to their largest sum (`scale_panels_wh`).

    Parameters
    ----------
    pv_wh
        With them, (T, N).
    panels, there
        The panels, and when they generate, (P, T).
    interval_minutes
        Length of an interval.
    """
    if not there.any():
        return pv_wh
    with_all = pv_wh.sum(axis=1)
    kwp = there * np.array([[panel.rated_kw] for panel in panels])

    def added_wh(total_wh: Ints, largest_wh: int) -> Ints:
        return scale_panels_wh(kwp, total_wh / max(largest_wh, 1), interval_minutes)

    # Where the profile has its largest sum, panels are at their rated power; elsewhere this difference is smaller.
    largest = int(np.max(with_all - added_wh(np.ones_like(with_all), 1).sum(axis=0), initial=0))
    without = _solve_increasing(lambda total: total + added_wh(total, largest).sum(axis=0), with_all)
    profile = pv_wh.copy()
    for panel, wh in zip(panels, added_wh(without, largest), strict=True):
        profile[:, panel.house] -= wh
    return np.maximum(profile, 0)


def _solve_increasing(function: Callable[[Ints], Ints], values: Ints) -> Ints:
    """Smallest x >= 0 for which `function(x)` reaches the values, by bisection; the function is at least x."""
    low, high = np.zeros_like(values), values.copy()
    while (low < high).any():
        middle = (low + high) // 2
        reached = function(middle) >= values
        low, high = np.where(reached, low, middle + 1), np.where(reached, middle, high)
    return low
