"""One frame to many sockets by one system call: Linux's io_uring, where it is allowed, else a ``write`` for each.

A room's cost is the kernel's sends. Handed over together they are a quarter to a third cheaper than one by one
(load_tests chat-storm prints both). Each is told not to wait (``MSG_DONTWAIT``), so all have been carried out when the
call returns: nothing stays under way in the kernel, and what a socket did not take is known at once.

The layouts are those of io_uring_setup(2) and io_uring_enter(2): 64-bit, little-endian. Where the kernel is older than
5.6 or forbids it (``kernel.io_uring_disabled``, a container's seccomp profile), or ``UV_USE_IO_URING=0`` is set, which
libuv obeys too, :class:`Sender` writes to one after the other.
"""

from __future__ import annotations

import contextlib
import ctypes
import logging
import mmap
import os
import socket
import struct
import sys
from array import array
from collections.abc import Sequence
from typing import Any

log = logging.getLogger(__name__)

#: sends of one call, at most; a power of two
ENTRIES = 512
_SETUP, _ENTER = 425, 426
_GETEVENTS = 1
_OP_SEND = 26
_FLAGS = socket.MSG_DONTWAIT | getattr(socket, "MSG_NOSIGNAL", 0)
#: ``IORING_FEAT_SINGLE_MMAP`` and ``IORING_FEAT_NODROP``
_FEATURES = 3
_AT_ENTRIES = 0x10000000
#: ``struct io_uring_params``: ten words, then where things stand in the ring, of submissions and of completions
_PARAMETERS = struct.Struct("=10I8IQ8IQ")
#: ``struct io_uring_sqe`` in words of 4 and 8 bytes, and where in it things stand; ``struct io_uring_cqe`` likewise
_ENTRY, _FD, _LENGTH, _SEND_FLAGS = 16, 1, 6, 7
_WIDE_ENTRY, _ADDRESS, _NAME = 8, 2, 4
_RESULT, _ANSWER = 2, 4


class Ring:
    """An io_uring that sends and does nothing else. Raises OSError where there is none to be had."""

    def __init__(self) -> None:
        self._call: Any = ctypes.CDLL(None, use_errno=True).syscall
        self._call.argtypes, self._call.restype = (ctypes.c_long,) * 7, ctypes.c_long
        parameters = ctypes.create_string_buffer(_PARAMETERS.size)
        self._fd = self._call(_SETUP, ENTRIES, ctypes.addressof(parameters), 0, 0, 0, 0)
        if self._fd < 0:
            raise _error()
        self._maps: list[mmap.mmap] = []
        self._views: list[memoryview] = []
        try:
            self._map(_PARAMETERS.unpack(parameters.raw))
            self._try_out()
        except BaseException:
            self.close()
            raise

    def _map(self, words: Sequence[int]) -> None:
        (entries, answers), sq, cq = words[:2], words[10:17], words[19:25]
        if words[5] & _FEATURES != _FEATURES or entries != ENTRIES or answers != 2 * ENTRIES:
            raise OSError("the kernel's io_uring is of another kind")
        rings = self._view(max(sq[6] + 4 * entries, cq[5] + 16 * answers), 0)
        numbers, order = rings.cast("I"), sq[6] // 4
        self._views.append(numbers)  # at once: where the second map is refused, the first can be given back
        numbers[order : order + entries] = array("I", range(entries))
        self._numbers = numbers
        self._sq_tail, self._cq_head, self._cq_tail = sq[1] // 4, cq[0] // 4, cq[1] // 4
        self._answers = rings[cq[5] : cq[5] + 16 * answers].cast("i")
        self._views.append(self._answers)
        view = self._view(64 * entries, _AT_ENTRIES)
        self._words, self._wide = view.cast("i"), view.cast("Q")
        self._words[::_ENTRY] = array("i", [_OP_SEND]) * entries
        self._words[_SEND_FLAGS::_ENTRY] = array("i", [_FLAGS]) * entries
        self._views += [self._words, self._wide]
        self._wide[_NAME::_WIDE_ENTRY] = array("Q", range(entries))
        #: sends so far; as none is ever under way, this is where both rings stand
        self._done = 0

    def _view(self, size: int, offset: int) -> memoryview:
        each = mmap.mmap(self._fd, size, offset=offset)
        self._maps.append(each)
        self._views.append(memoryview(each))
        return self._views[-1]

    def _try_out(self) -> None:
        here, there = socket.socketpair()
        with here, there:
            taken = self.send([here.fileno()], b"?")
            if taken != [1] or there.recv(2) != b"?":
                raise OSError("the kernel's io_uring does not send")

    def send(self, sockets: Sequence[int], frame: bytes) -> list[int]:
        """Send ``frame`` to each of these descriptors: the bytes that each took, or a negative errno, in their order.

        Raises OSError where it is unknown what they took.
        """
        taken: list[int] = []
        descriptors, address = array("i", sockets), ctypes.cast(ctypes.c_char_p(frame), ctypes.c_void_p).value or 0
        while (start := len(taken)) < len(descriptors):
            now = self._submit(descriptors[start : start + ENTRIES - self._done % ENTRIES], address, len(frame))
            if not now:
                return taken + [-ctypes.get_errno()] * (len(descriptors) - start)
            taken += now
        return taken

    def _submit(self, sockets: array[int], address: int, size: int) -> list[int]:
        """As many as fit before the ring's end; what became of those that the kernel accepted."""
        count, at, done = len(sockets), self._done % ENTRIES, self._done
        words, end = self._words, (at + count) * _ENTRY
        words[at * _ENTRY + _FD : end : _ENTRY] = sockets
        words[at * _ENTRY + _LENGTH : end : _ENTRY] = array("i", [size]) * count
        at, end = at * _WIDE_ENTRY, (at + count) * _WIDE_ENTRY
        self._wide[at + _ADDRESS : end : _WIDE_ENTRY] = array("Q", [address]) * count
        numbers = self._numbers
        numbers[self._sq_tail] = done + count & 0xFFFFFFFF
        accepted = max(0, self._call(_ENTER, self._fd, count, count, _GETEVENTS, 0, 0))
        self._done = done = done + accepted & 0xFFFFFFFF
        numbers[self._sq_tail] = done  # what was not accepted is not to be sent later
        if numbers[self._cq_tail] != done:
            raise OSError("sends that may not wait are under way")
        first = (done - accepted) % (2 * ENTRIES)
        answers = self._answers[first * _ANSWER : (first + accepted) * _ANSWER]
        results = answers[_RESULT::_ANSWER].tolist()
        if results.count(size) != accepted:  # else their order is all the same
            results = [result for _, result in sorted(zip(answers[::_ANSWER].tolist(), results, strict=True))]
        numbers[self._cq_head] = done
        return results

    def close(self) -> None:
        """Give everything back; safe to call twice."""
        views, self._views = self._views, []
        for view in reversed(views):
            view.release()
        maps, self._maps = self._maps, []
        for each in maps:
            each.close()
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)


class Sender:
    """Sends frames to many sockets, in the cheapest way there is here."""

    def __init__(self) -> None:
        self._ring = _ring()

    @property
    def joins(self) -> bool:
        """Whether many sends are one system call."""
        return self._ring is not None

    def send(self, sockets: Sequence[int], frame: bytes) -> list[int]:
        """As :meth:`Ring.send`."""
        if self._ring is None:
            return [_write(each, frame) for each in sockets]
        try:
            return self._ring.send(sockets, frame)
        except OSError:
            self.close()
            raise

    def close(self) -> None:
        """Give the ring back; what is sent from now on is written one by one. Safe to call twice."""
        ring, self._ring = self._ring, None
        if ring is not None:
            ring.close()


def _ring() -> Ring | None:
    fits = sys.platform == "linux" and sys.byteorder == "little" and struct.calcsize("P") == 8
    if fits and os.environ.get("UV_USE_IO_URING") != "0":
        with contextlib.suppress(OSError):
            return Ring()
    log.info("without io_uring rooms are written to one viewer after the other")
    return None


def _write(fd: int, frame: bytes) -> int:
    try:
        return os.write(fd, frame)
    except OSError as error:
        return -(error.errno or 0)


def _error() -> OSError:
    number = ctypes.get_errno()
    return OSError(number, os.strerror(number))
