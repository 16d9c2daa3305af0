"""Hashing, signatures and the registry of docs/ledger-format.md §2 and §7, one plain step after another."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from hashlib import sha256

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from naive_fields import DEVICE, EXCHANGE, KEY, METER, PERMISSION, SIGNATURE, demand


def tree(leaves: list[bytes]) -> bytes:
    """RFC 6962 §2.1 as it is written."""
    if not leaves:
        return sha256(b"").digest()
    if len(leaves) == 1:
        return sha256(b"\0" + leaves[0]).digest()
    split = 1
    while split * 2 < len(leaves):
        split *= 2
    return sha256(b"\1" + tree(leaves[:split]) + tree(leaves[split:])).digest()


def signed(key: bytes, signature: bytes, message: bytes) -> bool:
    try:
        Ed25519PublicKey.from_public_bytes(key).verify(signature, message)
    except (InvalidSignature, ValueError):
        return False
    return True


INFINITY = float("inf")
P = 2**255 - 19
ORDER_8 = 0x7A03AC9277FDC74EC6CC392CFA53202A0F67100D760B3CBA4FD84D3D706A17C7


@dataclass
class Tenure:
    since: int
    key: bytes
    counts_from: float = 0
    own_end: bool = False


def in_force(tenures: list[Tenure], height: int, intervals: int) -> bytes:
    last = [tenure for tenure in tenures if tenure.since <= height]
    return last[-1].key if last and last[-1].counts_from <= intervals else b""


def demand_usable(key: bytes) -> None:
    y = int.from_bytes(key, "little") & (2**255 - 1)
    demand(y < P and y not in (0, 1, P - 1, ORDER_8, P - ORDER_8), "key")


class NaiveRegistry:
    """Members, devices and grants, and the terms of the genesis block."""

    def __init__(self) -> None:
        self.tenures: dict[int, list[Tenure]] = {}
        self.roles: dict[int, int] = {}
        self.numbers: dict[int, int] = {}
        self.devices: set[tuple[int, int]] = set()
        self.grants: dict[tuple[int, int], float] = {}
        self.registry: list[bytes] = []
        self.parameters: dict[str, bytes] = {}
        self.chain = b""
        self.intervals = 0

    def p(self, name: str) -> int:
        return struct.unpack("<q", self.parameters.get(name, bytes(8))[:8])[0]

    # -- registry -------------------------------------------------------------------------------------------------

    def statements(self, rows: list[bytes], height: int) -> None:
        if height == 0:
            return
        k = 0
        while k < len(rows):
            if not 32 <= rows[k][0] < 40:
                demand(rows[k][0] != 40 or rows[k][1] in (3, 4), "a signature without statement")
                k += 1
                continue
            statement, signatures = rows[k], {}
            self.registry.append(statement)
            k += 1
            while k < len(rows) and rows[k][0] == 40 and rows[k][1] not in (3, 4):
                signer, purpose, signature = self.joined(rows[k : k + 2])
                demand(purpose not in signatures, "two signatures for one purpose")
                signatures[purpose] = (signer, signature)
                k += 2
            self.admit(statement, signatures, height)

    def joined(self, pair: list[bytes]) -> tuple[int, int, bytes]:
        demand(len(pair) == 2 and pair[0][0] == pair[1][0] == 40 and pair[0][1] == pair[1][1], "half a signature")
        demand((pair[0][2:4], pair[1][2:4]) == (b"\0\0", b"\1\0"), "halves")
        (first, _, left), (second, _, right) = (SIGNATURE.unpack(row[12:]) for row in pair)
        demand(first == second, "signers")
        return first, pair[0][1], left + right

    def admit(self, row: bytes, signatures: dict[int, tuple[int, bytes]], height: int) -> None:
        kind = row[0]
        member = struct.unpack_from("<i", row, 12)[0]
        number = struct.unpack_from("<I", row, 20 if kind <= 34 else 16)[0]
        demand(number > self.numbers.get(member, 0), "number")
        tenures = self.tenures.get(member, [])
        wanted = {}
        if kind in (32, 33):
            wanted[2] = row[40:72]
        now = in_force(tenures, height, self.intervals)
        if kind not in (32, 34):
            wanted[1] = now
        elif 1 in signatures and self.p("replacement_wait"):
            counted = [tenure.key for tenure in tenures if tenure.key and tenure.counts_from != INFINITY]
            wanted[1] = now if kind == 34 else (counted or [b""])[-1]
        demand(set(wanted) == set(signatures), "signatures")
        message = b"gridsettle statement v1\0" + self.chain + row[:4] + bytes(8) + row[12:]
        for purpose, key in wanted.items():
            demand(signatures[purpose][0] == member and signed(key, signatures[purpose][1], message), "signed")
        self.numbers[member] = number
        if kind <= 34:
            self.admit_key(row, kind, member, height, 1 in signatures)
        elif kind == 35:
            at = (member, DEVICE.unpack(row[12:])[2])
            demand((row[1] == 2) == (at in self.devices), "device")
            self.devices ^= {at} if row[1] < 3 else set()
        else:
            _, _, other, until, _ = PERMISSION.unpack(row[12:])
            if kind == 37:
                demand(self.intervals < self.grants.get((other, member), 0), "access without grant")
                return
            if row[1] == 1:
                known = in_force(self.tenures.get(other, []), height, self.intervals)
                demand(other != member and known != b"" and (until == 0 or until > self.intervals), "reader")
            demand((row[1] == 1) == (self.intervals >= self.grants.get((member, other), 0)), "grant")
            self.grants[member, other] = (until or INFINITY) if row[1] == 1 else 0

    def admit_key(self, row: bytes, kind: int, member: int, height: int, signed_by_member: bool) -> None:
        _, role, _, _, effective, key = KEY.unpack(row[12:])
        tenures = self.tenures.setdefault(member, [])
        last = tenures[-1] if tenures else Tenure(-1, b"", own_end=True)
        demand(effective > max(height, last.since), "effective")
        if kind == 32:
            demand(last.key == b"" and member >= 0 and role in (2, 3), "registration")
        else:
            demand(last.key != b"" and role == self.roles[member], "member")
        made = Tenure(effective, key)
        if kind == 34:
            demand(member != -3 and key == bytes(32), "revocation")
            made = Tenure(effective, b"", own_end=signed_by_member)
            if last.counts_from > self.intervals:
                last.counts_from = INFINITY
        else:
            demand(all(key != known.key for all_of in self.tenures.values() for known in all_of), "key used")
            demand_usable(key)
            wait = self.p("replacement_wait")
            if kind == 32 and wait and not last.own_end and not signed_by_member:
                made.counts_from = self.intervals + wait
        tenures.append(made)
        self.roles[member] = role

    def entries(self, rows: list[bytes], height: int) -> None:
        if not self.p("members_sign"):
            return
        said: dict[int, bytes] = {}
        under = [row for row in rows if row[0] == 40 and row[1] == 3]
        for k in range(0, len(under), 2):
            signer, _, signature = self.joined(under[k : k + 2])
            demand(signer not in said, "signs twice")
            said[signer] = signature
        keys = {m: in_force(tenures, height, self.intervals) for m, tenures in self.tenures.items() if m >= 0}
        keys = {m: key for m, key in keys.items() if key}
        demand(set(keys) == set(said), "who signs entries")
        for member, key in keys.items() if not self.p("private") else ():
            own = [r for r in rows if r[0] <= 11 and member in EXCHANGE.unpack(r[12:])[:3]]
            own += [r for r in rows if r[0] in (16, 19, 25) and METER.unpack(r[12:])[0] == member]
            own.sort(key=rows.index)
            message = b"gridsettle entries v1\0" + self.chain + struct.pack("<I", self.intervals) + tree(own)
            demand(signed(key, said[member], message), "entries")
