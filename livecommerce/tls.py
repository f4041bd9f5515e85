"""HTTPS with a given certificate."""

from __future__ import annotations

import ssl

from livecommerce.settings import Settings, SettingsError


def context(settings: Settings) -> ssl.SSLContext | None:
    """The server's TLS context, ``None`` without a certificate; raises :class:`SettingsError` for a useless one."""
    if not settings.tls_cert:
        return None
    made = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    try:
        # A key that asks for a passphrase would stop every worker at a prompt nobody sees: refused instead.
        made.load_cert_chain(settings.tls_cert, settings.tls_key, password="")
    except (OSError, ValueError) as error:
        raise SettingsError(
            f"--tls-cert {settings.tls_cert} and --tls-key {settings.tls_key} are not a PEM certificate and its "
            f"unencrypted key: {error}."
        ) from error
    # HTTP/1.1 alone: WebSocket and aiohttp speak nothing newer.
    made.set_alpn_protocols(["http/1.1"])
    return made
