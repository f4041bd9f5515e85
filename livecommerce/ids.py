"""Opaque, URL-safe ids."""

from __future__ import annotations

import secrets

# No vowels (no words), no look-alikes (0/o, 1/l/i): ids are read aloud and typed from a phone.
_ALPHABET = b"23456789bcdfghjkmnpqrstvwxz"
#: bytes from here up would favour the first symbols: they are thrown away
_FAIR = 256 - 256 % len(_ALPHABET)
_SYMBOLS = bytes(_ALPHABET[byte % len(_ALPHABET)] for byte in range(256))
_UNFAIR = bytes(range(_FAIR, 256))


def new_id(prefix: str = "", length: int = 12) -> str:
    """A random id: ``length`` symbols of 4.75 bits each behind ``prefix`` (12 symbols: 57 bits).

    On the path of every claim: one draw of bytes is 1 µs, ``secrets.choice`` a symbol was 14 µs an id.
    """
    symbols = b""
    while len(symbols) < length:
        symbols += secrets.token_bytes(length + 8).translate(_SYMBOLS, _UNFAIR)
    return prefix + symbols[:length].decode()
