"""What is kept of a DTLS session once its keys are agreed: enough to say goodbye and to hear it. Pure.

An idle OpenSSL connection holds 93 KiB; a relay needs no more of it than ``close_notify`` in both directions, which is
two bytes in one record (RFC 5246 §7.2.1, RFC 6347 §4.1). So what the two write keys are derived from (RFC 5246 §6.3)
is kept, until one is needed, and the rest is freed. Only AES-128-GCM is known here: what every browser and native
client agrees on with our cipher list.
"""

from __future__ import annotations

import hmac
from struct import Struct
from typing import NamedTuple

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

#: the only suite whose records are understood, by OpenSSL's name
CIPHER = "ECDHE-ECDSA-AES128-GCM-SHA256"
VERSION = "DTLSv1.2"

_RECORD = Struct("!BHHHIH")  # type, version, epoch, sequence (48 bits), length
_AAD = Struct("!HHIBHH")
_ALERT, _DTLS_1_2, _EPOCH = 21, 0xFEFD, 1
_CLOSE_NOTIFY = b"\x01\x00"
_RECORD_BYTES, _NONCE_BYTES, _TAG_BYTES = 13, 8, 16
_KEY_BYTES, _SALT_BYTES = 16, 4


def split_records(flight: bytes, max_bytes: int) -> list[bytes]:
    """A flight as datagrams of whole records: a memory BIO forgets where one ended."""
    datagrams: list[bytes] = []
    start = position = 0
    while position + _RECORD_BYTES <= len(flight):
        end = position + _RECORD_BYTES + (flight[position + 11] << 8 | flight[position + 12])
        if end - start > max_bytes and position > start:
            datagrams.append(flight[start:position])
            start = position
        position = end
    datagrams.append(flight[start:])
    return [each for each in datagrams if each]


def next_sequence(flight: bytes, known: int) -> int:
    """The first number of the encrypted epoch not used in these records."""
    position = 0
    while position + _RECORD_BYTES <= len(flight):
        _, _, epoch, high, low, length = _RECORD.unpack_from(flight, position)
        if epoch == _EPOCH:
            known = max(known, (high << 32 | low) + 1)
        position += _RECORD_BYTES + length
    return known


def key_block(master: bytes, client_random: bytes, server_random: bytes) -> bytes:
    """Both ends' keys and salts (P_SHA256 of RFC 5246 §5 and §6.3)."""
    seed = b"key expansion" + server_random + client_random
    block, step = b"", seed
    while len(block) < 2 * (_KEY_BYTES + _SALT_BYTES):
        step = hmac.digest(master, step, "sha256")
        block += hmac.digest(master, step + seed, "sha256")
    return block[: 2 * (_KEY_BYTES + _SALT_BYTES)]


class Secrets(NamedTuple):
    """What a connection's keys are derived from."""

    master: bytes
    client_random: bytes
    server_random: bytes


class Goodbye:
    """One end's ``close_notify``; 300 bytes in place of a connection."""

    __slots__ = ("_client", "_known", "_secrets", "_sequence")

    def __init__(self, secrets: Secrets, *, client: bool, sequence: int) -> None:
        self._secrets = secrets
        self._client = client
        self._known: tuple[tuple[bytes, bytes], ...] = ()
        self._sequence = sequence

    @property
    def _keys(self) -> tuple[tuple[bytes, bytes], ...]:
        """Key and salt, ours and theirs: derived when first asked for, since a join has no use for them (45 µs)."""
        if not self._known:
            block, salts = key_block(*self._secrets), 2 * _KEY_BYTES
            self._known = tuple(
                (
                    block[end * _KEY_BYTES : (end + 1) * _KEY_BYTES],
                    block[salts + end * _SALT_BYTES : salts + (end + 1) * _SALT_BYTES],
                )
                for end in ((0, 1) if self._client else (1, 0))
            )
        return self._known

    def write(self) -> bytes:
        """The record that says goodbye; each one has its own number."""
        key, salt = self._keys[0]
        number, self._sequence = self._sequence, self._sequence + 1
        high, low = number >> 32, number & 0xFFFFFFFF
        explicit = _EPOCH.to_bytes(2, "big") + number.to_bytes(6, "big")
        aad = _AAD.pack(_EPOCH, high, low, _ALERT, _DTLS_1_2, len(_CLOSE_NOTIFY))
        body = explicit + AESGCM(key).encrypt(salt + explicit, _CLOSE_NOTIFY, aad)
        return _RECORD.pack(_ALERT, _DTLS_1_2, _EPOCH, high, low, len(body)) + body

    def heard_in(self, datagram: bytes) -> bool:
        """Whether the datagram holds the peer's authentic goodbye."""
        position = 0
        while position + _RECORD_BYTES <= len(datagram):
            kind, version, epoch, high, low, length = _RECORD.unpack_from(datagram, position)
            start, position = position + _RECORD_BYTES, position + _RECORD_BYTES + length
            if (kind, version, epoch, length) != (_ALERT, _DTLS_1_2, _EPOCH, _NONCE_BYTES + 2 + _TAG_BYTES):
                continue
            if position > len(datagram):
                return False
            key, salt = self._keys[1]
            explicit, body = datagram[start : start + _NONCE_BYTES], datagram[start + _NONCE_BYTES : position]
            try:
                alert = AESGCM(key).decrypt(salt + explicit, body, _AAD.pack(epoch, high, low, kind, version, 2))
            except InvalidTag:
                continue
            if alert[1:] == b"\x00" or alert[0] == 2:  # close_notify, or any fatal alert
                return True
        return False
