"""Rate limits by token buckets, in bounded memory.

A bucket holds up to `burst` tokens and gains `rate` of them a second; what is asked for takes some. Nothing here reads
a clock: the caller gives the time.
"""

from __future__ import annotations

from collections import OrderedDict
from threading import Lock


class TokenBuckets:
    """One bucket a key, such as the address of a client or the number of a person; usable from several threads.

    Parameters
    ----------
    rate
        Tokens that a bucket gains, 1/s; above 0.
    burst
        Tokens that a bucket holds at most, and at first; at least 1.
    most_keys
        Buckets kept; beyond, the one that was used longest ago is dropped.

    Raises
    ------
    ValueError
        If a limit would let nothing or everything through.

    Examples
    --------
    >>> buckets = TokenBuckets(rate=0.5, burst=2)
    >>> [buckets.take("a client", now=now) for now in (0.0, 0.0, 0.0, 2.0)]
    [0.0, 0.0, 2.0, 0.0]
    """

    def __init__(self, rate: float, burst: float, most_keys: int = 10_000) -> None:
        if not (0 < rate < float("inf") and 1 <= burst < float("inf") and most_keys >= 1):
            raise ValueError(f"expected rate > 0, burst >= 1, most_keys >= 1, got {rate}, {burst}, {most_keys}")
        self._rate, self._burst, self._most_keys = rate, burst, most_keys
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()
        self._lock = Lock()

    def __len__(self) -> int:
        return len(self._buckets)

    def take(self, key: str, now: float, cost: float = 1.0) -> float:
        """Take tokens out of the bucket of a key.

        Parameters
        ----------
        key
            Whose bucket.
        now
            Time of a clock that never goes back, s. An earlier time than before counts as no time.
        cost
            Tokens; at most `burst`.

        Returns
        -------
        float
            0.0 if they were there and are taken, else the seconds after which they will be; then none is taken.
        """
        with self._lock:
            tokens, then = self._buckets.pop(key, (self._burst, now))
            tokens = min(self._burst, tokens + max(now - then, 0.0) * self._rate)
            granted = tokens >= cost
            self._buckets[key] = (tokens - cost if granted else tokens, max(now, then))
            if len(self._buckets) > self._most_keys:
                self._buckets.popitem(last=False)
        return 0.0 if granted else (cost - tokens) / self._rate
