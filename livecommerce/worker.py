"""One worker process: the composed application on the shared port and on a private one, until SIGTERM.

Started by the supervisor, which hands it a :class:`WorkerSpec` on standard input and hears on a pipe when it is ready.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import resource
import signal
import socket
import sys
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

import uvloop
from aiohttp import web
from redis.exceptions import RedisError

from livecommerce import addresses, tls
from livecommerce.close_codes import CloseCode
from livecommerce.collector import Collector
from livecommerce.composition import compose
from livecommerce.http.app import build_app
from livecommerce.http.health import drain
from livecommerce.http.patience import KEEPALIVE_S, PublicSite
from livecommerce.ids import new_id
from livecommerce.logs import configure_logging
from livecommerce.worker_spec import WorkerSpec

if TYPE_CHECKING:
    from livecommerce.context import Context

log = logging.getLogger(__name__)

#: from SIGTERM to the end, by force if need be: the supervisor kills after 3.5 s
STOP_S = 3.0
#: how long requests under way may still take of that
DRAIN_S = 1.0
#: connections the kernel keeps for us while the loop is busy (it caps this at net.core.somaxconn)
BACKLOG = 4096


def main() -> None:
    """Run the worker described on standard input."""
    spec = WorkerSpec.decode(sys.stdin.buffer.read())
    configure_logging(spec.settings.log_level, f"worker {spec.index}")
    allow_sockets()
    try:
        uvloop.run(serve(spec))
    except (OSError, RedisError) as error:
        # Said in one line; the supervisor tries again and gives up where that cannot help.
        log.error("cannot start: %s", error, exc_info=spec.settings.log_level == "debug")
        sys.exit(1)


def allow_sockets() -> None:
    """Have as many sockets as the system lets this process have: a shell's soft limit may be 1,024."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(ValueError, OSError):
        # Where it is unlimited some systems refuse that number: the soft limit stays.
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


async def serve(spec: WorkerSpec) -> None:
    """Compose, listen, say ready, wait for SIGTERM or SIGINT, take everything down again."""
    loop, stop = asyncio.get_running_loop(), asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    async with AsyncExitStack() as stack:
        private = _private_socket(spec)
        stack.callback(private.close)
        context = await compose(stack, spec, worker_id=new_id("w", 8), address=_address(spec, private))
        # Handlers that outlast DRAIN_S are cancelled.
        runner = web.AppRunner(
            build_app(context), access_log=None, shutdown_timeout=DRAIN_S, keepalive_timeout=KEEPALIVE_S
        )
        await runner.setup()
        stack.push_async_callback(_take_down, runner, context)
        await web.SockSite(runner, private, backlog=BACKLOG).start()
        public = PublicSite(
            runner,
            addresses.listened(addresses.bind_host(spec.settings.host)),
            spec.settings.port,
            ssl_context=tls.context(spec.settings),
            backlog=BACKLOG,
        )
        await public.start()
        collector = Collector(lambda: len(runner.server.connections) if runner.server is not None else 0)
        stack.push_async_callback(collector.aclose)
        collector.start()
        os.write(spec.ready_fd, f"{spec.index}\n".encode())
        await stop.wait()
        # Whatever hangs below, the process ends in time: all that matters is in Valkey.
        loop.call_later(STOP_S, _give_up)


async def _take_down(runner: web.AppRunner, context: Context) -> None:
    """Stop accepting, tell everyone to come back elsewhere, let requests under way finish."""
    drain(runner.app)
    for site in tuple(runner.sites):
        await site.stop()
    await context.hub.close_all(CloseCode.GOING_AWAY)
    await runner.cleanup()


def _give_up() -> None:
    running = sorted(task.get_name() for task in asyncio.all_tasks())
    log.error("stopping took longer than %.0f s; still running: %s", STOP_S, ", ".join(running))
    os._exit(1)


def _private_socket(spec: WorkerSpec) -> socket.socket:
    bind, _ = addresses.private_host(spec.settings)
    family = socket.AF_INET6 if ":" in bind else socket.AF_INET
    private = socket.socket(family, socket.SOCK_STREAM)
    private.bind((bind, 0))
    return private


def _address(spec: WorkerSpec, private: socket.socket) -> str:
    _, told = addresses.private_host(spec.settings)
    host = f"[{told}]" if ":" in told else told
    return f"http://{host}:{private.getsockname()[1]}"


if __name__ == "__main__":
    main()
