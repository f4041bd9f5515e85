"""Codes, items and shipping over HTTP and WebSocket: who may, what they are told, and what no viewer ever sees."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from redis.asyncio import Redis

from deals import keys
from deals.models import DealSpec
from deals.terms import CodeSpec
from livecommerce.limits import ClaimPace, Limits, Rate
from tests.livecommerce.edge import GENEROUS, Answer, EdgeWorker, edge_worker
from tests.livecommerce.rooms import room_worker

DEAL = {
    **{"title": "Mug", "price": {"amount": 1999, "currency": "EUR"}, "stock": 9, "per_buyer_limit": 5},
    **{"duration_s": 60, "hold_s": 60},
}


def eur(amount: int) -> dict[str, Any]:
    return {"amount": amount, "currency": "EUR"}


class Shop:
    """A stream with its host."""

    def __init__(self, worker: EdgeWorker, stream_id: str) -> None:
        self.worker, self.path, self.stream_id = worker, f"/api/v1/streams/{stream_id}", stream_id
        self.host = worker.token("host", "host")

    async def put(self, path: str, body: Any) -> Answer:
        return await self.worker.ask("PUT", self.path + path, token=self.host, json=body)

    async def deal(self, **changes: Any) -> str:
        made = await self.worker.ask("POST", f"{self.path}/deals", token=self.host, json=DEAL | changes)
        assert made.status == 201, made
        await self.worker.ask("POST", f"{self.path}/deals/{made.body['id']}/open", token=self.host)
        return str(made.body["id"])

    async def claim(self, deal_id: str, user: str, **body: Any) -> Answer:
        token, headers = self.worker.token(user, "buy"), {"Idempotency-Key": body.pop("key", "k")}
        headers["X-Forwarded-For"] = body.pop("address", "127.0.0.1")
        path = f"{self.path}/deals/{deal_id}/claims"
        return await self.worker.ask("POST", path, token=token, headers=headers, json={"units": 1} | body)


async def test_a_host_makes_codes_and_buyers_use_them(redis: Redis) -> None:
    async with edge_worker(redis) as worker:
        shop = Shop(worker, await worker.stream())
        deal = await shop.deal()
        made = await shop.put("/codes/summer-10", {"percent": 10, "total_limit": 2, "per_buyer_limit": 1})
        assert made.status == 200
        code = {
            **{"code": "SUMMER-10", "percent": 10, "amount": None, "total_limit": 2, "per_buyer_limit": 1},
            **{"deal_id": None, "used": 0},
        }
        assert made.body == code
        bought = await shop.claim(deal, "ann", code="Summer-10")
        assert bought.status == 201
        assert (bought.body["code"], bought.body["discount"], bought.body["total"]) == (
            "SUMMER-10",
            eur(200),
            eur(1799),
        )
        assert bought.body["lines"] == [{"title": "Mug", "units": 1, "amount": 1999, "discount": 200}]
        refusals = [
            (await shop.claim(deal, "bob", code="NONE")).code,
            (await shop.claim(deal, "ann", code="SUMMER-10", key="b")).code,
            (await shop.claim(deal, "ann", key="k")).code,
            (await shop.claim(deal, "bob", code="a b")).code,
        ]
        assert refusals == ["code_unknown", "code_limit_reached", "key_reused", "invalid"]
        assert (await shop.claim(deal, "bob", code="SUMMER-10")).status == 201
        used_up = await shop.claim(deal, "cat", code="SUMMER-10")
        assert (used_up.code, used_up.status) == ("code_used_up", 409)
        await shop.put("/codes/other", {"amount": eur(100), "deal_id": await shop.deal()})
        assert (await shop.claim(deal, "cat", code="OTHER")).code == "code_not_applicable"
        listed = await worker.ask("GET", f"{shop.path}/codes", token=shop.host)
        assert [(c["code"], c["used"]) for c in listed.body["items"]] == [("OTHER", 0), ("SUMMER-10", 2)]
        assert listed.headers["Cache-Control"] == "no-store"
        assert (await worker.ask("DELETE", f"{shop.path}/codes/Other", token=shop.host)).status == 204
        assert (await worker.ask("DELETE", f"{shop.path}/codes/OTHER", token=shop.host)).code == "code_not_found"


async def test_codes_and_items_are_their_hosts_alone(redis: Redis) -> None:
    async with edge_worker(redis) as worker:
        shop = Shop(worker, await worker.stream())
        await shop.put("/codes/SECRET", {"percent": 10})
        for token, refused in ((worker.token("ann", "watch", "buy"), "forbidden"), (None, "token_required")):
            for method, path in (("GET", "/codes"), ("DELETE", "/codes/SECRET"), ("GET", "/items")):
                assert (await worker.ask(method, shop.path + path, token=token)).code == refused
            for path, body in (
                ("/codes/A", {"percent": 1}),
                ("/items/a", {"title": "A", "stock": 1}),
                ("/shipping", {}),
            ):
                assert (await worker.ask("PUT", shop.path + path, token=token, json=body)).code == refused


async def test_what_makes_no_sense_is_refused_by_name(redis: Redis) -> None:
    async with edge_worker(redis) as worker:
        shop = Shop(worker, await worker.stream())
        cases: list[tuple[str, Any, str]] = [
            *(("/codes/A", {}, "invalid"), ("/codes/A", {"percent": 10, "amount": eur(1)}, "invalid")),
            *(("/codes/A%20B", {"percent": 10}, "invalid"), ("/codes/A", {"percent": 10, "more": 1}, "invalid")),
            *(("/codes/A", {"percent": 10, "deal_id": "none"}, "deal_not_found"),),
            *(("/items/a", {"title": "", "stock": 1}, "invalid"), ("/items/a", {"title": "A", "stock": 0}, "invalid")),
            ("/shipping", {"price": eur(1), "free_from": {"amount": 1, "currency": "USD"}}, "invalid"),
        ]
        for path, body, code in cases:
            assert (await shop.put(path, body)).code == code, (path, body)
        bad: list[tuple[dict[str, Any], str]] = [
            ({"bundle": [{"item_id": "a", "units": 1}]}, "invalid"),
            ({"bundle": [{"item_id": "a", "units": 1}, {"item_id": "b", "units": 1}]}, "item_not_found"),
            ({"buy_x_pay_y": {"buy": 2, "pay": 2}}, "invalid"),
        ]
        for changes, code in bad:
            made = await worker.ask("POST", f"{shop.path}/deals", token=shop.host, json=DEAL | changes)
            assert made.code == code, changes


async def test_a_bundle_with_all_rules_at_once(redis: Redis) -> None:
    async with edge_worker(redis) as worker:
        shop = Shop(worker, await worker.stream())
        for item, stock in (("cup", 4), ("tin", 9)):
            made = await shop.put(f"/items/{item}", {"title": item.title(), "stock": stock})
            assert made.body == {"item_id": item, "title": item.title(), "stock": stock, "left": stock}
        await shop.put("/codes/HALF", {"percent": 50})
        parts = [{"item_id": "cup", "units": 1}, {"item_id": "tin", "units": 2}]
        deal = await shop.deal(bundle=parts, buy_x_pay_y={"buy": 2, "pay": 1}, compare_at=eur(2999))
        shown = (await worker.ask("GET", f"{shop.path}/deals/{deal}")).body
        assert shown["bundle"] == [parts[0] | {"title": "Cup"}, parts[1] | {"title": "Tin"}]
        assert (shown["buy_x_pay_y"], shown["left"], shown["lowest_30d"]) == ({"buy": 2, "pay": 1}, 4, None)
        assert (await worker.ask("GET", f"{shop.path}/shipping")).body is None
        shipping = {"price": eur(495), "free_from": eur(1000)}
        assert (await shop.put("/shipping", shipping)).body == shipping
        assert (await worker.ask("GET", f"{shop.path}/shipping")).body == shipping
        order = (await shop.claim(deal, "ann", units=2, code="half")).body
        assert order["lines"] == [
            {"title": "Cup", "units": 2, "amount": 666, "discount": 333},
            {"title": "Tin", "units": 4, "amount": 1333, "discount": 667},
        ]
        assert (order["discount"], order["shipping"], order["total"]) == (eur(1000), eur(495), eur(1494))
        listed = await worker.ask("GET", f"{shop.path}/items", token=shop.host)
        assert [item["left"] for item in listed.body["items"]] == [2, 5]
        refused = await worker.ask("DELETE", f"{shop.path}/items/cup", token=shop.host)
        assert (refused.code, refused.status) == ("illegal_state", 409)
        assert (await worker.ask("DELETE", f"{shop.path}/shipping", token=shop.host)).status == 204
        assert "shipping" not in (await shop.claim(deal, "bob")).body


async def test_a_reduced_product_shows_its_lowest_price_of_30_days(redis: Redis) -> None:
    async with edge_worker(redis) as worker:
        shop = Shop(worker, await worker.stream())
        await shop.put("/products/mug", {"title": "Mug", "price": eur(2500)})
        reduced = await shop.put("/products/mug", {"title": "Mug", "price": eur(1999), "compare_at": eur(3000)})
        assert reduced.body["lowest_30d"] == eur(2500)
        deal = await shop.deal(product_id="mug", compare_at=eur(3000), price=eur(1500))
        assert (await worker.ask("GET", f"{shop.path}/deals/{deal}")).body["lowest_30d"] == eur(1999)


async def test_a_viewer_hears_of_sales_but_never_of_a_code(valkey_url: str, redis: Redis) -> None:
    async with room_worker(valkey_url) as worker:
        stream_id = await worker.stream()
        deals = worker.context.deals
        await deals.rules.put_code(stream_id, "SECRET", CodeSpec(percent=10))
        ann, bob = await worker.join(stream_id, "ann"), await worker.join(stream_id, "bob")
        deal = await deals.create(stream_id, msgspec.convert(DEAL, DealSpec))
        await deals.open(stream_id, deal.id)
        reply = await ann.do("deal.claim", deal_id=deal.id, units=1, key="k", code="secret")
        assert reply["ok"]["order"]["code"] == "SECRET"
        wrong = await bob.do("deal.claim", deal_id=deal.id, units=1, key="k", code="wrong")
        assert wrong["err"]["code"] == "code_unknown"
        log = str(await redis.xrange(keys.log(stream_id)))
        assert "deal.claimed" in log
        assert "SECRET" not in log.upper()


@pytest.mark.parametrize("code", ["WRONG", "RIGHT"])
async def test_guessing_codes_is_slow(redis: Redis, code: str) -> None:
    limits = msgspec.structs.replace(GENEROUS, codes=Rate(0.01, 3))
    async with edge_worker(redis, limits=limits) as worker:
        shop = Shop(worker, await worker.stream())
        deal = await shop.deal()
        await shop.put("/codes/RIGHT", {"percent": 10})
        answers = [(await shop.claim(deal, "ann", code=f"GUESS{n}", key=f"k{n}")).status for n in range(3)]
        assert answers == [422] * 3
        assert (await shop.claim(deal, "ann", code=code)).code == "rate_limited"
        assert (await shop.claim(deal, "ann")).status == 201, "without a code there is nothing to guess"
        assert (await shop.claim(deal, "bob", code="RIGHT")).status == 201


def test_the_pace_of_codes_is_a_users_own() -> None:
    pace = ClaimPace(Limits(codes=Rate(0.5, 2)), now_s=lambda: 0.0)
    assert [pace("ann", "", True) for _ in range(3)] == [None, None, 2000]
    assert (pace("ann", "", False), pace("bob", "", True)) == (None, None)


def test_guests_made_for_guessing_share_the_pace_of_their_address() -> None:
    clock = [0.0]
    pace = ClaimPace(Limits(codes=Rate(0.5, 2), codesaddress=Rate(4, 5)), now_s=lambda: clock[0])
    assert [pace(f"guest-{n}", "a", True) for n in range(6)] == [None] * 5 + [250]
    assert (pace("guest-7", "b", True), pace("guest-8", "a", False)) == (None, None)
    assert pace("at home", "", True) is None, "loopback has no address"
    clock[0] = 0.25
    assert pace("guest-9", "a", True) is None


async def test_a_new_guest_cannot_go_on_guessing_where_others_stopped(redis: Redis) -> None:
    limits = msgspec.structs.replace(GENEROUS, codesaddress=Rate(0.01, 3))
    async with edge_worker(redis, limits=limits, trusted_proxy=("127.0.0.0/8",)) as worker:
        shop = Shop(worker, await worker.stream())
        deal = await shop.deal()

        async def guess(guest: str, address: str, **body: Any) -> str:
            answer = await shop.claim(deal, guest, address=address, **body)
            return "yes" if answer.status == 201 else answer.code

        told = [await guess(f"guest-{n}", "203.0.113.5", code=f"GUESS{n}") for n in range(4)]
        assert told == ["code_unknown"] * 3 + ["rate_limited"]
        assert await guess("guest-9", "203.0.113.6", code="GUESS9") == "code_unknown"
        assert await guess("guest-9", "203.0.113.5") == "yes", "without a code there is nothing to guess"
