"""The media relay of one worker: WHIP in, WHEP out, text in and out; packets are forwarded, never decoded."""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Callable, Sequence
from typing import Any

from streams import answer as answers
from streams.addresses import Candidates
from streams.broadcast import Broadcast
from streams.counters import Counters
from streams.events import EventLane, RelayEvents
from streams.layers import MAX_LAYERS
from streams.media_session import MediaSession, PatchAnswer
from streams.metrics import RelayMetrics
from streams.peer import Peer
from streams.pipe import PipeOut
from streams.pipe_ticket import Ticket
from streams.pipes import PipeExchange, Pipes
from streams.publisher import Publisher
from streams.relay_errors import Full, NotHere, PreconditionFailed, PreconditionRequired, SessionNotFound
from streams.sdp import parse_offer
from streams.ticker import A_SECOND, Ticker
from streams.transport import Transport
from streams.trickle import parse_fragment, write_fragment
from streams.viewer import Viewer

#: streams served to other workers, each to each
MAX_PIPES = 2000
#: what a full worker tells
RETRY_AFTER_MS = 2000


class Relay:
    """Façade of the media relay; every method is to be called on the loop that started it."""

    def __init__(
        self,
        events: RelayEvents,
        *,
        worker_id: str,
        bind_host: str = "127.0.0.1",
        port: int = 0,
        advertise: Sequence[str] = (),
        reread: Callable[[], Sequence[str]] | None = None,
        pipes: PipeExchange | None = None,
        max_publishers: int = 200,
        max_viewers: int = 2000,
    ) -> None:
        self._worker_id = worker_id
        self._max = {"publish": max_publishers, "view": max_viewers, "pipe": MAX_PIPES}
        self._count = dict.fromkeys(self._max, 0)
        self._transport = Transport(bind_host, port)
        self._lane = EventLane(events)
        self._metrics = RelayMetrics()
        self._candidates = Candidates(bind_host, tuple(advertise), reread)
        self._broadcasts: dict[str, Broadcast] = {}
        self._sessions: dict[str, Peer] = {}
        self._leaving: set[Peer] = set()
        #: counts of broadcasts that are over
        self._past = Counters()
        self._ticker = Ticker(self._end_leaving, self._tick)
        self._pipes = Pipes(
            pipes, bind_host=bind_host, broadcast=self._broadcast, new_id=self._new_id, on_ended=self.end_stream
        )
        self.port = 0

    # life

    async def start(self) -> None:
        """Bind the UDP socket and begin."""
        await self._candidates.start()
        self._transport.open()
        self.port = self._transport.media.port
        self._lane.start()
        self._ticker.start()

    async def aclose(self) -> None:
        """End every session (peers are told) and free the socket; safe to call twice."""
        await self._ticker.aclose()
        await self._pipes.aclose()
        for session_id in list(self._sessions):
            with contextlib.suppress(SessionNotFound):
                await self.end_session(session_id)
        for peer in list(self._leaving):
            await self._end(peer)
        for broadcast in self._broadcasts.values():
            broadcast.close()
        self._broadcasts.clear()
        self._transport.close()
        await self._lane.aclose()

    # sessions

    async def publish(self, stream_id: str, offer: str) -> MediaSession:
        """Answer a WHIP offer; raises BadSdp or Full. An older publisher of the stream is replaced at once."""
        parsed = parse_offer(offer)
        chosen = answers.choose_publisher(parsed)
        existing = self._broadcasts.get(stream_id)
        self._room("publish", replaced=int(existing is not None and existing.publisher is not None))
        await self._pipes.stop(stream_id)
        broadcast = self._broadcast(stream_id)
        peer = Publisher(
            self._transport,
            self._new_id(),
            stream_id,
            chosen,
            tracks=broadcast.tracks,
            layer=broadcast.layer,
            on_packet=broadcast.packet,
            on_gone=self._gone,
        )
        old = broadcast.take_over(peer)
        session = self._opened(peer, answers.write(parsed, chosen, *self._ends(peer), senders={}))
        if old is not None:
            await self._end(old)
        return session

    async def view(self, stream_id: str, offer: str, *, pull: bool = False) -> MediaSession:
        """Answer a WHEP offer; raises BadSdp or Full. Without a publisher the media follows when there is one.

        With ``pull`` the publisher is another worker's, and raises NotHere when it cannot be pulled from there now.
        """
        parsed = parse_offer(offer)
        self._room("view")
        if pull and not await self._pipes.ready(stream_id):
            raise NotHere("The stream cannot be brought here now.", retry_after_ms=RETRY_AFTER_MS)
        existing = self._broadcasts.get(stream_id)
        chosen = answers.choose_viewer(parsed, existing.playing if existing is not None else {})
        broadcast = self._broadcast(stream_id)
        peer = Viewer(
            self._transport,
            self._new_id(),
            stream_id,
            chosen,
            tracks=broadcast.tracks,
            on_connected=broadcast.joined,
            on_keyframe_wanted=broadcast.want_keyframe,
            on_report=broadcast.reported,
            on_gone=self._gone,
        )
        broadcast.add(peer)
        return self._opened(peer, answers.write(parsed, chosen, *self._ends(peer), senders=broadcast.senders()))

    def pull_by(self, exchange: PipeExchange) -> None:
        """Pull streams of other workers by this exchange."""
        self._pipes.pull_by(exchange)

    def serve_pipe(self, stream_id: str) -> Ticket:
        """A ticket by which another worker pulls the stream from here; raises NotHere or Full."""
        existing = self._broadcasts.get(stream_id)
        if existing is not None and existing.publisher is not None and not existing.publisher.announces:
            raise NotHere("This worker pulls the stream itself.")
        self._room("pipe")
        broadcast = self._broadcast(stream_id)
        peer = PipeOut(
            self._transport,
            self._new_id(),
            stream_id,
            numbers=broadcast.numbers,
            tracks=broadcast.tracks,
            on_connected=broadcast.joined,
            on_keyframe_wanted=broadcast.want_keyframe,
            on_report=broadcast.reported,
            on_gone=self._gone,
        )
        broadcast.add(peer)
        self._opened(peer, "")
        return peer.ticket(peer.local(self._candidates.told()), tuple(broadcast.playing.values()))

    async def patch(self, session_id: str, body: str, if_match: str | None) -> PatchAnswer:
        """A trickle PATCH (204) or an ICE restart (200), as RFC 9725 §4.3 says."""
        peer = self._session(session_id)
        fragment = parse_fragment(body)
        restart = bool(fragment.ufrag and fragment.password) and fragment.ufrag != peer.remote_ufrag
        if if_match is not None and if_match != "*" and peer.etag not in [tag.strip() for tag in if_match.split(",")]:
            raise PreconditionFailed("The ICE session has been replaced by a newer one.")
        if not restart:
            # Real players never send If-Match with their candidates; we need neither.
            return PatchAnswer(204, "", peer.etag)
        if if_match is None:
            raise PreconditionRequired("An ICE restart needs If-Match with the session's entity tag.")
        peer.restart_ice(fragment.ufrag, fragment.password)
        local = peer.local(self._candidates.told())
        section = next(iter(peer.chosen.values())).section
        body = write_fragment(local.ufrag, local.password, answers.candidate_lines(local), section.mid, section.kind)
        return PatchAnswer(200, body, peer.etag)

    async def end_session(self, session_id: str) -> None:
        """End a session; raises SessionNotFound."""
        await self._end(self._session(session_id))

    async def end_stream(self, stream_id: str) -> None:
        """End every session of a stream on this worker."""
        for peer in [each for each in self._sessions.values() if each.stream_id == stream_id]:
            await self._end(peer)

    def session_kind(self, session_id: str) -> tuple[str, str]:
        """("publish" or "view", stream id); raises SessionNotFound."""
        peer = self._session(session_id)
        return peer.kind, peer.stream_id

    def stats(self, stream_id: str, *, viewers: int = 0) -> dict[str, Any]:
        """What this worker knows about a stream's media, with details of so many viewers; empty when it has none."""
        broadcast = self._broadcasts.get(stream_id)
        return broadcast.stats(viewers=viewers) if broadcast is not None else {}

    @property
    def failures(self) -> int:
        """Datagrams and ticks that raised an exception: zero, always."""
        return self._transport.media.failures + self._ticker.failures

    def viewers(self, stream_id: str) -> int:
        """How many viewers of a stream this worker serves."""
        broadcast = self._broadcasts.get(stream_id)
        return broadcast.audience if broadcast is not None else 0

    # inside

    def _room(self, kind: str, *, replaced: int = 0) -> None:
        if not self._ticker.running:
            raise Full("The relay is not running.", retry_after_ms=RETRY_AFTER_MS)
        if self._count[kind] - replaced >= self._max[kind]:
            raise Full("This worker serves as many media sessions as it may.", retry_after_ms=RETRY_AFTER_MS)

    def _broadcast(self, stream_id: str) -> Broadcast:
        broadcast = self._broadcasts.get(stream_id)
        if broadcast is None:
            broadcast = self._broadcasts[stream_id] = Broadcast(
                stream_id, self._transport, lambda what, session_id: self._lane.put(what, stream_id, session_id)
            )
            self._ticker.hurry()
        return broadcast

    def _new_id(self) -> str:
        return f"{self._worker_id}.{secrets.token_urlsafe(12)}"

    def _ends(self, peer: Peer) -> tuple[answers.Local, int]:
        return peer.local(self._candidates.told()), secrets.randbits(62)

    def _opened(self, peer: Peer, answer: str) -> MediaSession:
        self._sessions[peer.id] = peer
        self._count[peer.kind] += 1
        return MediaSession(peer.id, answer, peer.etag)

    def _session(self, session_id: str) -> Peer:
        peer = self._sessions.get(session_id)
        if peer is None:
            raise SessionNotFound("There is no such media session, or it has ended.")
        return peer

    def _gone(self, peer: Peer) -> None:
        """A peer's handshake failed or it said goodbye: ended by the next tick, outside its own task."""
        self._leaving.add(peer)
        self._ticker.wake()

    async def _end(self, peer: Peer) -> None:
        self._leaving.discard(peer)
        if self._sessions.pop(peer.id, None) is not None:
            self._count[peer.kind] -= 1
        broadcast = self._broadcasts.get(peer.stream_id)
        if broadcast is not None and isinstance(peer, Publisher):
            broadcast.publisher_left(peer)
        elif broadcast is not None and isinstance(peer, Viewer):
            broadcast.remove(peer)
        peer.close()
        self._forget_if_idle(peer.stream_id)

    def _forget_if_idle(self, stream_id: str) -> None:
        broadcast = self._broadcasts.get(stream_id)
        if broadcast is not None and broadcast.idle:
            broadcast.close()
            self._past.add(broadcast.totals())
            del self._broadcasts[stream_id]

    async def _end_leaving(self) -> None:
        for peer in list(self._leaving):
            await self._end(peer)

    def _tick(self, ticks: int, now_s: float) -> bool:
        self._transport.settle(now_s)
        self._pipes.tick(now_s)
        for broadcast in list(self._broadcasts.values()):
            self._ticker.guard(broadcast.tick, now_s)
        if ticks % A_SECOND == 0:
            self._each_second(now_s)
        # Whatever needs ticks belongs to a broadcast, or is a session of one.
        return bool(self._broadcasts or self._sessions)

    def _each_second(self, now_s: float) -> None:
        self._leaving.update(peer for peer in self._sessions.values() if now_s - peer.consent_s > peer.consent_limit_s)
        total, layers = Counters(), dict.fromkeys(range(MAX_LAYERS), 0)
        total.add(self._past)
        for stream_id, broadcast in list(self._broadcasts.items()):
            total.add(broadcast.totals())
            broadcast.picture.count_viewers(layers)
            self._forget_if_idle(stream_id)
        self._metrics.flush(total, self._count, transport=self._transport, layers=layers)
