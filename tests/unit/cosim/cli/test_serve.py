"""`gridsettle serve`: what it refuses with one message, how it ends, and that it goes on where it was."""

from __future__ import annotations

import re
import signal
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from typer.testing import CliRunner

pytest.importorskip("fastapi", reason="needs the extra: pip install 'gridsettle[web]'")
pytest.importorskip("eth_account", reason="needs the extra: pip install 'gridsettle[web]'")

from served_market import STREET

from cosim import Scenario
from cosim.cli import serve
from cosim.cli.app import app
from cosim.scenario.files import format_toml
from cosim.web.people.errors import PeopleError
from market.ledger.store.store import Store


def answer(*words: str) -> tuple[int, str]:
    """Exit code and message of a command that is refused."""
    found = CliRunner().invoke(app, ["serve", *words])
    return found.exit_code, found.stderr


@contextmanager
def taken_port() -> Iterator[int]:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        yield int(taken.getsockname()[1])


def test_a_port_that_is_taken_is_one_message_and_nothing_is_written(tmp_path: Path) -> None:
    with taken_port() as port:
        code, said = answer("default", "--port", str(port), "--out", str(tmp_path / "run"))
    assert code == 2
    assert said.startswith(f"gridsettle: --port, --host: expected an address that is free, got 127.0.0.1 port {port}")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["nowhere.toml"], "nowhere.toml"),
        (["--host", "127.0.0.1", "--speed", "nan"], "speed"),
        (["--host", "no such host"], "--host"),
        (["--speed", "0.1"], "greater than or equal to 0.5"),
    ],
)
def test_bad_input_is_one_message(words: list[str], expected: str, tmp_path: Path) -> None:
    with taken_port() as port:
        code, said = answer(*words, "--port", str(port), "--out", str(tmp_path / "run"))
    assert code == 2
    assert expected in said
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("option", ["private", "members_sign"])
def test_what_people_cannot_take_part_in_is_one_message(option: str, tmp_path: Path) -> None:
    options = {"operator_key": "operator.key", "member_keys": "keys", option: True}
    (tmp_path / "sealed.toml").write_text(format_toml(Scenario().with_changes(ledger=options)))
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    code, said = answer(str(tmp_path / "sealed.toml"), "--port", port, "--out", str(tmp_path / "run"))
    assert code == 2
    assert f"ledger, {option}: expected false for a served run, got true" in said
    assert "gridsettle run" in said
    assert not (tmp_path / "run").exists()


def test_without_the_extra_it_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serve, "NEEDED", ("fastapi", "no_such_module"))
    code, said = answer()
    assert code == 2
    assert "pip install 'gridsettle[web]'" in said


def test_a_directory_of_something_else_is_refused(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine", encoding="utf-8")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    code, said = answer("--port", str(port), "--out", str(tmp_path))
    assert code == 2
    assert "other files and no ledger" in said
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


@contextmanager
def served(
    folder: Path, *words: str, scenario: tuple[str, ...] = ("street.toml",)
) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """A server in a process of its own: what it printed first, and the process."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "cosim.cli.entry", "serve", *scenario, "--port", str(port), "--out", "run"]
    with subprocess.Popen(
        [*command, *words], cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        try:
            yield "".join(process.stdout.readline() for _ in range(3)), process
        finally:
            process.kill()


def follow(folder: Path, url: str) -> None:
    """A member's node takes a verified copy of the ledger that the server publishes."""
    command = [sys.executable, "-m", "cosim.cli.entry", "ledger", "follow", url, "--out", "copy", "--once"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    with Store.open_to_read(folder / "copy") as store:
        assert store.size() >= 1


def read_interval(said: str) -> int:
    found = re.search(r"\(interval (\d+) of 60", said)
    assert found is not None, said
    return int(found[1])


@pytest.mark.slow
def test_it_ends_cleanly_and_goes_on(tmp_path: Path) -> None:
    (tmp_path / "street.toml").write_text(format_toml(STREET), encoding="utf-8")
    with served(tmp_path, "--speed", "0.5") as (said, process):
        url = re.findall(r"http://\S+", said)[0]
        assert re.search(r"(\w{4}-){3}\w{4}", said)
        follow(tmp_path, url)
        with httpx.stream("GET", f"{url}/events?after=0", timeout=60) as stream:
            assert next(line for line in stream.iter_lines() if line.startswith("id:")) == "id: 1"
            process.send_signal(signal.SIGINT)
            assert process.wait(60) == 130
        assert process.stderr is not None
        assert process.stderr.read() == "gridsettle: stopped; go on with: gridsettle serve --out run\n"
    with Store.open_to_read(tmp_path / "run") as store:
        closed = store.size() - 1
    assert closed >= 1
    (tmp_path / "street.toml").unlink()  # the run directory has it
    with served(tmp_path, scenario=()) as (said, process):
        assert read_interval(said) == closed
        assert httpx.get(re.findall(r"http://\S+", said)[0], timeout=60).status_code == 200
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 130
    with served(tmp_path, scenario=()) as (said, _):
        assert read_interval(said) == closed


@pytest.mark.slow
def test_connections_that_are_dropped_end_nothing(tmp_path: Path) -> None:
    """A tab that is closed breaks a connection; SIGPIPE, which ends commands beside `head`, ended the server."""
    (tmp_path / "street.toml").write_text(format_toml(STREET), encoding="utf-8")
    with served(tmp_path) as (said, process):
        url = re.findall(r"http://\S+", said)[0]
        port = int(url.rsplit(":", 1)[1])
        for _ in range(60):
            for k in range(20):
                with socket.create_connection(("127.0.0.1", port)) as dropped:
                    dropped.sendall(f"GET / HTTP/1.1\r\nHost: localhost:{port}\r\n\r\n".encode() * 4)
                    if k % 2:  # reset at once; the others are closed unread
                        dropped.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            time.sleep(0.02)
        assert process.poll() is None
        assert httpx.get(url, timeout=60).status_code == 200


def test_sites_are_those_under_which_people_reach_it() -> None:
    assert list(serve.list_sites("127.0.0.1", 8000, None)) == ["localhost:8000", "127.0.0.1:8000", "[::1]:8000"]
    assert list(serve.list_sites("0.0.0.0", 80, None))[:2] == ["0.0.0.0", "localhost"]
    assert next(iter(serve.list_sites("::", 81, None))) == "[::]:81"
    assert list(serve.list_sites("127.0.0.1", 8000, "https://market.example")) == ["market.example"]


def test_an_origin_that_is_none_is_refused() -> None:
    with pytest.raises(PeopleError, match="origin: expected http"):
        serve.list_sites("127.0.0.1", 8000, "market.example")
