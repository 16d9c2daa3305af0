"""Versions of the format: by whether the model has phases, and whether there are devices that can wait.

All headers of a ledger bear the same one, which its first block determines; so the ledger of a run without either is
what it was before there were phases and devices, to the byte.
"""

from __future__ import annotations

from market.errors import LedgerError
from market.ledger.format.records import RecordBytes, read_parameters

BALANCED, UNBALANCED = 1, 2
BALANCED_WITH_DEVICES, UNBALANCED_WITH_DEVICES = 3, 4
VERSIONS = (BALANCED, UNBALANCED, BALANCED_WITH_DEVICES, UNBALANCED_WITH_DEVICES)
MODELS = ("three_phase", "four_wire")
"""What the parameter `model` of an unbalanced ledger may say."""
DEVICES_PARAMETER = "devices_sha256"
"""Parameter that the first block of a ledger with devices has: a digest of what they are and what they will do."""


def find_version(genesis: RecordBytes) -> int:
    """Version of a ledger by the records of its first block, (M, 72).

    The parameter `model` makes it one with phases, `devices_sha256` one with devices that can wait.

    Raises
    ------
    LedgerError
        If the model is none that has phases.
    """
    parameters = read_parameters(genesis)
    model, has_devices = parameters.get("model"), DEVICES_PARAMETER in parameters
    if model is None:
        return BALANCED_WITH_DEVICES if has_devices else BALANCED
    if (name := model.rstrip(b"\0").decode("ascii", "replace")) not in MODELS:
        raise LedgerError(f"parameter model: expected one of {', '.join(MODELS)}, found '{name[:40]}'")
    return UNBALANCED_WITH_DEVICES if has_devices else UNBALANCED


def has_phases(version: int) -> bool:
    """Whether ledgers of a version are of an unbalanced model.

    Examples
    --------
    >>> [has_phases(version) for version in VERSIONS]
    [False, True, False, True]
    """
    return version in (UNBALANCED, UNBALANCED_WITH_DEVICES)


def has_devices(version: int) -> bool:
    """Whether ledgers of a version record devices that can wait.

    Examples
    --------
    >>> [has_devices(version) for version in VERSIONS]
    [False, False, True, True]
    """
    return version in (BALANCED_WITH_DEVICES, UNBALANCED_WITH_DEVICES)
