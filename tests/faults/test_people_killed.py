"""What the store of people has acknowledged is there after a kill at any moment; two processes may write at once."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from cosim.web.people.persons import Kind
from cosim.web.people.store import People

REPETITIONS = 6

WRITER = """
import sys
from pathlib import Path
from cosim.web.people.persons import Kind
from cosim.web.people.store import People
directory, mark, count = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
people = People(directory)
for k in range(count):
    with people.file.transaction():
        person = people.persons.greet(Kind.WALLET, f"{mark}-{k}", bytes(32))
    people.persons.ask_to_join(person.number, wish=k)
    token = people.sessions.open_session(person.number)
    print(person.number, f"{mark}-{k}", k, token, flush=True)
print("done", flush=True)
"""


def start(directory: Path, mark: str, count: int) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", WRITER, str(directory), mark, str(count)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=os.environ.copy())


def check_acknowledged(directory: Path, lines: list[str]) -> None:
    """Every line that a writer has printed whole is in the store."""
    with People(directory) as people:
        for line in lines:
            number, subject, wish, token = line.split()
            person = people.persons.find_person(int(number))
            assert (person.kind, person.subject, person.wish) == (Kind.WALLET, subject, int(wish))
            session = people.sessions.find_session(token)
            assert session is not None
            assert session.person == person
        assert people.file.rows("PRAGMA integrity_check") == [("ok",)]


@pytest.mark.slow
def test_what_was_acknowledged_survives_a_kill_at_any_moment(tmp_path: Path) -> None:
    chance, acknowledged = random.Random(11), []
    for repetition in range(REPETITIONS):
        with start(tmp_path, f"w{repetition}", 100_000) as writer:
            assert writer.stdout is not None
            first = writer.stdout.readline()  # the time from here on is that of writing
            time.sleep(chance.uniform(0, 0.5))
            writer.send_signal(signal.SIGKILL)
            lines = [first, *writer.stdout.read().splitlines(keepends=True)]
        acknowledged += [line for line in lines if line.endswith("\n")]
        check_acknowledged(tmp_path, acknowledged)
    assert len(acknowledged) > 2 * REPETITIONS


@pytest.mark.slow
def test_a_kill_while_the_store_is_made_leaves_none_or_a_whole_one(tmp_path: Path) -> None:
    chance = random.Random(12)
    for _ in range(REPETITIONS):
        folder = tmp_path / f"{chance.random()}"
        folder.mkdir()
        with start(folder, "w", 1) as writer:
            while not any(folder.iterdir()):
                time.sleep(0.001)
            time.sleep(chance.uniform(0, 0.1))
            writer.send_signal(signal.SIGKILL)
        with People(folder) as people:
            people.codes.use_code(people.codes.make_code())


@pytest.mark.slow
def test_two_processes_write_at_once_and_nothing_is_lost(tmp_path: Path) -> None:
    writers = [start(tmp_path, mark, 60) for mark in ("a", "b")]  # both may find no store and make it
    lines = [writer.communicate(timeout=60)[0].splitlines() for writer in writers]
    assert [writer.returncode for writer in writers] == [0, 0]
    assert [printed[-1] for printed in lines] == ["done", "done"]
    check_acknowledged(tmp_path, [line for printed in lines for line in printed[:-1]])
    with People(tmp_path) as people:
        assert len(people.persons.list_requests()) == 120
