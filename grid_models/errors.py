"""Errors of the physics, the hint that a message about an unknown name ends with, and values in messages."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class GridError(ValueError):
    """Bad network or device: the message says where, what was expected, what was got and what to do."""


class NothingToSolveError(GridError):
    """A net whose sources feed no bus beside their own."""


class EngineDisagreementError(RuntimeError):
    """The fast engine and pandapower differ by more than they may: a defect of the program, never of the input."""


def suggest_name(name: object, known: Iterable[object], otherwise: str, cutoff: float = 0.6) -> str:
    """What to do about an unknown name: try the most similar one that is known, `otherwise` where none is similar.

    Examples
    --------
    >>> suggest_name("cigre_vl", ["cigre_lv", "kerber_dorfnetz"], "see NETS"), suggest_name("x", [], "see NETS")
    ("did you mean 'cigre_lv'?", 'see NETS')
    """
    near = difflib.get_close_matches(str(name), map(str, known), n=1, cutoff=cutoff)
    return f"did you mean '{near[0]}'?" if near else otherwise


def shorten(value: object) -> str:
    r"""Text of a value on one line, of at most 80 characters.

    Examples
    --------
    >>> shorten("two\n  lines"), len(shorten("x" * 100))
    ('two lines', 80)
    """
    text = " ".join(str(value).split())
    return text if len(text) <= 80 else f"{text[:79]}…"
