"""SHA-256 (FIPS 180-4) of many messages of one length at once, one message in each lane of the processor's vectors.

`hashlib` hashes one message a call; a block's records are dozens of short messages. With sixteen of them side by side
the compiler uses vector instructions. The tests compare the results with those of `hashlib`.
"""

from __future__ import annotations

from math import isqrt

import numpy as np
import numpy.typing as npt

from market.compiled import compiled

Digests = npt.NDArray[np.uint8]
"""Hashes as bytes, (M, 32)."""

LANES = 16
_u = np.uint32
_Words = npt.NDArray[np.uint32]


def _primes(n: int) -> list[int]:
    found: list[int] = []
    candidate = 2
    while len(found) < n:
        if all(candidate % prime for prime in found):
            found.append(candidate)
        candidate += 1
    return found


def _cube_root(value: int) -> int:
    root = 1 << -(-value.bit_length() // 3)
    while root**3 > value:
        root = (2 * root + value // root**2) // 3
    return root


# FIPS 180-4 §4.2.2, §5.3.3: the first 32 bits of the fractions of cube and square roots of the first primes.
_ROUND_CONSTANTS = np.array([_cube_root(prime << 96) % 2**32 for prime in _primes(64)], np.uint32)
_INITIAL_HASH = np.array([isqrt(prime << 64) % 2**32 for prime in _primes(8)], np.uint32)


@compiled
def _rotate_right(x: np.uint32, n: np.uint32) -> np.uint32:
    return _u(_u(x >> n) | _u(x << _u(_u(32) - n)))


@compiled
def _round(
    a: np.uint32,
    b: np.uint32,
    c: np.uint32,
    d: np.uint32,
    e: np.uint32,
    f: np.uint32,
    g: np.uint32,
    h: np.uint32,
    word: np.uint32,
) -> tuple[np.uint32, np.uint32]:
    """The two of the eight working variables that a round computes; the others only change places (§6.2.2)."""
    s1 = _u(_rotate_right(e, _u(6)) ^ _rotate_right(e, _u(11)) ^ _rotate_right(e, _u(25)))
    s0 = _u(_rotate_right(a, _u(2)) ^ _rotate_right(a, _u(13)) ^ _rotate_right(a, _u(22)))
    t1 = _u(h + s1 + _u(_u(e & f) ^ _u(_u(~e) & g)) + word)
    t2 = _u(s0 + _u(_u(a & b) ^ _u(a & c) ^ _u(b & c)))
    return _u(d + t1), _u(t1 + t2)


@compiled
def _compress(state: _Words, w: _Words) -> None:
    """Compress one block of 16 words a lane into `state` (8, LANES); `w` (64, LANES) is the message schedule.

    Every inner loop runs over the lanes, with eight rounds unrolled in it, so that the variables stay in registers.
    """
    for t in range(16, 64):
        for lane in range(LANES):
            x, y = w[t - 15, lane], w[t - 2, lane]
            s0 = _u(_rotate_right(x, _u(7)) ^ _rotate_right(x, _u(18)) ^ _u(x >> _u(3)))
            s1 = _u(_rotate_right(y, _u(17)) ^ _rotate_right(y, _u(19)) ^ _u(y >> _u(10)))
            w[t, lane] = _u(w[t - 16, lane] + w[t - 7, lane] + s0 + s1)
    v = state.copy()
    for t in range(0, 64, 8):
        for lane in range(LANES):
            a, b, c, d = v[0, lane], v[1, lane], v[2, lane], v[3, lane]
            e, f, g, h = v[4, lane], v[5, lane], v[6, lane], v[7, lane]
            d, h = _round(a, b, c, d, e, f, g, h, _u(_ROUND_CONSTANTS[t] + w[t, lane]))
            c, g = _round(h, a, b, c, d, e, f, g, _u(_ROUND_CONSTANTS[t + 1] + w[t + 1, lane]))
            b, f = _round(g, h, a, b, c, d, e, f, _u(_ROUND_CONSTANTS[t + 2] + w[t + 2, lane]))
            a, e = _round(f, g, h, a, b, c, d, e, _u(_ROUND_CONSTANTS[t + 3] + w[t + 3, lane]))
            h, d = _round(e, f, g, h, a, b, c, d, _u(_ROUND_CONSTANTS[t + 4] + w[t + 4, lane]))
            g, c = _round(d, e, f, g, h, a, b, c, _u(_ROUND_CONSTANTS[t + 5] + w[t + 5, lane]))
            f, b = _round(c, d, e, f, g, h, a, b, _u(_ROUND_CONSTANTS[t + 6] + w[t + 6, lane]))
            e, a = _round(b, c, d, e, f, g, h, a, _u(_ROUND_CONSTANTS[t + 7] + w[t + 7, lane]))
            v[0, lane], v[1, lane], v[2, lane], v[3, lane] = a, b, c, d
            v[4, lane], v[5, lane], v[6, lane], v[7, lane] = e, f, g, h
    for i in range(8):
        for lane in range(LANES):
            state[i, lane] = _u(state[i, lane] + v[i, lane])


@compiled
def _swap_bytes(x: np.uint32) -> np.uint32:
    """A word with its bytes in reverse order: SHA-256 is big-endian, the machines are not."""
    return _u(_u(x << _u(24)) | _u(_u(x & _u(0xFF00)) << _u(8)) | _u(_u(x >> _u(8)) & _u(0xFF00)) | _u(x >> _u(24)))


@compiled
def _hash_all(prefix: int, rows: npt.NDArray[np.uint8], parts: npt.NDArray[np.int64]) -> Digests:
    n_rows, n_parts = parts.shape
    part_width = rows.shape[1]
    width = n_parts * part_width
    n_blocks = (width + 73) // 64
    message = np.zeros((LANES, 64 * n_blocks), np.uint8)
    message[:, 0] = prefix
    message[:, width + 1] = 0x80
    for k in range(4):
        message[:, 64 * n_blocks - 1 - k] = ((width + 1) * 8 >> 8 * k) & 255
    words = message.view(np.uint32)
    w, state = np.empty((64, LANES), np.uint32), np.empty((8, LANES), np.uint32)
    digests = np.empty((n_rows, 32), np.uint8)
    out = digests.view(np.uint32)
    for first in range(0, n_rows, LANES):
        n = min(LANES, n_rows - first)
        for lane in range(n):
            for part in range(n_parts):
                row, begin = parts[first + lane, part], 1 + part * part_width
                for k in range(part_width):
                    message[lane, begin + k] = rows[row, k]
        for i in range(8):
            for lane in range(LANES):
                state[i, lane] = _INITIAL_HASH[i]
        for block in range(n_blocks):
            for lane in range(LANES):
                for t in range(16):
                    w[t, lane] = _swap_bytes(words[lane, 16 * block + t])
            _compress(state, w)
        for lane in range(n):
            for i in range(8):
                out[first + lane, i] = _swap_bytes(state[i, lane])
    return digests


def hash_rows(prefix: int, rows: npt.NDArray[np.uint8]) -> Digests:
    r"""SHA-256 of `prefix` ‖ row for every row.

    Parameters
    ----------
    prefix
        One byte in front of every message.
    rows
        Messages of one length, (M, W).

    Returns
    -------
    Digests
        (M, 32).

    Examples
    --------
    >>> from hashlib import sha256
    >>> hash_rows(0, np.array([[1, 2], [3, 4]], np.uint8))[1].tobytes() == sha256(b"\0\3\4").digest()
    True
    """
    return hash_joined(prefix, rows, np.arange(rows.shape[0], dtype=np.int64)[:, None])


def hash_joined(prefix: int, rows: npt.NDArray[np.uint8], parts: npt.NDArray[np.int64]) -> Digests:
    r"""SHA-256 of `prefix` ‖ rows[parts[m, 0]] ‖ rows[parts[m, 1]] ‖ … for every m.

    Parameters
    ----------
    prefix
        One byte in front of every message.
    rows
        What messages are made of, (R, W).
    parts
        Which rows each message joins, (M, P).

    Returns
    -------
    Digests
        (M, 32).

    Examples
    --------
    >>> from hashlib import sha256
    >>> rows = np.array([[1, 2], [3, 4]], np.uint8)
    >>> hash_joined(0, rows, np.array([[1, 0]]))[0].tobytes() == sha256(b"\0\3\4\1\2").digest()
    True
    """
    return _hash_all(prefix, np.require(rows, requirements=["C", "W"]), np.require(parts, np.int64, ["C", "W"]))
