"""Loss on the way in and on the way out, by a fixed pattern: NACK, RTX, and no picture missing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from streams import batch
from streams.broadcast import Broadcast
from streams.relay import Relay
from tests.streams.peers import Publisher, Viewer, until


class LossySocket:
    """Loses every so manyth send of media."""

    def __init__(self, real: Any, every: int) -> None:
        self._real, self._every = real, every
        self.sends = self.lost = 0

    def sendmsg(self, *arguments: Any) -> int:
        self.sends += 1
        if self.sends % self._every == 0:
            self.lost += 1
            return 0
        return int(self._real.sendmsg(*arguments))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)


def losing(
    handler: Callable[[int, Any], None], relay: Relay, every: int, lost: list[int]
) -> Callable[[int, Any], None]:
    """A datagram handler that loses every so manyth packet of media."""
    view = relay._transport.media.buffer.view
    count = 0

    def handle(size: int, address: Any) -> None:
        nonlocal count
        if view[0] >> 6 == 2 and not 192 <= view[1] <= 223:
            count += 1
            if count % every == 0:
                lost.append(count)
                return
        handler(size, address)

    return handle


async def test_what_is_lost_from_the_host_is_asked_for_and_comes(relay: Relay) -> None:
    media, lost = relay._transport.media, []  # type: ignore[var-annotated]
    media._handler = losing(media._handler, relay, 9, lost)
    host = await Publisher().publish(relay, "s1")
    viewer = await Viewer().view(relay, "s1")
    await until("the picture", lambda: viewer.frames["video"] > 60)
    stats = relay.stats("s1")
    assert len(lost) > 10
    assert stats["packets_recovered"] > 0
    assert stats["nacks_sent"] >= stats["packets_recovered"]
    await host.aclose()
    await viewer.aclose()


@pytest.mark.parametrize("rtx", [True, False], ids=["by RTX", "as the same bytes"])
async def test_what_is_lost_to_a_viewer_is_sent_again(relay: Relay, monkeypatch: pytest.MonkeyPatch, rtx: bool) -> None:
    lossy: list[LossySocket] = []
    initialise = Broadcast.__init__

    def make_lossy(self: Broadcast, *arguments: Any) -> None:
        initialise(self, *arguments)
        lossy.append(LossySocket(self._fan_out._socket, 9))
        self._fan_out._socket = lossy[0]  # type: ignore[assignment]

    monkeypatch.setattr(Broadcast, "__init__", make_lossy)
    monkeypatch.setattr(batch, "sendmmsg", None)  # each send by itself can be lost
    host = await Publisher().publish(relay, "s1")
    viewer = Viewer()
    if not rtx:
        strip = viewer.pc.getTransceivers()[1]
        from aiortc import RTCRtpReceiver

        codecs = RTCRtpReceiver.getCapabilities("video").codecs
        strip.setCodecPreferences([each for each in codecs if each.mimeType == "video/VP8"])
    await viewer.view(relay, "s1")
    assert ("apt=" in viewer.answer) is rtx
    await until("the picture", lambda: viewer.frames["video"] > 60)
    stats = relay.stats("s1")
    assert lossy[0].lost > 10
    assert stats["nacks_received"] > 0
    assert stats["retransmissions_sent"] > 0
    await host.aclose()
    await viewer.aclose()


async def test_a_viewer_that_joins_just_before_the_wrap_plays_across_it_even_if_the_first_packets_are_lost(
    relay: Relay, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A receiver cannot know the rollover counter: without the offset it would never authenticate again."""
    initialise = Broadcast.__init__

    def near_the_wrap(self: Broadcast, *arguments: Any) -> None:
        initialise(self, *arguments)
        for track in self.tracks.values():
            track.sequence = 0x1FFFF - 40

    monkeypatch.setattr(Broadcast, "__init__", near_the_wrap)
    host = await Publisher().publish(relay, "s1")
    await until("media", lambda: relay.stats("s1")["packets_received"] > 3)
    viewer = await Viewer().view(relay, "s1")
    peer: Any = relay._sessions[viewer.session_id]
    await until("it is connected", lambda: peer.context is not None)
    tracks = relay._broadcasts["s1"].tracks
    context, peer.context = peer.context, None  # what is sent now is lost
    await until("the wrap", lambda: all(track.sequence > 0x20000 for track in tracks.values()))
    peer.context = context
    await until("the picture", lambda: viewer.frames["video"] > 10)
    await until("the sound", lambda: viewer.frames["audio"] > 10)
    await host.aclose()
    await viewer.aclose()
