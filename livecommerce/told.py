"""Reading what scripts publish to rooms: what an event is, and many private events in one message."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import msgspec

from livecommerce.frames import Item
from livecommerce.member import Member

#: slots of what has happened just now (so many hearts) begin like this; others tell how things stand
MOMENT = "reactions:"
_RELEASED = b'"type":"deal.released"'


class _Many(msgspec.Struct, frozen=True):
    """What ``tell_all`` of lua/emit.lua publishes."""

    type: str
    member: str
    to: list[tuple[str, str]]
    values: list[msgspec.Raw]


class _OfDeal(msgspec.Struct, frozen=True):
    deal_id: str


class _Released(msgspec.Struct, frozen=True):
    data: _OfDeal


_read_many = msgspec.json.Decoder(_Many).decode
_read_released = msgspec.json.Decoder(_Released).decode


def for_those_here(body: bytes, by_address: Mapping[str, Mapping[Member, None]]) -> Iterator[tuple[Member, Item]]:
    """Who of those here is told what. Most users of a batch are on other workers, or have it in their reply."""
    many = _read_many(body)
    for (to, origin), value in zip(many.to, many.values, strict=True):
        there = [m for m in by_address.get(f"user:{to}", ()) if not origin or m.tag != origin]
        if there:
            item = Item(msgspec.json.encode({"to": to, "type": many.type, "data": {many.member: value}}))
            yield from ((member, item) for member in there)


def released_deal(event: bytes) -> str | None:
    """The deal whose units came back, if that is what a numbered event says."""
    # The type follows the offset: the text of a chat message cannot stand there.
    if _RELEASED not in event[:64]:
        return None
    return _read_released(event).data.deal_id


def is_end(event: bytes) -> bool:
    """Whether a numbered event's JSON is ``stream.ended``."""
    return event.startswith(b',"type":"stream.ended"', event.index(b","))


def is_talk(event: bytes) -> bool:
    """Whether a numbered event's JSON changes nothing that who joins is told beside the messages."""
    return event.startswith((b',"type":"chat.message"', b',"type":"announcement"'), event.index(b","))


def poll_after(event: bytes, is_open: bool) -> bool:
    """Whether a poll is open after a numbered event, having been so before it or not."""
    if not event.startswith(b',"type":"poll.', event.index(b",")):
        return is_open
    return event.startswith(b',"type":"poll.opened"', event.index(b","))


def split_slot(body: bytes) -> tuple[str, bytes]:
    """A latest-only message's slot, and the event without it."""
    # Inside a JSON string a quote is escaped, so the first bare `,"type":"` ends the slot.
    end = body.index(b',"type":"')
    return str(msgspec.json.decode(body[8:end])), b"{" + body[end + 1 :]
