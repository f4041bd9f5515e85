"""Who claims too often, without a ticket, or though banned: what they are told, over HTTP and WebSocket."""

from __future__ import annotations

import json
from typing import Any

import msgspec
from redis.asyncio import Redis

from deals.models import Buyer, Deal, DealSpec, Money
from livecommerce.limits import ClaimPace, Limits, Rate
from tests.livecommerce.edge import GENEROUS, Answer, EdgeWorker, edge_worker
from tests.livecommerce.rooms import room_worker

SPEC = DealSpec("Mug", Money(500, "EUR"), stock=7, per_buyer_limit=9, duration_s=60, hold_s=60)


async def _deal(worker: Any, stream_id: str, **changes: Any) -> Deal:
    deals = worker.context.deals
    created = await deals.create(stream_id, msgspec.structs.replace(SPEC, **changes))
    opened: Deal = await deals.open(stream_id, created.id)
    return opened


async def _claim(worker: EdgeWorker, deal: Deal, token: str, key: str, **body: Any) -> Answer:
    address = body.pop("address", "127.0.0.1")
    return await worker.ask(
        "POST",
        f"/api/v1/streams/{deal.stream_id}/deals/{deal.id}/claims",
        token=token,
        headers={"Idempotency-Key": key, "X-Forwarded-For": address},
        json={"units": 1} | body,
    )


def test_a_user_has_one_pace_over_all_connections_and_an_address_one_for_all_users() -> None:
    clock = [0.0]
    pace = ClaimPace(Limits(claims=Rate(2, 3), claimaddress=Rate(4, 5)), now_s=lambda: clock[0])
    assert [pace("ann", "") for _ in range(4)] == [None, None, None, 500]
    assert [pace(f"user-{n}", "a") for n in range(6)] == [None] * 5 + [250]
    assert pace("bob", "b") is None
    clock[0] = 0.5
    assert (pace("ann", ""), pace("user-9", "a")) == (None, None)


async def test_claims_of_a_user_and_of_an_address_are_limited(redis: Redis) -> None:
    limits = msgspec.structs.replace(GENEROUS, claims=Rate(0.01, 2), claimaddress=Rate(0.01, 3))
    async with edge_worker(redis, limits=limits, trusted_proxy=("127.0.0.0/8",)) as worker:
        deal = await _deal(worker, await worker.stream())
        ann = worker.token("ann", "buy")
        answers = [await _claim(worker, deal, ann, f"k{n}") for n in range(3)]
        assert [answer.status for answer in answers] == [201, 201, 429]
        assert 0 < answers[2].body["retry_after_ms"] <= 100_000
        assert "Retry-After" in answers[2].headers
        crowd = [
            (await _claim(worker, deal, worker.token(f"u{n}", "buy"), "k", address="203.0.113.5")).status
            for n in range(4)
        ]
        assert crowd == [201, 201, 201, 429]
        assert (await _claim(worker, deal, worker.token("zoe", "buy"), "k", address="203.0.113.6")).status == 201


async def test_claims_over_websocket_and_http_share_one_pace(valkey_url: str) -> None:
    limits = msgspec.structs.replace(GENEROUS, claims=Rate(0.01, 3), claimaddress=Rate(0.01, 5))
    async with room_worker(valkey_url, limit=limits, trusted_proxy=("127.0.0.0/8",)) as worker:
        stream_id = await worker.stream()
        deal = await _deal(worker, stream_id, stock=100)
        crowd = {"X-Forwarded-For": "203.0.113.5"}

        async def by_socket(user: str, keys: str, headers: dict[str, str]) -> list[str]:
            socket = await worker.connect(stream_id, headers=headers)
            await socket.do("join", token=worker.token(user))
            replies = [await socket.do("deal.claim", deal_id=deal.id, units=1, key=key) for key in keys]
            return [reply["err"]["code"] if "err" in reply else "yes" for reply in replies]

        async def by_http(user: str, key: str, headers: dict[str, str]) -> int:
            path = f"{worker.url}/api/v1/streams/{stream_id}/deals/{deal.id}/claims"
            headers = headers | {"Authorization": f"Bearer {worker.token(user)}", "Idempotency-Key": key}
            async with worker.client.post(path, headers=headers, json={"units": 1}) as answer:
                return answer.status

        assert await by_socket("ann", "ab", {}) == ["yes", "yes"]
        assert await by_http("ann", "c", {}) == 201
        # On another connection, too; and a key that was accepted is no way around.
        assert await by_socket("ann", "da", {}) == ["rate_limited", "rate_limited"]
        assert await by_http("ann", "e", {}) == 429
        assert await by_socket("bob", "abc", crowd) == ["yes"] * 3
        assert await by_http("cas", "a", crowd) == 201
        assert await by_socket("dan", "ab", crowd) == ["yes", "rate_limited"]


def test_cancelling_has_a_pace_of_its_own_for_a_user_and_an_address() -> None:
    clock = [0.0]
    pace = ClaimPace(Limits(cancels=Rate(0.5, 2), canceladdress=Rate(2, 3)), now_s=lambda: clock[0])
    assert [pace.cancel("ann", "") for _ in range(3)] == [None, None, 2000]
    assert [pace.cancel(f"user-{n}", "a") for n in range(4)] == [None, None, None, 500]
    assert (pace.cancel("bob", "b"), pace("ann", "a")) == (None, None)
    clock[0] = 2.0
    assert (pace.cancel("ann", ""), pace.cancel("user-9", "a")) == (None, None)


async def test_who_claims_and_cancels_in_a_loop_is_told_to_wait_over_http_and_websocket(valkey_url: str) -> None:
    """Both ways in share one allowance, of the user and of the address; a refused order keeps its hold."""
    limits = msgspec.structs.replace(GENEROUS, cancels=Rate(0.01, 2), canceladdress=Rate(0.01, 4))
    async with room_worker(valkey_url, limit=limits, trusted_proxy=("127.0.0.0/8",)) as worker:
        stream_id = await worker.stream()
        deal = await _deal(worker, stream_id, stock=100)
        crowd = {"X-Forwarded-For": "203.0.113.5"}
        http = {"ann": crowd, "bob": crowd, "cas": crowd, "dan": {}}

        async def order_of(user: str, key: str) -> str:
            buyer = Buyer(user, user)
            return (await worker.context.deals.claim(stream_id, deal.id, buyer=buyer, units=1, key=key)).id

        async def by_http(user: str, key: str) -> tuple[int, Any]:
            path = f"{worker.url}/api/v1/orders/{await order_of(user, key)}/cancel"
            headers = http[user] | {"Authorization": f"Bearer {worker.token(user)}"}
            async with worker.client.post(path, headers=headers) as answer:
                return answer.status, await answer.json()

        async def by_socket(user: str, key: str) -> dict[str, Any]:
            socket = await worker.connect(stream_id, headers=http[user])
            await socket.do("join", token=worker.token(user))
            return await socket.do("order.cancel", order_id=await order_of(user, key))

        assert (await by_http("ann", "k1"))[0] == 200
        assert "ok" in await by_socket("ann", "k2")
        status, problem = await by_http("ann", "k3")
        assert (status, problem["code"]) == (429, "rate_limited")
        assert 0 < problem["retry_after_ms"] <= 100_000
        refusal = (await by_socket("ann", "k4"))["err"]
        assert (refusal["code"], refusal["temporary"]) == ("rate_limited", True)
        assert 0 < refusal["retry_after_ms"] <= 100_000
        # Of the address two are left; it has made four, whoever they were.
        assert "ok" in await by_socket("bob", "k1")
        assert (await by_http("cas", "k1"))[0] == 200
        assert (await by_http("bob", "k2"))[0] == 429
        assert (await by_socket("cas", "k2"))["err"]["code"] == "rate_limited"
        assert (await by_http("dan", "k1"))[0] == 200
        counts = await worker.context.deals.deal(stream_id, deal.id)
        assert (counts.left, counts.held) == (96, 4)


async def test_a_ticket_is_fetched_and_shown_over_http(redis: Redis) -> None:
    async with edge_worker(redis) as worker:
        deal = await _deal(worker, await worker.stream(), ticketed=True)
        path = f"/api/v1/streams/{deal.stream_id}/deals/{deal.id}/ticket"
        ann = worker.token("ann", "buy")
        assert (await _claim(worker, deal, ann, "k")).code == "ticket_required"
        assert (await _claim(worker, deal, ann, "k", ticket="1.2.3")).code == "ticket_invalid"
        assert (await worker.ask("POST", path, token=worker.token("ann", "watch"))).code == "forbidden"
        given = await worker.ask("POST", path, token=ann)
        assert (given.status, sorted(given.body)) == (201, ["expires_ms", "ticket"])
        shown = {"ticket": given.body["ticket"]}
        assert (await _claim(worker, deal, worker.token("bob", "buy"), "k", **shown)).code == "ticket_invalid"
        assert (await _claim(worker, deal, ann, "k", **shown)).status == 201


async def test_a_ticket_is_fetched_and_shown_over_websocket(valkey_url: str) -> None:
    async with room_worker(valkey_url) as worker:
        stream_id = await worker.stream()
        deal = await _deal(worker, stream_id, ticketed=True)
        ann = await worker.join(stream_id, "ann")
        asked = {"deal_id": deal.id, "units": 1, "key": "k"}
        assert (await ann.do("deal.claim", **asked))["err"]["code"] == "ticket_required"
        given = (await ann.do("deal.ticket", deal_id=deal.id))["ok"]
        reply = await ann.do("deal.claim", **asked, ticket=given["ticket"])
        assert reply["ok"]["order"]["state"] == "held"


async def test_who_may_not_buy_learns_nothing_of_the_stock(redis: Redis) -> None:
    """A refused, banned or strange caller is told who they are not, in the same words whether units are left or not."""
    async with edge_worker(redis) as worker:
        stream_id = await worker.stream()
        await worker.context.chat.ban(stream_id, "eve", seconds=None, by="host")
        tokens = {
            "banned": worker.token("eve", "buy"),
            "forbidden": worker.token("ann", "watch"),
            "elsewhere": worker.token("ann", "buy", stream="another"),
            "nobody": "",
        }
        full, empty = await _deal(worker, stream_id), await _deal(worker, stream_id, stock=1)
        assert (await _claim(worker, empty, worker.token("bob", "buy"), "k")).status == 201
        for name, token in tokens.items():
            told = []
            for deal in (full, empty):
                answer = await _claim(worker, deal, token, "k")
                assert answer.status in (401, 403), name
                waiting = await worker.ask("POST", f"/api/v1/streams/{stream_id}/deals/{deal.id}/waitlist", token=token)
                assert waiting.status in (401, 403), name
                told.append((answer.body, waiting.body))
            assert told[0] == told[1], name
            words = json.dumps(told)
            assert not any(word in words for word in ("left", "sold", "stock", "position")), name
