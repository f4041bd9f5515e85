"""``livecommerce journal``: the steps of a stream's orders as lines of JSON, for a shop's own books."""

from __future__ import annotations

import asyncio
import os
import socket
import sys
from pathlib import Path

import click
import msgspec

from deals.errors import DealsError
from deals.journal import JournalReader
from deals.models import JournalEntry
from livecommerce.books import connected, data_dir_option, redis_url_option

#: between questions while there is nothing new
POLL_S = 0.25

EXAMPLE = """\b
Example: a shop's consumer, restarted at will; an entry is acknowledged once its line was written:
  livecommerce journal --stream s8xk2… --follow | while read -r line; do my-shop import "$line"; done

Every entry comes at least once: remember its id. Deliveries of one group are shared among its consumers.
"""


@click.command(epilog=EXAMPLE)
@click.option("--stream", required=True, metavar="ID", help="Whose journal.")
@click.option("--follow", is_flag=True, help="Go on when all is read; Ctrl-C stops.")
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
        reader = JournalReader(store, stream, group=group, consumer=consumer)
        await reader.begin()
        async for token, entries in reader.unfinished():
            _write(entries)
            await reader.acknowledge(token)
        while True:
            page = await reader.new()
            for token, entries in page:
                _write(entries)
                await reader.acknowledge(token)
            if not page:
                if not follow:
                    return
                await asyncio.sleep(POLL_S)


def _write(entries: list[JournalEntry]) -> None:
    out = sys.stdout.buffer
    for entry in entries:
        out.write(msgspec.json.encode(entry) + b"\n")
    # Acknowledged only after this: what was lost on the way out comes again.
    out.flush()
