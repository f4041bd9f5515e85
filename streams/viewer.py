"""A viewer's session: what it can play, what it was sent, what it asks for again."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from functools import lru_cache
from typing import Any

from streams import rtcp, rtp
from streams.allowance import Allowance
from streams.bandwidth import Path, Report
from streams.batch import NO_OUTLET
from streams.codecs import Codec
from streams.counters import Counters
from streams.dtls import WINDOW
from streams.flow import Flow, Segment
from streams.layers import LayerChoice
from streams.packet import Packet, Rendering
from streams.peer import Peer
from streams.resends import Resends
from streams.sdp import ORIENTATION, Format
from streams.track import Track

#: RTCP packets of a viewer a second, and at once: each takes 50 µs, more are not even decrypted
RTCP_PER_S, RTCP_BURST = 200, 400
#: numbers that it may ask for again: each takes 3 µs to be found, whether it is sent or not
NACKED_PER_S, NACKED_BURST = 2000, 1000
#: keyframes that it may ask for: the host makes them for all, and each is as long as ten frames
KEYFRAMES_PER_S, KEYFRAME_BURST = 0.25, 8
#: so few packets on the way tell no delay: the end of a frame may be lost where the next comes a second later
MAX_TAIL = 2
#: a probe repeats packets no older than so many
PROBE_PACKETS = 64
#: a viewer's own estimate of its path counts for so many seconds
ESTIMATE_S = 3.0


class Viewer(Peer):
    """One receiver of a broadcast; the fan-out reads its plain attributes."""

    kind = "view"

    def __init__(
        self,
        *peer: Any,
        tracks: dict[str, Track],
        on_connected: Callable[[Viewer], None],
        on_keyframe_wanted: Callable[[Viewer, int], None],
        on_report: Callable[[Viewer], None],
        **options: Any,
    ) -> None:
        super().__init__(*peer, **options)
        self.segmented = True
        self.outlet = NO_OUTLET
        self.packets_sent = self.bytes_sent = self.packets_dropped = 0
        #: what it has been sent, by what :meth:`_flow_key` says
        self.flows: dict[str | int, Flow] = {}
        #: which layer of the picture it gets, or waits for; None before it joins
        self.layer: int | None = None
        #: the layer it changes to with the next keyframe of that
        self.wanted_layer: int | None = None
        self.choice: LayerChoice | None = None
        self.path = Path()
        self._estimate: tuple[float, int] | None = None
        self.reports: dict[str, rtcp.ReportBlock] = {}
        self.counters = Counters()
        self._tracks = tracks
        self._on_connected = on_connected
        self._on_keyframe_wanted = on_keyframe_wanted
        self._on_report = on_report
        self._tag_bytes = 0
        self._payload_types = _payload_types(tuple(form for each in self.chosen.values() for form in each.formats))
        if any(codec.kind == "video" and rtx is None for codec, (_, rtx) in self._payload_types.items()):
            self.send_window = WINDOW  # it is sent the very packets again, however old
        self._orientation_ids = {kind: each.extensions.get(ORIENTATION, 0) for kind, each in self.chosen.items()}
        self._rtx_sequence = {kind: secrets.randbelow(1 << 15) for kind in self.chosen}
        self._resends = Resends()
        self._rtcp = Allowance(RTCP_PER_S, RTCP_BURST)
        self._asked = Allowance(NACKED_PER_S, NACKED_BURST)
        self._keyframes = Allowance(KEYFRAMES_PER_S, KEYFRAME_BURST)
        #: packets that had been dropped here at the newest report
        self._dropped = 0

    def connected(self, tag_bytes: int) -> None:
        """The handshake is done: join."""
        self._tag_bytes = tag_bytes
        if self.kind == "view" and self.connected_s is not None:
            self.transport.joins.note(self.connected_s - self.created_s)
        self._on_connected(self)

    def address_changed(self) -> None:
        """Another path may carry segmented sends where the last one did not."""
        self.segmented = True

    def codecs_changed(self) -> None:
        """Another codec begins: an end that was told all of them by SDP knows."""

    def _flow_key(self, track: Track) -> str | int:
        """A viewer has one flow of each kind, whichever layer it comes from."""
        return track.kind

    def _flow_of(self, ssrc: int) -> Flow | None:
        """The flow an outgoing SSRC names."""
        return self.flows.get(self._kind_of(ssrc))

    def _kind_of(self, ssrc: int) -> str:
        for kind, track in self._tracks.items():
            if track.ssrc == ssrc:
                return kind
        return ""

    def starts(self, track: Track, sequence: int) -> None:
        """Fix the first number this viewer gets of a kind."""
        key = self._flow_key(track)
        if key not in self.flows:
            self.flows[key] = Flow(track, sequence)

    def switches(self, track: Track, first: Packet, last: Packet | None) -> None:
        """Go on with another layer from its packet ``first``, after ``last`` of the layer until now."""
        self.flows[self._flow_key(track)].switch(track, first, last)
        self.layer, self.wanted_layer = track.slot, None
        self.counters.layer_switches += 1
        self.path.changed()

    def rendering(self, track: Track) -> Rendering | None:
        """How a track's packets look to this viewer now, or None when it does not get or cannot play them."""
        flow = self.flows.get(self._flow_key(track))
        return self._rendering(flow.now) if flow is not None and flow.now.track is track else None

    def _rendering(self, segment: Segment) -> Rendering | None:
        track, shift = segment.track, segment.shift
        numbers = self._payload_types.get(track.codec) if track.codec is not None else None
        if numbers is None:
            return None
        if shift is not None and track.codec is not None and track.codec.name != "VP8":
            shift = shift._replace(picture=0, base=0)
        return Rendering(numbers[0], self._orientation_ids[track.kind], segment.offset, self._tag_bytes, shift)

    def rtcp_arrived(self, size: int) -> None:
        """Reports, requests for lost packets and for keyframes."""
        if self.receive_context is None:
            return
        now_s, person = time.monotonic(), self.kind == "view"  # a pipe speaks for many
        if person and not self._rtcp.take(now_s):
            self.counters.packets_refused += 1
            return
        size = self.decrypt(size, control=True)
        if size <= 0:
            self.counters.packets_refused += 1
            return
        self.heard = True
        for message in rtcp.parse(bytes(self.transport.media.buffer.view[:size])):
            if isinstance(message, rtcp.ReportBlock):
                self._reported(message)
            elif isinstance(message, rtcp.Nack):
                if not person or self._asked.take(now_s, len(message.sequences)):
                    self._nacked(message, now_s)
                else:
                    self.counters.retransmissions_refused += len(message.sequences)
            elif isinstance(message, rtcp.KeyframeRequest):
                self.counters.keyframes_asked += 1
                if not person or self._keyframes.take(now_s):
                    self._on_keyframe_wanted(self, message.media_ssrc)
            elif isinstance(message, rtcp.Estimate):
                self._estimate = time.monotonic(), message.bits_per_s
            else:
                self.told(message)

    def _reported(self, block: rtcp.ReportBlock) -> None:
        kind = self._kind_of(block.ssrc)
        if not kind:
            return
        self.reports[kind] = block
        flow = self._flow_of(block.ssrc) if kind == "video" else None
        if flow is None:
            return
        now_s, newest = time.monotonic(), flow.newest
        told = self._estimate
        estimate = told[1] if told is not None and now_s - told[0] < ESTIMATE_S else None
        highest = rtp.extend(block.highest & 0xFFFF, newest)
        delay_s = self._delay_s(flow, newest, block, highest, now_s)
        if self.path.reported(Report(now_s, self.bytes_sent, newest, highest, block.lost, delay_s, estimate)):
            dropped, self._dropped = self.packets_dropped != self._dropped, self.packets_dropped
            trouble, layered = self.path.trouble() is not None, self.choice is not None
            self._resends.reported(now_s, dropped=dropped, trouble=trouble, layered=layered)
            # The layer goes by all that is missing: a smaller picture is less work for a worker short of time, too.
            self._on_report(self)

    def _delay_s(self, flow: Flow, newest: int, block: rtcp.ReportBlock, highest: int, now_s: float) -> float | None:
        """How old the newest packet is that the viewer has; where that is the last, the round trip of our report."""
        found = flow.find(highest & 0xFFFF) if highest < newest - MAX_TAIL else None
        packet = found[0].track.ring.get(found[1]) if found is not None else None
        if packet is not None:
            return now_s - packet.arrived_s
        return rtcp.round_trip_s(block, rtcp.ntp_of(time.time())) if block.last_sender_report else None

    def _nacked(self, nack: rtcp.Nack, now_s: float) -> None:
        flow = self._flow_of(nack.media_ssrc)
        if flow is None:
            return
        for wire in nack.sequences:
            self.counters.nacks_received += 1
            self._resend(flow, nack.media_ssrc, wire, now_s)

    def _resend(self, flow: Flow, ssrc: int, wire: int, now_s: float) -> None:
        segment, sequence = flow.find(wire) or (flow.now, -1)
        track = segment.track
        packet = track.ring.get(sequence)
        rendering = self._rendering(segment)
        if packet is None or not packet.sent or sequence < track.codec_since or rendering is None:
            self.counters.retransmissions_missing += 1
            return
        if not self._resends.take(now_s, (ssrc, sequence - segment.offset), past=segment is not flow.now):
            self.counters.retransmissions_refused += 1
            return
        plaintext = self._again(track, rendering, packet, ssrc)
        if self.transport.send_rtp(self.context, plaintext, self.address):
            self.counters.retransmissions_sent += 1
            self.packets_sent += 1
            self.bytes_sent += len(plaintext)

    def probe(self, size: int) -> None:
        """Send so many bytes of what it was sent already once more, to see whether its path carries more."""
        flow = self.flows.get("video")
        rendering = self._rendering(flow.now) if flow is not None else None
        if flow is None or rendering is None:
            return
        track, sequence = flow.now.track, flow.newest + flow.now.offset
        oldest = max(track.codec_since, flow.now.begins + flow.now.offset, sequence - PROBE_PACKETS)
        while size > 0 and sequence >= oldest:
            packet, sequence = track.ring.get(sequence), sequence - 1
            if packet is None or not packet.sent:
                continue
            plaintext = self._again(track, rendering, packet, self._tracks["video"].ssrc)
            if not self.transport.send_rtp(self.context, plaintext, self.address):
                return
            size -= len(plaintext)
            self.counters.probes_sent += 1
            self.packets_sent += 1
            self.bytes_sent += len(plaintext)

    def _again(self, track: Track, rendering: Rendering, packet: Packet, ssrc: int) -> bytes:
        """A packet as it is sent again: by RTX, else the very bytes sent before and no others."""
        retransmission = self._payload_types[track.codec][1] if track.codec is not None else None
        if retransmission is None:
            return rendering.plaintext(packet, ssrc)
        number = self._rtx_sequence[track.kind]
        self._rtx_sequence[track.kind] = number + 1
        return rendering.retransmission(packet, self._tracks[track.kind].rtx_ssrc, retransmission, number)

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
            "delay_ms": None if self.path.delay_s is None else round(self.path.delay_s * 1000, 1),
            "bits_per_s": self.path.bits_per_s,
            "estimate_bits_per_s": None if self._estimate is None else self._estimate[1],
            "path": self.path.verdict().value,
            "layer": self.layer,
            "layer_wanted": self.wanted_layer,
            "layer_limit": None if self.choice is None else self.choice.limit,
            "layer_switches": self.counters.layer_switches,
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
        total.retransmissions_missing += mine.retransmissions_missing
        total.layer_switches += mine.layer_switches
        total.probes_sent += mine.probes_sent


@lru_cache(maxsize=64)
def _payload_types(formats: tuple[Format, ...]) -> dict[Codec, tuple[int, int | None]]:
    """Payload types by codec: its own and that of its retransmissions; shared by viewers with one browser."""
    return {form.codec: (form.payload_type, form.rtx) for form in formats}
