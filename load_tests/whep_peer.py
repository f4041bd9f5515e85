"""A light but real WebRTC end: ICE (STUN checks), DTLS, SRTP over a socket of its own; no codec.

It speaks WHEP and WHIP to any server: every candidate of the answer is tried, a server that checks us is answered, both
DTLS roles are played.
"""

from __future__ import annotations

import asyncio
import secrets
import socket
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import urljoin

import aiohttp
from aioice import stun

from streams.dtls import DtlsSession, SharedCertificate
from streams.srtp import ReceiveBuffer, SendBuffer

#: payload types of our offers
VP8, RTX, OPUS = 96, 97, 111
#: seconds between two consent checks, as browsers send them
CHECK_S = 2.5
#: asked of the kernel, which grants up to its own limit: a process that waits for CPU must not lose what was sent
BUFFER_BYTES = 4 << 20


class PeerFailed(Exception):
    """The server refused us, or the transport did not come up."""


class Shared:
    """What all peers of a process share: certificate and buffers."""

    def __init__(self) -> None:
        self.certificate = SharedCertificate.generateCertificate()
        self.fingerprint = self.certificate.sha256()
        self.receive, self.send = ReceiveBuffer(), SendBuffer()


def make_offer(direction: str, ufrag: str, password: str, fingerprint: str, ssrcs: tuple[int, int]) -> str:
    """An offer of Opus and VP8 like a browser's, in one direction."""
    shared = [
        "c=IN IP4 0.0.0.0",
        f"a=ice-ufrag:{ufrag}",
        f"a=ice-pwd:{password}",
        "a=ice-options:trickle",
        f"a=fingerprint:sha-256 {fingerprint}",
        "a=setup:actpass",
        f"a={direction}",
        "a=rtcp-mux",
        "a=rtcp-rsize",
    ]
    lines = ["v=0", f"o=- {secrets.randbits(62)} 2 IN IP4 127.0.0.1", "s=-", "t=0 0", "a=group:BUNDLE 0 1"]
    lines += ["a=msid-semantic: WMS live", f"m=audio 9 UDP/TLS/RTP/SAVPF {OPUS}", "a=mid:0", *shared]
    lines += [f"a=rtpmap:{OPUS} opus/48000/2", f"a=fmtp:{OPUS} minptime=10;useinbandfec=1"]
    video = [f"m=video 9 UDP/TLS/RTP/SAVPF {VP8} {RTX}", "a=mid:1", *shared, f"a=rtpmap:{VP8} VP8/90000"]
    video += [f"a=rtcp-fb:{VP8} {what}" for what in ("goog-remb", "ccm fir", "nack", "nack pli")]
    video += [f"a=rtpmap:{RTX} rtx/90000", f"a=fmtp:{RTX} apt={VP8}", "a=extmap:13 urn:3gpp:video-orientation"]
    if direction == "sendonly":
        for block, ssrc in ((lines, ssrcs[0]), (video, ssrcs[1])):
            block += ["a=msid:live track", f"a=ssrc:{ssrc} cname:load", f"a=ssrc:{ssrc} msid:live track"]
    return "\r\n".join([*lines, *video]) + "\r\n"


def answered(sdp: str, name: str) -> str:
    """The first value of an attribute of the answer."""
    for line in sdp.splitlines():
        if line.startswith(f"a={name}:"):
            return line.partition(":")[2].strip()
    raise PeerFailed(f"the answer has no {name}")


def candidates(sdp: str) -> list[tuple[str, int]]:
    """The IPv4 UDP candidates of the answer."""
    found: dict[tuple[str, int], None] = {}
    for line in sdp.splitlines():
        words = line.split()
        if line.startswith("a=candidate:") and words[1] == "1" and words[2].lower() == "udp" and "." in words[4]:
            found[words[4], int(words[5])] = None
    return list(found)


class WebRtcPeer:
    """One session; RTP and RTCP are handed to callbacks, decrypted, in the shared receive buffer."""

    def __init__(self, shared: Shared, direction: str) -> None:
        self.shared = shared
        self.direction = direction
        self.ssrcs = secrets.randbits(31) + 1, secrets.randbits(31) + 1
        self.ufrag, self.password = secrets.token_hex(4), secrets.token_hex(12)
        self.location = ""
        self.context: Any = None
        self.receive_context: Any = None
        self.asked_s = self.connected_s = 0.0
        self.unauthentic = self.verified = self.unsent = 0
        #: of the RTP packets one in so many is decrypted; of the others only the header can be read
        self.verify_every = 1
        self.on_rtp: Callable[[int], bool] = lambda size: False
        self.on_rtcp: Callable[[int], None] = lambda size: None
        self._remote = ("", "")
        self._candidates: list[tuple[str, int]] = []
        self._address: tuple[str, int] | None = None
        self._source = ("127.0.0.1", 9)
        self._dtls: DtlsSession | None = None
        self._connected: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER_BYTES)
        self.sock.setblocking(False)
        self.sock.bind(("0.0.0.0", 0))
        self.closed = False

    # life

    async def connect(self, http: aiohttp.ClientSession, url: str, token: str, *, seconds: float = 20.0) -> None:
        """POST the offer and bring the transport up; raises PeerFailed."""
        headers = {"Content-Type": "application/sdp"} | ({"Authorization": f"Bearer {token}"} if token else {})
        offer = self.offer()
        self.asked_s = time.monotonic()
        async with http.post(url, data=offer.encode(), headers=headers) as answer:
            sdp = await answer.text()
            if answer.status != 201:
                raise PeerFailed(f"{url} answered {answer.status}: {sdp[:200]}")
            self.location = urljoin(url, answer.headers.get("Location", ""))
        self._remote = answered(sdp, "ice-ufrag"), answered(sdp, "ice-pwd")
        self._candidates = candidates(sdp)
        algorithm, _, value = answered(sdp, "fingerprint").partition(" ")
        self._dtls = DtlsSession(
            self.shared.certificate,
            client=answered(sdp, "setup") != "active",
            fingerprints=((algorithm.lower(), value.strip()),),
            send=self.send_datagram,
            on_connected=self._keys_agreed,
            on_closed=self._lost,
        )
        asyncio.get_running_loop().add_reader(self.sock.fileno(), self._readable)
        await self._shake_hands(self._dtls, seconds)
        self._dtls.lighten()

    async def _shake_hands(self, dtls: DtlsSession, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while not self._connected.done():
            if time.monotonic() > deadline:
                raise PeerFailed("the transport did not come up")
            if self._address is None:
                for candidate in self._candidates:
                    self.check(candidate)
            dtls.tick()
            await asyncio.wait([self._connected], timeout=0.05)
        await self._connected

    def offer(self) -> str:
        """What is offered; another kind of peer says something else."""
        return make_offer(self.direction, self.ufrag, self.password, self.shared.fingerprint, self.ssrcs)

    async def leave(self, http: aiohttp.ClientSession, token: str) -> None:
        """DELETE the session and close."""
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        async with http.delete(self.location, headers=headers):
            self.close()

    def close(self) -> None:
        """Free the socket; safe to call twice."""
        if not self.closed:
            self.closed = True
            asyncio.get_running_loop().remove_reader(self.sock.fileno())
            self.context = self.receive_context = None
            if self._dtls is not None:
                self._dtls.close()
            self.sock.close()

    def _keys_agreed(self) -> None:
        assert self._dtls is not None
        self.receive_context, self.context = self._dtls.receive_context, self._dtls.send_context
        self.connected_s = time.monotonic()
        if not self._connected.done():
            self._connected.set_result(None)

    def _lost(self) -> None:
        if not self._connected.done():
            self._connected.set_exception(PeerFailed("the DTLS handshake failed"))

    # out

    def check(self, address: tuple[str, int] | None = None) -> None:
        """Send a binding request: consent, and with the first answer the choice of a candidate."""
        address = address or self._address
        request = stun.Message(stun.Method.BINDING, stun.Class.REQUEST)
        request.attributes["USERNAME"] = f"{self._remote[0]}:{self.ufrag}"
        request.attributes["PRIORITY"] = 1853824767
        request.attributes["ICE-CONTROLLING"] = 4711
        request.attributes["USE-CANDIDATE"] = None
        request.add_message_integrity(self._remote[1].encode())
        if address is not None:
            self.send_datagram(bytes(request), address)

    def send_rtp(self, plaintext: bytes) -> bytes:
        """Encrypt and send one RTP packet; what was sent, so that it can be sent once more. Empty without keys."""
        if self.context is None or (data := self.shared.send.encrypt(self.context, plaintext)) is None:
            return b""
        self.send_datagram(sent := bytes(data))
        return sent

    def send_rtcp(self, plaintext: bytes) -> None:
        """Encrypt and send one compound RTCP packet."""
        if self.context is not None and (data := self.shared.send.encrypt_rtcp(self.context, plaintext)) is not None:
            self.send_datagram(data)

    def send_datagram(self, data: bytes | memoryview, address: tuple[str, int] | None = None) -> None:
        """Send what is ready for the wire; what the kernel does not take (full, nobody there) is counted."""
        target = address or self._address
        if target is None or self.closed:
            return
        try:
            self.sock.sendto(data, target)
        except OSError:
            self.unsent += 1

    # in

    def _receive(self) -> int:
        """One datagram into the shared buffer; its size."""
        if self._address is None:
            size, self._source = self.sock.recvfrom_into(self.shared.receive.view)
            return size
        return self.sock.recv_into(self.shared.receive.view)

    def _readable(self) -> None:
        view, unprotect = self.shared.receive.view, self.shared.receive.unprotect
        for _ in range(64):
            if self.closed:
                return
            try:
                size = self._receive()
            except OSError:
                return
            first = view[0] if size else 255
            if 128 <= first < 192:
                if self.receive_context is None:
                    continue
                if 192 <= view[1] <= 223:
                    size = self.shared.receive.unprotect_rtcp(self.receive_context, size)
                    if size > 0:
                        self.on_rtcp(size)
                    continue
                if self.verify_every == 1 or view[3] % self.verify_every == 0 or view[1] & 0x7F == RTX:
                    size = unprotect(self.receive_context, size)
                    self.verified += 1
                if size <= 0:
                    self.unauthentic += 1
                elif self.on_rtp(size):
                    return  # a frame is whole: the next wake-up brings the next
            elif first < 4:
                self._stun(bytes(view[:size]))
            elif first < 64 and self._dtls is not None:
                self._dtls.feed(bytes(view[:size]))

    def _stun(self, data: bytes) -> None:
        try:
            message = stun.parse_message(data)
        except ValueError:
            return
        if message.message_class == stun.Class.RESPONSE and self._address is None and self._dtls is not None:
            self._address = self._source  # whichever candidate answers first is taken
            self._dtls.start()
        elif message.message_class == stun.Class.REQUEST:
            reply = stun.Message(stun.Method.BINDING, stun.Class.RESPONSE, transaction_id=message.transaction_id)
            reply.attributes["XOR-MAPPED-ADDRESS"] = self._source
            reply.add_message_integrity(self.password.encode())
            self.send_datagram(bytes(reply), self._source)
