"""Local time beside UTC: what clocks on the wall show, with daylight saving time."""

from __future__ import annotations

from zoneinfo import ZoneInfo

import pandas as pd

from cosim.scenario.model import Scenario


def find_zone(scenario: Scenario) -> ZoneInfo | None:
    """Time zone of a scenario's local time; None where that is UTC, and times need not be shown twice."""
    return None if scenario.horizon.timezone == "UTC" else ZoneInfo(scenario.horizon.timezone)


def show_time(time: pd.Timestamp | str, zone: ZoneInfo | None = None) -> str:
    """A moment in UTC and, where there is a zone, in local time, with its date where that is another.

    Examples
    --------
    >>> show_time("2017-06-17T11:00:00Z")
    '2017-06-17 11:00 UTC'
    >>> show_time("2017-06-17T11:00:00Z", ZoneInfo("Europe/Berlin"))
    '2017-06-17 11:00 UTC (13:00 CEST)'
    >>> show_time("2017-06-17T22:30:00Z", ZoneInfo("Europe/Berlin"))
    '2017-06-17 22:30 UTC (2017-06-18 00:30 CEST)'
    """
    moment = pd.Timestamp(time).tz_convert("UTC")
    local = "" if zone is None else f" ({show_local(moment, zone).removeprefix(f'{moment:%Y-%m-%d} ')})"
    return f"{moment:%Y-%m-%d %H:%M} UTC{local}"


def show_local(time: pd.Timestamp, zone: ZoneInfo) -> str:
    """A moment in local time, with the name of its offset, which tells the two hours of an autumn night apart.

    Examples
    --------
    >>> show_local(pd.Timestamp("2017-10-29T01:00:00Z"), ZoneInfo("Europe/Berlin"))
    '2017-10-29 02:00 CET'
    """
    return f"{time.tz_convert(zone):%Y-%m-%d %H:%M %Z}"
