"""The net's own elements in an island: what they draw and feed, who hands energy to them, and when they are off.

Rules: loads are carried whole, before those of the houses, or switched off together where they could be carried only
at the cost of critical load, or not at all. Generation serves like unsold surplus of panels; what nobody uses charges
batteries that have room, and the rest is turned down. The energy is the network operator's and moves no money.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from cosim.case.case import Case
from cosim.case.timeline import Mask
from cosim.islands.local_dispatch import LocalDispatch, Sources, Transfer, dispatch_locally, share_equally
from cosim.islands.switching import Topology, Uses
from grid_models.arrays import Floats, Ints
from grid_models.feeder.background import Background, Use
from market.exchanges import EXCHANGE, NOBODY, OPERATOR, Kind, Rows
from market.storage import Wh


class IslandBackground(NamedTuple):
    """The background of a part of the network in an interval.

    Attributes
    ----------
    elements
        Its elements; without loads if these are off.
    load_wh
        Constant load to the nearest Wh; what goes with the voltage is known once the island is solved.
    available_wh, generation_wh
        Generation that the elements could feed, and whole Wh of it that may be used.
    is_off
        Whether loads are switched off.
    """

    elements: Background
    load_wh: int
    available_wh: float
    generation_wh: int
    is_off: bool = False

    @property
    def has_load(self) -> bool:
        """Whether there is anything to switch off."""
        return not self.is_off and bool((~self.elements.is_generation).any())

    def with_share(self, share: float) -> IslandBackground:
        """The same with a share of the generation that may be used."""
        return self._replace(generation_wh=int(self.generation_wh * share))

    def without_load(self) -> IslandBackground:
        """The same with its loads off."""
        return self._replace(elements=self.elements.select(self.elements.is_generation), load_wh=0, is_off=True)

    def list_uses(self, bus: int, used_wh: int) -> Uses:
        """How it is run in the island of the former at a bus, where so much of its generation is used."""
        use = Use(self.is_off, used_wh / self.available_wh if self.available_wh else 1.0)
        return () if use == Use() else ((bus, use),)

    def drawn_wh(self, vm_pu: Floats, interval_minutes: int) -> int:
        """What loads draw beyond the constant ones at voltages of a solved interval, (1, B), to the nearest Wh."""
        kw = self.elements._replace(constant_kw=np.zeros_like(self.elements.constant_kw)).power_kw(vm_pu)
        return round(-float(kw.sum()) * 1000.0 * interval_minutes / 60.0)


def find_island_background(case: Case, topology: Topology, inside: Mask) -> IslandBackground | None:
    """Background of the part of a topology in which some houses, (N,), are; None if it has none."""
    background, islands = case.feeder.background, topology.islands
    if not background.table:
        return None
    part = islands.find_part(case.feeder.bus[inside])[0]
    elements = background.select(islands.part[background.row] == part)
    if not elements.table:
        return None
    wh = elements.constant_kw * 1000.0 * case.interval_minutes / 60.0
    feeds = elements.is_generation
    available = float(wh[feeds].sum())
    return IslandBackground(elements, round(-float(wh[~feeds].sum())), available, int(available + 1e-6))


class BackgroundPlan(NamedTuple):
    """Energies that houses hand to the background and get from it, whole Wh.

    Attributes
    ----------
    transfers
        Those with houses; the background is number N.
    kept_wh
        Generation that serves its own loads.
    used_wh
        Generation that is used.
    """

    transfers: list[Transfer]
    kept_wh: int
    used_wh: int


def dispatch_with_background(
    background: IslandBackground, critical_wh: Wh, other_wh: Wh, sources: Sources, shares: Floats, rank: Ints
) -> tuple[LocalDispatch, BackgroundPlan] | None:
    """`dispatch_locally` with the background as one more house, whose load comes first; None if that is short.

    Parameters
    ----------
    background
        What it needs and offers.
    critical_wh, other_wh, sources, shares, rank
        As for `dispatch_locally`, of N houses.
    """
    n, kept = critical_wh.size, min(background.load_wh, background.generation_wh)
    need, offer = background.load_wh - kept, background.generation_wh - kept
    widened = sources._replace(
        surplus_wh=np.append(sources.surplus_wh, offer),
        battery_wh=np.append(sources.battery_wh, 0),
        room_wh=np.append(sources.room_wh, 0),
        charge_wh=np.append(sources.charge_wh, 0),
    )
    first = np.append(rank, rank.max(initial=0) + 1)
    found = dispatch_locally(
        np.append(critical_wh, need), np.append(other_wh, 0), widened, np.append(shares, 1.0), first
    )
    if found.served_wh[n] < need:
        return None
    local = LocalDispatch(
        [transfer for transfer in found.transfers if n not in transfer[:2]],
        found.fuel_wh,
        found.released_wh[:n],
        found.absorbed_wh[:n],
        found.spilled_wh[:n],
        found.served_wh[:n],
    )
    charged = _charge_batteries(local, sources, int(found.spilled_wh[n]))
    transfers = [transfer for transfer in found.transfers if n in transfer[:2]]
    transfers += [Transfer(n, int(i), int(charged[i])) for i in np.flatnonzero(charged)]
    taken = sum(transfer.wh for transfer in transfers if transfer.seller == n)
    return local._replace(absorbed_wh=local.absorbed_wh + charged), BackgroundPlan(transfers, kept, kept + taken)


def _charge_batteries(local: LocalDispatch, sources: Sources, left_wh: int) -> Wh:
    """What batteries that do not discharge take of generation that nobody uses."""
    room = np.where(local.released_wh == 0, sources.room_wh - np.maximum(local.absorbed_wh, 0), 0)
    return share_equally(left_wh, np.maximum(room, 0))


def make_background_rows(plan: BackgroundPlan, interval: int, former: int, n_houses: int, drawn_wh: int) -> Rows:
    """Exchanges with the background, free of charge: in the island that the former's house holds.

    Parameters
    ----------
    plan
        Energies.
    interval
        Number of the interval.
    former, n_houses
        House of the former, and number of houses.
    drawn_wh
        What the former supplies beyond the plan: loads that go with the voltage.
    """
    parties = [*plan.transfers, Transfer(n_houses, n_houses, plan.kept_wh), Transfer(former, n_houses, drawn_wh)]
    parties = [transfer for transfer in parties if transfer.wh > 0]
    rows = np.zeros(len(parties), EXCHANGE)
    for row, (seller, buyer, wh) in zip(rows, parties, strict=True):
        row["seller"] = OPERATOR if seller == n_houses else seller
        row["buyer"] = OPERATOR if buyer == n_houses else buyer
        row["cleared_wh"] = row["delivered_wh"] = wh
    rows["kind"], rows["interval"], rows["host"] = Kind.BACKGROUND, interval, former
    rows["element"], rows["lot"] = NOBODY, NOBODY
    return rows
