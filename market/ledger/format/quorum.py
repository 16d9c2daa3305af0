"""A quorum of witnesses: whose cosignatures a checkpoint needs to count, fixed by parameters of the first block.

Parameter `quorum` says how many, `witness_0`, `witness_1`, … who: public key (32 bytes) and key id (4 bytes), which
commits to the witness's name (C2SP tlog-cosignature).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from market.errors import LedgerError
from market.ledger.crypto.keys import check_usable, is_signed
from market.ledger.format.note import COSIGNATURE, VerifierKey, cosigned_text, parse_verifier_key, split_note
from market.ledger.format.records import read_integer_parameter

MOST_WITNESSES = 32
"""Half as many as a note has room for signatures."""

_NEEDED, _WITNESS, _KEY, _ID = "quorum", "witness_", 32, 4


class Witness(NamedTuple):
    """A witness: its public key, and the key id under which its cosignatures stand in notes."""

    public_key: bytes
    key_id: bytes


class Quorum(NamedTuple):
    """At least `needed` of these witnesses must have cosigned a checkpoint for it to count."""

    witnesses: tuple[Witness, ...]
    needed: int


def name_witness(key: VerifierKey) -> Witness:
    """The witness that a verifier key line stands for."""
    return Witness(key.public_key, key.key_id())


def parse_witnesses(lines: Sequence[str], needed: int) -> Quorum:
    """Quorum of the witnesses with these verifier key lines.

    Raises
    ------
    LedgerError
        If a line is none of a witness, one stands twice, or the number cannot be reached.
    """
    keys = [parse_verifier_key(line) for line in lines]
    if wrong := [key.name for key in keys if key.kind != COSIGNATURE]:
        raise LedgerError(f"witness {wrong[0]}: expected the verifier key of a witness (type 4), got that of a log")
    return check_quorum(Quorum(tuple(map(name_witness, keys)), needed))


def check_quorum(quorum: Quorum) -> Quorum:
    """The quorum itself, if it can be one.

    Raises
    ------
    LedgerError
        If its keys are not usable, one stands twice, or the number cannot be reached.
    """
    n = len(quorum.witnesses)
    for witness in quorum.witnesses:
        check_usable(witness.public_key)
    if not 0 < n <= MOST_WITNESSES or len({witness.public_key for witness in quorum.witnesses}) < n:
        raise LedgerError(f"witnesses: expected 1 to {MOST_WITNESSES} different keys, got {n}")
    if not 0 < quorum.needed <= n:
        raise LedgerError(f"quorum: expected 1 to {n}, the number of witnesses, got {quorum.needed}")
    return quorum


def make_quorum_parameters(quorum: Quorum) -> dict[str, bytes | int]:
    """Parameters of the first block that state a quorum."""
    keys = {f"{_WITNESS}{k}": key + number for k, (key, number) in enumerate(quorum.witnesses)}
    return {_NEEDED: quorum.needed, **keys}


def read_quorum(parameters: Mapping[str, bytes]) -> Quorum | None:
    """Quorum that the parameters of a first block state, None if they state none.

    Raises
    ------
    LedgerError
        If it cannot be one: witnesses not numbered from 0, keys that prove nothing, more asked for than there are.
    """
    names = [name for name in parameters if name.startswith(_WITNESS)]
    if not names and _NEEDED not in parameters:
        return None
    values = [parameters.get(f"{_WITNESS}{k}", b"") for k in range(len(names))]
    if any(len(value) != 40 or any(value[_KEY + _ID :]) for value in values):
        raise LedgerError("witnesses: expected them numbered from 0, each a key and its id, found others")
    witnesses = tuple(Witness(value[:_KEY], value[_KEY : _KEY + _ID]) for value in values)
    return check_quorum(Quorum(witnesses, read_integer_parameter(parameters, _NEEDED)))


def count_cosigners(note: str, quorum: Quorum) -> int:
    """Number of the quorum's witnesses that have cosigned a note; lines that are not valid do not count.

    Raises
    ------
    LedgerError
        If it is no signed note.
    """
    return len(list_cosigners(note, quorum.witnesses))


def list_cosigners(note: str, witnesses: Sequence[Witness]) -> dict[Witness, tuple[str, bytes]]:
    """Valid cosignature of each witness that has cosigned a note, as it stands there: (name, key id ‖ signature)."""
    text, signatures = split_note(note)
    by_id = {witness.key_id: witness for witness in witnesses}
    found = {}
    for name, signed in signatures:
        witness = by_id.get(signed[:4])
        if witness is not None and len(signed) == 76 and name:
            time = int.from_bytes(signed[4:12], "big")
            if is_signed(witness.public_key, signed[12:], cosigned_text(text, time)):
                found[witness] = (name, signed)
    return found
