"""The picture of a broadcast: one layer, or several of a simulcast host, of which each viewer gets one.

A layer is a track of its own: numbers, resends, newest keyframe, keyframe requests. All share one clock and, to
viewers, one SSRC. A viewer changes layers only with a keyframe of the new one; viewers that change with the same
keyframe from the same layer stay one group. A pipe gets every layer, each by an SSRC of its own.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable, Collection
from typing import Any

from streams.audience import Audience
from streams.fanout import FanOut
from streams.lane import RETURN_S, Lane
from streams.layers import MAX_LAYERS, PROBE_S, Layer, LayerChoice, Phase, choose, fitting, ranked, surplus
from streams.packet import Packet
from streams.publisher import Publisher
from streams.srtp import SendBuffer
from streams.track import Track
from streams.viewer import Viewer

#: seconds between two ticks
TICK_S = 0.05
#: the low bits of a picture's SSRC name its layer, so that the far end of a pipe can tell; all ones is RTX
SLOT_MASK = 3


def slot_of(ssrc: int) -> int:
    """The layer an SSRC inside a pipe names."""
    return ssrc & SLOT_MASK if ssrc & SLOT_MASK < MAX_LAYERS else 0


class Picture:
    """The layers, and who gets which."""

    def __init__(
        self,
        viewers: Collection[Viewer],
        fan_out: FanOut,
        buffer: SendBuffer,
        loop: asyncio.AbstractEventLoop,
        *,
        publisher: Callable[[], Publisher | None],
    ) -> None:
        self._viewers = viewers
        self._fan_out = fan_out
        self._buffer = buffer
        self._loop = loop
        self._publisher = publisher
        # SSRC 0 means "none" in some receivers.
        self._ssrc = (secrets.randbelow((1 << 30) - 1) + 1) << 2
        #: until when a viewer is sent more than its picture, and how many bits a second
        self._probes: dict[Viewer, tuple[float, int]] = {}
        self._tracks: list[Track] = []
        self.lanes: list[Lane] = []
        self.track(0, 0.0)

    @property
    def main(self) -> Track:
        """The track by whose SSRC viewers know the picture."""
        return self._tracks[0]

    def track(self, slot: int, now_s: float) -> Track:
        """The track of a layer, made when first asked for."""
        while len(self.lanes) <= slot:
            track = Track(
                "video",
                ssrc=self._ssrc | len(self.lanes),
                rtx_ssrc=self._ssrc | SLOT_MASK,
                # Numbers begin in the lower half, far from the wrap.
                first_sequence=0x10000 + secrets.randbelow(1 << 14),
                first_timestamp=secrets.randbits(31),
                slot=len(self.lanes),
                siblings=self._tracks,
            )
            self._tracks.append(track)
            audience = Audience(track, self._fan_out, self._buffer, self._loop, ssrc=self._ssrc)
            lane = Lane(track, audience, self._loop)
            self.lanes.append(lane)
            for viewer in self._viewers:
                if viewer.kind == "pipe" and viewer.layer is not None:
                    audience.join(viewer, now_s)
        return self._tracks[slot]

    # packets

    def took_over(self) -> None:
        """Another host: which layers it sends, and how large they are, is to be seen."""
        for lane in self.lanes:
            lane.stop()
            lane.size = None

    def keyframe(self, lane: Lane, packet: Packet) -> None:
        """A keyframe begins and is about to be sent: the layer may be new, or of another size."""
        if len(self.lanes) > 1 and lane.news and packet.arrived_s >= lane.rests_until_s:
            lane.active = True
            self._retarget_all(packet.arrived_s, ask=False)

    def tick(self, now_s: float) -> None:
        """Every 50 ms: layers that stopped or came back, keyframes that are still wanted."""
        if len(self.lanes) > 1:
            changed = [lane for lane in self.lanes if self._changed(lane, now_s)]
            if changed:
                self._retarget_all(now_s)
        publisher = self._publisher()
        if publisher is not None:
            self._ask_all(publisher, now_s)
        for viewer, (until_s, bits_per_s) in self._probes.items():
            if now_s < until_s:
                viewer.probe(round(bits_per_s / 8 * TICK_S))

    def _ask_all(self, publisher: Publisher, now_s: float) -> None:
        for lane in self.lanes:
            if publisher.gave_up(lane.track) and lane.audience.size:
                self._ask(lane, now_s)  # its viewers would find out by waiting: Chromium's for 3 s
            wanted = bool(lane.audience.waiting or lane.audience.incoming)
            if lane.requests.due(now_s, wanted=wanted):
                publisher.ask_keyframe(lane.track)

    def _changed(self, lane: Lane, now_s: float) -> bool:
        """Notice a layer that has stopped while another goes on, or has come back for good."""
        flows = lane.flows(now_s)
        if lane.active and not flows and any(other.outlives(lane) for other in self.lanes if other is not lane):
            lane.stop(now_s + RETURN_S)
            return True
        if lane.active or not flows or now_s < lane.rests_until_s:
            return False
        if lane.size is None:
            self._ask(lane, now_s)  # its first keyframe was lost
            return False
        lane.active = True
        return True

    def measure(self, now_s: float) -> None:
        """Once a second: the bits of each layer."""
        for lane in self.lanes:
            lane.measure(now_s)

    # viewers

    def join(self, viewer: Viewer, now_s: float) -> None:
        """Let a connected viewer in: to the best layer its path is known to carry; a pipe to all."""
        order = self._order()
        best = choose(order, None)
        viewer.layer = best.slot if best is not None and viewer.kind != "pipe" else 0
        for lane in self.lanes if viewer.kind == "pipe" else (self.lanes[viewer.layer],):
            if not lane.audience.join(viewer, now_s):
                self._ask(lane, now_s)

    def leave(self, viewer: Viewer) -> None:
        """Forget a viewer."""
        self._probes.pop(viewer, None)
        for lane in self.lanes:
            lane.audience.leave(viewer)

    def wants_keyframe(self, viewer: Viewer | None, ssrc: int, now_s: float) -> None:
        """Ask the host for a keyframe of what this viewer gets, unless it was asked just now: then one follows."""
        slot = (viewer.layer if viewer is not None else 0) or 0
        if viewer is not None and viewer.wanted_layer is not None:
            slot = viewer.wanted_layer  # what it gets until then is over
        if viewer is not None and viewer.kind == "pipe":
            slot = slot_of(ssrc)
        if slot < len(self.lanes):
            self._ask(self.lanes[slot], now_s)

    def reported(self, viewer: Viewer, now_s: float) -> None:
        """A viewer told how its path does: it may get another layer."""
        if len(self.lanes) == 1 or viewer.kind == "pipe" or viewer.layer is None or viewer.wanted_layer is not None:
            return
        order = self._order()
        rank = next((rank for rank, layer in enumerate(order) if layer.slot == viewer.layer), None)
        if rank is None:
            return
        if viewer.choice is None:
            viewer.choice = LayerChoice()
        share = viewer.path.share
        fits = fitting(order, round(order[rank].bits_per_s * share) if share is not None else None)
        if viewer.choice.judge(viewer.path.verdict(), now_s, rank=rank, top=len(order) - 1, fits=fits):
            self._retarget(viewer, order, now_s)
            if viewer.wanted_layer is not None and (viewer.choice.limit or 0) < rank:
                self._pause(viewer, self.lanes[viewer.layer], self.lanes[viewer.wanted_layer])
        if viewer.choice.phase is not Phase.PROBE:
            self._probes.pop(viewer, None)
        elif viewer not in self._probes and rank + 1 < len(order):
            self._probes[viewer] = now_s + PROBE_S, surplus(order[rank], order[rank + 1])

    def _pause(self, viewer: Viewer, here: Lane, there: Lane) -> None:
        """The path's queue is full of the larger picture: more of it would cost the keyframe of the smaller one."""
        if there.requests.soon:
            here.audience.pause(viewer)

    def _order(self) -> list[Layer]:
        return ranked([lane.layer for lane in self.lanes if lane.size is not None])

    def _retarget_all(self, now_s: float, *, ask: bool = True) -> None:
        order = self._order()
        for viewer in self._viewers:
            if viewer.layer is not None and viewer.kind != "pipe":
                self._retarget(viewer, order, now_s, ask=ask)

    def _retarget(self, viewer: Viewer, order: list[Layer], now_s: float, *, ask: bool = True) -> None:
        """See that a viewer gets the layer it should, with that layer's next keyframe."""
        best = choose(order, viewer.choice.limit if viewer.choice is not None else None)
        if best is None or viewer.layer is None:
            return
        flow = viewer.flows.get("video")
        wanted = best.slot if best.slot != viewer.layer or (flow is not None and flow.paused) else None
        if wanted == viewer.wanted_layer:
            return
        if viewer.wanted_layer is not None:
            self.lanes[viewer.wanted_layer].audience.incoming.pop(viewer, None)
        viewer.wanted_layer = wanted
        if wanted is None:
            return
        here, there = self.lanes[viewer.layer], self.lanes[wanted]
        if "video" in viewer.flows:
            there.audience.incoming[viewer] = here.audience
        else:
            # It has had nothing yet, so it begins there.
            here.audience.leave(viewer)
            viewer.layer, viewer.wanted_layer = wanted, None
            if there.audience.join(viewer, now_s):
                return
        if ask:
            self._ask(there, now_s)

    def _ask(self, lane: Lane, now_s: float) -> None:
        publisher = self._publisher()
        if publisher is not None and lane.requests.ask(now_s):
            publisher.ask_keyframe(lane.track)

    # what is known

    @property
    def keyframes_asked(self) -> int:
        """How often a keyframe was asked for, by whomever."""
        return sum(lane.requests.asked for lane in self.lanes)

    def count_viewers(self, counts: dict[int, int]) -> None:
        """Add the viewers of each rank; a picture of one size counts none."""
        if len(self.lanes) == 1:
            return
        ranks = {layer.slot: rank for rank, layer in enumerate(self._order())}
        for viewer in self._viewers:
            if viewer.kind != "pipe" and viewer.layer in ranks:
                counts[ranks[viewer.layer]] += 1

    def stats(self) -> list[dict[str, Any]]:
        """Each layer in numbers, the smallest first."""
        ranks = {layer.slot: rank for rank, layer in enumerate(self._order())}
        rows = []
        for lane in sorted(self.lanes, key=lambda each: ranks.get(each.track.slot, -1)):
            width, height = lane.size or (0, 0)
            rows.append(
                {
                    "layer": lane.track.slot,
                    "active": lane.active or len(self.lanes) == 1,
                    "width": width,
                    "height": height,
                    "bits_per_s": lane.bits_per_s,
                    "packets": lane.track.packets,
                    "bytes": lane.track.octets,
                    "viewers": sum(each.kind != "pipe" and each.layer == lane.track.slot for each in self._viewers),
                    "viewers_coming": len(lane.audience.incoming),
                    "keyframes_asked": lane.requests.asked,
                    "keyframe_requests_sent": lane.requests.sent,
                }
            )
        return rows

    def close(self) -> None:
        """Stop all timers; safe to call twice."""
        for lane in self.lanes:
            lane.close()
