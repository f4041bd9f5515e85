"""Plain integers counted on the hot path; read by ``stats`` and flushed to Prometheus once a second. Pure."""

from __future__ import annotations

from dataclasses import dataclass, fields


@dataclass(slots=True)
class Counters:
    """What the relay did; sums of these are again these."""

    packets_received: int = 0
    bytes_received: int = 0
    #: not authentic, not RTP, or of an unknown payload type
    packets_refused: int = 0
    #: over the bitrate a host may send
    packets_over_limit: int = 0
    #: lost on the way from the host and never recovered
    packets_lost: int = 0
    packets_recovered: int = 0
    nacks_sent: int = 0
    keyframes_asked: int = 0
    keyframe_requests_sent: int = 0
    keyframes_received: int = 0
    packets_sent: int = 0
    bytes_sent: int = 0
    #: not sent: left out (below), the socket was full, or the encryption refused
    packets_dropped: int = 0
    #: what one group of viewers was to be sent at once, left out because it had waited too long for its slice
    runs_dropped: int = 0
    nacks_received: int = 0
    retransmissions_sent: int = 0
    retransmissions_refused: int = 0
    #: asked for again by viewers, but never had from the host or too old
    retransmissions_missing: int = 0
    #: old packets sent once more to see whether a path carries a larger picture
    probes_sent: int = 0
    #: arrived, and thrown away by the kernel because the worker did not read in time
    datagrams_overflowed: int = 0
    #: single datagrams (feedback, packets sent again) that the kernel did not take
    datagrams_unsent: int = 0
    #: changes of viewers from one layer of a picture to another
    layer_switches: int = 0

    def add(self, other: Counters) -> None:
        """Add another's counts to these."""
        for field in fields(self):
            setattr(self, field.name, getattr(self, field.name) + getattr(other, field.name))

    def as_dict(self) -> dict[str, int]:
        """The counts by name."""
        return {field.name: getattr(self, field.name) for field in fields(self)}
