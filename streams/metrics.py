"""Prometheus metrics of the relay: set from plain integers once a second, never for a packet."""

from __future__ import annotations

from collections.abc import Mapping

from prometheus_client import Counter, Gauge

from streams.counters import Counters

_COUNTERS = {
    name: Counter(f"livecommerce_media_{name}", text)
    for name, text in {
        "packets_received": "RTP packets from hosts",
        "bytes_received": "RTP bytes from hosts",
        "packets_refused": "Packets of known peers that were not authentic or not understood",
        "packets_recovered": "Packets from hosts that came after a NACK",
        "nacks_sent": "Packets asked of hosts again",
        "keyframes_asked": "Keyframes asked for by viewers and joins",
        "keyframe_requests_sent": "Keyframe requests sent to hosts",
        "keyframes_received": "Keyframes from hosts",
        "packets_sent": "RTP packets to viewers",
        "bytes_sent": "RTP bytes to viewers",
        "packets_dropped": "RTP packets not sent to a viewer because the socket was full",
        "nacks_received": "Packets asked for again by viewers",
        "retransmissions_sent": "Packets sent again to viewers",
        "retransmissions_refused": "Retransmissions over a viewer's limit",
    }.items()
}
_STRANGERS = Counter("livecommerce_media_strangers", "Datagrams of nobody we know, thrown away")
_SESSIONS = Gauge("livecommerce_media_sessions", "Media sessions on this worker", ["kind"])


class RelayMetrics:
    """Remembers what was told, and tells the difference."""

    def __init__(self) -> None:
        self._told = Counters()
        self._strangers = 0

    def flush(self, total: Counters, sessions: Mapping[str, int], *, strangers: int) -> None:
        """Tell Prometheus the counts so far."""
        for name, metric in _COUNTERS.items():
            # A sum may shrink for a moment, while a peer leaves: Prometheus must neither fail nor count it twice.
            told = getattr(self._told, name)
            if (now := getattr(total, name)) > told:
                metric.inc(now - told)
                setattr(self._told, name, now)
        _STRANGERS.inc(strangers - self._strangers)
        self._strangers = strangers
        for kind, count in sessions.items():
            _SESSIONS.labels(kind).set(count)
