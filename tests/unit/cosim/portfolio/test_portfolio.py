"""A portfolio as a whole: the same table whatever happened on the way; what is nobody's row ends it with a message."""

from __future__ import annotations

import errno
import random
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cosim.errors import ScenarioError
from cosim.interrupts.stop import Stopped
from cosim.portfolio import portfolio as portfolios
from cosim.portfolio.entry import Entry
from cosim.portfolio.index import read_index
from cosim.portfolio.portfolio import HeadDiffersError, Portfolio, run_portfolio
from cosim.portfolio.records import RECORDS
from cosim.portfolio.row import SCHEMA, make_failed_row
from cosim.portfolio.task import Finished, NoRoomError, Task
from cosim.scenario.model import Scenario
from cosim.simulation.version import find_version
from cosim.studies.workers import Answer, ClusterLostError, WorkerEndedError
from market.ledger.check.heads import find_wrong_heads, read_heads
from market.ledger.crypto.keys import public_bytes
from market.ledger.format.header import make_demonstration_key

NAMES = ("a", "b", "c", "d", "e")


def answer_at_once(task: Task) -> Finished:
    """A row that follows from the task, in place of a run."""
    seed = task.scenario.seed
    head = f"{seed:064x}"
    known = {"feeder": task.name, "status": "run", "head": head, "height": 24, "cut_kwh": seed / 3.0}
    known |= {"houses": 3, "intervals": 24, "interval_minutes": 60, "curtailed_hours": 1.0}
    row = {**dict.fromkeys(SCHEMA.names), **known, "highest_loading_percent": 50.0}
    timing = {"feeder": task.name, "seconds": random.random(), "cpu_seconds": 0.1, "worker": "w", "peak_mib": None}
    return Finished(row, True, timing, find_version("gridsettle"))


Work = Callable[[Task], Finished]


@pytest.fixture
def work(monkeypatch: pytest.MonkeyPatch) -> list[Work]:
    """Who answers tasks in place of processes, in another order each time; errors that are raised are answers."""
    of_all: list[Work] = [answer_at_once]

    def answer(_: object, tasks: Iterable[Task], n_processes: int) -> Iterator[Answer[Finished]]:
        listed = list(enumerate(tasks))
        for place, task in random.sample(listed, len(listed)):
            try:
                yield Answer(place, of_all[0](task), None)
            except (RuntimeError, ScenarioError) as reason:
                yield Answer(place, None, reason)

    monkeypatch.setattr(portfolios, "answer_on_processes", answer)
    return of_all


def write_index(folder: Path, names: Iterable[str] = NAMES, more: str = "") -> Path:
    path = folder / "index.csv"
    path.write_text("feeder,seed\n" + "".join(f"{name},{ord(name)}\n" for name in names) + more)
    return path


def table_bytes(found: Portfolio) -> bytes:
    return (found.directory / portfolios.TABLE).read_bytes()


def test_the_order_of_rows_and_of_answers_does_not_matter(tmp_path: Path, work: list[Work]) -> None:
    one = run_portfolio(write_index(tmp_path), tmp_path / "one", keep="none")
    two = run_portfolio(write_index(tmp_path, NAMES[::-1]), tmp_path / "two", keep="none")
    assert table_bytes(one) == table_bytes(two)
    assert one.table["feeder"].to_pylist() == list(NAMES)
    assert Portfolio.load(tmp_path / "one").table.equals(one.table)
    assert not (one.directory / portfolios.WORKSPACE).exists()


@pytest.mark.slow
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=10, deadline=None)
@given(done=st.integers(0, 5), cut=st.integers(0, 200), data=st.randoms(use_true_random=False))
def test_stopped_anywhere_it_ends_with_the_same_table(
    tmp_path_factory: pytest.TempPathFactory, work: list[Work], done: int, cut: int, data: random.Random
) -> None:
    tmp_path = tmp_path_factory.mktemp("stopped")
    index = write_index(tmp_path, more="f,minus\n")
    work[0] = answer_at_once
    whole = run_portfolio(index, tmp_path / "whole", keep="none")

    def stop(at: int, total: int) -> None:
        if at > done:
            raise Stopped

    with pytest.raises(Stopped):
        run_portfolio(index, tmp_path / "cut", keep="none", listener=stop)
    rows = tmp_path / "cut" / RECORDS
    rows.write_bytes(rows.read_bytes()[: max(0, rows.stat().st_size - cut)])
    assert not (tmp_path / "cut" / portfolios.TABLE).exists()
    resumed = run_portfolio(index, tmp_path / "cut", keep="none", resume=True)
    assert table_bytes(resumed) == table_bytes(whole)


def test_what_stands_is_not_run_again(tmp_path: Path, work: list[Work]) -> None:
    run_portfolio(write_index(tmp_path), tmp_path / "p", keep="none")
    work[0] = lambda task: pytest.fail(f"{task.name} is run again")
    assert run_portfolio(write_index(tmp_path), tmp_path / "p", keep="none", resume=True).taken_over == len(NAMES)


def test_a_feeder_whose_workers_end_is_a_row_that_resume_tries_again(tmp_path: Path, work: list[Work]) -> None:
    def end(task: Task) -> Finished:
        if task.name == "b":
            raise WorkerEndedError("its worker ended 3 times before it answered")
        if task.name == "c":
            return answer_at_once(task)._replace(row=make_failed_row("c", "memory"), stands=False)
        return answer_at_once(task)

    work[0] = end
    found = run_portfolio(write_index(tmp_path), tmp_path / "p", keep="none")
    assert (list(found.failed), found.taken_over) == (["b", "c"], 0)
    assert found.failed["b"].startswith("expected an answer, got none: its worker ended 3 times")
    work[0] = answer_at_once
    again = run_portfolio(write_index(tmp_path), tmp_path / "p", keep="none", resume=True)
    whole = run_portfolio(write_index(tmp_path), tmp_path / "whole", keep="none")
    assert again.taken_over == len(NAMES) - 2
    assert table_bytes(again) == table_bytes(whole)


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (NoRoomError("here: expected room on the disk; make room"), "make room, then go on with --resume --out"),
        (ClusterLostError("lost"), "the Dask scheduler to hold, it is lost; start one, then go on with --resume --out"),
    ],
)
def test_what_is_no_feeders_fault_ends_the_command_and_says_how_to_go_on(
    tmp_path: Path, work: list[Work], error: Exception, message: str
) -> None:
    def fail(task: Task) -> Finished:
        raise error

    work[0] = fail
    with pytest.raises(ScenarioError, match=message):
        run_portfolio(write_index(tmp_path), tmp_path / "p", keep="none")
    work[0] = answer_at_once
    assert run_portfolio(write_index(tmp_path), tmp_path / "p", keep="none", resume=True).failed == {}


def test_a_disk_that_is_full_when_a_row_is_written_ends_the_command(
    tmp_path: Path, work: list[Work], monkeypatch: pytest.MonkeyPatch
) -> None:
    def append(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(portfolios, "append_record", append)
        with pytest.raises(ScenarioError, match="got No space left on device; make room"):
            run_portfolio(write_index(tmp_path), tmp_path / "p", keep="none")
    assert run_portfolio(write_index(tmp_path), tmp_path / "p", keep="none", resume=True).failed == {}


def test_a_worker_of_another_version_is_refused(tmp_path: Path, work: list[Work]) -> None:
    work[0] = lambda task: answer_at_once(task)._replace(version="0.0.1")
    with pytest.raises(ScenarioError, match=r"expected gridsettle .*, as here, got 0\.0\.1; install"):
        run_portfolio(write_index(tmp_path), tmp_path / "p", keep="none")


def with_value(**changes: Any) -> Work:
    """A worker whose rows have other values."""

    def answer(task: Task) -> Finished:
        found = answer_at_once(task)
        return found._replace(row=found.row | changes)

    return answer


@pytest.mark.parametrize(
    ("rubbish", "got"),
    [
        (lambda task: None, "no row"),
        (lambda task: answer_at_once(task)._replace(row={}), "other columns"),
        (lambda task: answer_at_once(task)._replace(timing=None), "no times"),
        (lambda task: answer_at_once(task)._replace(timing={}), "that of another feeder"),
        (with_value(feeder="c"), "that of another feeder"),
        (with_value(cut_kwh=float("nan")), "another kind of value in 'cut_kwh'"),
        (with_value(head="zz"), "no hash in 'head'"),
    ],
)
def test_what_is_no_row_of_the_feeder_is_a_failure_that_resume_tries_again(
    tmp_path: Path, work: list[Work], rubbish: Work, got: str
) -> None:
    work[0] = lambda task: rubbish(task) if task.name == "b" else answer_at_once(task)
    found = run_portfolio(write_index(tmp_path, "bc"), tmp_path / "p", keep="none")
    assert found.failed == {
        "b": f"expected a row of this feeder from its worker, got {got}; mend the worker, and go on with --resume"
    }
    work[0] = answer_at_once
    assert run_portfolio(write_index(tmp_path, "bc"), tmp_path / "p", keep="none", resume=True).failed == {}


def test_resume_refuses_what_is_another_by_name(tmp_path: Path, work: list[Work]) -> None:
    index, out = write_index(tmp_path), tmp_path / "p"
    with pytest.raises(ScenarioError, match="expected a portfolio to resume, found no such folder"):
        run_portfolio(index, out, resume=True)
    run_portfolio(index, out, keep="none")
    with pytest.raises(ScenarioError, match="found a portfolio; go on with --resume"):
        run_portfolio(index, out)
    day = Scenario().with_changes(horizon={"hours": 24})
    with pytest.raises(ScenarioError, match="expected feeder 'a' as it was"):
        run_portfolio(index, out, resume=True, scenario=day)
    with pytest.raises(ScenarioError, match="expected a portfolio without --hosting"):
        run_portfolio(index, out, resume=True, hosting=True)
    with pytest.raises(ScenarioError, match="feeder 'f' not in the index"):
        run_portfolio(write_index(tmp_path, more="f,1\n"), out, resume=True)
    text = (out / "index.json").read_text()
    (out / "index.json").write_text(text.replace('"gridsettle": "', '"gridsettle": "9.'))
    with pytest.raises(ScenarioError, match=r"expected gridsettle 9\..*, as when the portfolio was begun, got"):
        run_portfolio(write_index(tmp_path), out, resume=True)


def test_a_file_with_another_content_is_another_feeder(tmp_path: Path, work: list[Work]) -> None:
    (tmp_path / "net.json").write_text("{}")
    path = tmp_path / "index.csv"
    path.write_text("feeder,network\na,net.json\nb,\n")
    run_portfolio(path, tmp_path / "p", keep="none")
    (tmp_path / "net.json").write_text("{ }")
    with pytest.raises(ScenarioError, match="expected feeder 'a' as it was"):
        run_portfolio(path, tmp_path / "p", keep="none", resume=True)


def test_a_file_that_changes_meanwhile_ends_the_command(tmp_path: Path, work: list[Work]) -> None:
    (tmp_path / "net.json").write_text("{}")
    path = tmp_path / "index.csv"
    path.write_text("feeder,network\na,net.json\nb,broken\n")

    def change(*_: int) -> None:
        (tmp_path / "net.json").write_text("{ }")

    with pytest.raises(ScenarioError, match=r"net\.json: expected the file as it was when the command began"):
        run_portfolio(path, tmp_path / "p", keep="none", listener=change)


def test_a_folder_with_other_files_is_refused(tmp_path: Path, work: list[Work]) -> None:
    (tmp_path / "p").mkdir()
    (tmp_path / "p" / "letter.txt").write_text("dear")
    with pytest.raises(ScenarioError, match=r"expected a new or empty folder, found letter\.txt"):
        run_portfolio(write_index(tmp_path), tmp_path / "p")


@pytest.mark.parametrize("name", ["runs", "runs/a", "runs/a.checkpoint", "heads", ".work"])
def test_a_link_in_place_of_a_folder_is_refused_before_anything_is_written(
    tmp_path: Path, work: list[Work], name: str
) -> None:
    index, out, victim = write_index(tmp_path, ["a"]), tmp_path / "p", tmp_path / "victim"
    run_portfolio(index, out, keep="none")
    before = sorted(out.iterdir())
    (victim / "a").mkdir(parents=True)
    (out / name).parent.mkdir(exist_ok=True)
    (out / name).symlink_to(victim)
    with pytest.raises(ScenarioError, match=f"{name}: expected a .* that a portfolio has made, got a link"):
        run_portfolio(index, out, keep="all", resume=True)
    (out / name).unlink()
    if name.endswith(".checkpoint"):
        (out / name).mkdir()
    else:
        (out / name).write_text("")
    with pytest.raises(ScenarioError, match=f"{name}: expected a .*, got another thing; remove it"):
        run_portfolio(index, out, keep="all", resume=True)
    assert [path.name for path in victim.iterdir()] == ["a"]
    assert {path.name for path in out.iterdir()} - {path.name for path in before} == {name.split("/")[0]}


def test_the_worst_are_run_again_and_a_head_that_is_another_is_an_error(tmp_path: Path, work: list[Work]) -> None:
    kept: list[tuple[str, Any]] = []

    def note(task: Task) -> Finished:
        if task.keep is not None:
            kept.append((task.name, task.keep))
        return answer_at_once(task)

    work[0] = note
    found = run_portfolio(write_index(tmp_path), tmp_path / "p", keep="worst 2")
    assert sorted(kept) == [(name, found.directory / "runs" / name) for name in ("d", "e")]

    def lie(task: Task) -> Finished:
        answer = answer_at_once(task)
        return answer if task.keep is None else answer._replace(row={**answer.row, "head": "0" * 64})

    work[0] = lie
    with pytest.raises(HeadDiffersError, match=r"feeder 'e': expected ledger head 0+65 again, got 0+"):
        run_portfolio(write_index(tmp_path), tmp_path / "q", keep="worst 1")


def test_all_are_kept_as_they_go_but_not_by_a_cluster(tmp_path: Path, work: list[Work]) -> None:
    seen: list[bool] = []
    work[0] = lambda task: seen.append(task.keep is not None) or answer_at_once(task)  # type: ignore[func-returns-value]
    run_portfolio(write_index(tmp_path), tmp_path / "p", keep="all")
    assert seen[:5] == [True] * 5
    with pytest.raises(ScenarioError, match="--keep all: expected processes of this machine"):
        run_portfolio(write_index(tmp_path), tmp_path / "q", keep="all", scheduler="tcp://127.0.0.1:1")


def test_entries_do_as_well_as_an_index(tmp_path: Path, work: list[Work]) -> None:
    entries: list[Entry] = read_index(write_index(tmp_path), Scenario())
    one = run_portfolio(entries[::-1], tmp_path / "one", keep="none")
    two = run_portfolio(write_index(tmp_path), tmp_path / "two", keep="none")
    assert table_bytes(one) == table_bytes(two)


def test_heads_are_signed_behind_the_table_and_are_the_same_again(tmp_path: Path, work: list[Work]) -> None:
    key = make_demonstration_key(5)
    for name, signer in (("one", None), ("two", None), ("own", key)):
        run_portfolio(write_index(tmp_path), tmp_path / name, keep="none", key=signer)
    files = ("heads.txt", "heads.checkpoint", "heads.vkey")
    assert [(tmp_path / "one" / name).read_bytes() for name in files] == [
        (tmp_path / "two" / name).read_bytes() for name in files
    ]
    rows = Portfolio.load(tmp_path / "own").table.to_pylist()
    found = read_heads(tmp_path / "own")
    assert [head.line() for head in found.heads] == [f"{row['head']} 25 {row['feeder']}" for row in rows]
    assert find_wrong_heads(found, public_bytes(key)) == ""
    assert find_wrong_heads(read_heads(tmp_path / "one"), public_bytes(key))
