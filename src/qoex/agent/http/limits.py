"""How much a client may ask for: requests per second, and streams at once."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable

from qoex.agent.errors import ProblemKind, Refused

_MOST_KEYS = 100_000  # addresses that can be made up must not fill the memory
_STREAM_RETRY_S = 5.0


class TokenBuckets:
    """One bucket for each key: it holds ``burst`` requests and fills at ``rate`` a second."""

    def __init__(
        self,
        rate: float,
        burst: float,
        clock: Callable[[], float] = time.monotonic,
        most_keys: int = _MOST_KEYS,
    ) -> None:
        self._rate = rate
        self._burst = float(burst)
        self._clock = clock
        self._most_keys = most_keys
        self._levels: dict[str, tuple[float, float]] = {}  # level of the bucket, and when

    def take(self, key: str) -> float:
        """Take one request out of a bucket; return 0, or the seconds until there is one in it."""
        now = self._clock()
        known = self._levels.get(key)
        if known is None:
            if len(self._levels) >= self._most_keys:
                self._forget(now)
            level = self._burst
        else:
            level = min(self._burst, known[0] + (now - known[1]) * self._rate)
        if level < 1.0:
            self._levels[key] = (level, now)
            return (1.0 - level) / self._rate
        self._levels[key] = (level - 1.0, now)
        return 0.0

    def _forget(self, now: float) -> None:
        """Forget full buckets, which are as good as new; all of them if none is full."""
        self._levels = {
            key: (level, at)
            for key, (level, at) in self._levels.items()
            if level + (now - at) * self._rate < self._burst
        }
        if len(self._levels) >= self._most_keys:
            self._levels.clear()


class Streams:
    """Counts the streams that each key has open."""

    def __init__(self) -> None:
        self._open: Counter[str] = Counter()

    @property
    def total(self) -> int:
        """How many are open."""
        return self._open.total()

    def open(self, key: str, most: int) -> None:
        """Open one of at most ``most`` streams of a key.

        Raises:
            Refused: too-many-requests, for that many are open.
        """
        if self._open[key] >= most:
            raise Refused(
                ProblemKind.TOO_MANY_REQUESTS,
                f"The token has {most} event streams open, which is as many as it may have.",
                retry_after=_STREAM_RETRY_S,
            )
        self._open[key] += 1

    def close(self, key: str) -> None:
        """Close one."""
        self._open[key] -= 1
        if not self._open[key]:
            del self._open[key]
