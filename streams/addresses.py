"""Which addresses our ICE candidates name."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import socket
from collections.abc import Sequence


async def candidate_addresses(bind_host: str, advertise: Sequence[str]) -> tuple[str, ...]:
    """Numbers as they are, names resolved; by default what the socket is bound to."""
    found: dict[str, None] = {}
    loop = asyncio.get_running_loop()
    for name in advertise or [bind_host]:
        try:
            wildcard = ipaddress.ip_address(name).is_unspecified
        except ValueError:
            infos = await loop.getaddrinfo(name, None, type=socket.SOCK_DGRAM)
            found.update((str(info[4][0]), None) for info in infos)
        else:
            found.update(dict.fromkeys(_own_addresses() if wildcard else [name]))
    return tuple(found)


def _own_addresses() -> list[str]:
    """The address of the default route (found without sending anything), then loopback."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe, contextlib.suppress(OSError):
        probe.connect(("192.0.2.1", 9))
        return list(dict.fromkeys([str(probe.getsockname()[0]), "127.0.0.1"]))
    return ["127.0.0.1"]
