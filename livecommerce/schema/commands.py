"""Every command a client may send on the WebSocket, as the type that validates it.

``{"id": n, "do": "<name>", …}``: ``id`` is chosen by the client and comes back in the reply's ``re``. Unknown fields
are refused.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

#: any integer a JSON number carries exactly
CommandId = Annotated[int, Meta(ge=0, le=2**53 - 1)]
#: an id given out by the server; bounded so that no key in Valkey grows with it
Id = Annotated[str, Meta(min_length=1, max_length=128, pattern=r"^[A-Za-z0-9._~:-]+$")]
#: the ``sub`` of somebody's token
UserId = Annotated[str, Meta(min_length=1, max_length=128)]
#: an idempotency key: printable ASCII
Key = Annotated[str, Meta(min_length=1, max_length=128, pattern=r"^[\x20-\x7e]+$")]
#: before cleaning; the rule of 1–300 characters applies after it (chat/models.py)
RawText = Annotated[str, Meta(max_length=2000)]
Seconds = Annotated[int, Meta(ge=1, le=366 * 86_400)]
PaymentToken = Annotated[str, Meta(min_length=1, max_length=256)]


#: the small set of reactions
Reaction = Literal["heart", "fire", "clap", "laugh", "wow"]


class Command(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, tag_field="do"):
    """What all commands have."""

    id: CommandId


class Join(Command, frozen=True, tag="join"):
    """The first message: who am I, and (when resuming) what I have seen."""

    token: Annotated[str, Meta(max_length=8192)]
    epoch: Annotated[str, Meta(max_length=64)] | None = None
    offset: CommandId | None = None


class Ping(Command, frozen=True, tag="ping"):
    """Ask for the server's clock: ``ok: {server_ms}``."""


class ChatSend(Command, frozen=True, tag="chat.send"):
    """Say something: ``ok: {id, offset}``. Sending again with the same key says it once."""

    text: RawText
    reply_to: Id | None = None
    key: Key | None = None


class ChatDelete(Command, frozen=True, tag="chat.delete"):
    """Take back a message (moderator); ``message_id``, because ``id`` is the command's own."""

    message_id: Id


class ChatBan(Command, frozen=True, tag="chat.ban"):
    """Ban a user from this stream, for some seconds or for good (moderator)."""

    user_id: UserId
    seconds: Seconds | None = None


class ChatUnban(Command, frozen=True, tag="chat.unban"):
    """Lift a ban (moderator)."""

    user_id: UserId


class ChatReact(Command, frozen=True, tag="chat.react"):
    """Add to the reactions, which are shown as sums."""

    kind: Reaction
    count: Annotated[int, Meta(ge=1, le=50)] = 1


class Announce(Command, frozen=True, tag="announce"):
    """Say something to everybody as the host."""

    text: RawText


class DealClaim(Command, frozen=True, tag="deal.claim"):
    """Claim units of a deal: ``ok: {order}``; the same key always finds the same order."""

    deal_id: Id
    units: Annotated[int, Meta(ge=1, le=1000)]
    key: Key
    payment_token: PaymentToken | None = None


class OrderPay(Command, frozen=True, tag="order.pay"):
    """Pay an order of one's own: ``ok: {order}``."""

    order_id: Id
    payment_token: PaymentToken


class OrderCancel(Command, frozen=True, tag="order.cancel"):
    """Give a held order of one's own back: ``ok: {order}``."""

    order_id: Id


class WaitlistJoin(Command, frozen=True, tag="waitlist.join"):
    """Wait for a unit of a sold-out deal: ``ok: {deal_id, position}``; it comes as ``waitlist.offer``."""

    deal_id: Id


class WaitlistLeave(Command, frozen=True, tag="waitlist.leave"):
    """Wait no more: ``ok: {}``."""

    deal_id: Id


class DealOpen(Command, frozen=True, tag="deal.open"):
    """Open a deal now (host): ``ok: {deal}``."""

    deal_id: Id


class DealExtend(Command, frozen=True, tag="deal.extend"):
    """Let a deal close later (host): ``ok: {deal}``."""

    deal_id: Id
    seconds: Annotated[int, Meta(ge=1, le=86_400)]


class DealClose(Command, frozen=True, tag="deal.close"):
    """Close a deal now (host): ``ok: {deal}``."""

    deal_id: Id


class DealCancel(Command, frozen=True, tag="deal.cancel"):
    """Cancel a deal: holds are released, paid orders refunded (host): ``ok: {deal}``."""

    deal_id: Id


class ProductPin(Command, frozen=True, tag="product.pin"):
    """Pin a product of the showcase, or none (host)."""

    product_id: Id | None = None


_ALL: tuple[type[Command], ...] = (
    Join,
    Ping,
    ChatSend,
    ChatDelete,
    ChatBan,
    ChatUnban,
    ChatReact,
    Announce,
    DealClaim,
    OrderPay,
    OrderCancel,
    WaitlistJoin,
    WaitlistLeave,
    DealOpen,
    DealExtend,
    DealClose,
    DealCancel,
    ProductPin,
)

#: every command's type by its name
COMMANDS: dict[str, type[Command]] = {str(kind.__struct_config__.tag): kind for kind in _ALL}
