"""Messages of Sign-In with Ethereum (EIP-4361, version 1): made, parsed by the standard's grammar, and checked.

What a message says is only worth something with the signature of its address: see `cosim.web.people.wallet`.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from cosim.web.people.errors import PeopleError, SignInError
from cosim.web.people.site import Site
from cosim.web.people.wallet import make_checksummed
from market.ledger.durable import shorten

LONGEST = 4096
KEY_URN = "urn:gridsettle:ed25519:"
"""Begin of the resource that names the page's own key; 64 lower-case hexadecimal digits follow."""
VALID = timedelta(minutes=5)
_CLOCKS_APART = timedelta(seconds=60)
_KEY = re.compile(re.escape(KEY_URN) + "([0-9a-f]{64})")

_INTRODUCTION = " wants you to sign in with your Ethereum account:"
_CHARACTER = r"(?:[A-Za-z0-9\-._~!$&'()*+,;=:@]|%[0-9A-Fa-f]{2})"
_USER = r"(?:(?:[A-Za-z0-9\-._~!$&'()*+,;=:]|%[0-9A-Fa-f]{2})*@)?"
_NAME = r"(?:[A-Za-z0-9\-._~!$&'()*+,;=]|%[0-9A-Fa-f]{2})"
_AUTHORITY = rf"{_USER}(?:\[[0-9A-Fa-f:.]+\]|{_NAME}+)(?::[0-9]*)?"
_ANY_AUTHORITY = rf"{_USER}(?:\[[0-9A-Fa-f:.]+\]|{_NAME}*)(?::[0-9]*)?"
_SEGMENTS = rf"{_CHARACTER}+(?:/{_CHARACTER}*)*"
_PATH = rf"(?://{_ANY_AUTHORITY}(?:/{_CHARACTER}*)*|/(?:{_SEGMENTS})?|{_SEGMENTS})?"
_SCHEME = r"[A-Za-z][A-Za-z0-9+.\-]*"
_URI = rf"{_SCHEME}:{_PATH}(?:\?(?:{_CHARACTER}|[/?])*)?(?:#(?:{_CHARACTER}|[/?])*)?"
_STATEMENT = r"[A-Za-z0-9\-._~:/?#\[\]@!$&'()*+,;= ]+"
_HOUR = "(?:[01][0-9]|2[0-3]):[0-5][0-9]"
_TIME = rf"[0-9]{{4}}-[0-9]{{2}}-[0-9]{{2}}[Tt]{_HOUR}:(?:[0-5][0-9]|60)(?:\.[0-9]+)?(?:[Zz]|[+-]{_HOUR})"
_FIELDS = (
    ("URI", "uri", _URI, "a URI (RFC 3986)"),
    ("Version", "version", "1", "1"),
    ("Chain ID", "chain_id", "[0-9]{1,19}", "a number"),
    ("Nonce", "nonce", "[A-Za-z0-9]{8,}", "8 or more letters and digits"),
    ("Issued At", "issued_at", _TIME, "a time (RFC 3339)"),
)
_OPTIONAL = (
    ("Expiration Time", "expiration_time", _TIME, "a time (RFC 3339)"),
    ("Not Before", "not_before", _TIME, "a time (RFC 3339)"),
    ("Request ID", "request_id", rf"{_CHARACTER}*", "characters of a path (RFC 3986)"),
)


class Message(NamedTuple):
    """What a message says; times as they are written, since the signature covers their spelling.

    Attributes
    ----------
    domain, address, uri, chain_id, nonce, issued_at
        Who asks (host and port), the account with its checksum, what for, the chain, and the time.
    scheme, statement, expiration_time, not_before, request_id, resources
        What may be left out; None where it is.
    """

    domain: str
    address: str
    uri: str
    chain_id: int
    nonce: str
    issued_at: str
    scheme: str | None = None
    statement: str | None = None
    expiration_time: str | None = None
    not_before: str | None = None
    request_id: str | None = None
    resources: tuple[str, ...] | None = None


def make_message(message: Message) -> str:
    """Write a message as the wallet shows and signs it.

    Raises
    ------
    SignInError
        If a field does not fit the grammar, so that it would be read as something else.
    """
    optional = zip(
        (label for label, *_ in _OPTIONAL),
        (message.expiration_time, message.not_before, message.request_id),
        strict=True,
    )
    lines = [
        f"{'' if message.scheme is None else f'{message.scheme}://'}{message.domain}{_INTRODUCTION}",
        message.address,
        "",
        *([] if message.statement is None else [message.statement]),
        "",
        f"URI: {message.uri}",
        "Version: 1",
        f"Chain ID: {message.chain_id}",
        f"Nonce: {message.nonce}",
        f"Issued At: {message.issued_at}",
        *(f"{label}: {value}" for label, value in optional if value is not None),
        *([] if message.resources is None else ["Resources:", *(f"- {uri}" for uri in message.resources)]),
    ]
    text = "\n".join(lines)
    if parse_message(text) != message:
        raise SignInError("message: expected fields that are read as they are written, got one with other content")
    return text


def parse_message(text: str) -> Message:
    """Read a message by the grammar of EIP-4361; nothing may be missing, in another order, or behind its end.

    Raises
    ------
    SignInError
        If it does not fit; the message says which line, what was expected and what was got.
    """
    if len(text) > LONGEST:
        raise SignInError(f"message: expected at most {LONGEST} characters, got {len(text)}")
    lines = _Lines(text.split("\n"))
    scheme, domain = _parse_introduction(lines)
    address = _parse_address(lines)
    lines.take("", "an empty line")
    statement = None if lines.next() == "" else lines.take(_STATEMENT, "a statement of printable ASCII")
    lines.take("", "an empty line")
    fields = {name: lines.take_field(label, pattern, what) for label, name, pattern, what in _FIELDS}
    optional = {
        name: lines.take_field(label, pattern, what) if lines.next().startswith(f"{label}:") else None
        for label, name, pattern, what in _OPTIONAL
    }
    resources = _parse_resources(lines)
    lines.expect_end()
    _check_times(fields["issued_at"], optional["expiration_time"], optional["not_before"])
    chain_id = _parse_chain(fields["chain_id"])
    uri, nonce, issued_at = fields["uri"], fields["nonce"], fields["issued_at"]
    return Message(domain, address, uri, chain_id, nonce, issued_at, scheme, statement, **optional, resources=resources)


class _Lines:
    """Lines of a message, taken one after the other."""

    def __init__(self, lines: list[str]) -> None:
        self._lines, self._at = lines, 0

    def next(self) -> str:
        """The line that comes, without taking it; a line that nothing matches behind the last."""
        return self._lines[self._at] if self._at < len(self._lines) else "\n"

    def take(self, pattern: str, what: str) -> str:
        """Take a line that is as expected."""
        line = self.next()
        if not re.fullmatch(pattern, line):
            raise self.wrong(what)
        self._at += 1
        return line

    def take_field(self, label: str, pattern: str, what: str) -> str:
        """Take a line `label: value`; returns the value."""
        head = f"{label}: "
        return self.take(f"{head}(?:{pattern})", f"'{head}' and {what}")[len(head) :]

    def wrong(self, what: str) -> SignInError:
        """The error that says what was got in place of a line."""
        line = self.next()
        got = "its end" if line == "\n" else shorten(line)
        return SignInError(f"message, line {self._at + 1}: expected {what}, got {got}")

    def expect_end(self) -> None:
        """Refuse what stands behind the last field."""
        if self._at < len(self._lines):
            raise self.wrong("the end, or a field in the order of EIP-4361")


def _parse_introduction(lines: _Lines) -> tuple[str | None, str]:
    """Scheme, if it is named, and domain."""
    pattern = rf"(?:{_SCHEME}://)?{_AUTHORITY}{re.escape(_INTRODUCTION)}"
    who = lines.take(pattern, f"a domain and '{_INTRODUCTION.strip()}'").removesuffix(_INTRODUCTION)
    scheme, separator, domain = who.rpartition("://")
    return (scheme if separator else None), domain


def _parse_address(lines: _Lines) -> str:
    """The account; letters other than those of its checksum are a slip of the hand, or another's."""
    pattern, what = "0x[0-9A-Fa-f]{40}", "an address with the capital letters of its checksum (EIP-55)"
    line = lines.next()
    if re.fullmatch(pattern, line) and make_checksummed(line) != line:
        raise lines.wrong(what)
    return lines.take(pattern, what)


def _parse_resources(lines: _Lines) -> tuple[str, ...] | None:
    """URIs of the last field, None without it."""
    if lines.next() != "Resources:":
        return None
    lines.take("Resources:", "'Resources:'")
    found = []
    while lines.next() != "\n":
        found.append(lines.take(f"- (?:{_URI})", "'- ' and a URI (RFC 3986)")[2:])
    return tuple(found)


def _parse_chain(digits: str) -> int:
    """Number of the chain; one spelling a number, so that a message is its fields and nothing else."""
    if digits != str(int(digits)):
        raise SignInError(f"message: expected a chain id without zeros in front, got {digits}")
    return int(digits)


def parse_time(text: str) -> datetime:
    """Read a time of RFC 3339; a leap second counts as the second before it.

    Raises
    ------
    SignInError
        If it is none.
    """
    try:
        if not re.fullmatch(_TIME, text):
            raise ValueError
        seconds = text[17:19]
        cut = re.sub(r"(\.[0-9]{6})[0-9]+", r"\1", text.upper())
        return datetime.fromisoformat(f"{cut[:17]}{'59' if seconds == '60' else seconds}{cut[19:]}").astimezone(UTC)
    except (ValueError, OverflowError) as reason:
        raise SignInError(f"message: expected a time such as 2026-01-31T12:00:00Z, got {shorten(text)}") from reason


def format_time(time: datetime) -> str:
    """A time of RFC 3339, in UTC, to the second."""
    return time.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _check_times(*times: str | None) -> None:
    for time in times:
        if time is not None:
            parse_time(time)


def check_message(message: Message, site: Site, nonce: str, now: datetime) -> bytes:
    """Check that a message is meant for this site, this sign-in and this moment.

    Parameters
    ----------
    message
        What was signed.
    site
        Where it is used.
    nonce
        The nonce given out for it.
    now
        The time, with its zone.

    Returns
    -------
    bytes
        The page's own Ed25519 key that it names, 32 bytes.

    Raises
    ------
    SignInError
        For each fault a message of its own: domain, scheme, URI, chain, nonce, time, resources.
    """
    scheme = site.origin.partition(":")[0]
    _expect("domain", site.domain, message.domain)
    _expect("scheme", scheme, message.scheme or scheme)
    if message.uri != site.origin and not message.uri.startswith(f"{site.origin}/"):
        _expect("URI", f"one below {site.origin}", message.uri)
    _expect("chain id", str(site.chain_id), str(message.chain_id))
    if message.nonce != nonce:
        raise SignInError("message: expected the nonce of this sign-in, got another; sign in again")
    _check_moment(message, now)
    return find_page_key(message)


def _expect(what: str, wanted: str, got: str) -> None:
    """Refuse a field that does not have the value of this site."""
    if got != wanted:
        raise SignInError(f"message: expected the {what} to be {wanted}, got {shorten(got)}; sign in again from here")


def _check_moment(message: Message, now: datetime) -> None:
    """Refuse a message before or after its time; one without an end lasts as long as a nonce."""
    issued = parse_time(message.issued_at)
    if issued > now + _CLOCKS_APART:
        raise SignInError(f"message: expected one that was issued by now, got one of {message.issued_at}")
    end = issued + VALID if message.expiration_time is None else parse_time(message.expiration_time)
    if now >= min(end, issued + VALID):
        raise SignInError(f"message: expected one of the last 5 minutes, got one of {message.issued_at}; sign in again")
    if message.not_before is not None and now < parse_time(message.not_before):
        raise SignInError(f"message: expected one that holds by now, got one that holds from {message.not_before} on")


def find_page_key(message: Message) -> bytes:
    """The page's own key that a message names.

    Raises
    ------
    SignInError
        If it names none, or several.
    """
    keys = [uri for uri in message.resources or () if uri.startswith(KEY_URN)]
    found = _KEY.fullmatch(keys[0]) if len(keys) == 1 else None
    if found is None:
        raise SignInError(
            f"message: expected one resource {KEY_URN}<64 hexadecimal digits>, the key of this page, "
            f"got {len(keys)} that begin so"
        )
    return bytes.fromhex(found[1])


def name_key(page_key: bytes) -> str:
    """The resource that names a page's key.

    Raises
    ------
    PeopleError
        If it is no key.
    """
    if len(page_key) != 32:
        raise PeopleError(f"key of the page: expected 32 bytes (Ed25519), got {len(page_key)}")
    return f"{KEY_URN}{page_key.hex()}"
