"""Profiles: energy that each participant uses and generates in each interval, and the utility price; all integers."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from math import gcd
from typing import Any

import numpy as np
import numpy.typing as npt

from data.errors import DataError
from data.series import Integers

INTERVALS_MINUTES = (1, 5, 10, 15, 30, 60)
"""Lengths that intervals may have; each divides an hour."""
LENGTHS = f"{', '.join(map(str, INTERVALS_MINUTES[:-1]))} or {INTERVALS_MINUTES[-1]}"
"""The same in words."""
SPREAD = "spread evenly over intervals of"
"""In every note on rows that are longer than the intervals: peaks within them are not in the profiles."""
LARGEST_WH = 2**31 - 1
LARGEST_PRICE_UEUR_PER_KWH = 10_000_000
RESERVED_NAMES = ("grid", "contract", "operator")  # parties of exchanges that are no participants


@dataclass(frozen=True, slots=True, eq=False)
class Profiles:
    """Energies and prices over T intervals and N participants.

    Arrays are C-contiguous and read-only; an array that somebody could still write to is copied.

    Attributes
    ----------
    start
        Begin of the first interval, UTC, `datetime64[s]`.
    interval_minutes
        One of `INTERVALS_MINUTES`: 1, 5, 10, 15, 30 or 60.
    participants
        N unique names, printable, without space at either end, none of `RESERVED_NAMES`.
    load_wh, pv_wh
        Energy per interval, int64 (T, N), Wh, 0 … 2³¹−1.
    price_ueur_per_kwh
        Utility price, int64 (T,), µEUR/kWh, 0 … 10,000,000.
    provenance
        Where the profiles come from: source, seed, number of values filled in.
    load_varh
        Reactive energy that the loads draw, int64 (T, N), varh, ±(2³¹−1); negative where they supply it. None where it
        is not known, so that a power factor has to say it.
    resolution_minutes
        Length of the rows of which the energies were made, minutes: more than an interval where they were spread over
        several, so that no peak within them is known. 0: as long as an interval.

    Raises
    ------
    DataError
        If shapes, types, names or values are not as above.

    Examples
    --------
    >>> import numpy as np
    >>> energy = np.array([[100], [201]])
    >>> price = np.array([56_500, 60_000])
    >>> profiles = Profiles(np.datetime64("2017-01-01"), 60, ("house_01",), energy, 0 * energy, price, {})
    >>> profiles.resample(30).load_wh.ravel()
    array([ 50,  50, 101, 100])
    """

    start: np.datetime64
    interval_minutes: int
    participants: tuple[str, ...]
    load_wh: Integers
    pv_wh: Integers
    price_ueur_per_kwh: Integers
    provenance: Mapping[str, str | int | float]
    load_varh: Integers | None = None
    resolution_minutes: int = 0

    def __post_init__(self) -> None:
        _check_interval(self.interval_minutes)
        _check_names(self.participants)
        shape = (np.size(self.price_ueur_per_kwh), len(self.participants))
        if shape[0] == 0:
            raise DataError("profiles: expected at least one interval, got none; choose a longer horizon")
        frozen = {
            "start": _check_start(self.start),
            "participants": tuple(self.participants),
            "load_wh": _check_values(self.load_wh, "load_wh", shape, LARGEST_WH),
            "pv_wh": _check_values(self.pv_wh, "pv_wh", shape, LARGEST_WH),
            "price_ueur_per_kwh": _check_values(
                self.price_ueur_per_kwh, "price_ueur_per_kwh", shape[:1], LARGEST_PRICE_UEUR_PER_KWH
            ),
            "provenance": dict(self.provenance),
            "load_varh": None,
            "resolution_minutes": max(self.resolution_minutes, self.interval_minutes),
        }
        if self.load_varh is not None:
            frozen["load_varh"] = _check_values(self.load_varh, "load_varh", shape, LARGEST_WH, -LARGEST_WH)
        for name, value in frozen.items():
            object.__setattr__(self, name, value)

    def __reduce__(self) -> tuple[type[Profiles], tuple[Any, ...]]:
        """Pickle by the constructor, so that a copy in another process is frozen too."""
        return Profiles, tuple(getattr(self, field.name) for field in fields(self))

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
        """Begin of every interval, UTC, `datetime64[s]` (T,)."""
        return np.asarray(self.start + np.arange(self.n_intervals) * self._step)

    @property
    def _step(self) -> np.timedelta64:
        return np.timedelta64(60 * self.interval_minutes, "s")

    def window(self, first: int, stop: int) -> Profiles:
        """The profiles of intervals first … stop−1; raises DataError unless 0 <= first < stop <= T."""
        if not 0 <= first < stop <= self.n_intervals:
            raise DataError(
                f"profiles: expected a window within 0 … {self.n_intervals} of at least one interval, "
                f"got {first} … {stop}; choose others or supply longer profiles"
            )
        return replace(
            self,
            start=self.start + first * self._step,
            load_wh=self.load_wh[first:stop],
            pv_wh=self.pv_wh[first:stop],
            load_varh=None if self.load_varh is None else self.load_varh[first:stop],
            price_ueur_per_kwh=self.price_ueur_per_kwh[first:stop],
        )

    def select(self, participants: Sequence[str]) -> Profiles:
        """The profiles of these participants, in this order; raises DataError if one is unknown or named twice."""
        position = {name: k for k, name in enumerate(self.participants)}
        for name in participants:
            if name not in position:
                known = ", ".join(self.participants[:5])
                raise DataError(f"profiles: expected participants among {known} …, got '{name}'; correct the name")
        columns = [position[name] for name in participants]
        return replace(
            self,
            participants=tuple(participants),
            load_wh=self.load_wh[:, columns],
            pv_wh=self.pv_wh[:, columns],
            load_varh=None if self.load_varh is None else self.load_varh[:, columns],
        )

    def resample(self, interval_minutes: int) -> Profiles:
        """The same energies in longer or shorter intervals; every sum is kept to the Wh.

        Splitting spreads an energy evenly, the remainder over the first parts, and repeats the price. Joining sums
        energies and takes the mean price, rounded down, so joining undoes splitting. Where neither length is a multiple
        of the other, as 10 and 15, intervals are split into the longest that both hold, and these joined.

        Raises
        ------
        DataError
            If intervals to be joined do not begin and end on the longer interval.
        """
        _check_interval(interval_minutes)
        common = gcd(self.interval_minutes, interval_minutes)
        if common not in (self.interval_minutes, interval_minutes):
            self._check_joinable(interval_minutes // common, interval_minutes, self.interval_minutes // common)
            return self.resample(common).resample(interval_minutes)
        if interval_minutes <= self.interval_minutes:
            parts, change = self.interval_minutes // interval_minutes, _split
            price = np.repeat(self.price_ueur_per_kwh, parts)
        else:
            parts, change = interval_minutes // self.interval_minutes, _join
            self._check_joinable(parts, interval_minutes)
            price = _join(self.price_ueur_per_kwh[:, None], parts)[:, 0] // parts
        return replace(
            self,
            interval_minutes=interval_minutes,
            load_wh=change(self.load_wh, parts),
            pv_wh=change(self.pv_wh, parts),
            load_varh=None if self.load_varh is None else change(self.load_varh, parts),
            price_ueur_per_kwh=price,
        )

    def _check_joinable(self, parts: int, interval_minutes: int, pieces: int = 1) -> None:
        """Check that intervals, each cut into some pieces, can be joined, `parts` pieces at a time."""
        seconds, needed = int(self.start.astype(np.int64)), parts // gcd(parts, pieces)
        if self.n_intervals % needed or seconds % (60 * interval_minutes):
            raise DataError(
                f"profiles: expected a begin at a full {interval_minutes} minutes and a multiple of {needed} intervals "
                f"to join, got {self.n_intervals} intervals from {self.start}; cut the profiles"
            )

    def digest(self) -> bytes:
        """SHA-256 over begin, interval, T, names and all values as little-endian int64; equal on every machine."""
        head = [str(self.start), self.interval_minutes, self.n_intervals, list(self.participants)]
        content = hashlib.sha256(json.dumps(head, separators=(",", ":")).encode())
        reactive = () if self.load_varh is None else (self.load_varh,)
        for values in (self.load_wh, self.pv_wh, self.price_ueur_per_kwh, *reactive):
            content.update(values.astype("<i8", copy=False).tobytes())
        return content.digest()


def _check_interval(minutes: int) -> None:
    if minutes not in INTERVALS_MINUTES:
        raise DataError(f"profiles: expected intervals of {LENGTHS} minutes, got {minutes}; resample the data")


def _check_start(start: np.datetime64) -> np.datetime64:
    second: np.datetime64 = start.astype("datetime64[s]")
    if np.isnat(second) or bool(second != start):
        raise DataError(f"profiles: expected a begin at a whole second, got {start}; shift the data")
    return second


def _check_names(participants: Sequence[str]) -> None:
    if not participants:
        raise DataError("profiles: expected at least one participant, got none; add one")
    seen: set[str] = set()
    for name in participants:
        if not isinstance(name, str) or not name or not name.isprintable() or name != name.strip():
            raise DataError(
                f"profiles: expected names of printable characters without space at their ends, got {name!r}; rename"
            )
        if name in RESERVED_NAMES:
            raise DataError(f"profiles: expected names of participants, got '{name}', which is reserved; rename")
        if name in seen:
            raise DataError(f"profiles: expected each participant once, got '{name}' twice; rename or remove one")
        seen.add(name)


def _check_values(values: Integers, name: str, shape: tuple[int, ...], largest: int, smallest: int = 0) -> Integers:
    array = np.asarray(values)
    if array.shape != shape:
        raise DataError(f"profiles, {name}: expected shape {shape}, got {array.shape}; align the arrays")
    if not np.issubdtype(array.dtype, np.integer):
        raise DataError(f"profiles, {name}: expected integers, got {array.dtype}; round the values first")
    array = np.ascontiguousarray(array, dtype=np.int64)
    wrong = (array < smallest) | (array > largest)
    if wrong.any():
        where = np.unravel_index(int(np.argmax(wrong)), shape)
        raise DataError(
            f"profiles, {name}, interval {where[0]}: expected {smallest} to {largest}, got {array[where]}; "
            "correct the value"
        )
    return _freeze(array)


def _freeze(array: Integers) -> Integers:
    """The same array if nobody can write to it, else a read-only copy."""
    owner = array if array.base is None else array.base
    if isinstance(owner, np.ndarray) and not owner.flags.writeable and not array.flags.writeable:
        return array
    array = array.copy()
    array.setflags(write=False)
    return array


def _split(energy: Integers, parts: int) -> Integers:
    """Even parts, the remainder over the first ones; read-only, so that `Profiles` need not copy what may be large."""
    whole, rest = np.divmod(energy, parts)
    pieces = np.empty((energy.shape[0], parts, energy.shape[1]), np.int64)
    for k in range(parts):
        np.add(whole, k < rest, out=pieces[:, k])
    pieces.setflags(write=False)
    return pieces.reshape(energy.shape[0] * parts, -1)


def _join(energy: Integers, parts: int) -> Integers:
    return np.asarray(energy.reshape(energy.shape[0] // parts, parts, -1).sum(axis=1))
