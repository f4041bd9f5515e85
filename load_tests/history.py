"""A history of a sale: what was asked of a deal, when, and what came back. ``checker.py`` judges it.

Times are one monotonic clock's, in seconds, taken by the client before it sends and after it has read the answer: what
happened inside happened between the two. An answer that never came is ``unknown`` and may have happened at any moment
after it was asked, or never.
"""

from __future__ import annotations

import math
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Literal

import msgspec

Verb = Literal["claim", "release"]

#: outcomes that are not refusals
ACCEPTED, DONE, UNKNOWN = "accepted", "done", "unknown"


class Operation(msgspec.Struct, frozen=True, kw_only=True):
    """One question and its answer. A ``release`` gives an order's units back (cancelled, expired, refunded)."""

    client: str
    verb: Verb
    buyer: str
    key: str = ""
    units: int
    invoked_s: float
    returned_s: float = math.inf
    #: ``accepted``, ``done``, ``unknown``, or the refusal's code
    outcome: str
    order_id: str | None = None


class Window(msgspec.Struct, frozen=True, kw_only=True):
    """When the deal was opened and closed: each between the asking and the answer; infinite where it was not."""

    open_invoked_s: float = -math.inf
    open_returned_s: float = -math.inf
    close_invoked_s: float = math.inf
    close_returned_s: float = math.inf


class Final(msgspec.Struct, frozen=True, kw_only=True):
    """The deal's counters after everything, and what each (buyer, key) finds when it is asked again."""

    left: int
    held: int
    sold: int
    orders: Mapping[tuple[str, str], str]


class History(msgspec.Struct, frozen=True, kw_only=True):
    """One deal's sale."""

    stock: int
    limit: int
    operations: list[Operation]
    window: Window = Window()
    final: Final | None = None


class Recorder:
    """Writes operations down as they are made; usable by any number of clients of one loop."""

    def __init__(self, now_s: Callable[[], float] = time.monotonic) -> None:
        self.operations: list[Operation] = []
        self._now_s = now_s

    async def claim(self, client: str, buyer: str, key: str, units: int, call: Callable[[], Awaitable[str]]) -> str:
        """Make a claim by ``call``, which returns the order's id or raises an error that has a ``code``."""
        return await self._record(client, "claim", buyer, key, units, None, call)

    async def release(self, client: str, buyer: str, order_id: str, units: int, call: Callable[[], Awaitable[object]]) -> str:  # noqa: E501  # fmt: skip
        """Give an order's units back by ``call``."""
        return await self._record(client, "release", buyer, "", units, order_id, call)

    async def _record(
        self,
        client: str,
        verb: Verb,
        buyer: str,
        key: str,
        units: int,
        order_id: str | None,
        call: Callable[[], Awaitable[object]],
    ) -> str:
        outcome, invoked_s = UNKNOWN, self._now_s()
        try:
            answer = await call()
            outcome = DONE if verb == "release" else ACCEPTED
            order_id = order_id if verb == "release" else str(answer)
        except Exception as error:
            code = getattr(error, "code", None)
            outcome = UNKNOWN if code in (None, "outcome_unknown", "unavailable") else str(code)
        finally:
            # Also for a caller who was cancelled: what it asked may have happened.
            returned_s = math.inf if outcome == UNKNOWN else self._now_s()
            self.operations.append(
                Operation(
                    client=client,
                    verb=verb,
                    buyer=buyer,
                    key=key,
                    units=units,
                    invoked_s=invoked_s,
                    returned_s=returned_s,
                    outcome=outcome,
                    order_id=order_id,
                )
            )
        return outcome
