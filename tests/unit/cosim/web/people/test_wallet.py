"""Wallets: addresses with their checksum, and signatures that are refused by name."""

from __future__ import annotations

import importlib
import subprocess
import sys
from types import ModuleType

import pytest
from eth_account import Account
from eth_account.messages import encode_defunct
from hypothesis import given, settings
from hypothesis import strategies as st

from cosim.web.people.errors import PeopleError, SignInError
from cosim.web.people.wallet import import_extra, make_checksummed, recover_address

ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
WALLET = Account.from_key("0x" + "07" * 32)
SIGNED = bytes(WALLET.sign_message(encode_defunct(text="hello")).signature)

EIP_55 = [  # the standard's own examples
    "0x52908400098527886E0F7030069857D2E4169EE7",
    "0x8617E340B3D01FA5F11F306F4090FD50E238070D",
    "0xde709f2102306220921060314715629080e2fb77",
    "0x27b1fdb04752bbc536007a920d24acb045561c26",
    "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed",
    "0xfB6916095ca1df60bB79Ce92cE3Ea74c37c5d359",
    "0xdbF03B407c01E7cD3CBea99509d93f8DDDC8C6FB",
    "0xD1220A0cf47c7B9Be7A2E6BA89F429762e7b9aDb",
]


@pytest.mark.parametrize("address", EIP_55)
def test_the_checksums_of_eip_55(address: str) -> None:
    assert make_checksummed(address.lower()) == address
    assert make_checksummed("0x" + address[2:].upper()) == address


@pytest.mark.parametrize(
    "wrong", ["", "0x", "5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed", EIP_55[0] + "0", "0x" + "g" * 40]
)
def test_what_is_no_address_is_refused(wrong: str) -> None:
    with pytest.raises(PeopleError, match="expected 0x and 40 hexadecimal digits"):
        make_checksummed(wrong)


@settings(max_examples=25)  # the curve is computed in Python
@given(st.integers(1, ORDER - 1), st.text(max_size=60))
def test_whoever_signs_is_found(key: int, text: str) -> None:
    wallet = Account.from_key(key.to_bytes(32, "big"))
    text = text.encode("utf-8", "replace").decode()
    signature = "0x" + bytes(wallet.sign_message(encode_defunct(text=text)).signature).hex()
    assert recover_address(text, signature) == wallet.address
    assert recover_address(text + ".", signature) != wallet.address


def mirrored(signature: bytes) -> bytes:
    """The second form of a signature: as valid for the curve, and refused since EIP-2."""
    s = ORDER - int.from_bytes(signature[32:64], "big")
    return signature[:32] + s.to_bytes(32, "big") + bytes([55 - signature[64]])


@pytest.mark.parametrize(
    ("signature", "why"),
    [
        (b"", "expected 65 bytes, got 0"),
        (SIGNED[:64], "EIP-2098"),
        (SIGNED[:63], "expected 65 bytes, got 63"),
        (SIGNED + b"\0", "EIP-1271"),
        (SIGNED * 3, "EIP-1271"),
        (bytes(64) + bytes.fromhex("6492" * 16), "ERC-6492"),
        (mirrored(SIGNED), "lower half"),
        (bytes(32) + SIGNED[32:], "between 0 and the order"),
        (SIGNED[:32] + bytes(32) + SIGNED[64:], "between 0 and the order"),
        (ORDER.to_bytes(32, "big") + SIGNED[32:], "between 0 and the order"),
        (SIGNED[:32] + b"\xff" * 32 + SIGNED[64:], "between 0 and the order"),
        (SIGNED[:64] + b"\x02", "27 or 28"),
        (SIGNED[:64] + b"\x25", "27 or 28"),
        ((5).to_bytes(32, "big") + SIGNED[32:], "no key makes"),  # no point of the curve has x = 5
    ],
)
def test_odd_signatures_are_refused_by_name(signature: bytes, why: str) -> None:
    with pytest.raises(SignInError, match=why):
        recover_address("hello", "0x" + signature.hex())


@pytest.mark.parametrize("text", ["", "0x1", "0xzz", SIGNED.hex(), "0x" + "00" * 5000, "0x" + "٣" * 130])
def test_what_is_not_hexadecimal_is_refused(text: str) -> None:
    with pytest.raises(SignInError, match="hexadecimal digits"):
        recover_address("hello", text)


@pytest.mark.parametrize("v", [SIGNED[64], SIGNED[64] - 27])
def test_hardware_wallets_may_count_parity_from_zero(v: int) -> None:
    assert recover_address("hello", "0x" + (SIGNED[:64] + bytes([v])).hex()) == WALLET.address


def test_without_the_extra_it_is_said_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(name: str) -> ModuleType:
        raise ModuleNotFoundError(name)

    monkeypatch.setattr(importlib, "import_module", fail)
    with pytest.raises(PeopleError, match=r"expected the package eth-account, found none.*gridsettle\[web\]"):
        import_extra("eth_account.messages")


def test_importing_the_extra_leaves_the_limit_of_recursion() -> None:
    """Raised a hundredfold, as a library below eth-account does, deeply nested JSON ends the process."""
    program = (
        "import json, sys\n"
        "from cosim.web.people.wallet import import_extra\n"
        "before = sys.getrecursionlimit()\n"
        "import_extra('eth_account'), import_extra('webauthn')\n"
        "assert sys.getrecursionlimit() == before\n"
        "try:\n    json.loads('[' * 200_000)\nexcept RecursionError:\n    print('refused')\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "refused\n"), done.stderr
