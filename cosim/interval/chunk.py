"""Final intervals: settled, judged, losses booked, conservation checked; and how stretches of them become one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from cosim.case.case import Case
from cosim.case.state import NetworkState
from cosim.delivery.losses import losses_wh, with_losses
from cosim.delivery.window import Window
from cosim.errors import ConservationError
from cosim.interval.bounds import Bounds, join_bounds
from cosim.interval.device_requests import DeviceDecision
from cosim.islands.event_interval import EventInterval
from grid_models.powerflow.flow import Flow
from grid_models.powerflow.verdicts import Verdict, Verdicts
from market.charges import Charges, join_charges
from market.storage import Wh


class Chunk(NamedTuple):
    """Intervals that are final: settled, clean, conserved.

    Attributes
    ----------
    first
        Interval number of the first.
    window
        Exchanges (losses included), meters, accounts, prices, state after.
    flow, verdicts
        AC solution of what was delivered, and its verdict.
    outcome, power_flows
        (K,) how each interval became clean (`Outcome`), and the power flows it took.
    unclean
        Verdict on the exchanges as cleared, for each interval that was not clean: {interval: verdict}.
    network
        State of the network after the last interval.
    event, decisions
        The parts of the network where it was not whole, and what became of devices (K = 1).
    hunting
        Intervals in which inverters or tap changers, as cleared, found no state to rest in.
    acted
        Whether inverters reduced their power, or taps changed, in a chunk of one interval.
    bounds
        Envelopes that the orders were clipped to, None where there are none.
    charges
        Network charges, None where there are none.
    """

    first: int
    window: Window
    flow: Flow
    verdicts: Verdicts
    outcome: npt.NDArray[np.int8]
    power_flows: npt.NDArray[np.int32]
    unclean: dict[int, Verdict]
    network: NetworkState
    event: EventInterval | None = None
    decisions: tuple[DeviceDecision, ...] = ()
    hunting: tuple[int, ...] = ()
    acted: bool = False
    bounds: Bounds | None = None
    charges: Charges | None = None

    @property
    def stop(self) -> int:
        """Interval number behind the last."""
        return self.first + self.outcome.size


def check_conserved(window: Window, first: int) -> Window:
    """The window itself, once its identities are known to hold.

    Raises
    ------
    ConservationError
        If energy or money of an interval does not balance.
    """
    k, house = (int(value) for value in window.unbalanced)
    if k >= 0:
        n = window.meters.shape[1]
        what = f"the energy of house {house}" if house < n else "the accounts"
        raise ConservationError(f"interval {first + k}: {what} do not balance; this is a defect, please report it")
    return window


def close_intervals(
    case: Case,
    first: int,
    window: Window,
    flow: Flow,
    verdicts: Verdicts,
    network: NetworkState,
    *,
    outcome: npt.NDArray[np.int8] | None = None,
    power_flows: npt.NDArray[np.int32] | None = None,
    unclean: dict[int, Verdict] | None = None,
    lost_wh: Wh | None = None,
    event: EventInterval | None = None,
    decisions: tuple[DeviceDecision, ...] = (),
    hunting: tuple[int, ...] = (),
    acted: bool = False,
    bounds: Bounds | None = None,
) -> Chunk:
    """Intervals in their final form: conservation checked, losses booked. The one constructor of a `Chunk`.

    Parameters
    ----------
    case
        Prices and interval length.
    first
        Number of the first interval.
    window, flow, verdicts
        K settled intervals, the AC solution of what was delivered, and its verdict.
    network
        State of the network after them.
    outcome, power_flows
        (K,) how each became clean and the power flows it took; clean at once if left out.
    unclean
        Verdicts on what was cleared, where that was not clean.
    lost_wh
        (K,) losses that the operator buys from the utility; all of the AC solution's if left out.
    event, decisions
        Parts of the network and what became of devices, in an interval with an event.
    hunting
        Intervals in which inverters or tap changers found no state to rest in.
    acted
        Whether they acted in the one interval.
    bounds
        Envelopes of the intervals, where orders were clipped to them.

    Raises
    ------
    ConservationError
        If energy or money of an interval does not balance.
    """
    n = verdicts.status.size
    lost = losses_wh(flow.losses_kw, case.interval_minutes) if lost_wh is None else lost_wh
    prices = case.inputs.utility_ueur_per_kwh[first : first + n]
    return Chunk(
        first,
        with_losses(check_conserved(window, first), lost, prices, first, case.opening.own_wh.size),
        flow,
        verdicts,
        np.zeros(n, np.int8) if outcome is None else outcome,
        np.ones(n, np.int32) if power_flows is None else power_flows,
        unclean or {},
        network,
        event,
        decisions,
        hunting,
        acted,
        bounds,
    )


def join_chunks(chunks: Sequence[Chunk]) -> list[Chunk]:
    """The same intervals in as few chunks as can be: an interval with an event stays a chunk of its own.

    What is written of a chunk costs more by the chunk than by the interval.
    """
    done: list[Chunk] = []
    for whole, stretch in groupby(chunks, key=lambda chunk: chunk.event is None and not chunk.decisions):
        parts = list(stretch)
        done += [_concatenated(parts)] if whole and len(parts) > 1 else parts
    return done


def group_chunks(stream: Iterable[Chunk], size: int) -> Iterator[list[Chunk]]:
    """Chunks, joined, in groups that end at a multiple of `size` intervals, or with the chunk that crosses it."""
    for _, group in groupby(stream, key=lambda chunk: (chunk.stop - 1) // size):
        yield join_chunks(list(group))


def _concatenated(parts: Sequence[Chunk]) -> Chunk:
    windows, last = [part.window for part in parts], parts[-1]
    sizes = np.array([window.offsets[-1] for window in windows])
    begin = np.concatenate([[0], np.cumsum(sizes)])
    shifted = [window.offsets[:-1] + at for window, at in zip(windows, begin[:-1], strict=True)]
    window = Window(
        rows=_records([window.rows[:size] for window, size in zip(windows, sizes, strict=True)]),
        offsets=np.concatenate([*shifted, begin[-1:]]),
        meters=_records([window.meters for window in windows]),
        accounts=np.concatenate([window.accounts for window in windows]),
        price_ueur_per_kwh=np.concatenate([window.price_ueur_per_kwh for window in windows]),
        orders=_records([window.orders for window in windows]),
        devices=_records([window.devices for window in windows]),
        state=last.window.state,
        unbalanced=last.window.unbalanced,
    )
    return Chunk(
        first=parts[0].first,
        window=window,
        flow=Flow.concatenate([part.flow for part in parts]),
        verdicts=Verdicts(*map(np.concatenate, zip(*(part.verdicts for part in parts), strict=True))),
        outcome=np.concatenate([part.outcome for part in parts]),
        power_flows=np.concatenate([part.power_flows for part in parts]),
        unclean={t: verdict for part in parts for t, verdict in part.unclean.items()},
        network=last.network,
        hunting=tuple(t for part in parts for t in part.hunting),
        bounds=join_bounds([part.bounds for part in parts]),
        charges=join_charges([part.charges for part in parts]),
    )


def _records(parts: Sequence[npt.NDArray[np.void]]) -> npt.NDArray[np.void]:
    """Records of one type, one behind the other, as bytes: by fields, numpy compares all types first."""
    kind = parts[0].dtype
    plain = np.dtype((np.void, kind.itemsize))
    return np.concatenate([part.view(plain) for part in parts]).view(kind)
