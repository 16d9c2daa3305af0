"""What is wrong with the content of a scenario, in words: the one place where pydantic's findings are translated."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Sequence
from typing import Any, get_args

from pydantic import ValidationError

from cosim.scenario.base import Section
from cosim.scenario.events import LoadEvent, OutageEvent, RandomOutagesEvent, RegisterEvent, RetireEvent
from cosim.scenario.participants import ParticipantSection

_EVENTS: dict[str, type[Section]] = {
    get_args(event.model_fields["kind"].annotation)[0]: event
    for event in (OutageEvent, RandomOutagesEvent, RegisterEvent, RetireEvent, LoadEvent)
}

_IN_WORDS = {
    "model_type": "a table of keys",
    "path_type": "a path",
    "bool_parsing": 'true or false ("yes" and "no" will do)',
    "bool_type": "true or false",
}
"""What pydantic says by the names of Python classes."""

MOST_MISTAKES = 10
"""Mistakes of a scenario that are told."""


def explain(error: ValidationError, scenario: type[Section], where: str) -> str:
    """One line per mistake, of the first ones: where, key, what was expected and got, what the key means."""
    lines = [f"{where}, {_explain_one(dict(item), scenario)}" for item in _without_repeats(error)]
    more = [f"and {len(lines) - MOST_MISTAKES} more mistakes"] if len(lines) > MOST_MISTAKES else []
    return "\n".join([*lines[:MOST_MISTAKES], *more])


def explain_row(error: ValidationError, section: type[Section], source: str, row: object) -> str:
    """The first mistake in a row of a table: file, column, row, what was expected and got."""
    item: dict[str, Any] = dict(error.errors()[0])
    column = str(item["loc"][-1]) if item["loc"] else ""
    if item["type"] == "value_error":
        what = item["msg"].removeprefix("Value error, ")
        named, _, rest = what.partition(": ")
        column, what = (named, rest) if not column and named in section.model_fields else (column, what)
    else:
        expected, got = _expected_and_got(item)
        what = f"expected {'yes or no' if item['type'] == 'bool_parsing' else expected}, got {got}"
    return f"{source}, column '{column}', row {row}: {what}{'' if '; ' in what else '; correct the row'}"


def _without_repeats(error: ValidationError) -> Iterator[dict[str, Any]]:
    """Mistakes; of each section only the first key that is unknown: where there are several, a header is missing."""
    seen: set[tuple[Any, ...]] = set()
    for item in error.errors():
        section = tuple(item["loc"][:-1])
        if item["type"] == "extra_forbidden" and section and section in seen:
            continue
        if item["type"] == "extra_forbidden":
            seen.add(section)
        yield dict(item)


def _explain_one(item: dict[str, Any], scenario: type[Section]) -> str:
    location = [str(part) for part in item["loc"]]
    if not location:  # raised by the whole file about several of its keys; it names them itself
        return str(item["msg"]).removeprefix("Value error, ")
    key, section = shorten(".".join(location)), _section_holding(location, scenario)
    if item["type"] == "value_error":  # raised by a section about several of its keys, in words of ours
        return f"{key}: {item['msg'].removeprefix('Value error, ')}"
    if item["type"] == "extra_forbidden" and section is not None:
        known = list(section.model_fields)
        return (
            f"{key}: expected one of the keys {', '.join(known)}, got the unknown key '{shorten(location[-1], 80)}'"
            f"{suggest(location[-1], known)}"
        )
    expected, got = _expected_and_got(item)
    field = section.model_fields.get(location[-1]) if section is not None else None
    meaning = f" ({field.description})" if field is not None and field.description else ""
    return f"{key}: expected {expected}, got {got}{meaning}"


def _expected_and_got(item: dict[str, Any]) -> tuple[str, str]:
    kind, details, got = item["type"], item.get("ctx", {}), shorten(repr(item["input"]), 80)
    if kind == "missing":
        return "a value", "none"
    if kind == "union_tag_not_found":
        return f"a key {details['discriminator']}", "none"
    if kind == "union_tag_invalid":
        return f"{details['discriminator']} to be one of {details['expected_tags']}", shorten(repr(details["tag"]), 80)
    if kind in _IN_WORDS:
        return _IN_WORDS[kind], got
    return re.sub(r"^\w+ should (be |have )?", "", item["msg"]), got


def _section_holding(location: Sequence[str], scenario: type[Section]) -> type[Section] | None:
    """The section with the last key of a location such as (market, beta) or (events, 0, outage, start)."""
    if len(location) == 1:
        return scenario
    if location[0] == "events":
        return _EVENTS.get(location[2]) if len(location) == 4 else None
    if location[0] == "participants":
        return ParticipantSection if len(location) == 3 else None
    inner = scenario.model_fields[location[0]].annotation
    if len(location) == 3:  # a table of sections, by names
        return next((part for part in _list_sections(inner)), None)
    return inner if len(location) == 2 and isinstance(inner, type) and issubclass(inner, Section) else None


def _list_sections(annotation: Any) -> Iterator[type[Section]]:
    """Sections that an annotation is made of."""
    if isinstance(annotation, type) and issubclass(annotation, Section):
        yield annotation
    for part in get_args(annotation):
        yield from _list_sections(part)


def shorten(value: object, most: int = 200) -> str:
    """Words of a value on one line, cut where they are many: whatever a file holds, a message stays one.

    Examples
    --------
    >>> shorten("one   two", 5)
    'one t…'
    """
    text = " ".join(str(value).split())
    return text if len(text) <= most else f"{text[:most]}…"


def suggest(word: str, known: Sequence[str]) -> str:
    """The known word that is most like `word`, as the end of a message; empty where none is like it.

    Examples
    --------
    >>> suggest("mecanism", ["mechanism", "pricing"])
    "; did you mean 'mechanism'?"
    """
    near = difflib.get_close_matches(word, known, n=1)
    return f"; did you mean '{near[0]}'?" if near else ""
