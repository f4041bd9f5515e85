"""What the commands do: one table from ``do`` to the type that validates it, the grant it needs, and its handler."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any, Union

import msgspec
from redis.exceptions import RedisError

from deals.claiming import Wish
from deals.models import Order
from deals.service import stream_of_order
from livecommerce import chat_commands
from livecommerce import room_metrics as metrics
from livecommerce.auth import Grant
from livecommerce.problems import KINDS, Problem, kind_of
from livecommerce.schema import commands as c
from livecommerce.schema.command import Command
from livecommerce.visit import Row, Told, Visit

log = logging.getLogger(__name__)


class Refusal(msgspec.Struct, frozen=True):
    """The ``err`` of a reply."""

    code: str
    message: str
    temporary: bool
    retry_after_ms: int | msgspec.UnsetType = msgspec.UNSET


class Accepted(msgspec.Struct, frozen=True):
    """The reply to a command that was carried out."""

    re: int
    ok: Any


class Refused(msgspec.Struct, frozen=True):
    """The reply to a command that was not; ``re`` is null when the command had no usable id."""

    re: int | None
    err: Refusal


async def _ping(visit: Visit, _: c.Ping) -> Any:
    return {"server_ms": visit.context.clock.now_ms()}


def _begin_ping(visit: Visit, _: c.Ping, told: Told) -> bool:
    told({"server_ms": visit.context.clock.now_ms()})
    return True


async def _deal_claim(visit: Visit, command: c.DealClaim) -> Any:
    order = await visit.context.deals.claim(
        visit.stream_id,
        command.deal_id,
        buyer=visit.buyer,
        units=command.units,
        key=command.key,
        payment_token=command.payment_token,
        origin=visit.tag,
        ticket=command.ticket,
        code=command.code,
        address=visit.address,
    )
    return {"order": order}


def _begin_deal_claim(visit: Visit, command: c.DealClaim, told: Told) -> bool:
    if command.payment_token is not None:
        return False
    wish = Wish(
        stream_id=visit.stream_id,
        deal_id=command.deal_id,
        buyer=visit.buyer,
        units=command.units,
        key=command.key,
        origin=visit.tag,
        ticket=command.ticket,
        code=command.code,
        address=visit.address,
    )
    return visit.context.deals.begin_claim(
        wish, lambda outcome: told({"order": outcome} if isinstance(outcome, Order) else outcome)
    )


async def _deal_ticket(visit: Visit, command: c.DealTicket) -> Any:
    return await visit.context.deals.tickets.issue(visit.stream_id, command.deal_id, buyer_id=visit.identity.user_id)


async def _waitlist_join(visit: Visit, command: c.WaitlistJoin) -> Any:
    return await visit.context.deals.join_waitlist(visit.stream_id, command.deal_id, buyer=visit.buyer)


async def _waitlist_leave(visit: Visit, command: c.WaitlistLeave) -> Any:
    await visit.context.deals.leave_waitlist(visit.stream_id, command.deal_id, buyer_id=visit.identity.user_id)
    return {}


async def _order_pay(visit: Visit, command: c.OrderPay) -> Any:
    _check_stream_of(visit, command.order_id)
    order = await visit.context.deals.pay(
        command.order_id, buyer_id=visit.identity.user_id, payment_token=command.payment_token
    )
    return {"order": order}


async def _order_cancel(visit: Visit, command: c.OrderCancel) -> Any:
    _check_stream_of(visit, command.order_id)
    order = await visit.context.deals.cancel_order(
        command.order_id, buyer_id=visit.identity.user_id, address=visit.address
    )
    return {"order": order}


def _check_stream_of(visit: Visit, order_id: str) -> None:
    # A token for this stream says nothing about another one's orders.
    if stream_of_order(order_id) != visit.stream_id:
        raise Problem("order_not_found", "There is no such order in this stream.")


async def _deal_open(visit: Visit, command: c.DealOpen) -> Any:
    return {"deal": await visit.context.deals.open(visit.stream_id, command.deal_id)}


async def _deal_extend(visit: Visit, command: c.DealExtend) -> Any:
    return {"deal": await visit.context.deals.extend(visit.stream_id, command.deal_id, command.seconds)}


async def _deal_close(visit: Visit, command: c.DealClose) -> Any:
    return {"deal": await visit.context.deals.close(visit.stream_id, command.deal_id)}


async def _deal_cancel(visit: Visit, command: c.DealCancel) -> Any:
    return {"deal": await visit.context.deals.cancel(visit.stream_id, command.deal_id)}


async def _product_pin(visit: Visit, command: c.ProductPin) -> Any:
    await visit.context.deals.pin_product(visit.stream_id, command.product_id)
    return {"product_id": command.product_id}


async def _product_view(visit: Visit, command: c.ProductView) -> Any:
    await visit.context.analytics.viewed(visit.stream_id, command.product_id, visit.identity.user_id)
    return {}


#: every command but ``join``, which a connection begins with
TABLE: Mapping[str, Row] = {
    "ping": Row(Grant.WATCH, _ping, until_end=False, begin=_begin_ping),
    **chat_commands.TABLE,
    "deal.claim": Row(Grant.BUY, _deal_claim, begin=_begin_deal_claim),
    "deal.ticket": Row(Grant.BUY, _deal_ticket),
    "order.pay": Row(Grant.BUY, _order_pay, until_end=False),
    "order.cancel": Row(Grant.BUY, _order_cancel, until_end=False),
    "waitlist.join": Row(Grant.BUY, _waitlist_join, in_order=True),
    "waitlist.leave": Row(Grant.BUY, _waitlist_leave, until_end=False, in_order=True),
    "deal.open": Row(Grant.HOST, _deal_open),
    "deal.extend": Row(Grant.HOST, _deal_extend),
    "deal.close": Row(Grant.HOST, _deal_close, until_end=False),
    "deal.cancel": Row(Grant.HOST, _deal_cancel, until_end=False),
    "product.pin": Row(Grant.HOST, _product_pin),
    "product.view": Row(Grant.WATCH, _product_view),
}


#: the type of any command that a joined client may send, for decoding it in one step
ANY_COMMAND: Any = Union[tuple(c.COMMANDS[name] for name in TABLE)]  # noqa: UP007 - made of a table


def command_id(message: Any) -> int | None:
    """The ``id`` of what a client sent, when it is one."""
    if isinstance(message, Command):
        return message.id
    number = message.get("id") if isinstance(message, dict) else None
    usable = isinstance(number, int) and not isinstance(number, bool) and 0 <= number < 2**53
    return number if usable else None


def read_command(message: Any) -> tuple[str, Row, Command]:
    """Validate what a joined client sent; raises :class:`Problem` ``invalid`` or ``unknown_command``."""
    if isinstance(message, Command):
        name = str(message.__struct_config__.tag)
        return name, TABLE[name], message
    if command_id(message) is None:
        raise Problem("invalid", "A command is an object with an integer id and a do.")
    name = message.get("do")
    row = TABLE.get(name) if isinstance(name, str) else None
    if row is None:
        raise Problem("unknown_command", "There is no such command." if name != "join" else "You have joined already.")
    return name, row, convert(message, c.COMMANDS[name])


def convert(message: Any, kind: type[Any]) -> Any:
    """The message as this type; raises :class:`Problem` ``invalid``."""
    try:
        return msgspec.convert(message, kind)
    except msgspec.ValidationError as error:
        raise Problem("invalid", f"{error}.") from None


async def carry_out(visit: Visit, name: str, row: Row, command: Command) -> Accepted | Refused:
    """Carry a command out and say how it went; never raises, but for being cancelled."""
    try:
        if not await visit.may_now(row.grant):
            raise Problem("forbidden", "Your token does not allow this here.")
        if row.until_end and visit.ended:
            raise Problem("stream_ended", "The stream has ended.")
        ok = await row.handler(visit, command)
    except Exception as error:
        # Answered here: a name that kept it would make a cycle of it and this frame, which lasts until a collection.
        return _reply_to(name, command, error)
    return _reply_to(name, command, ok)


def begin(visit: Visit, name: str, row: Row, command: Command, answer: Callable[[Accepted | Refused], None]) -> bool:
    """Carry a command out without a task of its own; False when :func:`carry_out` has to, and nothing was done.

    Hot path (load_tests flash-sale): ``answer`` hears how it went, at once or in a later turn of the loop.
    """
    if row.begin is None or not visit.may(row.grant) or (row.until_end and visit.ended):
        return False
    try:
        return row.begin(visit, command, lambda outcome: answer(_reply_to(name, command, outcome)))
    except Exception as error:
        answer(_reply_to(name, command, error))
        return True


def _reply_to(name: str, command: Command, outcome: Any) -> Accepted | Refused:
    if isinstance(outcome, Exception):
        refusal = refusal_of(outcome)
        metrics.COMMANDS.add(name, refusal.code)
        return Refused(command.id, refusal)
    metrics.COMMANDS.add(name, "ok")
    return Accepted(command.id, outcome)


def refusal_of(error: Exception) -> Refusal:
    """What a client is told of an error; one that nobody foresaw is logged, and told nothing about."""
    code, detail = getattr(error, "code", None), getattr(error, "detail", None)
    retry_after_ms = getattr(error, "retry_after_ms", None)
    if not (isinstance(code, str) and code in KINDS and isinstance(detail, str)):
        if isinstance(error, (RedisError, OSError, TimeoutError)):
            code, detail, retry_after_ms = "unavailable", "The server's memory does not answer for the moment.", 1000
        else:
            log.error("a command failed", exc_info=error)
            code, detail, retry_after_ms = "internal", "Something went wrong on our side.", None
    return Refusal(code, detail, kind_of(code).temporary, msgspec.UNSET if retry_after_ms is None else retry_after_ms)
