"""The key schema of deals, as prose. All keys of a stream share the hash tag ``{<stream_id>}``: one cluster slot.

``lc:{s}:room``, ``lc:{s}:log``
    The room's own keys, written only by the emit prelude (numbered events, sharded pub/sub).
``lc:{s}:showcase``
    Hash. ``p:<product id>`` = ``<added_ms> <product as JSON, without pinned>``; ``pinned`` = product id; ``order`` =
    product ids with spaces between, as the host arranged them (some may be gone; what is not among them stands behind
    them); ``ended`` = 1 once the stream is over (then no deal can be created).
``lc:{s}:deals``
    Sorted set. Member: deal id; score: when it was created, ms. The list of deals.
``lc:{s}:due``
    Sorted set. Member: deal id with unfinished business; score: when it has to be looked at next, ms, **never later**
    than the truth (scripts lower it, only ``tick`` raises it); ``+inf``: waits for its host.
``lc:{s}:rules``
    Hash. What the host says of prices and stock. ``shipping`` is JSON, ``version`` rises with its changes;
    ``code:<CODE>`` = ``<most uses or 0> <most of one buyer or 0> <deal id or *> <JSON>``, ``used:<CODE>`` = orders that
    have it; ``item:<id>`` = ``<stock> <title>``, ``left:<id>`` + ``taken:<id>`` = that stock, ``deals:<id>`` = the
    bundle deals made of it, with a space after each; ``codes`` and ``items`` count them.
``lc:{s}:uses``
    Hash. ``<CODE> <user id>`` = orders of that buyer that have the code; gone at 0.
``lc:{s}:prices``
    Hash. Product id = what it cost, see lua/prices.lua; kept when the product leaves.
``lc:{s}:deal:<d>``
    Hash. ``state left held sold revenue opens_at_ms closes_at_ms lowest shown`` change (``lowest``: JSON of lowest_30d,
    '' if it is never shown; ``shown``: what was last told of a bundle's left); ``id duration_ms hold_ms limit stock
    amount currency product_id``, ``rule`` (``*``: not units × price), ``bundle`` (``<item id> <units> …``) and the JSON
    fragments ``terms`` (of the public deal) and ``frozen`` (of its orders) never do.
``lc:{s}:deal:<d>:ledger``
    Hash. ``o:<ref>`` = the order as JSON, changing fields first; ``b:<user id>`` = ``<units counted against the limit>
    <ref> <ref>…`` (that buyer's orders, oldest first); ``a:<ref>`` = ``<attempt> <began_ms>`` of the payment going on,
    ``n:<ref>`` = attempts so far. A *ref* is the last part of an order id ``<stream>.<deal>.<ref>``.
``lc:{s}:deal:<d>:claims``
    Hash. Accepted idempotency keys: ``<user id>\\n<key>`` = ``<ref> <units>[ <CODE>]``. No expiry, so kept longer
    than promised.
``lc:{s}:deal:<d>:holds``
    Sorted set. Member: ref of an order that is held or paying; score: its deadline, ms.
``lc:{s}:deal:<d>:paid``
    Sorted set. Member: ref of a paid order; score: paid_ms. What a cancelled deal has to refund.
``lc:{s}:deal:<d>:settle``
    Sorted set. Member: ref of an order whose money must be looked at (refund_pending, or expired while paying);
    score: when a worker may take it up, ms. Taking it up moves the score on, so a dead worker's work comes back.
``lc:{s}:deal:<d>:queue``
    Sorted set. Member: user id that waits for a unit; score: the how-manieth to join (``joined`` of the deal).
    Gone, like the next, when the deal is over.
``lc:{s}:deal:<d>:queued``
    Hash. User id = ``<ref> <JSON members>\\n<JSON members of its price, or nothing>`` of the order that an
    offer to them would be.
``lc:{s}:journal``
    Stream. ``at_ms``, ``what`` and either ``order`` (JSON: one step of one order) or ``orders`` (a JSON array: the
    orders of one batch of claims). Never trimmed.

Not of one stream, hence never in the same script as those above:

``lc:deals:streams``
    Sorted set. Member: stream id that may have unfinished business; score: last touched, ms. Written **before** the
    business, removed an hour after the last touch when nothing is due.
``lc:buyer:<user id>``
    Sorted set. Member: ``<stream>.<deal>`` where the user may have an order; score: first claim, ms. Written **before**
    the claim, so it may name too much; the ledger decides.
``lc:webhook:<hash of the event's id>``
    String. A payment provider's webhook that was dealt with; expires when it would be too old to be believed.
"""

from __future__ import annotations

import hashlib
import re

_ID = re.compile(r"[A-Za-z0-9_-]{1,64}\Z")

#: streams with unfinished business
STREAMS = "lc:deals:streams"


def is_id(text: str) -> bool:
    """Whether a text can be an id of ours; anything else never reaches a key."""
    return _ID.match(text) is not None


def room(stream_id: str) -> str:
    """Hash of the room's epoch and newest offset."""
    return f"lc:{{{stream_id}}}:room"


def log(stream_id: str) -> str:
    """Stream of the room's events; also its sharded pub/sub channel."""
    return f"lc:{{{stream_id}}}:log"


def showcase(stream_id: str) -> str:
    """Hash of products and the pinned one."""
    return f"lc:{{{stream_id}}}:showcase"


def deals(stream_id: str) -> str:
    """Sorted set of deal ids by creation."""
    return f"lc:{{{stream_id}}}:deals"


def due(stream_id: str) -> str:
    """Sorted set of deals with unfinished business."""
    return f"lc:{{{stream_id}}}:due"


def journal(stream_id: str) -> str:
    """Stream of order steps."""
    return f"lc:{{{stream_id}}}:journal"


def rules(stream_id: str) -> str:
    """Hash of codes, stock items and shipping."""
    return f"lc:{{{stream_id}}}:rules"


def uses(stream_id: str) -> str:
    """Hash of how often who used which code."""
    return f"lc:{{{stream_id}}}:uses"


def prices(stream_id: str) -> str:
    """Hash of what products cost."""
    return f"lc:{{{stream_id}}}:prices"


def deal(stream_id: str, deal_id: str) -> str:
    """Hash of one deal."""
    return f"lc:{{{stream_id}}}:deal:{deal_id}"


def ledger(stream_id: str, deal_id: str) -> str:
    """Hash of one deal's orders, buyers and payment attempts."""
    return f"{deal(stream_id, deal_id)}:ledger"


def claims(stream_id: str, deal_id: str) -> str:
    """Hash of one deal's accepted idempotency keys."""
    return f"{deal(stream_id, deal_id)}:claims"


def queue(stream_id: str, deal_id: str) -> str:
    """Sorted set of who waits for a unit of a deal."""
    return f"{deal(stream_id, deal_id)}:queue"


def buyer(user_id: str) -> str:
    """Sorted set of the deals in which a user may have orders."""
    return f"lc:buyer:{user_id}"


def webhook(event_id: str) -> str:
    """Mark of a webhook that was dealt with; the id is the provider's own, hence of any form."""
    return f"lc:webhook:{hashlib.sha256(event_id.encode('utf-8', 'replace')).hexdigest()[:32]}"


def of_deal(stream_id: str, deal_id: str) -> tuple[str, ...]:
    """KEYS of every script of a deal, in the order that ``lua/of_deal.lua`` names them."""
    one = deal(stream_id, deal_id)
    return (
        room(stream_id),
        log(stream_id),
        one,
        due(stream_id),
        f"{one}:ledger",
        f"{one}:claims",
        f"{one}:holds",
        f"{one}:paid",
        f"{one}:settle",
        journal(stream_id),
        queue(stream_id, deal_id),
        f"{one}:queued",
        rules(stream_id),
        uses(stream_id),
        prices(stream_id),
    )


def of_showcase(stream_id: str) -> tuple[str, ...]:
    """KEYS of the showcase's scripts."""
    return room(stream_id), log(stream_id), showcase(stream_id), prices(stream_id)


def of_rules(stream_id: str) -> tuple[str, ...]:
    """KEYS of the scripts that change price rules and stock items."""
    return rules(stream_id), due(stream_id)


def order_id(stream_id: str, deal_id: str, ref: str) -> str:
    """An order id: it carries its stream and deal."""
    return f"{stream_id}.{deal_id}.{ref}"


def split_order_id(text: str) -> tuple[str, str, str] | None:
    """Stream, deal and ref of an order id; None when it cannot be one."""
    parts = text.split(".")
    if len(parts) != 3 or not all(is_id(part) for part in parts):
        return None
    return parts[0], parts[1], parts[2]
