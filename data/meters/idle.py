"""Options about files of meters that have nothing to do there: refused where they name a counter, else said."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from data.errors import DataError
from data.meters.energies import ADDED, ANOTHER, Energies
from data.meters.readings import EXPORT, NET, Readings, Refused
from data.meters.told import Told, option


def check_counters(flows: Sequence[Energies], told: Told) -> None:
    """Raise DataError if counters are spoken of and there are none."""
    said = "register_digits" if told.register_digits else "register_reset" if told.register_reset != "refuse" else ""
    if said and not any(each.of_counter for each in flows):
        raise DataError(f"{option(said)}: expected a counter, got none in the files; leave the option out")


def list_idle(
    readings: Sequence[Readings], refused: Sequence[Refused], told: Told, *, has_filled: bool
) -> Iterator[str]:
    """Sentences about options that are given and change nothing.

    Parameters
    ----------
    readings, refused
        What was read, and readings that are not used.
    told
        What is said.
    has_filled
        Whether a gap was filled.
    """
    has_sign = any(each.flow == NET for each in readings)
    is_turned = has_sign and told.positive == EXPORT
    if told.positive and not is_turned and not any((each.value < 0).any() for each in readings):
        yield f"{option('positive')} {told.positive} changes nothing: no reading is below zero"
    word = ADDED if told.duplicates == "sum" else ANOTHER
    if told.duplicates != "refuse" and not any(each.why.startswith(word) for each in refused):
        yield f"{option('duplicates')} {told.duplicates} changes nothing: no interval has unequal readings"
    if told.fill != "none" and not has_filled:
        yield f"{option('fill')} {told.fill} changes nothing: there are no gaps"
