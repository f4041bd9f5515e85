"""How often something may be done: so many at once, so many in a second. Pure; seconds are arguments."""

from __future__ import annotations


class Allowance:
    """A token bucket."""

    __slots__ = ("_burst", "_credit", "_credit_s", "_per_s")

    def __init__(self, per_s: float, burst: float) -> None:
        self._per_s, self._burst = per_s, burst
        self._credit = burst
        self._credit_s: float | None = None

    def limit(self, per_s: float, burst: float) -> None:
        """Another limit from now on; what was saved above the new burst is gone."""
        self._per_s, self._burst = per_s, burst

    def take(self, now_s: float, amount: float = 1.0) -> bool:
        """Whether ``amount`` may be had now."""
        if self._credit_s is not None and now_s > self._credit_s:
            self._credit += (now_s - self._credit_s) * self._per_s
        if self._credit > self._burst:
            self._credit = self._burst
        self._credit_s = now_s
        if self._credit < amount:
            return False
        self._credit -= amount
        return True
