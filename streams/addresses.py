"""Which addresses our ICE candidates name."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import socket
import time
from collections.abc import Callable, Sequence

#: seconds for which addresses that were read are used; reading costs 10 µs, but joins come in hundreds
KEEP_S = 5.0


class Candidates:
    """The addresses told to peers, read anew where that is possible: a laptop changes networks."""

    def __init__(
        self,
        bind_host: str,
        advertise: Sequence[str],
        reread: Callable[[], Sequence[str]] | None,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._names = bind_host, advertise
        self._reread = reread
        self._clock = clock
        self._told: tuple[str, ...] = ()
        self._read_s = 0.0

    async def start(self) -> None:
        """Read them once."""
        self._told, self._read_s = await candidate_addresses(*self._names), self._clock()

    def told(self) -> tuple[str, ...]:
        """What to tell now; the last known while there is none."""
        if self._reread is not None and self._clock() - self._read_s >= KEEP_S:
            self._told, self._read_s = tuple(self._reread()) or self._told, self._clock()
        return self._told


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
