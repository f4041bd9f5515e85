"""The host of a show, who stays on the air."""

from __future__ import annotations

import asyncio
import contextlib
import time

import aiohttp

from load_tests.viewers_host import Rate, SyntheticHost
from load_tests.whep_peer import PeerFailed, Shared

#: a host without any feedback for this long publishes anew (the relay reports each second)
SILENT_HOST_S = 3.0
#: between two looks, and between two tries
AGAIN_S = 0.5


class HostOnAir:
    """Publishes, and publishes again whenever nobody answers any more."""

    def __init__(self, http: aiohttp.ClientSession, url: str, token: str, rate: Rate) -> None:
        self._http, self._url, self._token, self._rate = http, url, token, rate
        self._heard_s = 0.0
        self._host: SyntheticHost | None = None
        self._task: asyncio.Task[None] | None = None
        self.on_air = asyncio.Event()
        #: times it was put on the air; and what it sent, all of them together
        self.publications = self.packets = 0
        self.failures: list[str] = []

    async def start(self) -> None:
        """Go on the air; raises :class:`PeerFailed` or aiohttp's errors if even the first try fails."""
        await self._publish()
        self._task = asyncio.create_task(self._keep(), name="host on air")

    async def aclose(self) -> None:
        """Leave; twice is safe."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
        await self._leave()

    async def _publish(self) -> None:
        host = SyntheticHost(Shared(), self._rate)
        feedback = host.peer.on_rtcp

        def heard(size: int) -> None:
            self._heard_s = time.monotonic()
            feedback(size)

        host.peer.on_rtcp = heard
        self._heard_s = time.monotonic()
        try:
            await host.start(self._http, self._url, self._token)
        except BaseException:
            host.peer.close()
            raise
        self._host = host
        self.publications += 1
        self.on_air.set()

    async def _leave(self) -> None:
        host, self._host = self._host, None
        self.on_air.clear()
        if host is not None:
            self.packets += host.packets
            # Its worker may be dead: nobody is there to say goodbye to.
            with contextlib.suppress(aiohttp.ClientError, TimeoutError, OSError):
                async with asyncio.timeout(2):
                    await host.aclose(self._http, self._token)
            host.peer.close()

    async def _keep(self) -> None:
        while True:
            await asyncio.sleep(AGAIN_S)
            if self._host is not None and time.monotonic() - self._heard_s < SILENT_HOST_S:
                continue
            await self._leave()
            try:
                await self._publish()
            except (PeerFailed, aiohttp.ClientError, TimeoutError, OSError) as error:
                self.failures.append(str(error) or repr(error))
