"""A relay on loopback, and aiortc peers that reach it."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from streams.relay import Relay
from tests.streams.peers import Events
from tests.streams.receivers import Receiver

OFFERS = Path(__file__).parent / "sdp"


@pytest.fixture
def loopback_ice(monkeypatch: pytest.MonkeyPatch) -> None:
    """aioice never gathers 127.0.0.1; a machine without a network has nothing else."""
    monkeypatch.setattr("aioice.ice.get_host_addresses", lambda use_ipv4, use_ipv6: ["127.0.0.1"])


@pytest.fixture
def events() -> Events:
    return Events()


@pytest.fixture
async def relay(events: Events, loopback_ice: None) -> AsyncIterator[Relay]:
    relay = Relay(events, worker_id="w1", bind_host="127.0.0.1", port=0, advertise=["127.0.0.1"])
    await relay.start()
    yield relay
    await relay.aclose()
    assert relay.failures == 0


@pytest.fixture
def sock() -> Iterator[socket.socket]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        sock.setblocking(False)
        yield sock


@pytest.fixture
def receivers() -> Iterator[list[Receiver]]:
    receivers = [Receiver() for _ in range(40)]
    yield receivers
    for each in receivers:
        each.socket.close()
