"""The sold-out short cut: "no" without asking Valkey, while that is certainly (or by at most a second) the truth.

A worker answers a claim by itself only when all of these hold:

- a claim call said ``left == 0``, and the newest such call was *sent* at most :data:`FRESH_S` ago; a claim is let
  through every :data:`PROBE_S` to ask again, so under load the answer is rarely older than that;
- that (user, key) was never accepted: the deal's accepted keys were read after the sell-out, and their number, which
  only grows, is still the one that the newest call reported;
- the deal's end has not come.

A release, heard from a script of this worker or from the room, ends it at once, and so does any call that finds a
unit. What was asked before that end counts no more.

The accepted keys are what this costs: :data:`MOST_KEYS` of all deals together. What is over, or of which no call has
told for :data:`IDLE_S`, is let go; a deal whose keys find no room then has no short cut, and takes that of no other.
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
#: accepted keys that are kept, or being read, of all deals together: 18 MB
MOST_KEYS = 200_000
#: keys asked for in one call
SCAN = 500
#: deals that a worker knows to be sold out
MOST_DEALS = 500
#: what was not heard of for so long is let go; longer than any call takes
IDLE_S = 15.0


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
    #: keys that are kept or may come of a reading: its share of MOST_KEYS
    room: int = 0
    reading: asyncio.Task[None] | None = None

    def let_go(self) -> None:
        """Stop reading; who still has this deal in hand finds nothing known."""
        self.taken, self.known, self.room = set(), -2, 0
        if self.reading is not None:
            self.reading.cancel()


class SoldOutBoard:
    """What one worker knows of sold-out deals."""

    def __init__(self, store: Store, now_ms: Callable[[], int]) -> None:
        self._store = store
        self._now_ms = now_ms
        self._deals: dict[tuple[str, str], _Deal] = {}
        self._sweeping: asyncio.TimerHandle | None = None

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
        """What a claim call said that was sent at ``asked_s``; ``closes_ms`` 0: the deal is not open."""
        where = (stream_id, deal_id)
        if left > 0:
            self.ended(stream_id, deal_id)
            return
        if closes_ms <= self._now_ms():
            self._let_go(where)
            return
        deal = self._deals.get(where) or self._begin(where)
        if asked_s <= max(deal.ended_s, deal.asked_s):
            return
        deal.asked_s, deal.accepted, deal.closes_ms = asked_s, accepted, closes_ms
        if deal.known != accepted and deal.reading is None and self._make_room(deal, accepted):
            deal.reading = asyncio.create_task(self._read(stream_id, deal_id, deal), name=f"sold-out-{deal_id}")

    def ended(self, stream_id: str, deal_id: str) -> None:
        """Units came back (or may have): ask Valkey again."""
        deal = self._deals.get((stream_id, deal_id))
        if deal is not None:
            deal.ended_s = asyncio.get_running_loop().time()
            deal.asked_s = -FRESH_S - 1

    async def aclose(self) -> None:
        """Stop reading; safe to call twice."""
        if self._sweeping is not None:
            self._sweeping.cancel()
        tasks = [deal.reading for deal in self._deals.values() if deal.reading is not None]
        for where in list(self._deals):
            self._let_go(where)
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _read(self, stream_id: str, deal_id: str, deal: _Deal) -> None:
        accepted, found, cursor = deal.accepted, set[int](), b"0"
        where = keys.claims(stream_id, deal_id)
        try:
            while True:
                [(cursor, fields)] = await self._store.ask(("HSCAN", where, cursor, "COUNT", SCAN))
                found.update(map(hash, fields if isinstance(fields, dict) else fields[::2]))
                if int(cursor) == 0 or len(found) > accepted:
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
            deal.room = len(deal.taken)

    def _begin(self, where: tuple[str, str]) -> _Deal:
        deal = self._deals[where] = _Deal()
        if len(self._deals) > MOST_DEALS:
            self._let_go(next(iter(self._deals)))
        if self._sweeping is None:
            self._sweeping = asyncio.get_running_loop().call_later(IDLE_S / 3, self._sweep)
        return deal

    def _make_room(self, deal: _Deal, accepted: int) -> bool:
        """Whether so many keys may be read for this deal; the older ones of it are of no use any more."""
        deal.taken, deal.known, deal.room = set(), -2, 0
        if accepted + sum(other.room for other in self._deals.values()) > MOST_KEYS:
            return False
        deal.room = accepted
        return True

    def _sweep(self) -> None:
        """Let go what is over or was not heard of for long; again as long as there is anything."""
        loop, now_ms = asyncio.get_running_loop(), self._now_ms()
        since_s = loop.time() - IDLE_S
        for where, deal in list(self._deals.items()):
            if deal.closes_ms <= now_ms or max(deal.asked_s, deal.ended_s) < since_s:
                self._let_go(where)
        self._sweeping = loop.call_later(IDLE_S / 3, self._sweep) if self._deals else None

    def _let_go(self, where: tuple[str, str]) -> None:
        deal = self._deals.pop(where, None)
        if deal is not None:
            deal.let_go()
