"""A crowd of members who submit in every interval through the web pages, and what came of it."""

from __future__ import annotations

import asyncio
import hmac
import socket
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

import httpx
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
        asyncio.run(_submit_all(crowd, f"http://127.0.0.1:{port}", port, seconds, pages_a_second, server.pid))
        server.terminate()
        server.stdout.read()


async def _submit_all(crowd: Crowd, url: str, port: int, seconds: float, rate: float, pid: int) -> None:
    limits = httpx.Limits(max_connections=64, max_keepalive_connections=64)
    async with httpx.AsyncClient(base_url=url, limits=limits, timeout=30) as client:
        nexts = await asyncio.gather(*(_ask_next(client, token, port) for token in crowd.tokens))
        end, looks = time.monotonic() + seconds, asyncio.create_task(_look(crowd, client, port, seconds, rate))
        numbers = [1] * len(crowd.tokens)
        while time.monotonic() < end:
            begin, interval = time.monotonic(), int((await _ask_next(client, crowd.tokens[0], port))["interval"]) + 3
            await asyncio.gather(
                *(
                    _submit(crowd, client, port, house, numbers, interval, nexts[house])
                    for house in range(len(crowd.tokens))
                )
            )
            crowd.peaks_kb.append(_read_memory_kb(pid))
            await asyncio.sleep(max(1.0 - (time.monotonic() - begin), 0.0))
        await looks


def _headers(token: str, port: int, csrf: str = "") -> dict[str, str]:
    return {"Cookie": f"{SESSION}-{port}={token}", **({"X-CSRF-Token": csrf} if csrf else {})}


async def _ask_next(client: httpx.AsyncClient, token: str, port: int) -> dict[str, str | int]:
    answer = await client.get("/house/next", headers=_headers(token, port))
    assert answer.status_code == 200, answer.text
    found: dict[str, str | int] = answer.json()
    return found


async def _submit(
    crowd: Crowd,
    client: httpx.AsyncClient,
    port: int,
    house: int,
    numbers: list[int],
    interval: int,
    known: dict[str, str | int],
) -> None:
    stated = make_submission(
        bytes.fromhex(str(known["chain_id"])), key_of(house), house, numbers[house], interval, interval, reserve_wh=1
    )
    body = {"record": stated.record.hex(), "signature": stated.signature.hex()}
    token = crowd.tokens[house]
    answer = await client.post("/house/submission", json=body, headers=_headers(token, port, csrf_of(token)))
    if answer.status_code == 200:
        crowd.acknowledged.append((house, numbers[house], interval))
        numbers[house] += 1
    else:
        crowd.refused.append(f"{answer.status_code} {answer.text[:200]}")


async def _look(crowd: Crowd, client: httpx.AsyncClient, port: int, seconds: float, rate: float) -> None:
    """Look at pages, one after the other, as members do."""
    rng, end = np.random.default_rng(1), time.monotonic() + seconds
    while time.monotonic() < end:
        house, page = int(rng.integers(len(crowd.tokens))), str(rng.choice(PAGES))
        begin = time.monotonic()
        answer = await client.get(page, headers=_headers(crowd.tokens[house], port))
        assert answer.status_code == 200, answer.text
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
