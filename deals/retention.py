"""Forgetting a stream's deals for good, long after it ended; its orders and its journal are gone then.

Whoever dies in the middle leaves a stream that is forgotten the rest of the way by the next call: nothing but the list
of its deals says what there is to forget, and that goes last.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from deals import keys
from deals.store import Store, pairs_of

#: ledger fields read, and buyers' indexes written, in one round trip
_AT_ONCE = 500


async def why_not(store: Store, stream_id: str, *, unread: bool) -> str | None:
    """Why the deals of an ended stream must not be forgotten yet; ``unread``: even if nobody has read the journal."""
    where = keys.journal(stream_id)
    due, entries = await store.ask(("ZCARD", keys.due(stream_id)), ("XLEN", where))
    if due:
        return f"{due} of its deals have unfinished business"
    if not entries or unread:
        return None
    [groups] = await store.ask(("XINFO", "GROUPS", where))
    if not groups:
        return "no consumer group has read its journal"
    for group in groups:
        told: dict[str, Any] = {_text(name): value for name, value in pairs_of(group)}
        if told.get("pending") or told.get("lag") != 0:
            return f"the group {_text(told['name'])} has not acknowledged all of its journal"
    return None


async def forget(store: Store, stream_id: str) -> int:
    """Delete all that deals keep of a stream; how many deals it had."""
    [members] = await store.ask(("ZRANGE", keys.deals(stream_id), 0, -1))
    deals = [member.decode() for member in members]
    for deal_id in deals:
        await _forget_buyers(store, stream_id, deal_id)
        # The room's own keys come first, the stream's journal and rules last: those are not of one deal.
        await store.ask(("UNLINK", *_of_one_deal(stream_id, deal_id)))
    await store.ask(
        ("UNLINK", keys.showcase(stream_id), keys.rules(stream_id), keys.uses(stream_id), keys.prices(stream_id)),
        ("UNLINK", keys.journal(stream_id), keys.due(stream_id)),
        ("ZREM", keys.STREAMS, stream_id),
        ("UNLINK", keys.deals(stream_id)),
    )
    return len(deals)


def _of_one_deal(stream_id: str, deal_id: str) -> Sequence[str]:
    one = keys.deal(stream_id, deal_id)
    return [key for key in keys.of_deal(stream_id, deal_id) if key == one or key.startswith(f"{one}:")]


async def _forget_buyers(store: Store, stream_id: str, deal_id: str) -> None:
    """Take the deal out of the indexes of those who had an order in it."""
    cursor = b"0"
    while True:
        [(cursor, fields)] = await store.ask(
            ("HSCAN", keys.ledger(stream_id, deal_id), cursor, "MATCH", "b:*", "COUNT", _AT_ONCE)
        )
        users = [name.decode()[2:] for name, _ in pairs_of(fields)]
        if users:
            await store.ask(*(("ZREM", keys.buyer(user), f"{stream_id}.{deal_id}") for user in users))
        if int(cursor) == 0:
            return


async def forget_visits(store: Store, before_ms: int) -> None:
    """Take deals that are gone out of all indexes of buyers: of who only asked no ledger tells.

    Entries from ``before_ms`` on are left alone. Safe to repeat, and beside claims: no deal comes back.
    """
    gone: dict[bytes, bool] = {}
    cursor = b"0"
    while True:
        [(cursor, indexes)] = await store.ask(("SCAN", cursor, "MATCH", keys.buyer("*"), "COUNT", _AT_ONCE))
        if indexes:
            await _forget_of(store, indexes, before_ms, gone)
        if int(cursor) == 0:
            return


async def _forget_of(store: Store, indexes: Sequence[bytes], before_ms: int, gone: dict[bytes, bool]) -> None:
    entries = await store.ask(*(("ZRANGEBYSCORE", index, "-inf", f"({before_ms}") for index in indexes))
    unknown = list({member for members in entries for member in members} - gone.keys())
    if unknown:
        exist = await store.ask(*(("EXISTS", keys.deal(*member.decode().split("."))) for member in unknown))
        gone.update({member: not found for member, found in zip(unknown, exist, strict=True)})
    removals = [
        ("ZREM", index, *some)
        for index, members in zip(indexes, entries, strict=True)
        if (some := [member for member in members if gone[member]])
    ]
    if removals:
        await store.ask(*removals)


def _text(value: bytes | str) -> str:
    return value.decode() if isinstance(value, bytes) else value
