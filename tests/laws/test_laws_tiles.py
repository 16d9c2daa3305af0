"""Laws of published and followed ledgers, however they grow: files and copies are those of the ledger as it is."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ledger_world import World, append, begin, world
from log_world import grow, node_of, served_folder

from market.ledger.check.verify import verify_ledger
from market.ledger.follow.compare import compare_histories
from market.ledger.read.publish import publish_tiles
from market.ledger.read.tiles import read_path
from market.ledger.store.store import Store

LONGEST = 540
STEPS = st.lists(st.tuples(st.integers(1, 300), st.booleans()), min_size=1, max_size=4)


@cache
def made() -> World:
    return world(2, LONGEST, seed=12)


def publish(directory: Path, folder: Path) -> None:
    with Store.open_to_read(directory) as store:
        publish_tiles(store, folder)


def files_of(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.slow
@settings(max_examples=8, deadline=None)
@given(STEPS)
def test_published_step_by_step_is_published_at_once_and_followed_is_the_same(steps: list[tuple[int, bool]]) -> None:
    with TemporaryDirectory() as name:
        folder, done = Path(name), 0
        with begin(folder / "run", made()):
            pass
        for n, look in steps:
            stop = min(done + n, LONGEST)
            if stop > done:
                grow(folder / "run", made(), done, stop)
            done = stop
            publish(folder / "run", folder / "steps")
            if look:
                with served_folder(folder / "steps") as url, node_of(url, folder / "copy") as node:
                    assert node.catch_up().size == done + 1
        publish(folder / "run", folder / "once")
        found = files_of(folder / "once")
        assert files_of(folder / "steps") == found
        with Store.open_to_read(folder / "run") as store:
            assert {path: read_path(store, path) for path in found} == found
        if (folder / "copy").exists():
            assert verify_ledger(folder / "copy").ok
            compared = compare_histories(str(folder / "copy"), str(folder / "once"))
            assert compared.height is None


@pytest.mark.slow
@settings(max_examples=10, deadline=None)
@given(st.integers(0, 39), st.integers(1, 40), st.integers(1, 40))
def test_histories_part_where_they_differ(at: int, m: int, n: int) -> None:
    one = world(2, 40, seed=13)
    first, second = max(m, at + 1), max(n, at + 1)
    other = one._replace(roots=[*one.roots[:at], bytes(32), *one.roots[at + 1 :]])
    with TemporaryDirectory() as name:
        for label, each, stop in (("a", one, first), ("b", other, second), ("c", one, second)):
            with begin(Path(name) / label, each) as ledger:
                append(ledger, each, 0, stop)
        a, b, c = (str(Path(name) / label) for label in "abc")
        parted = compare_histories(a, b)
        assert (parted.height, parted.sizes) == (at + 1, (first + 1, second + 1))
        assert parted.proof.startswith("PROOF of a fork: checkpoints of both are signed")
        assert compare_histories(a, c).height is None
        assert compare_histories(b, a).hashes == parted.hashes[::-1]
