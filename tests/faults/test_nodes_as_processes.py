"""Four nodes as processes on loopback: one is killed, one is away for 100 blocks, two are shown a fork."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from time import monotonic, sleep

import pytest
from ledger_world import append, begin, world
from log_world import grow, node_of

from market.errors import LedgerError
from market.ledger.check.verify import verify_ledger
from market.ledger.crypto.keys import write_key_pair
from market.ledger.follow.server import CopyServer
from market.ledger.format import statements
from market.ledger.format.checkpoint import checkpoint_path
from market.ledger.format.header import make_demonstration_key
from market.ledger.format.note import read_cosignatures, read_verifier_key
from market.ledger.format.records import Role
from market.ledger.store.store import Store
from market.ledger.write.ledger import Ledger

PATIENCE_S = 60  # a busy machine is no fault
MADE = world(2, 330, seed=21)


def gridsettle(*arguments: str | Path) -> list[str]:
    return [sys.executable, "-m", "cosim.cli.entry", "ledger", *map(str, arguments)]


class Nodes:
    """The processes of four nodes, each with a server of its own to follow, all of one operator."""

    def __init__(self, folder: Path, servers: list[CopyServer]) -> None:
        self.folder, self.servers = folder, servers
        self.processes: dict[int, subprocess.Popen[str]] = {}

    def copy(self, k: int) -> Path:
        return self.folder / f"copy{k}"

    def start(self, k: int) -> None:
        key = self.folder / f"{k}.pem"
        options = ["--out", self.copy(k), "--every", "0.2", "--cosign", key, "--name", f"house{k}"]
        options += ["--serve", "0"] if k < 2 else []
        command, env = gridsettle("follow", self.servers[k].url, *options), {**os.environ, "PYTHONUNBUFFERED": "1"}
        with (self.folder / f"{k}.log").open("a") as log:
            self.processes[k] = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, text=True, env=env)

    def kill(self, k: int) -> None:
        self.processes[k].kill()
        self.processes.pop(k).wait()

    def size(self, k: int) -> int:
        try:
            with Store.open_to_read(self.copy(k)) as store:
                note = store.last_checkpoint()
        except LedgerError:
            return 0
        return 0 if note is None else int(note.split("\n")[1])

    def wait(self, size: int, *which: int) -> None:
        end = monotonic() + PATIENCE_S
        while any(self.size(k) < size for k in which):
            assert monotonic() < end, [(self.folder / f"{k}.log").read_text() for k in which]
            sleep(0.05)


@pytest.fixture
def nodes(tmp_path: Path) -> Iterator[Nodes]:
    with begin(tmp_path / "run", MADE) as ledger:
        append(ledger, MADE, 0, 100)
    for k in range(4):
        write_key_pair(tmp_path / f"{k}.pem", make_demonstration_key(700 + k))
    with ExitStack() as stack:
        servers = [stack.enter_context(CopyServer(tmp_path / "run", "127.0.0.1", 0, None)) for _ in range(4)]
        started = Nodes(tmp_path, servers)
        yield started
        for k in list(started.processes):
            started.kill(k)


@pytest.mark.slow
def test_four_nodes(nodes: Nodes, tmp_path: Path) -> None:
    for k in range(4):
        nodes.start(k)
    nodes.wait(101, 0, 1, 2, 3)
    nodes.kill(1)  # away for 100 blocks
    for stop in range(120, 201, 20):
        grow(tmp_path / "run", MADE, stop - 20, stop)
        if stop == 160:
            nodes.kill(0)  # whatever it is doing
            nodes.start(0)
    nodes.start(1)
    nodes.wait(201, 0, 1, 2, 3)

    fork_off(tmp_path / "fork", 150)
    for k in (2, 3):
        nodes.servers[k].directory = tmp_path / "fork"
    grow(tmp_path / "run", MADE, 200, 230)
    for k in (2, 3):
        assert nodes.processes[k].wait(PATIENCE_S) == 1, (tmp_path / f"{k}.log").read_text()
    nodes.wait(231, 0, 1)

    seen = {
        (folder / "seen.checkpoint").read_text().split("\n\n")[0]
        for k in (2, 3)
        for folder in (nodes.copy(k) / "evidence").iterdir()
    }
    shown = {
        (
            (folder / "shown.checkpoint").read_text(),
            json.loads((folder / "found.json").read_text())["first_differing_block"],
        )
        for k in (2, 3)
        for folder in (nodes.copy(k) / "evidence").iterdir()
    }
    assert len(seen) == 1
    assert shown == {(checkpoint_path(tmp_path / "fork").read_text(), 151)}

    with node_of(nodes.servers[3].url, tmp_path / "newcomer") as newcomer:  # it has never seen the other history
        newcomer.catch_up()
    parted = subprocess.run(
        gridsettle("compare", nodes.copy(2), tmp_path / "newcomer"), capture_output=True, text=True, check=False
    )
    assert parted.returncode == 1, parted
    assert "PARTED at block 151" in parted.stdout
    assert "PROOF of a fork" in parted.stdout
    address = next(line for line in (tmp_path / "0.log").read_text().splitlines()[::-1] if "serving at" in line)
    equal = subprocess.run(
        gridsettle("compare", nodes.copy(1), address.split()[-1]), capture_output=True, text=True, check=False
    )
    assert equal.stdout == "equal: 231 blocks\n"
    for k in range(4):
        check_copy(nodes, k)


def fork_off(directory: Path, at: int) -> None:
    """Another history by the same operator: it admits a member behind an interval that all have seen."""
    with begin(directory, MADE) as ledger:
        append(ledger, MADE, 0, at)
        row = statements.register(ledger.chain_id, 1, Role.PARTICIPANT, 1, 10**6, make_demonstration_key(50))
        ledger.append_registry(row)
    with Ledger.resume(directory, MADE.key) as ledger:
        append(ledger, MADE, at, 240)


def check_copy(nodes: Nodes, k: int) -> None:
    """A copy verifies, and its node has cosigned its checkpoint."""
    if k in nodes.processes:
        nodes.kill(k)
    key = next(
        line.split()[-1]
        for line in (nodes.folder / f"{k}.log").read_text().splitlines()
        if line.startswith("cosigning as")
    )
    (nodes.folder / f"{k}.vkey").write_text(key)
    note = checkpoint_path(nodes.copy(k)).read_text()
    report = verify_ledger(nodes.copy(k), checkpoint=note)
    assert report.ok, report.reason
    assert report.n_blocks == (231 if k < 2 else 201)
    assert [found.name for found in read_cosignatures(note, [read_verifier_key(nodes.folder / f"{k}.vkey")])] == [
        f"house{k}"
    ]
