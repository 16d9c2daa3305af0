"""A portfolio whose command, worker, cluster's worker or scheduler is killed: it goes on, and the table is the same."""

from __future__ import annotations

import json
import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pandapower as pp
import pandapower.networks as pn
import pytest
from typer.testing import CliRunner

from cosim.cli.app import app
from cosim.portfolio.portfolio import Portfolio, run_portfolio
from cosim.scenario.model import Scenario
from cosim.simulation.simulate import run
from cosim.studies.workers import TRIES, WorkerEndedError, answer_on_processes

ENVIRONMENT = {**os.environ, "PYTHONPATH": os.pathsep.join([str(Path.cwd()), os.environ.get("PYTHONPATH", "")])}
QUIET: dict[str, Any] = {"env": ENVIRONMENT, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
DAY = ["portfolio", "run", "--generate", "4", "--hours", "24", "--keep", "none"]


def end_on_the_way(item: tuple[str, bool]) -> str:
    """Answer by the name; once for every name, or always, end without an answer."""
    mark, always = item
    path = Path(mark)
    if always or not path.exists():
        path.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return path.name


@pytest.mark.slow
def test_a_worker_that_ends_is_replaced_and_only_its_own_task_counts_it(tmp_path: Path) -> None:
    items = [(str(tmp_path / name), name == "b") for name in "abc"]
    answers = sorted(answer_on_processes(end_on_the_way, items, 2))
    assert [answer.value for answer in answers] == ["a", None, "c"]
    with pytest.raises(WorkerEndedError, match=f"its worker ended {TRIES} times"):
        answers[1].get()


def write_bad_index(folder: Path) -> Path:
    net = pn.create_kerber_landnetz_kabel_1()
    pp.to_json(net, folder / "good.json")
    text = (folder / "good.json").read_text()
    (folder / "broken.json").write_text(text[: len(text) // 2])
    document = json.loads(text)
    document["_object"]["more"] = {"_module": "os", "_class": "system", "_object": f"touch {folder / 'taken'}"}
    (folder / "hostile.json").write_text(json.dumps(document))
    pp.to_json(pp.create_empty_network(), folder / "empty.json")
    pp.create_ward(net, int(net.load.bus.iloc[-1]), ps_mw=100.0, qs_mvar=0.0, pz_mw=0.0, qz_mvar=0.0)
    pp.to_json(net, folder / "infeasible.json")
    names = ("good", "broken", "hostile", "empty", "infeasible")
    rows = "".join(f"{name},{name}.json,\n" for name in names)
    (folder / "index.csv").write_text(f"feeder,network,limits.min_vm_pu\n{rows}dark,good.json,1.05\n")
    return folder / "index.csv"


@pytest.mark.slow
def test_bad_feeders_are_rows_that_say_so(tmp_path: Path) -> None:
    index, out = write_bad_index(tmp_path), tmp_path / "p"
    command = ["portfolio", "run", str(index), "--hours", "24", "--out", str(out), "--keep", "none", "--json"]
    done = CliRunner().invoke(app, command)
    assert done.exit_code == 0, done.output
    rows = Portfolio.load(out).feeders
    failed = ["broken", "empty", "hostile", "infeasible"]
    assert rows.status.to_dict() == dict.fromkeys(failed, "failed") | dict.fromkeys(("dark", "good"), "run")
    assert rows.message["broken"].startswith("broken.json: expected a net written by pandapower.to_json, got")
    assert rows.message["empty"].startswith("empty.json: expected a load, where a house can be, got none")
    assert rows.message["hostile"].startswith(
        "hostile.json, more: expected numbers, words and lists, got an object of os"
    )
    assert rows.message["infeasible"].startswith(
        "network 'infeasible.json': expected a net that pandapower.runpp solves"
    )
    assert rows.message["dark"].startswith("switched off in 24 of 24 intervals: no admissible operation found")
    assert rows.message["good"] is None
    assert not (tmp_path / "taken").exists()
    assert [row["feeder"] for row in json.loads(done.stdout)["failed"]] == failed
    assert CliRunner().invoke(app, [*command, "--resume", "--strict"]).exit_code == 1


@pytest.mark.slow
def test_a_feeder_has_the_head_of_its_run_alone(tmp_path: Path) -> None:
    (tmp_path / "index.csv").write_text("feeder,network.spacing_m,market.feed_in\na,45,true\n")
    day = Scenario().with_changes(horizon={"hours": 24})
    found = run_portfolio(tmp_path / "index.csv", tmp_path / "p", scenario=day, workers=1)
    alone = run(day.with_changes(network={"spacing_m": 45.0}, market={"feed_in": True}), tmp_path / "alone")
    assert found.feeders["head"]["a"] == alone.summary["ledger"]["hash"]
    assert found.feeders["losses_kwh"]["a"] == alone.summary["energy_kwh"]["losses"]
    assert (tmp_path / "p/runs/a/report.html").exists()
    assert (tmp_path / "p/runs/a.checkpoint").exists()


def list_children(pid: int) -> list[int]:
    listed = subprocess.run(["ps", "-o", "pid=", "--ppid", str(pid)], capture_output=True, text=True, check=False)
    return [int(line) for line in listed.stdout.split()]


@pytest.mark.slow
@pytest.mark.parametrize("victim", ["command", "worker"])
def test_killed_at_a_random_moment_it_ends_with_the_same_table(tmp_path: Path, victim: str) -> None:
    whole = CliRunner().invoke(app, [*DAY, "--out", str(tmp_path / "whole"), "--workers", "1"])
    assert whole.exit_code == 0, whole.output
    out = tmp_path / "killed"
    command = [sys.executable, "-m", "cosim.cli.entry", *DAY, "--out", str(out)]
    begun = subprocess.Popen(command, **QUIET)
    while not (out / "rows.jsonl").exists() and begun.poll() is None:
        time.sleep(0.05)
    time.sleep(random.uniform(0.0, 6.0))
    with suppress(ProcessLookupError):
        workers = list_children(begun.pid)
        os.kill(begun.pid if victim == "command" or not workers else random.choice(workers), signal.SIGKILL)
    assert begun.wait() in (0, -signal.SIGKILL)
    done = CliRunner().invoke(app, [*DAY, "--out", str(out), "--resume"])
    assert done.exit_code == 0, done.output
    assert (out / "portfolio.parquet").read_bytes() == (tmp_path / "whole/portfolio.parquet").read_bytes()


def free_port() -> int:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        return int(listening.getsockname()[1])


@contextmanager
def run_cluster(folder: Path) -> Iterator[tuple[str, list[subprocess.Popen[bytes]], Any]]:
    """Scheduler and a worker on loopback: the address, the processes, and how to start another worker."""
    port = free_port()
    address = f"tcp://127.0.0.1:{port}"
    dask = [sys.executable, "-m"]
    scheduler = [*dask, "distributed.cli.dask_scheduler", "--host", "127.0.0.1", "--no-dashboard", "--port", str(port)]
    worker = [*dask, "distributed.cli.dask_worker", address, "--nthreads", "1", "--no-dashboard", "--no-nanny"]
    options = {**QUIET, "cwd": folder}
    processes = [subprocess.Popen(scheduler, **options), subprocess.Popen(worker, **options)]
    try:
        yield address, processes, lambda: processes.append(subprocess.Popen(worker, **options))
    finally:
        for process in processes:
            process.kill()
            process.wait()


def wait_for(address: str) -> None:
    host, port = address.removeprefix("tcp://").split(":")
    for _ in range(600):
        with suppress(OSError), socket.create_connection((host, int(port)), 1):
            return
        time.sleep(0.1)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_cluster_that_loses_a_worker_then_its_scheduler_ends_with_the_same_table(tmp_path: Path) -> None:
    (tmp_path / "index.csv").write_text("feeder,seed\n" + "".join(f"f{seed},{seed}\n" for seed in range(1, 7)))
    day = Scenario().with_changes(horizon={"hours": 24})
    whole = run_portfolio(tmp_path / "index.csv", tmp_path / "whole", scenario=day, keep="none")
    out = tmp_path / "killed"
    with run_cluster(tmp_path) as (address, processes, add_worker):
        wait_for(address)

        def disturb(done: int, total: int) -> None:
            if done == 2:
                add_worker()
                processes[1].kill()
            if done == 4:
                processes[0].kill()

        with pytest.raises(Exception, match=r"--scheduler: expected the connection .* go on with --resume"):
            run_portfolio(tmp_path / "index.csv", out, scenario=day, keep="none", scheduler=address, listener=disturb)
    assert not (out / "portfolio.parquet").exists()
    found = run_portfolio(tmp_path / "index.csv", out, scenario=day, keep="none", resume=True)
    assert found.table.equals(whole.table)
    assert (out / "portfolio.parquet").read_bytes() == (whole.directory / "portfolio.parquet").read_bytes()
