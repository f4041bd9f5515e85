"""The supervisor: embedded Valkey, N workers, the demo; starts them in order, keeps them, stops them within 5 s.

It holds no state and touches no request: whatever happens to it, the kernel takes its children along.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path

import msgspec
import orjson

from livecommerce import addresses, redis_client, tls
from livecommerce.data_dir import DataDirectory, make_secret
from livecommerce.embedded import EmbeddedValkey
from livecommerce.processes import KeptProcess, environment
from livecommerce.settings import Settings
from livecommerce.worker_spec import WorkerSpec

log = logging.getLogger(__name__)

#: until all workers are ready: importing everything on a loaded small machine
READY_S = 60.0
#: deaths of one worker before any became ready: then it is not bad luck
MAX_EARLY_DEATHS = 3
#: SIGTERM to SIGKILL for workers and demo, which stop side by side; Valkey then has one second (design: 5 s in all)
WORKER_STOP_S = 3.5


class StartError(Exception):
    """The server cannot start; the text is a sentence for people."""


class Supervisor:
    """One server; ``announce(base_url)`` is called once it is ready."""

    def __init__(self, settings: Settings, *, announce: Callable[[Settings, str], None]) -> None:
        self._settings = settings
        self._announce = announce
        self._workers: list[KeptProcess] = []
        self._ready: set[int] = set()
        self._all_ready = asyncio.Event()

    async def run(self) -> None:
        """Serve until SIGTERM, SIGINT or SIGHUP; raises errors with sentences when that cannot begin."""
        loop, stop = asyncio.get_running_loop(), asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            # nohup ignores SIGHUP for us; a closed terminal is no reason to stop then.
            if signal.getsignal(number) is not signal.SIG_IGN:
                loop.add_signal_handler(number, stop.set)
        stopping = asyncio.create_task(stop.wait(), name="wait for a stop signal")
        async with AsyncExitStack() as stack:
            starting = asyncio.create_task(self._start(stack), name="start")
            try:
                await asyncio.wait({starting, stopping}, return_when=asyncio.FIRST_COMPLETED)
                if starting.done():
                    starting.result()
                    await stopping
            finally:
                for task in (starting, stopping):
                    task.cancel()
                    with contextlib.suppress(asyncio.CancelledError, Exception):
                        await task
            log.info("stopping")

    async def _start(self, stack: AsyncExitStack) -> None:
        settings = self._settings
        tls.context(settings)
        host = addresses.bind_host(settings.host)
        kept, port = addresses.reserve(host, settings.port)
        for one in kept:
            stack.callback(one.close)
        advertise = addresses.advertised(settings)
        valkey_url, secret = await self._storage(stack)
        self._settings = settings = msgspec.structs.replace(settings, host=host, port=port, secret=secret)
        await self._start_workers(stack, valkey_url, advertise)
        scheme = "https" if settings.tls_cert else "http"
        local = f"{scheme}://{_reachable(host)}:{port}"
        if settings.demo:
            await self._start_demo(stack, local)
        self._announce(settings, settings.public_url.rstrip("/") or local)

    async def _storage(self, stack: AsyncExitStack) -> tuple[str, str]:
        """Valkey's address and the secret: our own in the data directory, or the given ones."""
        settings = self._settings
        if settings.redis_url:
            redis = redis_client.make(settings.redis_url)
            try:
                report = await redis_client.check(redis, settings.redis_url)
            finally:
                await redis.aclose()
            if not report.durable:
                log.warning("a confirmed order may not survive a crash of %s: %s", report.product, report.why)
            return settings.redis_url, settings.secret
        directory = DataDirectory(settings.data_dir)
        await directory.lock()
        stack.callback(directory.close)
        secret = settings.secret or make_secret(directory.path)
        valkey = EmbeddedValkey(directory)
        stack.push_async_callback(valkey.aclose)
        await valkey.start()
        return valkey.url, secret

    async def _start_workers(self, stack: AsyncExitStack, valkey_url: str, advertise: tuple[str, ...]) -> None:
        reader, writer = os.pipe()
        loop = asyncio.get_running_loop()
        stack.callback(os.close, writer)
        stack.callback(os.close, reader)
        os.set_blocking(reader, False)
        loop.add_reader(reader, self._hear_ready, reader)
        stack.callback(loop.remove_reader, reader)
        metrics = self._metrics_folder(stack)
        for index in range(self._settings.workers):
            spec = WorkerSpec(
                index=index,
                settings=self._settings,
                valkey_url=valkey_url,
                advertise=advertise,
                ready_fd=writer,
            )
            worker = KeptProcess(
                f"worker {index}",
                [sys.executable, "-P", "-m", "livecommerce.worker"],
                env=environment(PROMETHEUS_MULTIPROC_DIR=str(metrics)),
                payload=spec.encode(),
                pass_fds=(writer,),
                on_exit=lambda pid, _status: _forget_gauges(metrics, pid),
            )
            self._workers.append(worker)
        stack.push_async_callback(_stop_all, self._workers)
        for worker in self._workers:
            await worker.start()
        await self._until_ready()

    def _metrics_folder(self, stack: AsyncExitStack) -> Path:
        """Where the workers count together: in the data directory, whose next server clears up after a killed one."""
        if self._settings.redis_url:
            folder = Path(tempfile.mkdtemp(prefix="livecommerce-metrics-"))
        else:
            folder = self._settings.data_dir.absolute() / "metrics"
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(mode=0o700)
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        return folder

    async def _until_ready(self) -> None:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + READY_S
        while not self._all_ready.is_set():
            if loop.time() > deadline or any(worker.restarts >= MAX_EARLY_DEATHS for worker in self._workers):
                raise StartError("The workers do not start; the reason is above.")
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._all_ready.wait(), 0.1)

    def _hear_ready(self, reader: int) -> None:
        for line in os.read(reader, 4096).split():
            self._ready.add(int(line))
        if len(self._ready) == self._settings.workers:
            self._all_ready.set()

    async def _start_demo(self, stack: AsyncExitStack, base_url: str) -> None:
        told = {"base_url": base_url, "secret": self._settings.secret, "tls_cert": self._settings.tls_cert}
        demo = KeptProcess(
            "demo",
            [sys.executable, "-P", "-m", "livecommerce.demo"],
            env=environment(LIVECOMMERCE_DEMO=orjson.dumps(told).decode()),
        )
        # With the workers, not before them: all have to be gone within 5 s.
        self._workers.append(demo)
        await demo.start()


async def _stop_all(children: list[KeptProcess]) -> None:
    await asyncio.gather(*(child.aclose(WORKER_STOP_S) for child in children))


def _forget_gauges(metrics: Path, pid: int) -> None:
    # What prometheus_client.multiprocess.mark_process_dead does, without importing it here.
    for file in metrics.glob(f"gauge_live*_{pid}.db"):
        file.unlink(missing_ok=True)


def _reachable(host: str) -> str:
    """How a browser on this machine names the bind address."""
    if host in ("0.0.0.0", "::", "127.0.0.1"):  # noqa: S104 - compared, not bound
        return "localhost"
    return f"[{host}]" if ":" in host else host
