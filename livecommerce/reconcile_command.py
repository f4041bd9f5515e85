"""``livecommerce reconcile``: recompute every deal from its journal and report any difference."""

from __future__ import annotations

import asyncio
from pathlib import Path

import click

from deals.errors import DealsError
from deals.reconcile import Difference, reconcile, streams
from livecommerce.books import connected, data_dir_option, redis_url_option

EXAMPLE = """\b
Example, each night:
  livecommerce reconcile || mail -s "the books differ" owner@shop.example
"""


@click.command("reconcile", epilog=EXAMPLE)
@click.option("--stream", default="", metavar="ID", help="Only this one; all streams by default.")
@redis_url_option
@data_dir_option
def reconcile_books(stream: str, redis_url: str, data_dir: Path) -> None:
    """Recompute every deal from the journal; exit code 1 where the books differ. Safe while the shop is open."""
    try:
        orders, differences = asyncio.run(_all(stream, redis_url, data_dir))
    except DealsError as error:
        raise click.ClickException(error.detail) from None
    for d in differences:
        click.echo(f"{d.stream_id} {d.deal_id}: {d.what}: by the journal {d.by_journal}, found {d.found}")
    click.echo(f"{orders} orders, {len(differences)} differences")
    if differences:
        raise SystemExit(1)


async def _all(stream: str, redis_url: str, data_dir: Path) -> tuple[int, list[Difference]]:
    total, found = 0, list[Difference]()
    async with connected(redis_url, data_dir) as store:
        for stream_id in [stream] if stream else await streams(store):
            orders, differences = await reconcile(store, stream_id)
            total, found = total + orders, found + differences
    return total, found
