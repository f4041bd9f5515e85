"""The hot path on real sockets: what arrives is what was sent, segmented or not."""

from __future__ import annotations

import asyncio
import errno
import socket
import time
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from pylibsrtp import Policy, Session

from streams import fanout
from streams.fanout import MAX_WAITING_RUNS, FanOut, prepare
from streams.packet import Packet, Rendering
from streams.srtp import SendBuffer
from tests.streams.peers import until

KEY = bytes(range(28))


def session(kind: int) -> Session:
    policy = Policy(key=KEY, ssrc_type=kind, srtp_profile=Policy.SRTP_PROFILE_AEAD_AES_128_GCM)
    policy.allow_repeat_tx = True
    return Session(policy)


class Receiver:
    """A viewer that is a socket."""

    def __init__(self) -> None:
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.socket.settimeout(2)
        self.address = self.socket.getsockname()
        self._sender, self._receiver = session(Policy.SSRC_ANY_OUTBOUND), session(Policy.SSRC_ANY_INBOUND)
        self.context: Any = self._sender._srtp[0]
        self.segmented = True
        self.packets_sent = self.bytes_sent = self.packets_dropped = 0

    def received(self, count: int) -> list[bytes]:
        return [self._receiver.unprotect(self.socket.recv(2048)) for _ in range(count)]


class RefusingSocket:
    """A socket whose kernel refuses as told."""

    def __init__(self, real: socket.socket, refusal: int, *, only_segmented: bool) -> None:
        self._real, self._refusal, self._only_segmented = real, refusal, only_segmented
        self.sendto = real.sendto

    def sendmsg(self, data: Any, ancillary: Sequence[Any], flags: int, address: Any) -> int:
        if ancillary or not self._only_segmented:
            raise OSError(self._refusal, "refused")
        return self._real.sendmsg(data, ancillary, flags, address)


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


RENDERING = Rendering(payload_type=96, orientation_id=0, sequence_offset=0, tag_bytes=16)
BUFFER = SendBuffer()


def frame(first: int, *sizes: int) -> list[Packet]:
    return [Packet(first + index, 7, False, bytes((index,)) * size) for index, size in enumerate(sizes)]


def expected(packets: list[Packet]) -> list[bytes]:
    return [RENDERING.plaintext(packet, 99) for packet in packets]


async def test_a_run_reaches_each_viewer_as_its_own_packets(sock: socket.socket, receivers: list[Receiver]) -> None:
    fan = FanOut(sock, BUFFER, asyncio.get_running_loop())
    packets = frame(100, 1000, 1000, 400, 400, 900)  # three runs
    fan.send(prepare(packets, RENDERING, 99, BUFFER), receivers[:3])
    for viewer in receivers[:3]:
        assert viewer.received(5) == expected(packets)
        assert (viewer.packets_sent, viewer.packets_dropped, viewer.segmented) == (5, 0, True)
        assert viewer.bytes_sent == sum(len(each) + 16 for each in expected(packets))


@pytest.mark.parametrize("refusal", [errno.EINVAL, errno.EIO, errno.EMSGSIZE])
async def test_one_viewer_without_segmentation_gets_single_packets_and_the_others_stay_as_they_are(
    sock: socket.socket, receivers: list[Receiver], refusal: int
) -> None:
    refusing = FanOut(RefusingSocket(sock, refusal, only_segmented=True), BUFFER, asyncio.get_running_loop())  # type: ignore[arg-type]
    narrow, wide = receivers[:2]
    packets = frame(100, 1000, 1000, 400)
    refusing.send(prepare(packets, RENDERING, 99, BUFFER), [narrow])
    assert not narrow.segmented
    fan = FanOut(sock, BUFFER, asyncio.get_running_loop())
    more = frame(200, 500, 500)
    fan.send(prepare(more, RENDERING, 99, BUFFER), [narrow, wide])
    assert narrow.received(5) == expected(packets + more)
    assert wide.received(2) == expected(more)
    assert wide.segmented
    assert narrow.packets_sent == 5


async def test_a_full_socket_drops_and_counts_and_keeps_segmentation(
    sock: socket.socket, receivers: list[Receiver]
) -> None:
    full = FanOut(RefusingSocket(sock, errno.EAGAIN, only_segmented=False), BUFFER, asyncio.get_running_loop())  # type: ignore[arg-type]
    full.send(prepare(frame(100, 10, 10), RENDERING, 99, BUFFER), receivers[:1])
    assert (receivers[0].packets_sent, receivers[0].packets_dropped, receivers[0].segmented) == (0, 2, True)


async def test_large_audiences_are_served_in_slices_in_order(
    sock: socket.socket, receivers: list[Receiver], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fanout, "SLICE_S", 0.0)  # every look at the clock ends a slice
    fan = FanOut(sock, BUFFER, asyncio.get_running_loop())
    packets = [frame(100, 300, 300), frame(102, 200)]
    turns = 0
    for each in packets:
        fan.send(prepare(each, RENDERING, 99, BUFFER), receivers)
    receivers[-1].context = None  # one leaves meanwhile
    while receivers[-2].packets_sent < 3:
        await asyncio.sleep(0)
        turns += 1
    assert turns > 2
    for viewer in receivers[:-1]:
        assert viewer.received(3) == expected([*packets[0], *packets[1]])
    assert receivers[-1].packets_sent == 0


async def test_what_waited_too_long_is_dropped_but_never_the_newest(
    sock: socket.socket, receivers: list[Receiver], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fanout, "SLICE_S", 0.0)
    fan = FanOut(sock, BUFFER, asyncio.get_running_loop())
    old, new = frame(100, 10), frame(101, 10)
    for packet in old + new:
        packet.arrived_s = time.monotonic() - 2 * fanout.MAX_WAIT_S
    first = frame(99, 10)
    for packets in (first, old, new):
        fan.send(prepare(packets, RENDERING, 99, BUFFER), receivers)
    await until("the newest is sent", lambda: receivers[-1].packets_sent == 2)
    assert fan.runs_dropped == 1
    assert receivers[-1].received(2) == expected([*first, *new])
    fan.close()


async def test_an_overloaded_worker_drops_the_oldest_runs_and_stays_bounded(
    sock: socket.socket, receivers: list[Receiver], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fanout, "SLICE_S", 0.0)
    fan = FanOut(sock, BUFFER, asyncio.get_running_loop())
    for index in range(MAX_WAITING_RUNS + 20):
        fan.send(prepare(frame(100 + index, 10), RENDERING, 99, BUFFER), receivers)
    assert 0 < fan.runs_dropped <= 20
    fan.close()
