"""``livecommerce forget``: delete what is kept of streams that ended long ago, their orders included."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import click

from chat import keys as chat_keys
from deals import keys as deal_keys
from deals import retention
from deals.errors import DealsError
from deals.store import Store, pairs_of
from livecommerce import keys
from livecommerce.books import connected, data_dir_option, redis_url_option
from streams import keys as stream_keys

#: an idempotency key is found for a day after its deal ended, and late money for some minutes
LEAST_DAYS = 2
_DAY_MS = 86_400_000
#: what chat keeps of a stream without an expiry
_CHAT = (
    *(chat_keys.messages, chat_keys.authors, chat_keys.bans, chat_keys.settings, chat_keys.words, chat_keys.pinned),
    *(chat_keys.moderators, chat_keys.journal, chat_keys.poll),
)


EXAMPLES = """\b
Examples:
  livecommerce forget --days 90 --dry-run
      say which streams that ended three months ago or more would go
  livecommerce forget --days 2 --stream s8xk2…
      this one alone
"""


@click.command("forget", epilog=EXAMPLES)
@click.option(
    "--days", required=True, type=click.IntRange(LEAST_DAYS), help="Only streams that ended so many days ago."
)
@click.option("--stream", default="", metavar="ID", help="Only this one; all that ended by default.")
@click.option("--unread", is_flag=True, help="Also where no consumer has read the whole journal of orders.")
@click.option("--dry-run", is_flag=True, help="Only say what would be forgotten.")
@redis_url_option
@data_dir_option
def forget(days: int, stream: str, unread: bool, dry_run: bool, redis_url: str, data_dir: Path) -> None:
    """Delete ended streams for good: chat, figures, deals, orders and journal. Back up first what you have to keep.

    A stream is left alone while a deal of it has unfinished business, or a consumer group has not acknowledged its
    whole journal (livecommerce journal). Safe while the shop is open, and to repeat when it was cut short.
    """
    try:
        asyncio.run(_forget(days, stream, unread, dry_run, redis_url, data_dir))
    except DealsError as error:
        raise click.ClickException(error.detail) from None


async def _forget(days: int, stream: str, unread: bool, dry_run: bool, redis_url: str, data_dir: Path) -> None:
    forgotten = 0
    async with connected(redis_url, data_dir) as store:
        before_ms = int(time.time() * 1000) - days * _DAY_MS
        for stream_id in [stream] if stream else await _streams(store):
            if not await _ended_before(store, stream_id, before_ms):
                continue
            why = await retention.why_not(store, stream_id, unread=unread)
            if why is not None:
                click.echo(f"{stream_id} is kept: {why}")
                continue
            if not dry_run:
                await _forget_one(store, stream_id)
            forgotten += 1
            click.echo(f"{stream_id} {'would be' if dry_run else 'is'} forgotten")
        if not dry_run:
            await retention.forget_visits(store, before_ms)
    click.echo(f"{forgotten} streams {'would be ' if dry_run else ''}forgotten")


async def _streams(store: Store) -> list[str]:
    """Every stream: the listing is a hint only."""
    found: set[str] = set()
    cursor = b"0"
    while True:
        [(cursor, names)] = await store.ask(("SCAN", cursor, "MATCH", stream_keys.stream("*"), "COUNT", 1000))
        found.update(name.decode()[4:-8] for name in names)
        if int(cursor) == 0:
            return sorted(found)


async def _ended_before(store: Store, stream_id: str, before_ms: int) -> bool:
    fields, ending = await store.ask(
        ("HMGET", stream_keys.stream(stream_id), "state", "ended_ms"), ("ZSCORE", keys.ENDING, stream_id)
    )
    state, ended_ms = fields
    return ending is None and state == b"ended" and int(ended_ms or before_ms) < before_ms


async def _forget_one(store: Store, stream_id: str) -> None:
    [shown] = await store.ask(("HGETALL", deal_keys.showcase(stream_id)))
    views = [keys.product_views(stream_id, name.decode()[2:]) for name, _ in pairs_of(shown) if name[:2] == b"p:"]
    await retention.forget(store, stream_id)
    rooms = (keys.log, keys.room, keys.presence, keys.home, keys.analytics, keys.visitors, keys.poster)
    await store.ask(
        ("UNLINK", *(key(stream_id) for key in (*_CHAT, *rooms)), *chat_keys.questions(stream_id), *views),
        ("ZREM", stream_keys.INDEX, stream_id),
        # Last: what is left of a stream that has this is found again.
        ("UNLINK", stream_keys.stream(stream_id)),
    )
