"""A shop's public keys: tokens that its back end signs need no secret shared with this server."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Literal, NamedTuple, TypeAlias

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key

Key: TypeAlias = RSAPublicKey | EllipticCurvePublicKey

#: RFC 7518 §3.3: RS256 keys have at least 2048 bits
MIN_RSA_BITS = 2048
#: keys of one file: the current one, the next, and some of the past
MOST_KEYS = 8
_MOST_BYTES = 64 * 1024
_BLOCK = re.compile(rb"-----BEGIN ([A-Z0-9 ]+)-----.*?-----END \1-----", re.DOTALL)


class KeyFileError(Exception):
    """The file holds no usable keys; the text is the rest of a sentence that names it."""


class PublicKey(NamedTuple):
    """A key and the only algorithm it is used with: the token's header does not choose."""

    algorithm: Literal["RS256", "ES256"]
    key: Key


def read_public_keys(path: Path | str) -> tuple[PublicKey, ...]:
    """The keys of a PEM file, one or several (a shop that changes its key gives both for a while)."""
    try:
        with Path(path).open("rb") as file:
            text = file.read(_MOST_BYTES)
    except OSError as error:
        raise KeyFileError(f"cannot be read: {error.strerror}") from error
    blocks = list(_BLOCK.finditer(text))
    if any(b"PRIVATE" in block[1] for block in blocks):
        raise KeyFileError("holds a private key: keep that with the shop, and give its public key here")
    if not 1 <= len(blocks) <= MOST_KEYS:
        raise KeyFileError(f"must hold 1 to {MOST_KEYS} public keys in PEM form")
    return tuple(_public_key(block[0]) for block in blocks)


def _public_key(pem: bytes) -> PublicKey:
    try:
        key = load_pem_public_key(pem)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise KeyFileError("holds something that is no public key in PEM form") from error
    if isinstance(key, RSAPublicKey) and key.key_size >= MIN_RSA_BITS:
        return PublicKey("RS256", key)
    if isinstance(key, EllipticCurvePublicKey) and isinstance(key.curve, SECP256R1):
        return PublicKey("ES256", key)
    raise KeyFileError(f"holds a key that is neither RSA with at least {MIN_RSA_BITS} bits nor EC on P-256")
