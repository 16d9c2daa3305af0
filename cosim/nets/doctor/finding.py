"""What the doctor says: findings at elements, with severity and score."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any, NamedTuple


class Severity(StrEnum):
    """How much a finding matters."""

    ERROR = "error"
    """Answers of a run would be wrong, or there would be none."""
    WARNING = "warning"
    """What can be, though it is rarely meant."""
    NOTE = "note"
    """What one should know, and may well be meant."""


POINTS = {Severity.ERROR: 20, Severity.WARNING: 5, Severity.NOTE: 1}
"""Points that a check takes from the score, once for its worst finding, however many elements it names."""
FULL_SCORE = 100
NET = "net"
"""Table of a finding that is of no element."""


@dataclass(frozen=True)
class Found:
    """What a check sees at an element.

    Attributes
    ----------
    table, index
        The element; `NET` and None where it is of the whole net.
    what
        What is wrong, with its number and unit.
    value, unit
        That number, and its unit; None where there is none.
    severity, remedy
        In place of those of the check.
    """

    table: str
    index: int | None
    what: str
    value: float | None = None
    unit: str = ""
    severity: Severity | None = None
    remedy: str = ""


@dataclass(frozen=True)
class Finding:
    """A finding as it is told.

    Attributes
    ----------
    check
        Name of the check.
    severity
        How much it matters.
    table, index, name
        The element: its table, its index there, and its name, which may be empty.
    what, value, unit
        What is wrong, and its number.
    why, remedy
        Why it matters, and what to do.
    """

    check: str
    severity: Severity
    table: str
    index: int | None
    name: str
    what: str
    value: float | None
    unit: str
    why: str
    remedy: str

    @property
    def place(self) -> str:
        """Table, index and name of the element in words."""
        if self.index is None:
            return self.table
        return f"{self.table} {self.index}" + (f" '{self.name}'" if self.name else "")


class Diagnosis(NamedTuple):
    """All that the doctor says of a network.

    Attributes
    ----------
    findings
        Errors first, then by the order of the checks.
    power_flow
        Whether it was solved: "solved", "no solution", or "not tried" and why.
    n_checks
        How many checks were made.
    """

    findings: tuple[Finding, ...]
    power_flow: str
    n_checks: int

    @property
    def is_sound(self) -> bool:
        """Whether there is no error."""
        return all(finding.severity is not Severity.ERROR for finding in self.findings)

    @property
    def score(self) -> int:
        """Score from 0 to 100, see `find_score`."""
        return find_score(self.findings)

    def count(self, severity: Severity) -> int:
        """Number of findings of a severity."""
        return sum(finding.severity is severity for finding in self.findings)

    def to_dict(self) -> dict[str, Any]:
        """All of it in numbers, words and lists."""
        return {
            "sound": self.is_sound,
            "score": self.score,
            "checks": self.n_checks,
            "power_flow": self.power_flow,
            **{f"{severity}s": self.count(severity) for severity in Severity},
            "findings": [asdict(finding) for finding in self.findings],
        }


def find_worst(findings: Sequence[Finding]) -> Severity:
    """The worst severity of some findings, at least one."""
    order = list(Severity)
    return min((finding.severity for finding in findings), key=order.index)


def find_score(findings: Sequence[Finding]) -> int:
    """100 less the points of each check that found something, counted once for its worst finding; never below 0."""
    by_check: dict[str, list[Finding]] = {}
    for finding in findings:
        by_check.setdefault(finding.check, []).append(finding)
    return max(0, FULL_SCORE - sum(POINTS[find_worst(some)] for some in by_check.values()))
