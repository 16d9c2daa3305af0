"""Whatever is changed in a ledger is found, at the block where it was changed; untouched ledgers are never flagged.

genesis ── 5 intervals ── members ── 7 intervals ── grants, devices ── 8 intervals ── … ── another operator ── 5
             each case changes one thing of a copy: a byte, a row, an order, a signature, the file
"""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from ledger_world import busy, world, written

from market.ledger.check.verify import Report, verify_ledger
from market.ledger.crypto.keys import public_bytes
from market.ledger.format.checkpoint import checkpoint_path
from market.ledger.format.header import _LAYOUT, Header, header_message, make_demonstration_key
from market.ledger.format.records import LAYOUTS
from market.ledger.store.store import Store

HEIGHTS = [0, 1, 6, 14, 22, 34]
Change = Callable[[sqlite3.Connection], object]


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("ledger") / "run"
    busy(directory)
    report = verify_ledger(directory, checkpoint=note_of(directory))
    assert report.ok, report.reason
    return directory


def note_of(directory: Path) -> str:
    return checkpoint_path(directory).read_text()


def changed(base: Path, tmp_path: Path, change: Change) -> Path:
    """Copy of the base ledger with something changed in it."""
    directory = tmp_path / "run"
    directory.mkdir()
    shutil.copy(base / "ledger.sqlite", directory)
    connection = sqlite3.connect(directory / "ledger.sqlite", isolation_level=None)
    connection.execute("PRAGMA synchronous = OFF")
    change(connection)
    connection.close()
    return directory


def found(base: Path, tmp_path: Path, change: Change, checkpoint: str | None = None) -> Report:
    report = verify_ledger(changed(base, tmp_path, change), checkpoint=checkpoint)
    assert not report.ok, "the change was not found"
    assert report.reason
    return report


def flip(table: str, column: str, key: str, at: int) -> Change:
    """Flip one bit of byte `at` (negative: from the end) of a blob or text."""

    def change(connection: sqlite3.Connection) -> None:
        value = connection.execute(f"SELECT {column} FROM {table} WHERE {key}").fetchone()[0]
        content = bytearray(value.encode() if isinstance(value, str) else value)
        content[at % len(content)] ^= 1
        new = content.decode("utf-8", "replace") if isinstance(value, str) else bytes(content)
        connection.execute(f"UPDATE {table} SET {column} = ? WHERE {key}", (new,))

    return change


# -- bytes ------------------------------------------------------------------------------------------------------------

HEADER_AT = dict(zip(Header._fields, (0, 4, 36, 44, 52, 84, 116, 120, 152), strict=True))
HEADER_CASES = [
    (field, start + into, height)
    for (field, start), stop in zip(HEADER_AT.items(), [*list(HEADER_AT.values())[1:], _LAYOUT.size], strict=True)
    for into in (0, (stop - start) // 2, stop - start - 1)
    for height in HEIGHTS
]


@pytest.mark.parametrize(("field", "at", "height"), HEADER_CASES)
def test_every_field_of_a_header(base: Path, tmp_path: Path, field: str, at: int, height: int) -> None:
    report = found(base, tmp_path, flip("block", "header", f"height = {height}", at))
    assert report.height == height, (field, report)


@pytest.mark.parametrize("height", HEIGHTS)
@pytest.mark.parametrize("column", ["hash", "signature"])
@pytest.mark.parametrize("at", [0, 17, 31, -1])
def test_hash_and_signature(base: Path, tmp_path: Path, column: str, at: int, height: int) -> None:
    assert found(base, tmp_path, flip("block", column, f"height = {height}", at)).height == height


RECORD_FIELDS = [
    (kind, name)
    for kind in (1, 3, 4, 5, 9, 16, 17, 18, 32, 33, 34, 35, 36, 37, 40, 64, 65)
    for name in LAYOUTS[kind].names or ()
]


@pytest.mark.parametrize(("kind", "field"), RECORD_FIELDS)
def test_every_field_of_every_kind_of_record(base: Path, tmp_path: Path, kind: int, field: str) -> None:
    height, at = place_of(base, kind, np.random.default_rng(kind))
    start, size = LAYOUTS[kind].fields[field][1], LAYOUTS[kind].fields[field][0].itemsize  # type: ignore[index]
    report = found(base, tmp_path, flip("block", "records", f"height = {height}", 72 * at + start + size // 2))
    assert report.height == height


def place_of(directory: Path, kind: int, rng: np.random.Generator) -> tuple[int, int]:
    """(height, number) of some record of a kind."""
    connection = sqlite3.connect(directory / "ledger.sqlite")
    rows = connection.execute("SELECT height, records FROM block").fetchall()
    connection.close()
    places = [(height, k) for height, body in rows for k, found in enumerate(body[::72]) if found == kind]
    return places[rng.integers(0, len(places))]


# -- rows -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("height", range(36))
def test_a_block_is_left_out(base: Path, tmp_path: Path, height: int) -> None:
    report = found(base, tmp_path, lambda c: c.execute(f"DELETE FROM block WHERE height = {height}"))
    assert report.height == height


@pytest.mark.parametrize("height", HEIGHTS)
def test_a_block_is_left_out_and_the_rest_moves_up(base: Path, tmp_path: Path, height: int) -> None:
    def change(connection: sqlite3.Connection) -> None:
        connection.execute(f"DELETE FROM block WHERE height = {height}")
        connection.execute(f"UPDATE block SET height = -height WHERE height > {height}")
        connection.execute("UPDATE block SET height = -height - 1 WHERE height < 0")

    assert found(base, tmp_path, change).height == height


@pytest.mark.parametrize("height", HEIGHTS[1:])
def test_two_blocks_change_places(base: Path, tmp_path: Path, height: int) -> None:
    def change(connection: sqlite3.Connection) -> None:
        for old, new in ((height, -1), (height + 1, height), (-1, height + 1)):
            connection.execute(f"UPDATE block SET height = {new} WHERE height = {old}")

    assert found(base, tmp_path, change).height == height


@pytest.mark.parametrize("height", HEIGHTS)
@pytest.mark.parametrize("column", ["header", "signature", "records"])
def test_part_of_a_block_comes_from_its_neighbour(base: Path, tmp_path: Path, column: str, height: int) -> None:
    def change(connection: sqlite3.Connection) -> None:
        neighbour = f"SELECT {column} FROM block WHERE height = {height + 1}"
        connection.execute(f"UPDATE block SET {column} = ({neighbour}) WHERE height = {height}")

    assert found(base, tmp_path, change).height == height


@pytest.mark.parametrize("height", HEIGHTS)
@pytest.mark.parametrize("what", ["dropped", "doubled", "swapped", "truncated", "padded", "emptied"])
def test_records_are_dropped_doubled_or_reordered(base: Path, tmp_path: Path, what: str, height: int) -> None:
    def change(connection: sqlite3.Connection) -> None:
        body = connection.execute(f"SELECT records FROM block WHERE height = {height}").fetchone()[0]
        rows = [body[k : k + 72] for k in range(0, len(body), 72)]
        new = {
            "dropped": b"".join(rows[:-1]),
            "doubled": b"".join([*rows, rows[-1]]),
            "swapped": b"".join([rows[1], rows[0], *rows[2:]]) if len(rows) > 1 else rows[0] * 2,
            "truncated": body[:-5],
            "padded": body + bytes(72),
            "emptied": b"",
        }[what]
        connection.execute(f"UPDATE block SET records = ? WHERE height = {height}", (new,))

    assert found(base, tmp_path, change).height == height


@pytest.mark.parametrize("case", range(42))
def test_the_stored_tree(base: Path, tmp_path: Path, case: int) -> None:
    def change(connection: sqlite3.Connection) -> None:
        level, index = connection.execute(
            "SELECT level, idx FROM node ORDER BY level, idx LIMIT 1 OFFSET ?", (case * 7 % 70,)
        ).fetchone()
        at = f"level = {level} AND idx = {index}"
        [
            lambda: flip("node", "hash", at, case)(connection),
            lambda: connection.execute(f"DELETE FROM node WHERE {at}"),
            lambda: connection.execute(f"UPDATE node SET level = 60 - level WHERE {at}"),
            lambda: connection.execute(f"UPDATE node SET idx = idx + 1000 WHERE {at}"),
            lambda: connection.execute(f"UPDATE node SET level = -1 - level WHERE {at}"),
            lambda: connection.execute(f"UPDATE node SET idx = -9223372036854775808 WHERE {at}"),
            lambda: connection.execute(f"INSERT INTO node VALUES({level}, {index + 500}, x'00')"),
        ][case % 7]()

    assert "tree" in found(base, tmp_path, change).reason


@pytest.mark.parametrize("place", [(0, b"\x01"), (b"", b""), ("0", 1), (-1, 0), (0, None)])
def test_a_place_in_the_tree_that_is_no_place_is_a_fault(
    base: Path, monkeypatch: pytest.MonkeyPatch, place: tuple[object, object]
) -> None:
    """What one flipped bit of the file makes of a row, past the schema's types."""
    nodes = Store.nodes
    monkeypatch.setattr(Store, "nodes", lambda store: [*nodes(store), (*place, b"\0" * 32)])
    report = verify_ledger(base)
    assert not report.ok
    assert "tree" in report.reason


@pytest.mark.parametrize("size", [1, 6, 7, 15, 30])
@pytest.mark.parametrize("at", [0, 15, 45, 50, 60, 90, 105, 150, 200])
def test_own_checkpoints(base: Path, tmp_path: Path, size: int, at: int) -> None:
    def change(connection: sqlite3.Connection) -> None:
        sizes = [row[0] for row in connection.execute("SELECT size FROM checkpoint ORDER BY size")]
        nearest = min(sizes, key=lambda known: abs(known - size))
        flip("checkpoint", "note", f"size = {nearest}", at)(connection)

    assert "checkpoint" in found(base, tmp_path, change).reason


@pytest.mark.parametrize("shift", [-1, 1, 1000])
def test_a_checkpoint_under_another_size(base: Path, tmp_path: Path, shift: int) -> None:
    change = f"UPDATE checkpoint SET size = size + {shift} WHERE size = (SELECT max(size) FROM checkpoint)"
    assert "checkpoint" in found(base, tmp_path, lambda c: c.execute(change)).reason


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE run_state SET height = height - 1",
        "UPDATE run_state SET height = 0",
        "UPDATE run_state SET height = 999",
        "DELETE FROM run_state",
        "INSERT INTO run_state SELECT height + 1, blob, signature FROM run_state",
        "UPDATE run_state SET blob = x''",
        "UPDATE run_state SET signature = x''",
        "UPDATE run_state SET signature = (SELECT signature FROM block WHERE height = 3)",
    ],
)
def test_the_state_to_resume_from(base: Path, tmp_path: Path, change: str) -> None:
    assert "state" in found(base, tmp_path, lambda c: c.execute(change)).reason


@pytest.mark.parametrize("column", ["blob", "signature"])
@pytest.mark.parametrize("at", [0, 5, -1])
def test_a_byte_of_the_state(base: Path, tmp_path: Path, column: str, at: int) -> None:
    assert "state" in found(base, tmp_path, flip("run_state", column, "1", at)).reason


# -- keys -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("height", HEIGHTS)
@pytest.mark.parametrize("signer", [100, 101, 300])
def test_a_header_signed_by_somebody_else(base: Path, tmp_path: Path, signer: int, height: int) -> None:
    """Members, revoked members, and the operator of later: none may sign this block."""
    signer = 5 if (signer, height) == (300, 34) else signer  # at the end it is the operator of before that may not

    def change(connection: sqlite3.Connection) -> None:
        header = connection.execute(f"SELECT header FROM block WHERE height = {height}").fetchone()[0]
        signature = make_demonstration_key(signer).sign(header_message(header))
        connection.execute(f"UPDATE block SET signature = ? WHERE height = {height}", (signature,))

    report = found(base, tmp_path, change)
    assert (report.height, report.reason) == (height, "the signature is not the operator's")


def test_another_operator_than_the_pinned_one(base: Path) -> None:
    right, wrong = (public_bytes(make_demonstration_key(seed)) for seed in (6, 300))
    assert verify_ledger(base, operator=right).ok
    report = verify_ledger(base, operator=wrong)
    assert (report.ok, report.height) == (False, 0)
    assert not verify_ledger(base, operator=right, origin="gridsettle/another").ok


def test_a_checkpoint_of_another_ledger_or_key(base: Path, tmp_path: Path) -> None:
    other = note_of(written(tmp_path / "other", world(3, 5, seed=9)))
    assert not verify_ledger(base, checkpoint=other).ok


# -- the file itself --------------------------------------------------------------------------------------------------


def content(path: Path) -> list[list[object]] | None:
    try:
        connection = sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)
        tables = ("block", "node", "checkpoint", "run_state")
        rows = [list(connection.execute(f"SELECT * FROM {table} ORDER BY 1, 2")) for table in tables]
    except sqlite3.Error:
        return None
    finally:
        connection.close()
    return rows


@pytest.mark.parametrize("case", range(120))
def test_a_bit_of_the_file_is_found_or_changes_nothing(base: Path, tmp_path: Path, case: int) -> None:
    directory = tmp_path / "run"
    directory.mkdir()
    raw = bytearray((base / "ledger.sqlite").read_bytes())
    at = case if case < 100 and case % 2 else int(np.random.default_rng(case).integers(0, len(raw)))
    raw[at] ^= 1 << case % 8
    (directory / "ledger.sqlite").write_bytes(bytes(raw))
    report = verify_ledger(directory, checkpoint=note_of(base))
    if report.ok:
        assert content(directory / "ledger.sqlite") == content(base / "ledger.sqlite")


@pytest.mark.parametrize("part", [0.0, 0.1, 0.5, 0.9, 0.999])
def test_a_truncated_file(base: Path, tmp_path: Path, part: float) -> None:
    directory = tmp_path / "run"
    directory.mkdir()
    raw = (base / "ledger.sqlite").read_bytes()
    (directory / "ledger.sqlite").write_bytes(raw[: int(part * len(raw))])
    assert not verify_ledger(directory).ok


def test_there_are_at_least_five_hundred_cases(request: pytest.FixtureRequest) -> None:
    mine = [item for item in request.session.items if item.path == Path(__file__)]
    if len(mine) > 100:  # not when single tests are selected
        assert len(mine) >= 500


def test_the_base_ledger_was_not_touched_by_any_case(base: Path) -> None:
    report = verify_ledger(base, checkpoint=note_of(base))
    assert (report.ok, report.n_blocks) == (True, 36)
