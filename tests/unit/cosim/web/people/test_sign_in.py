"""Signing in by wallet and passkey: who comes in, and who is refused with which message."""

from __future__ import annotations

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from authenticators import Passkey, Wallet, decode, encode
from people_world import Clock

from cosim.web.people import sign_in
from cosim.web.people.eip4361 import make_message, parse_message
from cosim.web.people.errors import FullError, PeopleError, SignInError
from cosim.web.people.persons import MOST_STRANGERS, Kind, State
from cosim.web.people.sign_in import (
    begin_passkey_registration,
    begin_passkey_sign_in,
    begin_wallet_sign_in,
    register_passkey,
    sign_in_with_passkey,
    sign_in_with_wallet,
)
from cosim.web.people.site import make_site
from cosim.web.people.store import People

SITE = make_site("http://localhost:8000", 5)
KEY, OTHER_KEY = bytes(range(32)), bytes(range(1, 33))


def enter(people: People, wallet: Wallet, key: bytes = KEY) -> sign_in.SignedIn:
    message = begin_wallet_sign_in(people, SITE, wallet.address, key)
    return sign_in_with_wallet(people, SITE, message, wallet.sign(message))


def test_a_wallet_signs_in_as_a_stranger_and_again_as_the_same_person(people: People) -> None:
    first = enter(people, Wallet())
    assert (first.person.state, first.person.kind, first.page_key) == (State.STRANGER, Kind.WALLET, KEY)
    assert first.person.subject == Wallet().address.lower()
    again = enter(people, Wallet(), OTHER_KEY)
    assert again.person.number == first.person.number
    assert again.person.page_key == OTHER_KEY
    assert enter(people, Wallet(2)).person.number != first.person.number


def test_a_member_in_a_second_browser_keeps_the_key_of_the_ledger(people: People) -> None:
    number = enter(people, Wallet()).person.number
    people.persons.ask_to_join(number)
    people.decisions.admit(number, 7)
    again = enter(people, Wallet(), OTHER_KEY)
    assert (again.person.page_key, again.page_key) == (KEY, OTHER_KEY)
    session = people.sessions.find_session(people.sessions.open_session(number, again.page_key))
    assert session is not None
    assert session.page_key == OTHER_KEY


def test_the_address_may_come_in_any_spelling(people: People) -> None:
    message = begin_wallet_sign_in(people, SITE, Wallet().address.lower(), KEY)
    assert parse_message(message).address == Wallet().address


def test_a_replayed_nonce_is_refused_even_after_a_restart(people: People, tmp_path: Path, clock: Clock) -> None:
    message = begin_wallet_sign_in(people, SITE, Wallet().address, KEY)
    signature = Wallet().sign(message)
    sign_in_with_wallet(people, SITE, message, signature)
    with pytest.raises(SignInError, match="not used yet"):
        sign_in_with_wallet(people, SITE, message, signature)
    people.close()
    with People(tmp_path, clock=clock) as opened, pytest.raises(SignInError, match="not used yet"):
        sign_in_with_wallet(opened, SITE, message, signature)


def test_of_many_at_once_with_one_message_one_comes_in(people: People) -> None:
    message = begin_wallet_sign_in(people, SITE, Wallet().address, KEY)
    signature = Wallet().sign(message)

    def try_it(_: int) -> str:
        try:
            return str(sign_in_with_wallet(people, SITE, message, signature).person.state)
        except SignInError as refused:
            return str(refused)[:30]

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(try_it, range(16)))
    assert answers.count("stranger") == 1
    assert answers.count("sign-in: expected one that was") == 15


def test_a_message_given_out_before_a_restart_holds(people: People, tmp_path: Path, clock: Clock) -> None:
    message = begin_wallet_sign_in(people, SITE, Wallet().address, KEY)
    people.close()
    with People(tmp_path, clock=clock) as opened:
        assert sign_in_with_wallet(opened, SITE, message, Wallet().sign(message)).page_key == KEY


def test_a_refused_attempt_does_not_use_the_nonce_up(people: People) -> None:
    message = begin_wallet_sign_in(people, SITE, Wallet().address, KEY)
    with pytest.raises(SignInError, match="another's"):
        sign_in_with_wallet(people, SITE, message, Wallet(2).sign(message))
    assert sign_in_with_wallet(people, SITE, message, Wallet().sign(message)).page_key == KEY
    assert len(people.persons.list_persons()) == 1


WRONG_MESSAGES: dict[str, tuple[Callable[[str], str], str]] = {
    "wrong domain": (lambda m: m.replace("localhost:8000 wants", "evil.org wants"), "domain to be localhost:8000"),
    "other chain": (lambda m: m.replace("Chain ID: 5", "Chain ID: 1"), "chain id to be 5"),
    "other page": (lambda m: m.replace("URI: http://localhost:8000/", "URI: http://evil.org/"), "URI"),
    "a nonce of one's own": (
        lambda m: make_message(parse_message(m)._replace(nonce="A" * 40)),
        "sign-in: expected one that this server gave out",
    ),
    "a nonce that was lengthened": (
        lambda m: make_message(parse_message(m)._replace(nonce=parse_message(m).nonce + "A")),
        "sign-in: expected one that this server gave out",
    ),
    "a later end": (
        lambda m: make_message(parse_message(m)._replace(issued_at="2031-01-01T00:00:00Z")),
        "issued by now",
    ),
    "no key": (lambda m: make_message(parse_message(m)._replace(resources=None)), "one resource"),
    "another line end": (lambda m: m.replace("\nURI:", "\r\nURI:"), "line 5"),
}


@pytest.mark.parametrize("name", WRONG_MESSAGES)
def test_messages_for_something_else_are_refused_though_signed(people: People, name: str) -> None:
    change, why = WRONG_MESSAGES[name]
    message = begin_wallet_sign_in(people, SITE, Wallet().address, KEY)
    wrong = change(message)
    assert wrong != message
    with pytest.raises(SignInError, match=why):
        sign_in_with_wallet(people, SITE, wrong, Wallet().sign(wrong))
    assert people.persons.list_persons() == []


def test_a_message_is_good_for_five_minutes(people: People, clock: Clock) -> None:
    message = begin_wallet_sign_in(people, SITE, Wallet().address, KEY)
    clock.now += 299
    signature = Wallet().sign(message)
    clock.now += 1
    with pytest.raises(SignInError, match="the last 5 minutes"):
        sign_in_with_wallet(people, SITE, message, signature)


def test_an_old_nonce_in_a_fresh_message_is_refused(people: People, clock: Clock) -> None:
    old = parse_message(begin_wallet_sign_in(people, SITE, Wallet().address, KEY)).nonce
    clock.now += 300
    message = make_message(parse_message(begin_wallet_sign_in(people, SITE, Wallet().address, KEY))._replace(nonce=old))
    with pytest.raises(SignInError, match="sign-in: expected one of the last 5 minutes"):
        sign_in_with_wallet(people, SITE, message, Wallet().sign(message))


def test_a_message_of_another_server_is_refused(people: People, tmp_path: Path, clock: Clock) -> None:
    (tmp_path / "other").mkdir()
    with People(tmp_path / "other", clock=clock) as other:
        message = begin_wallet_sign_in(other, SITE, Wallet().address, KEY)
    with pytest.raises(SignInError, match="this server gave out"):
        sign_in_with_wallet(people, SITE, message, Wallet().sign(message))


def test_the_signature_covers_the_key_of_the_page(people: People) -> None:
    message = begin_wallet_sign_in(people, SITE, Wallet().address, KEY)
    signature = Wallet().sign(message)
    with pytest.raises(SignInError, match="another's"):
        sign_in_with_wallet(people, SITE, message.replace(KEY.hex(), OTHER_KEY.hex()), signature)


def test_no_address_and_no_key_are_refused_before_the_wallet_is_asked(people: People) -> None:
    with pytest.raises(PeopleError, match="address: expected 0x"):
        begin_wallet_sign_in(people, SITE, "vitalik.eth", KEY)
    with pytest.raises(PeopleError, match="expected 32 bytes"):
        begin_wallet_sign_in(people, SITE, Wallet().address, KEY[:16])


def test_strangers_cannot_fill_the_disk(people: People, clock: Clock) -> None:
    with people.file.transaction():
        for k in range(MOST_STRANGERS):
            people.persons.greet(Kind.WALLET, f"0x{k:040x}", KEY)
    with pytest.raises(FullError, match="new people a day"):
        enter(people, Wallet())
    clock.now += 24 * 3600
    assert enter(people, Wallet()).person.number == MOST_STRANGERS + 1  # no number is given twice
    assert len(people.persons.list_persons()) == 2


def registered(people: People, passkey: Passkey, key: bytes = KEY) -> sign_in.SignedIn:
    nonce, options = begin_passkey_registration(people, SITE, key)
    return register_passkey(people, SITE, nonce, key, passkey.create(options, SITE.origin))


def again(people: People, passkey: Passkey, key: bytes = KEY) -> sign_in.SignedIn:
    nonce, options = begin_passkey_sign_in(people, SITE, key)
    return sign_in_with_passkey(people, SITE, nonce, key, passkey.get(options, SITE.origin))


@pytest.mark.parametrize("counts", [True, False])
def test_a_passkey_is_registered_and_signs_in(people: People, counts: bool) -> None:
    passkey = Passkey(counts=counts)
    first = registered(people, passkey)
    assert (first.person.kind, first.person.state) == (Kind.PASSKEY, State.STRANGER)
    for _ in range(2):
        assert again(people, passkey).person == first.person
    assert again(people, passkey, OTHER_KEY).person.page_key == OTHER_KEY


def test_options_ask_for_a_discoverable_passkey_of_this_host(people: People) -> None:
    made = json.loads(begin_passkey_registration(people, SITE, KEY).options_json)
    assert made["rp"]["id"] == "localhost"
    assert made["attestation"] == "none"
    assert made["authenticatorSelection"]["residentKey"] == "required"
    assert made["authenticatorSelection"]["userVerification"] == "preferred"
    asked = json.loads(begin_passkey_sign_in(people, SITE, KEY).options_json)
    assert (asked["rpId"], asked["allowCredentials"], asked["userVerification"]) == ("localhost", [], "preferred")


def test_a_passkey_cannot_be_registered_twice_nor_its_nonce_used_twice(people: People) -> None:
    nonce, options = begin_passkey_registration(people, SITE, KEY)
    answer = Passkey().create(options, SITE.origin)
    register_passkey(people, SITE, nonce, KEY, answer)
    with pytest.raises(SignInError, match="not used yet"):
        register_passkey(people, SITE, nonce, KEY, answer)
    with pytest.raises(SignInError, match="got one that this market knows"):
        registered(people, Passkey())


def test_a_challenge_is_good_once_and_for_five_minutes(people: People, clock: Clock) -> None:
    passkey = Passkey(counts=False)
    registered(people, passkey)
    nonce, options = begin_passkey_sign_in(people, SITE, KEY)
    answer = passkey.get(options, SITE.origin)
    sign_in_with_passkey(people, SITE, nonce, KEY, answer)
    with pytest.raises(SignInError, match="not used yet"):
        sign_in_with_passkey(people, SITE, nonce, KEY, answer)
    nonce, options = begin_passkey_sign_in(people, SITE, KEY)
    clock.now += 300
    with pytest.raises(SignInError, match="the last 5 minutes"):
        sign_in_with_passkey(people, SITE, nonce, KEY, passkey.get(options, SITE.origin))


def test_nonces_hold_for_their_purpose_only(people: People) -> None:
    registered(people, Passkey())
    nonce, options = begin_passkey_registration(people, SITE, KEY)
    with pytest.raises(SignInError, match="gave out for passkey sign-in"):
        sign_in_with_passkey(people, SITE, nonce, KEY, Passkey().create(options, SITE.origin))


def test_the_assertion_covers_the_key_of_the_page(people: People) -> None:
    passkey = Passkey()
    registered(people, passkey)
    nonce, options = begin_passkey_sign_in(people, SITE, KEY)
    answer = passkey.get(options, SITE.origin)
    with pytest.raises(SignInError, match="challenge"):
        sign_in_with_passkey(people, SITE, nonce, OTHER_KEY, answer)


def test_a_counter_that_goes_back_is_a_copy(people: People) -> None:
    passkey = Passkey()
    registered(people, passkey)
    again(people, passkey)
    passkey.count = 0
    with pytest.raises(SignInError, match="sign count of 1 was not greater"):
        again(people, passkey)
    with people.file.transaction(), pytest.raises(SignInError, match="may be a copy's"):
        people.passkeys.count_use(1, 1)


def test_another_site_or_host_or_an_absent_user_is_refused(people: People) -> None:
    passkey = Passkey()
    registered(people, passkey)
    nonce, options = begin_passkey_sign_in(people, SITE, KEY)
    with pytest.raises(SignInError, match="origin"):
        sign_in_with_passkey(people, SITE, nonce, KEY, passkey.get(options, "http://evil.org"))
    elsewhere = options.replace('"localhost"', '"evil.org"')
    with pytest.raises(SignInError, match="RP ID"):
        sign_in_with_passkey(people, SITE, nonce, KEY, passkey.get(elsewhere, SITE.origin))
    passkey.flags = 0
    with pytest.raises(SignInError, match="present"):
        sign_in_with_passkey(people, SITE, nonce, KEY, passkey.get(options, SITE.origin))


def test_another_passkey_cannot_speak_for_a_known_one(people: People) -> None:
    registered(people, Passkey())
    thief = Passkey(2)
    nonce, options = begin_passkey_sign_in(people, SITE, KEY)
    with pytest.raises(SignInError, match="expected one that this market knows"):
        sign_in_with_passkey(people, SITE, nonce, KEY, thief.get(options, SITE.origin))
    thief.identity = Passkey().identity
    with pytest.raises(SignInError, match="passkey: expected an answer"):
        sign_in_with_passkey(people, SITE, nonce, KEY, thief.get(options, SITE.origin))


def test_what_is_no_answer_is_refused(people: People) -> None:
    for answer in ("", "{}", "[]", "null", '{"id": 5}', '{"id": "\\ud800"}', "[" * 10_000, "x" * 20_000):
        for begin, end in (
            (begin_passkey_registration, register_passkey),
            (begin_passkey_sign_in, sign_in_with_passkey),
        ):
            nonce, _ = begin(people, SITE, KEY)
            with pytest.raises(SignInError, match="passkey: expected"):
                end(people, SITE, nonce, KEY, answer)


@pytest.mark.parametrize("field", ["attestationObject", "clientDataJSON"])
def test_damaged_answers_are_refused_and_never_an_unforeseen_error(people: People, field: str) -> None:
    nonce, options = begin_passkey_registration(people, SITE, KEY)
    sound = json.loads(Passkey().create(options, SITE.origin))
    content = decode(sound["response"][field])
    damaged = [content[:k] for k in range(0, len(content), 7)]
    damaged += [content[:k] + bytes([content[k] ^ 0xFF]) + content[k + 1 :] for k in range(0, len(content), 5)]
    for change in damaged:
        sound["response"][field] = encode(change)
        try:
            register_passkey(people, SITE, nonce, KEY, json.dumps(sound))
        except SignInError:
            continue
        # Nobody vouches for identity and key without attestation: with other bytes it is another passkey.
        nonce, _ = begin_passkey_registration(people, SITE, KEY)


def test_no_message_repeats_what_is_secret(people: People) -> None:
    wallet = Wallet()
    message = begin_wallet_sign_in(people, SITE, wallet.address, KEY)
    with pytest.raises(SignInError) as refused:
        sign_in_with_wallet(people, SITE, message, Wallet(2).sign(message))
    signed_in = enter(people, wallet)
    shown = f"{refused.value} {signed_in.person!r}"
    for secret in (wallet.address, wallet.address.lower(), Wallet(2).address, KEY.hex(), wallet.sign(message)):
        assert secret not in shown
