"""What one host, one address or one moment may cost the others."""

from __future__ import annotations

import aiohttp
import pytest

from load_tests.viewers_host import Rate, SyntheticHost
from load_tests.viewers_peers import Crowd
from load_tests.whep_peer import Shared
from streams import transport
from streams.allowance import Allowance
from streams.keyframes import KeyframeCache, KeyframeRequests
from streams.packet import Packet
from streams.relay import Relay
from streams.viewer import Viewer
from tests.streams.front import front
from tests.streams.peers import until

RATE = Rate(frames_per_s=25, frame_bytes=3300, packet_bytes=1100)


async def test_a_host_that_sends_more_than_it_may_is_cut(relay: Relay, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("streams.publisher.MAX_BITS_PER_S", 200_000)
    async with front(relay) as url, aiohttp.ClientSession() as http:
        host = SyntheticHost(Shared(), RATE)  # 660 kbit/s
        await host.start(http, f"{url}whip/s1", "")
        await until("it is cut", lambda: relay.stats("s1")["packets_over_limit"] > 20)
        stats = relay.stats("s1")
        assert stats["packets_received"] > 20
        await host.aclose(http, "")


async def test_small_packets_are_no_way_around_that(relay: Relay, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("streams.publisher.MAX_BITS_PER_S", 200_000)
    async with front(relay) as url, aiohttp.ClientSession() as http:
        host = SyntheticHost(
            Shared(), Rate(frames_per_s=25, frame_bytes=120, packet_bytes=20)
        )  # 30 kbit/s in 150 packets/s
        await host.start(http, f"{url}whip/s1", "")
        await until("it is cut", lambda: relay.stats("s1")["packets_over_limit"] > 20)
        await host.aclose(http, "")


async def test_handshakes_that_come_at_once_are_spread_and_all_succeed(
    relay: Relay, monkeypatch: pytest.MonkeyPatch
) -> None:
    relay._transport._handshakes = Allowance(20, 1)
    async with front(relay) as url, aiohttp.ClientSession() as http:
        host = SyntheticHost(Shared(), RATE)
        await host.start(http, f"{url}whip/s1", "")
        crowd = Crowd(6)
        await crowd.join(http, f"{url}whep/s1", [], 1000.0, (0.0, 1.0))
        assert (crowd.result()["connected"], crowd.result()["failures"]) == (6, [])
        assert relay._transport.handshakes_delayed > 0
        details = relay.stats("s1", viewers=4)["viewers_in_detail"]
        assert len(details) == 4
        assert all(each["join_ms"] > 0 for each in details)
        await until("reports", lambda: relay.stats("s1", viewers=1)["viewers_in_detail"][0]["loss"] == 0.0)
        await until("delays", lambda: relay.stats("s1")["forward_delay_s"]["+Inf"] > 10)
        assert relay._transport.by_host == {"127.0.0.1": 7}
        await crowd.aclose()
        monkeypatch.setattr(Viewer, "consent_limit_s", 0.2)  # they left without a word: only silence tells
        await until("they are freed", lambda: relay._transport.by_host == {"127.0.0.1": 1})
        await host.aclose(http, "")


async def test_one_address_has_so_many_sessions(relay: Relay, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transport, "MAX_PEERS_AN_ADDRESS", 2)
    table = relay._transport
    for host in ("192.0.2.1", "127.0.0.1", "::1", "::ffff:127.0.0.1"):
        table.by_host[host] = 2
    assert not table.may_shake_hands("192.0.2.1", 0.0)
    assert table.may_shake_hands("192.0.2.2", 0.0)
    assert all(table.may_shake_hands(host, 0.0) for host in ("127.0.0.1", "::1", "::ffff:127.0.0.1"))
    table.release_host("192.0.2.1")
    assert table.may_shake_hands("192.0.2.1", 0.0)
    table.by_host.clear()


@pytest.mark.parametrize("answer_s", [0.03, 0.1, 0.3])
def test_two_hundred_joins_in_ten_seconds_cost_the_host_one_keyframe_a_second(answer_s: float) -> None:
    """Each joiner starts from the newest keyframe, if that is not a second old; older means one request for all."""
    requests, cache = KeyframeRequests(), KeyframeCache()
    coming: float | None = None
    waiting = 0
    for step in range(1000):
        now_s = step * 0.01
        if coming is not None and now_s >= coming:
            coming, waiting = None, 0
            requests.arrived(now_s)
            cache.add(Packet(step, step, False, b"x", keyframe=True), now_s)
        cache.add(Packet(step, step, False, b"x"), now_s)
        asked = False
        if step % 5 == 0 and not cache.fresh(now_s):
            waiting += 1
            asked = requests.ask(now_s)
        if asked or requests.due(now_s, wanted=waiting > 0):
            coming = now_s + answer_s
    assert 5 <= requests.sent <= 10
