"""A ledger survives what happens to computers: kills, full disks, failing disks, two writers.

writer: genesis ─ group ─ group ─ group ─✗        resumed: group ─ group ─ … the same head as undisturbed
        each group: one commit, then the checkpoint, then the line "acknowledged N"
"""

from __future__ import annotations

import errno
import os
import re
import resource
import shutil
import sqlite3
import subprocess
import sys
import threading
import time
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from ledger_world import append, begin, world, written

from market.errors import LedgerError
from market.ledger.check.verify import verify_ledger
from market.ledger.format.checkpoint import checkpoint_path
from market.ledger.store.store import Store
from market.ledger.write.ledger import Head, Ledger

pytestmark = pytest.mark.slow  # killed processes

REFERENCE = Path(__file__).parents[1] / "reference"
N, GROUP, SEED = 48, 2, 6
MADE = world(4, N, seed=SEED)

WRITER = f"""
import sys
sys.path[:0] = {[str(REFERENCE), *sys.path]!r}
from pathlib import Path
from ledger_world import append, begin, world
from market.ledger.write.ledger import Ledger
made, directory = world(4, {N}, seed={SEED}), Path(sys.argv[1])
exists = (directory / "ledger.sqlite").exists()
with (Ledger.resume(directory, made.key) if exists else begin(directory, made)) as ledger:
    print("began", flush=True)
    for first in range(ledger.next_interval, {N}, {GROUP}):
        append(ledger, made, first, min(first + {GROUP}, {N}))
        print("acknowledged", ledger.head().height, flush=True)
    print("done", ledger.head().hash.hex(), flush=True)
"""


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Head:
    directory = written(tmp_path_factory.mktemp("undisturbed") / "run", MADE, GROUP)
    with Ledger.resume(directory, MADE.key) as ledger:
        return ledger.head()


def start(directory: Path, **environment: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", WRITER, str(directory)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **environment},
    )


def acknowledged(output: str) -> int:
    """The last height told by a whole line; a kill may cut the last line anywhere (unbuffered output)."""
    return max((int(height) for height in re.findall(r"^acknowledged (\d+)\n", output, re.M)), default=0)


def finish(directory: Path, undisturbed: Head) -> None:
    """Go on with whatever is there, and end with the same head, state and checkpoint."""
    exists = (directory / "ledger.sqlite").exists()
    with Ledger.resume(directory, MADE.key) if exists else begin(directory, MADE) as ledger:
        for first in range(ledger.next_interval, N, GROUP):
            append(ledger, MADE, first, min(first + GROUP, N))
        assert ledger.head() == undisturbed
        assert ledger.state() == (N, b"before interval %d" % N)
    assert verify_ledger(directory, checkpoint=checkpoint_path(directory).read_text()).ok


def kill_somewhere(directory: Path, rng: np.random.Generator) -> int:
    """Start a writer, kill it at a random moment of its writing; returns the last height it acknowledged."""
    writer = start(directory)
    assert writer.stdout is not None
    first = writer.stdout.readline() if rng.random() < 0.95 else ""
    time.sleep(float(rng.exponential(0.03)))
    writer.kill()
    rest, _ = writer.communicate()
    return acknowledged(first + rest)


@pytest.mark.parametrize("cut", ["", "ackno", "acknowledged", "acknowledged ", "acknowledged 4"])
def test_a_line_cut_by_the_kill_acknowledges_nothing(cut: str) -> None:
    assert acknowledged("began\nacknowledged 2\n" + cut) == 2
    assert acknowledged(cut) == 0


@pytest.mark.parametrize("seed", [*range(3), *[pytest.param(s, marks=pytest.mark.slow) for s in range(3, 16)]])
def test_killed_at_a_random_moment(seed: int, tmp_path: Path, undisturbed: Head) -> None:
    rng, directory = np.random.default_rng(seed), tmp_path / "run"
    for _ in range(3):
        durable = kill_somewhere(directory, rng)
        if not (directory / "ledger.sqlite").exists():
            assert durable == 0
            continue
        report = verify_ledger(directory)
        assert report.ok, report.reason
        assert report.n_blocks > durable, "an acknowledged block is lost"
        if checkpoint_path(directory).exists():
            assert verify_ledger(directory, checkpoint=checkpoint_path(directory).read_text()).ok
    finish(directory, undisturbed)


def test_no_ledger_without_a_genesis_block_is_ever_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise OSError(errno.EIO, "disk failed")

    monkeypatch.setattr("market.ledger.store.store.os.replace", fail)
    with pytest.raises(LedgerError, match="disk failed"):
        begin(tmp_path / "run", MADE)
    assert not (tmp_path / "run" / "ledger.sqlite").exists()
    monkeypatch.undo()
    with begin(tmp_path / "run", MADE) as ledger:
        assert ledger.head().height == 0


# -- disks ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kilobytes", [120, 180, 250])
def test_a_full_disk(kilobytes: int, tmp_path: Path, undisturbed: Head) -> None:
    """No file may grow beyond a limit, which fails writes as a full disk does."""
    directory = tmp_path / "run"
    writer = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(directory)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (kilobytes * 1024, kilobytes * 1024)),
    )
    output, errors = writer.communicate()
    assert writer.returncode == 1
    assert "LedgerError" in errors
    assert "what was written before is safe" in errors
    assert "done" not in output
    report = verify_ledger(directory)
    assert report.ok, report.reason
    assert report.n_blocks > acknowledged(output)
    finish(directory, undisturbed)


SHIM = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdlib.h>
static int left = -1;
static int fails(void) {
  if (left < 0) left = atoi(getenv("FAIL_FSYNC_AFTER"));
  if (left == 0) { errno = EIO; return 1; }
  left--;
  return 0;
}
int fsync(int fd) { return fails() ? -1 : ((int (*)(int))dlsym(RTLD_NEXT, "fsync"))(fd); }
int fdatasync(int fd) { return fails() ? -1 : ((int (*)(int))dlsym(RTLD_NEXT, "fdatasync"))(fd); }
"""


@pytest.fixture(scope="module")
def shim(tmp_path_factory: pytest.TempPathFactory) -> Path:
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None or sys.platform != "linux":
        pytest.skip("needs a C compiler and Linux to make fsync fail")
    folder = tmp_path_factory.mktemp("shim")
    (folder / "shim.c").write_text(SHIM)
    library = folder / "shim.so"
    subprocess.run([compiler, "-shared", "-fPIC", "-o", library, folder / "shim.c", "-ldl"], check=True)
    return library


@pytest.mark.parametrize(
    "after", [0, 3, 7, 12, 25, *[pytest.param(k, marks=pytest.mark.slow) for k in range(1, 60, 6)]]
)
def test_a_failing_fsync(after: int, shim: Path, tmp_path: Path, undisturbed: Head) -> None:
    directory = tmp_path / "run"
    writer = start(directory, LD_PRELOAD=str(shim), FAIL_FSYNC_AFTER=str(after))
    output, errors = writer.communicate()
    assert writer.returncode == 1
    assert re.search(r"^market\.[a-z.]*(Ledger|Damaged)Error: .*(disk I/O|Input/output) error", errors, re.M), errors
    if (directory / "ledger.sqlite").exists():
        report = verify_ledger(directory)
        assert report.ok, report.reason
        assert report.n_blocks > acknowledged(output)
    finish(directory, undisturbed)


def test_after_a_failed_write_the_ledger_takes_no_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with begin(tmp_path / "run", MADE) as ledger:
        append(ledger, MADE, 0, 4)
        with monkeypatch.context() as patch:
            patch.setattr(
                "market.ledger.write.ledger.leaf_hash", lambda _: ledger.head().hash
            )  # a hash that is there already
            with pytest.raises(LedgerError, match="what was written before is safe"):
                append(ledger, MADE, 4, 8)
        with pytest.raises(LedgerError):
            append(ledger, MADE, 4, 8)
    assert verify_ledger(tmp_path / "run").n_blocks == 5


def test_a_checkpoint_that_cannot_be_written_is_renewed_on_resuming(tmp_path: Path) -> None:
    directory = written(tmp_path / "run", MADE, 24)
    kept = checkpoint_path(directory)
    whole = kept.read_text()
    kept.unlink()
    kept.mkdir()
    with pytest.raises(LedgerError, match="expected a file"):
        Ledger.resume(directory, MADE.key)
    kept.rmdir()
    Ledger.resume(directory, MADE.key).close()
    assert kept.read_text() == whole


def test_the_checkpoint_never_runs_ahead_of_the_ledger(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """When the checkpoint is signed, its blocks are durable already."""
    seen = []

    def watch(path: Path, content: str) -> None:
        with closing(sqlite3.connect(tmp_path / "run" / "ledger.sqlite")) as connection, connection:
            n_blocks = connection.execute("SELECT count(*) FROM block").fetchone()[0]
        seen.append(n_blocks >= int(content.split("\n")[1]))

    monkeypatch.setattr("market.ledger.write.ledger.write_durably", watch)
    written(tmp_path / "run", MADE, 12)
    assert seen == [True] * 5


# -- several processes ----------------------------------------------------------------------------------------------


def test_a_second_writer_is_refused_and_a_reader_is_not(tmp_path: Path) -> None:
    with begin(tmp_path / "run", MADE) as ledger:
        append(ledger, MADE, 0, 6)
        with pytest.raises(LedgerError, match="expected to be the only writer"):
            Ledger.resume(tmp_path / "run", MADE.key)
        writer = start(tmp_path / "run")
        assert "expected to be the only writer" in writer.communicate()[1]
        with Store.open_to_read(tmp_path / "run") as reader:
            assert reader.size() == 7
            append(ledger, MADE, 6, 12)
            assert reader.size() == 13
        assert verify_ledger(tmp_path / "run").n_blocks == 13
    with Ledger.resume(tmp_path / "run", MADE.key) as ledger:
        assert ledger.next_interval == 12


def test_resuming_an_older_copy_is_refused(tmp_path: Path) -> None:
    """Restoring a backup and writing on would fork the ledger; the checkpoint beside it knows better."""
    with begin(tmp_path / "run", MADE) as ledger:
        append(ledger, MADE, 0, 6)
    backup = (tmp_path / "run" / "ledger.sqlite").read_bytes()
    with Ledger.resume(tmp_path / "run", MADE.key) as ledger:
        append(ledger, MADE, 6, 12)
    (tmp_path / "run" / "ledger.sqlite").write_bytes(backup)
    with pytest.raises(LedgerError, match="ROLLBACK"):
        Ledger.resume(tmp_path / "run", MADE.key)


def test_a_reader_that_asks_whether_somebody_writes_keeps_no_writer_out(tmp_path: Path) -> None:
    """The question takes the lock for a moment; a run that began in that moment was told of another writer."""
    directory = tmp_path / "run"
    begin(directory, MADE).close()
    asking = sqlite3.connect(directory / "ledger.lock", isolation_level=None, check_same_thread=False)
    asking.execute("BEGIN")
    asking.execute("PRAGMA user_version").fetchall()
    asking.execute("SELECT count(*) FROM sqlite_schema").fetchall()
    done = threading.Timer(0.2, asking.close)
    done.start()
    Ledger.resume(directory, MADE.key).close()
    done.join()
