"""What a viewer that decodes nothing can still prove about what it received. Pure."""

from __future__ import annotations

from struct import Struct

from streams import rtp

#: the synthetic host writes when it sent a packet into it: 8 bytes after this mark
MARK = b"LC-stamp"
STAMP = Struct("!Q")
#: packets that may come late before they count as lost
_WINDOW = 1024
#: forward delays kept; further ones replace none
MAX_DELAYS = 200_000


class MediaCheck:
    """Sequence and frames of one RTP stream."""

    def __init__(self) -> None:
        self.packets = self.duplicates = self.frames = self.frames_incomplete = 0
        self.first_frame_s: float | None = None
        #: the longest time between the ends of two frames, by the clock of whoever reads
        self.longest_gap_s = 0.0
        self.delays_ns: list[int] = []
        self.highest: int | None = None
        self._base = 0
        #: extended numbers below the highest that have not come
        self._holes: set[int] = set()
        #: extended number before the current frame, and how many of the frame's packets came
        self._frame_start: int | None = None
        self._frame_packets = 0
        self._frame_s = 0.0
        self._keyframe_seen = False

    def received(self, header: rtp.Header, *, keyframe: bool, now_s: float) -> None:
        """Count one packet of the picture."""
        if self.count(header.sequence):
            self._keyframe_seen = self._keyframe_seen or keyframe
            if header.marker:
                self.frame_ends(now_s)

    def count(self, number: int) -> bool:
        """Count one packet by its 16-bit number; False: it had come before, or is too late. Hot path."""
        highest = self.highest
        if highest is None:
            self.highest = self._base = number + 0x10000
            self._frame_start = number + 0xFFFF
        elif number == highest + 1 & 0xFFFF:
            self.highest = highest + 1
        elif not self._out_of_order(rtp.extend(number, highest), highest):
            return False
        self.packets += 1
        self._frame_packets += 1
        return True

    def _out_of_order(self, sequence: int, highest: int) -> bool:
        if sequence > highest:
            self._holes.update(range(highest + 1, sequence))
            if len(self._holes) > 2 * _WINDOW:
                self._holes = {each for each in self._holes if each > sequence - _WINDOW}
            self.highest = sequence
        elif sequence in self._holes:
            self._holes.remove(sequence)
        else:
            self.duplicates += self._base <= sequence and sequence > highest - _WINDOW
            return False
        return True

    def frame_ends(self, now_s: float) -> None:
        """The packet that was counted last ends a frame."""
        assert self.highest is not None
        whole = self._frame_start is not None and self.highest - self._frame_start == self._frame_packets
        self.frames += whole
        self.frames_incomplete += not whole
        self._frame_start, self._frame_packets = self.highest, 0
        if self._frame_s:
            self.longest_gap_s = max(self.longest_gap_s, now_s - self._frame_s)
        self._frame_s = now_s
        if whole and self._keyframe_seen and self.first_frame_s is None:
            self.first_frame_s = now_s

    @property
    def lost(self) -> int:
        """Packets that never came."""
        return 0 if self.highest is None else max(0, self.highest - self._base + 1 - self.packets)

    def missing(self, most: int) -> list[int]:
        """Extended numbers of what has not come, of the newest packets, oldest first; at most so many."""
        if self.highest is None or not self._holes:
            return []
        first = max(self._base, self.highest - _WINDOW + 1)
        return sorted(each for each in self._holes if each >= first)[:most]

    def restart(self) -> None:
        """Count from here: what is measured begins now."""
        self.packets = self.duplicates = self.frames = self.frames_incomplete = 0
        self.longest_gap_s = 0.0
        self._holes.clear()
        if self.highest is not None:
            self._base = self.highest + 1
        self.delays_ns.clear()


def stamp_of(payload: bytes | memoryview) -> int | None:
    """The moment a synthetic packet was sent, in ns of the machine's clock."""
    position = bytes(payload[:32]).find(MARK)
    if position < 0 or len(payload) < position + len(MARK) + STAMP.size:
        return None
    moment: int = STAMP.unpack_from(payload, position + len(MARK))[0]
    return moment


def percentile(values: list[int], share: float) -> float:
    """The value that ``share`` of the values do not exceed; nan of none."""
    if not values:
        return float("nan")
    ordered = sorted(values)
    return float(ordered[min(len(ordered) - 1, int(share * len(ordered)))])
