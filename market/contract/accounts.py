"""Accounts of a chain: key files, and transactions that are signed with them. Needs the extra `evm`.

A key file holds 64 hexadecimal digits, or a key encrypted with a password as wallets write it (keystore, version 3).
No message holds anything of a key or of a password.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

from market.contract.extra import import_extra
from market.errors import ChainError
from market.ledger.crypto.keys import read_private_file

ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
"""Order of the group of secp256k1 (SEC 2, section 2.4.1)."""

MOST_WORK = {"n": 1 << 20, "r": 32, "p": 32, "c": 10_000_000, "dklen": 64}
"""Greatest numbers of a keystore: memory and time are theirs, and a file may say anything."""

MOST_MEMORY, MOST_STEPS = 1 << 28, 1 << 22
"""Greatest memory of scrypt, 128 n r bytes, and greatest n r p, which is its time (RFC 7914); wallets take a half."""

_KEY = re.compile(r"(?:0x)?([0-9a-fA-F]{64})", re.ASCII)
_ADDRESS = re.compile(r"0x[0-9a-fA-F]{40}", re.ASCII)


class Account:
    """An account that signs; what is shown of it is its address.

    Parameters
    ----------
    key
        32 bytes.
    """

    def __init__(self, key: bytes) -> None:
        self._signer = import_extra("eth_account").Account.from_key(key)
        self.address = str(self._signer.address)

    def __repr__(self) -> str:
        return f"Account({self.address})"

    def sign(self, fields: dict[str, Any]) -> tuple[bytes, bytes]:
        """Sign a transaction; returns its bytes and its hash.

        Parameters
        ----------
        fields
            By the names of JSON-RPC, numbers as integers.
        """
        signed = self._signer.sign_transaction(fields)
        return bytes(signed.raw_transaction), bytes(signed.hash)


def read_account(path: Path, ask_password: Callable[[], str]) -> Account:
    """Read the account of a key file.

    Parameters
    ----------
    path
        The file.
    ask_password
        Called once, if the key is encrypted.

    Raises
    ------
    LedgerError
        If there is no file, or others than its owner can read it.
    ChainError
        If it holds no key, or the password is wrong.
    """
    content = read_private_file(path).decode("utf-8", "replace").strip()
    if content.startswith("{"):
        return Account(_check_key(path, _decrypt(path, content, ask_password)))
    found = _KEY.fullmatch(content)
    if found is None:
        raise ChainError(
            f"{path}: expected 64 hexadecimal digits or a keystore of version 3 (a JSON object), got something else"
        )
    return Account(_check_key(path, bytes.fromhex(found[1])))


def check_address(address: str, what: str) -> str:
    """An address as it is to be spelled, with the capital letters that are its checksum (EIP-55).

    Raises
    ------
    ChainError
        If it is none, or its capital letters are those of another.

    Examples
    --------
    >>> check_address("0x5fbdb2315678afecb367f032d93f642f64180aa3", "--contract")
    '0x5FbDB2315678afecb367f032d93F642f64180aa3'
    """
    if not _ADDRESS.fullmatch(address):
        raise ChainError(f"{what}: expected an address, 0x and 40 hexadecimal digits, got {address[:60]!r}")
    spelled = str(import_extra("eth_utils").to_checksum_address(address.lower()))
    if address[2:] not in (spelled[2:], spelled[2:].lower(), spelled[2:].upper()):
        raise ChainError(f"{what}: expected {spelled}, got {address}, whose capital letters differ; was it typed?")
    return spelled


def recover_signer(raw: bytes) -> str:
    """Address of the account that signed a transaction; nothing if nobody did."""
    signers = import_extra("eth_account").Account
    try:
        return str(signers.recover_transaction(raw))
    except Exception:  # the library's errors have no common base; all say that it is no signed transaction
        return ""


def _check_key(path: Path, key: bytes) -> bytes:
    if len(key) != 32 or not 0 < int.from_bytes(key, "big") < ORDER:
        raise ChainError(f"{path}: expected a key of secp256k1, got a number that is none")
    return key


def _decrypt(path: Path, content: str, ask_password: Callable[[], str]) -> bytes:
    keystore = _parse_keystore(path, content)
    password = ask_password()
    try:
        return bytes(import_extra("eth_account").Account.decrypt(keystore, password))
    except ChainError:
        raise
    except Exception as reason:  # the library's errors have no common base
        # Its message, and the chain of its causes, may show what it was given.
        what = "the key of its password" if "MAC" in str(reason) else "a sound keystore of version 3"
        raise ChainError(f"{path}: expected {what}, got another; the password or the file is wrong") from None


def _parse_keystore(path: Path, content: str) -> dict[str, Any]:
    """A keystore with its names in small letters, which is how the library that decrypts it reads them."""
    try:
        keystore = json.loads(content, object_pairs_hook=_lower, parse_constant=_refuse_constant)
        parameters, version = keystore["crypto"]["kdfparams"], keystore["version"]
        numbers = {name: parameters[name] for name in MOST_WORK if name in parameters}
    except _TwiceError as reason:
        raise ChainError(f"{path}: expected a keystore of version 3, got two values of {reason}") from None
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise ChainError(f"{path}: expected a keystore of version 3, got another JSON") from None
    if type(version) is not int or version != 3:
        raise ChainError(f"{path}: expected a keystore of version 3, got another version; write it again with a wallet")
    for name, value in numbers.items():
        if type(value) is not int or not 0 < value <= MOST_WORK[name]:
            raise ChainError(f"{path}: expected kdfparams {name} of 1 to {MOST_WORK[name]:,}, got another")
    n, r, p = (numbers.get(name, 1) for name in "nrp")
    if 128 * n * r > MOST_MEMORY or n * r * p > MOST_STEPS:
        raise ChainError(
            f"{path}: expected kdfparams n, r, p with 128 n r of at most {MOST_MEMORY:,} bytes and n r p of at most "
            f"{MOST_STEPS:,}, got more; write it again with a wallet"
        )
    return dict(keystore)


class _TwiceError(ValueError):
    """A name stands twice in an object: whoever checks it and whoever uses it may take another one."""


def _lower(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in pairs:
        if name.lower() in found:
            raise _TwiceError(repr(name.lower()[:20]))
        found[name.lower()] = value
    return found


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(name)
