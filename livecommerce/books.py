"""How the commands that look into a shop's books reach them: the server's Valkey, or the one it was given."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import quote

import click
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from deals.store import Store
from livecommerce.settings import Settings, SettingsError, check_redis_url

#: how long a plain command may take
COMMAND_S = 30.0

redis_url_option = click.option(
    "--redis-url",
    envvar="LIVECOMMERCE_REDIS_URL",
    metavar="URL",
    default="",
    help="The server's, if it has one; the embedded Valkey by default.",
)
data_dir_option = click.option(
    "--data-dir",
    envvar="LIVECOMMERCE_DATA_DIR",
    type=click.Path(path_type=Path),
    default=Settings().data_dir,
    show_default=True,
    help="Of the running server.",
)


@asynccontextmanager
async def connected(redis_url: str, data_dir: Path) -> AsyncIterator[Store]:
    """The books of a running server; raises ``ClickException`` where there can be none."""
    if redis_url:
        try:
            check_redis_url(redis_url)
        except SettingsError as error:
            raise click.ClickException(str(error)) from None
    client = Redis.from_url(redis_url or embedded_url(data_dir), retry=Retry(NoBackoff(), 0), socket_timeout=COMMAND_S)
    try:
        yield Store(client, lambda: int(time.time() * 1000))
    finally:
        await client.aclose()


def embedded_url(data_dir: Path) -> str:
    """The address of a running server's own Valkey; raises ``ClickException`` when none is running."""
    from livecommerce.data_dir import DataDirectory

    socket = DataDirectory(data_dir).socket()
    if not socket.exists():
        raise click.ClickException(f"No server is running on {data_dir}; start it, or give --redis-url.")
    return f"unix://{quote(str(socket))}"
