"""Messages of Sign-In with Ethereum: the standard's examples, bad ones, and laws of reading and writing."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from cosim.web.people.eip4361 import (
    KEY_URN,
    Message,
    check_message,
    format_time,
    make_message,
    name_key,
    parse_message,
    parse_time,
)
from cosim.web.people.errors import PeopleError, SignInError
from cosim.web.people.site import make_site
from cosim.web.people.wallet import make_checksummed

ADDRESS = "0xC02aaA39b223FE8D0A0e5C4F27eAD9083C756Cc2"
RESOURCES = (
    "ipfs://bafybeiemxf5abjwjbikoz4mc3a3dla6ual3jsgpdr4cjr3oz3evfyavhwq/",
    "https://example.com/my-web2-claim.json",
)


def example(domain: str, host: str = "example.com", name: str = "ExampleOrg") -> str:
    """An example of EIP-4361 as it is printed there."""
    return f"""{domain} wants you to sign in with your Ethereum account:
{ADDRESS}

I accept the {name} Terms of Service: https://{host}/tos

URI: https://{host}/login
Version: 1
Chain ID: 1
Nonce: 32891756
Issued At: 2021-09-30T16:25:24Z
Resources:
- {RESOURCES[0]}
- {RESOURCES[1]}"""


FIRST = example("example.com")


@pytest.mark.parametrize(
    ("text", "scheme", "domain"),
    [
        (FIRST, None, "example.com"),
        (example("example.com:3388"), None, "example.com:3388"),
        (example("https://example.com"), "https", "example.com"),
        (example("service.org", "service.org", "ServiceOrg"), None, "service.org"),
    ],
)
def test_the_examples_of_the_standard(text: str, scheme: str | None, domain: str) -> None:
    message = parse_message(text)
    assert (message.scheme, message.domain, message.address) == (scheme, domain, ADDRESS)
    assert (message.chain_id, message.nonce, message.issued_at) == (1, "32891756", "2021-09-30T16:25:24Z")
    assert message.statement is not None
    assert message.statement.startswith("I accept the")
    assert message.resources == RESOURCES
    assert (message.expiration_time, message.not_before, message.request_id) == (None, None, None)
    assert make_message(message) == text


def changed(old: str, new: str) -> str:
    assert FIRST.count(old) == 1
    return FIRST.replace(old, new)


NONCE_LINE, TIME_LINE = "Nonce: 32891756", "Issued At: 2021-09-30T16:25:24Z"
BAD = {
    "empty": ("", "line 1"),
    "no domain": (FIRST.removeprefix("example.com"), "line 1"),
    "no scheme": (f"://{FIRST}", "line 1"),
    "a path behind the domain": (changed("example.com wants", "example.com/login wants"), "line 1"),
    "a space in the domain": (changed("example.com wants", "example .com wants"), "line 1"),
    "an open bracket": (changed("example.com wants", "[::1 wants"), "line 1"),
    "other words": (changed("Ethereum account", "ethereum account"), "line 1"),
    "letters beyond ASCII": (changed("example.com wants", "exämple.com wants"), "line 1"),
    "small letters": (changed(ADDRESS, ADDRESS.lower()), "checksum"),
    "one letter of the checksum": (changed(ADDRESS, ADDRESS.replace("aaA", "aAA")), "checksum"),
    "capital letters": (changed(ADDRESS, "0x" + ADDRESS[2:].upper()), "checksum"),
    "a short address": (changed(ADDRESS, ADDRESS[:-1]), "line 2"),
    "a space behind the address": (changed(ADDRESS, f"{ADDRESS} "), "line 2"),
    "no empty line": (changed(f"{ADDRESS}\n", ADDRESS), "line 3"),
    "an empty statement": (changed("I accept the ExampleOrg Terms of Service: https://example.com/tos", ""), "line 5"),
    "a statement of two lines": (changed("Terms of", "Terms\nof"), "line 5"),
    "a statement in German": (changed("accept", "akzeptiere äußerst"), "line 4"),
    "a tab in the statement": (changed("accept", "accept\t"), "line 4"),
    "no empty line behind the statement": (changed("/tos\n\n", "/tos\n"), "line 5"),
    "a relative URI": (changed("URI: https://example.com/login", "URI: /login"), "line 6"),
    "a space in the URI": (changed("URI: https://example.com/login", "URI: https://example.com/ login"), "line 6"),
    "a per cent sign alone": (changed("URI: https://example.com/login", "URI: https://example.com/%zz"), "line 6"),
    "version 2": (changed("Version: 1", "Version: 2"), "line 7"),
    "no chain": (changed("Chain ID: 1\n", ""), "line 8"),
    "a chain in words": (changed("Chain ID: 1", "Chain ID: one"), "line 8"),
    "a negative chain": (changed("Chain ID: 1", "Chain ID: -1"), "line 8"),
    "zeros before the chain": (changed("Chain ID: 1", "Chain ID: 01"), "without zeros"),
    "digits that are not ASCII": (changed("Chain ID: 1", "Chain ID: ١"), "line 8"),
    "a short nonce": (changed(NONCE_LINE, "Nonce: 3289175"), "line 9"),
    "a nonce with a dash": (changed(NONCE_LINE, "Nonce: 3289-1756"), "line 9"),
    "fields in another order": (changed(f"{NONCE_LINE}\n{TIME_LINE}", f"{TIME_LINE}\n{NONCE_LINE}"), "line 9"),
    "a field twice": (changed(NONCE_LINE, f"{NONCE_LINE}\n{NONCE_LINE}"), "line 10"),
    "a day without a time": (changed(TIME_LINE, "Issued At: 2021-09-30"), "line 10"),
    "a time without a zone": (changed(TIME_LINE, TIME_LINE[:-1]), "line 10"),
    "the 30th of February": (changed(TIME_LINE, "Issued At: 2021-02-30T16:25:24Z"), "such as 2026"),
    "hour 24": (changed(TIME_LINE, "Issued At: 2021-02-20T24:00:00Z"), "line 10"),
    "year 0": (changed(TIME_LINE, "Issued At: 0000-02-20T20:00:00Z"), "such as 2026"),
    "before year 1": (changed(TIME_LINE, "Issued At: 0001-01-01T00:00:00+12:00"), "such as 2026"),
    "a bad end": (changed(TIME_LINE, f"{TIME_LINE}\nExpiration Time: soon"), "line 11"),
    "the optional ones in another order": (
        changed(TIME_LINE, f"{TIME_LINE}\nNot Before: 2021-09-30T16:25:24Z\nExpiration Time: 2021-09-30T16:25:24Z"),
        "line 12",
    ),
    "an unknown field": (changed(TIME_LINE, f"{TIME_LINE}\nAdmin: yes"), "line 11"),
    "a request id with a space": (changed(TIME_LINE, f"{TIME_LINE}\nRequest ID: a b"), "line 11"),
    "something behind Resources": (changed("Resources:", "Resources: "), "line 11"),
    "a resource without a scheme": (changed(f"- {RESOURCES[1]}", "- claim.json"), "line 13"),
    "a resource without a dash": (changed(f"- {RESOURCES[1]}", RESOURCES[1]), "line 13"),
    "a line end behind the end": (f"{FIRST}\n", "line 14"),
    "a space behind the end": (f"{FIRST} ", "line 13"),
    "line ends of Windows": (FIRST.replace("\n", "\r\n"), "line 1"),
    "a null": (changed("accept", "acc\0ept"), "line 4"),
    "too long": (changed("accept", "accept" * 800), "at most 4096 characters"),
    "cut short": (FIRST[: FIRST.index("Chain")], "line 8"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_messages_are_refused_with_the_line(name: str) -> None:
    text, why = BAD[name]
    with pytest.raises(SignInError, match=why):
        parse_message(text)


def test_a_long_line_is_not_repeated_at_length() -> None:
    with pytest.raises(SignInError) as refused:
        parse_message("x" * 4000)
    assert len(str(refused.value)) < 250


ASCII = st.characters(min_codepoint=33, max_codepoint=126)
HOSTS = st.from_regex(r"\A[a-z0-9.\-]{1,20}(:[0-9]{1,5})?\Z")
TIMES = st.datetimes(datetime(1970, 1, 1), datetime(2200, 1, 1), timezones=st.just(UTC)).map(format_time)
PATHS = r"(/[A-Za-z0-9_~!$&'()*+,;=:@%-]{0,9}){0,3}"
URIS = st.from_regex(r"\A[a-z][a-z0-9+.-]{0,8}://[a-z0-9.]{0,9}(:[0-9]{0,4})?" + PATHS + r"\Z") | st.from_regex(
    r"\A[a-z]{1,4}:(/?[a-z:@]{1,5}" + PATHS + r")?\Z"
)
URIS = URIS.filter(lambda uri: "%" not in uri)
MESSAGES = st.builds(
    Message,
    domain=HOSTS,
    address=st.binary(min_size=20, max_size=20).map(lambda content: make_checksummed(f"0x{content.hex()}")),
    uri=URIS,
    chain_id=st.integers(0, 10**18),
    nonce=st.from_regex(r"\A[A-Za-z0-9]{8,40}\Z"),
    issued_at=TIMES,
    scheme=st.none() | st.sampled_from(["http", "https"]),
    statement=st.none() | st.from_regex(r"\A[A-Za-z0-9 .,:/?#@!$&'()*+;=_~\[\]-]{1,60}\Z"),
    expiration_time=st.none() | TIMES,
    not_before=st.none() | TIMES,
    request_id=st.none() | st.from_regex(r"\A[A-Za-z0-9:@!-]{0,12}\Z"),
    resources=st.none() | st.lists(URIS, max_size=3).map(tuple),
)


@settings(max_examples=40)
@given(MESSAGES)
def test_what_is_made_is_read_as_it_was_meant(message: Message) -> None:
    assert parse_message(make_message(message)) == message


@settings(max_examples=60)
@given(MESSAGES, st.data())
def test_a_changed_text_is_refused_or_says_what_it_shows(message: Message, data: st.DataObject) -> None:
    text = make_message(message)
    at = data.draw(st.integers(0, len(text)))
    stop = data.draw(st.integers(at, min(at + 3, len(text))))
    new = text[:at] + data.draw(st.text(ASCII | st.sampled_from("\n \r\t"), max_size=4)) + text[stop:]
    try:
        read = parse_message(new)
    except SignInError:
        return
    assert make_message(read) == new
    assert (read == message) == (new == text)


FREE = st.text(ASCII | st.sampled_from("\n ä\0"), max_size=12)


@settings(max_examples=60)
@given(MESSAGES, st.sampled_from(Message._fields), FREE)
def test_no_field_can_pretend_to_be_another(message: Message, field: str, content: str) -> None:
    assume(field not in ("chain_id", "resources"))
    try:
        text = make_message(message._replace(**{field: content}))
    except SignInError:
        return
    assert parse_message(text) == message._replace(**{field: content})


@pytest.mark.parametrize(
    ("text", "time"),
    [
        ("2021-09-30T16:25:24Z", datetime(2021, 9, 30, 16, 25, 24, tzinfo=UTC)),
        ("2021-09-30t16:25:24z", datetime(2021, 9, 30, 16, 25, 24, tzinfo=UTC)),
        ("2021-09-30T16:25:24.5+02:00", datetime(2021, 9, 30, 14, 25, 24, 500_000, tzinfo=UTC)),
        ("2021-09-30T16:25:24.123456789-00:30", datetime(2021, 9, 30, 16, 55, 24, 123_456, tzinfo=UTC)),
        ("2016-12-31T23:59:60Z", datetime(2016, 12, 31, 23, 59, 59, tzinfo=UTC)),
    ],
)
def test_times_of_rfc_3339(text: str, time: datetime) -> None:
    assert parse_time(text) == time


NOW = datetime(2026, 6, 1, 12, 0, tzinfo=UTC)
SITE = make_site("http://localhost:8000", 5)
KEY = bytes(range(32))
GOOD = Message(
    domain="localhost:8000",
    address=ADDRESS,
    uri="http://localhost:8000/signin",
    chain_id=5,
    nonce="ABCDEFGH12",
    issued_at="2026-06-01T12:00:00Z",
    expiration_time="2026-06-01T12:05:00Z",
    resources=(f"{KEY_URN}{KEY.hex()}",),
)


@pytest.mark.parametrize("scheme", [None, "http"])
@pytest.mark.parametrize("uri", ["http://localhost:8000", "http://localhost:8000/", "http://localhost:8000/x?y=z#a"])
@pytest.mark.parametrize("after_s", [-59, 0, 299])
def test_a_message_for_this_site_and_moment_gives_the_key(scheme: str | None, uri: str, after_s: int) -> None:
    message = GOOD._replace(scheme=scheme, uri=uri)
    assert check_message(message, SITE, GOOD.nonce, NOW + timedelta(seconds=after_s)) == KEY


FAULTS = {
    "domain": ({"domain": "localhost:8001"}, "domain to be localhost:8000, got 'localhost:8001'"),
    "a longer domain": ({"domain": "localhost:8000.evil.org"}, "domain"),
    "a domain with a user": ({"domain": "evil@localhost:8000"}, "domain"),
    "scheme": ({"scheme": "https"}, "scheme to be http, got 'https'"),
    "URI": ({"uri": "http://localhost:8001/signin"}, "URI to be one below"),
    "a URI that begins alike": ({"uri": "http://localhost:8000.evil.org/"}, "URI"),
    "chain": ({"chain_id": 1}, "chain id to be 5, got '1'"),
    "nonce": ({"nonce": "ABCDEFGH13"}, "the nonce of this sign-in"),
    "expired": ({"expiration_time": "2026-06-01T12:00:00Z"}, "the last 5 minutes"),
    "old": ({"issued_at": "2026-06-01T11:55:00Z", "expiration_time": "2027-06-01T12:00:00Z"}, "the last 5 minutes"),
    "old, without an end": ({"issued_at": "2026-06-01T11:55:00Z", "expiration_time": None}, "the last 5 minutes"),
    "of the future": ({"issued_at": "2026-06-01T12:01:01Z"}, "issued by now"),
    "not yet": ({"not_before": "2026-06-01T12:00:01Z"}, "holds from 2026-06-01T12:00:01Z on"),
    "no resources": ({"resources": None}, "expected one resource"),
    "another resource": ({"resources": ("https://example.com/",)}, "got 0"),
    "two keys": ({"resources": (name_key(KEY), name_key(bytes(32)))}, "got 2"),
    "the same key twice": ({"resources": (name_key(KEY),) * 2}, "got 2"),
    "a short key": ({"resources": (f"{KEY_URN}{KEY.hex()[:-2]}",)}, "64 hexadecimal"),
    "a key in capital letters": ({"resources": (f"{KEY_URN}{KEY.hex().upper()}",)}, "64 hexadecimal"),
}


@pytest.mark.parametrize("name", FAULTS)
def test_each_fault_has_its_own_message(name: str) -> None:
    fields, why = FAULTS[name]
    with pytest.raises(SignInError, match=why):
        check_message(GOOD._replace(**fields), SITE, GOOD.nonce, NOW)


def test_only_a_key_can_be_named() -> None:
    assert name_key(KEY) == KEY_URN + KEY.hex()
    with pytest.raises(PeopleError, match="expected 32 bytes"):
        name_key(KEY[:31])


@pytest.mark.parametrize(
    "origin",
    ["", "localhost:8000", "http://", "http://localhost:8000/", "ftp://a", "http://a b", "HTTP://a", "http://a:123456"],
)
def test_what_is_no_origin_is_refused(origin: str) -> None:
    with pytest.raises(PeopleError, match="origin: expected http"):
        make_site(origin)


def test_a_site_has_a_domain_and_a_host() -> None:
    assert make_site("https://set.example.org")[:3] == ("https://set.example.org", "set.example.org", "set.example.org")
    assert make_site("http://[::1]:80").domain == "[::1]:80"
    with pytest.raises(PeopleError, match="above 0"):
        make_site("http://localhost", 0)
