"""The sockets of a crowd: made from any loopback address, and read with the moment their bytes came to this machine.

The kernel's own time of arrival tells what the server and the network took from what a busy generator adds by reading
late: on one machine that is often the larger part.
"""

from __future__ import annotations

import errno
import os
import socket
import struct
import sys
import time
from pathlib import Path

#: ip(7) and socket(7); Python 3.11 has no names for them
_BIND_ADDRESS_NO_PORT, _TIMESTAMPNS = 24, 35
_TIMESPEC = struct.Struct("@qq")
_SPACE = socket.CMSG_SPACE(_TIMESPEC.size)


def open_socket(address: tuple[str, int], *, source: str = "", receive_buffer: int = 0) -> socket.socket:
    """A non-blocking socket on its way to an address; raises OSError when it cannot even begin."""
    sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    if receive_buffer:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.setblocking(False)
    if source:
        # The port is chosen when it connects: then it only has to be free towards this server.
        sock.setsockopt(socket.IPPROTO_IP, _BIND_ADDRESS_NO_PORT, 1)
        sock.bind((source, 0))
    if (code := sock.connect_ex(address)) not in (0, errno.EINPROGRESS, errno.ECONNREFUSED):
        sock.close()
        raise OSError(code, os.strerror(code))
    return sock


def stamp_arrivals(sock: socket.socket) -> None:
    """Let :func:`read_stamped` know when bytes came; it costs each read 1 µs."""
    sock.setsockopt(socket.SOL_SOCKET, _TIMESTAMPNS, 1)


def read_stamped(sock: socket.socket, view: memoryview) -> tuple[int, int]:
    """Read; how many bytes, and when the last of them came to this machine (monotonic clock, ns; 0: not known)."""
    size, control, _, _ = sock.recvmsg_into([view], _SPACE)
    for _, kind, data in control:
        if kind == _TIMESTAMPNS:
            seconds, ns = _TIMESPEC.unpack_from(data)
            return size, seconds * 1_000_000_000 + ns - time.time_ns() + time.monotonic_ns()
    return size, 0


def queued_for(address: str, table: str | None = None) -> int:
    """Bytes that the kernel keeps between a client at this address of ours and its server, in both buffers.

    ``table``: what ``/proc/net/tcp`` says, which is read where nothing is given.
    """
    lines = (Path("/proc/net/tcp").read_text() if table is None else table).splitlines()[1:]
    wanted = f"{int.from_bytes(socket.inet_aton(address), sys.byteorder):08X}"
    total = 0
    for line in lines:
        _, local, remote, _, queues, *_ = line.split()
        sent, received = queues.split(":")
        total += int(sent, 16) if remote.startswith(wanted) else 0
        total += int(received, 16) if local.startswith(wanted) else 0
    return total
