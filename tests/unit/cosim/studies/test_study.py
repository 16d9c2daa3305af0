"""Studies: the same table whatever computes it; the reference table's balance and order of columns."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest

from cosim.errors import ScenarioError
from cosim.scenario.files import load_scenario
from cosim.studies.reference import (
    MECHANISMS,
    format_markdown,
    list_reference_tasks,
    read_published,
    write_reference,
)
from cosim.studies.study import Task, run_tasks
from cosim.studies.sweeps import SWEEPS, list_sweep_tasks, write_sweep

MONTH = load_scenario("reference").with_changes(horizon={"hours": 720, "start": "2017-06-01T00:00:00Z"})


def test_published_columns_do_not_balance_and_say_by_how_much() -> None:
    residual = read_published().residual_wh / 1e6
    assert residual["none"] == 0
    assert residual["sharing_p2p"] == pytest.approx(-93.5, abs=0.1)


def test_reference_table_balances_to_the_wh_and_is_ordered(tmp_path: Path) -> None:
    table = run_tasks(list_reference_tasks(MONTH, 1), workers=1)
    assert (table.residual_wh == 0).all()
    main = table[table.case == "58 %"].set_index("mechanism").loc[list(MECHANISMS)]
    assert main.wasted_wh.is_monotonic_decreasing
    assert main.grid_wh.is_monotonic_decreasing
    none_shared = table[(table.case == "12 %, panels scaled")]
    assert (none_shared.shared_wh < 0.001 * none_shared.generation_wh).all()
    files = write_reference(tmp_path, table)
    assert [file.name for file in files] == ["reference.csv", "reference.md", "reference.html"]
    assert "published" in format_markdown(table)
    assert pd.read_csv(files[0]).grid_wh.tolist() == table.grid_wh.tolist()
    assert "MWh in four years" in files[2].read_text()


@pytest.mark.parametrize("name", sorted(SWEEPS))
def test_sweeps_write_their_data_and_heat_maps(name: str, tmp_path: Path) -> None:
    tasks = list_sweep_tasks(name, MONTH.with_changes(horizon={"hours": 48}), 1)[::6]
    table = run_tasks(tasks, workers=1)
    assert len(table) == len(tasks)
    files = write_sweep(tmp_path, name, table)
    assert len(pd.read_csv(files[0])) == len(tasks)
    assert "heatmap" in files[1].read_text()


def _tasks(n: int, hours: int) -> list[Task]:
    base = MONTH.with_changes("test", horizon={"hours": hours, "start": "2015-01-01T00:00:00Z"})
    return [Task({"seed": seed}, base.with_changes(seed=seed)) for seed in range(1, n + 1)]


@pytest.mark.slow
def test_processes_give_the_same_table_in_the_same_order() -> None:
    tasks = _tasks(3, 240)
    assert run_tasks(tasks, workers=2).equals(run_tasks(tasks, workers=1))


@pytest.mark.slow
def test_no_scheduler_is_a_clear_message(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cosim.studies.workers.LONGEST_CONNECT_S", 1.0)
    with pytest.raises(ScenarioError, match=r"--scheduler: expected a Dask scheduler at tcp://127\.0\.0\.1:1,"):
        run_tasks(_tasks(1, 24), scheduler="tcp://127.0.0.1:1")


def _free_port() -> int:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        return int(listening.getsockname()[1])


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_dask_cluster_gives_the_same_table_though_a_worker_is_killed(tmp_path: Path) -> None:
    address = f"tcp://127.0.0.1:{_free_port()}"
    dask = [sys.executable, "-m", "distributed.cli"]
    scheduler_command = [
        *dask[:-1],
        "distributed.cli.dask_scheduler",
        "--host",
        "127.0.0.1",
        "--no-dashboard",
    ]
    worker_command = [*dask[:-1], "distributed.cli.dask_worker", address, "--nthreads", "1", "--no-dashboard"]
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(Path.cwd()), os.environ.get("PYTHONPATH", "")]),
    }
    options = {
        "cwd": tmp_path,
        "env": environment,
        "stdout": subprocess.DEVNULL,
        "stderr": subprocess.DEVNULL,
    }
    scheduler = subprocess.Popen([*scheduler_command, "--port", address.rsplit(":", 1)[1]], **options)
    workers = [subprocess.Popen([*worker_command, "--no-nanny"], **options) for _ in range(2)]
    try:
        time.sleep(5)
        tasks = _tasks(12, 8760)

        def kill_one(done: int, total: int) -> None:
            if done == 2:
                workers[0].send_signal(signal.SIGKILL)

        table = run_tasks(tasks, scheduler=address, listener=kill_one)
        assert workers[0].poll() is not None
        assert table.equals(run_tasks(tasks, workers=1))
    finally:
        for process in (*workers, scheduler):
            process.kill()
            process.wait()
