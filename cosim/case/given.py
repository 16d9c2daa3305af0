"""What another simulator gives in place of the profiles, interval by interval, and the file that a run keeps of it.

The profiles stay what the ledger was begun with. The interval is run with what was given, and its meters and prices
are recorded as ever; so the ledger holds what was used, and with the file the run can be made again.
"""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.csv as pa_csv

from cosim.delivery.reactive import PPM, LoadReactive
from cosim.delivery.window import InputSeries
from cosim.errors import ScenarioError
from data.profiles import LARGEST_PRICE_UEUR_PER_KWH, LARGEST_WH, Profiles
from market.storage import Wh

GIVEN_FILE = "given_inputs.csv"
"""File of a run directory with what another simulator gave; a run directory that has it belongs to a coupled run."""
COLUMNS = ("interval", "house", "load_wh", "pv_wh", "load_varh", "price_ueur_per_kwh")
LONGEST_LINE = 72
"""Bytes of a line of the file at most: six integers of up to eleven characters."""


class GivenRow(NamedTuple):
    """What an interval is run with.

    Attributes
    ----------
    load_wh, pv_wh
        Load, and generation of the own panels, of all N houses, (N,) Wh.
    load_varh
        Reactive energy that the loads draw, (N,) varh; zeros where the profiles have none.
    price_ueur_per_kwh
        Price of the utility.
    """

    load_wh: Wh
    pv_wh: Wh
    load_varh: Wh
    price_ueur_per_kwh: int


class GivenInputs:
    """Intervals in which something else was given than the profiles have; more of them as a run goes on.

    An interval is added before it is run, and never changed after: what was run stays what it was.

    Parameters
    ----------
    profiles
        What holds where nothing is given.
    """

    def __init__(self, profiles: Profiles) -> None:
        self._profiles = profiles
        self.rows: dict[int, GivenRow] = {}
        self._new: list[int] = []
        self._new_varh: list[int] = []
        self._made: InputSeries | None = None
        self._series: InputSeries | None = None
        self._varh_per_wh: npt.NDArray[np.float64] | None = None

    def profile(self, interval: int) -> GivenRow:
        """What the profiles have of an interval."""
        p, n = self._profiles, self._profiles.n_participants
        varh = np.zeros(n, np.int64) if p.load_varh is None else p.load_varh[interval]
        return GivenRow(p.load_wh[interval], p.pv_wh[interval], varh, int(p.price_ueur_per_kwh[interval]))

    def add(self, interval: int, row: GivenRow) -> bool:
        """Give the inputs of an interval; returns whether they are others than those of the profiles.

        Raises
        ------
        ScenarioError
            If a value is none that profiles may have.
        """
        check_row(row, self._profiles.participants, interval)
        usual = self.profile(interval)
        if all(np.array_equal(row[k], usual[k]) for k in range(len(row))):
            return False
        self.rows[interval] = row
        self._new.append(interval)
        self._new_varh.append(interval)
        return True

    def series(self, made: InputSeries) -> InputSeries:
        """The inputs of a run, with what was given in place of the profiles.

        Parameters
        ----------
        made
            Inputs of the profiles, with the devices that are there.
        """
        if not self.rows:
            return made
        if self._made is not made or self._series is None:
            self._made, self._new = made, list(self.rows)
            load, pv, price = made.load_wh.copy(), made.pv_wh.copy(), made.utility_ueur_per_kwh.copy()
            self._series = made._replace(load_wh=load, pv_wh=pv, utility_ueur_per_kwh=price)
        series = self._series
        for t in self._new:
            row = self.rows[t]
            series.load_wh[t], series.utility_ueur_per_kwh[t] = row.load_wh, row.price_ueur_per_kwh
            series.pv_wh[t] = made.pv_wh[t] + row.pv_wh - self._profiles.pv_wh[t]
            if (series.pv_wh[t] < 0).any():
                raise ScenarioError(
                    f"interval {t}: expected generation of panels that are still there, got some of panels that left"
                )
        self._new = []
        return series

    def reactive(self, loads: LoadReactive | None) -> LoadReactive | None:
        """Reactive power of the loads, with what was given; as it is where it follows a power factor."""
        if loads is None or loads.varh_per_wh is None or not self.rows:
            return loads
        if self._varh_per_wh is None:
            self._varh_per_wh = loads.varh_per_wh.copy()
        for t in self._new_varh:
            row = self.rows[t]
            loaded = row.load_wh > 0
            ratio = row.load_varh / np.where(loaded, row.load_wh, 1)
            self._varh_per_wh[t] = np.where(loaded, ratio, loads.tan_phi_ppm / PPM)
        self._new_varh = []
        return replace(loads, varh_per_wh=self._varh_per_wh)


def check_row(row: GivenRow, participants: tuple[str, ...], interval: int) -> None:
    """Raise ScenarioError if a value is none that profiles may have: nothing is cut to what would fit."""
    for name, values, least in (("load", row.load_wh, 0), ("pv", row.pv_wh, 0), ("varh", row.load_varh, -LARGEST_WH)):
        if (outside := np.flatnonzero((values < least) | (values > LARGEST_WH))).size:
            house = int(outside[0])
            raise ScenarioError(
                f"interval {interval}, {name} of {participants[house]}: expected {least} to {LARGEST_WH} "
                f"{'varh' if name == 'varh' else 'Wh'}, got {int(values[house])}"
            )
    if not 0 <= row.price_ueur_per_kwh <= LARGEST_PRICE_UEUR_PER_KWH:
        raise ScenarioError(
            f"interval {interval}, price: expected 0 to {LARGEST_PRICE_UEUR_PER_KWH} µEUR/kWh, got "
            f"{row.price_ueur_per_kwh}"
        )
    if (idle := np.flatnonzero((row.load_wh == 0) & (row.load_varh != 0))).size:
        raise ScenarioError(
            f"interval {interval}, varh of {participants[int(idle[0])]}: expected 0 where the load is 0 Wh, got "
            f"{int(row.load_varh[idle[0]])}; reactive power goes with the load that is served"
        )


def begin_file(directory: Path) -> None:
    """Begin the file of what is given, with nothing in it yet.

    Raises
    ------
    ScenarioError
        If it cannot be written.
    """
    _append(directory, ",".join(COLUMNS) + "\n")


def append_to_file(directory: Path, interval: int, row: GivenRow) -> None:
    """Keep what was given of an interval, a line a house.

    Raises
    ------
    ScenarioError
        If it cannot be written.
    """
    columns = zip(row.load_wh.tolist(), row.pv_wh.tolist(), row.load_varh.tolist(), strict=True)
    lines = (f"{interval},{house},{p},{g},{q},{row.price_ueur_per_kwh}\n" for house, (p, g, q) in enumerate(columns))
    _append(directory, "".join(lines))


def _append(directory: Path, text: str) -> None:
    path = directory / GIVEN_FILE
    try:
        with path.open("a", encoding="ascii") as file:
            file.write(text)
            file.flush()
    except OSError as reason:
        raise ScenarioError(f"{path}: expected a file that can be written, got {reason.strerror}") from reason


def sync_file(directory: Path) -> None:
    """Make what was kept durable."""
    with (directory / GIVEN_FILE).open("r+b") as file:
        os.fsync(file.fileno())


def read_given(directory: Path, profiles: Profiles) -> GivenInputs | None:
    """What a run directory keeps of what another simulator gave; None where the run is not coupled.

    Parameters
    ----------
    directory
        The run directory.
    profiles
        Of its scenario: T intervals and N houses.

    Raises
    ------
    ScenarioError
        If the file is not one of T intervals and N houses.
    """
    path, n = directory / GIVEN_FILE, profiles.n_participants
    if not path.exists():
        return None
    if path.is_symlink() or not path.is_file():
        raise ScenarioError(f"{path}: expected the file that the run kept, got a link or a folder; put the file back")
    most = LONGEST_LINE * (profiles.n_intervals * n + 1)
    if path.stat().st_size > most:
        raise ScenarioError(f"{path}: expected at most {most} bytes, got {path.stat().st_size}; put the file back")
    table = _read_table(path)
    k = len(table) // n
    if len(table) != k * n or k > profiles.n_intervals:
        raise ScenarioError(f"{path}: expected a line for each of {n} houses, got {len(table)} lines")
    interval, house, load, pv, varh, price = (table[name].to_numpy().reshape(k, n) for name in COLUMNS)
    first = interval[:, 0] if k else np.zeros(0, np.int64)
    alike = (interval == first[:, None]).all() and (house == np.arange(n)).all() and (price == price[:, :1]).all()
    if not alike or (np.diff(first, prepend=-1) <= 0).any() or (first >= profiles.n_intervals).any():
        raise ScenarioError(f"{path}: expected intervals in order, each with all houses and one price, got others")
    given = GivenInputs(profiles)
    for j, t in enumerate(first.tolist()):
        row = GivenRow(load[j], pv[j], varh[j], int(price[j, 0]))
        if not given.add(t, row):
            raise ScenarioError(f"{path}: expected only intervals that differ from the profiles, got interval {t}")
    return given


def _read_table(path: Path) -> pa.Table:
    types = dict.fromkeys(COLUMNS, pa.int64())
    try:
        table = pa_csv.read_csv(path, convert_options=pa_csv.ConvertOptions(column_types=types))
    except (pa.ArrowException, OSError, ValueError) as reason:
        raise ScenarioError(f"{path}: expected whole numbers {','.join(COLUMNS)}, got: {reason}") from reason
    if tuple(table.column_names) != COLUMNS or any(table[name].null_count for name in COLUMNS):
        raise ScenarioError(f"{path}: expected the columns {','.join(COLUMNS)} without gaps, got others")
    return table
