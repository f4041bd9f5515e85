"""``livecommerce journal``: the steps of a stream's orders as lines of JSON, for a shop's own books."""

from __future__ import annotations

import asyncio
import os
import socket
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import click
import msgspec

from deals.errors import DealsError, Unavailable
from deals.journal import JournalReader, busy_streams
from deals.models import JournalEntry
from deals.reconcile import streams
from deals.store import Store
from livecommerce.books import connected, data_dir_option, redis_url_option

#: between questions while there is nothing new
POLL_S = 0.25

#: takes lines; returns once they need not come again
Take = Callable[[bytes], Awaitable[None]]

#: between questions of who has journals at all, and of what other consumers left lying for too long
SWEEP_S = 30.0
#: between attempts while Valkey does not answer
AGAIN_S = 1.0

#: how long a command may take for its entries: less than the minute after which another consumer is given them
EXEC_S = 50.0
#: the longest pause before a command that failed is tried again
MOST_AGAIN_S = 30.0

EXAMPLE = """\b
Examples:
  livecommerce journal --follow --exec "my-shop import"
      a shop's consumer, restarted at will: entries are acknowledged when the command has
      read them, a line each, and ended with 0; else it is given them again
  livecommerce journal --stream s8xk2… --group look | tail -1
      what was written to a pipe counts as acknowledged

Every entry comes at least once, those of one stream in order: remember the id of each stream's entry.
Deliveries of one group are shared among its consumers.
"""


@click.command(epilog=EXAMPLE)
@click.option("--stream", default="", metavar="ID", help="Whose journal; those of all streams by default.")
@click.option("--follow", is_flag=True, help="Go on when all is read, also when Valkey was away; Ctrl-C stops.")
@click.option("--group", default="shop", show_default=True, metavar="NAME", help="Who keeps the place in it.")
@click.option("--consumer", default="", metavar="NAME", help="Which of the group; this machine's name by default.")
@click.option("--exec", "command", default="", metavar="COMMAND", help="Give entries to this instead of printing them.")
@redis_url_option
@data_dir_option
def journal(stream: str, follow: bool, group: str, consumer: str, command: str, redis_url: str, data_dir: Path) -> None:
    """Print what the group has not seen yet, a line an entry, oldest first."""
    take = _Command(command, again=follow) if command else _written
    try:
        asyncio.run(_follow(stream, follow, group, consumer or socket.gethostname(), take, redis_url, data_dir))
    except KeyboardInterrupt:
        return
    except BrokenPipeError:
        # Who read us has gone; what it did not see was not acknowledged. Python would complain of stdout at its exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    except DealsError as error:
        raise click.ClickException(error.detail) from None


async def _follow(
    stream: str, follow: bool, group: str, consumer: str, take: Take, redis_url: str, data_dir: Path
) -> None:
    async with connected(redis_url, data_dir) as store:
        follower = _Follower(store, stream, group, consumer, take)
        while True:
            try:
                await follower.sweep()
                while follow and follower.sweep_in_s() > 0:
                    if not await follower.news():
                        await asyncio.sleep(POLL_S)
                if not follow:
                    return
            except Unavailable as error:
                if not follow:
                    raise
                follower.forget()
                click.echo(f"{error.detail} Going on as soon as it can.", err=True)
                await asyncio.sleep(AGAIN_S)


class _Follower:
    """Hands on the journals of one stream or of all, and acknowledges what was taken."""

    def __init__(self, store: Store, stream: str, group: str, consumer: str, take: Take) -> None:
        self._store = store
        self._stream = stream
        self._group = group
        self._consumer = consumer
        self._take = take
        self._readers: dict[str, JournalReader] = {}
        self._swept_s = 0.0

    def forget(self) -> None:
        """Begin anew: an answer was lost, and with it what it gave."""
        self._readers.clear()
        self._swept_s = 0.0

    def sweep_in_s(self) -> float:
        """When to sweep again."""
        return self._swept_s + SWEEP_S - time.monotonic()

    async def sweep(self) -> None:
        """Every journal: what was given and not acknowledged, then what is new."""
        for stream_id in [self._stream] if self._stream else await streams(self._store):
            await self._read(stream_id, unfinished=True)
        self._swept_s = time.monotonic()

    async def news(self) -> bool:
        """What is new where something is going on; False when there was nothing."""
        busy = [self._stream] if self._stream else await busy_streams(self._store)
        return any([await self._read(stream_id, unfinished=stream_id not in self._readers) for stream_id in busy])

    async def _read(self, stream_id: str, *, unfinished: bool) -> bool:
        reader = self._readers.get(stream_id)
        if reader is None:
            reader = JournalReader(self._store, stream_id, group=self._group, consumer=self._consumer)
            if not await reader.begin():
                return False
            self._readers[stream_id] = reader
        if unfinished:
            async for token, entries in reader.unfinished():
                await self._hand_over(reader, token, entries)
        found = False
        while page := await reader.new():
            found = True
            for token, entries in page:
                await self._hand_over(reader, token, entries)
        return found

    async def _hand_over(self, reader: JournalReader, token: str, entries: list[JournalEntry]) -> None:
        await self._take(b"".join(msgspec.json.encode(entry) + b"\n" for entry in entries))
        # Acknowledged only after this: what was lost on the way out comes again.
        await reader.acknowledge(token)


async def _written(lines: bytes) -> None:
    sys.stdout.buffer.write(lines)
    sys.stdout.buffer.flush()


class _Command:
    """Gives lines to a command's standard input; they are taken when it ends with 0."""

    def __init__(self, command: str, *, again: bool) -> None:
        self._command = command
        self._again = again

    async def __call__(self, lines: bytes) -> None:
        pause_s = AGAIN_S
        while (trouble := await self._run(lines)) is not None:
            said = f"{self._command!r} {trouble}: nothing is acknowledged"
            if not self._again:
                raise click.ClickException(f"{said}, the same entries come again.")
            click.echo(f"{said}, trying again in {pause_s:g} s.", err=True)
            await asyncio.sleep(pause_s)
            pause_s = min(2 * pause_s, MOST_AGAIN_S)

    async def _run(self, lines: bytes) -> str | None:
        process = await asyncio.create_subprocess_shell(self._command, stdin=asyncio.subprocess.PIPE)
        try:
            async with asyncio.timeout(EXEC_S):
                await process.communicate(lines)
        except TimeoutError:
            return f"took longer than {EXEC_S:g} s"
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        return f"ended with {process.returncode}" if process.returncode else None
