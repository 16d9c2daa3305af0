"""Sessions and the operator's code: how they begin, how they end, and that nothing secret is stored or shown."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from people_world import Clock, meet, settle

from cosim.web.people.errors import SignInError, UnknownError
from cosim.web.people.file import people_path
from cosim.web.people.persons import State
from cosim.web.people.sessions import ABSOLUTE_S, IDLE_S, MOST_A_PERSON
from cosim.web.people.store import People


def test_a_session_is_its_persons_and_reads_its_state_every_time(people: People) -> None:
    settle(people, 1, 8)
    token = people.sessions.open_session(1, b"k" * 32)
    session = people.sessions.find_session(token)
    assert session is not None
    assert session.person == people.persons.find_person(1)
    assert (session.house, session.is_operator, session.page_key) == (8, False, b"k" * 32)
    meet(people, 2)
    stranger = people.sessions.find_session(people.sessions.open_session(2))
    assert stranger is not None
    assert stranger.house is None


def test_a_revoked_member_is_out_at_once_and_comes_back_as_nobody(people: People) -> None:
    settle(people, 1, 8)
    tokens = [people.sessions.open_session(1) for _ in range(3)]
    people.decisions.revoke(1)
    assert [people.sessions.find_session(token) for token in tokens] == [None] * 3
    again = people.sessions.find_session(people.sessions.open_session(1))
    assert again is not None
    assert again.person is not None
    assert (again.house, again.person.state) == (None, State.REVOKED)


def test_the_operators_session_is_nobody_elses(people: People) -> None:
    settle(people, 1, 8)
    operator, member = people.sessions.open_session(None), people.sessions.open_session(1)
    found = people.sessions.find_session(operator)
    assert found is not None
    assert (found.is_operator, found.person, found.house) == (True, None, None)
    people.sessions.close_all(None)
    assert people.sessions.find_session(operator) is None
    assert people.sessions.find_session(member) is not None
    people.sessions.close_all(1)
    assert people.sessions.find_session(member) is None


def test_closing_ends_one_session(people: People) -> None:
    meet(people, 1)
    first, second = people.sessions.open_session(1), people.sessions.open_session(1)
    people.sessions.close_session(first)
    people.sessions.close_session("no token of anybody")
    assert people.sessions.find_session(first) is None
    assert people.sessions.find_session(second) is not None


def test_it_ends_when_nobody_uses_it(people: People, clock: Clock) -> None:
    token = people.sessions.open_session(None)
    clock.now += IDLE_S - 1
    assert people.sessions.find_session(token) is not None
    clock.now += IDLE_S - 1
    assert people.sessions.find_session(token) is not None
    clock.now += IDLE_S
    assert people.sessions.find_session(token) is None


def test_it_ends_after_half_a_day_however_it_is_used(people: People, clock: Clock) -> None:
    token, opened = people.sessions.open_session(None), clock.now
    while clock.now < opened + ABSOLUTE_S:
        assert people.sessions.find_session(token) is not None
        clock.now += IDLE_S / 2
    assert people.sessions.find_session(token) is None


def test_a_person_has_ten_sessions_at_most_and_old_rows_go(people: People, clock: Clock) -> None:
    meet(people, 1)
    meet(people, 2)
    other = people.sessions.open_session(2)
    tokens = []
    for _ in range(MOST_A_PERSON + 2):
        clock.now += 1
        tokens.append(people.sessions.open_session(1))
    in_force = [people.sessions.find_session(token) is not None for token in tokens]
    assert in_force == [False, False] + [True] * MOST_A_PERSON
    assert people.sessions.find_session(other) is not None
    clock.now += ABSOLUTE_S
    people.sessions.open_session(1)
    assert people.file.rows("SELECT count(*) FROM session") == [(1,)]


def test_a_token_of_nobody_finds_nothing(people: People) -> None:
    people.sessions.open_session(None)
    for token in ("", "a" * 43, "a" * 42, "a" * 100_000, "ä" * 43, "\ud800" * 43):
        assert people.sessions.find_session(token) is None


def test_nobody_gets_a_session_without_being_known(people: People) -> None:
    with pytest.raises(UnknownError, match="person 1"):
        people.sessions.open_session(1)
    assert people.file.rows("SELECT count(*) FROM session") == [(0,)]


def test_the_token_of_forms_belongs_to_its_session(people: People) -> None:
    token, other = people.sessions.open_session(None), people.sessions.open_session(None)
    found = [people.sessions.find_session(each) for each in (token, other, token)]
    first, another, again = [session.csrf for session in found if session is not None]
    assert first == again
    assert len({first, another, token, other}) == 4


def test_the_file_and_what_is_shown_hold_no_token(people: People, tmp_path: Path) -> None:
    meet(people, 1)
    token, code = people.sessions.open_session(1, b"k" * 32), people.codes.make_code()
    session = people.sessions.find_session(token)
    assert session is not None
    content = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    for secret in (token, session.csrf, code, code.replace("-", "")):
        assert secret.encode() not in content
        assert secret not in repr(session)
    assert people_path(tmp_path).stat().st_mode & 0o777 == 0o600
    assert {path.stat().st_mode & 0o077 for path in tmp_path.iterdir()} == {0}


def test_a_code_has_eighty_bits_in_four_groups(people: People) -> None:
    codes = {people.codes.make_code() for _ in range(20)}
    assert len(codes) == 20
    assert all(re.fullmatch(r"([0-9A-HJKMNP-TV-Z]{4}-){3}[0-9A-HJKMNP-TV-Z]{4}", code) for code in codes)


def test_a_code_opens_once_as_it_is_heard(people: People) -> None:
    code = people.codes.make_code()
    people.codes.use_code(f" {code.lower().replace('-', ' ').replace('0', 'o').replace('1', 'l')} ")
    with pytest.raises(SignInError, match="for the first time"):
        people.codes.use_code(code)


def test_a_code_is_void_after_ten_minutes_and_after_a_newer_one(people: People, clock: Clock) -> None:
    first = people.codes.make_code()
    second = people.codes.make_code()
    with pytest.raises(SignInError, match="newest"):
        people.codes.use_code(first)
    clock.now += 600
    with pytest.raises(SignInError, match="within 10 minutes"):
        people.codes.use_code(second)


def test_a_wrong_code_is_refused_and_not_repeated(people: People) -> None:
    code = people.codes.make_code()
    for text in ("", "0000-0000-0000-0000", "ä", "\ud800", "x" * 1_000_000):
        with pytest.raises(SignInError) as refused:
            people.codes.use_code(text)
        assert len(str(refused.value)) < 300
        assert code not in str(refused.value)
    people.codes.use_code(code)
