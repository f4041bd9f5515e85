"""The settings of a server: one frozen value, made by the CLI, handed to every worker."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import msgspec


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """All a worker needs to know; every field is a ``serve`` option and a ``LIVECOMMERCE_…`` variable."""

    host: str = "127.0.0.1"
    port: int = 8080
    #: address advertised in ICE candidates; empty: the bind address, or loopback for a loopback bind
    media_host: str = ""
    #: worker i uses media_port + i; 0 means an ephemeral port
    media_port: int = 0
    workers: int = 1
    #: an outside Redis >= 7 or Valkey >= 8; empty: the embedded Valkey
    redis_url: str = ""
    data_dir: Path = Path(".livecommerce")
    #: the address people use, when it is not the one requests name (behind a proxy)
    public_url: str = ""
    guests: Literal["auto", "on", "off"] = "auto"
    secret: str = ""
    #: networks (CIDR) whose X-Forwarded-For and X-Forwarded-Proto are believed
    trusted_proxy: tuple[str, ...] = ()
    turn_url: str = ""
    turn_secret: str = ""
    tls_cert: str = ""
    tls_key: str = ""
    demo: bool = False
    log_level: Literal["debug", "info", "warning", "error"] = "info"

    @property
    def on_loopback(self) -> bool:
        """Whether only this machine can reach the server."""
        return self.host in ("localhost", "::1") or self.host.startswith("127.")

    @property
    def guests_on(self) -> bool:
        """Whether ``POST /api/v1/guest`` is open: ``auto`` is on for a loopback bind or the demo."""
        return self.guests == "on" or (self.guests == "auto" and (self.on_loopback or self.demo))

    @property
    def development(self) -> bool:
        """Whether this is a development server: the simulated payment provider runs only here."""
        return self.on_loopback or self.demo
