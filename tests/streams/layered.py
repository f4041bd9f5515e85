"""A host of three layers and a viewer that checks every number it sees, both over real ICE, DTLS and SRTP."""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import aiohttp

from load_tests.whep_peer import OPUS, RTX, VP8, Shared, WebRtcPeer
from streams import rtcp, rtp, vp8
from streams.rtp import FIXED
from streams.sdp import MID, REPAIRED_RID, RID
from tests.streams.test_vp8 import descriptor, keyframe

FRAMES_PER_S = 50
MID_ID, RID_ID, REPAIRED_ID = 4, 10, 11


@dataclass
class LayerSource:
    """One layer that is sent; its clock begins anywhere, as Chromium's do."""

    rid: str
    width: int
    height: int
    packets: int
    slot: int
    ssrc: int = 0
    sequence: int = 0
    rtx_sequence: int = 0
    clock: int = 0
    picture: int = 0
    base: int = 0
    sending: bool = True
    wanted: bool = True
    keyframe_requests: int = 0
    kept: dict[int, bytes] = field(default_factory=dict)


def layers() -> list[LayerSource]:
    """Not in the order of their sizes, and near all wraps."""
    chance = random.Random(7)
    sizes = [("h", 640, 360, 2), ("q", 320, 180, 1), ("f", 1280, 720, 5)]
    return [
        LayerSource(
            *row, slot, ssrc=chance.getrandbits(31) + 1, sequence=65_300, rtx_sequence=65_500,
            clock=chance.getrandbits(32), picture=0x7FF0 + slot, base=250 + slot,
        )
        for slot, row in enumerate(sizes)
    ]  # fmt: skip


def element(number: int, value: str) -> bytes:
    return bytes((number << 4 | len(value) - 1,)) + value.encode()


class LayeredPeer(WebRtcPeer):
    """Offers three layers by their names."""

    rids: tuple[str, ...] = ()

    def offer(self) -> str:
        extensions = ((MID, MID_ID), (RID, RID_ID), (REPAIRED_RID, REPAIRED_ID))
        lines = [line for line in super().offer().splitlines() if f"ssrc:{self.ssrcs[1]}" not in line]
        lines += [f"a=extmap:{number} {uri}" for uri, number in extensions]
        lines += [f"a=rid:{rid} send" for rid in self.rids]
        lines.append(f"a=simulcast:send {';'.join(self.rids)}")
        return "\r\n".join(lines) + "\r\n"


class LayeredHost:
    """Sends frames of every layer at the same moments; a keyframe where one was asked for."""

    def __init__(self, shared: Shared) -> None:
        self.layers = layers()
        self.peer = LayeredPeer(shared, "sendonly")
        self.peer.rids = tuple(layer.rid for layer in self.layers)
        self.peer.on_rtcp = self._feedback
        self._task: asyncio.Task[None] | None = None

    async def start(self, http: aiohttp.ClientSession, url: str) -> None:
        await self.peer.connect(http, url, "")
        self._task = asyncio.create_task(self._run(), name="layered-host")

    async def aclose(self) -> None:
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
        self.peer.close()

    def _feedback(self, size: int) -> None:
        for message in rtcp.parse(bytes(self.peer.shared.receive.view[:size])):
            ssrc = getattr(message, "media_ssrc", 0)
            layer = next((each for each in self.layers if each.ssrc == ssrc), None)
            if layer is not None and isinstance(message, rtcp.KeyframeRequest):
                layer.wanted = True
                layer.keyframe_requests += 1
            elif layer is not None and isinstance(message, rtcp.Nack):
                for number in message.sequences:
                    self._again(layer, number)

    def _again(self, layer: LayerSource, number: int) -> None:
        body = layer.kept.get(number)
        if body is not None:
            timestamp, marker = int.from_bytes(body[:4], "big"), body[4]
            payload = number.to_bytes(2, "big") + body[5:]
            layer.rtx_sequence += 1
            self._send(layer.ssrc + 1, RTX, layer.rtx_sequence, timestamp, marker, REPAIRED_ID, layer.rid, payload)

    async def _run(self) -> None:
        started = time.monotonic()
        frame = 0
        while True:
            await asyncio.sleep(max(0.0, started + frame / FRAMES_PER_S - time.monotonic()))
            for layer in self.layers:
                if layer.sending:
                    self._frame(layer, frame)
            if frame % FRAMES_PER_S == 0:
                self._report(frame)
                self.peer.check()
            frame += 1

    def _report(self, frame: int) -> None:
        ntp = rtcp.ntp_of(time.time())
        for layer in self.layers:
            self.peer.send_rtcp(rtcp.build_sender_report(layer.ssrc, ntp, self._time(layer, frame), 0, 0))

    def _time(self, layer: LayerSource, frame: int) -> int:
        return (layer.clock + frame * (90_000 // FRAMES_PER_S)) & 0xFFFFFFFF

    def _frame(self, layer: LayerSource, frame: int) -> None:
        key, layer.wanted = layer.wanted, False
        layer.picture, layer.base = (layer.picture + 1) & 0x7FFF, (layer.base + 1) & 0xFF
        counters = descriptor(layer.picture, layer.base)
        for index in range(layer.packets):
            head = counters if index == 0 else bytes((counters[0] & ~0x10,)) + counters[1:]
            body = keyframe(layer.width, layer.height) if key else b"\x11\x02\x00" + bytes(11)
            payload = head + (body if index == 0 else bytes(14)) + bytes((layer.slot,)) + bytes(700)
            layer.sequence = (layer.sequence + 1) & 0xFFFF
            marker, timestamp = int(index == layer.packets - 1), self._time(layer, frame)
            layer.kept[layer.sequence] = timestamp.to_bytes(4, "big") + bytes((marker,)) + payload
            layer.kept.pop((layer.sequence - 500) & 0xFFFF, None)
            self._send(layer.ssrc, VP8, layer.sequence, timestamp, marker, RID_ID, layer.rid, payload)

    def _send(
        self, ssrc: int, kind: int, sequence: int, timestamp: int, marker: int, name_id: int, rid: str, payload: bytes
    ) -> None:
        elements = element(MID_ID, "1") + element(name_id, rid)
        elements += bytes(-len(elements) % 4)
        head = FIXED.pack(0x90, kind | marker << 7, sequence & 0xFFFF, timestamp, ssrc)
        self.peer.send_rtp(head + b"\xbe\xde" + (len(elements) // 4).to_bytes(2, "big") + elements + payload)


class Seen(NamedTuple):
    """One packet as it arrived."""

    timestamp: int
    picture: int
    base: int
    slot: int
    keyframe: bool


class CheckingViewer:
    """Loses what it is told to, asks for it again, reports, and remembers what came by its number."""

    def __init__(self, shared: Shared, *, report_s: float) -> None:
        self.peer = WebRtcPeer(shared, "recvonly")
        self.peer.on_rtp = self._arrived
        self.packets: dict[int, Seen] = {}
        #: the share that the path loses
        self.loss = 0.0
        self.repaired = 0
        self.ssrc = 0
        self._chance = random.Random(3)
        self._highest = 0
        self._received = 0
        self._first = 0
        self._asked: dict[int, int] = {}
        self._report_s = report_s
        self._task: asyncio.Task[None] | None = None

    async def start(self, http: aiohttp.ClientSession, url: str) -> None:
        await self.peer.connect(http, url, "")
        self._task = asyncio.create_task(self._reports(), name="checking-viewer")

    async def aclose(self) -> None:
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
        self.peer.close()

    @property
    def slot(self) -> int | None:
        """The layer of the newest packet."""
        return self.packets[max(self.packets)].slot if self.packets else None

    def _arrived(self, size: int) -> bool:
        data = bytes(self.peer.shared.receive.view[:size])
        header = rtp.parse(data)
        if header is None or header.payload_type == OPUS or self._chance.random() < self.loss:
            return False
        payload, sequence = data[header.payload_start : header.payload_end], header.sequence
        if header.payload_type == RTX:
            sequence, payload = int.from_bytes(payload[:2], "big"), payload[2:]
            self.repaired += 1
        else:
            self.ssrc = header.ssrc
            self._received += 1
        number = rtp.extend(sequence, self._highest or sequence + 0x10000)
        if not self._highest:
            self._first = number
        self._highest = max(self._highest, number)
        found = vp8.parse(payload)
        assert found is not None
        slot = payload[found.size + 14]
        seen = Seen(header.timestamp, found.picture, found.base, slot, vp8.starts_keyframe(payload))
        # A number has one meaning, however often it comes.
        assert self.packets.setdefault(number, seen) == seen
        return False

    async def _reports(self) -> None:
        turn = 0
        while True:
            await asyncio.sleep(min(0.05, self._report_s))
            turn += 1
            self._ask_again()
            if turn % max(1, round(self._report_s / 0.05)) == 0 and self._highest:
                lost = self._highest - self._first + 1 - self._received
                block = rtcp.ReportBlock(self.ssrc, 0, lost, self._highest, 0, 0, 0)
                self.peer.send_rtcp(rtcp.build_receiver_report(self.peer.ssrcs[1], [block]))
            if turn % 20 == 0:
                self.peer.check()

    def _ask_again(self) -> None:
        missing = [n for n in range(max(self._first, self._highest - 300), self._highest) if n not in self.packets]
        again = [n for n in missing if self._asked.get(n, 0) < 20][:60]
        for number in again:
            self._asked[number] = self._asked.get(number, 0) + 1
        if again:
            wire = [number & 0xFFFF for number in again]
            self.peer.send_rtcp(rtcp.build_nack(self.peer.ssrcs[1], self.ssrc, wire))

    def check(self, *, whole: bool = True, gap_s: float = 1) -> list[int]:
        """Assert that what came is one continuous picture; the layers in the order they were seen."""
        order: list[int] = []
        numbers = sorted(self.packets)
        before: Any = None
        for number in numbers:
            now = self.packets[number]
            if before is not None and number == before[0] + 1:
                old = before[1]
                ahead = (now.timestamp - old.timestamp + 0x80000000 & 0xFFFFFFFF) - 0x80000000
                frames = (now.picture - old.picture) & 0x7FFF
                assert frames in (0, 1), (number, old, now)
                assert (now.base - old.base) & 0xFF == frames
                assert (ahead > 0) == (frames == 1), (number, old, now)
                assert ahead < 90_000 * gap_s
            if not order or order[-1] != now.slot:
                assert not order or now.keyframe or before is None or number != before[0] + 1
                order.append(now.slot)
            before = (number, now)
        if whole:
            assert numbers == list(range(numbers[0], numbers[-1] + 1))
        return order
