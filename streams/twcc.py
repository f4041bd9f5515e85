"""Transport-wide feedback (draft-holmer-rmcat-transport-wide-cc-extensions-01 §3.1). Pure.

With it every 50 ms Chromium reaches 3 Mbit/s in 2.5 s; without feedback it stays at 250 kbit/s.
"""

from __future__ import annotations

from struct import pack

from streams import rtp

#: one tick of a receive delta, and of the reference time, in microseconds
DELTA_US = 250
REFERENCE_US = 64_000
#: packets of one feedback message at most: keeps it under 1,200 bytes
MAX_PACKETS = 400


class TransportFeedback:
    """Remembers when packets arrived and tells it in feedback messages."""

    def __init__(self) -> None:
        self._arrivals: dict[int, int] = {}
        self._highest: int | None = None
        self._next: int | None = None
        self._count = 0

    def arrived(self, sequence: int, now_us: int) -> None:
        """Note the arrival of one packet, by its 16-bit transport-wide number."""
        extended = sequence if self._highest is None else rtp.extend(sequence, self._highest)
        if self._next is not None and extended < self._next - MAX_PACKETS:
            return
        self._arrivals.setdefault(extended, now_us)
        if self._highest is None or extended > self._highest:
            self._highest = extended

    def take(self, sender_ssrc: int, media_ssrc: int) -> bytes | None:
        """The next feedback message about everything noted since, or None when there is nothing to tell."""
        if not self._arrivals:
            return None
        numbers = sorted(self._arrivals)
        # Late arrivals start the message anew before `next`: telling one again as received is allowed.
        first = numbers[0] if self._next is None else min(self._next, numbers[0])
        if numbers[-1] - first >= MAX_PACKETS:
            first = max(first, numbers[-1] - MAX_PACKETS + 1)
        told = {number: self._arrivals[number] for number in numbers if number >= first}
        self._arrivals.clear()
        self._next = numbers[-1] + 1
        body = _feedback(first, numbers[-1], told, self._count)
        self._count = (self._count + 1) & 0xFF
        head = pack("!II", sender_ssrc, media_ssrc)
        return pack("!BBH", 0x80 | 15, 205, (len(head) + len(body)) // 4) + head + body


def _feedback(first: int, last: int, arrivals: dict[int, int], count: int) -> bytes:
    reference = min(arrivals.values()) // REFERENCE_US
    symbols: list[int] = []
    deltas = b""
    clock_us = reference * REFERENCE_US
    for number in range(first, last + 1):
        at = arrivals.get(number)
        if at is None:
            symbols.append(0)
            continue
        delta = (at - clock_us) // DELTA_US
        delta = max(-0x8000, min(0x7FFF, delta))
        clock_us += delta * DELTA_US
        if 0 <= delta <= 0xFF:
            symbols.append(1)
            deltas += pack("!B", delta)
        else:
            symbols.append(2)
            deltas += pack("!h", delta)
    body = pack("!HHI", first & 0xFFFF, len(symbols), (reference & 0xFFFFFF) << 8 | count)
    body += _chunks(symbols) + deltas
    return body + bytes(-len(body) % 4)


def _chunks(symbols: list[int]) -> bytes:
    """Run-length chunks for runs of 7 or more, two-bit status vectors of 7 for the rest."""
    out = b""
    position = 0
    while position < len(symbols):
        symbol = symbols[position]
        run = 1
        while position + run < len(symbols) and symbols[position + run] == symbol and run < 0x1FFF:
            run += 1
        if run >= 7 or position + run == len(symbols):
            out += pack("!H", symbol << 13 | run)
            position += run
            continue
        chunk = 0xC000
        for index, each in enumerate(symbols[position : position + 7]):
            chunk |= each << (12 - 2 * index)
        out += pack("!H", chunk)
        position += 7
    return out
