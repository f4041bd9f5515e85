"""``livecommerce journal``: the steps of a stream's orders as lines of JSON, for a shop's own books."""

from __future__ import annotations

import asyncio
import os
import socket
import sys
import time
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

#: between questions of who has journals at all, and of what other consumers left lying for too long
SWEEP_S = 30.0
#: between attempts while Valkey does not answer
AGAIN_S = 1.0

EXAMPLE = """\b
Example: a shop's consumer, restarted at will; an entry is acknowledged once its line was written:
  livecommerce journal --follow --group shop | while read -r line; do my-shop import "$line"; done

Every entry comes at least once, those of one stream in order: remember the id of each stream's entry.
Deliveries of one group are shared among its consumers.
"""


@click.command(epilog=EXAMPLE)
@click.option("--stream", default="", metavar="ID", help="Whose journal; those of all streams by default.")
@click.option("--follow", is_flag=True, help="Go on when all is read, also when Valkey was away; Ctrl-C stops.")
@click.option("--group", default="shop", show_default=True, metavar="NAME", help="Who keeps the place in it.")
@click.option("--consumer", default="", metavar="NAME", help="Which of the group; this machine's name by default.")
@redis_url_option
@data_dir_option
def journal(stream: str, follow: bool, group: str, consumer: str, redis_url: str, data_dir: Path) -> None:
    """Print what the group has not seen yet, a line an entry, oldest first."""
    try:
        asyncio.run(_print(stream, follow, group, consumer or socket.gethostname(), redis_url, data_dir))
    except KeyboardInterrupt:
        return
    except BrokenPipeError:
        # Who read us has gone; what it did not see was not acknowledged. Python would complain of stdout at its exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    except DealsError as error:
        raise click.ClickException(error.detail) from None


async def _print(stream: str, follow: bool, group: str, consumer: str, redis_url: str, data_dir: Path) -> None:
    async with connected(redis_url, data_dir) as store:
        follower = _Follower(store, stream, group, consumer)
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
    """Prints the journals of one stream or of all, and acknowledges what was printed."""

    def __init__(self, store: Store, stream: str, group: str, consumer: str) -> None:
        self._store = store
        self._stream = stream
        self._group = group
        self._consumer = consumer
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
                await _hand_over(reader, token, entries)
        found = False
        while page := await reader.new():
            found = True
            for token, entries in page:
                await _hand_over(reader, token, entries)
        return found


async def _hand_over(reader: JournalReader, token: str, entries: list[JournalEntry]) -> None:
    out = sys.stdout.buffer
    for entry in entries:
        out.write(msgspec.json.encode(entry) + b"\n")
    # Acknowledged only after this: what was lost on the way out comes again.
    out.flush()
    await reader.acknowledge(token)
