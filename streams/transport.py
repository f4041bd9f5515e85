"""The way between one UDP socket and many peers: STUN finds a peer by its user fragment, all else by its address."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections import Counter
from typing import TYPE_CHECKING, Any

from streams import stun
from streams.allowance import Allowance
from streams.delays import Delays
from streams.dtls import SharedCertificate
from streams.rtcp import is_rtcp
from streams.socket import MediaSocket
from streams.srtp import SendBuffer

if TYPE_CHECKING:
    from streams.peer import Peer


#: handshakes begun in a second, and at once: each costs about 0.7 ms, so others keep most of the time
HANDSHAKES_PER_S = 300
HANDSHAKE_BURST = 100
#: sessions of one address; a carrier or an office shares one, loopback is not limited
MAX_PEERS_AN_ADDRESS = 500


class Transport:
    """Owns the socket, the certificate and the two tables that route datagrams to peers."""

    def __init__(self, bind_host: str, port: int) -> None:
        self._bind = (bind_host, port)
        self.media = MediaSocket(self._datagram)
        self.send_buffer = SendBuffer()
        self.certificate = SharedCertificate.generateCertificate()
        self.fingerprint = self.certificate.sha256()
        self.by_ufrag: dict[str, Peer] = {}
        self.by_address: dict[Any, Peer] = {}
        #: peers whose handshake is under way, or whose OpenSSL part is not freed yet
        self.heavy: dict[Peer, None] = {}
        self._handshakes = Allowance(HANDSHAKES_PER_S, HANDSHAKE_BURST)
        #: peers that have shaken hands, by their address
        self.by_host: Counter[str] = Counter()
        #: how long packets took through this worker
        self.delays = Delays()
        #: from a viewer's offer until it could be sent media
        self.joins = Delays()
        #: handshakes put off because too many began in this second
        self.handshakes_delayed = 0
        #: datagrams of strangers, thrown away
        self.strangers = 0

    def open(self) -> None:
        """Bind the socket and start reading."""
        self.media.open(*self._bind, asyncio.get_running_loop())

    def close(self) -> None:
        """Stop reading; safe to call twice."""
        self.media.close()
        self.by_ufrag.clear()
        self.by_address.clear()

    def new_ufrag(self) -> str:
        """A user fragment nobody can guess (72 bits) and no peer has."""
        while (ufrag := secrets.token_hex(9)) in self.by_ufrag:
            continue
        return ufrag

    def may_shake_hands(self, host: str, now_s: float) -> bool:
        """Whether another handshake may begin now, from this address."""
        loopback = host.removeprefix("::ffff:").startswith("127.") or host == "::1"
        if (loopback or self.by_host[host] < MAX_PEERS_AN_ADDRESS) and self._handshakes.take(now_s):
            return True
        self.handshakes_delayed += 1
        return False

    def release_host(self, host: str) -> None:
        """A peer counted at this address has left."""
        if host:
            self.by_host[host] -= 1
            if not self.by_host[host]:
                del self.by_host[host]

    def settle(self, now_s: float) -> None:
        """Every 50 ms: handshakes go on, finished ones free what they needed."""
        for peer in list(self.heavy):
            if peer.settle(now_s):
                self.heavy.pop(peer, None)

    def send_rtcp(self, context: Any, plaintext: bytes, address: Any) -> None:
        """Encrypt and send one compound RTCP packet."""
        if context is not None and (data := self.send_buffer.encrypt_rtcp(context, plaintext)) is not None:
            self.media.send(data, address)

    def send_rtp(self, context: Any, plaintext: bytes, address: Any) -> bool:
        """Encrypt and send one RTP packet by itself."""
        if context is None or (data := self.send_buffer.encrypt(context, plaintext)) is None:
            return False
        return self.media.send(data, address)

    def move(self, peer: Peer, address: Any) -> None:
        """Datagrams from this address are the peer's from now on."""
        self.by_address[address] = peer

    def _datagram(self, size: int, address: Any) -> None:
        view = self.media.buffer.view
        first = view[0]
        if 128 <= first < 192:
            peer = self.by_address.get(address)
            if peer is None or size < 12:
                self.strangers += 1
            elif is_rtcp(view[1]):
                peer.rtcp_arrived(size)
            else:
                peer.rtp_arrived(size)
        elif first < 4:
            self._stun(bytes(view[:size]), address)
        elif 20 <= first < 64 and (peer := self.by_address.get(address)) is not None:
            peer.dtls_arrived(bytes(view[:size]))
        else:
            self.strangers += 1

    def _stun(self, data: bytes, address: Any) -> None:
        known = self.by_address.get(address)
        if known is not None and (check := known.check) is not None and check.address == address == known.address:
            answer = check.answer(data)
            if answer is not None:
                self.media.send(answer, address)
                known.consent_s = time.monotonic()
                return
        ufrag = stun.local_ufrag(data) if stun.looks_like_request(data) else None
        peer = self.by_ufrag.get(ufrag) if ufrag is not None else None
        if ufrag is None or peer is None:
            self.strangers += 1
            return
        request = stun.authenticate(data, peer.passwords[ufrag])
        if request is None:
            self.strangers += 1
            return
        password = peer.passwords[ufrag]
        self.media.send(stun.success(request, address, password), address)
        peer.checked(ufrag, address, request.use_candidate, time.monotonic())
        if peer.settled_at(address):
            peer.check = stun.Check(data, request, address, password)
