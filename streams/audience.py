"""The viewers of one track: grouped by rendering, with the newest keyframe replayed to those who join."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence

from streams.fanout import Drafts, FanOut, prepare
from streams.keyframes import KeyframeCache
from streams.packet import Packet, Rendering
from streams.rows import Group
from streams.srtp import SendBuffer
from streams.track import Track
from streams.viewer import Viewer

#: a replay is sent in bursts of so many packets, so many seconds apart: a home router's queue is short
REPLAY_BURST = 32
REPLAY_PAUSE_S = 0.004


class Audience:
    """Who gets a track's packets, and in which form."""

    def __init__(
        self, track: Track, fan_out: FanOut, buffer: SendBuffer, loop: asyncio.AbstractEventLoop, *, ssrc: int
    ) -> None:
        self.track = track
        #: what viewers see: the same one for every layer of a picture
        self._ssrc = ssrc
        #: the packet of the highest number sent
        self.newest: Packet | None = None
        self.cache = KeyframeCache()
        self._fan_out = fan_out
        self._buffer = buffer
        self._loop = loop
        self._groups: dict[Rendering, Group] = {}
        #: who gets the track, and in which group
        self._members: dict[Viewer, Rendering | None] = {}
        #: connected, but without a keyframe to start from
        self.waiting: dict[Viewer, None] = {}
        #: viewers of other layers that come here with the next keyframe, and where they are
        self.incoming: dict[Viewer, Audience] = {}
        #: how much of the cache each joiner has had
        self._replays: dict[Viewer, int] = {}
        self._timer: asyncio.TimerHandle | None = None

    def join(self, viewer: Viewer, now_s: float) -> bool:
        """Let a viewer in; False when it has to wait for a keyframe."""
        if self.track.kind == "audio":
            self._start([viewer], self.track.sequence + 1)
            return True
        if not self.cache.fresh(now_s):
            self.waiting[viewer] = None
            return False
        viewer.starts(self.track, self.cache.packets[0].sequence)
        self._replays[viewer] = 0
        self._step()
        return True

    def leave(self, viewer: Viewer) -> None:
        """Forget a viewer."""
        self.incoming.pop(viewer, None)
        self.waiting.pop(viewer, None)
        self._replays.pop(viewer, None)
        rendering = self._members.pop(viewer, None)
        if rendering is not None:
            # Only its own group changes. A new one: what is being sent in slices goes on with the old.
            group = self._groups.pop(rendering, None)
            if group is not None and (rest := group.without(viewer)):
                self._groups[rendering] = rest

    def pause(self, viewer: Viewer) -> None:
        """Send a viewer no more of this layer: its path is to be empty when the smaller one's keyframe comes."""
        if viewer in self._members and self.newest is not None:
            self.leave(viewer)
            viewer.flows["video"].pause(self.newest)

    @property
    def size(self) -> int:
        """How many get this track, or are about to."""
        return len(self._members) + len(self._replays) + len(self.waiting)

    def regroup(self) -> None:
        """The track's codec changed: every viewer needs another payload type, or cannot play it."""
        self.cache.clear()
        self.waiting.update(dict.fromkeys(self._replays))
        self._replays.clear()
        self._regroup()

    def send(self, packets: Sequence[Packet], now_s: float) -> None:
        """Send packets to all, live; those who waited begin with the first keyframe among them."""
        for start, end in self._chapters(packets):
            part = packets[start:end]
            if self.cache.begins_with(part[0]):
                self._finish_replays()
                self._welcome(part[0])
            newest, cache = self.newest, self.cache if self.track.kind == "video" else None
            for packet in part:
                packet.sent = True
                if newest is None or packet.sequence > newest.sequence:
                    newest = packet
                if cache is not None and (cache.packets or packet.keyframe):
                    cache.add(packet, now_s, keep=bool(self._replays))
            self.newest = newest
            drafts: Drafts | None = {} if len(self._groups) > 1 else None
            for rendering, viewers in self._groups.items():
                mine = part if rendering.shift is None else rendering.shift.mine(part)
                if mine:
                    shared = drafts if len(mine) == len(part) else None
                    self._fan_out.send(prepare(mine, rendering, self._ssrc, self._buffer, shared), viewers)

    def _welcome(self, first: Packet) -> None:
        """A keyframe is about to be sent: those who waited for it are viewers from now on."""
        waiting, self.waiting = list(self.waiting), {}
        incoming, self.incoming = self.incoming, {}
        for old in dict.fromkeys(incoming.values()):
            old._release([viewer for viewer, where in incoming.items() if where is old])
        for viewer, old in incoming.items():
            viewer.switches(self.track, first, old.newest)
        self._admit(incoming)
        self._start(waiting, first.sequence)

    def _release(self, viewers: Sequence[Viewer]) -> None:
        """They go on with another layer; who is still catching up with this one gets the rest of it first."""
        if any(viewer in self._replays for viewer in viewers):
            self._finish_replays()
        for viewer in viewers:
            self.waiting.pop(viewer, None)
            self._members.pop(viewer, None)
        self._regroup()

    def _chapters(self, packets: Sequence[Packet]) -> list[tuple[int, int]]:
        """Bounds of the parts that begin with a new keyframe."""
        if not any([packet.keyframe for packet in packets]):
            return [(0, len(packets))]
        cuts = [0]
        seen: int | None = None
        for index, packet in enumerate(packets):
            if packet.keyframe and self.cache.begins_with(packet) and packet.timestamp != seen:
                seen = packet.timestamp
                if index:
                    cuts.append(index)
        return list(zip(cuts, [*cuts[1:], len(packets)], strict=True))

    def _start(self, viewers: Sequence[Viewer], first: int) -> None:
        for viewer in viewers:
            viewer.starts(self.track, first)
        self._admit(viewers)

    def _admit(self, viewers: Iterable[Viewer]) -> None:
        """Let viewers into their groups; to look at all the others, too, made 200 joins cost a fifth more CPU."""
        added: dict[Rendering, list[Viewer]] = {}
        for viewer in viewers:
            if viewer not in self._members:
                rendering = self._members[viewer] = viewer.rendering(self.track)
                if rendering is not None:
                    added.setdefault(rendering, []).append(viewer)
        for rendering, new in added.items():
            old = self._groups.get(rendering, ())
            self._groups[rendering] = Group.of((*old, *new), old)

    def _regroup(self) -> None:
        """Group all anew: how they see the track has changed."""
        members, self._members, self._groups = self._members, {}, {}
        self._admit(members)

    # replays

    def _step(self) -> None:
        """One burst to each joiner; who has caught up goes on live."""
        self._timer = None
        self._replay(REPLAY_BURST)
        if self._replays:
            self._timer = self._loop.call_later(REPLAY_PAUSE_S, self._step)

    def _finish_replays(self) -> None:
        """A new keyframe is about to replace the cache: send the rest of the old one at once."""
        if self._replays:
            self._replay(len(self.cache.packets))
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _replay(self, burst: int) -> None:
        done: list[Viewer] = []
        for viewer, position in self._replays.items():
            part = self.cache.packets[position : position + burst]
            rendering = viewer.rendering(self.track)
            if part and rendering is not None:
                for run in prepare(part, rendering, self._ssrc, self._buffer):
                    self._fan_out.send_to(run, (viewer,))
            self._replays[viewer] = position + burst
            if position + burst >= len(self.cache.packets):
                done.append(viewer)
        for viewer in done:
            del self._replays[viewer]
        self._admit(done)

    def close(self) -> None:
        """Stop the timer and forget all."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._replays.clear()
        self.waiting.clear()
        self.incoming.clear()
        self._members.clear()
        self._groups = {}
