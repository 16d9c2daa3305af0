"""A command says that it compiles when it does, once, and only then."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numba
import pytest

from cosim.first_use import MESSAGE, told_when_compiling

ROOT = Path(__file__).parents[3]


def test_it_is_told_once_and_only_while_something_is_compiled() -> None:
    told: list[str] = []
    half, twice = numba.njit(lambda x: x // 2), numba.njit(lambda x: x * 2)
    with told_when_compiling(told.append):
        assert not told
        assert (half(4), twice(4)) == (2, 8)
    assert told == [MESSAGE]
    with told_when_compiling(told.append):
        half(6)
    twice(1.5)
    assert told == [MESSAGE]


@pytest.mark.slow
def test_a_command_says_it_on_a_fresh_machine_and_no_more_on_its_second_use(tmp_path: Path) -> None:
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path / "cache"), "PYTHONPATH": str(ROOT)}
    command = [
        sys.executable,
        "-c",
        "from cosim.cli import main; main()",
        "hosting",
        "--intervals",
        "1",
        "--json",
    ]
    said = [
        subprocess.run(
            command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True
        ).stderr.count(MESSAGE)
        for _ in range(2)
    ]
    assert said == [1, 0]
