"""A viewer's session: what it can play, what it was sent, what it asks for again."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from functools import lru_cache
from typing import Any

from streams import rtcp, rtp
from streams.codecs import Codec
from streams.counters import Counters
from streams.packet import Rendering
from streams.peer import Peer
from streams.sdp import ORIENTATION, Format
from streams.track import Track

#: a receiver that joins this close to the wrap of the sequence number and loses the first packets would never
#: authenticate again, for it cannot know that the rollover counter has moved: it starts clear of the wrap
WRAP_MARGIN = 4096
#: retransmissions a viewer may have at once, and in a second
RETRANSMISSION_BURST = 256
RETRANSMISSIONS_PER_S = 400
#: the same packet is not sent again sooner
REPEAT_S = 0.03


class Viewer(Peer):
    """One receiver of a broadcast; the fan-out reads its plain attributes."""

    kind = "view"

    def __init__(
        self,
        *peer: Any,
        tracks: dict[str, Track],
        on_connected: Callable[[Viewer], None],
        on_keyframe_wanted: Callable[[], None],
        **options: Any,
    ) -> None:
        super().__init__(*peer, **options)
        self.segmented = True
        self.packets_sent = self.bytes_sent = self.packets_dropped = 0
        #: first number sent of each kind; what was before it is nothing to this viewer
        self.first: dict[str, int] = {}
        self.reports: dict[str, rtcp.ReportBlock] = {}
        self.counters = Counters()
        self._tracks = tracks
        self._on_connected = on_connected
        self._on_keyframe_wanted = on_keyframe_wanted
        self._tag_bytes = 0
        self._offsets: dict[str, int] = {}
        self._payload_types = _payload_types(tuple(form for each in self.chosen.values() for form in each.formats))
        self._orientation_ids = {kind: each.extensions.get(ORIENTATION, 0) for kind, each in self.chosen.items()}
        self._rtx_sequence = {kind: secrets.randbelow(1 << 15) for kind in self.chosen}
        self._credit = float(RETRANSMISSION_BURST)
        self._credit_s = time.monotonic()
        self._repeated: dict[int, float] = {}

    def connected(self, tag_bytes: int) -> None:
        """The handshake is done: join."""
        self._tag_bytes = tag_bytes
        self._on_connected(self)

    def address_changed(self) -> None:
        """Another path may carry segmented sends where the last one did not."""
        self.segmented = True

    def codecs_changed(self) -> None:
        """Another codec begins: an end that was told all of them by SDP knows."""

    def starts(self, kind: str, sequence: int) -> None:
        """Fix the first number this viewer gets of a kind, and the offset that keeps it clear of the wrap."""
        if kind not in self.first:
            self.first[kind] = sequence
            near = 0x10000 - (sequence & 0xFFFF) <= WRAP_MARGIN
            self._offsets[kind] = 2 * WRAP_MARGIN if near else 0

    def rendering(self, codec: Codec) -> Rendering | None:
        """How packets of a codec look to this viewer, or None when it does not play it."""
        numbers = self._payload_types.get(codec)
        if numbers is None or codec.kind not in self._offsets:
            return None
        kind = codec.kind
        return Rendering(numbers[0], self._orientation_ids[kind], self._offsets[kind], self._tag_bytes)

    def rtcp_arrived(self, size: int) -> None:
        """Reports, requests for lost packets and for keyframes."""
        if self.receive_context is None:
            return
        size = self.transport.media.buffer.unprotect_rtcp(self.receive_context, size)
        if size <= 0:
            self.counters.packets_refused += 1
            return
        self.heard = True
        for message in rtcp.parse(bytes(self.transport.media.buffer.view[:size])):
            if isinstance(message, rtcp.ReportBlock):
                for kind, track in self._tracks.items():
                    if message.ssrc == track.ssrc:
                        self.reports[kind] = message
            elif isinstance(message, rtcp.Nack):
                self._nacked(message)
            elif isinstance(message, rtcp.KeyframeRequest):
                self.counters.keyframes_asked += 1
                self._on_keyframe_wanted()
            else:
                self.told(message)

    def _nacked(self, nack: rtcp.Nack) -> None:
        track = next((each for each in self._tracks.values() if each.ssrc == nack.media_ssrc), None)
        if track is None or track.codec is None or track.kind not in self.first:
            return
        rendering = self.rendering(track.codec)
        if rendering is None:
            return
        now_s = time.monotonic()
        self._credit = min(RETRANSMISSION_BURST, self._credit + (now_s - self._credit_s) * RETRANSMISSIONS_PER_S)
        self._credit_s = now_s
        for wire in nack.sequences:
            self.counters.nacks_received += 1
            self._resend(track, rendering, wire, now_s)

    def _resend(self, track: Track, rendering: Rendering, wire: int, now_s: float) -> None:
        sequence = rtp.extend((wire + rendering.sequence_offset) & 0xFFFF, track.sequence)
        packet = track.ring.get(sequence)
        oldest = max(self.first[track.kind], track.codec_since)
        if packet is None or not packet.sent or sequence < oldest:
            return
        if self._credit < 1 or now_s - self._repeated.get(sequence, -1.0) < REPEAT_S:
            self.counters.retransmissions_refused += 1
            return
        if len(self._repeated) > 2 * RETRANSMISSION_BURST:
            self._repeated.clear()
        self._repeated[sequence] = now_s
        self._credit -= 1
        retransmission = self._payload_types[track.codec][1] if track.codec is not None else None
        if retransmission is not None:
            number = self._rtx_sequence[track.kind]
            self._rtx_sequence[track.kind] = number + 1
            plaintext = rendering.retransmission(packet, track.rtx_ssrc, retransmission, number)
        else:
            # Without RTX only the very bytes sent before may be sent again.
            plaintext = rendering.plaintext(packet, track.ssrc)
        if self.transport.send_rtp(self.context, plaintext, self.address):
            self.counters.retransmissions_sent += 1
            self.packets_sent += 1
            self.bytes_sent += len(plaintext)

    def stats(self, now_s: float) -> dict[str, Any]:
        """What is known of this viewer."""
        video = self.reports.get("video")
        return {
            "id": self.id,
            "since_s": round(now_s - self.created_s, 1),
            "join_ms": None if self.connected_s is None else round((self.connected_s - self.created_s) * 1000, 1),
            "packets_sent": self.packets_sent,
            "bytes_sent": self.bytes_sent,
            "packets_dropped": self.packets_dropped,
            "nacks_received": self.counters.nacks_received,
            "retransmissions_sent": self.counters.retransmissions_sent,
            "keyframes_asked": self.counters.keyframes_asked,
            "loss": None if video is None else round(video.fraction_lost / 256, 4),
            "packets_lost": None if video is None else video.lost,
            "jitter_ms": None if video is None else round(video.jitter / 90, 1),
        }

    def add_to(self, total: Counters) -> None:
        """Add this viewer's counts; spelled out because it is done for each of thousands every second."""
        mine = self.counters
        total.packets_sent += self.packets_sent
        total.bytes_sent += self.bytes_sent
        total.packets_dropped += self.packets_dropped
        total.packets_refused += mine.packets_refused
        total.keyframes_asked += mine.keyframes_asked
        total.nacks_received += mine.nacks_received
        total.retransmissions_sent += mine.retransmissions_sent
        total.retransmissions_refused += mine.retransmissions_refused


@lru_cache(maxsize=64)
def _payload_types(formats: tuple[Format, ...]) -> dict[Codec, tuple[int, int | None]]:
    """Payload types by codec: its own and that of its retransmissions; shared by viewers with one browser."""
    return {form.codec: (form.payload_type, form.rtx) for form in formats}
