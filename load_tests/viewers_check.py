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
        self.delays_ns: list[int] = []
        self.highest: int | None = None
        self._base = 0
        self._seen: set[int] = set()
        #: extended number before the current frame, and how many of the frame's packets came
        self._frame_start: int | None = None
        self._frame_packets = 0
        self._keyframe_seen = False

    def received(self, header: rtp.Header, *, keyframe: bool, now_s: float) -> None:
        """Count one packet of the picture."""
        if self.highest is None:
            self.highest = self._base = header.sequence + 0x10000
            sequence = self.highest
            self._frame_start = sequence - 1
        else:
            sequence = rtp.extend(header.sequence, self.highest)
        if sequence in self._seen:
            self.duplicates += 1
            return
        self._remember(sequence)
        self.packets += 1
        self._frame_packets += 1
        self._keyframe_seen = self._keyframe_seen or keyframe
        if header.marker:
            self._frame_ends(sequence, now_s)

    def _remember(self, sequence: int) -> None:
        assert self.highest is not None
        self._seen.add(sequence)
        self.highest = max(self.highest, sequence)
        if len(self._seen) > 2 * _WINDOW:
            self._seen = {each for each in self._seen if each > self.highest - _WINDOW}

    def _frame_ends(self, sequence: int, now_s: float) -> None:
        whole = self._frame_start is not None and sequence - self._frame_start == self._frame_packets
        self.frames += whole
        self.frames_incomplete += not whole
        self._frame_start, self._frame_packets = sequence, 0
        if whole and self._keyframe_seen and self.first_frame_s is None:
            self.first_frame_s = now_s

    @property
    def lost(self) -> int:
        """Packets that never came."""
        return 0 if self.highest is None else max(0, self.highest - self._base + 1 - self.packets)

    def missing(self, most: int) -> list[int]:
        """Extended numbers of what has not come, of the newest packets, oldest first; at most so many."""
        if self.highest is None or not self.lost:
            return []
        first = max(self._base, self.highest - _WINDOW + 1)
        return [each for each in range(first, self.highest) if each not in self._seen][:most]

    def restart(self) -> None:
        """Count from here: what is measured begins now."""
        self.packets = self.duplicates = self.frames = self.frames_incomplete = 0
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
