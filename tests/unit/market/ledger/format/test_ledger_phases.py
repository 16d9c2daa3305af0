"""Version 2 of the format, ledgers of unbalanced models: what it adds, and that version 1 has none of it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import naive_ledger
import numpy as np
import pytest
from ledger_world import world, written
from resigned import resign

from market.errors import LedgerError
from market.exchanges import EXCHANGE, Kind
from market.ledger.check.verify import verify_ledger
from market.ledger.format.header import Header, make_demonstration_key
from market.ledger.format.ranges import LIMITS, LIMITS_WITH_PHASES, find_out_of_range
from market.ledger.format.records import (
    CONNECTED,
    HOUSE,
    LAYOUTS,
    PHASES,
    SIZE,
    RecordBytes,
    RecordKind,
    make_parameter_records,
    make_record,
    view_as_bytes,
)
from market.ledger.format.version import BALANCED, BALANCED_WITH_DEVICES, UNBALANCED, find_version

WITH_PHASES = sorted(kind for kind in LIMITS_WITH_PHASES if LIMITS_WITH_PHASES[kind] != LIMITS.get(kind))


def smallest(kind: int) -> np.ndarray:
    row = np.zeros(1, LAYOUTS[kind])
    for name, (lowest, _) in LIMITS_WITH_PHASES[kind].items():
        row[name] = lowest
    row["kind"] = kind
    return row


@pytest.mark.parametrize("kind", WITH_PHASES)
def test_every_limit_of_version_2_holds_to_the_unit(kind: int) -> None:
    for name, (lowest, highest) in LIMITS_WITH_PHASES[kind].items():
        info = np.iinfo(LAYOUTS[kind][name])
        for value, fits in ((lowest, True), (highest, True), (lowest - 1, False), (highest + 1, False)):
            if info.min <= value <= info.max:
                row = smallest(kind)
                row[name] = value
                assert (find_out_of_range(view_as_bytes(row), UNBALANCED) is None) == fits, (name, value)


def test_a_reason_names_a_conductor_where_its_element_has_some() -> None:
    row = smallest(Kind.GRID_EXPORT)
    found = []
    for reason in range(0x800):
        row["reason"] = reason
        if find_out_of_range(view_as_bytes(row), UNBALANCED) is None:
            found.append(reason)
    one, two, four = ([0x100 * code + number for code in (1, 2, 3)] for number in (1, 2, 4))
    line = [0x100 * code + 3 for code in (1, 2, 3, 4)]
    assert found == sorted([0, 5, 6, 7, 8, 9, 10, 11, 12, *one, *two, *four, *line])


def _exchange(code: int) -> RecordBytes:
    row = np.zeros(1, EXCHANGE)
    row["kind"], row["reason"] = Kind.GRID_EXPORT, code
    return view_as_bytes(row)


@pytest.mark.parametrize("code", [10, 13, 0x101, 0x403])
def test_version_1_has_no_conductor_of_a_reason(code: int) -> None:
    assert find_out_of_range(_exchange(code), BALANCED) == (0, f"a record whose reason is out of range: {code}")


@pytest.mark.parametrize("name", CONNECTED)
def test_version_1_has_no_phase_of_a_house(name: str) -> None:
    row = make_record(HOUSE, RecordKind.HOUSE, charge_ppm=1, discharge_ppm=1, **{name: 1})
    assert find_out_of_range(row, BALANCED) == (0, f"a record whose {name} is out of range: 1")
    assert find_out_of_range(row, UNBALANCED) is None


def test_version_1_has_no_phases_behind_a_verdict() -> None:
    row = make_record(PHASES, RecordKind.PHASES)
    assert find_out_of_range(row, BALANCED) == (0, "a record of unknown kind 20")
    assert find_out_of_range(row, UNBALANCED) is None


def test_the_first_block_determines_the_version() -> None:
    def genesis(**parameters: str | int) -> RecordBytes:
        return view_as_bytes(make_parameter_records(parameters, 1))

    assert find_version(genesis(seed=1)) == BALANCED
    assert [find_version(genesis(model=name)) for name in ("three_phase", "four_wire")] == [UNBALANCED] * 2
    for name in ("balanced", "", "two_phase"):
        with pytest.raises(
            LedgerError, match=f"parameter model: expected one of three_phase, four_wire, found '{name}"
        ):
            find_version(genesis(model=name))


# -- whole ledgers, by the verifier and by its naive twin -------------------------------------------------------------


def both(directory: Path) -> tuple[int, str]:
    """Height of the first fault that both find, -1 for none, and the verifier's words."""
    report, naive = verify_ledger(directory), naive_ledger.first_fault(directory)
    assert report.ok == (naive is None), (report, naive)
    assert naive is None or report.height == naive[0], (report, naive)
    return report.height, report.reason


@pytest.mark.parametrize("phased", [False, True])
def test_a_ledger_is_of_one_version_throughout(phased: bool, tmp_path: Path) -> None:
    written(tmp_path / "run", world(2, 5, seed=2, phased=phased))
    assert both(tmp_path / "run") == (-1, "")
    version = UNBALANCED if phased else BALANCED
    assert {header.version for header in headers(tmp_path / "run")} == {version}


def headers(directory: Path) -> list[Header]:
    found: list[Header] = []

    def look(header: Header, body: bytes) -> tuple[Header, bytes]:
        found.append(header)
        return header, body

    resign(directory, make_demonstration_key(2), look)
    return found


WITHOUT_PHASES = ((0, BALANCED), (0, BALANCED_WITH_DEVICES))
"""What a first block with phases is out of range for."""


@pytest.mark.parametrize("phased", [False, True])
@pytest.mark.parametrize(("height", "version"), [(h, v) for h in (0, 4) for v in range(6)])
def test_a_verifier_takes_its_own_version_and_no_other(height: int, version: int, phased: bool, tmp_path: Path) -> None:
    written(tmp_path / "run", world(2, 5, seed=2, phased=phased))
    own = UNBALANCED if phased else BALANCED

    def change(header: Header, body: bytes) -> tuple[Header, bytes]:
        return header._replace(version=version) if header.height == height else header, body

    resign(tmp_path / "run", make_demonstration_key(2), change)
    found, reason = both(tmp_path / "run")
    assert found == (-1 if version == own else height), reason
    assert "expected version" in reason or version == own or (height, version) in WITHOUT_PHASES


def rows_of(body: bytes) -> list[bytes]:
    return [body[at : at + SIZE] for at in range(0, len(body), SIZE)]


def leave_out(rows: list[bytes]) -> list[bytes]:
    return [row for row in rows if row[0] != RecordKind.PHASES]


def twice(rows: list[bytes]) -> list[bytes]:
    return [copy for row in rows for copy in [row] * (1 + (row[0] == RecordKind.PHASES))]


def in_front(rows: list[bytes]) -> list[bytes]:
    return [*[row for row in rows if row[0] == RecordKind.PHASES], *leave_out(rows)]


def before_the_verdict(rows: list[bytes]) -> list[bytes]:
    at = next(k for k, row in enumerate(rows) if row[0] == RecordKind.PHASES)
    return [*rows[: at - 1], rows[at], rows[at - 1], *rows[at + 1 :]]


def at_the_end(rows: list[bytes]) -> list[bytes]:
    return [*leave_out(rows), *[row for row in rows if row[0] == RecordKind.PHASES]]


@pytest.mark.parametrize("change", [leave_out, twice, in_front, before_the_verdict, at_the_end])
def test_phases_stand_once_and_right_behind_the_verdict(
    change: Callable[[list[bytes]], list[bytes]], tmp_path: Path
) -> None:
    written(tmp_path / "run", world(2, 5, seed=2, phased=True))

    def at_four(header: Header, body: bytes) -> tuple[Header, bytes]:
        return header, b"".join(change(rows_of(body))) if header.height == 4 else body

    resign(tmp_path / "run", make_demonstration_key(2), at_four)
    assert both(tmp_path / "run")[0] == 4


@pytest.mark.parametrize("seed", range(6))
def test_both_find_the_same_where_a_record_of_version_2_is_changed(seed: int, tmp_path: Path) -> None:
    """A bit of a record with phases flips, and all is signed again."""
    written(tmp_path / "run", world(2, 5, seed=2, phased=True))
    rng = np.random.default_rng(seed)
    kind, height = (RecordKind.HOUSE, 0) if seed % 3 == 0 else (RecordKind.PHASES, 4)

    def flip(header: Header, body: bytes) -> tuple[Header, bytes]:
        rows = [bytearray(row) for row in rows_of(body)]
        row = next(row for row in rows if row[0] == kind)
        if header.height == height:
            row[int(rng.integers(64 if kind == RecordKind.HOUSE else 12, SIZE))] ^= 1 << int(rng.integers(0, 8))
        return header, b"".join(map(bytes, rows))

    def only_there(header: Header, body: bytes) -> tuple[Header, bytes]:
        return flip(header, body) if header.height == height else (header, body)

    resign(tmp_path / "run", make_demonstration_key(2), only_there)
    both(tmp_path / "run")


def test_a_house_keeps_its_phases(tmp_path: Path) -> None:
    """A battery that changes later is stated without phases; one with phases is refused."""
    made = world(2, 5, seed=2, phased=True)
    written(tmp_path / "run", made)
    row = view_as_bytes(made.genesis[1][:1])
    changed = row.copy()
    changed.view(HOUSE)["own_wh"], changed.view(HOUSE)["wallet_neur"] = 0, 0

    def add(phase: int) -> Callable[[Header, bytes], tuple[Header, bytes]]:
        for name in CONNECTED:
            changed.view(HOUSE)[name] = 0
        changed.view(HOUSE)["pv_phase"] = phase
        changed[:, 4:8] = np.array([4], "<u4").view(np.uint8)
        return lambda header, body: (header, body + (changed.tobytes() if header.height == 5 else b""))

    resign(tmp_path / "run", make_demonstration_key(2), add(0))
    assert both(tmp_path / "run") == (-1, "")
    written(tmp_path / "other", made)
    resign(tmp_path / "other", make_demonstration_key(2), add(2))
    assert both(tmp_path / "other") == (5, "a house that changes its phases")
