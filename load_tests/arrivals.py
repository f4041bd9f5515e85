"""When work falls due: open loop at a constant rate or a ramp, whatever the answers take."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Pace:
    """Arrivals a second: ``start`` at first, ``end`` after ``seconds``, and that from then on."""

    start: float
    end: float
    seconds: float = 0.0

    def __post_init__(self) -> None:
        numbers = (self.start, self.end, self.seconds)
        if not all(math.isfinite(n) and n >= 0 for n in numbers) or self.end <= 0:
            raise ValueError("rates are above 0 (a ramp may begin at 0), and seconds not below 0")

    @classmethod
    def constant(cls, rate: float) -> Pace:
        """The same rate all the time."""
        return cls(rate, rate)

    @classmethod
    def parse(cls, text: str) -> Pace:
        """``from:to:seconds``; raises ValueError."""
        parts = text.split(":")
        if len(parts) != 3:
            raise ValueError("a ramp is from:to:seconds, as in 100:5000:30")
        try:
            return cls(*(float(part) for part in parts))
        except ValueError as error:
            raise ValueError(f"a ramp is from:to:seconds, as in 100:5000:30, not {text!r}: {error}") from error

    @property
    def slope(self) -> float:
        """By how much the rate changes in a second of the ramp."""
        # a ramp of less than a millisecond is a step
        return (self.end - self.start) / self.seconds if self.seconds >= 1e-3 else 0.0

    def due_s(self, number: int) -> float:
        """When the ``number``-th arrival (from 0) falls due, in seconds from the start."""
        if not self.slope:
            return number / self.end
        ramped = (self.start + self.end) / 2 * self.seconds
        if number >= ramped:
            return self.seconds + (number - ramped) / self.end
        # number = start t + slope t² / 2, in the form that does not cancel when the slope is small
        return 2 * number / (self.start + math.sqrt(self.start**2 + 2 * self.slope * number)) if number else 0.0

    def __str__(self) -> str:
        if not self.slope:
            return f"{self.end:g}/s"
        return f"{self.start:g} to {self.end:g}/s in {self.seconds:g} s"
