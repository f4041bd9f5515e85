"""Run the robot host: ``LIVECOMMERCE_DEMO='{"base_url": …, "secret": …}' python -m livecommerce.demo``.

``tls_cert`` may name the server's certificate: it is trusted whatever host it is made for, for the server is our own
and on this machine.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import ssl
import sys

import aiohttp
import msgspec
import uvloop

from livecommerce.auth import TokenAuthority
from livecommerce.demo.host import RobotHost
from livecommerce.logs import configure_logging

log = logging.getLogger(__name__)


class Told(msgspec.Struct, frozen=True):
    """What the demo is told."""

    base_url: str
    secret: str
    tls_cert: str = ""


async def demo(told: Told) -> None:
    """The show, until SIGTERM or SIGINT."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    connector = aiohttp.TCPConnector(limit=0, ssl=_trust(told.tls_cert))
    async with aiohttp.ClientSession(connector=connector) as session:
        host = RobotHost(told.base_url, TokenAuthority(told.secret), session)
        show = asyncio.create_task(host.run(), name="the show")
        stopping = asyncio.create_task(stop.wait(), name="stop")
        await asyncio.wait((show, stopping), return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
        show.cancel()
        # An error that ended the show is a bug of ours: it comes out here and the supervisor starts us again.
        with contextlib.suppress(asyncio.CancelledError):
            await show


def _trust(certificate: str) -> ssl.SSLContext | bool:
    if not certificate:
        return True
    context = ssl.create_default_context(cafile=certificate)
    context.check_hostname = False
    return context


def main() -> None:
    """Read what the supervisor says and perform."""
    configure_logging("info", "demo")
    try:
        told = msgspec.json.decode(os.environ.pop("LIVECOMMERCE_DEMO", ""), type=Told)
    except msgspec.DecodeError:
        sys.exit('LIVECOMMERCE_DEMO must be {"base_url": "http://…", "secret": "…"}')
    uvloop.run(demo(told))


if __name__ == "__main__":
    main()
