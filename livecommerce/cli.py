"""The ``livecommerce`` command: ``serve`` a shop, mint a ``token``."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import Any

import click
import msgspec

from livecommerce.cores import default_workers
from livecommerce.forget_command import forget
from livecommerce.journal_command import journal
from livecommerce.limits import Limits, parse_limits
from livecommerce.reconcile_command import reconcile_books
from livecommerce.settings import Settings, SettingsError

_DEFAULTS = Settings()
_TTL_UNITS = {"": 1, "s": 1, "m": 60, "h": 3_600, "d": 86_400}
#: a token cannot be recalled: a year is already long
MAX_TTL_S = 366 * 86_400

SERVE_EXAMPLES = """\b
Examples:
  livecommerce serve --demo
      a living show with a robot host, on http://localhost:8080
  livecommerce serve --workers 4 --media-port 50000
      four processes; media on UDP ports 50000 to 50003
  livecommerce serve --host 0.0.0.0 --tls-cert cert.pem --tls-key key.pem \\
      --secret "$(openssl rand -base64 48)"
      for others on the network (a camera needs HTTPS, except on localhost)
  livecommerce serve --redis-url redis://valkey:6379 --secret …
      several machines, one Valkey: run the same command on each

Every option is also an environment variable: --media-port is LIVECOMMERCE_MEDIA_PORT.
"""

MINT_EXAMPLES = """\b
Examples:
  livecommerce token --sub ann --name Ann --can host
      a host: creates streams and runs their own
  livecommerce token --sub 42 --name Bob --can watch,chat,buy --stream s8xk2… --ttl 2h
      one buyer, one stream, two hours
  livecommerce token --sub shop --can admin --ttl 90d
      a shop's back end
"""


def option(name: str, **attributes: Any) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """A click option that is also an environment variable: ``--media-port`` is ``LIVECOMMERCE_MEDIA_PORT``."""
    variable = "LIVECOMMERCE_" + name.removeprefix("--").replace("-", "_").upper()
    return click.option(name, envvar=variable, **attributes)


secret_option = option("--secret", metavar="TEXT", default="", help="Key that signs tokens, at least 32 bytes.")
data_dir_option = option(
    "--data-dir",
    type=click.Path(path_type=Path),
    default=_DEFAULTS.data_dir,
    show_default=True,
    help="Orders, chat and the development secret; one server at a time.",
)


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(metadata.version("livecommerce"), prog_name="livecommerce")
def cli() -> None:
    """Livestream shopping: WebRTC video, ordered chat, and flash deals that never oversell.

    Begin with "livecommerce serve --demo" and open http://localhost:8080.
    """


@cli.command(epilog=SERVE_EXAMPLES)
@option(
    "--host",
    default=_DEFAULTS.host,
    show_default=True,
    help="Address to listen on; 0.0.0.0 for all, :: for all with IPv6.",
)
@option("--port", type=int, default=_DEFAULTS.port, show_default=True, help="HTTP port; 0 for any free one.")
@option("--media-host", metavar="ADDRESS", default="",
        help="Address viewers send media to, if not --host, like 203.0.113.7; several with commas.")  # fmt: skip
@option("--media-port", type=int, default=0, help="First UDP port; worker i uses it plus i. Any by default.")
@option("--workers", type=int, default=None, show_default="one a core, 16 at most; with --demo 1",
        help="Processes sharing the port.")  # fmt: skip
@option("--redis-url", metavar="URL", default="",
        help="Valkey 8 / Redis 7 or newer instead of the embedded one, like redis://valkey:6379/0.")  # fmt: skip
@data_dir_option
@option("--public-url", metavar="URL", default="",
        help="Address people use, when behind a proxy, like https://shop.example.")  # fmt: skip
@option("--guests", type=click.Choice(["auto", "on", "off"]), default="auto", show_default=True,
        help="Whether people may join by name alone; auto: on loopback and with --demo.")  # fmt: skip
@secret_option
@option("--token-public-key", metavar="FILE", default="", help="Public key (PEM) of a shop that signs tokens itself.")
@option("--trusted-proxy", metavar="NETWORK", multiple=True,
        help="Whose X-Forwarded-For counts, like 10.0.0.0/8; may be repeated. Nobody's by default.")  # fmt: skip
@option("--allow-origin", metavar="ORIGIN", multiple=True,
        help="Whose pages may join rooms, like https://shop.example; may be repeated. All by default.")  # fmt: skip
@option("--limit", metavar="NAME=VALUE", multiple=True,
        help="A limit, like user=20/100 (a second/at once), viewers=2000 (docs/limits.md); repeatable.")  # fmt: skip
@option("--payments", metavar="MODULE:FACTORY", default="",
        help="The shop's own payment provider, like my_shop.payments:provider (docs/deals.md).")  # fmt: skip
@option("--end-after", metavar="SECONDS", type=int, default=_DEFAULTS.end_after, show_default=True,
        help="When a stream ends whose host went away and does not come back; 0 for never.")  # fmt: skip
@option("--turn-url", metavar="URL", default="",
        help="TURN server to tell hosts and viewers of, like turn:turn.shop.example:3478.")  # fmt: skip
@option("--turn-secret", metavar="TEXT", default="", help="Its shared secret (static-auth-secret of coturn).")
@option("--tls-cert", metavar="FILE", default="", help="Certificate chain (PEM) to serve HTTPS with.")
@option("--tls-key", metavar="FILE", default="", help="Its key (PEM).")
@option("--log-level", type=click.Choice(["debug", "info", "warning", "error"]), default="info", show_default=True,
        help="How much to say on standard error.")  # fmt: skip
@option("--demo", is_flag=True, help="A robot host, products, deals and a few robot viewers.")
def serve(
    trusted_proxy: tuple[str, ...], allow_origin: tuple[str, ...], limit: tuple[str, ...], **options: Any
) -> None:
    """Run a server: its workers, and a Valkey of its own unless --redis-url names one."""
    lists = {
        "trusted_proxy": _words(trusted_proxy),
        "allow_origin": _words(allow_origin),
        "limit": _limits(_words(limit)),
    }
    if options["workers"] is None:
        options["workers"] = default_workers(demo=options["demo"])
    try:
        settings = msgspec.convert(options | lists, Settings, dec_hook=_as_it_is).checked()
    except SettingsError as error:
        raise click.ClickException(str(error)) from None
    _run(settings)


@cli.command(epilog=MINT_EXAMPLES)
@click.option("--sub", required=True, metavar="ID", help="The user's id; stays the same for the same person.")
@click.option("--name", metavar="TEXT", default="", help="The name others see; the id by default.")
@click.option("--can", "grants", multiple=True, default=["watch,chat,buy"], show_default=True, metavar="GRANTS",
              help="Of watch, chat, buy, host, moderate, admin; with commas or repeated.")  # fmt: skip
@click.option("--stream", default="*", show_default=True, metavar="ID", help="The one stream it is for; * for all.")
@click.option("--ttl", default="12h", show_default=True, metavar="TIME", help="How long it lasts: 90s, 30m, 12h or 7d.")
@click.option("--single", is_flag=True, help="One connection a room at a time: the newest closes the one before.")
@secret_option
@data_dir_option
def token(
    sub: str, name: str, grants: tuple[str, ...], stream: str, ttl: str, single: bool, secret: str, data_dir: Path
) -> None:
    """Mint a token and print it.

    It is signed with --secret, or with the secret that a development server keeps in its data directory.
    """
    from livecommerce.auth import Grant, TokenAuthority

    can = {grant for value in grants for grant in re.split(r"[,\s]+", value) if grant}
    if unknown := sorted(can - {grant.value for grant in Grant}):
        raise click.ClickException(f"There is no grant {unknown[0]!r}; choose from {', '.join(Grant)}.")
    if not 0 < len(sub) <= 128 or not sub.isprintable():
        raise click.ClickException("--sub must have 1 to 128 printable characters.")
    try:
        authority = TokenAuthority(secret or _kept_secret(data_dir))
    except ValueError as error:
        raise click.ClickException(f"This cannot sign tokens: {error}.") from None
    click.echo(authority.mint(sub, name or sub, can, stream=stream, ttl_s=seconds(ttl), single=single))


def seconds(text: str) -> int:
    """A duration like ``90s``, ``30m``, ``12h``, ``7d`` (or plain seconds), within :data:`MAX_TTL_S`."""
    match = re.fullmatch(r"(\d{1,9})([smhd]?)", text.strip())
    length = int(match[1]) * _TTL_UNITS[match[2]] if match else 0
    if not 0 < length <= MAX_TTL_S:
        raise click.ClickException(f"--ttl {text!r} must be like 90s, 30m, 12h or 7d, and at most a year.")
    return length


def _kept_secret(data_dir: Path) -> str:
    from livecommerce.data_dir import DataDirError, read_secret

    try:
        kept = read_secret(data_dir)
    except DataDirError as error:
        raise click.ClickException(str(error)) from None
    if kept is None:
        raise click.ClickException(f"There is no secret in {data_dir} yet: start the server once, or give --secret.")
    return kept


def _run(settings: Settings) -> None:
    from livecommerce.data_dir import DataDirError
    from livecommerce.embedded import EmbeddedError
    from livecommerce.logs import configure_logging
    from livecommerce.payments import load
    from livecommerce.redis_client import ServerRefused
    from livecommerce.supervisor import StartError, Supervisor

    configure_logging(settings.log_level, "supervisor")
    try:
        if settings.payments:
            load(settings.payments)  # to say what is wrong with it once, and not in every worker
        asyncio.run(Supervisor(settings, announce=announce).run())
    except (DataDirError, EmbeddedError, ServerRefused, SettingsError, StartError) as error:
        raise click.ClickException(str(error)) from None


def announce(settings: Settings, url: str) -> None:
    """Say where the server is, now that it is ready."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console(soft_wrap=True, highlight=False)
    links = Table.grid(padding=(0, 2))
    links.add_row("watch", Text(f"{url}/", style="bold cyan"))
    links.add_row("studio", Text(f"{url}/studio", style="bold cyan"))
    console.print()
    console.print(Text.assemble(("livecommerce", "bold"), " is ready", " with a demo show" if settings.demo else ""))
    console.print(links)
    if settings.media_port:
        last = settings.media_port + settings.workers - 1
        ports = f"{settings.media_port}" + (f" to {last}" if settings.workers > 1 else "")
        console.print(f"media on UDP {ports}", style="dim")
    if not settings.redis_url:
        console.print(f"data in {settings.data_dir.absolute()}", style="dim", markup=False)
    if not settings.development and not settings.payments:
        # Simulated payments would sell for nothing where others can buy.
        console.print("no payment provider: units can be held here, but not paid for (docs/deals.md)", style="yellow")
    console.print("Ctrl-C stops it", style="dim")


def _words(values: tuple[str, ...]) -> tuple[str, ...]:
    """The words of a repeatable option; an environment variable has them all in one value."""
    return tuple(word for value in values for word in re.split(r"[,\s]+", value) if word)


def _limits(words: tuple[str, ...]) -> Limits:
    try:
        return parse_limits(words)
    except ValueError as error:
        raise click.ClickException(f"--limit {error}.") from None


def _as_it_is(_kind: type, value: Any) -> Any:
    return value


cli.add_command(journal)
cli.add_command(reconcile_books)
cli.add_command(forget)


def main() -> None:
    """The console script."""
    cli(prog_name="livecommerce")
