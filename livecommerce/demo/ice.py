"""Let aiortc reach a server on this very machine that is bound to loopback, even with no network at all.

aioice never gathers 127.0.0.1 as a host candidate (RFC 8445 §5.1.1.1 advises against it), and there is no setting.
The demo runs beside its server, so loopback is the one address that always leads there. The function is replaced in
the demo's process only; the server's relay has its own ICE.
"""

from __future__ import annotations

import aioice.ice


def gather_loopback_too() -> None:
    """Put 127.0.0.1 before the addresses that aioice finds; twice is harmless."""
    found = aioice.ice.get_host_addresses
    if getattr(found, "has_loopback", False):
        return

    def addresses(use_ipv4: bool, use_ipv6: bool) -> list[str]:
        return ["127.0.0.1", *found(use_ipv4, use_ipv6)] if use_ipv4 else found(use_ipv4, use_ipv6)

    addresses.has_loopback = True  # type: ignore[attr-defined]
    aioice.ice.get_host_addresses = addresses
