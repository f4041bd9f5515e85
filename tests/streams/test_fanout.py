"""The hot path on real sockets: what arrives is what was sent, segmented or not."""

from __future__ import annotations

import asyncio
import ctypes
import errno
import socket
import time
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from pylibsrtp import Policy, Session

from streams import batch, fanout
from streams.batch import WIDTH
from streams.fanout import MAX_WAITING_RUNS, FanOut, prepare
from streams.packet import Packet, Rendering, Shift
from streams.srtp import SendBuffer
from tests.streams.peers import until

KEY = bytes(range(28))


def session(kind: int, key: bytes = KEY) -> Session:
    policy = Policy(key=key, ssrc_type=kind, srtp_profile=Policy.SRTP_PROFILE_AEAD_AES_128_GCM)
    policy.allow_repeat_tx = True
    return Session(policy)


class Receiver:
    """A viewer that is a socket."""

    def __init__(self, family: int = socket.AF_INET) -> None:
        self.socket = socket.socket(family, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1" if family == socket.AF_INET else "::1", 0))
        self.socket.settimeout(2)
        self.address = self.socket.getsockname()
        self.name = batch.packed(self.address)
        self._sender, self._receiver = session(Policy.SSRC_ANY_OUTBOUND), session(Policy.SSRC_ANY_INBOUND)
        self.context: Any = self._sender._srtp[0]
        self.segmented = True
        self.outlet = batch.NO_OUTLET
        self.packets_sent = self.bytes_sent = self.packets_dropped = 0

    def received(self, count: int) -> list[bytes]:
        return [self._receiver.unprotect(self.socket.recv(2048)) for _ in range(count)]


class Refusals:
    """A kernel that refuses as told, for ``sendmmsg`` and for the socket module alike."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, real: socket.socket) -> None:
        self._real = real
        self.sendto, self.fileno = real.sendto, real.fileno
        #: addresses to which nothing segmented is sent, and the error it is refused with
        self.refused: dict[Any, int] = {}
        #: messages after which a call gives up for once
        self.stops_after = 0
        self.calls = 0
        self._send_many = batch.sendmmsg
        if batch.sendmmsg is not None:
            monkeypatch.setattr(batch, "sendmmsg", self.sendmmsg)

    def sendmsg(self, data: Any, ancillary: Sequence[Any], flags: int, address: Any) -> int:
        if address in self.refused:
            raise OSError(self.refused[address], "refused")
        return self._real.sendmsg(data, ancillary, flags, address)

    def sendmmsg(self, descriptor: int, headers: int, count: int, flags: int) -> int:
        assert self._send_many is not None
        self.calls += 1
        refused = {batch.packed(address): number for address, number in self.refused.items()}
        for index in range(count):
            name = ctypes.c_void_p.from_address(headers + index * batch.HEADER_BYTES).value
            number = refused.get(ctypes.string_at(name or 0, batch.NAME_BYTES))
            if number is None and self.stops_after and index == self.stops_after:
                self.stops_after = 0
                return self._send_many(descriptor, headers, index, flags)
            if number is not None and index:
                return self._send_many(descriptor, headers, index, flags)
            if number is not None:
                ctypes.set_errno(number)
                return -1
        return self._send_many(descriptor, headers, count, flags)


@pytest.fixture(params=["sendmmsg", "sendmsg"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """The two ways to send: many at once, and where there is no such call."""
    if request.param == "sendmsg":
        monkeypatch.setattr(batch, "sendmmsg", None)
    elif batch.sendmmsg is None:
        pytest.skip("there is no sendmmsg here")
    return str(request.param)


@pytest.fixture(autouse=True)
def slices_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a slow machine a slice would end before its time; the tests of slices set their own."""
    monkeypatch.setattr(fanout, "SLICE_S", 10.0)


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


@pytest.mark.usefixtures("way")
async def test_a_run_reaches_each_viewer_as_its_own_packets(sock: socket.socket, receivers: list[Receiver]) -> None:
    fan = FanOut(sock, asyncio.get_running_loop())
    packets = frame(100, 1000, 1000, 400, 400, 900)  # three runs
    fan.send(prepare(packets, RENDERING, 99, BUFFER), receivers[: WIDTH + 3])
    for viewer in receivers[: WIDTH + 3]:
        assert viewer.received(5) == expected(packets)
        assert (viewer.packets_sent, viewer.packets_dropped, viewer.segmented) == (5, 0, True)
        assert viewer.bytes_sent == sum(len(each) + 16 for each in expected(packets))


def described(number: int, descriptor: bytes, size: int, *, padding: int = 0) -> Packet:
    packet = Packet(number, 3000 * number, number % 3 == 0, descriptor + bytes((number & 0xFF,)) * size, orientation=1)
    packet.padding = padding
    return packet


@pytest.mark.parametrize("first", [None, Shift(0, 0xFFFFFFFF, 32767, 255)])
@pytest.mark.parametrize("ssrc", [0, 77])
@pytest.mark.parametrize("shift", [None, Shift(7, 0xFFFFF000, 5, 250), Shift(7, 1, 0, 0)])
def test_a_run_made_from_that_of_another_rendering_is_byte_for_byte_what_it_would_be_by_itself(
    first: Shift | None, ssrc: int, shift: Shift | None
) -> None:
    short, long = b"\x90\xf0\x7f\xff\x00", b"\x90\xe0\xff\xfe\xfd\x40"  # picture ids of 7 and of 15 bits
    packets = [described(65534 + index, each, 900) for index, each in enumerate([short, short, long, b"\x10"])]
    packets += [described(65540, long, 890, padding=9), described(65541, b"", 2), described(65542, b"\x90\xe0", 0)]
    mine = Rendering(96, 3, 8192, 16, shift, ssrc)
    drafts: fanout.Drafts = {}
    prepare(packets, Rendering(96, 3, 0, 16, first, ssrc), 99, BUFFER, drafts)
    made = prepare(packets, mine, 99, BUFFER, drafts)
    alone = prepare(packets, mine, 99, BUFFER)
    assert [run.template for run in made] == [run.template for run in alone]
    assert [run.sizes for run in made] == [run.sizes for run in alone]
    assert len(drafts) == 1


def test_renderings_whose_plaintexts_differ_in_more_are_made_by_themselves() -> None:
    packets, drafts = frame(100, 500, 500), fanout.Drafts()
    for other in ({}, {"payload_type": 97}, {"orientation_id": 4}, {"tag_bytes": 10}, {"ssrc": 5}):
        mine = RENDERING._replace(**other)
        made = prepare(packets, mine, 99, BUFFER, drafts)
        assert [run.template for run in made] == [run.template for run in prepare(packets, mine, 99, BUFFER)]
    assert len(drafts) == 5


async def test_packets_of_every_size_that_arrives_are_sent_and_larger_ones_are_refused(
    sock: socket.socket, receivers: list[Receiver]
) -> None:
    fan = FanOut(sock, asyncio.get_running_loop())
    small, large = frame(100, 1313, 1311, 1312, 0), frame(104, 2000, 2000, 1500)
    fan.send(prepare(small, RENDERING, 99, BUFFER), receivers[:3])
    fan.send(prepare(large, RENDERING, 99, BUFFER), receivers[:3])
    for viewer in receivers[:3]:
        assert viewer.received(len(small)) == expected(small)
        assert [len(viewer.socket.recv(4096)) for _ in large] == [2028, 2028, 1528]
    with pytest.raises(ValueError, match="larger"):
        prepare(frame(200, 2300), RENDERING, 99, BUFFER)


async def test_a_viewer_who_shakes_hands_anew_is_never_encrypted_for_by_its_old_keys(
    sock: socket.socket, receivers: list[Receiver]
) -> None:
    fan = FanOut(sock, asyncio.get_running_loop())
    viewer = receivers[0]
    fan.send(prepare(frame(100, 50, 50), RENDERING, 99, BUFFER), [viewer])
    assert len(viewer.received(2)) == 2
    theirs = bytes(reversed(KEY))
    ours, viewer._receiver = session(Policy.SSRC_ANY_OUTBOUND, theirs), session(Policy.SSRC_ANY_INBOUND, theirs)
    viewer.context = ours._srtp[0]
    packets = frame(102, 50, 50)
    fan.send(prepare(packets, RENDERING, 99, BUFFER), [viewer])
    assert viewer.received(2) == expected(packets)


async def test_a_dual_stack_socket_reaches_both_families() -> None:
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as sock:
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        sock.bind(("::", 0))
        sock.setblocking(False)
        old, new = Receiver(), Receiver(socket.AF_INET6)
        old.address = (f"::ffff:{old.address[0]}", old.address[1], 0, 0)
        old.name = batch.packed(old.address)
        fan = FanOut(sock, asyncio.get_running_loop())
        packets = frame(100, 1000, 1000)
        fan.send(prepare(packets, RENDERING, 99, BUFFER), [old, new])
        for viewer in (old, new):
            assert viewer.received(2) == expected(packets)
            viewer.socket.close()


@pytest.mark.usefixtures("way")
@pytest.mark.parametrize("refusal", [errno.EINVAL, errno.EIO, errno.EMSGSIZE])
async def test_one_viewer_without_segmentation_gets_single_packets_and_the_others_stay_as_they_are(
    sock: socket.socket, receivers: list[Receiver], refusal: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    kernel = Refusals(monkeypatch, sock)
    fan = FanOut(kernel, asyncio.get_running_loop())  # type: ignore[arg-type]
    before, narrow, after = receivers[:3]
    kernel.refused[narrow.address] = refusal
    packets = frame(100, 1000, 1000, 400)
    fan.send(prepare(packets, RENDERING, 99, BUFFER), [before, narrow, after])
    assert [viewer.segmented for viewer in (before, narrow, after)] == [True, False, True]
    kernel.refused.clear()
    more = frame(200, 500, 500)
    fan.send(prepare(more, RENDERING, 99, BUFFER), [before, narrow, after])
    for viewer in (before, narrow, after):
        assert viewer.received(5) == expected(packets + more)
        assert (viewer.packets_sent, viewer.packets_dropped) == (5, 0)
    assert not narrow.segmented


@pytest.mark.usefixtures("way")
async def test_a_full_socket_drops_and_counts_and_keeps_segmentation(
    sock: socket.socket, receivers: list[Receiver], monkeypatch: pytest.MonkeyPatch
) -> None:
    kernel = Refusals(monkeypatch, sock)
    fan = FanOut(kernel, asyncio.get_running_loop())  # type: ignore[arg-type]
    unlucky = receivers[1]
    kernel.refused[unlucky.address] = errno.EAGAIN
    packets = frame(100, 10, 10)
    fan.send(prepare(packets, RENDERING, 99, BUFFER), receivers[:3])
    assert (unlucky.packets_sent, unlucky.packets_dropped, unlucky.segmented) == (0, 2, True)
    for viewer in (receivers[0], receivers[2]):
        assert viewer.received(2) == expected(packets)
        assert (viewer.packets_sent, viewer.packets_dropped) == (2, 0)


@pytest.mark.skipif(batch.sendmmsg is None, reason="there is no sendmmsg here")
async def test_what_the_kernel_leaves_of_a_batch_is_sent_by_the_next_call(
    sock: socket.socket, receivers: list[Receiver], monkeypatch: pytest.MonkeyPatch
) -> None:
    kernel = Refusals(monkeypatch, sock)
    fan = FanOut(kernel, asyncio.get_running_loop())  # type: ignore[arg-type]
    kernel.stops_after = 3
    packets = frame(100, 10, 10)
    fan.send(prepare(packets, RENDERING, 99, BUFFER), receivers[:WIDTH])
    assert kernel.calls == 2
    for viewer in receivers[:WIDTH]:
        assert viewer.received(2) == expected(packets)
        assert viewer.packets_sent == 2


async def test_a_packet_whose_number_is_too_old_for_the_viewer_s_window_is_not_encrypted_again(
    sock: socket.socket, receivers: list[Receiver]
) -> None:
    fan = FanOut(sock, asyncio.get_running_loop())
    viewer, other = receivers[:2]
    newer, older = frame(2000, 10), frame(100, 10)
    fan.send(prepare(newer, RENDERING, 99, BUFFER), [viewer])
    fan.send(prepare(older, RENDERING, 99, BUFFER), [viewer, other])
    assert (viewer.packets_sent, viewer.packets_dropped) == (1, 1)
    assert (other.packets_sent, other.packets_dropped) == (1, 0)
    assert other.received(1) == expected(older)


async def test_large_audiences_are_served_in_slices_in_order(
    sock: socket.socket, receivers: list[Receiver], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fanout, "SLICE_S", 0.0)  # every look at the clock ends a slice
    fan = FanOut(sock, asyncio.get_running_loop())
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
    fan = FanOut(sock, asyncio.get_running_loop())
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
    fan = FanOut(sock, asyncio.get_running_loop())
    for index in range(MAX_WAITING_RUNS + 20):
        fan.send(prepare(frame(100 + index, 10), RENDERING, 99, BUFFER), receivers)
    assert 0 < fan.runs_dropped <= 20
    fan.close()
