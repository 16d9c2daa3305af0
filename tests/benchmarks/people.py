"""How a served market bears a crowd: `python tests/benchmarks/people.py [MEMBERS] [SECONDS]`; nothing is asserted.

Every member submits in every interval of a second, by the pages, while others look at pages. Server and crowd share the
machine.
"""

from __future__ import annotations

import os
import platform
import sys
import tempfile
from pathlib import Path

import numpy as np

sys.path.append(str(Path(__file__).parents[1] / "reference"))
from crowd import count_lost, prepare, run_crowd

if __name__ == "__main__":
    n_members, seconds = (int(text) for text in (*sys.argv[1:], "200", "300")[:2])
    with tempfile.TemporaryDirectory() as folder:
        crowd = prepare(Path(folder) / "run", n_members, int(seconds) + 60)
        run_crowd(crowd, seconds)
        n_due, n_lost = count_lost(crowd)
    p50, p99, worst = (1000 * float(np.quantile(crowd.latencies_s, q)) for q in (0.5, 0.99, 1.0))
    print(f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}")
    print(f"{n_members} members, {seconds} s: {len(crowd.acknowledged):,} submissions acknowledged")
    print(
        f"{n_due:,} due by the last closed interval, {n_lost} of them not on the ledger; refused {len(crowd.refused)}"
    )
    print(f"pages: {len(crowd.latencies_s):,}, p50 {p50:.0f} ms, p99 {p99:.0f} ms, worst {worst:.0f} ms")
    print([round(kb / 1024) for kb in crowd.peaks_kb[::10]])
    quarter = max(len(crowd.peaks_kb) // 4, 1)
    first, last = crowd.peaks_kb[quarter - 1], crowd.peaks_kb[-1]
    print(f"memory of the server: {first / 1024:.0f} MiB after a quarter, {last / 1024:.0f} MiB at the end")
    for text in sorted(set(crowd.refused))[:5]:
        print(f"  {text}")
