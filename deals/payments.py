"""Payments behind one small protocol, and a simulated provider for development.

Every call names its order, and the provider is idempotent by it: an order is captured at most once and refunded at
most once, however often it is asked. That, not any flag of ours, is what makes a crash between capture and recording
harmless.

A webhook is believed to be the provider's only with its signature, and even then it is a *prompt to look*: what became
of the payment is asked of the provider. So one that is repeated, late or out of order cannot say anything false.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from enum import StrEnum
from typing import Any, Protocol, cast

import msgspec
from redis.asyncio import Redis

from deals.errors import WebhookRefused
from deals.models import Money
from deals.webhooks import Webhook, verify


class Declined(Exception):
    """The provider said no; nothing was charged."""


class Pending(Exception):
    """The provider has not decided yet: a webhook will tell, or it is asked later."""


class PaymentStatus(StrEnum):
    """What a provider knows of an order's money."""

    #: never heard of it, or an attempt that led to nothing yet
    NONE = "none"
    PENDING = "pending"
    #: taken, and not given back
    CAPTURED = "captured"
    #: the newest attempt was declined after it had been pending
    DECLINED = "declined"
    REFUNDED = "refunded"


class PaymentProvider(Protocol):
    """What deals need of a payment provider. Any other exception than Declined and Pending means "unknown"."""

    async def authorise(self, order_id: str, amount: Money, token: str) -> str:
        """Reserve the amount; returns the authorisation's id; raises :class:`Declined`."""

    async def capture(self, order_id: str, authorisation: str) -> None:
        """Take the money; does nothing when this order's money was taken before; raises :class:`Pending`."""

    async def refund(self, order_id: str) -> None:
        """Give the order's money back; does nothing when it was given back before, or never taken."""

    async def status(self, order_id: str) -> PaymentStatus:
        """What became of this order's money, by the provider's own books."""

    def webhook(self, headers: Mapping[str, str], body: bytes, now_ms: int) -> Webhook:
        """Which order a webhook is about; raises :class:`WebhookRefused` unless the provider certainly sent it."""


class SimulatedPayments:
    """Pretends to be a provider; the tokens it knows decide what happens, others are declined.

    ``pm_ok``, ``pm_declined``, ``pm_slow`` (2 s) answer at once. The ``pm_webhook_…`` ones are taken without our being
    told: the news comes by webhook, ``late`` (5 s), ``twice``, ``lost`` (never), ``disordered`` (the older event
    last) or ``declined`` (a second later the bank says no).

    A provider outlives our workers, so its books are in Valkey: hash ``lc:simulated-payment:<order id>``. Webhooks to
    be sent are members ``<number>.<when, ms> <body>`` of the sorted set ``lc:simulated-payments``, by when; without a
    secret it sends none and believes none. Its clock is Valkey's.
    """

    #: how long the pretended books are kept
    KEEP_S = 30 * 86_400
    SLOW_S = 2.0
    LATE_MS = 5_000
    OUTBOX = "lc:simulated-payments"
    #: webhooks waiting to be sent; beyond it the newest are lost, as a provider may lose them
    MOST_WAITING = 10_000
    SIGNATURE = "Simulated-Payments-Signature"
    #: token -> what is sent after the capture: (what happened, after how many ms) each
    SENT: Mapping[str, tuple[tuple[str, int], ...]] = {
        "pm_ok": (("captured", 0),),
        "pm_slow": (("captured", 0),),
        "pm_webhook_late": (("captured", LATE_MS),),
        "pm_webhook_twice": (("captured", 100), ("captured", 200)),
        "pm_webhook_lost": (),
        "pm_webhook_disordered": (("captured", 100), ("authorised", 300)),
        "pm_webhook_declined": (("declined", 1000),),
    }

    def __init__(self, redis: Redis, *, development: bool, webhook_secret: bytes = b"") -> None:
        if not development:
            raise ValueError("The simulated payment provider takes no money: it runs only in development.")
        self._redis = redis
        self._secret = webhook_secret

    @staticmethod
    def books(order_id: str) -> str:
        """The key of an order's pretended books."""
        return f"lc:simulated-payment:{order_id}"

    async def authorise(self, order_id: str, amount: Money, token: str) -> str:
        """See :class:`PaymentProvider`."""
        if token not in self.SENT:
            raise Declined(f"{amount.amount} {amount.currency} declined")
        if token == "pm_slow":  # noqa: S105 - a magic token, no secret
            await asyncio.sleep(self.SLOW_S)
        return f"{token}:{order_id}"

    async def capture(self, order_id: str, authorisation: str) -> None:
        """See :class:`PaymentProvider`."""
        token = authorisation.partition(":")[0]
        if token == "pm_webhook_declined":  # noqa: S105
            await self._ask("HSET", order_id, "declined_ms", await self._now_ms())
        elif await self._once(order_id, "captured_ms"):
            await self._ask("HINCRBY", order_id, "captures", 1)
        await self._send(order_id, token)
        if token.startswith("pm_webhook_"):
            raise Pending

    async def refund(self, order_id: str) -> None:
        """See :class:`PaymentProvider`."""
        if await self._ask("HEXISTS", order_id, "captured_ms"):
            await self._once(order_id, "refunded_ms")

    async def status(self, order_id: str) -> PaymentStatus:
        """See :class:`PaymentProvider`."""
        taken, returned, declined = await self._ask("HMGET", order_id, "captured_ms", "refunded_ms", "declined_ms")
        if returned is not None:
            return PaymentStatus.REFUNDED
        if taken is not None:
            return PaymentStatus.CAPTURED
        return PaymentStatus.NONE if declined is None else PaymentStatus.DECLINED

    def webhook(self, headers: Mapping[str, str], body: bytes, now_ms: int) -> Webhook:
        """See :class:`PaymentProvider`."""
        verify(self._secret, headers.get(self.SIGNATURE, ""), body, now_ms)
        try:
            return msgspec.json.decode(body, type=Webhook)
        except msgspec.MsgspecError as error:
            raise WebhookRefused("The webhook's body is none of ours.") from error

    async def _send(self, order_id: str, token: str) -> None:
        if not self._secret or await self._command("ZCARD", self.OUTBOX) >= self.MOST_WAITING:
            return
        now, attempt = await self._now_ms(), await self._ask("HINCRBY", order_id, "attempts", 1)
        for number, (what, after_ms) in enumerate(self.SENT[token]):
            # An event that is sent twice has one id; those of another attempt are other events.
            body = msgspec.json.encode(Webhook(f"{what}.{attempt}.{order_id}", order_id, what)).decode()
            await self._command("ZADD", self.OUTBOX, now + after_ms, f"{number}.{now + after_ms} {body}")

    async def _ask(self, command: str, order_id: str, *args: str | int) -> Any:
        return await self._command(command, self.books(order_id), *args)

    async def _command(self, *words: str | int) -> Any:
        return await cast(Any, self._redis).execute_command(*words)

    async def _now_ms(self) -> int:
        seconds, micros = await self._command("TIME")
        return int(seconds) * 1000 + int(micros) // 1000

    async def _once(self, order_id: str, field: str) -> bool:
        new = await self._ask("HSETNX", order_id, field, await self._now_ms())
        await self._ask("EXPIRE", order_id, self.KEEP_S)
        return bool(new)
