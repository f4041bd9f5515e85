"""One stream on this worker: at most one publisher, two tracks, many viewers."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Callable, Iterable
from itertools import islice
from typing import Any

from streams import rtcp
from streams.answer import Sender
from streams.audience import Audience
from streams.codecs import Codec
from streams.counters import Counters
from streams.delays import Delays
from streams.fanout import FanOut
from streams.lane import Lane
from streams.packet import Packet
from streams.picture import Picture
from streams.pipe_ticket import next_number
from streams.publisher import Publisher
from streams.track import Track
from streams.transport import Transport
from streams.viewer import Viewer

#: seconds without media after which the host counts as interrupted
SILENCE_S = 3.0
#: ticks between two sender reports to one viewer (ticks are 50 ms)
REPORT_TICKS = 20

#: (what happened: "started" or "stopped", session id)
OnMedia = Callable[[str, str], None]


class Broadcast:
    """Joins the publisher's packets to the viewers; lives as long as it has one of either."""

    def __init__(self, stream_id: str, transport: Transport, on_media: OnMedia) -> None:
        self.stream_id = stream_id
        self.cname = secrets.token_hex(8)
        self.publisher: Publisher | None = None
        self.viewers: dict[Viewer, int] = {}
        self.counters = Counters()
        self._on_media = on_media
        self._loop = asyncio.get_running_loop()
        assert transport.media.sock is not None
        self._fan_out = FanOut(transport.media.sock, self._loop, transport.delays)
        self._media, self._buffer = transport.media, transport.send_buffer
        buffer = self._buffer
        sound = _new_sound()
        self.sound = Audience(sound, self._fan_out, buffer, self._loop, ssrc=sound.ssrc)
        self.picture = Picture(self.viewers, self._fan_out, buffer, self._loop, publisher=lambda: self.publisher)
        #: by whose SSRCs viewers know the stream
        self.tracks = {"audio": sound, "video": self.picture.main}
        self._codecs: dict[str, Codec] = {}
        #: kinds of which the publisher of now has sent something
        self._heard: set[str] = set()
        #: payload types inside pipes
        self.numbers: dict[Codec, tuple[int, int | None]] = {}
        self._announced: str | None = None
        self._announces = True
        self._media_s = 0.0
        self._ticks = 0
        self._joined = 0
        #: who gets a report in which tick of a second
        self._turns: list[dict[Viewer, None]] = [{} for _ in range(REPORT_TICKS)]

    @property
    def playing(self) -> dict[str, Codec]:
        """The codec of each track that has one: what arrives, or is going to by what the publisher chose."""
        chosen = self.publisher.chosen if self.publisher is not None else {}
        ahead = {kind: each.formats[0].codec for kind, each in chosen.items() if kind not in self._heard}
        return {**self._codecs, **ahead}

    @property
    def idle(self) -> bool:
        """Whether nobody is left."""
        return self.publisher is None and not self.viewers and self._announced is None

    @property
    def audience(self) -> int:
        """How many people watch here; pipes to other workers are none."""
        return sum(viewer.kind == "view" for viewer in self.viewers)

    def senders(self) -> dict[str, Sender]:
        """What answers tell of the tracks."""
        return {kind: Sender(track.ssrc, track.rtx_ssrc, self.cname, "live") for kind, track in self.tracks.items()}

    def take_over(self, publisher: Publisher) -> Publisher | None:
        """A new publisher; the old one, which is to be closed."""
        old, self.publisher = self.publisher, publisher
        self._heard.clear()
        self.picture.took_over()
        if old is not None:
            self.counters.add(old.counters)
        return old

    def publisher_left(self, publisher: Publisher) -> None:
        """The publisher's session ended: unless another took over, its media has stopped."""
        if self.publisher is publisher:
            self.publisher = None
            self.counters.add(publisher.counters)
            if self._announced is not None:
                self._stopped()

    def _stopped(self) -> None:
        announced, self._announced = self._announced, None
        if announced is not None and self._announces:
            self._on_media("stopped", announced)

    def packet(self, publisher: Publisher, track: Track, packet: Packet) -> None:
        """One media packet in the track's space: sound goes on at once, a frame's packets together."""
        if publisher is not self.publisher:
            return
        self._media_s = packet.arrived_s
        self._heard.add(track.kind)
        if self._announced != publisher.id:
            self._announced, self._announces = publisher.id, publisher.announces
            if publisher.announces:
                self._on_media("started", publisher.id)
        if track.kind == "audio":
            if track.codec is not None and self._codecs.get("audio") != track.codec:
                self._codec_changed(track.kind, track.codec)
                self.sound.regroup()
            self.sound.send((packet,), packet.arrived_s)
            return
        lane = self.picture.lanes[track.slot]
        if lane.codec is not track.codec:
            if track.codec is not None and self._codecs.get("video") != track.codec:
                self._codec_changed(track.kind, track.codec)
            lane.changed_codec()  # pipes are grouped by the number that it has now
        lane.packet(packet, self._keyframe)

    def _codec_changed(self, kind: str, codec: Codec) -> None:
        self._codecs[kind] = codec
        next_number(self.numbers, codec)
        for viewer in self.viewers:
            viewer.codecs_changed()

    def _keyframe(self, lane: Lane, packet: Packet) -> None:
        if self.publisher is not None:
            self.publisher.counters.keyframes_received += 1
        self.picture.keyframe(lane, packet)

    def layer(self, slot: int) -> Track:
        """The track of one layer of the picture."""
        return self.picture.track(slot, time.monotonic())

    def add(self, viewer: Viewer) -> None:
        """Count a viewer; it joins when it is connected."""
        self._joined += 1
        turn = self.viewers[viewer] = self._joined % REPORT_TICKS
        self._turns[turn][viewer] = None

    def joined(self, viewer: Viewer) -> None:
        """A viewer is connected: media from now on."""
        if viewer not in self.viewers:
            return
        now_s = time.monotonic()
        if "audio" in viewer.chosen:
            self.sound.join(viewer, now_s)
        if "video" in viewer.chosen:
            self.picture.join(viewer, now_s)
        self._report_to(viewer, self._reports(time.time(), now_s))

    def reported(self, viewer: Viewer) -> None:
        """A viewer told how its path does."""
        if viewer in self.viewers:
            self.picture.reported(viewer, time.monotonic())

    def remove(self, viewer: Viewer) -> None:
        """Forget a viewer."""
        turn = self.viewers.pop(viewer, None)
        if turn is not None:
            del self._turns[turn][viewer]
            viewer.add_to(self.counters)
            self.sound.leave(viewer)
            self.picture.leave(viewer)

    def want_keyframe(self, viewer: Viewer | None = None, ssrc: int = 0) -> None:
        """Ask the host for a keyframe of what a viewer gets, unless it was asked just now: then a request follows."""
        self.picture.wants_keyframe(viewer, ssrc, time.monotonic())

    def tick(self, now_s: float) -> None:
        """Every 50 ms: feedback to the host, silence, keyframes still wanted, reports to viewers."""
        self._ticks += 1
        if self._announced is not None and now_s - self._media_s > SILENCE_S:
            self._stopped()
        if self.publisher is not None:
            self.publisher.tick(now_s)
            self.picture.tick(now_s)
        phase = self._ticks % REPORT_TICKS
        if not phase:
            self.picture.measure(now_s)
        reports = self._reports(time.time(), now_s) if self._turns[phase] else {}
        if reports:
            self._report_to_all(self._turns[phase], reports)

    def _reports(self, unix_s: float, now_s: float) -> dict[str, bytes]:
        """A sender report for each track, the same one for all viewers."""
        if now_s - self._media_s > SILENCE_S:
            return {}
        reports: dict[str, bytes] = {}
        for kind, track in self.tracks.items():
            timestamp = self._timestamp(track, unix_s, now_s)
            if timestamp is not None:
                report = rtcp.build_sender_report(
                    track.ssrc, rtcp.ntp_of(unix_s), timestamp, track.packets, track.octets
                )
                reports[kind] = report + rtcp.build_sdes(track.ssrc, self.cname)
        return reports

    def _report_to_all(self, viewers: Iterable[Viewer], reports: dict[str, bytes]) -> None:
        """Reports to those who have their turn."""
        encrypt, send = self._buffer.encrypt_rtcp, self._media.send
        compounds: dict[tuple[str, ...], bytes] = {}
        for viewer in viewers:
            if viewer.kind != "view" or viewer.context is None:
                self._report_to(viewer, reports)
                continue
            compound = compounds.get(kinds := tuple(viewer.chosen))
            if compound is None:
                compound = compounds[kinds] = b"".join(reports[kind] for kind in kinds if kind in reports)
            if compound and (data := encrypt(viewer.context, compound)) is not None:
                send(data, viewer.address)

    def _report_to(self, viewer: Viewer, reports: dict[str, bytes]) -> None:
        # One SRTCP packet for both: RFC 3550 §6.1 allows several reports in a compound.
        compound = b"".join(report for kind, report in reports.items() if kind in viewer.chosen)
        if compound:
            viewer.send_rtcp(compound)

    def _timestamp(self, track: Track, unix_s: float, now_s: float) -> int | None:
        """The track's timestamp now: by the host's reports, else by its newest packet."""
        anchor = self.publisher.anchor if self.publisher is not None else None
        if track.kind == "video" and anchor is not None:
            track = anchor  # all layers share its clock
        if track.newest_s is None:
            return None
        if self.publisher is not None:
            host = self.publisher.clock.timestamp(track.kind, unix_s, track.clock_rate)
            if host is not None:
                return (host + track.timestamp_offset) & 0xFFFFFFFF
        return (track.timestamp + round((now_s - track.newest_s) * track.clock_rate)) & 0xFFFFFFFF

    def totals(self) -> Counters:
        """All counts of this stream on this worker."""
        total = Counters()
        total.add(self.counters)
        if self.publisher is not None:
            total.add(self.publisher.counters)
        for viewer in self.viewers:
            viewer.add_to(total)
        total.keyframes_asked = self.picture.keyframes_asked
        total.runs_dropped = self._fan_out.runs_dropped
        return total

    @property
    def delays(self) -> Delays:
        """How long packets took through this worker."""
        return self._fan_out.delays

    def stats(self, *, viewers: int = 0) -> dict[str, Any]:
        """What there is to know about this stream on this worker, with details of so many viewers."""
        now_s = time.monotonic()
        details = [each.stats(now_s) for each in islice((v for v in self.viewers if v.kind == "view"), viewers)]
        return {
            **({"viewers_in_detail": details} if viewers else {}),
            "publisher": self.publisher.id if self.publisher is not None else None,
            "live": self._announced is not None,
            "viewers": self.audience,
            "pipes": len(self.viewers) - self.audience,
            "pulled": self.publisher is not None and not self.publisher.announces,
            "viewers_connected": sum(viewer.context is not None for viewer in self.viewers),
            "codecs": {kind: codec.name for kind, codec in self.playing.items()},
            "layers": self.picture.stats(),
            "slices": self._fan_out.slices,
            "forward_delay_s": dict(self.delays.cumulative()),
            **self._media.add_to(self.totals()).as_dict(),
        }

    def close(self) -> None:
        """Stop all timers; safe to call twice."""
        self._fan_out.close()
        self.sound.close()
        self.picture.close()


def _new_sound() -> Track:
    # Sequence numbers begin in the lower half, far from the wrap; SSRC 0 means "none" in some receivers.
    return Track(
        "audio",
        ssrc=secrets.randbelow(0xFFFFFFFE) + 1,
        rtx_ssrc=secrets.randbelow(0xFFFFFFFE) + 1,
        first_sequence=0x10000 + secrets.randbelow(1 << 14),
        first_timestamp=secrets.randbits(31),
    )
