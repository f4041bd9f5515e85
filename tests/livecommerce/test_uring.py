"""Many sends by one system call: whoever takes what, in whatever order the ring stands."""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from livecommerce import uring
from livecommerce.uring import ENTRIES, Ring, Sender

Pair = tuple[socket.socket, socket.socket]


@pytest.fixture
def ring() -> Iterator[Ring]:
    try:
        made = Ring()
    except OSError as error:
        pytest.skip(f"no io_uring here: {error}")
    yield made
    made.close()
    made.close()


@pytest.fixture
def pairs() -> Iterator[list[Pair]]:
    with ExitStack() as stack:
        made = [socket.socketpair() for _ in range(ENTRIES + 50)]
        for here, there in made:
            stack.enter_context(here)
            stack.enter_context(there)
            here.setblocking(False)
            there.setblocking(False)
        yield made


def descriptors(pairs: list[Pair]) -> list[int]:
    return [here.fileno() for here, _ in pairs]


def full(here: socket.socket) -> None:
    """Fill what waits for a reader until nothing more is taken."""
    while True:
        try:
            here.send(bytes(1 << 16))
        except BlockingIOError:
            return


def test_everybody_gets_the_frame_once_wherever_the_ring_stands(ring: Ring, pairs: list[Pair]) -> None:
    for turn, count in enumerate((1, 0, 5, ENTRIES - 1, len(pairs), len(pairs), 3, ENTRIES, len(pairs), ENTRIES // 2)):
        frame = bytes([turn]) * (turn + 1)
        assert ring.send(descriptors(pairs[:count]), frame) == [len(frame)] * count
        for _, there in pairs[:count]:
            assert there.recv(100) == frame
    for _, there in pairs:
        with pytest.raises(BlockingIOError):
            there.recv(1)


def test_the_ring_goes_round(ring: Ring, pairs: list[Pair]) -> None:
    before = ring._done
    for _ in range(20):
        assert ring.send(descriptors(pairs), b"x") == [1] * len(pairs)
    assert ring._done - before == 20 * len(pairs) > 2 * ENTRIES


def test_what_each_did_not_take_is_told_in_its_place(ring: Ring, pairs: list[Pair]) -> None:
    half, gone, whole = pairs[0], pairs[1], pairs[2]
    full(half[0])
    assert half[1].recv(1 << 16)
    gone[1].close()
    frame = bytes(1 << 18)
    closed = os.dup(pairs[3][0].fileno())
    os.close(closed)
    sockets = [whole[0].fileno(), half[0].fileno(), gone[0].fileno(), closed, whole[0].fileno()]
    for _ in range(3):  # in other places of the ring
        taken = ring.send(sockets, frame)
        assert 0 < taken[0] < len(frame), "a socket pair takes less than that"
        assert taken[1] == -errno.EAGAIN or 0 < taken[1] < len(frame)
        assert taken[2:] == [-errno.EPIPE, -errno.EBADF, -errno.EAGAIN]
        got = 0
        while got < taken[0]:
            got += len(whole[1].recv(1 << 20))


def test_what_the_kernel_does_not_accept_is_not_sent_later(
    ring: Ring, pairs: list[Pair], monkeypatch: pytest.MonkeyPatch
) -> None:
    call, told = ring._call, [0]

    def accept_two(number: int, fd: int, count: int, *rest: int) -> int:
        told[0] += 1
        return int(call(number, fd, min(2, count), 0, 0, 0, 0)) if told[0] < 3 else -1

    monkeypatch.setattr(ring, "_call", accept_two)
    taken = ring.send(descriptors(pairs[:9]), b"once")
    assert taken[:4] == [4] * 4
    assert all(each <= 0 for each in taken[4:])
    monkeypatch.undo()
    assert ring.send(descriptors(pairs[8:9]), b"now") == [3]
    assert [there.recv(100) for _, there in pairs[:4]] == [b"once"] * 4
    assert pairs[8][1].recv(100) == b"now"
    for _, there in pairs[4:8]:
        with pytest.raises(BlockingIOError):
            there.recv(1)


def test_where_it_is_unknown_what_was_sent_the_ring_is_given_up(
    pairs: list[Pair], monkeypatch: pytest.MonkeyPatch
) -> None:
    sender = Sender()
    if not sender.joins:
        pytest.skip("no io_uring here")
    ring: Any = sender._ring
    monkeypatch.setattr(ring, "_call", lambda *_: 1)  # accepted, and nothing came of it
    with pytest.raises(OSError, match="under way"):
        sender.send(descriptors(pairs[:1]), b"x")
    assert not sender.joins
    assert sender.send(descriptors(pairs[1:3]), b"x") == [1, 1]
    sender.close()


@pytest.mark.parametrize("refused", ["by the kernel", "by its features", "by what it sends"])
def test_without_a_ring_each_is_written_to(pairs: list[Pair], monkeypatch: pytest.MonkeyPatch, refused: str) -> None:
    if refused == "by the kernel":
        monkeypatch.setattr(uring, "_SETUP", 0xFFFF)
    elif refused == "by its features":
        monkeypatch.setattr(uring, "_FEATURES", 1 << 31)
    else:
        monkeypatch.setattr(uring, "_OP_SEND", 255)
    before = len(os.listdir("/proc/self/fd"))
    sender = Sender()
    assert not sender.joins
    assert len(os.listdir("/proc/self/fd")) == before
    pairs[1][1].close()
    full(pairs[2][0])
    taken = sender.send(descriptors(pairs[:3]), b"frame")
    assert taken == [5, -errno.EPIPE, -errno.EAGAIN]
    sender.close()


def test_a_ring_gives_everything_back(ring: Ring) -> None:
    before = len(os.listdir("/proc/self/fd"))
    another = Ring()
    assert len(os.listdir("/proc/self/fd")) > before
    another.close()
    assert len(os.listdir("/proc/self/fd")) == before


def test_a_ring_of_which_only_a_part_can_be_had_is_given_back(monkeypatch: pytest.MonkeyPatch, ring: Ring) -> None:
    real = uring.mmap.mmap

    def scarce(fd: int, size: int, *, offset: int) -> Any:
        if offset:
            raise OSError(errno.ENOMEM, "no memory for the entries")
        return real(fd, size, offset=offset)

    monkeypatch.setattr(uring.mmap, "mmap", scarce)
    before = len(os.listdir("/proc/self/fd"))
    sender = Sender()
    assert not sender.joins
    assert len(os.listdir("/proc/self/fd")) == before
    sender.close()
