"""Key files, their permissions, and sealed boxes."""

from __future__ import annotations

from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from market.errors import LedgerError
from market.ledger.crypto.keys import (
    is_encrypted,
    is_signed,
    public_bytes,
    read_private_key,
    read_public_key,
    write_key_pair,
)
from market.ledger.crypto.sealed import seal, unseal, x25519_private_key, x25519_public_key
from market.ledger.format.header import make_demonstration_key

KEY = make_demonstration_key(1)


def test_a_key_comes_back_from_its_files_which_only_the_owner_can_read(tmp_path: Path) -> None:
    public = write_key_pair(tmp_path / "a.key", KEY)
    assert (tmp_path / "a.key").stat().st_mode & 0o777 == 0o600
    assert public_bytes(read_private_key(tmp_path / "a.key")) == read_public_key(public) == public_bytes(KEY)


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o644, 0o660])
def test_a_key_that_others_can_read_is_refused(tmp_path: Path, mode: int) -> None:
    write_key_pair(tmp_path / "a.key", KEY)
    (tmp_path / "a.key").chmod(mode)
    with pytest.raises(LedgerError, match=rf"got mode {mode:o}; chmod 600"):
        read_private_key(tmp_path / "a.key")


def test_a_key_is_never_overwritten(tmp_path: Path) -> None:
    write_key_pair(tmp_path / "a.key", KEY)
    with pytest.raises(LedgerError, match="never overwritten"):
        write_key_pair(tmp_path / "a.key", make_demonstration_key(2))
    assert public_bytes(read_private_key(tmp_path / "a.key")) == public_bytes(KEY)


def test_a_passphrase_is_needed_and_must_fit(tmp_path: Path) -> None:
    path = tmp_path / "a.key"
    write_key_pair(path, KEY, b"secret")
    assert is_encrypted(path)
    assert KEY.private_bytes_raw() not in path.read_bytes()
    assert public_bytes(read_private_key(path, b"secret")) == public_bytes(KEY)
    for wrong in (None, b"guess"):
        with pytest.raises(LedgerError, match="passphrase"):
            read_private_key(path, wrong)


def test_what_is_no_key_is_refused(tmp_path: Path) -> None:
    other = generate_private_key(SECP256R1())
    (tmp_path / "ec.key").write_bytes(other.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    (tmp_path / "ec.key").chmod(0o600)
    (tmp_path / "ec.pub").write_bytes(other.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    (tmp_path / "text").write_text("no key")
    (tmp_path / "text").chmod(0o600)
    for read in (read_private_key, read_public_key):
        with pytest.raises(LedgerError, match="expected a key file, got No such file"):
            read(tmp_path / "none")
        with pytest.raises(LedgerError, match="Ed25519"):
            read(tmp_path / "text")
    with pytest.raises(LedgerError, match="expected an Ed25519 key"):
        read_private_key(tmp_path / "ec.key")
    with pytest.raises(LedgerError, match="expected an Ed25519 public key"):
        read_public_key(tmp_path / "ec.pub")


def test_signatures_by_no_point_of_the_curve_do_not_count() -> None:
    signature = KEY.sign(b"message")
    assert is_signed(public_bytes(KEY), signature, b"message")
    assert not is_signed(public_bytes(KEY), signature, b"massage")
    assert not is_signed(b"\x02" + bytes(31), signature, b"message")
    assert not is_signed(b"", signature, b"message")


# RFC 8032 §7.1, test 1.
RFC_SECRET = "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60"
RFC_PUBLIC = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"


def test_both_halves_of_a_key_go_over_to_x25519_alike() -> None:
    for key in (KEY, Ed25519PrivateKey.from_private_bytes(bytes.fromhex(RFC_SECRET))):
        own = x25519_private_key(key).public_key().public_bytes_raw()
        assert x25519_public_key(public_bytes(key)).public_bytes_raw() == own
    assert public_bytes(Ed25519PrivateKey.from_private_bytes(bytes.fromhex(RFC_SECRET))).hex() == RFC_PUBLIC


def test_only_the_recipient_opens_a_box_and_only_unchanged() -> None:
    box = seal(b"a record", public_bytes(KEY))
    assert unseal(box, KEY) == b"a record"
    assert seal(b"a record", public_bytes(KEY)) != box
    with pytest.raises(LedgerError, match="sealed to this key"):
        unseal(box, make_demonstration_key(2))
    for at in range(len(box)):
        changed = bytearray(box)
        changed[at] ^= 1
        with pytest.raises(LedgerError):
            unseal(bytes(changed), KEY)
    with pytest.raises(LedgerError):
        unseal(box[:20], KEY)


@pytest.mark.parametrize("point", [1, 0, 2**255 - 20])
def test_nothing_is_sealed_to_points_of_low_order(point: int) -> None:
    with pytest.raises(LedgerError, match="sealed box"):
        seal(b"x", point.to_bytes(32, "little"))
