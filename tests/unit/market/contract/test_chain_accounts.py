"""Key files: what is read, what is refused, and that nothing of a key or password is ever told."""

from __future__ import annotations

import json
import os
import traceback
from pathlib import Path
from typing import Any

import pytest
from chain_world import KEY, key_file

from market.contract.accounts import ORDER, Account, check_address, read_account
from market.contract.extra import import_extra
from market.errors import ChainError, LedgerError

ADDRESS = "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266"
PASSWORD = "correct-horse"


def never() -> str:
    raise AssertionError("a password is asked for")


def keystore(**parameters: Any) -> dict[str, Any]:
    return dict(import_extra("eth_account").Account.encrypt(KEY, PASSWORD, kdf="scrypt", iterations=4, **parameters))


def written(folder: Path, content: str) -> Path:
    path = folder / "key"
    path.touch(mode=0o600)
    path.write_text(content)
    return path


@pytest.mark.parametrize("content", [KEY.hex(), f"0x{KEY.hex()}\n", KEY.hex().upper()])
def test_a_key_is_64_digits(content: str, tmp_path: Path) -> None:
    assert read_account(written(tmp_path, content), never).address == ADDRESS


def test_a_keystore_needs_its_password(tmp_path: Path) -> None:
    path = written(tmp_path, json.dumps(keystore()))
    assert read_account(path, lambda: PASSWORD).address == ADDRESS
    with pytest.raises(ChainError, match="expected the key of its password, got another") as found:
        read_account(path, lambda: "wrong-horse")
    assert "horse" not in "".join(traceback.format_exception(found.value)).replace('wrong-horse")', "")


def test_a_wallet_spells_crypto_with_a_capital(tmp_path: Path) -> None:
    made = keystore()
    made["Crypto"] = made.pop("crypto")
    assert read_account(written(tmp_path, json.dumps(made)), lambda: PASSWORD).address == ADDRESS


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604, 0o660])
def test_a_key_that_others_can_read_is_refused(mode: int, tmp_path: Path) -> None:
    path = key_file(tmp_path)
    path.chmod(mode)
    with pytest.raises(LedgerError, match=f"mode 600.*, got mode {mode:o}; chmod 600"):
        read_account(path, never)


def change(made: dict[str, Any], **parameters: Any) -> str:
    made["crypto"]["kdfparams"] |= parameters
    return json.dumps(made)


BAD = {
    "nothing": "",
    "few digits": KEY.hex()[:-1],
    "many digits": KEY.hex() + "00",
    "no digits": "z" * 64,
    "zero": "0" * 64,
    "the order": f"{ORDER:064x}",
    "a PEM": "-----BEGIN PRIVATE KEY-----\n",
    "a list": "[1]",
    "an empty object": "{}",
    "half an object": '{"crypto":',
    "nested": '{"a":' * 10_000,
    "version 1": json.dumps({**keystore(), "version": 1}),
    "version text": json.dumps({**keystore(), "version": "3"}),
    "much memory": change(keystore(), n=1 << 40),
    "no memory": change(keystore(), n=0),
    "n that is text": change(keystore(), n="many"),
    "n no power of two": change(keystore(), n=3),
    "no salt": change(keystore(), salt=5),
    "another kdf": json.dumps({**keystore(), "crypto": {**keystore()["crypto"], "kdf": "rot13"}}),
    "short key": json.dumps({**keystore(), "crypto": {**keystore()["crypto"], "ciphertext": "00"}}),
}


@pytest.mark.parametrize("name", BAD)
def test_what_is_no_key_is_refused_without_showing_it(name: str, tmp_path: Path) -> None:
    path = written(tmp_path, BAD[name])
    with pytest.raises(ChainError) as found:
        read_account(path, lambda: PASSWORD)
    told = "".join(traceback.format_exception(found.value))
    assert str(path) in str(found.value)
    assert len(str(found.value)) < 300
    assert KEY.hex()[:12] not in told
    assert found.value.__cause__ is None


@pytest.mark.parametrize(
    ("parameters", "said"),
    [
        ({"n": 2, "N": 1 << 22}, "expected a keystore of version 3, got two values of 'n'"),
        ({"n": 2, "N": 2}, "got two values of 'n'"),
        ({"R": 1 << 20, "r": 8}, "got two values of 'r'"),
        ({"N": 1 << 22}, "got two values of 'n'"),
        ({"n": float("inf")}, "expected a keystore of version 3, got another JSON"),
        ({"n": float("nan")}, "got another JSON"),
        ({"n": 2.0}, "expected kdfparams n of 1 to 1,048,576, got another"),
        ({"n": True}, "expected kdfparams n of 1 to 1,048,576, got another"),
        ({"p": 10**40}, "expected kdfparams p of 1 to 32, got another"),
        ({"c": 10_000_001}, "expected kdfparams c of 1 to 10,000,000, got another"),
        ({"n": 1 << 19, "r": 8}, r"128 n r of at most 268,435,456 bytes .* got more; write it again with a wallet"),
        ({"n": 1 << 14, "r": 32, "p": 32}, "n r p of at most 4,194,304, got more"),
    ],
)
def test_a_keystore_that_asks_for_much_is_refused_before_its_password(
    parameters: dict[str, Any], said: str, tmp_path: Path
) -> None:
    with pytest.raises(ChainError, match=said):
        read_account(written(tmp_path, change(keystore(), **parameters)), never)


def test_two_spellings_of_one_name_are_refused_anywhere(tmp_path: Path) -> None:
    """The library that decrypts it takes any spelling, and the last of several."""
    for text in (
        json.dumps({**keystore(), "Crypto": {}}),
        json.dumps(keystore()).replace('"version"', '"version": 3, "version"'),
        json.dumps(keystore()).replace('"salt"', '"SALT": "00", "salt"'),
    ):
        with pytest.raises(ChainError, match=r"got two values of '(crypto|version|salt)'"):
            read_account(written(tmp_path, text), never)


@pytest.mark.parametrize("kdf", ["scrypt", "pbkdf2"])
def test_what_wallets_write_is_read(kdf: str, tmp_path: Path) -> None:
    """With the greatest numbers that are common: 2^18 of scrypt, a million of PBKDF2."""
    iterations = 1 << 18 if kdf == "scrypt" else 1_000_000
    made = import_extra("eth_account").Account.encrypt(KEY, PASSWORD, kdf=kdf, iterations=iterations)
    assert read_account(written(tmp_path, json.dumps(made)), lambda: PASSWORD).address == ADDRESS


@pytest.mark.skipif(os.name != "posix", reason="pipes are of POSIX")
def test_a_pipe_is_no_key(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe", 0o600)
    with pytest.raises(LedgerError, match="no regular file"):
        read_account(tmp_path / "pipe", never)


def test_what_is_shown_of_an_account_is_its_address() -> None:
    account = Account(KEY)
    assert repr(account) == f"Account({ADDRESS})"
    assert KEY.hex() not in repr(vars(account))


@pytest.mark.parametrize(
    "address", ["", "0x12", ADDRESS[2:], ADDRESS + "0", ADDRESS.replace("F", "f", 1), "0x" + "g" * 40, ADDRESS + "\n"]
)
def test_what_is_no_address_is_refused(address: str) -> None:
    with pytest.raises(ChainError, match="--contract: expected"):
        check_address(address, "--contract")


@pytest.mark.parametrize("address", [ADDRESS, ADDRESS.lower(), "0x" + ADDRESS[2:].upper()])
def test_addresses_are_spelled_with_their_checksum(address: str) -> None:
    assert check_address(address, "--contract") == ADDRESS
