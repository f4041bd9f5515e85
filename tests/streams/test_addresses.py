"""Which addresses candidates name, and when they are read anew."""

from __future__ import annotations

import socket

import pytest

from streams.addresses import KEEP_S, Candidates
from streams.relay import Relay
from tests.streams.peers import Events
from tests.streams.test_sessions import VIEW, Prober, credentials


async def test_addresses_are_read_anew_when_they_are_old_and_never_become_none() -> None:
    networks = [("192.0.2.1", "127.0.0.1"), (), ("192.0.2.2",)]
    now = [10.0]
    candidates = Candidates("0.0.0.0", ["198.51.100.1"], lambda: networks.pop(0), clock=lambda: now[0])
    await candidates.start()
    seen = []
    for now[0] in (10.0, 9.9 + KEEP_S, 10.0 + KEEP_S, 10.1 + KEEP_S, 10.0 + 2 * KEEP_S, 10.0 + 3 * KEEP_S):
        seen.append(candidates.told())
    old, first = ("198.51.100.1",), ("192.0.2.1", "127.0.0.1")
    assert seen == [old, old, first, first, first, ("192.0.2.2",)]


async def test_what_cannot_be_read_anew_stays() -> None:
    now = [0.0]
    candidates = Candidates("127.0.0.1", [], None, clock=lambda: now[0])
    await candidates.start()
    now[0] = 1e9
    assert candidates.told() == ("127.0.0.1",)


async def test_who_joins_after_the_network_changed_is_told_the_new_address() -> None:
    now = ["192.0.2.9"]
    relay = Relay(Events(), worker_id="w1", advertise=["127.0.0.1"], reread=lambda: now)
    await relay.start()
    try:
        assert " 127.0.0.1 " in (await relay.view("s1", VIEW)).answer
        relay._candidates._read_s -= KEEP_S
        answer = (await relay.view("s1", VIEW)).answer
        assert f"192.0.2.9 {relay.port} typ host" in answer
        assert f"127.0.0.1 {relay.port} typ host" not in answer
    finally:
        await relay.aclose()


@pytest.mark.skipif(not socket.has_dualstack_ipv6(), reason="this machine has no IPv6")
async def test_a_server_of_ipv6_alone_hears_a_browser_s_ipv4_address() -> None:
    """``--host ::1`` tells this machine's own address, too, which Chromium and Firefox gather in place of ::1."""
    relay = Relay(Events(), worker_id="w1", bind_host="::", advertise=["127.0.0.1", "::1"])
    await relay.start()
    try:
        answer = (await relay.view("s1", VIEW)).answer
        assert f"127.0.0.1 {relay.port} typ host" in answer
        assert f"::1 {relay.port} typ host" in answer
        ufrag, password = credentials(answer)
        prober = Prober(relay)
        assert await prober.check(f"{ufrag}:x", password)
        prober.socket.close()
    finally:
        await relay.aclose()
