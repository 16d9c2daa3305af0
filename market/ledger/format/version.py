"""Versions of the format: the first is that of balanced models, the second that of unbalanced ones, with phases.

All headers of a ledger bear the same one, which its first block determines; so a balanced run's ledger is what it was
before there were phases, to the byte.
"""

from __future__ import annotations

from market.errors import LedgerError
from market.ledger.format.records import RecordBytes, read_parameters

BALANCED, UNBALANCED = 1, 2
VERSIONS = (BALANCED, UNBALANCED)
MODELS = ("three_phase", "four_wire")
"""What the parameter `model` of an unbalanced ledger may say."""


def find_version(genesis: RecordBytes) -> int:
    """Version of a ledger by the records of its first block, (M, 72): the second where the parameter `model` is there.

    Raises
    ------
    LedgerError
        If that names no unbalanced model.
    """
    model = read_parameters(genesis).get("model")
    if model is None:
        return BALANCED
    if (name := model.rstrip(b"\0").decode("ascii", "replace")) not in MODELS:
        raise LedgerError(f"parameter model: expected one of {', '.join(MODELS)}, found '{name[:40]}'")
    return UNBALANCED
