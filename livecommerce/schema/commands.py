"""Every command a client may send on the WebSocket, as the type that validates it.

``{"id": n, "do": "<name>", …}``: ``id`` is chosen by the client and comes back in the reply's ``re``. Unknown fields
are refused.
"""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from deals.terms import CodeText
from livecommerce.schema import chat
from livecommerce.schema.command import ClaimTicket, Command, CommandId, Id, Key, PaymentToken


class Join(Command, frozen=True, tag="join"):
    """The first message: who am I, and (when resuming) what I have seen."""

    token: Annotated[str, Meta(max_length=8192)]
    epoch: Annotated[str, Meta(max_length=64)] | None = None
    offset: CommandId | None = None


class Ping(Command, frozen=True, tag="ping"):
    """Ask for the server's clock: ``ok: {server_ms}``."""


class DealClaim(Command, frozen=True, tag="deal.claim"):
    """Claim units of a deal: ``ok: {order}``; the same key always finds the same order."""

    deal_id: Id
    units: Annotated[int, Meta(ge=1, le=1000)]
    key: Key
    payment_token: PaymentToken | None = None
    #: a discount code of the stream
    code: CodeText | None = None
    #: of a ticketed deal
    ticket: ClaimTicket | None = None


class DealTicket(Command, frozen=True, tag="deal.ticket"):
    """Fetch a claim ticket of a ticketed deal, from 60 s before it opens: ``ok: {ticket, expires_ms}``."""

    deal_id: Id


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


class ProductView(Command, frozen=True, tag="product.view"):
    """Say that one looks at a product of the showcase: counted once a user, for the host's figures."""

    product_id: Annotated[str, Meta(pattern="^[A-Za-z0-9_-]{1,64}$")]


_ALL: tuple[type[Command], ...] = (
    Join,
    Ping,
    *chat.COMMANDS,
    DealClaim,
    DealTicket,
    OrderPay,
    OrderCancel,
    WaitlistJoin,
    WaitlistLeave,
    DealOpen,
    DealExtend,
    DealClose,
    DealCancel,
    ProductPin,
    ProductView,
)

#: every command's type by its name
COMMANDS: dict[str, type[Command]] = {str(kind.__struct_config__.tag): kind for kind in _ALL}
