"""The sold-out short cut: "no" without asking Valkey, while that is certainly (or by at most a second) the truth.

A worker answers a claim by itself only when all of these hold:

- a claim call said ``left == 0``, and the newest such call was *sent* at most :data:`FRESH_S` ago; a claim is let
  through every :data:`PROBE_S` to ask again, so under load the answer is rarely older than that;
- that (user, key) was never accepted: the deal's accepted keys were read after the sell-out, and their number, which
  only grows, is still the one that the newest call reported;
- the deal's end has not come.

A release, heard from a script of this worker or from the room, ends it at once, and so does any call that finds a
unit. What was asked before that end counts no more.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass, field

from deals import keys, metrics
from deals.errors import DealsError
from deals.store import Store

_log = logging.getLogger(__name__)

#: the oldest knowledge that may answer
FRESH_S = 1.0
#: how often a claim is let through to ask again
PROBE_S = 0.05
#: accepted keys that are kept for one deal; a deal with more has no short cut
MOST_KEYS = 200_000
#: keys asked for in one call
SCAN = 500
#: deals that a worker knows to be sold out
MOST_DEALS = 500


@dataclass(slots=True)
class _Deal:
    #: when the newest call that found nothing was sent; nothing is known before the first
    asked_s: float = -FRESH_S - 1
    probed_s: float = 0.0
    #: what was asked before this moment counts no more
    ended_s: float = 0.0
    accepted: int = -1
    closes_ms: int = 0
    #: hashes of the accepted keys, so many that ``known == accepted``; a collision only means asking Valkey
    taken: set[int] = field(default_factory=set)
    known: int = -2
    reading: asyncio.Task[None] | None = None


class SoldOutBoard:
    """What one worker knows of sold-out deals."""

    def __init__(self, store: Store, now_ms: Callable[[], int]) -> None:
        self._store = store
        self._now_ms = now_ms
        self._deals: dict[tuple[str, str], _Deal] = {}

    def answers(self, stream_id: str, deal_id: str, user_id: str, key: str) -> bool:
        """Whether this claim is sold out for certain enough to say so without asking."""
        deal = self._deals.get((stream_id, deal_id))
        if deal is None or deal.known != deal.accepted:
            return False
        now_s = asyncio.get_running_loop().time()
        age_s = now_s - deal.asked_s
        if age_s > FRESH_S or self._now_ms() >= deal.closes_ms:
            return False
        if age_s > PROBE_S and now_s - deal.probed_s > PROBE_S:
            deal.probed_s = now_s
            return False
        if hash(f"{user_id}\n{key}".encode()) in deal.taken:
            return False
        metrics.SHORT_CUT.add()
        return True

    def heard(self, stream_id: str, deal_id: str, *, left: int, accepted: int, closes_ms: int, asked_s: float) -> None:
        """What a claim call said that was sent at ``asked_s``."""
        where = (stream_id, deal_id)
        if left > 0:
            self.ended(stream_id, deal_id)
            return
        deal = self._deals.get(where)
        if deal is None:
            deal = self._deals[where] = _Deal()
            self._trim()
        if asked_s <= max(deal.ended_s, deal.asked_s):
            return
        deal.asked_s, deal.accepted, deal.closes_ms = asked_s, accepted, closes_ms
        if deal.known != accepted and deal.reading is None and accepted <= MOST_KEYS:
            deal.reading = asyncio.create_task(self._read(stream_id, deal_id, deal), name=f"sold-out-{deal_id}")

    def ended(self, stream_id: str, deal_id: str) -> None:
        """Units came back (or may have): ask Valkey again."""
        deal = self._deals.get((stream_id, deal_id))
        if deal is not None:
            deal.ended_s = asyncio.get_running_loop().time()
            deal.asked_s = -FRESH_S - 1

    async def aclose(self) -> None:
        """Stop reading; safe to call twice."""
        tasks = [deal.reading for deal in self._deals.values() if deal.reading is not None]
        self._deals.clear()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _read(self, stream_id: str, deal_id: str, deal: _Deal) -> None:
        accepted, found, cursor = deal.accepted, set[int](), b"0"
        where = keys.claims(stream_id, deal_id)
        try:
            while True:
                [(cursor, fields)] = await self._store.ask(("HSCAN", where, cursor, "COUNT", SCAN))
                found.update(map(hash, fields if isinstance(fields, dict) else fields[::2]))
                if int(cursor) == 0:
                    break
            [now_accepted] = await self._store.ask(("HLEN", where))
            # Keys are never removed: the same number before and after means that none was added meanwhile.
            if now_accepted == accepted:
                deal.taken, deal.known = found, accepted
        except DealsError as error:
            _log.info("the accepted keys of %s cannot be read: %s", deal_id, error.detail)
        except Exception:
            # A short cut that fails must cost nothing but itself.
            _log.exception("the accepted keys of %s cannot be read", deal_id)
        finally:
            deal.reading = None

    def _trim(self) -> None:
        while len(self._deals) > MOST_DEALS:
            oldest = self._deals.pop(next(iter(self._deals)))
            if oldest.reading is not None:
                oldest.reading.cancel()
