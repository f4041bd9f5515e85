"""The hot path on real sockets: what arrives is what was sent, segmented or not."""

from __future__ import annotations

import asyncio
import errno
import socket

import pytest
from pylibsrtp import Policy

from streams import batch, fanout
from streams.batch import WIDTH
from streams.fanout import FanOut, prepare
from tests.streams.receivers import BUFFER, KEY, RENDERING, Receiver, Refusals, expected, frame, session


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


@pytest.mark.usefixtures("way")
async def test_a_run_reaches_each_viewer_as_its_own_packets(sock: socket.socket, receivers: list[Receiver]) -> None:
    fan = FanOut(sock, asyncio.get_running_loop())
    packets = frame(100, 1000, 1000, 400, 400, 900)  # three runs
    fan.send(prepare(packets, RENDERING, 99, BUFFER), receivers[: WIDTH + 3])
    for viewer in receivers[: WIDTH + 3]:
        assert viewer.received(5) == expected(packets)
        assert (viewer.packets_sent, viewer.packets_dropped, viewer.segmented) == (5, 0, True)
        assert viewer.bytes_sent == sum(len(each) + 16 for each in expected(packets))


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
