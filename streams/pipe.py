"""The two ends of a pipe: at the origin one more viewer, at the puller one more host.

Both use what viewers and hosts use (fan-out and replay, NACK, keyframe requests, sender reports); only the way in
differs: no SDP and no DTLS, but a ticket. STUN finds the puller's address and proves each end alive.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Collection
from typing import Any

from pylibsrtp import Policy

from streams import rtcp, stun
from streams.allowance import Allowance
from streams.answer import Local
from streams.codecs import Codec
from streams.dtls import WINDOW, srtp_session
from streams.flow import Flow, Segment
from streams.packet import Rendering
from streams.peer import Peer
from streams.picture import SLOT_MASK, slot_of
from streams.pipe_ticket import (
    APPLICATION,
    KEY_BYTES,
    ORIENTATION_ID,
    Ticket,
    next_number,
    pack_codecs,
    sections,
    unpack_codecs,
)
from streams.publisher import FEEDBACK_SSRC, Meaning, Publisher
from streams.sync import HostClock
from streams.track import Track
from streams.transport import Transport
from streams.viewer import Viewer

#: seconds between two checks of the puller; and before the first answer
CHECK_S = 0.5
FIRST_CHECK_S = 0.05
#: seconds without an answer after which the origin is taken for dead, and without a check after which the puller is
SILENCE_S = 2.0
CONSENT_S = 5.0
_TAG_BYTES = 16
_PROFILE = Policy.SRTP_PROFILE_AEAD_AES_128_GCM


class PipeOut(Viewer):
    """The origin's end: a viewer that plays every codec."""

    kind = "pipe"
    consent_limit_s = CONSENT_S

    def __init__(self, *peer: Any, numbers: dict[Codec, tuple[int, int | None]], **options: Any) -> None:
        super().__init__(*peer, sections({}), **options)
        #: shared with the broadcast: whatever plays next is in it
        self._payload_types = numbers
        self.media_key, self.feedback_key = secrets.token_bytes(KEY_BYTES), secrets.token_bytes(KEY_BYTES)
        self._srtp = (
            srtp_session(self.feedback_key, _PROFILE, outbound=False),
            srtp_session(self.media_key, _PROFILE, outbound=True, window=WINDOW),
        )

    def ticket(self, local: Local, playing: Collection[Codec]) -> Ticket:
        """What the other worker needs to pull by this pipe."""
        for codec in playing:
            next_number(self._payload_types, codec)
        return Ticket(
            ufrag=local.ufrag,
            password=local.password,
            addresses=local.addresses,
            port=local.port,
            media_key=self.media_key,
            feedback_key=self.feedback_key,
            codecs=pack_codecs(self._payload_types),
            playing=tuple(self._payload_types[codec][0] for codec in playing if codec in self._payload_types),
        )

    def _start_handshake(self, now_s: float) -> None:
        """The first check tells the puller's address; the keys are there already."""
        if self.context is None and not self.gone:
            self.receive_context, self.context = self._srtp[0].context, self._srtp[1].context
            self.connected_s = now_s
            self.connected(_TAG_BYTES)
            self.codecs_changed()

    def _flow_key(self, track: Track) -> int:
        """Every layer is a flow of its own."""
        return track.ssrc

    def _flow_of(self, ssrc: int) -> Flow | None:
        return self.flows.get(ssrc)

    def _rendering(self, segment: Segment) -> Rendering | None:
        rendering = super()._rendering(segment)
        return rendering._replace(ssrc=segment.track.ssrc) if rendering is not None else None

    def codecs_changed(self) -> None:
        """Tell the payload types."""
        self.send_rtcp(b"")

    def send_rtcp(self, plaintext: bytes) -> None:
        """Send RTCP, the codecs with it: whatever was lost before is told again."""
        compound = plaintext or rtcp.build_receiver_report(FEEDBACK_SSRC, ())
        super().send_rtcp(
            compound + rtcp.build_application(FEEDBACK_SSRC, APPLICATION, pack_codecs(self._payload_types))
        )

    def told(self, message: rtcp.Message) -> None:
        """The puller says goodbye."""
        if isinstance(message, rtcp.Bye):
            self._leave()

    def close(self) -> None:
        """Say goodbye and end; safe to call twice."""
        super().send_rtcp(rtcp.build_receiver_report(FEEDBACK_SSRC, ()) + rtcp.build_bye(FEEDBACK_SSRC))
        super().close()


class PipeTransport(Transport):
    """The puller's socket for one pipe: the origin tells pipes apart by their addresses."""

    pipe: PipeIn | None = None

    def _stun(self, data: bytes, address: Any) -> None:
        if self.pipe is not None:
            self.pipe.answered(data, address, time.monotonic())


class PipeIn(Publisher):
    """The puller's end: a host whose packets come from the origin."""

    kind = "pull"
    announces = False

    def __init__(
        self, transport: PipeTransport, session_id: str, stream_id: str, ticket: Ticket, *,
        on_up: Callable[[], None], on_over: Callable[[], None], **options: Any,
    ) -> None:  # fmt: skip
        codecs = unpack_codecs(ticket.codecs)
        playing = {number: codec for number, codec in codecs.items() if number in ticket.playing}
        chosen = {kind: each for kind, each in sections(playing).items() if each.formats} or sections({})
        super().__init__(transport, session_id, stream_id, chosen, on_gone=lambda _: on_over(), **options)
        transport.pipe = self
        self._on_up = on_up
        self._ticket = ticket
        # The origin has cut its host already.
        self._allowance = Allowance(1e12, 1e12)
        self._orientation_ids = {"audio": 0, "video": ORIENTATION_ID}
        self.clock = HostClock(tuple(kind for kind in chosen if chosen[kind].formats) or ("audio", "video"))
        self._codecs: dict[int, Codec] = {}
        self._learn(codecs)
        self._srtp = (
            srtp_session(ticket.media_key, _PROFILE, outbound=False),
            srtp_session(ticket.feedback_key, _PROFILE, outbound=True),
        )
        self.receive_context, self.context = self._srtp[0].context, self._srtp[1].context
        self.connected_s = time.monotonic()
        self._transaction = secrets.token_bytes(12)
        self._checked_s = 0.0
        self._answered_s = self.connected_s

    def _learn(self, codecs: dict[int, Codec]) -> None:
        # Each report tells them again: what a packet means stays the very same, which is quick to see.
        if codecs != self._codecs:
            self._codecs = codecs
            self._meanings = {number: Meaning(codec.kind, codec, False) for number, codec in codecs.items()}

    def keep(self, now_s: float) -> None:
        """Every 50 ms: check the origin, and notice that it is gone."""
        if self.gone:
            return
        if now_s - self._answered_s > SILENCE_S:
            self._leave()
            return
        if now_s - self._checked_s >= (FIRST_CHECK_S if self.address is None else CHECK_S):
            self._checked_s = now_s
            ticket = self._ticket
            request = stun.request(ticket.ufrag, ticket.password, self._transaction)
            targets = [self.address] if self.address else [(host, ticket.port) for host in ticket.addresses]
            for target in targets:
                self.transport.media.send(request, target)

    def answered(self, data: bytes, address: Any, now_s: float) -> None:
        """A binding response came."""
        if stun.is_success(data, self._transaction, self._ticket.password):
            self._answered_s = now_s
            # The origin may send from any of its addresses: it takes the check that came last, we the first answer.
            self.transport.move(self, address)
            if self.address is None:
                self.address = address
                self._on_up()

    def told(self, message: rtcp.Message) -> None:
        """The origin tells the codecs, or says goodbye."""
        if isinstance(message, rtcp.Application) and message.name == APPLICATION:
            self._learn(unpack_codecs(message.data))
        elif isinstance(message, rtcp.Bye):
            self._leave()

    def _report(self, now_s: float) -> None:
        super()._report(now_s)
        self.counters.datagrams_unsent = self.counters.datagrams_overflowed = 0
        self.transport.media.add_to(self.counters)

    def _slot(self, ssrc: int, meaning: Meaning, values: dict[int, bytes]) -> int:
        return slot_of(ssrc) if meaning.kind == "video" else 0

    def _host_reported(self, report: rtcp.SenderReport, now_s: float) -> None:
        """One report tells the clock of all layers: at the origin they share one."""
        if report.ssrc in self._sources or self.anchor is None:
            super()._host_reported(report, now_s)
        elif any(source.statistics.ssrc | SLOT_MASK == report.ssrc | SLOT_MASK for source in self._pictures()):
            self.clock.reported("video", report.ntp, report.timestamp, time.time())
            self._align()

    def _clock_of(self, track: Track) -> str:
        return track.kind

    def _known_offset(self) -> int | None:
        return self.anchor.timestamp_offset if self.anchor in self._feeding and self.anchor is not None else None

    def _align(self) -> None:
        for source in self._pictures():
            if source.track is not self.anchor:
                source.track.wanted_offset = self._known_offset()

    def _may_ask_again(self) -> bool:
        return True

    def close(self) -> None:
        """Say goodbye and free the socket; safe to call twice."""
        self.send_rtcp(rtcp.build_receiver_report(FEEDBACK_SSRC, ()) + rtcp.build_bye(FEEDBACK_SSRC))
        Peer.close(self)
        self.transport.close()
