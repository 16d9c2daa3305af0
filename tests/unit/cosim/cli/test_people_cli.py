"""The commands `gridsettle members …`: answers, refusals and bad input, beside a server or without."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from ledger_world import world, written
from people_world import meet
from typer.testing import CliRunner, Result

from cosim.cli.app import app
from cosim.web.people.errors import SignInError
from cosim.web.people.file import people_path
from cosim.web.people.persons import State
from cosim.web.people.store import People

MADE = world(4, 3, seed=6)


def members(*arguments: str | Path) -> Result:
    result = CliRunner().invoke(app, ["members", *map(str, arguments)])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result


def ok(*arguments: str | Path) -> str:
    result = members(*arguments)
    assert result.exit_code == 0, result.output
    return result.output


def bad(*arguments: str | Path) -> str:
    result = members(*arguments)
    assert result.exit_code == 2, result.output
    assert result.output.startswith("gridsettle: ")
    assert result.output.count("\n") == 1, "one message"
    return result.output


@pytest.fixture(scope="module")
def ledger(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return written(tmp_path_factory.mktemp("served") / "run", MADE, 3)


@pytest.fixture
def run(ledger: Path) -> Path:
    """A run of four houses and a store in which persons 1 and 2 ask and person 3 has signed in."""
    for path in ledger.glob(f"{people_path(ledger).name}*"):
        path.unlink()
    with People(ledger) as people:
        for number in (1, 2, 3):
            meet(people, number)
        people.persons.ask_to_join(1, wish=2)
        people.persons.ask_to_join(2)
    return ledger


def test_requests_are_listed_with_what_the_operator_must_know(run: Path) -> None:
    lines = ok("requests", run).splitlines()
    assert len(lines) == 2
    assert re.fullmatch(rf"person=1  state=asked  wishes=3  asked=20\S+  wallet=0x{1:040x}", lines[0])
    listed = [json.loads(line) for line in ok("requests", run, "--all", "--json").splitlines()]
    assert [line["state"] for line in listed] == ["asked", "asked", "stranger"]


def test_who_is_admitted_is_a_member_and_the_server_has_something_to_do(run: Path) -> None:
    said = ok("admit", run, "1", "4")
    assert "person 1: admitted to house 4" in said
    assert "a running server carries it out with its next block, else the next start" in said
    with People(run) as people:
        (decision,) = people.decisions.list_decisions_to_carry_out()
        assert (decision.person.number, decision.house) == (1, 3)
    assert "carried_out=False" in ok("requests", run, "--all").splitlines()[0]


def test_refused_with_a_reason(run: Path) -> None:
    ok("refuse", run, "2", "--reason", "not of this street")
    with People(run) as people:
        person = people.persons.find_person(2)
    assert (person.state, person.reason) == (State.REFUSED, "not of this street")


def test_revoked_and_signed_out_while_the_server_runs(run: Path) -> None:
    ok("admit", run, "1", "4")
    with People(run) as server:
        token = server.sessions.open_session(1)
        assert "no longer the member of house 4" in ok("revoke", run, "1")
        assert server.sessions.find_session(token) is None
        assert server.persons.find_person(1).state == State.REVOKED


def test_a_code_of_the_command_opens_a_session_of_the_running_server(run: Path) -> None:
    with People(run) as server:
        printed = server.codes.make_code()
        code = ok("operator-code", run).strip()
        with pytest.raises(SignInError):
            server.codes.use_code(printed)
        server.codes.use_code(code)


def test_sessions_of_the_operator_can_be_ended(run: Path) -> None:
    with People(run) as server:
        operator, member = server.sessions.open_session(None), server.sessions.open_session(1)
        ok("operator-code", run)
        assert server.sessions.find_session(operator) is not None
        ok("operator-code", run, "--sign-out")
        assert server.sessions.find_session(operator) is None
        assert server.sessions.find_session(member) is not None


def test_nobody_asks(run: Path) -> None:
    for person in ("1", "2"):
        ok("refuse", run, person)
    assert ok("requests", run) == "nobody asks to join\n"
    assert ok("requests", run, "--json") == ""


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (("admit", "1", "5"), "house: expected a house of this market, from 1 to 4, got 5"),
        (("admit", "9", "1"), "person 9: expected the number of a person"),
        (("admit", "99999999999999999999", "1"), "expected the number of a person"),
        (("admit", "3", "1"), "expected the state asked or refused or revoked where it is admitted, got stranger"),
        (("refuse", "3"), "expected the state asked where it is refused, got stranger"),
        (("revoke", "1"), "expected the state admitted where it is revoked, got asked"),
        (("refuse", "1", "--reason", "x" * 201), "at most 200 printable characters"),
    ],
)
def test_what_cannot_be_is_one_message_and_changes_nothing(run: Path, arguments: tuple[str, ...], why: str) -> None:
    before = ok("requests", run, "--all")
    assert why in bad(arguments[0], run, *arguments[1:])
    assert ok("requests", run, "--all") == before


def test_a_run_that_was_never_served_is_told_and_nothing_is_made(run: Path) -> None:
    for path in run.glob("people.sqlite*"):
        path.unlink()
    for command in (("requests",), ("admit", "1", "1"), ("operator-code",)):
        message = bad(command[0], run, *command[1:])
        assert "expected the store of people of a served run, found none" in message
        assert "gridsettle serve --out" in message
    assert not people_path(run).exists()


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    assert "found none" in bad("requests", tmp_path / "nowhere")
