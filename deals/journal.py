"""Following the journal as one of a consumer group: every entry at least once, in order, across crashes.

A group's place is in Valkey. What a consumer was given and did not acknowledge is given again: to itself when it comes
back under its name, or to another of the group once it was silent for :data:`TAKE_OVER_MS`. An entry of the stream may
hold a whole batch of orders; it is acknowledged as one.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Any

from redis.exceptions import ResponseError

from deals import keys
from deals.errors import Unavailable
from deals.models import JournalEntry
from deals.store import Store, read_entries

#: entries of the stream given at once
AT_ONCE = 20
#: how long another consumer of the group may be silent before its entries are taken over
TAKE_OVER_MS = 60_000


class JournalReader:
    """One consumer of a group on one stream's journal."""

    def __init__(self, store: Store, stream_id: str, *, group: str, consumer: str) -> None:
        self._store = store
        self._key = keys.journal(stream_id)
        self._group = group
        self._consumer = consumer

    async def begin(self) -> bool:
        """Make the group where it is new: it begins with the journal's first entry. False: there is no journal yet."""
        try:
            await self._store.ask(("XGROUP", "CREATE", self._key, self._group, "0"))
        except Unavailable as error:
            why = str(error.__cause__) if isinstance(error.__cause__, ResponseError) else ""
            if "requires the key to exist" in why:
                return False
            if "BUSYGROUP" not in why:
                raise
        return True

    async def unfinished(self) -> AsyncIterator[tuple[str, list[JournalEntry]]]:
        """What this consumer was given before and did not acknowledge, then what a silent one left."""
        start = "0"
        while page := await self._read(start):
            for token, entries in page:
                start = token
                yield token, entries
        cursor = b"0-0"
        while True:
            [(cursor, page_of, *_)] = await self._store.ask(
                ("XAUTOCLAIM", self._key, self._group, self._consumer, TAKE_OVER_MS, cursor, "COUNT", AT_ONCE)
            )
            for one in _pairs(page_of):
                yield one
            if cursor == b"0-0":
                return

    async def new(self) -> list[tuple[str, list[JournalEntry]]]:
        """What nobody of the group was given yet; empty when there is nothing."""
        return await self._read(">")

    async def acknowledge(self, token: str) -> None:
        """This entry is dealt with: it is not given again."""
        await self._store.ask(("XACK", self._key, self._group, token))

    async def _read(self, start: str) -> list[tuple[str, list[JournalEntry]]]:
        [answer] = await self._store.ask(
            *[("XREADGROUP", "GROUP", self._group, self._consumer, "COUNT", AT_ONCE, "STREAMS", self._key, start)]
        )
        if not answer:
            return []
        streams = next(iter(answer.values())) if isinstance(answer, dict) else answer[0][1]
        # RESP3 nests the entries of a stream once more.
        return _pairs(streams[0] if streams and isinstance(streams[0][0], list | tuple) else streams)


async def busy_streams(store: Store) -> list[str]:
    """The streams whose journals may be growing: something was or is due there within the last hour."""
    [ids] = await store.ask(("ZRANGE", keys.STREAMS, 0, -1))
    return [stream_id.decode() for stream_id in ids]


def _pairs(entries: Sequence[Any]) -> list[tuple[str, list[JournalEntry]]]:
    return [(token.decode(), read_entries(token, fields)) for token, fields in entries if fields]
