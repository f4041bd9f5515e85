"""Every refusal of deals that a command may meet, through a real WebSocket."""

from __future__ import annotations

from typing import Any

import msgspec

from deals.errors import DealsError
from deals.models import DealSpec, Money
from deals.terms import CodeSpec
from livecommerce.problems import KINDS
from tests.livecommerce.rooms import RoomWorker, Viewer

SPEC = DealSpec("Mug", Money(500, "EUR"), stock=2, per_buyer_limit=1, duration_s=60, hold_s=60)
#: what requests of the shop meet, and no command; and what has tests of its own: limits in test_abuse.py, the end of a
#: stream in test_ws_every_command.py, Valkey that is away in test_failover.py
ELSEWHERE = {"item_not_found", "code_not_found", "webhook_refused", "key_required"}
LATER = {"rate_limited", "stream_ended", "unavailable", "outcome_unknown"}


async def err(viewer: Viewer, do: str, **fields: Any) -> Any:
    reply = await viewer.do(do, **fields)
    assert "err" in reply, reply
    return reply["err"]


async def made(worker: RoomWorker, stream_id: str, *, is_open: bool = True, **changes: Any) -> str:
    """A deal; its id."""
    deal = await worker.context.deals.create(stream_id, msgspec.structs.replace(SPEC, **changes))
    if is_open:
        await worker.context.deals.open(stream_id, deal.id)
    return deal.id


async def test_every_refusal_of_deals_is_heard(worker: RoomWorker) -> None:
    stream_id, rules = await worker.stream(), worker.context.deals.rules
    host, ann, bob = [await worker.host(stream_id), *[await worker.join(stream_id, user) for user in ("ann", "bob")]]
    deal, one, other, waiting, ticketed = [
        await made(worker, stream_id),
        await made(worker, stream_id, stock=1),
        await made(worker, stream_id, stock=9, per_buyer_limit=9),
        await made(worker, stream_id, is_open=False),
        await made(worker, stream_id, ticketed=True),
    ]
    await rules.put_code(stream_id, "OTHER", CodeSpec(percent=10, deal_id=one))
    await rules.put_code(stream_id, "ONCE", CodeSpec(percent=10, per_buyer_limit=1))
    await rules.put_code(stream_id, "FEW", CodeSpec(percent=10, total_limit=1))

    async def claim(viewer: Viewer, deal_id: str, key: str, **fields: Any) -> dict[str, Any]:
        return await viewer.do("deal.claim", deal_id=deal_id, key=key, **{"units": 1} | fields)

    async def refused(viewer: Viewer, deal_id: str, key: str, **fields: Any) -> Any:
        reply = await claim(viewer, deal_id, key, **fields)
        assert "err" in reply, reply
        return reply["err"]

    order = (await claim(ann, deal, "k"))["ok"]["order"]["id"]
    for key, code in (("once", "ONCE"), ("few", "FEW")):
        assert "ok" in await claim(ann, other, key, code=code)
    assert "ok" in await claim(ann, one, "k")
    heard = {
        "deal_not_found": await refused(ann, "d_none", "k"),
        "order_not_found": await err(bob, "order.pay", order_id=order, payment_token="pm_ok"),
        "product_not_found": await err(host, "product.pin", product_id="p_none"),
        "invalid": await refused(ann, deal, "k2", units=0),
        "key_reused": await refused(ann, deal, "k", units=2),
        "limit_reached": await refused(ann, deal, "k2"),
        "sold_out": await refused(bob, one, "k"),
        "not_open": await refused(bob, waiting, "k"),
        "illegal_state": await err(host, "deal.open", deal_id=deal),
        "ticket_required": await refused(bob, ticketed, "k"),
        "ticket_invalid": await refused(bob, ticketed, "k", ticket="1.2.3"),
        "code_unknown": await refused(bob, other, "k", code="NONE"),
        "code_not_applicable": await refused(bob, other, "k", code="OTHER"),
        "code_limit_reached": await refused(ann, other, "again", code="ONCE"),
        "code_used_up": await refused(bob, other, "k", code="FEW"),
        "payment_declined": await err(ann, "order.pay", order_id=order, payment_token="pm_declined"),
    }
    assert "ok" in await host.do("deal.close", deal_id=deal)
    heard["closed"] = await refused(bob, deal, "k")
    assert {name: refusal["code"] for name, refusal in heard.items()} == {name: name for name in heard}
    assert {*heard, *ELSEWHERE, *LATER} == {refusal.code for refusal in DealsError.__subclasses__()}
    assert all(refusal["temporary"] is KINDS[name].temporary for name, refusal in heard.items())
