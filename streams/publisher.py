"""A host's session: packets in, feedback out."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, NamedTuple

from streams import rtcp, rtp
from streams.allowance import Allowance
from streams.answer import Chosen
from streams.codecs import Codec
from streams.counters import Counters
from streams.ingest import MissingPackets, SourceStatistics
from streams.packet import Packet
from streams.peer import Peer
from streams.sdp import ORIENTATION, REPAIRED_RID, RID, TRANSPORT_CC
from streams.sync import HostClock
from streams.track import Track
from streams.twcc import TransportFeedback

#: SSRCs of one publisher: sound, picture, retransmissions, and some that changed on the way
MAX_SOURCES = 16
#: seconds between two reports of reception
REPORT_S = 1.0
#: told by REMB where transport-wide feedback was not offered
REMB_BITS_PER_SECOND = 3_000_000
#: what a host may send, retransmissions and probes included; twice as much for a second
MAX_BITS_PER_S = 20_000_000
#: what a packet counts at least, in bytes: many small ones cost as much as large ones (6,250 a second)
MIN_CHARGE = 400
#: of a packet without header extensions
_NO_VALUES: dict[int, bytes] = {}
#: our own SSRC in feedback: nothing is ever sent by it
FEEDBACK_SSRC = 1


class Meaning(NamedTuple):
    """What a payload type of this publisher carries."""

    kind: str
    codec: Codec
    retransmission: bool


class _Source:
    """One incoming SSRC."""

    def __init__(self, ssrc: int, meaning: Meaning, track: Track) -> None:
        self.meaning = meaning
        #: what it feeds, by itself or by its retransmissions
        self.track = track
        self.statistics = SourceStatistics(ssrc, meaning.codec.clock_rate)
        self.missing = MissingPackets()


class Publisher(Peer):
    """Decrypts, orders and hands on what a host sends; asks again for what is missing."""

    kind = "publish"
    #: whether its coming and going is the stream's
    announces = True

    def __init__(
        self,
        *peer: Any,
        tracks: dict[str, Track],
        layer: Callable[[int], Track],
        on_packet: Callable[[Publisher, Track, Packet], None],
        **options: Any,
    ) -> None:
        super().__init__(*peer, **options)
        self.counters = Counters()
        self.clock = HostClock(tuple(self.chosen))
        #: in bytes: a host that sends more than this is cut, for every byte goes to each viewer
        self._allowance = Allowance(MAX_BITS_PER_S / 8, MAX_BITS_PER_S / 4)
        self._tracks = tracks
        self._layer = layer
        #: the layer whose clock is the picture's
        self.anchor: Track | None = None
        self._on_packet = on_packet
        self._meanings = _meanings(self.chosen)
        self._sources: dict[int, _Source] = {}
        #: the SSRC that feeds each track now
        self._feeding: dict[Track, _Source] = {}
        video = self.chosen.get("video")
        #: layers by the names that packets carry
        self._slots = {rid.encode(): slot for slot, rid in enumerate(video.rids)} if video is not None else {}
        extensions = video.extensions if video is not None else {}
        #: ids of the extensions that name the layer of media and of retransmissions
        self._rid_ids = extensions.get(RID, 0), extensions.get(REPAIRED_RID, 0)
        self._feedback = TransportFeedback()
        self._feedback_ids = {kind: each.extensions.get(TRANSPORT_CC, 0) for kind, each in self.chosen.items()}
        self._orientation_ids = {kind: each.extensions.get(ORIENTATION, 0) for kind, each in self.chosen.items()}
        self._reported_s = 0.0

    # in

    def rtp_arrived(self, size: int) -> None:
        """Decrypt one packet, count it, and hand it on in the track's own space."""
        counters = self.counters
        if self.receive_context is None:
            return
        size = self.decrypt(size)
        data = bytes(self.transport.media.buffer.view[:size]) if size > 0 else b""
        header = rtp.parse(data) if data else None
        meaning = self._meanings.get(header.payload_type) if header is not None else None
        if header is None or meaning is None:
            counters.packets_refused += 1
            return
        now_s = time.monotonic()
        if not self._allowance.take(now_s, size if size > MIN_CHARGE else MIN_CHARGE):
            counters.packets_over_limit += 1
            return
        counters.packets_received += 1
        counters.bytes_received += size
        values = _NO_VALUES
        if header.extension[2]:
            values = rtp.extension_values(data, header)
            self._note_transport(meaning.kind, values, now_s)
        source = self._sources.get(header.ssrc)
        if source is None or source.meaning is not meaning:
            source = self._source(header.ssrc, meaning, values)
        if source is None:
            counters.packets_refused += 1
        elif meaning.retransmission:
            self._retransmitted(source.track, data, header, values, now_s)
        else:
            self._feeding[source.track] = source
            extended = source.statistics.received(header.sequence, header.timestamp, now_s)
            self._deliver(source, header, extended, data[header.payload_start : header.payload_end], values, now_s)

    def _source(self, ssrc: int, meaning: Meaning, values: dict[int, bytes]) -> _Source | None:
        source = self._sources.get(ssrc)
        if source is None or source.meaning.kind != meaning.kind:
            slot = self._slot(ssrc, meaning, values)
            if slot is None or len(self._sources) >= MAX_SOURCES:
                return None
            track = self._layer(slot) if meaning.kind == "video" else self._tracks[meaning.kind]
            source = self._sources[ssrc] = _Source(ssrc, meaning, track)
            if meaning.kind == "video" and not meaning.retransmission:
                self.anchor = self.anchor or track
                track.wanted_offset = self._known_offset()
        elif source.meaning.codec != meaning.codec:
            source.meaning = meaning
        return source

    def _slot(self, ssrc: int, meaning: Meaning, values: dict[int, bytes]) -> int | None:
        """Which layer a new SSRC carries; None when it names none that was agreed (RFC 8852)."""
        if not self._slots or meaning.kind != "video":
            return 0
        return self._slots.get(values.get(self._rid_ids[meaning.retransmission], b""))

    def _known_offset(self) -> int | None:
        """The timestamp offset of a layer that begins: only its own reports will tell."""
        return None

    def _deliver(
        self, source: _Source, header: rtp.Header, extended: int, payload: bytes, values: dict[int, bytes], now_s: float
    ) -> None:
        kind = source.meaning.kind
        if kind == "video":
            # By RTX, or the very packet once more: pipes and hosts without RTX send that.
            if source.missing.some and extended in source.missing:
                self.counters.packets_recovered += 1
            missing = source.missing.received(extended, now_s)
            if missing:
                self._ask_again(source, missing)
        turned = values.get(self._orientation_ids[kind]) if values else None
        packet = source.track.accept(
            source,
            source.meaning.codec,
            header,
            extended,
            payload,
            orientation=turned[0] if turned else None,
            now_s=now_s,
        )
        if packet is not None:
            self._on_packet(self, source.track, packet)

    def _retransmitted(
        self, track: Track, data: bytes, header: rtp.Header, values: dict[int, bytes], now_s: float
    ) -> None:
        """Unwrap RTX (RFC 4588) when it is a packet we miss; probes that repeat old packets are not."""
        source = self._feeding.get(track)
        payload = data[header.payload_start : header.payload_end]
        if source is None or source.statistics.highest is None or len(payload) < 2:
            return
        original = rtp.extend(payload[0] << 8 | payload[1], source.statistics.highest)
        if original in source.missing:
            source.statistics.packets += 1
            self._deliver(source, header, original, payload[2:], values, now_s)

    def _note_transport(self, kind: str, values: dict[int, bytes], now_s: float) -> None:
        number = values.get(self._feedback_ids.get(kind, 0))
        if number is not None and len(number) >= 2:
            self._feedback.arrived(number[0] << 8 | number[1], int(now_s * 1e6))

    def rtcp_arrived(self, size: int) -> None:
        """The host's sender reports: they keep sound and picture together."""
        if self.receive_context is None:
            return
        size = self.decrypt(size, control=True)
        if size <= 0:
            self.counters.packets_refused += 1
            return
        self.heard = True
        now_s = time.monotonic()
        for message in rtcp.parse(bytes(self.transport.media.buffer.view[:size])):
            if isinstance(message, rtcp.SenderReport):
                self._host_reported(message, now_s)
            else:
                self.told(message)

    def _host_reported(self, report: rtcp.SenderReport, now_s: float) -> None:
        source = self._sources.get(report.ssrc)
        if source is None:
            return
        source.statistics.sender_report(report.ntp, now_s)
        if self._feeding.get(source.track) is source:
            self.clock.reported(self._clock_of(source.track), report.ntp, report.timestamp, time.time())
            self._align()

    def _clock_of(self, track: Track) -> str:
        return track.kind if track.kind == "audio" or track is self.anchor else f"layer {track.slot}"

    def _align(self) -> None:
        """All layers are to show one moment by one timestamp: told by their reports, taken at the next keyframe."""
        for track in self._feeding if self._slots else ():
            if track.kind == "audio" or track is self.anchor or self.anchor is None:
                continue
            offset = self.clock.offset("video", self._clock_of(track), track.clock_rate)
            if offset is not None:
                track.wanted_offset = (self.anchor.timestamp_offset + offset) & 0xFFFFFFFF

    # out

    def ask_keyframe(self, track: Track) -> bool:
        """Send a PLI for one layer; whether there was a picture to ask about."""
        source = self._feeding.get(track)
        if source is None or self.context is None:
            return False
        self.counters.keyframe_requests_sent += 1
        self.send_rtcp(rtcp.build_pli(FEEDBACK_SSRC, source.statistics.ssrc))
        return True

    def gave_up(self, track: Track) -> bool:
        """Whether packets of a layer will never come, since the last time: without them only a keyframe helps."""
        source = self._feeding.get(track)
        return source is not None and source.missing.gave_up()

    def _pictures(self) -> list[_Source]:
        """What feeds the layers of the picture."""
        return [source for track, source in self._feeding.items() if track.kind == "video"]

    def _ask_again(self, source: _Source, sequences: list[int]) -> None:
        if self._may_ask_again():
            self.counters.nacks_sent += len(sequences)
            wire = [number & 0xFFFF for number in sequences]
            self.send_rtcp(rtcp.build_nack(FEEDBACK_SSRC, source.statistics.ssrc, wire))

    def _may_ask_again(self) -> bool:
        return any(what.startswith("nack") for form in self.chosen["video"].formats for what in form.feedback)

    def tick(self, now_s: float) -> None:
        """Every 50 ms: transport feedback, NACKs that are due again; once a second: reports."""
        if self.context is None:
            return
        media = 0
        for source in self._pictures():
            media = source.statistics.ssrc
            if again := source.missing.due(now_s):
                self._ask_again(source, again)
        feedback = self._feedback.take(FEEDBACK_SSRC, media)
        if feedback is not None:
            self.send_rtcp(feedback)
        if now_s - self._reported_s >= REPORT_S:
            self._reported_s = now_s
            self._report(now_s)

    def _report(self, now_s: float) -> None:
        blocks = [block for each in self._feeding.values() if (block := each.statistics.report(now_s)) is not None]
        self.counters.packets_lost = sum(each.statistics.lost for each in self._sources.values())
        compound = rtcp.build_receiver_report(FEEDBACK_SSRC, blocks) + rtcp.build_sdes(FEEDBACK_SSRC, "relay")
        pictures = [source.statistics.ssrc for source in self._pictures()]
        if pictures and not self._feedback_ids.get("video"):
            compound += rtcp.build_remb(FEEDBACK_SSRC, REMB_BITS_PER_SECOND, pictures)
        self.send_rtcp(compound)


def _meanings(chosen: dict[str, Chosen]) -> dict[int, Meaning]:
    meanings: dict[int, Meaning] = {}
    for kind, each in chosen.items():
        for form in each.formats:
            meanings[form.payload_type] = Meaning(kind, form.codec, False)
            if form.rtx is not None:
                meanings[form.rtx] = Meaning(kind, form.codec, True)
    return meanings
