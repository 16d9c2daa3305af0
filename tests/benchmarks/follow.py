"""How fast a log is followed: `python tests/benchmarks/follow.py [BLOCKS] [HOUSES]` prints it; nothing is asserted.

An operator serves its ledger on loopback; a node fetches, verifies, stores and cosigns it, then replays its copy, as it
does when it is started again. Wall and processor time of this process, which both run in.
"""

from __future__ import annotations

import os
import platform
import sys
import tempfile
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1] / "reference"))
sys.path.append(str(Path(__file__).parent))
from ledger import timed, write
from ledger_world import world
from log_world import node_of, served, served_folder, witness

from market.ledger.check.verify import verify_ledger
from market.ledger.follow.rounds import run_round
from market.ledger.read.publish import publish_tiles
from market.ledger.store.store import Store


def follow(url: str, out: Path, folder: Path) -> None:
    """Follow a log once, as a witness."""
    with node_of(url, out) as node:
        run_round(node, witness(1, folder))


def publish(directory: Path, out: Path) -> None:
    """Publish a ledger as tiles."""
    with Store.open_to_read(directory) as store:
        publish_tiles(store, out)


def rows(n_blocks: int, n_houses: int, folder: Path) -> list[str]:
    """Lines of the table."""
    made = world(n_houses, n_blocks - 1)
    write(folder / "warm", world(n_houses, 64), 64)
    with served(folder / "warm") as url:
        follow(url, folder / "warm-copy", folder / "warm")
    write(folder / "run", made, 2048)
    found = []

    def row(what: str, seconds: tuple[float, float]) -> None:
        found.append(f"| {what} | {seconds[0]:.2f} | {seconds[1]:.2f} | {n_blocks / seconds[0]:,.0f} |")

    with served(folder / "run") as url:
        row("follow: fetch, verify, store, cosign", timed(lambda: follow(url, folder / "copy", folder)))
        row("follow again: replay the copy, nothing new", timed(lambda: follow(url, folder / "copy", folder)))
    row("publish as tiles", timed(lambda: publish(folder / "run", folder / "www")))
    row("publish again, nothing new", timed(lambda: publish(folder / "run", folder / "www")))
    with served_folder(folder / "www") as url:
        row("follow a static web server", timed(lambda: follow(url, folder / "second", folder)))
    row("verify the copy, one process", timed(lambda: verify_ledger(folder / "copy")))
    assert verify_ledger(folder / "second").ok
    size = sum(path.stat().st_size for path in (folder / "www").rglob("*") if path.is_file()) / 1e6
    return [
        f"{n_blocks:,} blocks of {n_houses} houses, {made.records.shape[0]:,} records, {size:.0f} MB of tiles; "
        f"{platform.machine()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}, "
        f"Python {platform.python_version()}",
        "",
        "| | wall s | processor s | blocks/s |",
        "| --- | --- | --- | --- |",
        *found,
    ]


def main() -> None:
    """Print the table."""
    n_blocks, n_houses = (int(word) for word in (*sys.argv[1:], *("35064", "4")[len(sys.argv) - 1 :]))
    with tempfile.TemporaryDirectory() as folder:
        print("\n".join(rows(n_blocks, n_houses, Path(folder))))


if __name__ == "__main__":
    main()
