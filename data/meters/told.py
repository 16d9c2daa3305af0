"""What the caller says about files of meters, where they do not say it themselves."""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple

from data.errors import DataError

CHOICES = {
    "unit": ("", "kWh", "Wh", "MWh", "kW", "W"),
    "kind": ("", "interval", "register", "power"),
    "stamp": ("", "start", "end"),
    "positive": ("", "import", "export"),
    "fill": ("none", "zero", "interpolate", "last-week"),
    "duplicates": ("refuse", "first", "last", "sum"),
    "register_reset": ("refuse", "zero", "gap"),
    "span": ("", "all", "common"),
}
"""What each may be; empty: as the file says, and a question where it says nothing."""
LARGEST_DIGITS = 9


class Told(NamedTuple):
    """What is said about the files.

    Attributes
    ----------
    timezone
        Clock of times without an offset; empty: asked for where there are such times.
    unit, kind, stamp, positive
        Unit of the values; whether they are energies of intervals, counters or mean powers; whether times are the start
        or the end of their intervals; what positive values are where there are negative ones. Empty: as the file says.
    interval_minutes
        Length of the intervals that are wanted; 0: as in the files.
    fill, duplicates, register_reset
        What becomes of gaps, of unequal readings of one interval, and of counters that fall.
    register_digits
        Digits of a counter before the decimal mark, in its own unit; 0: it does not roll over.
    span
        `all` intervals of all meters, or those that all have in `common`; empty: asked for where they differ.
    day_first
        Whether 03/04/2017 is in April; None: another date of the file must decide.
    time_column, meter_column, value_column
        Names of columns; empty: known by their names.
    leave_out
        Names of columns that are not read.
    meter
        Name of the meter of a file that names none; empty: that of the file.
    """

    timezone: str = ""
    unit: str = ""
    kind: str = ""
    stamp: str = ""
    positive: str = ""
    interval_minutes: int = 0
    fill: str = "none"
    duplicates: str = "refuse"
    register_reset: str = "refuse"
    register_digits: int = 0
    span: str = ""
    day_first: bool | None = None
    time_column: str = ""
    meter_column: str = ""
    value_column: str = ""
    leave_out: Collection[str] = ()
    meter: str = ""


def check_told(told: Told) -> None:
    """Raise DataError if something is said that has no meaning."""
    for name, possible in CHOICES.items():
        if getattr(told, name) not in possible:
            words = ", ".join(filter(None, possible))
            raise DataError(f"{option(name)}: expected one of {words}, got '{getattr(told, name)}'; correct it")
    if not 0 <= told.register_digits <= LARGEST_DIGITS:
        raise DataError(
            f"{option('register_digits')}: expected 1 to {LARGEST_DIGITS} digits, got "
            f"{told.register_digits}; correct it"
        )
    energy = {"kWh", "Wh", "MWh"}
    if (told.kind == "power" and told.unit in energy) or (
        told.kind in ("interval", "register") and told.unit[-1:] == "W"
    ):
        raise DataError(
            f"--kind {told.kind}: expected a unit of {'power' if told.kind == 'power' else 'energy'}, "
            f"got --unit {told.unit}; correct one"
        )


def option(name: str) -> str:
    """The option of the command that says it.

    Examples
    --------
    >>> option("register_digits")
    '--register-digits'
    """
    return f"--{name.replace('_minutes', '').replace('_', '-')}"


def ask(where: str, what: str, name: str, hint: str = "") -> DataError:
    """The question that a file leaves open, and the option that answers it."""
    words = "|".join(filter(None, CHOICES.get(name, ())))
    return DataError(f"{where}: expected {what}, got nothing that decides it; say it by {option(name)} {words or hint}")
