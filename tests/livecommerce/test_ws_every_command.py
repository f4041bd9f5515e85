"""Every command by WebSocket: what it refuses of somebody who may, what is left of it when the stream has ended, and
what the commands of deals and the showcase tell everybody."""

from __future__ import annotations

from typing import Any

import msgspec

from deals.models import DealSpec, Money, ProductSpec
from livecommerce.commands import TABLE
from livecommerce.schema.events import EVENTS
from tests.livecommerce.rooms import RoomWorker, Viewer
from tests.livecommerce.test_commands import MAY, ROLES

EVERYTHING = ("watch", "chat", "buy", "host", "moderate")
MUG = DealSpec("Mug", Money(500, "EUR"), stock=2, per_buyer_limit=2, duration_s=60, hold_s=60)
#: what names nothing that there is, or is nothing that there could be, and the refusal
NOTHING: dict[str, tuple[dict[str, Any], str]] = {
    "ping": ({"extra": 1}, "invalid"),
    "chat.send": ({"text": "as I said", "reply_to": "m_none"}, "message_not_found"),
    "chat.react": ({"kind": "skull"}, "invalid"),
    "chat.delete": ({"message_id": "m_none"}, "message_not_found"),
    "chat.clear_user": ({"user_id": ""}, "invalid"),
    "chat.ban": ({"user_id": "host"}, "forbidden"),
    "chat.unban": ({"user_id": ""}, "invalid"),
    "chat.settings": ({"slow_s": -1}, "invalid"),
    "chat.pin": ({"message_id": "m_none"}, "message_not_found"),
    "announce": ({"text": " "}, "invalid"),
    "moderator.grant": ({"user_id": "x" * 200}, "invalid"),
    "moderator.revoke": ({}, "invalid"),
    "moderation.journal": ({"after": "x"}, "invalid"),
    "poll.open": ({"question": "One?", "answers": ["a"]}, "invalid"),
    "poll.vote": ({"poll_id": "poll_none", "answer": 0}, "poll_not_found"),
    "poll.close": ({"poll_id": "poll_none"}, "poll_not_found"),
    "question.ask": ({"message_id": "m_none"}, "message_not_found"),
    "question.answer": ({"message_id": "m_none"}, "message_not_found"),
    "deal.claim": ({"deal_id": "d_none", "units": 1, "key": "k"}, "deal_not_found"),
    "deal.ticket": ({"deal_id": "d_none"}, "deal_not_found"),
    "order.pay": ({"order_id": "{s}.d_none.o", "payment_token": "pm_ok"}, "order_not_found"),
    "order.cancel": ({"order_id": "{s}.d_none.o"}, "order_not_found"),
    "waitlist.join": ({"deal_id": "d_none"}, "deal_not_found"),
    "waitlist.leave": ({"deal_id": "d_none"}, "deal_not_found"),
    "deal.open": ({"deal_id": "d_none"}, "deal_not_found"),
    "deal.extend": ({"deal_id": "d_none", "seconds": 60}, "deal_not_found"),
    "deal.close": ({"deal_id": "d_none"}, "deal_not_found"),
    "deal.cancel": ({"deal_id": "d_none"}, "deal_not_found"),
    "product.pin": ({"product_id": "p_none"}, "product_not_found"),
    "product.view": ({"product_id": "a mug"}, "invalid"),
}
#: fields that are as they should be, where those above are not
WELL_FORMED: dict[str, dict[str, Any]] = {
    "ping": {},
    "chat.react": {"kind": "heart"},
    "chat.clear_user": {"user_id": "ann"},
    "chat.ban": {"user_id": "ann"},
    "chat.unban": {"user_id": "ann"},
    "chat.settings": {"slow_s": 3},
    "announce": {"text": "Welcome"},
    "moderator.grant": {"user_id": "ann"},
    "moderator.revoke": {"user_id": "ann"},
    "moderation.journal": {},
    "poll.open": {"question": "Which?", "answers": ["a", "b"]},
    "product.view": {"product_id": "mug"},
}


async def outcome(viewer: Viewer, do: str, fields: dict[str, Any], stream_id: str) -> str:
    """The refusal's code, or "ok"."""
    named = {
        name: value.replace("{s}", stream_id) if isinstance(value, str) else value for name, value in fields.items()
    }
    reply = await viewer.do(do, **named)
    return "ok" if "ok" in reply else str(reply["err"]["code"])


async def test_every_command_refuses_what_is_not_there(worker: RoomWorker) -> None:
    stream_id = await worker.stream()
    host = await worker.join(stream_id, "host", *EVERYTHING)
    answers = {do: await outcome(host, do, fields, stream_id) for do, (fields, _) in NOTHING.items()}
    assert answers == {do: code for do, (_, code) in NOTHING.items()}
    assert set(NOTHING) == set(TABLE)


async def test_the_authorisation_matrix_by_websocket(worker: RoomWorker) -> None:
    """Each role by a token of its own: it is told ``forbidden`` where the matrix says so, and nowhere else."""
    stream_id = await worker.stream("hal")
    fields = {do: WELL_FORMED.get(do, refused) for do, (refused, _) in NOTHING.items()}
    fields |= {"chat.ban": {"user_id": "zoe"}, "chat.settings": {"slow_s": 0}}
    await worker.context.chat.appoint(stream_id, "appointed", granted=True, by="hal")
    for role, (user_id, stream, grants) in ROLES.items():
        viewer = await worker.connect(stream_id)
        token = worker.context.tokens.mint(user_id, user_id, [grant.value for grant in grants], stream=stream)
        joined = await viewer.do("join", token=token)
        if role == "of another stream":
            assert joined["err"]["code"] == "forbidden"
            continue
        assert "ok" in joined, role
        may = {do for do in TABLE if await outcome(viewer, do, fields[do], stream_id) != "forbidden"}
        assert may == {do for do in TABLE if role in MAY[do]}, role


async def test_a_stream_that_ended_takes_only_what_looks_back(worker: RoomWorker) -> None:
    """What was held stays payable and can be given back; chat, polls and deals are over."""
    stream_id = await worker.stream()
    host = await worker.join(stream_id, "host", *EVERYTHING)
    await worker.context.streams.end(stream_id)
    await host.event("stream.ended")
    fields = {do: WELL_FORMED.get(do, refused) for do, (refused, _) in NOTHING.items()}
    over = {do for do in TABLE if await outcome(host, do, fields[do], stream_id) == "stream_ended"}
    assert set(TABLE) - over == {
        "ping",
        "moderation.journal",
        "order.pay",
        "order.cancel",
        "waitlist.leave",
        "deal.close",
        "deal.cancel",
    }


async def test_a_host_extends_closes_and_cancels_and_everybody_is_told(worker: RoomWorker) -> None:
    stream_id = await worker.stream()
    host, ann = await worker.join(stream_id, "host", *EVERYTHING), await worker.join(stream_id)
    one, two = [(await worker.context.deals.create(stream_id, MUG)).id for _ in range(2)]
    assert (await host.do("deal.extend", deal_id=one, seconds=30))["err"]["code"] == "illegal_state"
    before = (await host.do("deal.open", deal_id=one))["ok"]["deal"]["closes_at_ms"]
    assert (await host.do("deal.open", deal_id=one))["err"]["code"] == "illegal_state"
    assert (await host.do("deal.extend", deal_id=one, seconds=30))["ok"]["deal"]["closes_at_ms"] == before + 30_000
    assert (await host.do("deal.extend", deal_id=one, seconds=0))["err"]["code"] == "invalid"
    assert (await host.do("deal.close", deal_id=one))["ok"]["deal"]["state"] == "closed"
    assert (await host.do("deal.cancel", deal_id=one))["err"]["code"] == "illegal_state"
    assert (await ann.do("deal.claim", deal_id=one, units=1, key="k"))["err"]["code"] == "closed"
    assert (await host.do("deal.cancel", deal_id=two))["ok"]["deal"]["state"] == "cancelled"
    assert (await host.do("deal.open", deal_id=two))["err"]["code"] == "illegal_state"
    await typed(ann, "deal.scheduled", "deal.opened", "deal.extended", "deal.closed", "deal.cancelled")


async def test_the_showcase_and_the_air_are_seen_by_who_is_there(worker: RoomWorker) -> None:
    stream_id, deals, streams = await worker.stream(), worker.context.deals, worker.context.streams
    host, ann = await worker.join(stream_id, "host", *EVERYTHING), await worker.join(stream_id)
    for name in ("lamp", "mug"):  # in this order also if both came within one millisecond
        await deals.put_product(stream_id, name, ProductSpec(name.title(), Money(500, "EUR")))
    assert (await host.do("product.pin", product_id="mug"))["ok"] == {"product_id": "mug"}
    await deals.order_products(stream_id, ["mug", "lamp"])
    await deals.remove_product(stream_id, "mug")
    await streams.went_live(stream_id, worker_id="w1", session_id="w1.s1")
    await streams.interrupted(stream_id, session_id="w1.s1")
    await typed(ann, "product.updated", "product.pinned", "product.order", "product.removed")
    await typed(ann, "stream.live", "stream.interrupted")


async def typed(viewer: Viewer, *kinds: str) -> None:
    """It hears of each, as it is documented."""
    for kind in kinds:
        msgspec.convert(await viewer.event(kind), EVENTS[kind])
