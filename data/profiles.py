"""Profiles: what every participant uses and generates in each interval, and what the utility charges; frozen."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from data.errors import DataError

Wh = npt.NDArray[np.int64]

INTERVALS_MINUTES = (15, 30, 60)
LARGEST_WH = 2**31 - 1
LARGEST_PRICE_UEUR_PER_KWH = 10_000_000


@dataclass(frozen=True, slots=True, eq=False)
class Profiles:
    """Energies and prices over T intervals and N participants.

    Attributes
    ----------
    start
        Begin of the first interval, UTC, `datetime64[s]`.
    interval_minutes
        15, 30 or 60.
    participants
        N unique names.
    load_wh, pv_wh
        Energy per interval, int64 (T, N), Wh, not negative.
    price_ueur_per_kwh
        Utility price, int64 (T,), µEUR/kWh, not negative.
    provenance
        Where it all comes from: source, seed, number of values filled in.

    Raises
    ------
    DataError
        If shapes, types, names or values are not as said.
    """

    start: np.datetime64
    interval_minutes: int
    participants: tuple[str, ...]
    load_wh: Wh
    pv_wh: Wh
    price_ueur_per_kwh: Wh
    provenance: Mapping[str, str | int | float]

    def __post_init__(self) -> None:
        object.__setattr__(self, "start", np.datetime64(self.start, "s"))
        if self.interval_minutes not in INTERVALS_MINUTES:
            raise DataError(f"profiles: expected intervals of 15, 30 or 60 minutes, got {self.interval_minutes}")
        _check_names(self.participants)
        shape = (len(self.price_ueur_per_kwh), len(self.participants))
        if shape[0] == 0:
            raise DataError("profiles: expected at least one interval, got none")
        for name, largest in (
            ("load_wh", LARGEST_WH),
            ("pv_wh", LARGEST_WH),
            ("price_ueur_per_kwh", LARGEST_PRICE_UEUR_PER_KWH),
        ):
            expected = shape if name != "price_ueur_per_kwh" else shape[:1]
            object.__setattr__(self, name, _checked(getattr(self, name), name, expected, largest))

    @property
    def n_intervals(self) -> int:
        """Number of intervals T."""
        return int(self.price_ueur_per_kwh.size)

    @property
    def n_participants(self) -> int:
        """Number of participants N."""
        return len(self.participants)

    @property
    def time(self) -> npt.NDArray[np.datetime64]:
        """Begin of every interval, UTC, (T,)."""
        step = np.timedelta64(60 * self.interval_minutes, "s")
        return np.asarray(self.start + np.arange(self.n_intervals) * step)

    def window(self, first: int, stop: int) -> Profiles:
        """Intervals first … stop-1."""
        step = np.timedelta64(60 * self.interval_minutes, "s")
        return replace(
            self,
            start=self.start + first * step,
            load_wh=self.load_wh[first:stop],
            pv_wh=self.pv_wh[first:stop],
            price_ueur_per_kwh=self.price_ueur_per_kwh[first:stop],
        )

    def select(self, participants: Sequence[str]) -> Profiles:
        """These participants, in this order.

        Raises
        ------
        DataError
            If one of them is not among the profiles.
        """
        position = {name: k for k, name in enumerate(self.participants)}
        for name in participants:
            if name not in position:
                known = ", ".join(self.participants[:5])
                raise DataError(f"profiles: expected one of the participants {known} …, got '{name}'")
        columns = [position[name] for name in participants]
        return replace(
            self,
            participants=tuple(participants),
            load_wh=self.load_wh[:, columns],
            pv_wh=self.pv_wh[:, columns],
        )

    def resample(self, interval_minutes: int) -> Profiles:
        """Same energies in longer or shorter intervals; every sum is kept to the Wh.

        Splitting spreads an energy evenly, the first parts taking the remainder; joining sums energies and takes
        the mean price, rounded down.

        Raises
        ------
        DataError
            If the horizon is no multiple of the new interval.
        """
        if interval_minutes == self.interval_minutes:
            return self
        if interval_minutes < self.interval_minutes:
            parts = self.interval_minutes // interval_minutes
            return replace(
                self,
                interval_minutes=interval_minutes,
                load_wh=_split(self.load_wh, parts),
                pv_wh=_split(self.pv_wh, parts),
                price_ueur_per_kwh=np.repeat(self.price_ueur_per_kwh, parts),
            )
        parts = interval_minutes // self.interval_minutes
        if self.n_intervals % parts:
            raise DataError(
                f"profiles: expected a multiple of {parts} intervals to join into {interval_minutes} minutes, "
                f"got {self.n_intervals}; cut the profiles"
            )
        return replace(
            self,
            interval_minutes=interval_minutes,
            load_wh=_join(self.load_wh, parts),
            pv_wh=_join(self.pv_wh, parts),
            price_ueur_per_kwh=self.price_ueur_per_kwh.reshape(-1, parts).mean(axis=1).astype(np.int64),
        )

    def digest(self) -> bytes:
        """SHA-256 over begin, interval, names and all values; 32 bytes, equal on every machine."""
        head = [str(self.start), self.interval_minutes, list(self.participants)]
        content = hashlib.sha256(json.dumps(head, separators=(",", ":")).encode())
        for values in (self.load_wh, self.pv_wh, self.price_ueur_per_kwh):
            content.update(np.ascontiguousarray(values, dtype="<i8").tobytes())
        return content.digest()


def _check_names(participants: tuple[str, ...]) -> None:
    if not participants:
        raise DataError("profiles: expected at least one participant, got none")
    seen: set[str] = set()
    for name in participants:
        if not isinstance(name, str) or not name.strip():
            raise DataError(f"profiles: expected participant names that are not empty, got {name!r}")
        if name in seen:
            raise DataError(f"profiles: expected each participant once, got '{name}' twice")
        seen.add(name)


def _checked(values: Any, name: str, shape: tuple[int, ...], largest: int) -> Wh:
    array = np.asarray(values)
    if array.shape != shape:
        raise DataError(f"profiles, {name}: expected shape {shape}, got {array.shape}")
    if not np.issubdtype(array.dtype, np.integer):
        raise DataError(f"profiles, {name}: expected integers, got {array.dtype}; round first")
    array = np.ascontiguousarray(array, dtype=np.int64)
    if array.size and (array.min() < 0 or array.max() > largest):
        where = np.unravel_index(int(np.argmax((array < 0) | (array > largest))), shape)
        raise DataError(
            f"profiles, {name}, interval {where[0]}: expected 0 to {largest}, got {array[where]}"
        )
    if array is values:
        array = array.copy()
    array.setflags(write=False)
    return array


def _split(energy: Wh, parts: int) -> Wh:
    whole, rest = np.divmod(energy, parts)
    pieces = [whole + (k < rest) for k in range(parts)]
    return np.stack(pieces, axis=1).reshape(energy.shape[0] * parts, -1)


def _join(energy: Wh, parts: int) -> Wh:
    return np.asarray(energy.reshape(energy.shape[0] // parts, parts, -1).sum(axis=1))
