"""What is hammered: a server of our own, or one that is named by its URL."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

import psutil

from livecommerce.auth import TokenAuthority
from livecommerce.client import Client
from load_tests.own_server import OwnServer


@dataclass(frozen=True)
class Target:
    """Where it answers, what signs its tokens, and its processes where it is our own."""

    url: str
    secret: str
    server: OwnServer | None = None

    @property
    def address(self) -> tuple[str, int]:
        """Host and port."""
        parts = urlsplit(self.url)
        return parts.hostname or "127.0.0.1", parts.port or (443 if parts.scheme == "https" else 80)

    @property
    def supervisor(self) -> psutil.Process | None:
        """The first process of our own server."""
        return psutil.Process(self.server.process.pid) if self.server is not None else None

    def mint(self, user_id: str, name: str, can: Sequence[str]) -> str:
        """A token of the server."""
        return TokenAuthority(self.secret).mint(user_id, name, list(can))

    def client(self, token: str, *, timeout_s: float = 60.0) -> Client:
        """A client of the server; the caller closes it."""
        return Client(self.url, token=token, timeout_s=timeout_s)
