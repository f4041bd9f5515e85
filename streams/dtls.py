"""The one file that touches aiortc's private parts (and OpenSSL): DTLS, and the SRTP keys it agrees.

What is relied on, checked by ``tests/streams/test_dtls.py``: ``RTCCertificate._create_ssl_context(profiles)`` makes the
SSL context; an ``SRTPProtectionProfile`` knows its names, lengths and ``get_key_and_salt``; pylibsrtp's binding has
libsrtp's own functions and types. aiortc's own ``RTCDtlsTransport`` is not used: it costs two tasks and 30 KiB a peer.

A handshake is driven by the datagrams themselves, without a task; after it OpenSSL's 93 KiB are freed (``goodbye``).
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable
from functools import lru_cache
from typing import Any

from aiortc.rtcdtlstransport import (
    SRTP_AEAD_AES_128_GCM,
    SRTP_AEAD_AES_256_GCM,
    SRTP_AES128_CM_SHA1_80,
    SRTP_PROFILES,
    RTCCertificate,
)
from OpenSSL import SSL
from pylibsrtp._binding import ffi, lib

from streams.goodbye import CIPHER, VERSION, Goodbye, Secrets, next_sequence, split_records

log = logging.getLogger(__name__)

#: a flight is cut into datagrams of at most so many bytes
MAX_FLIGHT_BYTES = 1200
#: read from OpenSSL at once: a buffer of so many bytes is made and cleared for each read, and a flight of ours has 800
FLIGHT_BYTES = 4096
#: GCM profiles append 16 bytes, AES_CM_128_SHA1_80 appends 10
_GCM_TAG, _SHA1_TAG = 16, 10
#: ours by preference: AES-128-GCM is the cheapest on every machine with AES instructions
PROFILES = [p for p in (SRTP_AEAD_AES_128_GCM, SRTP_AEAD_AES_256_GCM, SRTP_AES128_CM_SHA1_80) if p in SRTP_PROFILES]
#: packets that may arrive out of order or twice; the ring of resends is as long
WINDOW = 1024
#: packets that may be sent out of order or, where RTX is not agreed, once more: libsrtp shifts the whole window with
#: each packet, which for 1,024 took 7 % of the relay's CPU; this is over a second of 2 Mbit/s
SEND_WINDOW = 256


class SharedCertificate(RTCCertificate):
    """A certificate with one SSL context for all handshakes: 0.44 → 0.26 ms CPU a handshake."""

    _context: Any = None

    def context(self) -> Any:
        """The context all handshakes share."""
        if self._context is None:
            self._context = self._create_ssl_context(PROFILES)
        return self._context

    def sha256(self) -> str:
        """The fingerprint as SDP writes it."""
        return str(next(f.value for f in self.getFingerprints() if f.algorithm == "sha-256"))


class DtlsSession:
    """One peer's handshake, and what it gives: the libsrtp contexts."""

    def __init__(
        self,
        certificate: SharedCertificate,
        *,
        client: bool,
        fingerprints: tuple[tuple[str, str], ...],
        send: Callable[[bytes], None],
        send_window: int = SEND_WINDOW,
        on_connected: Callable[[], None] = lambda: None,
        on_closed: Callable[[], None] = lambda: None,
    ) -> None:
        self._client = client
        self._fingerprints = tuple((name, value.upper()) for name, value in fingerprints)
        self._send = send
        self._send_window = send_window
        self._on_connected, self._on_closed = on_connected, on_closed
        self._connection: SSL.Connection | None = SSL.Connection(certificate.context(), None)
        if client:
            self._connection.set_connect_state()
        else:
            self._connection.set_accept_state()
        self._goodbye: Goodbye | None = None
        self._next = 0
        self._sessions: tuple[SrtpSession, ...] = ()
        self.connected = self.closed = False
        #: libsrtp contexts to decrypt what comes and encrypt what goes; None before the handshake
        self.receive_context: Any = None
        self.send_context: Any = None
        self.tag_bytes = _GCM_TAG

    @property
    def light(self) -> bool:
        """Whether OpenSSL's part is freed."""
        return self._connection is None

    def start(self) -> None:
        """Open the handshake, as its client."""
        if self._client and not self.connected:
            self._advance()

    def feed(self, datagram: bytes) -> None:
        """Take one DTLS datagram of the peer."""
        if self.closed or not datagram:
            return
        if self._connection is None:
            if self._goodbye is not None and self._goodbye.heard_in(datagram):
                self._end()
            return
        self._connection.bio_write(datagram)
        if not self.connected:
            self._advance()
            return
        self._read()
        self._flush()

    def tick(self) -> None:
        """Send the last flight again when it is due; to be called every so often while not connected."""
        if self._connection is not None and not self.connected and not self.closed:
            wait_s = self._connection.DTLSv1_get_timeout()
            if wait_s is not None and wait_s <= 0:
                self._connection.DTLSv1_handle_timeout()
                self._flush()

    def lighten(self) -> None:
        """Free OpenSSL's part: the peer has proved that it heard our last flight."""
        connection = self._connection
        if connection is None or not self.connected or self.closed:
            return
        names = connection.get_cipher_name(), connection.get_protocol_version_name()
        master, ours, theirs = connection.master_key(), connection.client_random(), connection.server_random()
        if names == (CIPHER, VERSION) and master is not None and ours is not None and theirs is not None:
            self._goodbye = Goodbye(Secrets(master, ours, theirs), client=self._client, sequence=self._next)
            self._connection = None

    def close(self) -> None:
        """Say goodbye (close_notify) and end; safe to call twice."""
        if not self.closed and self._goodbye is not None:
            self._send(self._goodbye.write())
        elif not self.closed and self._connection is not None:
            with contextlib.suppress(SSL.Error):  # in the middle of the handshake there is nothing to say goodbye to
                self._connection.shutdown()
            self._flush()
        self._connection = self._goodbye = None
        self.closed = True
        self.receive_context = self.send_context = None
        self._sessions = ()

    # inside

    def _advance(self) -> None:
        assert self._connection is not None
        try:
            self._connection.do_handshake()
        except SSL.WantReadError:
            self._flush()
            return
        except SSL.Error as error:
            log.info("a DTLS handshake failed: %s", error)
            self._flush()
            self._end()
            return
        self._flush()
        if not self._identified() or not self._agree():
            self._end()
            return
        self.connected = True
        self._on_connected()

    def _read(self) -> None:
        """Throw away what the peer says, but for its goodbye: all of it, or OpenSSL keeps the rest."""
        assert self._connection is not None
        try:
            while True:
                self._connection.recv(2048)
        except SSL.ZeroReturnError:
            self._end()
        except SSL.Error:
            pass  # nothing (more) to read, or a forged record: neither says anything about the session

    def _flush(self) -> None:
        """Send what OpenSSL wrote."""
        assert self._connection is not None
        flight = b""
        with contextlib.suppress(SSL.Error):  # nothing (more) was written
            while len(flight) % FLIGHT_BYTES == 0:
                flight += self._connection.bio_read(FLIGHT_BYTES)
        if not flight:
            return
        self._next = next_sequence(flight, self._next)
        for datagram in split_records(flight, MAX_FLIGHT_BYTES):
            self._send(datagram)

    def _identified(self) -> bool:
        """Whether the certificate is one that the SDP promised: by every digest we know (RFC 8122 §5).

        An end may have several certificates, each with a fingerprint of the same digest.
        """
        assert self._connection is not None
        # Not as cryptography's own: to write it out and to parse it again costs four times the digest.
        certificate = self._connection.get_peer_certificate()
        if certificate is None or not self._fingerprints:
            return False
        return all(
            (name, certificate.digest(name.replace("-", "")).decode()) in self._fingerprints
            for name in {name for name, _ in self._fingerprints}
        )

    def _agree(self) -> bool:
        """Derive the SRTP keys (RFC 5764 §4.2)."""
        assert self._connection is not None
        name = self._connection.get_selected_srtp_profile()
        profile = next((each for each in PROFILES if each.openssl_profile == name), None)
        if profile is None:
            return False
        size = 2 * (profile.key_length + profile.salt_length)
        material = self._connection.export_keying_material(b"EXTRACTOR-dtls_srtp", size)
        ours, theirs = (0, 1) if self._client else (1, 0)
        receive = srtp_session(profile.get_key_and_salt(material, theirs), profile.libsrtp_profile, outbound=False)
        send = srtp_session(
            profile.get_key_and_salt(material, ours), profile.libsrtp_profile, outbound=True, window=self._send_window
        )
        self._sessions = (receive, send)
        self.receive_context, self.send_context = receive.context, send.context
        self.tag_bytes = _SHA1_TAG if profile is SRTP_AES128_CM_SHA1_80 else _GCM_TAG
        return True

    def _end(self) -> None:
        if not self.closed:
            self.closed = True
            self._on_closed()


class SrtpSession:
    """A libsrtp session of one direction for any SSRC; resends of the same bytes are allowed, within the window.

    pylibsrtp's own makes a policy anew and keeps a buffer of 1,500 bytes: 0.1 ms and 3 KiB a viewer for nothing.
    """

    __slots__ = ("_srtp",)

    def __init__(self, key: bytes, profile: int, *, outbound: bool, window: int) -> None:
        policy = _policy(profile, outbound)
        if len(key) < lib.srtp_profile_get_master_key_length(profile) + lib.srtp_profile_get_master_salt_length(
            profile
        ):
            raise ValueError("the key is too short for its profile")
        memory = ffi.from_buffer("unsigned char[]", key)  # read by srtp_create, and not after it
        policy.key, policy.window_size = memory, window
        srtp = ffi.new("srtp_t *")
        status = lib.srtp_create(srtp, policy)
        policy.key = ffi.NULL
        if status != lib.srtp_err_status_ok:
            raise ValueError(f"libsrtp refused the session: {status}")
        self._srtp = ffi.gc(srtp, _deallocate)

    @property
    def context(self) -> Any:
        """What libsrtp's functions take; valid for as long as the session lives."""
        return self._srtp[0]


@lru_cache
def _policy(profile: int, outbound: bool) -> Any:
    """The policy of all sessions of a profile and direction, but for key and window."""
    policy = ffi.new("srtp_policy_t *")
    lib.srtp_crypto_policy_set_from_profile_for_rtp(ffi.addressof(policy.rtp), profile)
    lib.srtp_crypto_policy_set_from_profile_for_rtcp(ffi.addressof(policy.rtcp), profile)
    policy.ssrc.type = lib.ssrc_any_outbound if outbound else lib.ssrc_any_inbound
    policy.allow_repeat_tx = 1
    return policy


def _deallocate(srtp: Any) -> None:
    lib.srtp_dealloc(srtp[0])


def srtp_session(key: bytes, profile: int, *, outbound: bool, window: int | None = None) -> SrtpSession:
    """A session with the window of its direction, or another."""
    return SrtpSession(key, profile, outbound=outbound, window=window or (SEND_WINDOW if outbound else WINDOW))
