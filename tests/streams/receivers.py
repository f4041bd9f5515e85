"""Viewers that are sockets, and a kernel that refuses as told."""

from __future__ import annotations

import ctypes
import socket
from collections.abc import Sequence
from typing import Any

import pytest
from pylibsrtp import Policy, Session

from streams import batch
from streams.packet import Packet, Rendering
from streams.srtp import SendBuffer

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


RENDERING = Rendering(payload_type=96, orientation_id=0, sequence_offset=0, tag_bytes=16)
BUFFER = SendBuffer()


def frame(first: int, *sizes: int) -> list[Packet]:
    return [Packet(first + index, 7, False, bytes((index,)) * size) for index, size in enumerate(sizes)]


def expected(packets: list[Packet]) -> list[bytes]:
    return [RENDERING.plaintext(packet, 99) for packet in packets]
