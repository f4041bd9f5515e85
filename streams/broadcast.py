"""One stream on this worker: at most one publisher, two tracks, many viewers."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Callable
from itertools import islice
from typing import Any

from streams import rtcp
from streams.answer import Sender
from streams.audience import Audience
from streams.codecs import Codec
from streams.counters import Counters
from streams.delays import Delays
from streams.fanout import FanOut
from streams.keyframes import KeyframeRequests
from streams.packet import Packet
from streams.pipe_ticket import next_number
from streams.publisher import Publisher
from streams.runs import pad_to_runs
from streams.srtp import MAX_SEGMENTS
from streams.track import Track
from streams.transport import Transport
from streams.viewer import Viewer

#: seconds a frame's packets may wait for the rest of the frame
HOLD_S = 0.003
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
        self.tracks = {kind: _new_track(kind) for kind in ("audio", "video")}
        self.counters = Counters()
        self._on_media = on_media
        self._loop = asyncio.get_running_loop()
        assert transport.media.sock is not None
        self._fan_out = FanOut(transport.media.sock, transport.send_buffer, self._loop, transport.delays)
        self.audiences = {
            kind: Audience(track, self._fan_out, transport.send_buffer, self._loop)
            for kind, track in self.tracks.items()
        }
        self._keyframes = KeyframeRequests()
        self._keyframe_timestamp: int | None = None
        self._pending: list[Packet] = []
        self._hold: asyncio.TimerHandle | None = None
        self._codecs: dict[str, Codec] = {}
        #: payload types inside pipes
        self.numbers: dict[Codec, tuple[int, int | None]] = {}
        self._announced: str | None = None
        self._announces = True
        self._media_s = 0.0
        self._ticks = 0
        self._joined = 0

    @property
    def playing(self) -> dict[str, Codec]:
        """The codec of each track that has one."""
        chosen = self.publisher.chosen if self.publisher is not None else {}
        return {**self._codecs, **{kind: each.formats[0].codec for kind, each in chosen.items()}}

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

    # the publisher

    def take_over(self, publisher: Publisher) -> Publisher | None:
        """A new publisher; the old one, which is to be closed."""
        old, self.publisher = self.publisher, publisher
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
        if self._announced != publisher.id:
            self._announced, self._announces = publisher.id, publisher.announces
            if publisher.announces:
                self._on_media("started", publisher.id)
        if track.codec is not None and self._codecs.get(track.kind) != track.codec:
            self._flush()
            self._codecs[track.kind] = track.codec
            next_number(self.numbers, track.codec)
            for viewer in self.viewers:
                viewer.codecs_changed()
            self.audiences[track.kind].regroup()
        if track.kind == "audio":
            self.audiences["audio"].send((packet,), packet.arrived_s)
            return
        self._pending.append(packet)
        if packet.keyframe and packet.timestamp != self._keyframe_timestamp:
            self._keyframe_timestamp = packet.timestamp
            publisher.counters.keyframes_received += 1
            self._keyframes.arrived(packet.arrived_s)
            self.audiences["video"].cache.deaf = self._keyframes.deaf
        if packet.marker or len(self._pending) >= MAX_SEGMENTS:
            self._flush()
        elif self._hold is None:
            self._hold = self._loop.call_later(HOLD_S, self._flush)

    def _flush(self) -> None:
        if self._hold is not None:
            self._hold.cancel()
            self._hold = None
        if self._pending:
            packets, self._pending = self._pending, []
            pad_to_runs(packets, max_segments=MAX_SEGMENTS)
            self.audiences["video"].send(packets, time.monotonic())

    # viewers

    def add(self, viewer: Viewer) -> None:
        """Count a viewer; it joins when it is connected."""
        self._joined += 1
        self.viewers[viewer] = self._joined % REPORT_TICKS

    def joined(self, viewer: Viewer) -> None:
        """A viewer is connected: media from now on."""
        if viewer not in self.viewers:
            return
        now_s = time.monotonic()
        for kind, audience in self.audiences.items():
            if kind in viewer.chosen and not audience.join(viewer, now_s):
                self.want_keyframe()
        self._report_to(viewer, self._reports(time.time(), now_s))

    def remove(self, viewer: Viewer) -> None:
        """Forget a viewer."""
        if self.viewers.pop(viewer, None) is not None:
            viewer.add_to(self.counters)
            for audience in self.audiences.values():
                audience.leave(viewer)

    def want_keyframe(self) -> None:
        """Ask the host for a keyframe, unless it was asked just now: then a request follows."""
        if self.publisher is not None and self._keyframes.ask(time.monotonic()):
            self.publisher.ask_keyframe()

    # time

    def tick(self, now_s: float) -> None:
        """Every 50 ms: feedback to the host, silence, keyframes still wanted, reports to viewers."""
        self._ticks += 1
        if self._announced is not None and now_s - self._media_s > SILENCE_S:
            self._stopped()
        if self.publisher is not None:
            self.publisher.tick(now_s)
            if self._keyframes.due(now_s, wanted=bool(self.audiences["video"].waiting)):
                self.publisher.ask_keyframe()
        phase = self._ticks % REPORT_TICKS
        reports = self._reports(time.time(), now_s)
        for viewer, turn in self.viewers.items() if reports else ():
            if turn == phase:
                self._report_to(viewer, reports)

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

    def _report_to(self, viewer: Viewer, reports: dict[str, bytes]) -> None:
        # One SRTCP packet for both: RFC 3550 §6.1 allows several reports in a compound.
        compound = b"".join(report for kind, report in reports.items() if kind in viewer.chosen)
        if compound:
            viewer.send_rtcp(compound)

    def _timestamp(self, track: Track, unix_s: float, now_s: float) -> int | None:
        """The track's timestamp now: by the host's reports, else by its newest packet."""
        if track.newest_s is None:
            return None
        if self.publisher is not None:
            host = self.publisher.clock.timestamp(track.kind, unix_s, track.clock_rate)
            if host is not None:
                return (host + track.timestamp_offset) & 0xFFFFFFFF
        return (track.timestamp + round((now_s - track.newest_s) * track.clock_rate)) & 0xFFFFFFFF

    # what is known

    def totals(self) -> Counters:
        """All counts of this stream on this worker."""
        total = Counters()
        total.add(self.counters)
        if self.publisher is not None:
            total.add(self.publisher.counters)
        for viewer in self.viewers:
            viewer.add_to(total)
        total.keyframes_asked = self._keyframes.asked
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
            "slices": self._fan_out.slices,
            "forward_delay_s": dict(self.delays.cumulative()),
            "runs_dropped": self._fan_out.runs_dropped,
            **self.totals().as_dict(),
        }

    def close(self) -> None:
        """Stop all timers; safe to call twice."""
        if self._hold is not None:
            self._hold.cancel()
            self._hold = None
        self._pending.clear()
        self._fan_out.close()
        for audience in self.audiences.values():
            audience.close()


def _new_track(kind: str) -> Track:
    # Sequence numbers begin in the lower half, far from the wrap; SSRC 0 means "none" in some receivers.
    return Track(
        kind,
        ssrc=secrets.randbelow(0xFFFFFFFE) + 1,
        rtx_ssrc=secrets.randbelow(0xFFFFFFFE) + 1,
        first_sequence=0x10000 + secrets.randbelow(1 << 14),
        first_timestamp=secrets.randbits(31),
    )
