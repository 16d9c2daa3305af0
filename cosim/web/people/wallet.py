"""Addresses of wallets, and whose signature of a message is (EIP-55, EIP-191)."""

from __future__ import annotations

import re
from typing import Any

from cosim.web.people.errors import PeopleError, SignInError
from market.contract import extra
from market.errors import ChainError
from market.ledger.durable import shorten

_ADDRESS = re.compile(r"0x[0-9a-fA-F]{40}", re.ASCII)
_HEX = re.compile(r"0x(?:[0-9a-fA-F]{2})*", re.ASCII)
_ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
"""Order of the group of secp256k1 (SEC 2, section 2.4.1)."""
_LENGTH, _COMPACT = 65, 64
_PARITIES = (0, 1, 27, 28)
_LONGEST = 8192
_COUNTERFACTUAL = bytes.fromhex("6492" * 16)
"""End of a signature by a contract that is not deployed yet (ERC-6492)."""


def import_extra(module: str) -> Any:
    """Import a module of the extra `web`.

    Raises
    ------
    PeopleError
        If it is not installed.
    """
    try:
        return extra.import_extra(module, "web")
    except ChainError as reason:
        raise PeopleError(str(reason)) from reason


def make_checksummed(address: str) -> str:
    """Spell an address with the capital letters that are its checksum (EIP-55).

    Raises
    ------
    PeopleError
        If it is no address.

    Examples
    --------
    >>> make_checksummed("0x5aaeb6053f3e94c9b9a09f33669435e7ef1beaed")
    '0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed'
    """
    if not _ADDRESS.fullmatch(address):
        raise PeopleError(f"address: expected 0x and 40 hexadecimal digits, got {shorten(address)}")
    return str(import_extra("eth_utils").to_checksum_address(address.lower()))


def recover_address(message: str, signature: str) -> str:
    """Find the address whose key has signed a message by `personal_sign`.

    Parameters
    ----------
    message
        The text, as the wallet showed it.
    signature
        `0x` and 130 hexadecimal digits: r, s and v.

    Returns
    -------
    str
        The address with its checksum. Whoever signed, there is one; compare it.

    Raises
    ------
    SignInError
        If it is no such signature; those of contract wallets (EIP-1271, ERC-6492), which only their chain could judge,
        and a second form of a valid one (high s) are refused by name.
    """
    r, s, v = _split_signature(signature)
    accounts, messages = import_extra("eth_account"), import_extra("eth_account.messages")
    try:
        signed = messages.encode_defunct(text=message)
        return str(accounts.Account.recover_message(signed, vrs=(v % 27 + 27, r, s)))
    except Exception as reason:  # eth-keys has errors of several kinds for points that are not on the curve
        raise SignInError("signature: expected one by a wallet's key, got numbers that no key makes") from reason


def _split_signature(signature: str) -> tuple[int, int, int]:
    """The numbers r, s and v of a signature."""
    if len(signature) > _LONGEST or not _HEX.fullmatch(signature):
        raise SignInError(f"signature: expected 0x and 130 hexadecimal digits, got {len(signature)} other characters")
    content = bytes.fromhex(signature[2:])
    _check_length(content)
    r, s, v = int.from_bytes(content[:32], "big"), int.from_bytes(content[32:64], "big"), content[64]
    if not (0 < r < _ORDER and 0 < s < _ORDER):
        raise SignInError("signature: expected r and s between 0 and the order of secp256k1, got others")
    if s > _ORDER // 2:
        raise SignInError("signature: expected s in the lower half (EIP-2), got its mirror image; sign again")
    if v not in _PARITIES:
        raise SignInError(f"signature: expected v to be 27 or 28, got {v}; sign by personal_sign")
    return r, s, v


def _check_length(content: bytes) -> None:
    """Refuse whatever is not 65 bytes, and say what it looks like."""
    if len(content) == _COMPACT:
        raise SignInError("signature: expected 65 bytes, got a compact one of 64 (EIP-2098); sign by personal_sign")
    if content.endswith(_COUNTERFACTUAL) or len(content) > _LENGTH:
        raise SignInError(
            f"signature: expected 65 bytes by a wallet's own key, got {len(content)} as contract wallets make them "
            "(EIP-1271, ERC-6492), which cannot be checked without their chain; use another wallet or a passkey"
        )
    if len(content) < _LENGTH:
        raise SignInError(f"signature: expected 65 bytes, got {len(content)}")
