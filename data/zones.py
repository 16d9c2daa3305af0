"""Time zones by name: the one place that says which names there are."""

from __future__ import annotations

from zoneinfo import ZoneInfo

from data.errors import DataError

# Files beside the zones of the IANA data base. Some count leap seconds or are no zone at all: libraries that take
# ZoneInfo for a zone of their own find none by such a name.
_NO_ZONES = ("posix/", "right/", "posixrules", "localtime", "Factory")


def find_zone(name: str) -> ZoneInfo:
    """Find the time zone of the IANA data base of that name.

    Raises
    ------
    DataError
        If there is none, or none that every library knows.

    Examples
    --------
    >>> find_zone("Europe/Berlin").key
    'Europe/Berlin'
    """
    try:
        if not name.startswith(_NO_ZONES):
            return ZoneInfo(name)
    except (OSError, ValueError, KeyError):
        pass
    raise DataError(f"expected a name like Europe/Madrid or UTC, got '{name}'; correct it")
