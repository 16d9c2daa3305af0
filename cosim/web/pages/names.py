"""Names on pages: of houses, of whom they deal with, and of the elements of the network.

A house has one number for everybody, counted from 1 as in the tables. Elements are called by the names of the net; a
name of a participant in them, and of the bus where houses are, is seen by the operator alone.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from enum import IntEnum
from typing import NamedTuple

import pandas as pd

from cosim.case.case import Case
from cosim.case.community import COMMUNITY
from cosim.results.labels import name_house, number_house
from cosim.web.pages.words import PlaceName, name_by_number, name_party

MOST_NAMED = 3
"""Houses of one bus that are named; of more, only how many there are."""


class Sight(IntEnum):
    """Who looks: what elements are called, and how exactly values are told, depends on it."""

    STRANGER = 0
    """Numbers of elements alone: a name in a net may be a person's."""
    MEMBER = 1
    """Names of elements, with numbers in place of the names of houses."""
    OPERATOR = 2
    """Names as the net and the tables have them."""


class Names(NamedTuple):
    """What pages call houses and elements.

    Attributes
    ----------
    participants
        (N,) names of the tables, by index on the ledger.
    houses
        Indexes of those that a person can be admitted to: the community is nobody's.
    places
        By who looks: what elements are called.
    """

    participants: tuple[str, ...]
    houses: tuple[int, ...]
    places: Mapping[Sight, PlaceName]

    def party(self, index: int) -> str:
        """A house, the community, the grid, …, as everybody may see it."""
        is_community = 0 <= index < len(self.participants) and self.participants[index] == COMMUNITY
        return "the community" if is_community else name_party(index)

    def full(self, index: int) -> str:
        """A house with its name in the tables, for the operator."""
        return self.party(index) if index not in self.houses else f"{name_house(index)}, {self.participants[index]}"


def make_names(case: Case) -> Names:
    """Names of a case's houses and elements."""
    participants, net = case.profiles.participants, case.feeder.net
    houses = tuple(index for index, name in enumerate(participants) if name != COMMUNITY)
    at_bus: dict[int, list[int]] = {}
    for index, bus in enumerate(case.feeder.bus.tolist()):
        at_bus.setdefault(bus, []).append(index)
    connected = {bus: name_houses(found, participants) for bus, found in at_bus.items()}
    hide = make_hider(participants, houses)
    tables = {"line": net.line.name, "transformer": net.trafo.name, "bus": net.bus.name}
    given = {table: name_elements(table, column) for table, column in tables.items()}
    hidden = {table: name_elements(table, column, hide) for table, column in tables.items()}
    theirs = {**hidden, "bus": hidden["bus"] | connected}
    full = {**given, "bus": {bus: f"{name}{_enclose(connected.get(bus))}" for bus, name in given["bus"].items()}}
    places = {Sight.STRANGER: name_by_number, Sight.MEMBER: _look_up(theirs), Sight.OPERATOR: _look_up(full)}
    return Names(participants, houses, places)


def _enclose(text: str | None) -> str:
    return f" ({text})" if text else ""


def _look_up(names: Mapping[str, Mapping[int, str]]) -> PlaceName:
    return lambda table, element: names[table].get(element) or name_by_number(table, element)


def name_houses(indexes: Sequence[int], participants: Sequence[str]) -> str:
    """The houses of one bus.

    Examples
    --------
    >>> name_houses([6], ["h"] * 9), name_houses([6, 8], ["h"] * 9), name_houses(range(5), ["h"] * 4 + [COMMUNITY])
    ('house 7', 'houses 7 and 9', '4 houses and the community')
    """
    numbers = [str(number_house(index)) for index in indexes if participants[index] != COMMUNITY]
    if len(numbers) > MOST_NAMED:
        words = f"{len(numbers)} houses"
    elif len(numbers) > 1:
        words = f"houses {', '.join(numbers[:-1])} and {numbers[-1]}"
    else:
        words = "".join(f"house {number}" for number in numbers)
    has_community = len(numbers) < len(indexes)
    return " and ".join(filter(None, (words, "the community" if has_community else "")))


def make_hider(participants: Sequence[str], houses: Iterable[int]) -> Callable[[str], str]:
    """What puts a house's number in place of its name in a text.

    Examples
    --------
    >>> make_hider(("ann", "ann b", "3"), (0, 1, 2))("service Ann B, bannister, ann, joint 3")
    'service house 2, bannister, house 1, joint 3'
    """
    named = [index for index in houses if re.search(r"[^\W\d]", participants[index])]  # a number is nobody's name
    if not named:
        return str
    known = {participants[index].lower(): name_house(index) for index in named}
    longest_first = sorted(known, key=len, reverse=True)
    pattern = re.compile(rf"(?<!\w)(?:{'|'.join(map(re.escape, longest_first))})(?!\w)", re.IGNORECASE)
    return lambda text: pattern.sub(lambda found: known[found[0].lower()], text)


def name_elements(table: str, given: pd.Series, hide: Callable[[str], str] = str) -> dict[int, str]:
    """What the elements of a table are called, by number: by name where the net has one, else by number.

    Examples
    --------
    >>> name_elements("line", pd.Series(["main 1", "Line 2", None, "NAYY", "NAYY"], index=[4, 5, 6, 7, 8]))
    {4: 'line main 1', 5: 'Line 2', 6: 'line 6', 7: 'line NAYY (7)', 8: 'line NAYY (8)'}
    """
    texts = [hide(name.strip()) if isinstance(name, str) else "" for name in given]
    shown = dict(zip(given.index.tolist(), texts, strict=True))
    times = Counter(shown.values())
    return {
        k: name_by_number(table, k) if not name else f"{_say_table(table, name)}{f' ({k})' if times[name] > 1 else ''}"
        for k, name in shown.items()
    }


def _say_table(table: str, name: str) -> str:
    """A name with its table's word before it, unless it says so itself."""
    return name if name.lower().startswith(table) else f"{table} {name}"
