"""Two histories of a log compared, wherever they are, and what proves that the operator has signed both."""

from __future__ import annotations

from pathlib import Path

import pytest
from ledger_world import begin, world, written
from log_world import forked, node_of, served, served_folder

from market.errors import LedgerError
from market.ledger.follow.compare import compare_histories
from market.ledger.read.publish import publish_tiles
from market.ledger.store.store import Store


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ledgers `one` and `other`, which part at block 11, and published tiles of each."""
    folder = tmp_path_factory.mktemp("fork")
    forked(folder / "one", folder / "other", 10)
    for name in ("one", "other"):
        with Store.open_to_read(folder / name) as store:
            publish_tiles(store, folder / f"{name}-tiles")
    return folder


@pytest.mark.parametrize("one", ["one", "one-tiles", "url of one"])
@pytest.mark.parametrize("other", ["other", "other-tiles", "url of other"])
def test_a_fork_is_found_and_proven_wherever_it_is(one: str, other: str, folder: Path) -> None:
    with served(folder / "one") as first, served_folder(folder / "other-tiles") as second:
        places = {"url of one": first, "url of other": second}
        found = compare_histories(*(places.get(name, str(folder / name)) for name in (one, other)))
    assert (found.sizes, found.height) == ((31, 32), 11)
    with Store.open_to_read(folder / "one") as a, Store.open_to_read(folder / "other") as b:
        assert found.hashes == (a.block(11).hash, b.block(11).hash)
    assert found.proof.startswith("PROOF of a fork: checkpoints of both are signed, that of 31 blocks by gridsettle/")


def test_blocks_behind_the_checkpoints_are_proven_by_their_own_signatures(folder: Path, tmp_path: Path) -> None:
    forked(tmp_path / "one", tmp_path / "other", 10)
    with Store.open_to_write(tmp_path / "one") as store:
        store._database.connection.execute("DELETE FROM checkpoint WHERE size > 11")
    found = compare_histories(str(tmp_path / "one"), str(folder / "other"))
    assert (found.height, found.proof) == (11, "PROOF of a fork: the operator has signed both blocks 11")


def test_a_copy_that_is_behind_is_a_prefix(folder: Path, tmp_path: Path) -> None:
    with begin(tmp_path / "run", made := world(3, 30, seed=8)):
        pass
    with served(tmp_path / "run") as url, node_of(url, tmp_path / "copy") as node:
        node.catch_up()
    assert made.starts.size == 30
    for one, other in ((tmp_path / "copy", folder / "one"), (folder / "other", tmp_path / "copy")):
        found = compare_histories(str(one), str(other))
        assert found.height is None
        assert 1 in found.sizes


def test_two_logs_are_no_two_histories(folder: Path, tmp_path: Path) -> None:
    written(tmp_path / "run", world(2, 5, seed=9))
    with pytest.raises(LedgerError, match="expected two histories of one log"):
        compare_histories(str(folder / "one"), str(tmp_path / "run"))


def test_what_is_no_history_is_refused(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(LedgerError, match="expected a directory with a ledger, a folder with published tiles or a URL"):
        compare_histories(str(folder / "one"), str(tmp_path))
    (tmp_path / "checkpoint").write_text("hello")
    with pytest.raises(LedgerError, match="signed note"):
        compare_histories(str(tmp_path), str(folder / "one"))


def test_tiles_that_are_not_those_of_the_checkpoint_are_refused(folder: Path, tmp_path: Path) -> None:
    with Store.open_to_read(folder / "one") as store:
        publish_tiles(store, tmp_path)
    (tmp_path / "tile/0/000.p/31").write_bytes(bytes(32 * 31))
    with pytest.raises(LedgerError, match="expected those of the checkpoint's tree"):
        compare_histories(str(tmp_path), str(folder / "other"))
