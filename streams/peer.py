"""One media session's end: ICE-lite, consent, the DTLS handshake; publishers and viewers are peers."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from streams.answer import Chosen, Local, is_dtls_client
from streams.batch import packed
from streams.dtls import SEND_WINDOW, DtlsSession

if TYPE_CHECKING:
    from streams.rtcp import Message
    from streams.stun import Check
    from streams.transport import Transport

#: seconds without an authentic STUN request after which a peer is gone; FFmpeg sends one only every 5 s
CONSENT_S = 15.0
#: seconds a handshake may take
HANDSHAKE_S = 15.0
#: seconds after which OpenSSL's part is freed even if the peer never proved that it heard our last flight
LIGHTEN_S = 10.0
#: SSRCs a peer may send by: for each libsrtp keeps a context, among which it looks one by one
MAX_SSRCS = 64
#: source addresses a peer may have at once: a phone with two networks tries a handful
MAX_ADDRESSES = 8


class Peer:
    """The part of a session that is the same for publishers and viewers."""

    kind = ""
    #: seconds without an authentic STUN request after which this peer is gone
    consent_limit_s = CONSENT_S
    #: packets that may be sent out of order or once more
    send_window = SEND_WINDOW

    def __init__(
        self,
        transport: Transport,
        session_id: str,
        stream_id: str,
        chosen: dict[str, Chosen],
        *,
        on_gone: Callable[[Peer], None],
    ) -> None:
        self.transport = transport
        self.id = session_id
        self.stream_id = stream_id
        self.chosen = chosen
        self.address: Any = None
        #: the same as the kernel reads it
        self.name = b""
        #: libsrtp context for what is sent; None before the handshake and after the end
        self.context: Any = None
        self.receive_context: Any = None
        self.created_s = self.consent_s = time.monotonic()
        self.connected_s: float | None = None
        self._handshake_s = 0.0
        self._early = b""
        #: the address it is counted at
        self._host = ""
        self.gone = False
        self._on_gone = on_gone
        self._addresses: list[Any] = []
        #: as they stand in packets that were authentic
        self._ssrcs: set[bytes] = set()
        self._dtls: DtlsSession | None = None
        #: what the next check looks like if nothing changes; None until that is known
        self.check: Check | None = None
        #: whether anything authentic came: the peer has the keys, so our last flight need not be sent again
        self.heard = False
        section = next(iter(chosen.values())).section
        self._setup, self._fingerprints = section.setup, section.fingerprints
        self.remote_ufrag = section.ufrag
        self.remote_password = section.password
        #: password by local user fragment; two for a moment after an ICE restart
        self.passwords: dict[str, str] = {}
        self.ufrag = ""
        self._new_credentials()

    # ICE

    def _new_credentials(self) -> None:
        self.ufrag = self.transport.new_ufrag()
        self.passwords[self.ufrag] = secrets.token_hex(16)
        self.transport.by_ufrag[self.ufrag] = self

    @property
    def etag(self) -> str:
        """Names the current ICE session, as RFC 9725 §4.3.1 asks."""
        return f'"{self.ufrag}"'

    def local(self, addresses: tuple[str, ...]) -> Local:
        """Our end, to be written into an answer."""
        media = self.transport.media
        return Local(self.ufrag, self.passwords[self.ufrag], self.transport.fingerprint, addresses, media.port)

    def restart_ice(self, ufrag: str, password: str) -> None:
        """New credentials on both ends; the old ones serve until the first check by the new."""
        for old in [each for each in self.passwords if each != self.ufrag]:
            self._forget(old)
        self.remote_ufrag, self.remote_password = ufrag, password
        self.check = None
        self._new_credentials()

    def _forget(self, ufrag: str) -> None:
        self.passwords.pop(ufrag, None)
        self.transport.by_ufrag.pop(ufrag, None)

    def checked(self, ufrag: str, address: Any, use_candidate: bool, now_s: float) -> None:
        """An authentic binding request came: consent, perhaps from a new address."""
        self.consent_s = now_s
        if ufrag == self.ufrag and len(self.passwords) > 1:
            for old in [each for each in self.passwords if each != ufrag]:
                self._forget(old)
        if address not in self._addresses:
            self._addresses.append(address)
            if len(self._addresses) > MAX_ADDRESSES:
                oldest = next(each for each in self._addresses if each != self.address)
                self._addresses.remove(oldest)
                self._release(oldest)
        if self.transport.by_address.get(address) is not self:
            self.transport.move(self, address)
        if self.address is None or (use_candidate and address != self.address):
            self.address, self.name = address, packed(address)
            self.address_changed()
        if self._dtls is None:
            self._start_handshake(now_s)

    def settled_at(self, address: Any) -> bool:
        """Whether one more check from here, by the same credentials, would be consent and nothing else."""
        return self.context is not None and address == self.address and len(self.passwords) == 1

    def address_changed(self) -> None:
        """The peer is reached at another address from now on."""

    def _release(self, address: Any) -> None:
        if self.transport.by_address.get(address) is self:
            del self.transport.by_address[address]

    # DTLS

    def _start_handshake(self, now_s: float) -> None:
        if not self.transport.may_shake_hands(self.address[0], now_s):
            self.transport.heavy[self] = None  # its turn comes by settle()
            return
        self._host = self.address[0]
        self.transport.by_host[self._host] += 1
        self._dtls = DtlsSession(
            self.transport.certificate,
            client=is_dtls_client(self._setup),
            fingerprints=self._fingerprints,
            send=self._send_dtls,
            send_window=self.send_window,
            on_connected=self._connected,
            on_closed=self._leave,
        )
        self._handshake_s = now_s
        self.transport.heavy[self] = None
        self._dtls.start()
        early, self._early = self._early, b""
        self._dtls.feed(early)

    def _send_dtls(self, data: bytes) -> None:
        self.transport.media.send(data, self.address)

    def _connected(self) -> None:
        assert self._dtls is not None
        self.receive_context, self.context = self._dtls.receive_context, self._dtls.send_context
        self.connected_s = time.monotonic()
        self.connected(self._dtls.tag_bytes)

    def settle(self, now_s: float) -> bool:
        """Go on with the handshake, or free what it needed; whether there is no more to do."""
        if self._dtls is None and self.address is not None and not self.gone:
            self._start_handshake(now_s)
            return False
        dtls = self._dtls
        if dtls is None or self.gone or dtls.closed:
            return True
        if self.connected_s is None:
            dtls.tick()
            if now_s - self._handshake_s > HANDSHAKE_S:
                self._leave()
            return self.gone
        if not self.heard and now_s - self.connected_s < LIGHTEN_S:
            return False
        dtls.lighten()
        return True

    def _leave(self) -> None:
        if not self.gone:
            self.gone = True
            self._on_gone(self)

    # what arrives

    def dtls_arrived(self, data: bytes) -> None:
        """A DTLS datagram from this peer."""
        if self._dtls is not None:
            self._dtls.feed(data)
        else:
            self._early = data  # came before its turn: the next time it would be sent is a second away

    def decrypt(self, size: int, *, control: bool = False) -> int:
        """Decrypt what stands in the receive buffer, in place: its size then, 0 or less where it is refused."""
        buffer = self.transport.media.buffer
        ssrc = bytes(buffer.view[4:8] if control else buffer.view[8:12])
        known = ssrc in self._ssrcs
        if not known and len(self._ssrcs) >= MAX_SSRCS:
            return 0
        unprotect = buffer.unprotect_rtcp if control else buffer.unprotect
        size = unprotect(self.receive_context, size)
        if not known and size > 0:
            self._ssrcs.add(ssrc)
        return size

    def connected(self, tag_bytes: int) -> None:
        """The handshake is done; SRTP adds ``tag_bytes`` to a packet."""

    def rtp_arrived(self, size: int) -> None:
        """An SRTP packet stands in the receive buffer."""

    def rtcp_arrived(self, size: int) -> None:
        """An SRTCP packet stands in the receive buffer."""

    def told(self, message: Message) -> None:
        """An RTCP message that concerns neither viewers nor hosts."""

    def send_rtcp(self, plaintext: bytes) -> None:
        """Send one compound RTCP packet, once connected."""
        self.transport.send_rtcp(self.context, plaintext, self.address)

    def close(self) -> None:
        """Say goodbye and free everything; safe to call twice."""
        self.gone = True
        self.context = self.receive_context = None
        for ufrag in list(self.passwords):
            self.transport.by_ufrag.pop(ufrag, None)
        self.transport.heavy.pop(self, None)
        self.transport.release_host(self._host)
        self._host = ""
        dtls, self._dtls = self._dtls, None
        if dtls is not None:
            dtls.close()
        for address in self._addresses:
            self._release(address)
        self._addresses.clear()
