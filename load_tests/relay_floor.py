"""The bare floor of a relay in Python: for each viewer copy, protect, one GSO send, and nothing else.

It runs in a process of its own, paced like the host of the same run, to sockets that another process empties.
"""

from __future__ import annotations

import multiprocessing
import os
import selectors
import socket
import time
from multiprocessing.connection import Connection
from struct import pack
from typing import Any

from pylibsrtp import Policy
from pylibsrtp._binding import ffi

from streams.dtls import srtp_session
from streams.srtp import memmove, protect

SOL_UDP, UDP_SEGMENT = 17, 103
_TAG = 16


def _drain(count: int, pipe: Connection) -> None:
    """Empty the sockets, as the viewers' process does."""
    view = memoryview(bytearray(2048))
    with selectors.DefaultSelector() as selector:
        sockets = []
        for _ in range(count):
            sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
            sock.bind(("127.0.0.1", 0))
            sock.setblocking(False)
            selector.register(sock, selectors.EVENT_READ, sock)
            sockets.append(sock)
        pipe.send([sock.getsockname()[1] for sock in sockets])
        received = 0
        while not pipe.poll():
            for key, _ in selector.select(0.2):
                try:
                    while True:
                        key.data.recv_into(view)
                        received += 1
                except BlockingIOError:
                    pass
        pipe.send(received)
        for sock in sockets:
            sock.close()


def _send(ports: list[int], sizes: list[int], frames_per_s: float, seconds: float) -> tuple[float, int]:
    """CPU seconds and packets sent of the loop."""
    memory, length_memory = ffi.new("unsigned char[]", 1 << 16), ffi.new("int[]", len(sizes))
    key = os.urandom(28)
    sessions = [srtp_session(key, Policy.SRTP_PROFILE_AEAD_AES_128_GCM, outbound=True) for _ in ports]
    viewers = [(session.context, ("127.0.0.1", port)) for session, port in zip(sessions, ports, strict=True)]
    stride = max(sizes) + _TAG
    lengths = ffi.new("int[]", [max(sizes)] * len(sizes))
    slots = [(memory + index * stride, length_memory + index) for index in range(len(sizes))]
    view = memoryview(ffi.buffer(memory))[: stride * len(sizes)]
    ancillary = [(SOL_UDP, UDP_SEGMENT, pack("=H", stride))]
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4 << 20)
        sock.bind(("127.0.0.1", 0))
        sequence, frame, started = 0, 0, time.monotonic()
        cpu = time.process_time()
        while frame < frames_per_s * seconds:
            time.sleep(max(0.0, started + frame / frames_per_s - time.monotonic()))
            parts = []
            for _ in sizes:
                sequence += 1
                header = pack("!BBHII", 0x80, 96, sequence & 0xFFFF, frame * 3000 & 0xFFFFFFFF, 7)
                parts.append(header + bytes(max(sizes) - 12 + _TAG))
            template = b"".join(parts)
            total, size_bytes = len(template), 4 * len(sizes)
            for context, address in viewers:
                memmove(memory, template, total)
                memmove(length_memory, lengths, size_bytes)
                for packet, length in slots:
                    protect(context, packet, length)
                sock.sendmsg([view], ancillary, 0, address)
            frame += 1
        return time.process_time() - cpu, frame * len(sizes) * len(ports)


def _sender(pipe: Connection, *arguments: Any) -> None:
    pipe.send(_send(*arguments))


def measure_floor(viewers: int, sizes: list[int], frames_per_s: float, seconds: float) -> tuple[float, float]:
    """(µs CPU for one packet to one viewer, share of packets that arrived) of the bare loop."""
    spawn = multiprocessing.get_context("spawn")
    ours, theirs = spawn.Pipe()
    drain = spawn.Process(target=_drain, args=(viewers, theirs), daemon=True)
    drain.start()
    ports = ours.recv()
    result, end = spawn.Pipe()
    sender = spawn.Process(target=_sender, args=(end, ports, sizes, frames_per_s, seconds), daemon=True)
    sender.start()
    cpu_s, packets = result.recv()
    sender.join()
    time.sleep(0.3)
    ours.send(None)
    received = ours.recv()
    drain.join()
    return cpu_s / packets * 1e6, received / packets
