"""What a step of a coupled run costs, ms of processor time: blocks that wait, and blocks on the disk at each step.

python tests/benchmarks/coupling.py
"""

from __future__ import annotations

import tempfile
import time

from cosim import Scenario, SteppedRun

WARM, STEPS = 8, 150


def measure(*, durable: bool) -> float:
    """Milliseconds of processor time of a step."""
    scenario = Scenario().with_changes(horizon={"hours": WARM + STEPS})
    with tempfile.TemporaryDirectory() as out, SteppedRun.open(scenario, f"{out}/run") as stepped:
        for _ in range(WARM):
            stepped.run_interval(durable=durable)
        began = time.process_time()
        for _ in range(STEPS):
            stepped.run_interval(durable=durable)
        stepped.head()
        return (time.process_time() - began) / STEPS * 1000.0


if __name__ == "__main__":
    waiting, durable = (measure(durable=each) for each in (False, True))
    print(f"blocks that wait {waiting:.2f} ms, durable ones {durable:.2f} ms, ratio {durable / waiting:.1f}")
