"""Which addresses a server listens on, and which it tells others."""

from __future__ import annotations

import errno
import socket
from collections.abc import Callable, Sequence
from ipaddress import ip_address

from livecommerce.settings import Settings, SettingsError


def bind_host(host: str) -> str:
    """The address to listen on: ``localhost`` is 127.0.0.1 alone, since many containers have no ::1 to bind."""
    return "127.0.0.1" if host == "localhost" else host


def listened(host: str) -> tuple[str, ...]:
    """The addresses that this bind address stands for: ``::`` is IPv4's, too, by a socket of its own."""
    return ("0.0.0.0", "::") if host == "::" else (host,)  # noqa: S104 - the operator asked for it


def advertised(settings: Settings) -> tuple[str, ...]:
    """The addresses for ICE candidates; raises :class:`SettingsError` when a name has none."""
    if settings.media_host:
        return tuple(resolve(name.strip()) for name in settings.media_host.split(","))
    host = resolve(bind_host(settings.host))
    loopback = "127.0.0.1" if _is_wildcard(host) else host
    if not ip_address(loopback).is_loopback:
        return (host,)
    # Both: Firefox sends no media to loopback; behind a firewall only loopback reaches us from this machine. Loopback
    # is second: from another source address of this machine it would be answered from that.
    return _beside(loopback, _families(host))


def reread(settings: Settings, told: Sequence[str]) -> Callable[[], tuple[str, ...]] | None:
    """How to read what is told anew, for a laptop changes networks; None where it is the operator's or cannot change.

    A server that began on loopback without any network is bound to loopback alone: there nothing else may be told.
    """
    if settings.media_host or not _is_wildcard(media_bind(settings, told)):
        return None
    loopback, families = told[-1], _families(settings.host)
    return lambda: _beside(loopback, families)


def _families(host: str) -> tuple[socket.AddressFamily, ...]:
    return (socket.AF_INET, socket.AF_INET6) if host == "::" else (socket.AF_INET,)


def _beside(loopback: str, families: Sequence[socket.AddressFamily]) -> tuple[str, ...]:
    """This machine's own addresses, where it has them now, and loopback."""
    found = [own_address(family) for family in families]
    return (*(each for each in found if each is not None), loopback)


def media_bind(settings: Settings, told: Sequence[str]) -> str:
    """Where the UDP socket is bound: everywhere as soon as an address that is told is not the bind address."""
    host = resolve(bind_host(settings.host))
    if set(told) == {host}:
        return host
    # One may be loopback; behind NAT or a proxy it is not ours to bind.
    return "::" if ":" in host else "0.0.0.0"  # noqa: S104 - viewers have to reach it


def private_host(settings: Settings) -> tuple[str, str]:
    """Where workers listen for each other, and the address they tell: loopback unless workers elsewhere exist."""
    if not settings.redis_url or settings.on_loopback:
        return "127.0.0.1", "127.0.0.1"
    host = bind_host(settings.host)
    if _is_wildcard(host):
        told = _beside("127.0.0.1", _families(host))[0]
        return "::" if ":" in told else "0.0.0.0", told  # noqa: S104 - workers elsewhere have to reach it
    return host, resolve(host)


def own_address(family: socket.AddressFamily = socket.AF_INET) -> str | None:
    """This machine's address on its default route, if it has one; nothing is sent."""
    # Connecting a UDP socket only asks the routing table; these are for documentation (RFC 5737, RFC 3849).
    somewhere = "192.0.2.1" if family == socket.AF_INET else "2001:db8::1"
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect((somewhere, 9))
            return str(probe.getsockname()[0])
    except OSError:
        return None


def reserve(host: str, port: int) -> tuple[list[socket.socket], int]:
    """Bind the port without listening, so that our workers can share it and nobody else takes it.

    Returns the sockets to keep and the port (a free one for 0). Raises :class:`SettingsError` in words.
    """
    kept: list[socket.socket] = []
    try:
        wanted = [info for each in listened(host) for info in socket.getaddrinfo(each, port, type=socket.SOCK_STREAM)]
        for family, _, _, _, address in wanted:
            where = (address[0], port, *address[2:])
            # A bind without SO_REUSEPORT first: only that fails when another server of ours is listening there.
            if port:
                with _socket(family) as probe:
                    probe.bind(where)
            kept.append(_socket(family))
            kept[-1].setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            kept[-1].bind(where)
            port = kept[-1].getsockname()[1]
    except OSError as error:
        for one in kept:
            one.close()
        raise SettingsError(_why_not(host, port, error)) from error
    return kept, port


def _why_not(host: str, port: int, error: OSError) -> str:
    match error.errno:
        case errno.EADDRINUSE:
            return f"Port {port} is in use; stop what listens there or choose another --port."
        case errno.EACCES:
            return f"Port {port} needs privileges; choose a --port above 1023."
        case errno.EADDRNOTAVAIL:
            return f"--host {host} is not an address of this machine."
    return f"--host {host} --port {port} cannot be listened on: {error.strerror}."


def _socket(family: int) -> socket.socket:
    made = socket.socket(family, socket.SOCK_STREAM)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if family == socket.AF_INET6:
        made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    return made


def resolve(name: str) -> str:
    """The address of a name (or the address itself); raises :class:`SettingsError` when it has none."""
    try:
        return str(ip_address(name))
    except ValueError:
        pass
    try:
        return str(socket.getaddrinfo(name, None, family=socket.AF_INET, type=socket.SOCK_DGRAM)[0][4][0])
    except OSError as error:
        raise SettingsError(f"The host name {name} has no address: {error.strerror}.") from error


def _is_wildcard(host: str) -> bool:
    try:
        return ip_address(host).is_unspecified
    except ValueError:
        return False
