"""Opaque, URL-safe ids."""

from __future__ import annotations

import secrets

# No vowels (no words), no look-alikes (0/o, 1/l/i): ids are read aloud and typed from a phone.
_ALPHABET = "23456789bcdfghjkmnpqrstvwxz"


def new_id(prefix: str = "", length: int = 12) -> str:
    """A random id: ``length`` symbols of 4.75 bits each behind ``prefix`` (12 symbols: 57 bits)."""
    return prefix + "".join(secrets.choice(_ALPHABET) for _ in range(length))
