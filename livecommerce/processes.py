"""Child processes that die with us, and are started again when they die alone."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

log = logging.getLogger(__name__)

LAUNCHER = Path(__file__).with_name("launch.py")
#: waits before a child is started again: doubled each time, from the first to the last
FIRST_BACKOFF_S = 0.1
LAST_BACKOFF_S = 5.0
#: a child that lived this long had not failed to start: its next backoff is the first again
STEADY_S = 10.0


def environment(**extra: str) -> dict[str, str]:
    """Our environment for a child, without our own settings: it gets those by a safer way than inheritance."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("LIVECOMMERCE_")}
    return kept | extra


class KeptProcess:
    """One child: killed with us by the kernel, started again with backoff, stopped by :meth:`aclose`.

    ``payload`` is written to its standard input, which is then closed. ``on_line`` receives its output line by line
    (otherwise it shares ours); ``on_exit`` is told the pid and status of each death.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        *,
        env: Mapping[str, str] | None = None,
        payload: bytes | None = None,
        pass_fds: Sequence[int] = (),
        on_line: Callable[[str], None] | None = None,
        on_exit: Callable[[int, int], None] | None = None,
        restart: bool = True,
    ) -> None:
        self.name = name
        #: how often it was started again
        self.restarts = 0
        self._command = [sys.executable, "-I", "-S", str(LAUNCHER), str(os.getpid()), *command]
        self._env = dict(env) if env is not None else environment()
        self._payload = payload
        self._pass_fds = tuple(pass_fds)
        self._on_line = on_line
        self._on_exit = on_exit
        self._restart = restart
        self._process: Process | None = None
        self._keeper: asyncio.Task[None] | None = None

    @property
    def pid(self) -> int | None:
        """The child's pid while it lives."""
        return self._process.pid if self.alive and self._process is not None else None

    @property
    def alive(self) -> bool:
        """Whether the child runs at this moment."""
        return self._process is not None and self._process.returncode is None

    async def start(self) -> None:
        """Start the child, and keep it running until :meth:`aclose`."""
        if self._keeper is None:
            await self._spawn()
            self._keeper = asyncio.create_task(self._keep(), name=f"keep {self.name}")

    async def aclose(self, timeout_s: float = 3.0) -> None:
        """Stop the child: SIGTERM, after ``timeout_s`` SIGKILL; safe to call twice."""
        keeper, self._keeper = self._keeper, None
        if keeper is not None:
            keeper.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await keeper
        process = self._process
        if process is None or process.returncode is not None:
            return
        self._signal(signal.SIGTERM)
        reading = asyncio.ensure_future(self._read_output(process))
        try:
            await asyncio.wait_for(process.wait(), timeout_s)
        except TimeoutError:
            log.warning("%s did not stop within %.1f s and is killed", self.name, timeout_s)
            self._signal(signal.SIGKILL)
            await process.wait()
        await reading

    def kill(self) -> None:
        """Kill the child at once (it is started again unless closed)."""
        self._signal(signal.SIGKILL)

    def _signal(self, number: signal.Signals) -> None:
        if self._process is not None and self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self._process.send_signal(number)

    async def _spawn(self) -> None:
        self._process = await asyncio.create_subprocess_exec(
            *self._command,
            stdin=DEVNULL if self._payload is None else PIPE,
            stdout=None if self._on_line is None else PIPE,
            stderr=None if self._on_line is None else asyncio.subprocess.STDOUT,
            env=self._env,
            pass_fds=self._pass_fds,
            # Ctrl-C at a terminal signals the whole foreground group: only the supervisor may hear it.
            start_new_session=True,
        )
        if self._payload is not None and self._process.stdin is not None:
            # A child that died at once does not read: its death is seen by whoever waits for it.
            with contextlib.suppress(ConnectionError):
                self._process.stdin.write(self._payload)
                await self._process.stdin.drain()
            self._process.stdin.close()

    async def _keep(self) -> None:
        backoff_s, loop = FIRST_BACKOFF_S, asyncio.get_running_loop()
        while self._process is not None:
            process, started_s = self._process, loop.time()
            await self._read_output(process)
            status = await process.wait()
            if self._on_exit is not None:
                self._on_exit(process.pid, status)
            if not self._restart:
                return
            if loop.time() - started_s > STEADY_S:
                backoff_s = FIRST_BACKOFF_S
            log.warning("%s (process %d) %s; again in %.1f s", self.name, process.pid, _death(status), backoff_s)
            await asyncio.sleep(backoff_s)
            backoff_s = min(backoff_s * 2, LAST_BACKOFF_S)
            self.restarts += 1
            await self._spawn()

    async def _read_output(self, process: Process) -> None:
        if process.stdout is None or self._on_line is None:
            return
        while True:
            try:
                line = await process.stdout.readline()
            except ValueError:
                continue  # longer than the reader's 64 KiB: dropped, not worth a death
            if not line:
                return
            self._on_line(line.decode("utf-8", "replace").rstrip())


def _death(status: int) -> str:
    if status >= 0:
        return f"ended with status {status}"
    try:
        return f"was killed by {signal.Signals(-status).name}"
    except ValueError:
        return f"was killed by signal {-status}"
