"""A node keeps a verified copy of a log: whatever comes, the copy is a part of the log, and verifies."""

from __future__ import annotations

import gc
import json
import shutil
from contextlib import suppress
from pathlib import Path

import pytest
from ledger_world import append, begin, busy, world, written
from log_world import forked, grow, node_of, served, served_folder
from naive_ledger import first_fault
from private_world import private_ledger

from market.errors import LedgerError
from market.ledger.check.verify import verify_ledger
from market.ledger.crypto.keys import public_bytes
from market.ledger.follow import node as node_module
from market.ledger.follow import source as source_module
from market.ledger.follow.evidence import LyingError
from market.ledger.follow.node import KEY_FILE
from market.ledger.follow.remote import ServerError
from market.ledger.format import statements
from market.ledger.format.checkpoint import checkpoint_path
from market.ledger.format.header import make_demonstration_key
from market.ledger.format.note import ED25519, VerifierKey, open_note, parse_verifier_key
from market.ledger.format.records import Role
from market.ledger.read.publish import publish_tiles
from market.ledger.store.store import OF_A_COPY, Store
from market.ledger.write.ledger import Ledger

MADE = world(3, 40, seed=5)


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return written(tmp_path_factory.mktemp("log") / "run", MADE, 9)


def content(directory: Path) -> tuple[object, ...]:
    """All of a ledger that a copy has: blocks, tree, newest checkpoint."""
    with Store.open_to_read(directory) as store:
        return list(store.groups()), sorted(store.nodes()), store.last_checkpoint()


def evidence_of(directory: Path) -> dict[str, str]:
    (folder,) = (directory / "evidence").iterdir()
    return {path.name: path.read_text(errors="replace") for path in folder.iterdir()} | {"folder": folder.name}


def test_a_copy_is_the_ledger_and_verifies(directory: Path, tmp_path: Path) -> None:
    with served(directory) as url, node_of(url, tmp_path / "copy") as node:
        progress = node.catch_up()
        assert (progress.size, progress.n_new, progress.first_use) == (41, 41, True)
        assert node.catch_up().n_new == 0
    assert content(tmp_path / "copy") == content(directory)
    note = checkpoint_path(tmp_path / "copy").read_text()
    assert note == checkpoint_path(directory).read_text()
    report = verify_ledger(tmp_path / "copy", checkpoint=note)
    assert report.ok, report.reason
    assert first_fault(tmp_path / "copy", note) is None


def test_a_copy_has_no_state_and_says_so(directory: Path, tmp_path: Path) -> None:
    with served(directory) as url, node_of(url, tmp_path / "copy") as node:
        node.catch_up()
    with Store.open_to_read(tmp_path / "copy") as store:
        assert store.states() == [OF_A_COPY]
    with pytest.raises(LedgerError, match=r"copy.*no state"):
        Ledger.resume(tmp_path / "copy", MADE.key)


@pytest.mark.parametrize("is_pinned", [False, True])
def test_keys_that_are_rotated_are_followed(is_pinned: bool, tmp_path: Path) -> None:
    made = busy(tmp_path / "run")
    name = checkpoint_path(tmp_path / "run").read_text().split("\n")[0]
    first = VerifierKey(name, ED25519, public_bytes(made.key)) if is_pinned else None
    with served(tmp_path / "run") as url, node_of(url, tmp_path / "copy", first) as node:
        assert node.catch_up().size == 36
        assert node.pinned == VerifierKey(name, ED25519, public_bytes(made.key))
    assert content(tmp_path / "copy") == content(tmp_path / "run")


def test_a_log_is_followed_block_by_block_and_after_every_restart(tmp_path: Path) -> None:
    with begin(tmp_path / "run", MADE):
        pass
    with served(tmp_path / "run") as url:
        for stop in range(1, 40, 7):
            grow(tmp_path / "run", MADE, max(stop - 7, 0), stop)
            with node_of(url, tmp_path / "copy") as node:
                assert node.catch_up().size == stop + 1
                assert content(tmp_path / "copy") == content(tmp_path / "run")
    assert verify_ledger(tmp_path / "copy").ok


def test_a_copy_of_a_copy_is_a_copy(directory: Path, tmp_path: Path) -> None:
    with served(directory) as url, node_of(url, tmp_path / "one") as node:
        node.catch_up()
    with served(tmp_path / "one") as url, node_of(url, tmp_path / "two") as node:
        node.catch_up()
    assert content(tmp_path / "two") == content(directory)


def test_more_than_a_bundle_is_followed(tmp_path: Path) -> None:
    made = world(2, 700, seed=3)
    with begin(tmp_path / "run", made) as ledger:
        append(ledger, made, 0, 300)
    with served(tmp_path / "run") as url, node_of(url, tmp_path / "copy") as node:
        assert node.catch_up().size == 301
        grow(tmp_path / "run", made, 300, 700)
        assert node.catch_up().n_new == 400
    assert content(tmp_path / "copy") == content(tmp_path / "run")


class KilledError(BaseException):
    """A node that ends here, without another line."""


@pytest.mark.slow
def test_wherever_a_node_is_killed_it_goes_on(directory: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is killed before and behind every step that makes something durable, one after the other."""
    step = {"at": 0, "kill": -1}

    def stops(module: object, name: str) -> None:
        real = getattr(module, name)

        def stop(*arguments: object, **more: object) -> object:
            for _ in range(2):
                step["at"] += 1
                if step["at"] == step["kill"]:
                    raise KilledError
                if step["at"] % 2:
                    done = real(*arguments, **more)
            return done

        monkeypatch.setattr(module, name, stop)

    for owner, name in ((Store, "append"), (Store, "add_checkpoint"), (node_module, "write_durably")):
        stops(owner, name)
    monkeypatch.setattr(source_module, "LARGEST_PIECE", 16_000)
    with served(directory) as url:
        for kill in range(1, 200):
            out = tmp_path / str(kill)
            step.update(at=0, kill=kill)
            with suppress(KilledError), node_of(url, out) as node:
                node.catch_up()
                break
            gc.collect()  # the lock of a process that was killed is free
            step["kill"] = -1
            with node_of(url, out) as node:
                assert node.catch_up().size == 41
            assert content(out) == content(directory)
            assert verify_ledger(out, checkpoint=checkpoint_path(out).read_text()).ok
    assert 10 < kill < 199


# -- whom a node believes ---------------------------------------------------------------------------------------------


def test_the_key_is_pinned_on_first_use(directory: Path, tmp_path: Path) -> None:
    with served(directory) as url, node_of(url, tmp_path / "copy") as node:
        node.catch_up()
    key = parse_verifier_key((tmp_path / "copy" / KEY_FILE).read_text())
    assert key.public_key == public_bytes(MADE.key)
    open_note(checkpoint_path(directory).read_text(), key)


def test_a_key_that_is_pinned_is_held_to(directory: Path, tmp_path: Path) -> None:
    with served(directory) as url:
        with node_of(url, tmp_path / "copy") as node:
            node.catch_up()
            right = node.pinned
        assert right is not None
        wrong = right._replace(public_key=public_bytes(make_demonstration_key(77)))
        with pytest.raises(LedgerError, match="found another"):
            node_of(url, tmp_path / "copy", wrong)
        with node_of(url, tmp_path / "other", wrong) as node, pytest.raises(ServerError, match="not the pinned one"):
            node.catch_up()
        assert [path.name for path in (tmp_path / "other").iterdir()] == [KEY_FILE]
        with node_of(url, tmp_path / "third", right) as node:
            assert node.catch_up().first_use is False


def test_another_log_at_the_url_is_refused(directory: Path, tmp_path: Path) -> None:
    with served(directory) as url, node_of(url, tmp_path / "copy") as node:
        node.catch_up()
    written(tmp_path / "run", world(2, 5, seed=9))
    with (
        served(tmp_path / "run") as url,
        node_of(url, tmp_path / "copy") as node,
        pytest.raises(LedgerError, match="whose key is pinned"),
    ):
        node.catch_up()
    assert content(tmp_path / "copy") == content(directory)


def test_a_checkpoint_that_nobody_signed_is_no_evidence(directory: Path, tmp_path: Path) -> None:
    with served(directory) as url, node_of(url, tmp_path / "copy") as node:
        node.catch_up()
    with Store.open_to_read(directory) as store:
        publish_tiles(store, tmp_path / "www")
    note = (tmp_path / "www/checkpoint").read_text()
    (tmp_path / "www/checkpoint").write_text(note.replace("\n41\n", "\n40\n"))
    with (
        served_folder(tmp_path / "www") as url,
        node_of(url, tmp_path / "copy") as node,
        pytest.raises(LedgerError) as found,
    ):
        node.catch_up()
    assert not isinstance(found.value, LyingError)
    assert not (tmp_path / "copy/evidence").exists()


def test_a_damaged_copy_is_not_gone_on_with(directory: Path, tmp_path: Path) -> None:
    with served(directory) as url:
        with node_of(url, tmp_path / "copy") as node:
            node.catch_up()
        with Store.open_to_write(tmp_path / "copy") as store:
            store._database.connection.execute("UPDATE block SET records = zeroblob(length(records)) WHERE height = 7")
        with pytest.raises(LedgerError, match="block 7 broken"):
            node_of(url, tmp_path / "copy")


# -- what contradicts itself ------------------------------------------------------------------------------------------


def test_a_rollback_is_exposed_by_the_note_that_was_kept(tmp_path: Path) -> None:
    with begin(tmp_path / "long", MADE) as ledger:
        append(ledger, MADE, 0, 20)
    with served(tmp_path / "long") as url, node_of(url, tmp_path / "copy") as node:
        node.catch_up()
    with begin(tmp_path / "short", MADE) as ledger:
        append(ledger, MADE, 0, 15)
    with served(tmp_path / "short") as url, node_of(url, tmp_path / "copy") as node:
        for _ in range(2):
            with pytest.raises(LyingError, match="ROLLBACK: the log shows 16 blocks, it has shown 21 before"):
                node.catch_up()
    found = evidence_of(tmp_path / "copy")
    assert found["seen.checkpoint"] == checkpoint_path(tmp_path / "long").read_text()
    assert found["shown.checkpoint"] == checkpoint_path(tmp_path / "short").read_text()
    assert content(tmp_path / "copy") == content(tmp_path / "long")


def test_the_checkpoint_beside_a_copy_outlives_the_copy(tmp_path: Path) -> None:
    forked(tmp_path / "one", tmp_path / "other", 10, 20)
    with served(tmp_path / "one") as url, node_of(url, tmp_path / "copy") as node:
        node.catch_up()
    kept = checkpoint_path(tmp_path / "copy").read_text()
    with begin(tmp_path / "short", made := world(3, 20, seed=8)) as ledger:
        append(ledger, made, 0, 15)
    for name, found in (("other", "FORK"), ("short", "ROLLBACK")):
        shutil.rmtree(tmp_path / "copy")
        with (
            served(tmp_path / name) as url,
            node_of(url, tmp_path / "copy") as node,
            pytest.raises(LyingError, match=found),
        ):
            node.catch_up()
        assert evidence_of(tmp_path / "copy")["seen.checkpoint"] == kept
        assert checkpoint_path(tmp_path / "copy").read_text() == kept
    shutil.rmtree(tmp_path / "copy")
    with served(tmp_path / "one") as url, node_of(url, tmp_path / "copy") as node:
        assert node.catch_up().size == 21


def test_a_checkpoint_of_something_else_is_not_overwritten(directory: Path, tmp_path: Path) -> None:
    written(tmp_path / "run", world(2, 5, seed=9))
    shutil.rmtree(tmp_path / "run")
    before = checkpoint_path(tmp_path / "run").read_text()
    with (
        served(directory) as url,
        node_of(url, tmp_path / "run") as node,
        pytest.raises(LedgerError, match=r"run.checkpoint: expected a checkpoint of .*, found another; move it away"),
    ):
        node.catch_up()
    assert checkpoint_path(tmp_path / "run").read_text() == before


@pytest.mark.parametrize("n", [20, 30])
def test_a_fork_is_refused_and_proven(tmp_path: Path, n: int) -> None:
    forked(tmp_path / "one", tmp_path / "other", 10, n)
    with served(tmp_path / "one") as url, node_of(url, tmp_path / "copy") as node:
        node.catch_up()
    before = content(tmp_path / "copy")
    with (
        served(tmp_path / "other") as url,
        node_of(url, tmp_path / "copy") as node,
        pytest.raises(LyingError, match=r"FORK: .* part at block 11"),
    ):
        node.catch_up()
    found = evidence_of(tmp_path / "copy")
    assert found["seen.checkpoint"] == checkpoint_path(tmp_path / "one").read_text()
    assert found["shown.checkpoint"] == checkpoint_path(tmp_path / "other").read_text()
    where = json.loads(found["found.json"])
    key = make_demonstration_key(8).public_key()
    for side in ("ours", "theirs"):
        header = bytes.fromhex(where[side]["header"])
        key.verify(bytes.fromhex(where[side]["signature"]), b"gridsettle header v1\0" + header)
        assert int.from_bytes(header[36:44], "little") == where["first_differing_block"] == 11
    assert where["ours"] != where["theirs"]
    assert content(tmp_path / "copy") == before


def test_a_fork_of_the_same_size_is_proven_without_tiles(tmp_path: Path) -> None:
    made = forked(tmp_path / "one", tmp_path / "other", 10)
    with begin(tmp_path / "same", made) as ledger:
        append(ledger, made, 0, 30)
    with served(tmp_path / "other") as url, node_of(url, tmp_path / "copy") as node:
        node.catch_up()
    with Store.open_to_read(tmp_path / "same") as store:
        publish_tiles(store, tmp_path / "www")
    (tmp_path / "www/tile/0/000.p/31").unlink()
    with Store.open_to_write(tmp_path / "copy") as store:
        store._database.connection.execute("DELETE FROM checkpoint WHERE size > 31")
    checkpoint_path(tmp_path / "copy").unlink()
    with (
        served_folder(tmp_path / "www") as url,
        node_of(url, tmp_path / "copy") as node,
        pytest.raises(LyingError, match="FORK"),
    ):
        node.catch_up()
    assert "shown.checkpoint" in evidence_of(tmp_path / "copy")


def test_a_block_that_does_not_verify_is_never_stored(tmp_path: Path) -> None:
    made = world(3, 30, seed=8)
    lying = made._replace(roots=[*made.roots[:20], bytes(32), *made.roots[21:]])
    written(tmp_path / "run", lying)
    with (
        served(tmp_path / "run") as url,
        node_of(url, tmp_path / "copy") as node,
        pytest.raises(LyingError, match="BROKEN at block 21: the state root"),
    ):
        node.catch_up()
    assert not (tmp_path / "copy/ledger.sqlite").exists()
    assert {"shown.checkpoint", "records.bin", "found.json"} < set(evidence_of(tmp_path / "copy"))


def test_a_fork_whose_key_was_rotated_meanwhile_is_proven_by_its_blocks(tmp_path: Path) -> None:
    made, new = world(3, 30, seed=8), make_demonstration_key(300)
    written(tmp_path / "one", made)
    with begin(tmp_path / "other", made) as ledger:
        append(ledger, made, 0, 10)
        ledger.append_registry(statements.rotate(ledger.chain_id, -3, Role.OPERATOR, 1, 12, made.key, new))
    with Ledger.resume(tmp_path / "other", new) as ledger:
        append(ledger, made, 10, 30)
    with served(tmp_path / "one") as url, node_of(url, tmp_path / "copy") as node:
        node.catch_up()
    with (
        served(tmp_path / "other") as url,
        node_of(url, tmp_path / "copy") as node,
        pytest.raises(LyingError, match="part at block 11"),
    ):
        node.catch_up()


def test_a_server_without_a_log_says_nothing_of_a_log(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with (
        served(tmp_path / "empty") as url,
        node_of(url, tmp_path / "copy") as node,
        pytest.raises(ServerError, match="expected a log with a checkpoint, found none"),
    ):
        node.catch_up()


def test_two_nodes_do_not_write_to_one_copy(directory: Path, tmp_path: Path) -> None:
    with served(directory) as url, node_of(url, tmp_path / "copy") as node:
        node.catch_up()
        with pytest.raises(LedgerError, match="only writer"):
            node_of(url, tmp_path / "copy")


def test_the_ledger_of_a_run_is_no_copy(directory: Path, tmp_path: Path) -> None:
    written(tmp_path / "run", MADE)
    with served(directory) as url, pytest.raises(LedgerError, match="found the ledger of a run"):
        node_of(url, tmp_path / "run")
    assert verify_ledger(tmp_path / "run").ok
    assert not (tmp_path / "run" / KEY_FILE).exists()


def test_a_private_ledger_is_followed_with_its_commitments(tmp_path: Path) -> None:
    directory = private_ledger(tmp_path / "run")
    with served(directory) as url, node_of(url, tmp_path / "copy") as node:
        node.catch_up()
    assert not (tmp_path / "copy/vaults").exists()
    assert content(tmp_path / "copy") == content(directory)
    report = verify_ledger(tmp_path / "copy")
    assert report.ok
    assert report.in_sums


def test_a_ledger_with_phases_is_followed(tmp_path: Path) -> None:
    written(tmp_path / "run", world(3, 10, seed=4, phased=True))
    with served(tmp_path / "run") as url, node_of(url, tmp_path / "copy") as node:
        assert node.catch_up().size == 11
    assert first_fault(tmp_path / "copy") is None


def test_a_pinned_key_alone_makes_no_copy(tmp_path: Path) -> None:
    key = VerifierKey("gridsettle/0", ED25519, public_bytes(MADE.key))
    with node_of("http://127.0.0.1:9", tmp_path / "copy", key) as node, pytest.raises(ServerError):
        node.catch_up()
    assert [path.name for path in (tmp_path / "copy").iterdir()] == [KEY_FILE]
