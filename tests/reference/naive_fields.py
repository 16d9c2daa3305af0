"""The layouts of docs/ledger-format.md §3 and §4, and which values their fields may have."""

from __future__ import annotations

import struct

HEADER = struct.Struct("<I32sQq32s32sI32s32s")
HEAD = struct.Struct("<BBHII")
EXCHANGE = struct.Struct("<5i5q")
METER = struct.Struct("<15i")
ORDER = struct.Struct("<8i3q4s")
SUBMISSION = struct.Struct("<5i3I28s")
VERDICT = struct.Struct("<6iI4q")
TOPOLOGY = struct.Struct("<ii52s")
KEY = struct.Struct("<iiI8sQ32s")
DEVICE = struct.Struct("<iI5i32s")
PERMISSION = struct.Struct("<iIiI44s")
SIGNATURE = struct.Struct("<i24s32s")
PRIVATE = struct.Struct("<32s28s")
AGGREGATE = struct.Struct("<I7q")
HOUSE = struct.Struct("<8iqiii4B4s")
PHASES = struct.Struct("<9i24s")
FLEXIBLE = struct.Struct("<15i")
ENVELOPE = struct.Struct("<14i4s")
TERMS = struct.Struct("<4q28s")
CHARGE = struct.Struct("<i6qi4s")
PARAMETER = struct.Struct("<20s40s")
PPM = 1_000_000
METERED = ("bought", "sold", "imported", "exported", "spilled", "shed")


class WrongError(Exception):
    """A block is wrong."""


def demand(holds: bool, what: str) -> None:
    if not holds:
        raise WrongError(what)


def check_reason(reason: int, version: int) -> None:
    number, code = reason % 256, reason // 256
    if version in (1, 3):
        demand(reason <= 9 or reason == 12, "reason")
    elif number in (1, 2, 4):
        demand(1 <= code <= 3, "conductor")
    elif number == 3:
        demand(1 <= code <= 4, "conductor")
    else:
        demand(number <= 12 and code == 0, "conductor")


def check_fields(row: bytes, k: int, intervals: int, version: int) -> None:
    """Record k of a block with `intervals` intervals before it: place, ranges and reserved bytes."""
    kind, status, reason, interval, seq = HEAD.unpack(row[:12])
    demand(seq == k and interval == intervals, "place")
    flags = (status, reason)
    if 1 <= kind <= (12 if version >= 3 else 11):
        f = EXCHANGE.unpack(row[12:])
        check_reason(reason, version)
        demand(status <= 2 and all(x >= -4 for x in f[:5]), "exchange")
        demand(0 <= f[5] < 2**31 and 0 <= f[6] < 2**31 and abs(f[7]) < 2**31, "exchange")
        demand(abs(f[8]) <= 2**50 and 0 <= f[9] <= 2**50, "exchange")
    elif kind == 16:
        demand(status == 0 and (reason == 0 or version >= 3), "meter")
        demand(all(x >= 0 for x in METER.unpack(row[12:])[:14]), "meter")
    elif kind == 19:
        *energies, utility, feed_in, price, zeros = ORDER.unpack(row[12:])
        demand(status <= 2 and reason == 0 and not any(zeros) and all(x >= 0 for x in energies), "order")
        demand(all(0 <= x <= 10**7 for x in (utility, feed_in, price)), "order")
    elif kind == 17:
        f = VERDICT.unpack(row[12:])
        demand(status <= 3 and reason in range(0x102), "verdict")
        demand(0 <= f[8] <= 2**62 and abs(f[9]) <= 2**62 and 0 <= f[10] <= 2**62, "verdict")
    elif kind == 20:
        low, high, conductor, _, bus, _, line, _, neutral_bus, zeros = PHASES.unpack(row[12:])
        demand(version in (2, 4) and flags == (0, 0) and not any(zeros), "phases")
        demand(0 <= low <= 3 and 0 <= high <= 3 and 0 <= conductor <= 4 and bus >= -1 and line >= -1, "phases")
        demand(neutral_bus >= -1, "phases")
    elif kind == 21:
        house, net, reserve, ask, limit, _, _, _, zeros = SUBMISSION.unpack(row[12:])
        demand(status in (1, 2) and reason == 0 and house >= 0 and reserve >= 0 and not any(zeros), "submission")
        demand(0 <= ask <= 3 and -1 <= limit <= 10**7 and net >= -(2**31), "submission")
    elif kind == 22:
        *energies, later, gain = FLEXIBLE.unpack(row[12:])
        demand(version >= 3 and status in (1, 2) and reason == 0 and all(x >= 0 for x in energies), "flexible")
        demand(-1 <= later <= 10**7 and 0 <= gain <= 2 * 10**7, "flexible")
    elif kind == 23:
        house, *numbers, element, zeros = ENVELOPE.unpack(row[12:])
        demand(status in (0, 1, 2) and reason < 4 and house >= 0 and element >= -1 and not any(zeros), "envelope")
        demand(all(x >= -1 for x in numbers[:5]) and all(x >= 0 for x in numbers[5:]), "envelope")
    elif kind == 24:
        *prices, standing, zeros = TERMS.unpack(row[12:])
        demand(status <= 1 and reason <= 1 and 0 <= standing <= 2**50 and not any(zeros), "terms")
        demand(all(0 <= price <= most for price, most in zip(prices, (10**7, 10**7, 10**10), strict=True)), "terms")
    elif kind == 25:
        house, withdrawn, *parts, peak, zeros = CHARGE.unpack(row[12:])
        demand(flags == (0, 0) and house >= 0 and peak >= 0 and not any(zeros), "charge")
        demand(0 <= withdrawn <= 2**62 and all(0 <= part <= 2**50 for part in parts), "charge")
    elif kind == 18:
        element, tap_pos, zeros = TOPOLOGY.unpack(row[12:])
        demand(1 <= status <= 7 and reason <= 2 and element >= 0 and not any(zeros), "topology")
        demand(status == 7 or tap_pos == 0, "topology")
    elif kind in (32, 33, 34):
        _, role, _, zeros, effective, _ = KEY.unpack(row[12:])
        demand(flags == (0, 0) and 1 <= role <= 3 and not any(zeros) and effective <= 2**62, "key")
    elif kind == 35:
        demand(status in (1, 2, 3) and reason == 0 and 1 <= DEVICE.unpack(row[12:])[3] <= 3, "device")
    elif kind in (36, 37):
        demand(status in ((1, 2) if kind == 36 else (0,)) and reason == 0, "permission")
        _, _, _, until, zeros = PERMISSION.unpack(row[12:])
        demand(not any(zeros) and (until == 0 or (kind, status) == (36, 1)), "permission")
    elif kind == 40:
        demand(1 <= status <= 4 and reason <= 1 and not any(SIGNATURE.unpack(row[12:])[1]), "signature")
    elif kind == 48:
        demand(flags == (0, 0) and not any(PRIVATE.unpack(row[12:])[1]), "private")
    elif kind == 49:
        demand(flags == (0, 0) and all(abs(x) <= 2**60 for x in AGGREGATE.unpack(row[12:])[1:]), "aggregate")
    elif kind == 64:
        f = HOUSE.unpack(row[12:])
        demand(flags == (0, 0) and all(x >= 0 for x in f[:7]) and f[10] >= 0 and not any(f[16]), "house")
        demand(all(phase <= (3 if version in (2, 4) else 0) for phase in f[12:16]), "phases of a house")
        demand(1 <= f[4] <= PPM and 1 <= f[5] <= PPM and f[6] <= PPM and 0 <= f[8] <= 2**60, "house")
    else:
        demand(kind == 65 and flags == (0, 0), "kind")
