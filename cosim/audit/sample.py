"""Which blocks an audit looks at: drawn from the ledger's head and a number of the auditor's own.

Who signed the head did not know the auditor's number, and so could not choose blocks that are never looked at.
"""

from __future__ import annotations

import secrets
from hashlib import sha256
from math import comb

from cosim.errors import ScenarioError

NONCE_BYTES = 16
_DRAW = b"gridsettle audit v1\0"


def make_nonce() -> bytes:
    """A random number that nobody knows before."""
    return secrets.token_bytes(NONCE_BYTES)


def parse_nonce(text: str) -> bytes:
    """A number that an earlier audit printed, in hexadecimal.

    Raises
    ------
    ScenarioError
        If the text is no hexadecimal number of 1 to 64 bytes.
    """
    try:
        nonce = bytes.fromhex(text)
    except ValueError:
        nonce = b""
    if not 0 < len(nonce) <= 64:
        raise ScenarioError(f"nonce: expected 1 to 64 bytes in hexadecimal, as an audit prints them, got '{text}'")
    return nonce


def draw_heights(head: bytes, nonce: bytes, n_blocks: int, sample: int) -> list[int]:
    """Heights of `sample` blocks among 1 … n_blocks, in order: those with the smallest hashes.

    Parameters
    ----------
    head
        Hash of the ledger's last block.
    nonce
        The auditor's number.
    n_blocks, sample
        Number of blocks behind the first, and how many of them to draw; all if they are no more.

    Examples
    --------
    >>> draw_heights(bytes(32), b"1", 8, 3), draw_heights(bytes(32), b"2", 8, 3), draw_heights(b"", b"", 2, 3)
    ([1, 2, 3], [5, 6, 7], [1, 2])
    """
    seed = sha256(_DRAW + head + nonce).digest()
    ranked = sorted(range(1, n_blocks + 1), key=lambda height: sha256(seed + height.to_bytes(8, "little")).digest())
    return sorted(ranked[:sample])


def miss_probability(n_blocks: int, sample: int, n_false: int) -> float:
    """Probability that a sample holds none of `n_false` false blocks (hypergeometric).

    Examples
    --------
    >>> miss_probability(72, 48, 1), miss_probability(72, 48, 30), miss_probability(72, 72, 1)
    (0.3333333333333333, 0.0, 0.0)
    """
    n_false = min(n_false, n_blocks)
    if n_blocks == 0 or sample > n_blocks - n_false:
        return 0.0 if n_blocks else 1.0
    return comb(n_blocks - n_false, sample) / comb(n_blocks, sample)
