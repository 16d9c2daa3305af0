"""A wallet and a passkey of software, as browsers would hold them; written from the standards, not from our code."""

from __future__ import annotations

import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from hashlib import sha256
from typing import Any

import cbor2
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from eth_account import Account
from eth_account.messages import encode_defunct


class Wallet:
    """A wallet with one account: `personal_sign` (EIP-191)."""

    def __init__(self, number: int = 1) -> None:
        self._account = Account.from_key(sha256(b"wallet %d" % number).digest())
        self.address = str(self._account.address)

    def sign(self, message: str) -> str:
        return "0x" + bytes(self._account.sign_message(encode_defunct(text=message)).signature).hex()


def encode(content: bytes) -> str:
    return urlsafe_b64encode(content).rstrip(b"=").decode()


def decode(text: str) -> bytes:
    return urlsafe_b64decode(text + "=" * (-len(text) % 4))


class Passkey:
    """An authenticator with one discoverable credential on P-256 (WebAuthn level 2, §6.1 and §6.5.4)."""

    PRESENT, VERIFIED, ATTESTED = 0x01, 0x04, 0x40

    def __init__(self, number: int = 1, *, counts: bool = True) -> None:
        self.identity = sha256(b"passkey %d" % number).digest()
        self._key = ec.derive_private_key(int.from_bytes(sha256(self.identity).digest(), "big"), ec.SECP256R1())
        self.count, self._counts = 0, counts
        self.flags = self.PRESENT | self.VERIFIED

    def create(self, options_json: str, origin: str) -> str:
        """The answer of `navigator.credentials.create`, as JSON, without attestation."""
        options = json.loads(options_json)
        numbers = self._key.public_key().public_numbers()
        public = {1: 2, 3: -7, -1: 1, -2: numbers.x.to_bytes(32, "big"), -3: numbers.y.to_bytes(32, "big")}
        attested = bytes(16) + len(self.identity).to_bytes(2, "big") + self.identity + cbor2.dumps(public)
        data = self._authenticator_data(options["rp"]["id"], self.ATTESTED) + attested
        attestation = cbor2.dumps({"fmt": "none", "attStmt": {}, "authData": data})
        client = self._client_data("webauthn.create", options["challenge"], origin)
        return self._credential({"clientDataJSON": encode(client), "attestationObject": encode(attestation)})

    def get(self, options_json: str, origin: str) -> str:
        """The answer of `navigator.credentials.get`, as JSON."""
        options = json.loads(options_json)
        self.count += self._counts
        data = self._authenticator_data(options["rpId"], 0)
        client = self._client_data("webauthn.get", options["challenge"], origin)
        signature = self._key.sign(data + sha256(client).digest(), ec.ECDSA(hashes.SHA256()))
        return self._credential(
            {
                "clientDataJSON": encode(client),
                "authenticatorData": encode(data),
                "signature": encode(signature),
                "userHandle": None,
            }
        )

    def _authenticator_data(self, host: str, more_flags: int) -> bytes:
        return sha256(host.encode()).digest() + bytes([self.flags | more_flags]) + self.count.to_bytes(4, "big")

    def _client_data(self, kind: str, challenge: str, origin: str) -> bytes:
        return json.dumps({"type": kind, "challenge": challenge, "origin": origin, "crossOrigin": False}).encode()

    def _credential(self, response: dict[str, Any]) -> str:
        identity = encode(self.identity)
        return json.dumps({"id": identity, "rawId": identity, "type": "public-key", "response": response})
