"""Intervals that are final, and how several stretches of them become one."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from cosim.case.state import NetworkState
from cosim.delivery.window import Window
from cosim.interval.device_requests import DeviceDecision
from cosim.islands.event_interval import EventInterval
from grid_models.powerflow.flow import Flow
from grid_models.powerflow.limits import Verdict, Verdicts


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
    before
        Verdict on the exchanges as cleared, for each interval that was not clean: {interval: verdict}.
    outage
        What outages carry on.
    disturbed, answers
        The parts of the network where it was not whole, and what became of devices (K = 1).
    """

    first: int
    window: Window
    flow: Flow
    verdicts: Verdicts
    outcome: npt.NDArray[np.int8]
    power_flows: npt.NDArray[np.int32]
    before: dict[int, Verdict]
    outage: NetworkState
    disturbed: EventInterval | None = None
    answers: tuple[DeviceDecision, ...] = ()

    @property
    def stop(self) -> int:
        """Interval number behind the last."""
        return self.first + self.outcome.size


def joined(chunks: Sequence[Chunk]) -> list[Chunk]:
    """The same intervals in as few chunks as can be: a disturbed interval stays a chunk of its own.

    What is written of a chunk costs more by the chunk than by the interval.
    """
    done: list[Chunk] = []
    for whole, stretch in groupby(chunks, key=lambda chunk: chunk.disturbed is None and not chunk.answers):
        parts = list(stretch)
        done += [_concatenated(parts)] if whole and len(parts) > 1 else parts
    return done


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
        state=last.window.state,
        unbalanced=last.window.unbalanced,
    )
    return Chunk(
        first=parts[0].first,
        window=window,
        flow=Flow.concatenated([part.flow for part in parts]),
        verdicts=Verdicts(*map(np.concatenate, zip(*(part.verdicts for part in parts), strict=True))),
        outcome=np.concatenate([part.outcome for part in parts]),
        power_flows=np.concatenate([part.power_flows for part in parts]),
        before={t: verdict for part in parts for t, verdict in part.before.items()},
        outage=last.outage,
    )


def _records(parts: Sequence[npt.NDArray[np.void]]) -> npt.NDArray[np.void]:
    """Records of one type, one behind the other, as bytes: by fields, numpy compares all types first."""
    kind = parts[0].dtype
    plain = np.dtype((np.void, kind.itemsize))
    return np.concatenate([part.view(plain) for part in parts]).view(kind)
