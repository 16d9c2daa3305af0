"""The file of the store: who may read it, what is refused in its place, threads, and how durable it is."""

from __future__ import annotations

import sqlite3
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest
from people_world import meet, settle

from cosim.web.people.errors import PeopleError, StateError
from cosim.web.people.file import people_path
from cosim.web.people.store import People
from market.errors import LedgerError, MarketError


def change(path: Path, *statements: str) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        for statement in statements:
            connection.execute(statement)


def test_it_is_as_durable_as_sqlite_can_make_it(people: People, tmp_path: Path) -> None:
    assert people.file.rows("PRAGMA journal_mode") == [("wal",)]
    assert people.file.rows("PRAGMA synchronous") == [(2,)]  # FULL
    assert [path.name for path in tmp_path.iterdir() if path.is_dir()] == [], "nothing is left of its making"


def test_what_was_written_is_there_when_it_is_opened_again(people: People, tmp_path: Path) -> None:
    settle(people, 1, 8)
    people.close()
    with People(tmp_path) as again:
        assert again.persons.find_person(1).label == "house 9"


def test_a_file_that_lies_open_is_closed_to_others(people: People, tmp_path: Path) -> None:
    people.close()
    people_path(tmp_path).chmod(0o644)
    with People(tmp_path):
        assert people_path(tmp_path).stat().st_mode & 0o777 == 0o600


def test_another_version_is_told(people: People, tmp_path: Path) -> None:
    people.close()
    change(people_path(tmp_path), "PRAGMA user_version = 2")
    with pytest.raises(PeopleError, match="of version 1, got version 2; use the gridsettle that made it"):
        People(tmp_path)


@pytest.mark.parametrize(
    ("statements", "why"),
    [
        (["CREATE VIEW v AS SELECT 1"], "view 'v'"),
        (["CREATE TRIGGER t AFTER INSERT ON session BEGIN DELETE FROM code; END"], "trigger 't'"),
        (["DROP TABLE decision"], "without table 'decision'"),
        (["PRAGMA application_id = 5"], "another application"),
        (["DELETE FROM secret"], "without its secrets"),
    ],
)
def test_a_file_with_something_else_in_it_is_refused(
    people: People, tmp_path: Path, statements: list[str], why: str
) -> None:
    people.close()
    change(people_path(tmp_path), *statements)
    with pytest.raises(MarketError, match=why):
        People(tmp_path)


@pytest.mark.parametrize("content", [b"", b"no database", b"SQLite format 3\0" + bytes(100)])
def test_another_file_in_its_place_is_refused_and_left_alone(tmp_path: Path, content: bytes) -> None:
    people_path(tmp_path).write_bytes(content)
    with pytest.raises(LedgerError, match="expected a store of people"):
        People(tmp_path)
    assert people_path(tmp_path).read_bytes() == content


def test_a_link_or_a_folder_in_its_place_is_refused(tmp_path: Path) -> None:
    people_path(tmp_path).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(PeopleError, match="got no regular file"):
        People(tmp_path)
    assert not (tmp_path / "elsewhere").exists()
    people_path(tmp_path).unlink()
    people_path(tmp_path).mkdir()
    with pytest.raises(PeopleError, match="got no regular file"):
        People(tmp_path)


def test_without_a_directory_nothing_is_made(tmp_path: Path) -> None:
    with pytest.raises(PeopleError, match="expected a store that can be written"):
        People(tmp_path / "nowhere")


def test_threads_share_a_store_and_every_house_gets_one_person(people: People) -> None:
    def settle_somewhere(number: int) -> str:
        person = meet(people, number)
        people.persons.ask_to_join(person.number)
        token = people.sessions.open_session(person.number)
        try:
            people.decisions.admit(person.number, number % 5)
        except StateError:
            return "refused"
        session = people.sessions.find_session(token)
        return "lost" if session is None else f"house {session.house}"

    with ThreadPoolExecutor(8) as pool:
        found = sorted(pool.map(settle_somewhere, range(20)))
    assert found == [f"house {k}" for k in range(5)] + ["refused"] * 15


def test_nothing_is_kept_of_what_fails_halfway(people: People) -> None:
    with pytest.raises(ZeroDivisionError), people.file.transaction():
        meet_within(people)
    assert people.persons.list_persons() == []
    assert meet(people, 1).number == 1


def meet_within(people: People) -> None:
    people.file.write(
        "INSERT INTO person VALUES(NULL,'wallet','0x',?,'stranger',NULL,NULL,0,NULL,0,NULL,'',NULL)", bytes(32)
    )
    raise ZeroDivisionError
