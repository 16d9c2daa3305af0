"""How fast the ledger is: `python tests/benchmarks/ledger.py [INTERVALS]` prints a Markdown table; nothing is asserted.

25 houses that trade, share and store; records of real bookings; times of this process and of its children.
"""

from __future__ import annotations

import os
import platform
import sys
import tempfile
import time
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

sys.path.append(str(Path(__file__).parents[1] / "reference"))
from ledger_world import World, append, begin, world

from market.ledger.check.verify import verify_ledger
from market.ledger.crypto.merkle import group_roots, leaf_hash, node_hash
from market.ledger.crypto.sha256 import hash_rows
from market.ledger.format.checkpoint import checkpoint_path
from market.ledger.write.ledger import state_roots


def timed(work: Callable[[], Any]) -> tuple[float, float]:
    """(wall, processor) seconds of some work, children included."""
    wall, cpu = time.perf_counter(), os.times()
    work()
    wall, after = time.perf_counter() - wall, os.times()
    return wall, sum(after[:4]) - sum(cpu[:4])


def write(directory: Path, made: World, group: int) -> None:
    """A whole world, `group` blocks a commit."""
    n = made.starts.size
    with begin(directory, made) as ledger:
        for first in range(0, n, group):
            state_roots(made.window.accounts[first : first + group])
            append(ledger, made, first, min(first + group, n))


def hashed_singly(made: World) -> None:
    """Record roots with hashlib, a call a hash: what the lanes replace."""
    for k in range(made.starts.size):
        level = [leaf_hash(row.tobytes()) for row in made.records[made.offsets[k] : made.offsets[k + 1]]]
        while len(level) > 1:
            odd = level[-1:] if len(level) % 2 else []
            level = [node_hash(a, b) for a, b in zip(level[::2], level[1::2], strict=False)] + odd


def rows(n_intervals: int, folder: Path) -> list[str]:
    """Lines of the table."""
    made = world(25, n_intervals)
    n_records = made.records.shape[0]
    write(folder / "warm", world(25, 64), 16)
    verify_ledger(folder / "warm")
    found = []

    def row(what: str, seconds: tuple[float, float], blocks: int = n_intervals) -> None:
        wall, cpu = seconds
        found.append(f"| {what} | {wall:.2f} | {cpu:.2f} | {blocks / wall:,.0f} |")

    row("append, 2,048 blocks a commit", timed(lambda: write(folder / "run", made, 2048)))
    size = sum(path.stat().st_size for path in (folder / "run").iterdir()) / 1e6
    some = min(n_intervals, 2400)
    part = made._replace(starts=made.starts[:some])
    row("append, 24 blocks a commit", timed(lambda: write(folder / "small", part, 24)), some)
    note = checkpoint_path(folder / "run").read_text()
    row("verify, one process", timed(lambda: verify_ledger(folder / "run", checkpoint=note)))
    row("verify, two processes", timed(lambda: verify_ledger(folder / "run", checkpoint=note, n_processes=2)))
    row("record roots, hashed in lanes", timed(lambda: group_roots(made.records, made.offsets)))
    row("record roots, hashlib", timed(lambda: hashed_singly(part)), some)
    report = verify_ledger(folder / "run")
    assert report.ok, report.reason
    assert hash_rows(0, made.records[:1]).tobytes() == sha256(b"\0" + made.records[0].tobytes()).digest()
    return [
        f"{n_intervals:,} blocks of 25 houses, {n_records:,} records, {size:.0f} MB; {platform.machine()}, "
        f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}, Python {platform.python_version()}",
        "",
        "| | wall s | processor s | blocks/s |",
        "| --- | --- | --- | --- |",
        *found,
    ]


def main() -> None:
    """Print the table."""
    n_intervals = int(sys.argv[1]) if len(sys.argv) > 1 else 35_064
    with tempfile.TemporaryDirectory() as folder:
        print("\n".join(rows(n_intervals, Path(folder))))


if __name__ == "__main__":
    main()
