"""The settings of a server: one frozen value, made and checked by the CLI, handed to every worker."""

from __future__ import annotations

import re
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Literal
from urllib.parse import SplitResult, urlsplit

import msgspec

from livecommerce.limits import Limits

#: RFC 7518 §3.2: an HS256 key has at least 256 bits
MIN_SECRET_BYTES = 32
#: fewer different characters than this is no secret, however long (`aaaa…`, `12345678…`)
_MIN_DIFFERENT = 10
#: what examples and templates say; nobody generates these by chance
_DEFAULTS = re.compile(r"change.?me|replace.?(me|this)|your.?secret|default|example|insecure", re.IGNORECASE)
_HOST_NAME = re.compile(r"(?=.{1,253}$)[a-zA-Z0-9_]([a-zA-Z0-9_-]{0,62})(\.[a-zA-Z0-9_]([a-zA-Z0-9_-]{0,62}))*\.?")


class SettingsError(Exception):
    """Settings no server can have; the text is one sentence for people."""


#: a stream without its host ends after a year at the latest
MAX_END_AFTER_S = 365 * 86_400
#: worker processes of one supervisor: more than any machine's cores, fewer than hurt
MAX_WORKERS = 256


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """All a worker needs to know; every field is a ``serve`` option and a ``LIVECOMMERCE_…`` variable."""

    host: str = "127.0.0.1"
    port: int = 8080
    #: addresses advertised in ICE candidates; empty: the bind address, and beside loopback this machine's own
    media_host: str = ""
    #: worker i uses media_port + i; 0 means an ephemeral port
    media_port: int = 0
    #: the command's own default is one a core (:mod:`livecommerce.cores`)
    workers: int = 1
    #: an outside Redis >= 7 or Valkey >= 8; empty: the embedded Valkey
    redis_url: str = ""
    data_dir: Path = Path(".livecommerce")
    #: the address people use, when it is not the one requests name (behind a proxy)
    public_url: str = ""
    guests: Literal["auto", "on", "off"] = "auto"
    secret: str = ""
    #: file of public keys (PEM) whose tokens are accepted besides the secret's
    token_public_key: str = ""
    #: networks (CIDR) whose X-Forwarded-For and X-Forwarded-Proto are believed
    trusted_proxy: tuple[str, ...] = ()
    #: origins whose pages may open WebSockets and event streams, besides our own; empty: all
    allow_origin: tuple[str, ...] = ()
    limit: Limits = Limits()
    #: the shop's payment provider, ``module:factory``; empty: the simulated one in development, else none
    payments: str = ""
    #: seconds after which a stream ends whose host went away and did not come back; 0: never
    end_after: int = 3600
    turn_url: str = ""
    turn_secret: str = ""
    tls_cert: str = ""
    tls_key: str = ""
    demo: bool = False
    log_level: Literal["debug", "info", "warning", "error"] = "info"

    @property
    def on_loopback(self) -> bool:
        """Whether only this machine can reach the server."""
        return self.host in ("localhost", "::1") or self.host.startswith("127.")

    @property
    def guests_on(self) -> bool:
        """Whether ``POST /api/v1/guest`` is open: ``auto`` is on for a loopback bind or the demo."""
        return self.guests == "on" or (self.guests == "auto" and (self.on_loopback or self.demo))

    @property
    def development(self) -> bool:
        """Whether this is a development server: the simulated payment provider runs only here.

        A loopback bind with a ``--public-url`` or a ``--trusted-proxy`` is a real server behind a proxy.
        """
        return self.demo or (self.on_loopback and not self.public_url and not self.trusted_proxy)

    def checked(self) -> Settings:
        """These settings, if a server can run with them; raises :class:`SettingsError` with the first reason not to.

        Only what can be judged without the network and without starting anything.
        """
        _check_addresses(self)
        _check_media(self)
        _check_secret(self)
        _check_payments(self)
        _check_files(self)
        return self


def _check_addresses(settings: Settings) -> None:
    if not _is_address_or_name(settings.host):
        raise SettingsError(f"--host {settings.host!r} is neither an address nor a host name.")
    if not 0 <= settings.port <= 65_535:
        raise SettingsError(f"--port must be 0 (any free one) to 65535, not {settings.port}.")
    if not 1 <= settings.workers <= MAX_WORKERS:
        raise SettingsError(f"--workers must be 1 to {MAX_WORKERS} (one a core is plenty), not {settings.workers}.")
    if settings.public_url:
        _check_url("--public-url", settings.public_url, ("http", "https"), "https://shop.example")
        if urlsplit(settings.public_url).path not in ("", "/"):
            raise SettingsError("--public-url must not have a path: livecommerce needs a host name of its own.")
    if settings.redis_url:
        check_redis_url(settings.redis_url)
    for network in settings.trusted_proxy:
        try:
            ip_network(network, strict=False)
        except ValueError:
            raise SettingsError(f"--trusted-proxy {network!r} is no network; write it like 10.0.0.0/8.") from None
    for origin in settings.allow_origin:
        shape = "https://shop.example"
        if urlsplit(origin).path:
            raise SettingsError(f"--allow-origin must look like {shape}.")
        _check_url("--allow-origin", origin, ("http", "https"), shape)


def _check_media(settings: Settings) -> None:
    last = settings.media_port + settings.workers - 1
    if not 0 <= settings.media_port <= 65_535:
        raise SettingsError(f"--media-port must be 0 (any free ones) to 65535, not {settings.media_port}.")
    if settings.media_port and last > 65_535:
        raise SettingsError(
            f"--media-port {settings.media_port} is too high for {settings.workers} workers: each takes one."
        )
    if not 0 <= settings.end_after <= MAX_END_AFTER_S:
        raise SettingsError(f"--end-after must be 0 (never) to {MAX_END_AFTER_S}, not {settings.end_after}.")
    for name in settings.media_host.split(",") if settings.media_host else ():
        if not _is_address_or_name(name.strip()) or _is_wildcard(name.strip()):
            raise SettingsError(f"--media-host {name!r} is no address that viewers could send to.")
    if bool(settings.turn_url) != bool(settings.turn_secret):
        raise SettingsError("--turn-url and --turn-secret belong together: give both or none.")
    if settings.turn_url and not re.fullmatch(r"turns?:[^\s/@?,;<>\"]+(\?transport=(udp|tcp))?", settings.turn_url):
        raise SettingsError("--turn-url must look like turn:turn.shop.example:3478 or turns:…?transport=tcp.")


def _check_secret(settings: Settings) -> None:
    hint = "make one with: openssl rand -base64 48"
    secret = settings.secret
    if not secret:
        if settings.redis_url:
            raise SettingsError(f"--redis-url needs a --secret, the same on every server; {hint}")
        if not settings.on_loopback:
            raise SettingsError(f"--host {settings.host} can be reached by others and needs a --secret; {hint}")
        return
    if len(secret.encode()) < MIN_SECRET_BYTES:
        raise SettingsError(f"--secret must have at least {MIN_SECRET_BYTES} bytes; {hint}")
    if _DEFAULTS.search(secret) or len(set(secret)) < _MIN_DIFFERENT:
        raise SettingsError(f"--secret is a default or easily guessed; {hint}")


def _check_payments(settings: Settings) -> None:
    if settings.payments and not re.fullmatch(r"[^\W\d]\w*(\.[^\W\d]\w*)*:[^\W\d]\w*", settings.payments):
        raise SettingsError(f"--payments {settings.payments!r} must look like my_shop.payments:provider.")


def _check_files(settings: Settings) -> None:
    if bool(settings.tls_cert) != bool(settings.tls_key):
        raise SettingsError("--tls-cert and --tls-key belong together: give both or none.")
    for option, name in (("--tls-cert", settings.tls_cert), ("--tls-key", settings.tls_key)):
        if name and not Path(name).is_file():
            raise SettingsError(f"{option} {name} is not a file that exists.")
    if settings.token_public_key:
        from livecommerce.token_keys import KeyFileError, read_public_keys  # cryptography takes 50 ms to import

        try:
            read_public_keys(settings.token_public_key)
        except KeyFileError as error:
            raise SettingsError(f"--token-public-key {settings.token_public_key} {error}.") from None
    if not settings.redis_url and settings.data_dir.exists() and not settings.data_dir.is_dir():
        raise SettingsError(f"--data-dir {settings.data_dir} is not a directory.")


def check_redis_url(url: str) -> None:
    """Raise :class:`SettingsError` where this can be no address of a Valkey or Redis."""
    shape = "redis://host:6379/0, rediss://… or unix:///path"
    parts = _check_url("--redis-url", url, ("redis", "rediss", "unix"), shape)
    if parts.scheme == "unix" and not parts.path:
        raise SettingsError(f"--redis-url must look like {shape}.")


def _check_url(option: str, url: str, schemes: tuple[str, ...], shape: str) -> SplitResult:
    wrong = SettingsError(f"{option} must look like {shape}.")
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        raise wrong from None
    if parts.scheme not in schemes or (parts.scheme != "unix" and not parts.hostname) or re.search(r"\s", url):
        raise wrong
    if parts.scheme in ("http", "https") and (parts.query or parts.fragment or parts.username is not None):
        raise wrong
    return parts


def _is_address_or_name(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        # All digits and dots is a mistyped address, never a name.
        return _HOST_NAME.fullmatch(text) is not None and re.fullmatch(r"[0-9.]+", text) is None
    return True


def _is_wildcard(text: str) -> bool:
    try:
        return ip_address(text).is_unspecified
    except ValueError:
        return False
