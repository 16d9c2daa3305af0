"""Two hundred and fifty mutations of every kind of input: exit code 0, 1 or 2, never a traceback, none over 30 s.

sound input ── one mutation (mutations.py) ── one command, in a worker (fuzzing.py) ── exit code and message
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from fuzzing import KINDS, LONGEST

from market.cores import count_usable_cores

ROOT = Path(__file__).parents[2]
PROGRAM = Path(__file__).with_name("fuzzing.py")
SEEDS = range(2, 2 + int(os.environ.get("FUZZ_SEEDS", "0")))
"""Seeds of the slow test, 1,000 cases each; FUZZ_SEEDS=10 is a night's worth."""
WORKERS = min(4, count_usable_cores())
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="needs pipes, devices and links"),
]


def start(*arguments: object, out: Path | None = None) -> subprocess.Popen[bytes]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "200", "NO_COLOR": "1"}
    command = [sys.executable, str(PROGRAM), *map(str, arguments)]
    with (out or Path(os.devnull)).open("ab") as file:
        return subprocess.Popen(command, env=environment, stdout=file, stderr=file if out else None)


def run_cases(folder: Path, seed: int, n: int) -> list[dict[str, Any]]:
    """All cases of a seed on several workers; where a case ends its worker, another goes on behind it."""
    logs = [folder / f"{seed}-{k}.txt" for k in range(WORKERS)]
    workers = {k: start("run", folder, seed, k, n, WORKERS, out=log) for k, log in enumerate(logs)}
    found: dict[int, dict[str, Any]] = {}
    while workers:
        k, worker = workers.popitem()
        if worker.wait() == 0:
            continue
        last = max((case["n"] for case in read_log(logs[k])), default=k - WORKERS)
        ended = {"n": last, "code": worker.returncode, "seconds": 0.0, "said": logs[k].read_text()[-3000:], "trace": ""}
        logs[k].open("a").write("\n" + json.dumps(ended) + "\n")
        if last + WORKERS < n:
            workers[k] = start("run", folder, seed, last + WORKERS, n, WORKERS, out=logs[k])
    for log in logs:
        for line in read_log(log):
            found.setdefault(line["n"], {}).update(line)
    return [found[key] for key in sorted(found)]


def read_log(log: Path) -> list[dict[str, Any]]:
    """The lines that are JSON: a worker that is ended leaves its trace there, too."""
    return [json.loads(line) for line in log.read_text().splitlines() if line.startswith('{"n": ')]


def describe(case: dict[str, Any]) -> str:
    arguments = " ".join(case["arguments"])[:300]
    told = (case.get("trace") or case["said"])[-1500:]
    return f"case {case['n']}, {case['kind']}, {case['how']}: {arguments}\nexit code {case['code']}: {told}\n"


def expect_clean_ends(cases: list[dict[str, Any]]) -> None:
    bad = []
    for case in cases:
        said = case["said"] + case.get("out", "")
        usage = case["code"] == 2 and said.startswith("Usage: ")
        one_message = case["code"] != 2 or usage or case["said"].count("gridsettle: ") == 1
        long = len(case["said"]) > 2400 and not usage
        if case["code"] not in (0, 1, 2) or "Traceback" in said or not one_message or long:
            bad.append(describe(case))
        elif case["seconds"] > LONGEST:
            bad.append(f"{case['seconds']:.0f} s: {describe(case)}")
    assert not bad, f"{len(bad)} of {len(cases)} cases:\n\n" + "\n".join(bad[:10])


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("fuzz")
    assert start("make", folder).wait() == 0
    return folder


def test_mutations_end_cleanly_and_every_kind_is_refused_sometimes(sound: Path) -> None:
    cases = run_cases(sound, 1, 250)
    assert len(cases) == 250
    expect_clean_ends(cases)
    codes = {kind: Counter(case["code"] for case in cases if case["kind"] == kind) for kind in KINDS}
    assert all(codes[kind][2] for kind in KINDS), codes  # every kind is refused sometimes
    assert sum(counter[0] for counter in codes.values()) > 12, codes  # and some mutations do no harm


@pytest.mark.parametrize("seed", SEEDS)
def test_more_mutations_end_cleanly(seed: int, sound: Path) -> None:
    cases = run_cases(sound, seed, 1000)
    assert len(cases) == 1000
    expect_clean_ends(cases)
