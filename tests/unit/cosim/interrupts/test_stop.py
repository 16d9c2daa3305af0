"""Ctrl-C raises between two lines of this project: not before, not inside a library, and not for nobody."""

from __future__ import annotations

import importlib
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from cosim.interrupts.processes import open_pool
from cosim.interrupts.stop import Stopped, stop_between_lines
from cosim.scenario.messages import suggest

pytestmark = pytest.mark.skipif(
    threading.current_thread() is not threading.main_thread(), reason="signals reach the main thread only"
)


@pytest.fixture(autouse=True)
def as_python_begins() -> Iterator[None]:
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    signal.signal(signal.SIGINT, before)


def press() -> None:
    signal.raise_signal(signal.SIGINT)


def press_and_go_on() -> None:
    press()
    suggest("a", ["b"])


def press_soon(seconds: float = 0.2) -> None:
    threading.Timer(seconds, os.kill, (os.getpid(), signal.SIGINT)).start()


def test_the_next_line_of_this_project_raises_and_no_other() -> None:
    reached = []

    @stop_between_lines(Stopped)
    def go_on() -> None:
        press()
        reached.append(max(sorted([3, 1, 2], key=lambda value: -value)))
        suggest("a", ["b"])
        reached.append(0)

    with pytest.raises(Stopped):
        go_on()
    assert reached == [3]


def test_a_function_of_this_project_that_is_being_run_raises_when_its_callee_is_done(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    reached = []

    def press_and_go_on(word: str, known: object, n: int) -> list[str]:
        press()
        reached.append(word)
        return []

    monkeypatch.setattr("cosim.scenario.messages.difflib.get_close_matches", press_and_go_on)
    with pytest.raises(KeyboardInterrupt), stop_between_lines():
        suggest("a", ["b"])
    assert reached == ["a"]


def test_a_second_time_ends_at_once() -> None:
    ended: list[int] = []
    with stop_between_lines(Stopped, lambda: ended.append(1)):
        press()
        assert not ended
        press()
    assert ended == [1]


def test_an_import_is_not_interrupted_but_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "presses.py").write_text("import signal\nsignal.raise_signal(signal.SIGINT)\nx = 1\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    ended: list[int] = []
    with stop_between_lines(Stopped, lambda: ended.append(1)):
        assert importlib.import_module("presses").x == 1
    del sys.modules["presses"]
    assert ended == [1]


def test_what_waits_is_interrupted_at_once() -> None:
    begin = time.monotonic()
    press_soon()
    with pytest.raises(Stopped), stop_between_lines(Stopped):
        threading.Event().wait(60)
    assert time.monotonic() - begin < 30


def test_nothing_is_raised_behind_the_context() -> None:
    with stop_between_lines(Stopped):
        press()
    assert suggest("a", ["b"]) == ""


@pytest.mark.parametrize("handler", [signal.SIG_IGN, lambda number, frame: None])
def test_somebody_elses_handler_stays(handler: signal.Handlers) -> None:
    signal.signal(signal.SIGINT, handler)
    with stop_between_lines(Stopped):
        assert signal.getsignal(signal.SIGINT) is handler
        press()
    signal.signal(signal.SIGINT, signal.default_int_handler)


def test_other_threads_are_left_alone() -> None:
    seen = []

    def work() -> None:
        with stop_between_lines(Stopped):
            seen.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [signal.default_int_handler]


def test_the_inner_of_two_contexts_leaves_the_outer_one_its_handler() -> None:
    with pytest.raises(Stopped), stop_between_lines(Stopped), stop_between_lines(KeyboardInterrupt):
        press_and_go_on()


def test_a_debuggers_trace_is_put_back() -> None:
    def traced(frame: object, event: str, argument: object) -> None:
        return None

    before = sys.gettrace()
    sys.settrace(traced)
    try:
        with pytest.raises(Stopped), stop_between_lines(Stopped):
            press_and_go_on()
        assert sys.gettrace() is traced
    finally:
        sys.settrace(before)


def test_workers_end_with_the_one_that_started_them() -> None:
    begin, processes = time.monotonic(), []

    @stop_between_lines()
    def work() -> None:
        with open_pool(2) as pool:
            assert pool.submit(signal.getsignal, signal.SIGINT).result() == signal.SIG_IGN
            waiting = [pool.submit(time.sleep, 600) for _ in range(4)]
            processes.extend(pool._processes.values())
            press_soon()
            waiting[0].result()

    with pytest.raises(KeyboardInterrupt):
        work()
    # The pool's own thread may have asked for a process's end, and not noted it yet: then `join` returns at once.
    while any(process.is_alive() for process in processes) and time.monotonic() - begin < 60:
        time.sleep(0.05)
    assert not any(process.is_alive() for process in processes)
    assert time.monotonic() - begin < 60
