"""A server that is killed at any moment loses nothing that it acknowledged, and goes on to a sound ledger."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from live_world import LIVE, close_all
from naive_ledger import first_fault

from cosim.web.live.run import LiveRun
from market.ledger.check.verify import verify_ledger
from market.ledger.format.records import RecordKind, select_rows
from market.ledger.store.store import Store
from market.ledger.store.tip import decode_records

pytestmark = pytest.mark.slow
KILLS = 3 if os.environ.get("CI") else 5
"""Servers that are killed on one directory."""

PROGRAM = """
import sys
from pathlib import Path
sys.path[:0] = sys.argv[2:]
from live_world import LIVE, join, submit
from cosim.web.live.run import LiveRun

with LiveRun.open(LIVE, Path(sys.argv[1])) as live:
    if live.key_of(0) is None:
        join(live, *(house for house in range(4) if live.key_of(house) is None))
    print("ready", flush=True)
    while not live.is_over:
        t = live.next_interval
        for house in range(4):
            number = live.next_submission_number(house)
            submit(live, house, t, reserve_wh=number)
            print("acknowledged", house, number, t, flush=True)
        live.close_interval()
        print("closed", t, flush=True)
"""


def run_and_kill(directory: Path, moment: int) -> list[str]:
    """Lines that the server wrote before it was killed, `moment` lines behind the first."""
    paths = [str(Path(__file__).parents[1] / "reference")]
    command = [sys.executable, "-c", PROGRAM, str(directory), *paths]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        lines = []
        for line in server.stdout:
            lines.append(line.strip())
            if len(lines) > moment:
                server.kill()
        return lines


def list_applied(directory: Path) -> dict[tuple[int, int], int]:
    """Number of the submission on the ledger by its house and interval."""
    found = dict[tuple[int, int], int]()
    with Store.open_to_read(directory) as store:
        for block in (block for group in store.groups() for block in group):
            rows = select_rows(decode_records(block.records), RecordKind.SUBMISSION)
            found |= {(int(row["house"]), int(row["first"])): int(row["number"]) for row in rows}
    return found


def test_killed_at_many_moments_it_loses_nothing_acknowledged(tmp_path: Path) -> None:
    """One server after the other, on four directories."""
    rng = np.random.default_rng(20)
    for number in range(4):
        directory, acknowledged = tmp_path / f"run{number}", set[tuple[int, int, int]]()
        for _ in range(KILLS):
            for line in run_and_kill(directory, int(rng.integers(0, 14))):
                if line.startswith("acknowledged"):
                    house, at, interval = map(int, line.split()[1:])
                    acknowledged.add((house, at, interval))
        with LiveRun.open(LIVE, directory) as live:
            close_all(live)
        assert verify_ledger(directory).ok
        assert first_fault(directory) is None
        applied = list_applied(directory)
        # One that was kept and not acknowledged yet when the server was killed has taken the place of one that was.
        newest = {(house, interval): at for house, at, interval in sorted(acknowledged)}
        late = {place: number - newest[place] for place, number in applied.items() if place in newest}
        assert set(late) == set(newest)
        assert all(0 <= ahead <= KILLS for ahead in late.values()), late
