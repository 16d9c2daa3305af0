"""The files of a private run: readable by their owner alone from the first byte, and each that is in clear explained.

The ledger of a private run tells strangers nothing of a house. The tables beside it do: they are the operator's own.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

CLEAR = "clear"
"""Key of the manifest with the files of a private run that are in clear, and why."""

_OWN_COPY = "what houses did, hour by hour: the operator's own copy, for the report; not to be given away"
_SUMS = "sums over the houses: the operator's own copy; not to be given away"
_REPORT = "made by gridsettle report from the tables; shows what houses did, not to be given away"
REASONS = {
    "manifest.json": "versions, salted digests of the inputs, and this list",
    "network.json": "lines, transformers, and which house is connected where: known to whoever looks at the street",
    "scenario.toml": "what was run, with the seed that draws synthetic houses; needed to resume and to audit",
    "summary.json": _SUMS,
    "resilience.parquet": _SUMS,
    **dict.fromkeys(("report.html", "report.pdf", "branch_summary.csv", "house_summary.csv", "hosting.csv"), _REPORT),
}
"""Why a file is in clear; tables that are not named hold what houses did."""
_OF_SOME_RUNS = {"phases.csv": "which house is connected to which phase: the operator's own copy; not to be given away"}


@contextmanager
def write_for_owner(private: bool) -> Iterator[None]:
    """While the context lasts, files and folders are made for their owner alone, if the run is private.

    It sets the umask of the process, which libraries that write files by themselves obey too.
    """
    if not private:
        yield
        return
    before = os.umask(0o077)
    try:
        yield
    finally:
        os.umask(before)


def explain_clear(files: Iterable[str]) -> dict[str, str]:
    """Why each file of a private run's directory is in clear, by its name; those that a report adds are among them."""
    reasons = REASONS | _OF_SOME_RUNS
    return {name: reasons.get(name, _OWN_COPY) for name in sorted({*files, *REASONS})}
