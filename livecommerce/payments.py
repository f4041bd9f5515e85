"""Which payment provider a server has: the shop's own, the simulated one in development, or none."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol, cast

from deals.errors import WebhookRefused
from deals.payments import Declined, PaymentProvider, PaymentStatus, SimulatedPayments
from livecommerce.settings import SettingsError
from livecommerce.simulated_provider import WebhookCourier

if TYPE_CHECKING:
    from redis.asyncio import Redis

    from deals.models import Money
    from deals.webhooks import Webhook
    from livecommerce.auth import TokenAuthority
    from livecommerce.settings import Settings

#: where a provider sends its webhooks
WEBHOOK_PATH = "/api/v1/webhooks/payments"
_ASKED = ("authorise", "capture", "refund", "status")


class Part(Protocol):
    """What a worker starts and closes; a shop's provider may be one."""

    async def start(self) -> None:
        """Begin; safe to call twice."""

    async def aclose(self) -> None:
        """End; safe to call twice."""


class NoPayments:
    """The provider of a production server that was given none: it declines, so that nothing is sold for nothing."""

    async def authorise(self, order_id: str, amount: Money, token: str) -> str:
        """Refuse."""
        raise Declined("This shop has no payment provider yet.")

    async def capture(self, order_id: str, authorisation: str) -> None:
        """Never asked: nothing was authorised."""
        raise NotImplementedError("nothing was authorised")

    async def refund(self, order_id: str) -> None:
        """Nothing was ever taken."""

    async def status(self, order_id: str) -> PaymentStatus:
        """Nothing was ever taken."""
        return PaymentStatus.NONE

    def webhook(self, headers: Mapping[str, str], body: bytes, now_ms: int) -> Webhook:
        """Nobody sends any."""
        raise WebhookRefused("This shop has no payment provider yet.")


def payments_of(
    settings: Settings, redis: Redis, tokens: TokenAuthority, address: str
) -> tuple[PaymentProvider, Sequence[Part]]:
    """The provider of a worker (which other workers reach at ``address``), and what has to run for it."""
    if settings.payments:
        provider = load(settings.payments)
        runs = hasattr(provider, "start") and hasattr(provider, "aclose")
        return provider, (cast(Part, provider),) if runs else ()
    if not settings.development:
        return NoPayments(), ()
    secret = tokens.derive("simulated-payments")
    simulated = SimulatedPayments(redis, development=True, webhook_secret=secret)
    return simulated, (WebhookCourier(redis, f"{address}{WEBHOOK_PATH}", secret),)


def load(name: str) -> PaymentProvider:
    """What the factory that ``module:factory`` names makes; raises :class:`SettingsError` when it is no provider."""
    module_name, _, factory_name = name.partition(":")
    try:
        provider: Any = getattr(importlib.import_module(module_name), factory_name)()
    except Exception as error:
        # It is the shop's code: whatever it raises belongs into the one sentence that the operator reads.
        raise SettingsError(f"--payments {name} cannot be used: {error!r}.") from error
    missing = [verb for verb in _ASKED if not inspect.iscoroutinefunction(getattr(provider, verb, None))]
    missing += [] if callable(getattr(provider, "webhook", None)) else ["webhook"]
    if missing:
        raise SettingsError(f"--payments {name} made no payment provider: it lacks {', '.join(missing)}.")
    return cast(PaymentProvider, provider)
