"""Bad deals, claims and orders over HTTP: each has its documented code, and takes nothing."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.api import DEAL
from tests.livecommerce.edge import EdgeWorker
from tests.livecommerce.test_http_api import open_deal

JSON = {"Content-Type": "application/json"}


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"stock": -1}, "invalid"),
        ({"stock": 0}, "invalid"),
        ({"stock": 10**30}, "invalid"),
        ({"stock": 1.5}, "invalid"),
        ({"stock": "3"}, "invalid"),
        ({"stock": True}, "invalid"),
        ({"price": {"amount": -1, "currency": "EUR"}}, "invalid"),
        ({"price": {"amount": 2**63, "currency": "EUR"}}, "invalid"),
        ({"price": {"amount": 1, "currency": "eur"}}, "invalid"),
        ({"price": {"amount": 1, "currency": "EUR", "vat": 21}}, "invalid"),
        ({"compare_at": {"amount": 1, "currency": "USD"}}, "invalid"),
        ({"image_url": "javascript:alert(1)"}, "invalid"),
        ({"duration_s": 10**9}, "invalid"),
        ({"hold_s": -5}, "invalid"),
        ({"per_buyer_limit": 0}, "invalid"),
        ({"opens_at_ms": 2**62}, "invalid"),
        ({"title": "x" * 500}, "invalid"),
        ({"left": 3}, "invalid"),
    ],
)
async def test_a_bad_deal_has_its_code(edge: EdgeWorker, changes: dict[str, Any], code: str) -> None:
    path = f"/api/v1/streams/{await edge.stream()}/deals"
    answer = await edge.ask("POST", path, token=edge.token("host", "host"), json=DEAL | changes)
    assert (answer.status, answer.code) == (422, code)
    assert (await edge.ask("GET", path)).body["items"] == []


@pytest.mark.parametrize(
    ("body", "key", "status", "code"),
    [
        ({"units": 1}, None, 400, "key_required"),
        ({"units": 1}, "", 400, "key_required"),
        ({"units": 1}, "k" * 129, 422, "invalid"),
        ({"units": 1}, "ké", 422, "invalid"),
        ({"units": 1}, "a\tb", 422, "invalid"),
        ({"units": 0}, "k", 422, "invalid"),
        ({"units": -3}, "k", 422, "invalid"),
        ({"units": 10**25}, "k", 422, "invalid"),
        ({"units": "1"}, "k", 422, "invalid"),
        ({"units": 1, "price": 0}, "k", 422, "invalid"),
        ({}, "k", 422, "invalid"),
        ({"units": 2}, "k", 403, "limit_reached"),
    ],
)
async def test_a_bad_claim_has_its_code_and_takes_nothing(
    edge: EdgeWorker, body: dict[str, Any], key: str | None, status: int, code: str
) -> None:
    path = await open_deal(edge, await edge.stream())
    headers = {} if key is None else {"Idempotency-Key": key}
    answer = await edge.ask("POST", f"{path}/claims", token=edge.token("b", "buy"), json=body, headers=headers)
    assert (answer.status, answer.code) == (status, code), answer
    deal = (await edge.ask("GET", path)).body
    assert (deal["left"], deal["held"]) == (3, 0)


async def test_a_reused_key_and_a_sold_out_and_an_unopened_deal_have_their_codes(edge: EdgeWorker) -> None:
    stream_id = await edge.stream()
    path = await open_deal(edge, stream_id, stock=2, per_buyer_limit=2)

    async def claim(user: str, units: int, key: str, where: str = path) -> Any:
        return await edge.ask(
            "POST",
            f"{where}/claims",
            token=edge.token(user, "buy"),
            json={"units": units},
            headers={"Idempotency-Key": key},
        )

    assert (await claim("a", 1, "k")).status == 201
    reused = await claim("a", 2, "k")
    assert (reused.status, reused.code) == (422, "key_reused")
    assert (await claim("b", 1, "k")).status == 201
    sold_out = await claim("c", 1, "k")
    assert (sold_out.status, sold_out.code) == (409, "sold_out")
    host = edge.token("host", "host")
    waiting = await edge.ask("POST", f"/api/v1/streams/{stream_id}/deals", token=host, json=DEAL)
    not_open = await claim("a", 1, "n", f"/api/v1/streams/{stream_id}/deals/{waiting.body['id']}")
    assert (not_open.status, not_open.code) == (409, "not_open")


async def test_what_is_missing_comes_before_what_is_forbidden_and_that_before_what_is_wrong(edge: EdgeWorker) -> None:
    """401, 404, 403, 400/422, 409: one request with everything wrong, mended step by step."""
    stream_id = await edge.stream()
    path = await open_deal(edge, stream_id)
    unknown = f"/api/v1/streams/{stream_id}/deals/dunknown"
    watcher, buyer = edge.token("b", "watch"), edge.token("b", "buy")

    async def code(where: str, **how: Any) -> str:
        return (await edge.ask("POST", f"{where}/claims", data=b"{", **how)).code

    key = {"Idempotency-Key": "k", **JSON}
    assert await code(unknown, headers=JSON) == "token_required"
    assert await code(unknown, token=watcher, headers=JSON) == "deal_not_found"
    assert await code(path, token=watcher, headers=JSON) == "forbidden"
    assert await code(path, token=buyer, headers=JSON) == "key_required"
    assert await code(path, token=buyer, headers=key) == "malformed"
    await edge.context.chat.ban(stream_id, "b", seconds=60, by="host")
    async with asyncio.timeout(5):  # the ban is told by pub/sub, beside the reply
        while await code(path, token=buyer, headers=JSON) != "banned":
            pass


async def test_somebody_elses_order_is_no_order(edge: EdgeWorker) -> None:
    path = await open_deal(edge, await edge.stream())
    claimed = await edge.ask(
        "POST", f"{path}/claims", token=edge.token("a", "buy"), json={"units": 1}, headers={"Idempotency-Key": "k"}
    )
    order, other = f"/api/v1/orders/{claimed.body['id']}", edge.token("b", "buy", "host")
    assert (await edge.ask("GET", order, token=other)).code == "order_not_found"
    assert (await edge.ask("POST", f"{order}/cancel", token=other)).code == "order_not_found"
    assert (await edge.ask("POST", f"{order}/refund", token=other)).code == "order_not_found"
    paid = await edge.ask("POST", f"{order}/pay", token=other, json={"payment_token": "pm_ok"})
    assert (paid.status, paid.code) == (404, "order_not_found")
    assert (await edge.ask("POST", f"{order}/refund", token=edge.token("a", "buy"))).code == "forbidden"
    assert (await edge.ask("GET", order, token=edge.token("a", "buy"))).body["state"] == "held"
