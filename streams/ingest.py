"""What one incoming SSRC tells: extended numbers, loss, jitter (RFC 3550 appendix A), and what to ask for again.

Pure. Times are arguments, in seconds of any monotonic clock.
"""

from __future__ import annotations

from streams import rtp
from streams.rtcp import ReportBlock

#: a gap larger than this is not asked for packet by packet: a keyframe is cheaper
MAX_GAP = 128
#: at most this many numbers are waited for
MAX_WAITING = 256
#: seconds between two requests for one packet; and how often it is asked for in all
RETRY_S = 0.1
MAX_TRIES = 8


class SourceStatistics:
    """Counts one SSRC's packets, for receiver reports."""

    def __init__(self, ssrc: int, clock_rate: int) -> None:
        self.ssrc = ssrc
        self.packets = 0
        self.highest: int | None = None
        self._clock_rate = clock_rate
        self._base = 0
        self._jitter = 0.0
        self._transit: float | None = None
        self._expected_before = 0
        self._packets_before = 0
        self._report_ntp = 0
        self._report_at_s: float | None = None

    def received(self, sequence: int, timestamp: int, now_s: float) -> int:
        """Count a packet; its extended sequence number."""
        self.packets += 1
        if self.highest is None:
            # Start one wrap up, so that a packet from just before the first stays positive.
            self.highest = self._base = sequence + 0x10000
            return self.highest
        if sequence == self.highest + 1 & 0xFFFF:
            extended = self.highest = self.highest + 1
        elif (extended := rtp.extend(sequence, self.highest)) > self.highest:
            self.highest = extended
        self._measure_jitter(timestamp, now_s)
        return extended

    def _measure_jitter(self, timestamp: int, now_s: float) -> None:
        transit = now_s * self._clock_rate - timestamp
        if self._transit is not None:
            delta = abs(transit - self._transit)
            if delta < self._clock_rate * 10:  # a wrapped or restarted timestamp is no jitter
                self._jitter += (delta - self._jitter) / 16
        self._transit = transit

    def sender_report(self, ntp: int, now_s: float) -> None:
        """Note the source's sender report, to be echoed so that it can measure the round trip."""
        self._report_ntp = ntp >> 16 & 0xFFFFFFFF
        self._report_at_s = now_s

    @property
    def lost(self) -> int:
        """Packets missing in all; retransmitted ones count as received."""
        return max(0, (self.highest - self._base + 1 if self.highest is not None else 0) - self.packets)

    def report(self, now_s: float) -> ReportBlock | None:
        """The receiver report since the last one, or None before any packet."""
        if self.highest is None:
            return None
        expected = self.highest - self._base + 1
        expected_now = expected - self._expected_before
        lost_now = expected_now - (self.packets - self._packets_before)
        self._expected_before, self._packets_before = expected, self.packets
        fraction = min(255, max(0, (lost_now << 8) // expected_now)) if expected_now > 0 else 0
        delay = 0 if self._report_at_s is None else int((now_s - self._report_at_s) * 65536) & 0xFFFFFFFF
        # the first wrap of `highest` is ours, not the source's
        highest = self.highest - 0x10000
        return ReportBlock(self.ssrc, fraction, self.lost, highest, int(self._jitter), self._report_ntp, delay)


class MissingPackets:
    """The numbers between the newest packet and those that never came: what to NACK, and when again."""

    def __init__(self) -> None:
        self._highest: int | None = None
        #: number → (tries, when asked last)
        self._waiting: dict[int, tuple[int, float]] = {}
        self.abandoned = self._told = 0

    def gave_up(self) -> bool:
        """Whether any was abandoned since this was asked last."""
        told, self._told = self._told, self.abandoned
        return told != self.abandoned

    @property
    def some(self) -> bool:
        """Whether any is missing."""
        return bool(self._waiting)

    def __len__(self) -> int:
        return len(self._waiting)

    def __contains__(self, sequence: int) -> bool:
        return sequence in self._waiting

    def received(self, sequence: int, now_s: float) -> list[int]:
        """Note an extended number; the numbers to ask for at once because this one jumped over them."""
        if self._highest is None or sequence == self._highest + 1:
            self._highest = sequence
            return []
        if sequence <= self._highest:
            self._waiting.pop(sequence, None)
            return []
        gap = range(self._highest + 1, sequence)
        self._highest = sequence
        if not gap:
            return []
        if len(gap) > MAX_GAP or len(self._waiting) + len(gap) > MAX_WAITING:
            self.abandoned += len(gap) + len(self._waiting)
            self._waiting.clear()
            return []
        for number in gap:
            self._waiting[number] = (1, now_s)
        return list(gap)

    def due(self, now_s: float) -> list[int]:
        """The numbers to ask for again; those asked for often enough are given up and counted as abandoned."""
        again: list[int] = []
        for number, (tries, asked_s) in list(self._waiting.items()):
            if now_s - asked_s < RETRY_S:
                continue
            if tries >= MAX_TRIES:
                del self._waiting[number]
                self.abandoned += 1
                continue
            self._waiting[number] = (tries + 1, now_s)
            again.append(number)
        return again
