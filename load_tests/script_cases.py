"""What ``script_times.py`` measures: every script of a deal, those that work on many at their stated number."""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from msgspec.structs import replace

from deals import keys
from deals.errors import PaymentDeclined
from deals.lane import CODE_PLACES, MAX_BATCH
from deals.models import ProductSpec
from deals.price_rules import MOST_CODES
from deals.showcase import MOST_PRODUCTS
from deals.terms import BundlePart, BuyXPayY, CodeSpec, ItemSpec, Money, Shipping
from deals.ticker import CHUNK
from load_tests.script_times import EUR, SPEC, Stage

HOUR_MS = 3_600_000
_BUNDLE = tuple(BundlePart(f"item-{n}", 2) for n in range(10))
_KINDS: Sequence[tuple[str, dict[str, Any]]] = ("", {}), (" of a bundle of 10", {"bundle": _BUNDLE})


async def furnish(stage: Stage) -> None:
    """Items, codes and products: as many as a stream may have."""
    for part in _BUNDLE:
        await stage.deals.rules.put_item(stage.stream, part.item_id, ItemSpec("Item", 1_000_000))
    for number in range(MOST_CODES - 1):
        await stage.deals.rules.put_code(stage.stream, f"CODE-{number}", CodeSpec(percent=10))
    for number in range(MOST_PRODUCTS - 1):
        await stage.deals.put_product(stage.stream, f"product-{number}", ProductSpec("Lamp", EUR, compare_at=EUR))


async def claims(stage: Stage, _: int) -> None:
    """A full batch: accepted, again, sold out, with a code, of bundles; then one alone."""
    plain, last = await stage.opened(), await stage.opened(stock=1)
    fresh, stamped = stage.buyers(MAX_BATCH), await stage.opened(buy_x_pay_y=BuyXPayY(3, 2))
    await stage.claimed(last, stage.buyers(1))
    async with stage.timed(f"{MAX_BATCH} claims, accepted", "claim"):
        await stage.claimed(plain, fresh)
    async with stage.timed(f"{MAX_BATCH} claims, repeated", "claim"):
        await stage.claimed(plain, fresh)
    async with stage.timed(f"{MAX_BATCH} claims, sold out", "claim"):
        await stage.claimed(last, stage.buyers(MAX_BATCH))
    coded = MAX_BATCH // CODE_PLACES
    async with stage.timed(f"{coded} claims with a code", "claim"):
        await stage.claimed(stamped, stage.buyers(coded), units=3, code="CODE-0")
    bundle = await stage.opened(bundle=_BUNDLE)
    async with stage.timed(f"{MAX_BATCH} claims of a bundle of 10", "claim"):
        await stage.claimed(bundle, stage.buyers(MAX_BATCH))
    async with stage.timed("1 claim", "claim"):
        await stage.claimed(plain, stage.buyers(1))
    async with stage.timed(f"{MOST_CODES - 1} codes", "tariff"):
        await stage.desk.tariffs.read(stage.stream, plain.id, [f"CODE-{n}" for n in range(MOST_CODES - 1)])


async def orders(stage: Stage, _: int) -> None:
    """One order's steps, of a bundle and with a code."""
    deal = await stage.opened(bundle=_BUNDLE)
    one, two, three, four = await stage.claimed(deal, stage.buyers(4), code="CODE-1")
    async with stage.timed("1 order", "pay_begin", "pay_confirm"):
        await stage.paid([one])
    async with stage.timed("1 order", "refund", "refunded"):
        await stage.deals.refund(one.id)
    async with stage.timed("1 order", "pay_decline"):
        with contextlib.suppress(PaymentDeclined):
            await stage.deals.pay(two.id, buyer_id=two.buyer.id, payment_token="pm_no")
    async with stage.timed("1 order", "settled"):
        await stage.deals._cashier._look(three.id)
    async with stage.timed("1 order", "cancel_order"):
        await stage.deals.cancel_order(four.id, buyer_id=four.buyer.id)


async def ticks(stage: Stage, _: int) -> None:
    """A full chunk of what is due."""
    for name, changes in _KINDS:
        chunk = CHUNK // 2 if changes else CHUNK
        deal = await stage.opened(**changes)
        await stage.in_batches(deal, CHUNK)
        async with stage.timed(f"{chunk} holds expire{name}", "tick"):
            await stage.tick(deal, HOUR_MS)
        deal = await stage.opened(**changes)
        await stage.paid(await stage.in_batches(deal, CHUNK))
        await stage.deals.cancel(stage.stream, deal.id)
        async with stage.timed(f"{chunk} orders refunded{name}", "tick"):
            await stage.tick(deal)
    deal = await stage.opened(stock=CHUNK)
    await stage.in_batches(deal, CHUNK)
    async with stage.timed("1 who waits", "waitlist_join"):
        for buyer in stage.buyers(CHUNK + 1):
            await stage.deals.join_waitlist(stage.stream, deal.id, buyer=buyer)
    async with stage.timed("1 who waits", "waitlist_leave"):
        await stage.deals.leave_waitlist(stage.stream, deal.id, buyer_id=buyer.id)
    async with stage.timed(f"{CHUNK} holds expire, as many wait", "tick"):
        await stage.tick(deal, HOUR_MS)
    async with stage.timed("nothing due", "tick"):
        await stage.tick(deal)


async def deals(stage: Stage, _: int) -> None:
    """A deal's own steps; a bundle of 10 parts of a product that is shown."""
    spec = replace(SPEC, bundle=_BUNDLE, compare_at=EUR, product_id="product-1")
    async with stage.timed("a bundle of 10", "create"):
        made = await stage.deals.create(stage.stream, spec)
    where = stage.stream, made.id
    async with stage.timed("a bundle of 10", "open"):
        await stage.deals.open(*where)
    async with stage.timed("a bundle of 10", "extend"):
        await stage.deals.extend(*where, 1)
    async with stage.timed("a bundle of 10", "close"):
        await stage.deals.close(*where)
    made = await stage.deals.create(stage.stream, spec)
    async with stage.timed("a bundle of 10", "cancel"):
        await stage.deals.cancel(stage.stream, made.id)
    made = await stage.opened(bundle=_BUNDLE)
    async with stage.timed("a bundle of 10", "stream_ended"):
        await stage.deals._scripts("stream_ended", keys.of_deal(stage.stream, made.id))


async def showcase(stage: Stage, round_: int) -> None:
    """Products, as many as a showcase may have; every other round the other way round."""
    names = [f"product-{n}" for n in range(MOST_PRODUCTS - 1)]
    async with stage.timed(f"{MOST_PRODUCTS} products", "order_products"):
        await stage.deals.order_products(stage.stream, names if round_ % 2 else names[::-1])
    async with stage.timed("1 product", "put_product"):
        await stage.deals.put_product(
            stage.stream, "another", ProductSpec("Lamp", Money(round_, "EUR"), compare_at=EUR)
        )
    async with stage.timed("1 product", "pin_product"):
        await stage.deals.pin_product(stage.stream, "another")
    async with stage.timed("1 product", "remove_product"):
        await stage.deals.remove_product(stage.stream, "another")


async def rules(stage: Stage, _: int) -> None:
    """What a host says of prices and stock."""
    rules = stage.deals.rules
    async with stage.timed("1", "put_code", "delete_code"):
        await rules.put_code(stage.stream, "ANOTHER", CodeSpec(percent=5))
        await rules.delete_code(stage.stream, "ANOTHER")
    async with stage.timed("1", "put_item", "delete_item"):
        await rules.put_item(stage.stream, "another", ItemSpec("Item", 5))
        await rules.delete_item(stage.stream, "another")
    async with stage.timed("1", "put_shipping"):
        await rules.put_shipping(stage.stream, Shipping(EUR))
        await rules.put_shipping(stage.stream, None)
    async with stage.timed("1", "forget_stream"):
        await stage.deals._scripts("forget_stream", [keys.STREAMS], ("nobody", 1))


CASES: Sequence[Callable[[Stage, int], Awaitable[None]]] = (claims, orders, ticks, deals, showcase, rules)
