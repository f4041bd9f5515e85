"""What the supervisor hands a worker, through a pipe: never by arguments, which every user of the machine can read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from livecommerce.settings import Settings


class WorkerSpec(msgspec.Struct, frozen=True, kw_only=True):
    """One worker's part of the server."""

    index: int
    settings: Settings
    #: the embedded Valkey's address, or the settings' own
    valkey_url: str
    #: addresses for ICE candidates
    advertise: tuple[str, ...]
    #: file descriptor to write one line to when ready
    ready_fd: int

    def encode(self) -> bytes:
        """As JSON."""
        return msgspec.json.encode(self, enc_hook=_encode)

    @classmethod
    def decode(cls, data: bytes) -> WorkerSpec:
        """From JSON; raises msgspec's errors."""
        return msgspec.json.decode(data, type=cls, dec_hook=_decode)


def _encode(value: Any) -> str:
    if isinstance(value, Path):
        return str(value)
    raise NotImplementedError


def _decode(kind: type, value: Any) -> Any:
    if kind is Path:
        return Path(value)
    raise NotImplementedError
