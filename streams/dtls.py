"""The one file that touches aiortc's private parts (and OpenSSL through it): DTLS, and the SRTP keys it agrees.

What is relied on, checked by ``tests/streams/test_dtls.py``: ``RTCDtlsTransport(transport, [certificate])`` drives any
object with ``_recv``, ``_send``, ``role`` and ``state``; ``_set_role`` takes "server" or "client"; the certificate's
``_create_ssl_context`` makes the SSL context; after ``start`` the two libsrtp sessions are ``_rx_srtp`` and
``_tx_srtp``, and theirs are ``_srtp``.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Any

from aiortc.rtcdtlstransport import (
    RTCCertificate,
    RTCDtlsFingerprint,
    RTCDtlsParameters,
    RTCDtlsTransport,
)

#: datagrams of one handshake that may wait; real flights have at most 6
MAX_WAITING = 32
#: GCM profiles append 16 bytes, AES_CM_128_SHA1_80 appends 10
_GCM_TAG, _SHA1_TAG = 16, 10


class SharedCertificate(RTCCertificate):
    """A certificate with one SSL context for all handshakes: 0.44 → 0.26 ms CPU, 120 → about 30 KiB a viewer."""

    _context: Any = None

    def _create_ssl_context(self, srtp_profiles: Any) -> Any:
        if self._context is None:
            self._context = super()._create_ssl_context(srtp_profiles)
        return self._context

    def sha256(self) -> str:
        """The fingerprint as SDP writes it."""
        return str(next(f.value for f in self.getFingerprints() if f.algorithm == "sha-256"))


class _Wire:
    """Stands where aiortc expects an ICE transport."""

    role = "controlled"
    state = "completed"

    def __init__(self, send: Callable[[bytes], None]) -> None:
        self._send_datagram = send
        self._waiting: deque[bytes] = deque(maxlen=MAX_WAITING)
        self._wanted: asyncio.Future[None] | None = None
        self._closed = False

    def feed(self, datagram: bytes) -> None:
        self._waiting.append(datagram)
        self._wake()

    def close(self) -> None:
        self._closed = True
        self._wake()

    def _wake(self) -> None:
        if self._wanted is not None and not self._wanted.done():
            self._wanted.set_result(None)

    async def _recv(self) -> bytes:
        while not self._waiting:
            if self._closed:
                raise ConnectionError("the session has ended")
            self._wanted = asyncio.get_running_loop().create_future()
            await self._wanted
        return self._waiting.popleft()

    async def _send(self, data: bytes) -> None:
        self._send_datagram(data)


class DtlsSession:
    """One peer's handshake, and what it gives: the libsrtp contexts."""

    def __init__(
        self,
        certificate: SharedCertificate,
        *,
        client: bool,
        fingerprints: tuple[tuple[str, str], ...],
        send: Callable[[bytes], None],
        on_closed: Callable[[], None] = lambda: None,
    ) -> None:
        self._on_closed = on_closed
        self._wire = _Wire(send)
        self._transport = RTCDtlsTransport(self._wire, [certificate])  # type: ignore[arg-type]  # the point of this file
        self._transport._set_role("client" if client else "server")
        self._parameters = RTCDtlsParameters([RTCDtlsFingerprint(*each) for each in fingerprints])
        #: libsrtp contexts to decrypt what comes and encrypt what goes; None before the handshake
        self.receive_context: Any = None
        self.send_context: Any = None
        self.tag_bytes = _GCM_TAG

    def feed(self, datagram: bytes) -> None:
        """Hand over one DTLS datagram of the peer."""
        self._wire.feed(datagram)

    async def handshake(self) -> bool:
        """Shake hands; whether it succeeded with the certificate the SDP promised."""
        await self._transport.start(self._parameters)
        if self._transport.state != "connected":
            return False
        self.receive_context = self._transport._rx_srtp._srtp[0]
        self.send_context = self._transport._tx_srtp._srtp[0]
        self._transport.on("statechange", self._changed)
        assert self._transport._ssl is not None
        profile = self._transport._ssl.get_selected_srtp_profile()
        self.tag_bytes = _GCM_TAG if b"GCM" in profile else _SHA1_TAG
        return True

    @property
    def closed(self) -> bool:
        """Whether the peer said goodbye."""
        return self._transport.state in ("closed", "failed")

    def _changed(self) -> None:
        if self.closed:
            self._on_closed()

    async def aclose(self) -> None:
        """Say goodbye (close_notify) and end; safe to call twice."""
        self.receive_context = self.send_context = None
        self._wire.close()
        await self._transport.stop()
