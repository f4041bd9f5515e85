"""What a viewer of a room was told, checked: nothing missing, nothing twice, the same for all.

A room's numbered events are one sequence. A viewer's history is right when its offsets rise by exactly one from the
first event after a join on; a hole is allowed only where the server said so (``recovered: false``).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple
from zlib import crc32

import msgspec

#: frames kept decoded: the same bytes go to every viewer
_CACHE = 4096
#: the events that say how much of a deal is left
_STOCK = ("deal.claimed", "deal.released")


class StockStep(NamedTuple):
    """What one numbered event said of a deal's stock: so many units came off (below zero: came back), so many left."""

    deal_id: str
    taken: int
    left: int


class Parsed:
    """One frame's content: its numbered events and its replies."""

    __slots__ = ("events", "first", "last", "regular", "replies", "stamps_ns", "stock", "viewers")

    def __init__(self, payload: bytes) -> None:
        content = msgspec.json.decode(payload)
        messages: list[dict[str, Any]] = content if isinstance(content, list) else [content]
        numbered = [m for m in messages if "offset" in m]
        self.replies = [m for m in messages if "re" in m]
        #: (offset, the message's id, or a sum over what it says)
        self.events = [(m["offset"], _name(m["data"])) for m in numbered]
        self.first = self.events[0][0] if self.events else 0
        self.last = self.events[-1][0] if self.events else 0
        self.regular = [offset for offset, _ in self.events] == list(range(self.first, self.last + 1))
        #: when each was sent, by this machine's monotonic clock, where its text says so
        self.stamps_ns = [
            int(text[2:].partition(" ")[0])
            for m in numbered
            if m["type"] == "chat.message" and (text := m["data"].get("text", "")).startswith("t:")
        ]
        self.stock = [(m["offset"], _stock_step(m)) for m in numbered if m["type"] in _STOCK]
        #: the newest count of viewers shown, if any
        shown = [m["data"]["count"] for m in messages if m.get("type") == "viewers"]
        self.viewers: int | None = shown[-1] if shown else None


def _name(data: dict[str, Any]) -> str:
    return str(data["id"]) if "id" in data else f"{crc32(msgspec.json.encode(data)):08x}"


def _stock_step(event: dict[str, Any]) -> StockStep:
    data = event["data"]
    sign = 1 if event["type"] == "deal.claimed" else -1
    return StockStep(data["deal_id"], sign * data["units"], data["left"])


class Book:
    """The histories of many viewers in one process, and the events they were told by offset."""

    def __init__(self) -> None:
        self._parsed: dict[bytes, Parsed] = {}
        #: what each offset was, by the first viewer that was told
        self.ids: dict[int, str] = {}
        #: what was said of the stock, by offset
        self.stock: dict[int, StockStep] = {}
        #: offsets that two viewers were told differently
        self.forks = 0

    def parse(self, payload: bytes) -> Parsed:
        """A frame's content; decoded once for all viewers."""
        parsed = self._parsed.get(payload)
        if parsed is None:
            if len(self._parsed) >= _CACHE:
                self._parsed.clear()
            parsed = self._parsed[payload] = Parsed(payload)
            for offset, name in parsed.events:
                self.forks += self.ids.setdefault(offset, name) != name
            self.stock.update(parsed.stock)
        return parsed


class History:
    """One viewer's place in the room's sequence; survives reconnects."""

    __slots__ = ("announced", "doubled", "epoch", "events", "last", "lost")

    def __init__(self) -> None:
        self.epoch: str | None = None
        #: the newest offset; ``None``: whatever comes first begins the story
        self.last: int | None = None
        #: events seen; seen twice or out of order; never seen; and holes the server announced
        self.events = self.doubled = self.lost = self.announced = 0

    def join(self, epoch: str, top: int, *, recovered: bool) -> None:
        """The server answered a join: what follows goes on from ``last`` only if it says so."""
        if recovered and epoch == self.epoch:
            return
        self.announced += self.epoch is not None
        self.epoch = epoch
        self.last = 0 if top == 0 else None

    def take(self, parsed: Parsed) -> None:
        """A frame arrived."""
        if not parsed.events:
            return
        if parsed.regular and (self.last is None or parsed.first == self.last + 1):
            self.last = parsed.last
            self.events += len(parsed.events)
            return
        self._take_each([offset for offset, _ in parsed.events])

    def _take_each(self, offsets: Sequence[int]) -> None:
        for offset in offsets:
            self.events += 1
            if self.last is not None and offset <= self.last:
                self.doubled += 1
                continue
            self.lost += 0 if self.last is None else offset - self.last - 1
            self.last = offset


def wrong_stock(steps: Mapping[int, StockStep]) -> Iterator[str]:
    """Where the stock that viewers were told does not follow from what they were told before.

    Only neighbours in the log are compared: between two steps of a deal nobody else may have changed its stock.
    """
    left: dict[str, int] = {}
    for offset in sorted(steps):
        step = steps[offset]
        before = left.get(step.deal_id)
        if step.left < 0:
            yield f"offset {offset}: {step.left} left"
        elif before is not None and before - step.taken != step.left:
            yield f"offset {offset}: {before} left, {step.taken} taken, {step.left} left"
        left[step.deal_id] = step.left


def missing(ids: Mapping[int, str], acknowledged: Sequence[tuple[int, str]]) -> int:
    """Acknowledged messages that are not, as that message, at their place in what viewers saw."""
    return sum(ids.get(offset) != name for offset, name in acknowledged)
