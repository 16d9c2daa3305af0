"""One whole run, timed once compiled, and its peak memory: `… -m tests.benchmarks.whole_run NAME HOURS [report]`.

Prints a JSON list: houses, unclean intervals, seconds, processor seconds, peak MiB, and that after the report too.
"""

from __future__ import annotations

import json
import resource
import sys
import tempfile
import time
from pathlib import Path

from cosim.scenario.files import load_scenario
from cosim.simulation.simulate import run


def peak_mib() -> float:
    """Largest memory of this process so far, MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024.0


def whole_run(name: str, hours: int, *, report: bool = False) -> tuple[int, int, float, float, float, float]:
    """Houses, unclean intervals, seconds, processor seconds, peak MiB of a bundled scenario; `calm` has no limits.

    The last is the peak when the report is written too, if asked for; it is not in the seconds.
    """
    scenario = load_scenario("stressed" if name == "calm" else name).with_changes(horizon={"hours": hours})
    if name == "calm":  # the stressed year with limits that nothing reaches
        scenario = scenario.with_changes(limits={"min_vm_pu": 0.5, "max_vm_pu": 1.5})
    with tempfile.TemporaryDirectory() as folder:
        # Start-up and compilation, what writes included, come before the clock runs; June, too, for repairs.
        for week, start in (("first", scenario.horizon.start), ("june", "2017-06-15T00:00:00Z")):
            short = scenario.with_changes(horizon={"hours": 168, "start": start})
            run(short, Path(folder) / week)
        begin, processor = time.perf_counter(), time.process_time()
        result = run(scenario, Path(folder) / "run")
        taken, processor = time.perf_counter() - begin, time.process_time() - processor
        memory = peak_mib()
        if report:
            result.report()
    unclean = hours - result.summary["network"]["outcomes"].get("clean", 0)
    return scenario.houses.n_houses, unclean, taken, processor, memory, peak_mib()


if __name__ == "__main__":
    print(json.dumps(whole_run(sys.argv[1], int(sys.argv[2]), report="report" in sys.argv[3:])))
