"""What the server's books say when a show is over, asked until there is an answer."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable
from functools import lru_cache
from typing import TypeVar

import aiohttp

from livecommerce.client import Client, ServerError, Unreachable
from load_tests.history import ACCEPTED, UNKNOWN, Operation
from load_tests.target import Target

#: how long a question to the server may take in all, with its repetitions
PERSISTENCE_S = 60.0
#: counts of viewers are told once a second, and those of a dead worker count for three
SETTLE_S = 10.0
#: what the relay counts of packets that did not reach a viewer, or not at once
LOSSES = (
    "runs_dropped", "packets_dropped", "packets_lost", "retransmissions_refused", "retransmissions_missing",
    "datagrams_overflowed", "datagrams_unsent",
)  # fmt: skip
#: people asked again at the same time
AT_ONCE = 50

T = TypeVar("T")


async def persist(call: Callable[[], Awaitable[T]], patience_s: float = PERSISTENCE_S) -> T:
    """Ask until there is an answer for good; what is asked must bear being asked twice."""
    deadline_s = time.monotonic() + patience_s
    while True:
        try:
            return await call()
        except (Unreachable, ServerError) as error:
            temporary = isinstance(error, Unreachable) or error.temporary
            if not temporary or time.monotonic() > deadline_s:
                raise
        await asyncio.sleep(0.2)


async def journal(host: Client, stream_id: str) -> tuple[Counter[str], dict[str, str]]:
    """How often each order of a stream was claimed by its journal, and the order's state after the last entry."""
    claimed, states = Counter[str](), dict[str, str]()
    after: str | None = None
    while True:
        page = await persist(lambda after=after: host.journal(stream_id, after=after))  # type: ignore[misc]
        for entry in page["items"]:
            claimed[entry["order"]["id"]] += entry["what"] == "claimed"
            states[entry["order"]["id"]] = entry["order"]["state"]
        if (after := page["next"]) is None:
            return claimed, states


async def found(
    target: Target, stream_id: str, deal_id: str, operations: Iterable[Operation]
) -> dict[tuple[str, str], str]:
    """What every (buyer, key) that was told yes, or nothing at all, finds when it is asked again."""
    asked = {(o.buyer, o.key) for o in operations if o.verb == "claim" and o.outcome in (ACCEPTED, UNKNOWN)}
    gate, orders = asyncio.Semaphore(AT_ONCE), dict[tuple[str, str], str]()
    async with aiohttp.ClientSession() as http:

        async def again(buyer: str, key: str) -> None:
            client = Client(target.url, token=_token(target, buyer), session=http)
            async with gate:
                with contextlib.suppress(ServerError):
                    order = await persist(lambda: client.claim(stream_id, deal_id, key=key))
                    orders[buyer, key] = order["id"]

        await asyncio.gather(*(again(*one) for one in sorted(asked)))
    return orders


@lru_cache(maxsize=10_000)
def _token(target: Target, buyer: str) -> str:
    """One for each buyer, as people have: a server remembers the tokens that it has checked."""
    return target.mint(buyer, buyer, ["watch", "buy"])


async def viewers(host: Client, stream_id: str, wanted: int) -> int:
    """How many a stream says are watching, once that is right; or after some seconds of patience."""
    deadline_s = time.monotonic() + SETTLE_S
    while True:
        counted: int = (await persist(lambda: host.stream(stream_id)))["viewers"]
        if counted == wanted or time.monotonic() > deadline_s:
            return counted
        await asyncio.sleep(0.2)


async def relay_dropped(host: Client, stream_id: str) -> Counter[str]:
    """How much the relay threw away so far because it was late; empty: it does not say."""
    try:
        stats = await persist(lambda: host.request("GET", f"/api/v1/streams/{stream_id}/stats"), 10)
    except (ServerError, Unreachable):
        return Counter()
    return Counter({name: stats.get(name, 0) for name in LOSSES})
