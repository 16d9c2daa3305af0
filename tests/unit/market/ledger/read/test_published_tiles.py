"""A ledger as tiles: read as a client of c2sp.org/tlog-tiles reads a log, by the standard's own definitions."""

from __future__ import annotations

import shutil
from base64 import b64decode
from hashlib import sha256
from pathlib import Path

import pytest
from ledger_world import append, begin, busy, world, written
from log_world import forked, roots_by_definition

from market.errors import LedgerError
from market.ledger.read.publish import publish_tiles
from market.ledger.read.tiles import is_immutable, list_headers, read_path
from market.ledger.store.store import Store
from market.ledger.write.ledger import Ledger

MADE = world(2, 600, seed=2)


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return written(tmp_path_factory.mktemp("tiles") / "run", MADE, 200)


def publish(directory: Path, folder: Path) -> int:
    with Store.open_to_read(directory) as store:
        return publish_tiles(store, folder).n_files


def files_of(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_client_of_the_standard_finds_the_tree_of_the_checkpoint(directory: Path, tmp_path: Path) -> None:
    publish(directory, tmp_path)
    _, size, root = (tmp_path / "checkpoint").read_text().split("\n")[:3]
    assert size == "601"
    leaves = b""
    for name, width in (("000", 256), ("001", 256), ("002.p/89", 89)):
        tile, bundle = (tmp_path / f"tile/0/{name}").read_bytes(), (tmp_path / f"tile/entries/{name}").read_bytes()
        assert len(tile) == 32 * width
        at = 0
        for k in range(width):
            length = int.from_bytes(bundle[at : at + 2], "big")
            entry = bundle[at + 2 : at + 2 + length]
            assert sha256(b"\0" + entry).digest() == tile[32 * k : 32 * k + 32]
            at += 2 + length
        assert at == len(bundle)
        leaves += tile
    hashes = [leaves[k : k + 32] for k in range(0, len(leaves), 32)]
    assert roots_by_definition(hashes) == b64decode(root)
    level = b"".join(roots_by_definition(hashes[k : k + 256]) for k in (0, 256))
    assert (tmp_path / "tile/1/000.p/2").read_bytes() == level


def test_records_are_what_the_page_on_the_format_says(directory: Path, tmp_path: Path) -> None:
    publish(directory, tmp_path)
    bundle, at = (tmp_path / "tile/records/002.p/89").read_bytes(), 0
    with Store.open_to_read(directory) as store:
        for height in range(512, 601):
            block = store.block(height)
            assert bundle[at : at + 64] == block.signature
            length = int.from_bytes(bundle[at + 64 : at + 68], "big")
            assert bundle[at + 68 : at + 68 + length] == block.records
            at += 68 + length
    assert at == len(bundle)


def test_files_and_answers_are_the_same_and_nothing_else_is_published(directory: Path, tmp_path: Path) -> None:
    (directory / "vaults").mkdir(exist_ok=True)
    (directory / "vaults" / "3.sqlite").write_bytes(b"secret")
    publish(directory, tmp_path)
    found = files_of(tmp_path)
    assert set(found) == {
        "checkpoint",
        *(f"tile/{kind}/{name}" for kind in ("0", "entries", "records") for name in ("000", "001", "002.p/89")),
        *("tile/1/000.p/1", "tile/1/000.p/2"),
    }
    with Store.open_to_read(directory) as store:
        assert {path: read_path(store, path) for path in found} == found
        assert read_path(store, "/tile/0/000") == found["tile/0/000"]
        state = store.states()[0].blob
        for path in (
            "tile/0/002",
            "tile/2/000.p/1",
            "tile/entries/002.p/90",
            "tile/0/x999/999",
            "",
            "ledger.sqlite",
            "x",
        ):
            assert read_path(store, path) is None
        assert read_path(store, "checkpoint.witnessed") is None
    assert not any(state in content for content in found.values())


def test_only_tiles_may_be_kept_for_ever() -> None:
    assert is_immutable("/tile/0/000.p/3")
    assert not is_immutable("/checkpoint")
    assert list_headers("checkpoint") == {"Content-Type": "text/plain; charset=utf-8", "Cache-Control": "no-store"}
    assert list_headers("tile/entries/000")["Content-Type"] == "application/octet-stream"


def test_partial_tiles_are_there_for_every_checkpoint_until_they_are_full(tmp_path: Path) -> None:
    made = world(2, 300, seed=3)
    with begin(tmp_path / "run", made) as ledger:
        append(ledger, made, 0, 9)
        append(ledger, made, 9, 19)
    publish(tmp_path / "run", tmp_path / "out")
    widths = {path.name for path in (tmp_path / "out/tile/entries/000.p").iterdir()}
    assert widths == {"1", "10", "20"}
    assert {path.name for path in (tmp_path / "out/tile/records/000.p").iterdir()} == {"20"}
    with Ledger.resume(tmp_path / "run", made.key) as ledger:
        append(ledger, made, 19, 300)
    publish(tmp_path / "run", tmp_path / "out")
    publish(tmp_path / "run", tmp_path / "anew")
    assert files_of(tmp_path / "out") == files_of(tmp_path / "anew")
    assert not (tmp_path / "out/tile/0/000.p").exists()
    assert publish(tmp_path / "run", tmp_path / "out") == 1  # the checkpoint alone


def test_what_a_killed_writer_left_is_replaced(tmp_path: Path) -> None:
    busy(tmp_path / "run")
    publish(tmp_path / "run", tmp_path / "whole")
    shutil.copytree(tmp_path / "whole", tmp_path / "half")
    (tmp_path / "half/checkpoint").unlink()
    (tmp_path / "half/tile/0/000.p/36").write_bytes(b"of another log")
    publish(tmp_path / "run", tmp_path / "half")
    assert files_of(tmp_path / "half") == files_of(tmp_path / "whole")


def test_a_folder_of_something_else_is_left_alone(directory: Path, tmp_path: Path) -> None:
    (tmp_path / "index.html").write_text("mine")
    with pytest.raises(
        LedgerError, match=r"expected a folder with published tiles or an empty one, found 'index.html'"
    ):
        publish(directory, tmp_path)
    assert files_of(tmp_path) == {"index.html": b"mine"}


def test_a_folder_of_another_or_a_later_history_is_left_alone(directory: Path, tmp_path: Path) -> None:
    forked(tmp_path / "a", tmp_path / "b", 10)
    publish(tmp_path / "a", tmp_path / "out")
    before = files_of(tmp_path / "out")
    with pytest.raises(LedgerError, match="expected tiles of log"):
        publish(directory, tmp_path / "out")
    with pytest.raises(LedgerError, match="ledger compare"):
        publish(tmp_path / "b", tmp_path / "out")
    assert files_of(tmp_path / "out") == before
