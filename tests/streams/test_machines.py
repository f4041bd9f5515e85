"""Pipes and poor paths between two machines: real sockets, a real cable, the kernel's own queue and losses."""

from __future__ import annotations

import logging
import time
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest

from load_tests.whep_peer import Shared
from streams.relay import Relay
from tests.streams.front import front
from tests.streams.layered import CheckingViewer, LayeredHost
from tests.streams.namespaces import Machine, machines
from tests.streams.peers import Events, until
from tests.streams.test_pipes import Exchange

log = logging.getLogger(__name__)
__all__ = ["machines"]  # the fixture

MIDDLE, LOW, HIGH = 0, 1, 2  # the places in the host's offer


def relay_on(machine: Machine, name: str, exchange: Exchange | None = None) -> Relay:
    """A relay whose every socket is on that machine."""
    relay = Relay(Events(), worker_id=name, bind_host=machine.address, advertise=[machine.address], pipes=exchange)
    opens: Any = relay._pipes._open

    def open_there(*arguments: Any) -> Any:
        with machine.inside():
            return opens(*arguments)

    relay._pipes._open = open_there  # type: ignore[assignment, method-assign]
    return relay


@pytest.fixture
async def relay(machines: tuple[Machine, Machine]) -> AsyncIterator[Relay]:
    relay = relay_on(machines[0], "w1")
    await relay.start()
    yield relay
    await relay.aclose()
    assert relay.failures == 0


async def test_viewers_at_another_machine_are_served_there_by_one_pipe(
    machines: tuple[Machine, Machine], relay: Relay
) -> None:
    """Also over a cable that loses 5 % each way: what is lost in the pipe is asked for and comes."""
    _, two = machines
    exchange = Exchange()
    exchange.origin = relay
    other = relay_on(two, "w2", exchange)
    with two.inside():
        await other.start()
    shared = Shared()
    async with aiohttp.ClientSession() as http, front(relay) as here, front(other, pull=True) as there:
        host = LayeredHost(shared)
        await host.start(http, f"{here}whip/s1")
        with two.inside():
            viewers = [CheckingViewer(shared, report_s=0.5) for _ in range(2)]
        for viewer in viewers:
            await viewer.start(http, f"{there}whep/s1")
        await until("the best at each", lambda: all(viewer.slot == HIGH for viewer in viewers))
        assert (len(exchange.tickets), relay.viewers("s1"), other.viewers("s1")) == (1, 0, 2)
        for machine in machines:
            machine.loses(0.05)
        before = other.stats("s1")["packets_recovered"]
        await until("repairs", lambda: other.stats("s1")["packets_recovered"] > before + 10)
        for machine in machines:
            machine.loses(0)
        seen = len(viewers[0].packets)
        await until("the last repairs", lambda: len(viewers[0].packets) > seen + 200)
        for viewer in viewers:
            assert viewer.check()[-1] == HIGH
        for viewer in viewers:
            await viewer.aclose()
        await host.aclose()
    await other.aclose()
    assert other.failures == 0


@pytest.mark.soak
@pytest.mark.timeout(300)
@pytest.mark.parametrize("poor_s", [10, 60])
async def test_a_viewer_behind_a_narrow_place_steps_down_and_up_and_the_others_are_untouched(
    machines: tuple[Machine, Machine], relay: Relay, poor_s: int
) -> None:
    """The kernel's shaper lets 800 kbit/s pass, of 1.5 Mbit/s: the middle layer fits. Down in 5 s, up in 20 s."""
    one, two = machines
    shared = Shared()
    async with aiohttp.ClientSession() as http, front(relay) as url:
        host, good = LayeredHost(shared), CheckingViewer(shared, report_s=1)
        with two.inside():
            poor = CheckingViewer(shared, report_s=1)
        await host.start(http, f"{url}whip/s1")
        await until("all layers", lambda: [r["active"] for r in relay.stats("s1").get("layers", [])] == [True] * 3)
        for viewer in (poor, good):
            await viewer.start(http, f"{url}whep/s1")
        await until("the best at both", lambda: poor.slot == good.slot == HIGH)
        await until("a while", lambda: len(good.packets) > 5 * 250)

        one.carries(800_000)
        began_s = time.monotonic()
        await until("it steps down", lambda: poor.slot != HIGH)
        down_s = time.monotonic() - began_s
        seen: list[int | None] = []

        def poor_for_long() -> bool:
            seen.append(poor.slot)
            return time.monotonic() - began_s > poor_s

        await until("a while on the narrow path", poor_for_long, poor_s + 10)
        one.carries(None)
        began_s = time.monotonic()
        await until("it steps up and stays", lambda: poor.slot == HIGH, 60)
        up_s = time.monotonic() - began_s
        share = {slot: f"{seen.count(slot) / len(seen):.0%}" for slot in (LOW, MIDDLE, HIGH)}
        switches = [row["layer_switches"] for row in relay.stats("s1", viewers=2)["viewers_in_detail"]]
        log.info("down %.1f s, up %.1f s; %s; switches %s", down_s, up_s, share, switches)
        assert down_s < 5
        assert up_s < 20
        assert (good.check(), good.repaired) == ([HIGH], 0)
        assert poor.check(whole=False)[-1] == HIGH
        for each in (poor, good, host):
            await each.aclose()
