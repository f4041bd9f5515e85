"""Thousands of viewers in one process: bare sockets and epoll, so that most of the machine is left to the server."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import random
import selectors
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from load_tests.meter import Meter
from load_tests.rooms_hearing import Hearing
from load_tests.rooms_sockets import open_socket, read_stamped, stamp_arrivals
from load_tests.rooms_tally import Tally
from load_tests.rooms_viewer import FIRST_BACK_S, LAST_BACK_S, Errand, Json, Viewer
from load_tests.rooms_wire import BINARY, CLOSE, HEAD_BYTES, PING, PONG, TEXT, Frames, client_frame, upgrade_request

#: connections that are being made at once
IN_FLIGHT = 500
#: read from one socket at a time
_READ = 1 << 18
#: a join that was not answered within this is tried anew
JOIN_TIMEOUT_S = 10.0


class Crowd:
    """Viewers of one room, in an epoll of their own: a wake-up costs the event loop once, however many are ready."""

    def __init__(
        self,
        address: tuple[str, int], path: str, tokens: Sequence[str],
        *,
        meter: Meter, receive_buffer: int = 0, comes_back: bool = False, seed: int = 1, source: str = "",
    ) -> None:  # fmt: skip
        self.viewers = [Viewer(index, token) for index, token in enumerate(tokens)]
        self.tally = Tally()
        self.meter = meter
        self.hearing = Hearing(self.tally, meter)
        self.random = random.Random(seed)
        self.selector = selectors.DefaultSelector()
        self._address, self._receive_buffer, self._comes_back = address, receive_buffer, comes_back
        self._source = source
        self._request = upgrade_request(address, path)
        self._view = memoryview(bytearray(_READ))
        self._waiting: deque[Viewer] = deque()
        self._connecting: dict[Viewer, float] = {}
        self._joining_since = 0.0
        self._inside = 0
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self.selector.fileno(), self._turn)
        self._sweeper = self._loop.call_later(1.0, self._sweep)

    # orders

    def join(self, per_s: float = 0.0, share: float = 1.0) -> None:
        """Connect and join those who are not connected, all at once or at a pace; or only the first of them."""
        wanted = [v for v in self.viewers[: round(len(self.viewers) * share)] if v.sock is None]
        self.tally.recovered = 0
        self._joining_since = time.monotonic()
        if not per_s:
            self._waiting.extend(wanted)
            self._fill()
            return
        for number, viewer in enumerate(wanted):
            self.at(self._joining_since + number / per_s, self._enter, viewer)

    def drop(self) -> None:
        """Cut every connection, as a lost network does; nobody comes back by themselves."""
        self._waiting.clear()
        for viewer in self.viewers:
            self._forget(viewer)

    def doze(self) -> None:
        """Read nothing any more."""
        for viewer in self.viewers:
            if viewer.sock is not None:
                self.selector.unregister(viewer.sock)

    def wake(self) -> None:
        """Read on."""
        for viewer in self.viewers:
            if viewer.sock is not None:
                self.selector.register(viewer.sock, selectors.EVENT_READ, viewer)

    def aclose(self) -> None:
        """End everything; twice is safe."""
        self._comes_back = False
        self._sweeper.cancel()
        self.drop()
        if self.selector.get_map() is not None:
            self._loop.remove_reader(self.selector.fileno())
            self.selector.close()

    def restart(self, delivery: str) -> None:
        """Count deliveries from here, and call their time so; the histories go on."""
        self.hearing.delivery, self.tally.deliveries, self.tally.frames = delivery, 0, 0

    def glance(self) -> Tally:
        """What was seen, without the log itself: small enough to be asked for often."""
        return dataclasses.replace(self.result(), ids={}, stock={})

    def result(self, top: int = 0) -> Tally:
        """What was seen; ``top``: an offset that everybody should have reached."""
        tally, histories = self.tally, [v.history for v in self.viewers]
        tally.top = max((h.last or 0 for h in histories), default=0)
        tally.joined = sum(v.joined for v in self.viewers)
        tally.connected = sum(v.sock is not None for v in self.viewers)
        tally.waiting = sum(len(v.asked) for v in self.viewers)
        tally.doubled = sum(h.doubled for h in histories)
        tally.lost = sum(h.lost for h in histories)
        tally.announced = sum(h.announced for h in histories)
        tally.behind = sum((h.last or 0) < top for h in histories)
        book = self.hearing.book
        tally.forks, tally.ids, tally.stock = book.forks, book.ids, book.stock
        return tally

    def at(self, due_s: float, call: Callable[..., None], *arguments: Any) -> None:
        """Call something when its time (monotonic) has come."""
        self._loop.call_later(max(0.0, due_s - time.monotonic()), call, *arguments)

    def ask(self, viewer: Viewer, errand: Errand) -> None:
        """Send a command, at once or when the viewer is in the room again."""
        viewer.number += 1
        errand.tries += 1
        number = viewer.number if viewer.joined else -viewer.number
        viewer.asked[number] = errand
        if viewer.joined:
            self.meter.count("commands")
            self._send(viewer, TEXT, msgspec.json.encode({"id": number, **errand.fields}))

    # the loop

    def _turn(self) -> None:
        before = self.tally.deliveries
        for key, _ in self.selector.select(0):
            self._ready(key.data)
        if self.tally.deliveries > before:
            self.meter.count("deliveries", self.tally.deliveries - before)

    def _sweep(self) -> None:
        """Give up joins that nobody answers."""
        before_s = time.monotonic() - JOIN_TIMEOUT_S
        for viewer in [viewer for viewer, began_s in self._connecting.items() if began_s < before_s]:
            self._lost(viewer)
        self._sweeper = self._loop.call_later(1.0, self._sweep)

    def _enter(self, viewer: Viewer) -> None:
        # A viewer whose moment comes after the end stays away.
        if viewer.sock is None and self.selector.get_map() is not None:
            self._waiting.append(viewer)
            self._fill()

    def _fill(self) -> None:
        while self._waiting and len(self._connecting) < IN_FLIGHT:
            viewer = self._waiting.popleft()
            if viewer.sock is not None:
                continue
            self._connecting[viewer] = time.monotonic()
            sock = open_socket(self._address, source=self._source, receive_buffer=self._receive_buffer)
            viewer.sock = sock
            if viewer.stamped:
                stamp_arrivals(sock)
            self.selector.register(sock, selectors.EVENT_WRITE, viewer)

    def _ready(self, viewer: Viewer) -> None:
        sock = viewer.sock
        if sock is None:
            return
        if not viewer.upgraded and not viewer.pending:
            viewer.pending = b"-"  # asked
            try:
                sock.send(self._request)
            except OSError:
                self._lost(viewer)
                return
            self.selector.modify(sock, selectors.EVENT_READ, viewer)
            return
        arrived_ns = 0
        try:
            if viewer.stamped:
                size, arrived_ns = read_stamped(sock, self._view)
            else:
                size = sock.recv_into(self._view)
        except BlockingIOError:
            return
        except OSError:
            size = 0
        data = bytes(self._view[:size])
        # Hot path: what a room says reaches most viewers as the same bytes, in one piece.
        if not viewer.pending and viewer.joined and (parsed := self.hearing.known(data)) is not None:
            self.hearing.take(viewer, parsed, arrived_ns)
        elif not data:
            self._lost(viewer)
        elif viewer.upgraded:
            self._frames(viewer, viewer.pending + data if viewer.pending else data, arrived_ns)
        else:
            self._upgrade(viewer, viewer.pending.removeprefix(b"-") + data)

    def _upgrade(self, viewer: Viewer, data: bytes) -> None:
        head, found, rest = data.partition(b"\r\n\r\n")
        if not found:
            viewer.pending = b"-" + data
            return
        if not head.startswith(b"HTTP/1.1 101"):
            self._lost(viewer)
            return
        viewer.upgraded, viewer.pending = True, b""
        message: Json = {"id": 1, "do": "join", "token": viewer.token}
        if viewer.history.epoch is not None and viewer.history.last is not None:
            message |= {"epoch": viewer.history.epoch, "offset": viewer.history.last}
        self._send(viewer, TEXT, msgspec.json.encode(message))
        if rest:
            self._frames(viewer, rest)

    def _frames(self, viewer: Viewer, data: bytes, arrived_ns: int = 0) -> None:
        frames = Frames(data)
        for opcode, payload in frames:
            if opcode in (TEXT, BINARY):
                self._frame(viewer, payload, arrived_ns)
                if len(data) - len(payload) <= HEAD_BYTES and not (parsed := self.hearing.book.parse(payload)).replies:
                    self.hearing.keep(data, parsed)
            elif opcode == PING:
                self.tally.pings += 1
                self._send(viewer, PONG, payload)
            elif opcode == CLOSE:
                self.tally.closes[int.from_bytes(payload[:2], "big")] += 1
                self._send(viewer, CLOSE, payload[:2])
                self._lost(viewer)
                return
        viewer.pending = frames.rest

    def _frame(self, viewer: Viewer, payload: bytes, arrived_ns: int) -> None:
        parsed = self.hearing.book.parse(payload)
        joining = not viewer.joined
        for reply in parsed.replies:
            self._reply(viewer, reply)
        self.hearing.take(viewer, parsed, arrived_ns, timed=not joining)

    def _reply(self, viewer: Viewer, reply: Json) -> None:
        if not viewer.joined:
            if "ok" in reply:
                self._joined(viewer, reply["ok"])
            return
        errand = viewer.asked.pop(reply["re"], None)
        if errand is not None:
            errand.answered(viewer, errand, reply)

    def _joined(self, viewer: Viewer, ok: Json) -> None:
        viewer.joined, viewer.back_s = True, FIRST_BACK_S
        self._count(1)
        viewer.history.join(ok["epoch"], ok["offset"], recovered=ok["recovered"])
        tally = self.tally
        tally.joins += 1
        tally.recovered += ok["recovered"]
        tally.join_s = time.monotonic() - self._joining_since
        self.meter.timed("join: from connect to in the room", self._connecting.pop(viewer))
        unsent, viewer.asked = viewer.asked, {}
        for errand in unsent.values():
            self.ask(viewer, errand)
        self._fill()

    def _send(self, viewer: Viewer, opcode: int, payload: bytes) -> None:
        if viewer.sock is not None:
            with contextlib.suppress(OSError):
                viewer.sock.send(client_frame(opcode, payload))

    def _lost(self, viewer: Viewer) -> None:
        """The server ended it, or nobody answered. Who had not joined tries again, as a client would."""
        again = not viewer.joined or self._comes_back
        self.tally.dropped += viewer.joined
        self._forget(viewer)
        if again:
            wait_s = self.random.uniform(0, viewer.back_s)
            viewer.back_s = min(viewer.back_s * 2, LAST_BACK_S)
            self.at(time.monotonic() + wait_s, self._enter, viewer)
        self._fill()

    def _count(self, change: int) -> None:
        self._inside += change
        self.meter.gauge("viewers in the room", self._inside)

    def _forget(self, viewer: Viewer) -> None:
        sock, viewer.sock = viewer.sock, None
        if viewer.joined:
            self._count(-1)
        viewer.upgraded = viewer.joined = False
        viewer.pending = b""
        self._connecting.pop(viewer, None)
        if sock is not None:
            with contextlib.suppress(KeyError):
                self.selector.unregister(sock)
            sock.close()
