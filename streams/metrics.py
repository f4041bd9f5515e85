"""Prometheus metrics of the relay: set from plain integers once a second, never for a packet."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from prometheus_client import Counter, Gauge

from streams.counters import Counters

if TYPE_CHECKING:
    from streams.transport import Transport

_COUNTERS = {
    name: Counter(f"livecommerce_media_{name}", text)
    for name, text in {
        "packets_received": "RTP packets from hosts",
        "bytes_received": "RTP bytes from hosts",
        "packets_refused": "Packets of known peers that were not authentic or not understood",
        "packets_over_limit": "Packets from hosts dropped because they send more than they may",
        "packets_lost": "Packets lost on the way from hosts and never recovered",
        "packets_recovered": "Packets from hosts that came after a NACK",
        "nacks_sent": "Packets asked of hosts again",
        "keyframes_asked": "Keyframes asked for by viewers and joins",
        "keyframe_requests_sent": "Keyframe requests sent to hosts",
        "keyframes_received": "Keyframes from hosts",
        "packets_sent": "RTP packets to viewers",
        "bytes_sent": "RTP bytes to viewers",
        "packets_dropped": "RTP packets not sent to a viewer: the worker was behind, or the socket full",
        "runs_dropped": "Bursts to groups of viewers left out because the worker was 0.3 s behind",
        "nacks_received": "Packets asked for again by viewers",
        "retransmissions_sent": "Packets sent again to viewers",
        "retransmissions_refused": "Retransmissions over a viewer's limit",
        "retransmissions_missing": "Packets asked for again by viewers that never came from the host, or are too old",
        "datagrams_overflowed": "Datagrams that the kernel threw away because this worker did not read in time",
        "datagrams_unsent": "Single datagrams (feedback, retransmissions, handshakes) that the kernel did not take",
        "probes_sent": "Packets sent to viewers to see whether their path carries a larger picture",
        "layer_switches": "Changes of viewers to another layer of a simulcast picture",
    }.items()
}
_STRANGERS = Counter("livecommerce_media_strangers", "Datagrams of nobody we know, thrown away")
_DELAYED = Counter("livecommerce_media_handshakes_delayed", "DTLS handshakes put off because too many began at once")
_FORWARDED = Counter(
    "livecommerce_media_forwarded",
    "Packets by the seconds from their arrival until the last viewer of this worker had them, cumulative",
    ["within_s"],
)
_JOINED = Counter(
    "livecommerce_media_joined",
    "Viewers by the seconds from their offer until keys were agreed, cumulative",
    ["within_s"],
)
_LAYERS = Gauge(
    "livecommerce_media_layer_viewers",
    "Viewers of simulcast pictures by the layer they get, 0 the smallest of its stream",
    ["layer"],
)
_SESSIONS = Gauge("livecommerce_media_sessions", "Media sessions on this worker", ["kind"])


class RelayMetrics:
    """Remembers what was told, and tells the difference."""

    def __init__(self) -> None:
        self._told = Counters()
        self._strangers = self._delayed = 0
        self._cumulative: dict[tuple[Counter, str], int] = {}
        self._shown: dict[tuple[Gauge, str], int] = {}

    def flush(
        self, total: Counters, sessions: Mapping[str, int], *, transport: Transport, layers: Mapping[int, int]
    ) -> None:
        """Tell Prometheus the counts so far; those of the transport's socket are added to them."""
        transport.media.add_to(total)
        for name, metric in _COUNTERS.items():
            # A sum may shrink for a moment, while a peer leaves: Prometheus must neither fail nor count it twice.
            told = getattr(self._told, name)
            if (now := getattr(total, name)) > told:
                metric.inc(now - told)
                setattr(self._told, name, now)
        _STRANGERS.inc(transport.strangers - self._strangers)
        self._strangers = transport.strangers
        _DELAYED.inc(transport.handshakes_delayed - self._delayed)
        self._delayed = transport.handshakes_delayed
        for metric, delays in ((_FORWARDED, transport.delays), (_JOINED, transport.joins)):
            for bound, count in delays.cumulative():
                before = self._cumulative.get((metric, bound))
                if count != before:
                    metric.labels(bound).inc(count - (before or 0))
                    self._cumulative[metric, bound] = count
        for rank, count in layers.items():
            self._set(_LAYERS, str(rank), count)
        for kind, count in sessions.items():
            self._set(_SESSIONS, kind, count)

    def _set(self, metric: Gauge, label: str, value: int) -> None:
        if self._shown.get((metric, label)) != value:
            self._shown[metric, label] = value
            metric.labels(label).set(value)
