"""Three layers through a real relay: each viewer gets what its path carries, and never a break."""

from __future__ import annotations

import logging
import time
from collections.abc import AsyncIterator

import aiohttp
import pytest

from load_tests.whep_peer import Shared
from streams import bandwidth, layers
from streams.relay import Relay
from tests.streams.front import front
from tests.streams.layered import CheckingViewer, LayeredHost
from tests.streams.peers import until
from tests.streams.test_pipes import Workers, workers

log = logging.getLogger(__name__)
__all__ = ["workers"]  # the fixture

MIDDLE, LOW, HIGH = 0, 1, 2  # the places in the host's offer


@pytest.fixture
async def web(relay: Relay) -> AsyncIterator[tuple[aiohttp.ClientSession, str]]:
    async with front(relay) as url, aiohttp.ClientSession() as http:
        yield http, url


def hasten(monkeypatch: pytest.MonkeyPatch, factor: float) -> None:
    """Let the rules' clocks run faster."""
    for name in ("SETTLE_S", "HOLD_S", "MAX_HOLD_S", "PROBED_S", "PROBE_SETTLE_S", "TRIAL_S", "TRIED_S"):
        monkeypatch.setattr(layers, name, getattr(layers, name) / factor)
    for name in ("GOOD_WINDOW_S", "MIN_INTERVAL_S"):
        monkeypatch.setattr(bandwidth, name, getattr(bandwidth, name) / factor)
    monkeypatch.setattr(bandwidth, "MIN_PACKETS", max(3, int(bandwidth.MIN_PACKETS / factor)))


@pytest.mark.parametrize("factor", [10, pytest.param(1, marks=pytest.mark.soak)])
async def test_a_viewer_on_a_poor_path_steps_down_and_up_again_and_the_others_are_untouched(
    relay: Relay,
    web: tuple[aiohttp.ClientSession, str],
    monkeypatch: pytest.MonkeyPatch,
    factor: int,
) -> None:
    """With the rules' own clock (soak): down within 5 s, up to the top within 20 s. Here the clock runs faster."""
    hasten(monkeypatch, factor)
    http, url = web
    shared = Shared()
    host, poor, good = LayeredHost(shared), *(CheckingViewer(shared, report_s=1 / factor) for _ in range(2))
    await host.start(http, f"{url}whip/s1")
    await until("all layers", lambda: all(row["active"] for row in relay.stats("s1").get("layers", [{}])[:3]) or None)
    for viewer in (poor, good):
        await viewer.start(http, f"{url}whep/s1")
    await until("the best at both", lambda: poor.slot == good.slot == HIGH)
    await until("good reports", lambda: len(poor.packets) > 3 * 250)

    poor.loss, began_s = 0.4, time.monotonic()
    await until("it steps down", lambda: poor.slot == LOW, 30)
    down_s = time.monotonic() - began_s
    await until("and stays there", lambda: time.monotonic() - began_s > down_s + 8 / factor)
    assert poor.slot == LOW
    poor.loss, began_s = 0.0, time.monotonic()
    await until("it steps up", lambda: poor.slot == HIGH, 40)
    up_s = time.monotonic() - began_s
    log.info("down %.1f s, up to the top %.1f s", down_s, up_s)
    if factor == 1:
        assert down_s < 5
        assert up_s < 20

    await until("the last repairs", lambda: len(good.packets) > 1500)
    assert good.check() == [HIGH]
    assert good.repaired == 0
    order = poor.check(whole=False)
    assert (order[0], order[-1]) == (HIGH, HIGH)
    assert LOW in order
    assert poor.repaired > 0
    assert relay.stats("s1")["probes_sent"] > 0
    rows = relay.stats("s1", viewers=2)
    assert [row["width"] for row in rows["layers"]] == [320, 640, 1280]
    assert [row["viewers"] for row in rows["layers"]] == [0, 0, 2]
    counts = dict.fromkeys(range(3), 0)
    relay._broadcasts["s1"].picture.count_viewers(counts)
    assert counts == {0: 0, 1: 0, 2: 2}
    assert sorted(row["layer_switches"] > 0 for row in rows["viewers_in_detail"]) == [False, True]
    for each in (poor, good, host):
        await each.aclose()


async def test_a_poor_path_gets_nothing_more_of_the_large_picture_while_it_waits_for_the_small_one(
    relay: Relay, web: tuple[aiohttp.ClientSession, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its queue is full: more would cost the keyframe. Nobody else is paused, and no number is missing afterwards."""
    hasten(monkeypatch, 10)
    http, url = web
    shared = Shared()
    host, poor, good = LayeredHost(shared), *(CheckingViewer(shared, report_s=0.1) for _ in range(2))
    await host.start(http, f"{url}whip/s1")
    await until("all layers", lambda: all(row["active"] for row in relay.stats("s1").get("layers", [{}])[:3]) or None)
    for viewer in (poor, good):
        await viewer.start(http, f"{url}whep/s1")
    await until("the best at both", lambda: poor.slot == good.slot == HIGH)
    answers, told = host._feedback, list[int]()
    host.peer.on_rtcp = told.append  # the host is slow to make a keyframe
    poor.loss = 0.4
    viewers = relay._broadcasts["s1"].viewers
    await until("a pause", lambda: any(viewer.flows["video"].paused for viewer in viewers))
    [paused] = [viewer for viewer in viewers if viewer.flows["video"].paused]
    poor.loss, newest = 0.0, paused.flows["video"].newest
    sent, seen = paused.packets_sent - paused.counters.retransmissions_sent, len(good.packets)
    await until("what the other sees", lambda: len(good.packets) > seen + 50)
    assert paused.flows["video"].newest == newest
    assert paused.packets_sent - paused.counters.retransmissions_sent == sent
    host.peer.on_rtcp = answers
    await until("a smaller picture", lambda: poor.slot in (LOW, MIDDLE))
    assert paused.flows["video"].now.begins == newest + 1
    assert good.check() == [HIGH]
    poor.check(whole=False, gap_s=10)
    for each in (poor, good, host):
        await each.aclose()


async def test_a_layer_that_stops_steps_its_viewers_down_and_takes_them_back_when_it_returns(
    relay: Relay, web: tuple[aiohttp.ClientSession, str]
) -> None:
    """Viewers that change together stay one group: they cost one preparation."""
    http, url = web
    shared = Shared()
    host = LayeredHost(shared)
    viewers = [CheckingViewer(shared, report_s=0.5) for _ in range(3)]
    await host.start(http, f"{url}whip/s1")
    for viewer in viewers:
        await viewer.start(http, f"{url}whep/s1")
    await until("the best at all", lambda: all(viewer.slot == HIGH for viewer in viewers))
    lanes = relay._broadcasts["s1"].picture.lanes

    host.layers[HIGH].sending = False
    await until("the middle at all", lambda: all(viewer.slot == MIDDLE for viewer in viewers))
    assert [len(lane.audience._groups) for lane in lanes] == [1, 0, 0]
    assert [row["active"] for row in relay.stats("s1")["layers"]] == [True, True, False]
    host.layers[HIGH].sending = True
    await until("the best at all", lambda: all(viewer.slot == HIGH for viewer in viewers))
    assert [len(lane.audience._groups) for lane in lanes] == [0, 0, 1]
    assert host.layers[HIGH].keyframe_requests <= 4
    for viewer in viewers:
        assert viewer.check()[-3:] == [HIGH, MIDDLE, HIGH]
    for each in (*viewers, host):
        await each.aclose()


async def test_another_host_without_layers_goes_on_where_the_layers_ended(
    relay: Relay, web: tuple[aiohttp.ClientSession, str]
) -> None:
    http, url = web
    shared = Shared()
    host, viewer = LayeredHost(shared), CheckingViewer(shared, report_s=0.5)
    await host.start(http, f"{url}whip/s1")
    await viewer.start(http, f"{url}whep/s1")
    await until("the best", lambda: viewer.slot == HIGH)
    await host.aclose()
    other = LayeredHost(shared)
    other.layers = [other.layers[LOW]]
    other.peer.rids = ()
    await other.start(http, f"{url}whip/s1")
    await until("its picture", lambda: viewer.slot == LOW)
    assert viewer.check()[-2:] == [HIGH, LOW]
    await viewer.aclose()
    await other.aclose()


async def test_viewers_at_another_worker_get_every_layer_by_one_pipe(workers: Workers) -> None:
    """The far worker has all layers, so it chooses for its own viewers; keyframes are asked of the host's layer."""
    origin, other = await workers.start("w1"), await workers.start("w2")
    workers.exchange.origin = origin
    shared = Shared()
    # They report nothing: on a machine without time their reports would tell of a queue, and layers be changed for it.
    host, viewers = LayeredHost(shared), [CheckingViewer(shared, report_s=3600.0) for _ in range(2)]
    async with aiohttp.ClientSession() as http, front(origin) as here, front(other, pull=True) as there:
        await host.start(http, f"{here}whip/s1")
        await until("media", lambda: origin.stats("s1").get("packets_received", 0) > 50)
        for viewer in viewers:
            await viewer.start(http, f"{there}whep/s1")
        await until("the best", lambda: all(viewer.slot == HIGH for viewer in viewers))
        assert len(workers.exchange.tickets) == 1
        # A layer's size is known by its keyframe, and the best one's may be the first to come.
        await until("every layer", lambda: [row["width"] for row in other.stats("s1")["layers"]] == [320, 640, 1280])
        host.layers[HIGH].sending = False
        await until("the middle", lambda: all(viewer.slot == MIDDLE for viewer in viewers))
        assert host.layers[MIDDLE].keyframe_requests > 0
        host.layers[HIGH].sending = True
        await until("the best again", lambda: all(viewer.slot == HIGH for viewer in viewers))
        for viewer in viewers:
            assert viewer.check()[-3:] == [HIGH, MIDDLE, HIGH]
        tracks = [lane.track for lane in other._broadcasts["s1"].picture.lanes]
        assert len({track.timestamp_offset for track in tracks}) == 1  # one clock, as at the origin
        for each in (*viewers, host):
            await each.aclose()


async def test_layers_that_were_not_agreed_and_names_that_none_has_are_refused(
    relay: Relay, web: tuple[aiohttp.ClientSession, str]
) -> None:
    http, url = web
    host = LayeredHost(Shared())
    await host.start(http, f"{url}whip/s1")
    await until("all layers", lambda: len(relay.stats("s1").get("layers", [])) == 3)
    before = relay.stats("s1")["packets_refused"]
    publisher = relay._broadcasts["s1"].publisher
    assert publisher is not None
    known = len(publisher._sources)
    for number in range(200):
        name = ("x", "\x00", "h" * 16, "é")[number % 4]
        head = bytes((10 << 4 | len(name.encode("latin-1")) - 1,)) + name.encode("latin-1")
        block = head + bytes(-len(head) % 4)
        packet = b"\x90\x60" + bytes(6) + (900_000 + number).to_bytes(4, "big")
        host.peer.send_rtp(packet + b"\xbe\xde" + (len(block) // 4).to_bytes(2, "big") + block + bytes(50))
    await until("they are refused", lambda: relay.stats("s1")["packets_refused"] >= before + 200)
    assert len(publisher._sources) == known
    assert len(relay.stats("s1")["layers"]) == 3
    await host.aclose()
