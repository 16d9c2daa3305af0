"""Passkeys (WebAuthn level 2): options for the browser, and its answers checked.

The challenge is made of a nonce and the page's key, so that the passkey's signature covers the page's key as a wallet's
covers it in the message.
"""

from __future__ import annotations

import json
import re
import secrets
from base64 import urlsafe_b64encode
from hashlib import sha256
from typing import Any, NamedTuple

from cosim.web.people.eip4361 import name_key
from cosim.web.people.errors import SignInError
from cosim.web.people.file import PeopleFile
from cosim.web.people.site import Site
from cosim.web.people.wallet import import_extra
from market.ledger.durable import shorten

LONGEST_ANSWER = 1 << 14
_LONGEST_ID, _LONGEST_KEY = 1023, 2048
_TIMEOUT_MS = 300_000
_IDENTITY = re.compile(r"[A-Za-z0-9_-]{1,1400}")


class Credential(NamedTuple):
    """A passkey: its id in base64url, its public key (COSE), and how often it says that it was used."""

    identity: str
    public_key: bytes
    sign_count: int


class Passkeys:
    """The passkeys of a store."""

    def __init__(self, file: PeopleFile) -> None:
        self._file = file

    def add(self, person: int, credential: Credential) -> None:
        """Keep a person's passkey, within the caller's transaction."""
        self._file.write("INSERT INTO passkey VALUES(?,?,?)", person, credential.public_key, credential.sign_count)

    def find(self, identity: str) -> Credential | None:
        """The passkey of an id; None if it is not known."""
        query = (
            "SELECT public_key, sign_count FROM passkey JOIN person ON number = person"
            " WHERE kind = 'passkey' AND subject = ?"
        )
        for public_key, sign_count in self._file.rows(query, identity):
            return Credential(identity, public_key, sign_count)
        return None

    def count_use(self, person: int, sign_count: int) -> None:
        """Keep the counter of an answer, within the caller's transaction.

        Raises
        ------
        SignInError
            If it is not above the last one, as after a copy of the passkey was used; 0 where it does not count.
        """
        statement = "UPDATE passkey SET sign_count = ? WHERE person = ? AND (sign_count < ? OR sign_count + ? = 0)"
        if self._file.write(statement, sign_count, person, sign_count, sign_count) == 0:
            raise SignInError("passkey: expected a counter above the last one, got an answer that may be a copy's")


def make_challenge(nonce: str, page_key: bytes) -> bytes:
    """What the passkey signs: SHA-256 over the nonce and the page's key, 32 bytes."""
    name_key(page_key)
    return sha256(b"gridsettle passkey v1\0" + nonce.encode() + page_key).digest()


def make_registration_options(site: Site, challenge: bytes) -> str:
    """Options for `navigator.credentials.create`, as JSON."""
    webauthn, structs = import_extra("webauthn"), import_extra("webauthn.helpers.structs")
    options = webauthn.generate_registration_options(
        rp_id=site.host,
        rp_name="gridsettle",
        user_name="member of the local energy market",
        user_id=secrets.token_bytes(32),
        challenge=challenge,
        timeout=_TIMEOUT_MS,
        attestation=structs.AttestationConveyancePreference.NONE,
        authenticator_selection=structs.AuthenticatorSelectionCriteria(
            resident_key=structs.ResidentKeyRequirement.REQUIRED,
            user_verification=structs.UserVerificationRequirement.PREFERRED,
        ),
    )
    return str(webauthn.options_to_json(options))


def make_sign_in_options(site: Site, challenge: bytes) -> str:
    """Options for `navigator.credentials.get`, as JSON; they name no passkey, so nobody learns which are known."""
    webauthn, structs = import_extra("webauthn"), import_extra("webauthn.helpers.structs")
    options = webauthn.generate_authentication_options(
        rp_id=site.host,
        challenge=challenge,
        timeout=_TIMEOUT_MS,
        user_verification=structs.UserVerificationRequirement.PREFERRED,
    )
    return str(webauthn.options_to_json(options))


def verify_registration(site: Site, challenge: bytes, answer: str) -> Credential:
    """Check the answer of `navigator.credentials.create`.

    Parameters
    ----------
    site, challenge
        What it must be bound to.
    answer
        The credential as JSON.

    Raises
    ------
    SignInError
        If it does not prove a passkey for this site and challenge.
    """
    made = _verify("verify_registration_response", site, challenge, answer)
    identity, key = made.credential_id, made.credential_public_key
    if not 16 <= len(identity) <= _LONGEST_ID or len(key) > _LONGEST_KEY:
        raise SignInError(
            f"passkey: expected an id of 16 to {_LONGEST_ID} bytes and a key of at most {_LONGEST_KEY}, "
            f"got {len(identity)} and {len(key)}"
        )
    return Credential(urlsafe_b64encode(identity).rstrip(b"=").decode("ascii"), key, made.sign_count)


def verify_sign_in(site: Site, challenge: bytes, answer: str, known: Credential) -> int:
    """Check the answer of `navigator.credentials.get` by a known passkey; returns its new counter.

    Raises
    ------
    SignInError
        If it is not signed by that passkey for this site and challenge, or its counter went back.
    """
    made = _verify(
        "verify_authentication_response",
        *(site, challenge, answer),
        credential_public_key=known.public_key,
        credential_current_sign_count=known.sign_count,
    )
    return int(made.new_sign_count)


def read_identity(answer: str) -> str:
    """Id of the passkey that an answer says it is of, in base64url.

    Raises
    ------
    SignInError
        If it is no answer of a passkey.
    """
    if len(answer) > LONGEST_ANSWER:
        raise SignInError(f"passkey: expected an answer of at most {LONGEST_ANSWER} characters, got {len(answer)}")
    try:
        identity = json.loads(answer)["id"]
    except (ValueError, KeyError, TypeError, RecursionError):
        identity = None
    if not isinstance(identity, str) or not _IDENTITY.fullmatch(identity):
        raise SignInError("passkey: expected the JSON of a credential with its id, got something else")
    return identity


def _verify(function: str, site: Site, challenge: bytes, answer: str, **known: Any) -> Any:
    """Let the library judge an answer; whatever it stumbles over is a refusal."""
    read_identity(answer)
    webauthn, errors = import_extra("webauthn"), import_extra("webauthn.helpers.exceptions")
    try:
        return getattr(webauthn, function)(
            credential=answer,
            expected_challenge=challenge,
            expected_rp_id=site.host,
            expected_origin=site.origin,
            **known,
        )
    except errors.WebAuthnException as reason:
        raise SignInError(
            f"passkey: expected an answer for this site and this sign-in, got one that is refused: "
            f"{shorten(str(reason), 160)}"
        ) from reason
    except Exception as reason:  # CBOR, ASN.1 and curves of strangers fail in many ways
        raise SignInError("passkey: expected an answer that can be read, got another") from reason
