"""A crowd of members who submit in every interval through the web pages, and what came of it."""

from __future__ import annotations

import asyncio
import hmac
import json
import socket
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from submitting import make_submission

from cosim import Scenario
from cosim.recording.keys import make_participant_key
from cosim.scenario.files import format_toml
from cosim.web.live.run import LiveRun
from cosim.web.pages.visits import SESSION
from cosim.web.people.persons import Kind
from cosim.web.people.store import People
from market.ledger.crypto.keys import public_bytes
from market.ledger.format.records import RecordKind, Role, select_rows
from market.ledger.format.statements import register
from market.ledger.store.store import Store
from market.ledger.store.tip import decode_records

PAGES = ("/", "/main", "/account")


def make_scenario(n_houses: int, hours: int) -> Scenario:
    """A street for a crowd."""
    return Scenario().with_changes(
        horizon={"hours": hours, "start": "2017-06-01T00:00:00Z"},
        houses={"n_houses": n_houses, "n_prosumers": n_houses // 2},
        network={"n_branches": max(n_houses // 20, 1)},
        engine={"verify_sample": 0},
    )


def key_of(house: int) -> Ed25519PrivateKey:
    return make_participant_key(815, house)


@dataclass
class Crowd:
    """Members of a served run.

    Attributes
    ----------
    directory, tokens
        The run, and each member's session.
    latencies_s
        How long pages took.
    acknowledged
        (house, number, interval) that the server has promised to apply.
    refused
        Answers to submissions that were not taken: their texts.
    peaks_kb
        Memory of the server, kB, at several moments.
    """

    directory: Path
    tokens: list[str]
    latencies_s: list[float] = field(default_factory=list)
    acknowledged: list[tuple[int, int, int]] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    peaks_kb: list[int] = field(default_factory=list)


def prepare(directory: Path, n_members: int, hours: int) -> Crowd:
    """A run directory with a member in every house, all of them signed in."""
    scenario, tokens = make_scenario(n_members, hours), []
    with LiveRun.open(scenario, directory) as live, People(directory) as people:
        effective = live.next_height + 1
        statements = [
            register(live.chain_id, house, Role.PARTICIPANT, 1, effective, key_of(house)) for house in range(n_members)
        ]
        live.state_statement(np.concatenate(statements))
        for house in range(n_members):
            key = public_bytes(key_of(house))
            with people.file.transaction():
                person = people.persons.greet(Kind.WALLET, f"0x{house:040x}", key)
            people.persons.ask_to_join(person.number)
            decision = people.decisions.admit(person.number, house)
            people.decisions.mark_carried_out(decision.number)
            tokens.append(people.sessions.open_session(person.number, key))
    (directory.parent / f"{directory.name}.toml").write_text(format_toml(scenario))
    return Crowd(directory, tokens)


def run_crowd(crowd: Crowd, seconds: float, *, pages_a_second: float = 20.0) -> None:
    """Serve the run, an interval a second, while every member submits in each and some look at pages."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    scenario = crowd.directory.parent / f"{crowd.directory.name}.toml"
    options = ["--out", str(crowd.directory), "--port", str(port), "--speed", "1"]
    command = [sys.executable, "-m", "cosim.cli.entry", "serve", str(scenario), *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        server.stdout.readline()
        asyncio.run(_submit_all(crowd, port, seconds, pages_a_second, server.pid))
        server.terminate()
        server.stdout.read()


class Line:
    """A connection that is kept, as a browser keeps it; by plain sockets, which leave the server its share."""

    def __init__(self, port: int, token: str) -> None:
        self.port, self.token = port, token
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None

    async def ask(self, method: str, path: str, body: dict[str, str] | None = None) -> tuple[int, bytes]:
        """Status and content of an answer; a connection that the server has closed meanwhile is made anew."""
        try:
            return await self._ask(method, path, body)
        except (ConnectionError, asyncio.IncompleteReadError):
            self._writer = None
            return await self._ask(method, path, body)

    async def _ask(self, method: str, path: str, body: dict[str, str] | None) -> tuple[int, bytes]:
        if self._writer is None or self._reader is None:
            self._reader, self._writer = await asyncio.open_connection("127.0.0.1", self.port)
        content = b"" if body is None else json.dumps(body).encode()
        self._writer.write(
            f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1:{self.port}\r\n"
            f"Cookie: {SESSION}-{self.port}={self.token}\r\nX-CSRF-Token: {csrf_of(self.token)}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(content)}\r\n\r\n".encode()
            + content
        )
        head = await self._reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0])
        return int(head.split()[1]), await self._reader.readexactly(length)

    async def ask_next(self) -> dict[str, Any]:
        """Numbers of the next statements."""
        status, content = await self.ask("GET", "/house/next")
        assert status == 200, content
        found: dict[str, Any] = json.loads(content)
        return found


async def _submit_all(crowd: Crowd, port: int, seconds: float, rate: float, pid: int) -> None:
    lines = [Line(port, token) for token in crowd.tokens]
    known = [await line.ask_next() for line in lines]
    looks = asyncio.create_task(_look(crowd, port, seconds, rate))
    end, numbers = time.monotonic() + seconds, [1] * len(lines)
    while time.monotonic() < end:
        begin, interval = time.monotonic(), int((await lines[0].ask_next())["interval"]) + 2
        houses = range(len(lines))
        await asyncio.gather(
            *(_submit(crowd, lines[house], house, numbers, interval, known[house]) for house in houses)
        )
        crowd.peaks_kb.append(_read_memory_kb(pid))
        await asyncio.sleep(max(1.0 - (time.monotonic() - begin), 0.0))
    await looks


async def _submit(
    crowd: Crowd, line: Line, house: int, numbers: list[int], interval: int, known: dict[str, Any]
) -> None:
    chain_id, number = bytes.fromhex(known["chain_id"]), numbers[house]
    stated = make_submission(chain_id, key_of(house), house, number, interval, interval, reserve_wh=1)
    body = {"record": stated.record.hex(), "signature": stated.signature.hex()}
    status, content = await line.ask("POST", "/house/submission", body)
    if status == 200:
        crowd.acknowledged.append((house, number, interval))
        numbers[house] += 1
    else:
        crowd.refused.append(f"{status} {content.decode()[:200]}")


async def _look(crowd: Crowd, port: int, seconds: float, rate: float) -> None:
    """Look at pages, one after the other, as members do."""
    rng, end = np.random.default_rng(1), time.monotonic() + seconds
    lines = [Line(port, token) for token in crowd.tokens[:10]]
    while time.monotonic() < end:
        line, page = lines[int(rng.integers(len(lines)))], str(rng.choice(PAGES))
        begin = time.monotonic()
        status, content = await line.ask("GET", page)
        assert status == 200, content
        crowd.latencies_s.append(time.monotonic() - begin)
        await asyncio.sleep(max(1.0 / rate - (time.monotonic() - begin), 0.0))


def csrf_of(token: str) -> str:
    """Token of the forms of a session, as the pages of that session hold it."""
    return hmac.new(token.encode(), b"gridsettle csrf v1", "sha256").hexdigest()


def _read_memory_kb(pid: int) -> int:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.split("VmRSS:")[1].split()[0])


def list_applied(directory: Path) -> set[tuple[int, int, int]]:
    """(house, number, interval) of the submissions on the ledger, and how far it goes."""
    found = set()
    with Store.open_to_read(directory) as store:
        for block in (block for group in store.groups() for block in group):
            rows = select_rows(decode_records(block.records), RecordKind.SUBMISSION)
            found |= {(int(row["house"]), int(row["number"]), int(row["interval"])) for row in rows}
    return found


def count_lost(crowd: Crowd) -> tuple[int, int]:
    """Submissions that were acknowledged for intervals that are closed, and those of them that the ledger lacks."""
    applied = list_applied(crowd.directory)
    closed = max((interval for _, _, interval in applied), default=-1)
    newest = {(house, interval): number for house, number, interval in sorted(crowd.acknowledged)}
    due = {(house, number, interval) for (house, interval), number in newest.items() if interval <= closed}
    return len(due), len(due - applied)
