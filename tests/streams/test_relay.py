"""Real aiortc hosts and viewers through the relay, on loopback."""

from __future__ import annotations

from streams.relay import Relay
from tests.streams.peers import Events, Publisher, Viewer, until


async def test_what_a_host_sends_is_seen_and_heard_by_two_viewers(relay: Relay, events: Events) -> None:
    host = await Publisher().publish(relay, "s1")
    await until("media started", lambda: ("started", "s1", host.session_id) in events.told)
    viewers = [await Viewer().view(relay, "s1") for _ in range(2)]
    for viewer in viewers:
        await until("pictures", lambda viewer=viewer: viewer.frames["video"] > 20 and viewer.width == 160)
        await until("sound", lambda viewer=viewer: viewer.frames["audio"] > 20)
    for peer in (*viewers, host):
        await peer.aclose()
    await until("the relay noticed that all left", lambda: relay.stats("s1") == {})
    assert events.told[-1] == ("stopped", "s1", host.session_id)
