"""Keyframes: when to ask the host for one, and the newest one kept for those who join. Pure; seconds are arguments."""

from __future__ import annotations

from streams.packet import Packet

#: at most one request to the host in this time, however many join or lose packets; no longer than a cache is fresh, so
#: that nobody who joins waits for the next request
REQUEST_INTERVAL_S = 1.0
#: a joiner that starts from an older keyframe would have to catch up too long
MAX_AGE_S = 1.0
#: about 4 s of 2 Mbit/s: more is not replayed
MAX_BYTES = 1 << 20
#: a keyframe that comes later than this after a request is no answer to it
ANSWER_S = 1.0
#: FFmpeg's WHIP ignores requests: joiners of such a host start from an older keyframe rather than from none
MAX_AGE_DEAF_S = 10.0
MAX_BYTES_DEAF = 4 << 20


class KeyframeRequests:
    """The one place that asks a publisher for keyframes: throttled, with a trailing request."""

    def __init__(self, interval_s: float = REQUEST_INTERVAL_S) -> None:
        self._interval_s = interval_s
        self._sent_s: float | None = None
        self._trailing = False
        self._unanswered_s: float | None = None
        #: whether the host let the last request pass
        self.deaf = False
        self.asked = 0
        self.sent = 0

    def ask(self, now_s: float) -> bool:
        """Someone needs a keyframe; whether to send the request now, else it follows by :meth:`due`."""
        self.asked += 1
        if self._sent_s is not None and now_s - self._sent_s < self._interval_s:
            self._trailing = True
            return False
        self._send(now_s)
        return True

    def due(self, now_s: float, *, wanted: bool = False) -> bool:
        """Whether the trailing request, or one that somebody still waits for, is to be sent now."""
        if not (self._trailing or wanted):
            return False
        if self._sent_s is not None and now_s - self._sent_s < self._interval_s:
            return False
        self._send(now_s)
        return True

    @property
    def soon(self) -> bool:
        """Whether a keyframe is on its way, as far as we know: asked for, not put off, and the host answers."""
        return self._unanswered_s is not None and not self._trailing and not self.deaf

    def arrived(self, now_s: float) -> None:
        """A keyframe began: who asked before it needs no other."""
        self._trailing = False
        if self._unanswered_s is not None:
            self.deaf = now_s - self._unanswered_s > ANSWER_S
            self._unanswered_s = None

    def _send(self, now_s: float) -> None:
        self._trailing = False
        self._sent_s = now_s
        self.sent += 1
        if self._unanswered_s is None:
            self._unanswered_s = now_s


class KeyframeCache:
    """The newest keyframe and all that followed it, while it is young and small enough to be worth replaying."""

    def __init__(self) -> None:
        #: whether the host answers no keyframe requests, so that an old keyframe is better than none
        self.deaf = False
        self.packets: list[Packet] = []
        self._bytes = 0
        self._began_s = 0.0
        self._timestamp = -1

    def add(self, packet: Packet, now_s: float, *, keep: bool = False) -> None:
        """Note the next packet as sent; ``keep`` holds on to an old cache because someone still replays it."""
        if packet.keyframe and (packet.timestamp != self._timestamp or not self.packets):
            self.packets = []
            self._bytes = 0
            self._began_s = now_s
            self._timestamp = packet.timestamp
        elif not self.packets:
            return
        if not keep and self._stale(now_s):
            self.clear()
            return
        self.packets.append(packet)
        self._bytes += packet.size

    def begins_with(self, packet: Packet) -> bool:
        """Whether adding this packet starts the cache anew."""
        return packet.keyframe and (packet.timestamp != self._timestamp or not self.packets)

    def fresh(self, now_s: float) -> bool:
        """Whether a joiner can start from here."""
        return bool(self.packets) and not self._stale(now_s)

    def _stale(self, now_s: float) -> bool:
        max_age_s, max_bytes = (MAX_AGE_DEAF_S, MAX_BYTES_DEAF) if self.deaf else (MAX_AGE_S, MAX_BYTES)
        return now_s - self._began_s > max_age_s or self._bytes > max_bytes

    def clear(self) -> None:
        """Forget everything."""
        self.packets = []
        self._bytes = 0
