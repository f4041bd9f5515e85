"""The bare floor of a room: a loop of ``socket.send`` of one frame to the same number of connections, paced alike."""

from __future__ import annotations

import multiprocessing
import selectors
import socket
import time
from multiprocessing.connection import Connection

from load_tests.processes import raise_file_limit


def _drain(address: tuple[str, int], count: int, pipe: Connection) -> None:
    """Connect, and read what comes, as the viewers' process does."""
    raise_file_limit()
    selector = selectors.DefaultSelector()
    for _ in range(count):
        sock = socket.create_connection(address)
        sock.setblocking(False)
        selector.register(sock, selectors.EVENT_READ, sock)
    pipe.send("connected")
    received = 0
    while not pipe.poll():
        for key, _ in selector.select(0.1):
            received += len(key.data.recv(1 << 18))
    pipe.send(received)


def _send(viewers: int, frame_bytes: int, frames_per_s: float, seconds: float, pipe: Connection) -> None:
    raise_file_limit()
    frame = bytes(frame_bytes)
    with socket.create_server(("127.0.0.1", 0), backlog=4096) as listener:
        pipe.send(listener.getsockname())
        sockets = [listener.accept()[0] for _ in range(viewers)]
    for sock in sockets:
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    pipe.recv()
    rounds, started_s, cpu_s = 0, time.monotonic(), time.process_time()
    while rounds < frames_per_s * seconds:
        time.sleep(max(0.0, started_s + rounds / frames_per_s - time.monotonic()))
        for sock in sockets:
            sock.send(frame)
        rounds += 1
    pipe.send((time.process_time() - cpu_s, rounds * viewers))


def measure_floor(viewers: int, frame_bytes: int, frames_per_s: float, seconds: float) -> float:
    """µs of CPU for one send of such a frame in a bare loop."""
    spawn = multiprocessing.get_context("spawn")
    ours, theirs = spawn.Pipe()
    sender = spawn.Process(target=_send, args=(viewers, frame_bytes, frames_per_s, seconds, theirs), daemon=True)
    sender.start()
    address = ours.recv()
    drained, end = spawn.Pipe()
    drain = spawn.Process(target=_drain, args=(address, viewers, end), daemon=True)
    drain.start()
    drained.recv()
    ours.send("go")
    cpu_s, sends = ours.recv()
    drained.send("end")
    drained.recv()
    sender.join()
    drain.join()
    return float(cpu_s / sends * 1e6)
