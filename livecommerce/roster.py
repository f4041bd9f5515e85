"""Who is in a room of this worker, found by whom private events name."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from livecommerce.close_codes import CloseCode
from livecommerce.member import Member


class Roster:
    """Everybody in a room, those who are still joining too, by address: ``user:<id>`` and ``role:<role>``."""

    def __init__(self) -> None:
        self._by_address: dict[str, dict[Member, None]] = {}

    def __bool__(self) -> bool:
        """Whether anybody is here or on the way."""
        return bool(self._by_address)

    @property
    def by_address(self) -> Mapping[str, Mapping[Member, None]]:
        """The members of each address."""
        return self._by_address

    def add(self, member: Member) -> None:
        """Enter a member."""
        for address in _addresses(member):
            self._by_address.setdefault(address, {})[member] = None

    def remove(self, member: Member) -> None:
        """Strike a member; safe to repeat."""
        for address in _addresses(member):
            if (there := self._by_address.get(address)) is not None:
                there.pop(member, None)
                if not there:
                    del self._by_address[address]

    def members(self) -> list[Member]:
        """Everybody, once."""
        return list({m: None for members in self._by_address.values() for m in members})

    def named(self, to: str) -> list[Member]:
        """Whom a private event's ``to`` names: a user's id, or ``role:<role>``."""
        return list(self._by_address.get(to if to.startswith("role:") else f"user:{to}", ()))

    def displace(self, user_id: str, single: str, tag: str) -> None:
        """A connection with a token for one at a time was announced: those announced before it close.

        The channel has one order for all workers. Who has not heard its own announcement yet is the newer one.
        """
        for member in list(self._by_address.get(f"user:{user_id}", ())):
            if member.single != single:
                continue
            if member.tag == tag:
                member.announced = True
            elif member.announced:
                member.close(CloseCode.REPLACED)

    def close_banned(self, bans: Mapping[str, int], now_ms: int) -> None:
        """Close who is banned now (until when, ms, by user id): a ban's own event may have been missed."""
        for member in self.members() if bans else ():
            if bans.get(member.user_id, 0) > now_ms:
                member.close(CloseCode.BANNED)


def _addresses(member: Member) -> Iterator[str]:
    # A user whose id begins with "role:" must not hear what is meant for a role.
    yield f"user:{member.user_id}"
    yield from (f"role:{role}" for role in member.roles)
