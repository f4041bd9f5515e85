"""TURN credentials for clients behind strict networks: short-lived, made from the secret shared with the server."""

from __future__ import annotations

import base64
import hmac
from urllib.parse import quote

#: as long as a show may last; the TURN server checks it only when an allocation is made
TTL_S = 12 * 3600


def ice_server_links(turn_url: str, turn_secret: str, *, user_id: str, now_s: int) -> list[str]:
    """``Link`` headers (RFC 9725 §4.6) for a ``turn:host:port`` address, UDP and TCP; none without an address.

    Credentials by "A REST API for access to TURN services" (draft-uberti-behave-turn-rest), which coturn's
    ``use-auth-secret`` checks: user name ``<expiry>:<user>``, password HMAC-SHA1 of it.
    """
    if not turn_url:
        return []
    # HMAC-SHA1 is that draft's; a quoted user id keeps the header one line of ASCII.
    username = f"{now_s + TTL_S}:{quote(user_id, safe='')}"
    password = base64.b64encode(hmac.digest(turn_secret.encode(), username.encode(), "sha1")).decode()
    # TURN over TLS is TCP alone; browsers know no DTLS to a TURN server.
    transports = ("tcp",) if turn_url.startswith("turns:") else ("udp", "tcp")
    urls = [turn_url] if "?" in turn_url else [f"{turn_url}?transport={t}" for t in transports]
    return [
        f'<{url}>; rel="ice-server"; username="{username}"; credential="{password}"; credential-type="password"'
        for url in urls
    ]
