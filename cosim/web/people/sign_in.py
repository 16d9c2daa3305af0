"""Signing in: a proof of identity in, the person out. Each proof is checked whole, and its nonce used up with it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import NamedTuple

from cosim.web.people import eip4361, passkey
from cosim.web.people.errors import SignInError
from cosim.web.people.nonces import Purpose
from cosim.web.people.persons import Kind, Person
from cosim.web.people.site import Site
from cosim.web.people.store import People
from cosim.web.people.wallet import make_checksummed, recover_address

STATEMENT = (
    "Sign in to the local energy market. The key of this page, named below, will sign what you offer and ask for."
)


class SignedIn(NamedTuple):
    """Who has signed in, and the page's key that the proof covers, 32 bytes."""

    person: Person
    page_key: bytes


class Ceremony(NamedTuple):
    """What a browser needs to ask a passkey: the nonce that it hands back, and the options as JSON."""

    nonce: str
    options_json: str


def _now(people: People) -> datetime:
    return datetime.fromtimestamp(people.clock(), UTC)


def begin_wallet_sign_in(people: People, site: Site, address: str, page_key: bytes) -> str:
    """Make the message that a wallet shows and signs.

    Parameters
    ----------
    people, site
        The store, and where the application is.
    address
        The wallet's account, in any spelling.
    page_key
        The page's own Ed25519 key, 32 bytes, which the message names.

    Raises
    ------
    PeopleError
        If it is no address or no key, or the extra `web` is not installed.
    """
    now = _now(people)
    return eip4361.make_message(
        eip4361.Message(
            domain=site.domain,
            address=make_checksummed(address),
            statement=STATEMENT,
            uri=f"{site.origin}/signin",
            chain_id=site.chain_id,
            nonce=people.nonces.make_nonce(Purpose.WALLET),
            issued_at=eip4361.format_time(now),
            expiration_time=eip4361.format_time(now + eip4361.VALID),
            resources=(eip4361.name_key(page_key),),
        )
    )


def sign_in_with_wallet(people: People, site: Site, message: str, signature: str) -> SignedIn:
    """Sign in with a message that a wallet has signed.

    Parameters
    ----------
    people, site
        The store, and where the application is.
    message, signature
        The text as it was signed, and what `personal_sign` returned.

    Raises
    ------
    SignInError
        If the message is not for this site and moment, its nonce was used, or another wallet has signed it.
    FullError
        If too many strangers sign in.
    """
    parsed = eip4361.parse_message(message)
    page_key = eip4361.check_message(parsed, site, parsed.nonce, _now(people))
    people.nonces.check_nonce(parsed.nonce, Purpose.WALLET)
    if recover_address(message, signature) != parsed.address:
        raise SignInError(
            "signature: expected one by the wallet that the message names, got another's; a contract wallet cannot "
            "be used, since only its chain could check it (EIP-1271)"
        )
    with people.file.transaction():
        people.nonces.use_nonce(parsed.nonce, Purpose.WALLET)
        return SignedIn(people.persons.greet(Kind.WALLET, parsed.address.lower(), page_key), page_key)


def begin_passkey_registration(people: People, site: Site, page_key: bytes) -> Ceremony:
    """Make what a browser needs to make a passkey; raises as `begin_wallet_sign_in`."""
    nonce = people.nonces.make_nonce(Purpose.PASSKEY_REGISTRATION)
    return Ceremony(nonce, passkey.make_registration_options(site, passkey.make_challenge(nonce, page_key)))


def register_passkey(people: People, site: Site, nonce: str, page_key: bytes, credential_json: str) -> SignedIn:
    """Sign in for the first time with a new passkey.

    Parameters
    ----------
    people, site
        The store, and where the application is.
    nonce, page_key
        As of `begin_passkey_registration`.
    credential_json
        What `navigator.credentials.create` returned, as JSON.

    Raises
    ------
    SignInError
        If it is not made for this site, nonce and key, the nonce was used, or the passkey is known.
    FullError
        If too many strangers sign in.
    """
    people.nonces.check_nonce(nonce, Purpose.PASSKEY_REGISTRATION)
    credential = passkey.verify_registration(site, passkey.make_challenge(nonce, page_key), credential_json)
    with people.file.transaction():
        people.nonces.use_nonce(nonce, Purpose.PASSKEY_REGISTRATION)
        if people.persons.find_by_subject(Kind.PASSKEY, credential.identity) is not None:
            raise SignInError(
                "passkey: expected a new one, got one that this market knows; sign in with it: Use a passkey"
            )
        person = people.persons.greet(Kind.PASSKEY, credential.identity, page_key)
        people.passkeys.add(person.number, credential)
    return SignedIn(person, page_key)


def begin_passkey_sign_in(people: People, site: Site, page_key: bytes) -> Ceremony:
    """Make what a browser needs to ask for a passkey; raises as `begin_wallet_sign_in`."""
    nonce = people.nonces.make_nonce(Purpose.PASSKEY_SIGN_IN)
    return Ceremony(nonce, passkey.make_sign_in_options(site, passkey.make_challenge(nonce, page_key)))


def sign_in_with_passkey(people: People, site: Site, nonce: str, page_key: bytes, credential_json: str) -> SignedIn:
    """Sign in with a passkey that is registered; parameters and errors as for `register_passkey`."""
    people.nonces.check_nonce(nonce, Purpose.PASSKEY_SIGN_IN)
    known = people.passkeys.find(passkey.read_identity(credential_json))
    if known is None:
        raise SignInError(
            "passkey: expected one that this market knows, got another; make one here first: Make a passkey"
        )
    challenge = passkey.make_challenge(nonce, page_key)
    sign_count = passkey.verify_sign_in(site, challenge, credential_json, known)
    with people.file.transaction():
        people.nonces.use_nonce(nonce, Purpose.PASSKEY_SIGN_IN)
        person = people.persons.greet(Kind.PASSKEY, known.identity, page_key)
        people.passkeys.count_use(person.number, sign_count)
    return SignedIn(person, page_key)
