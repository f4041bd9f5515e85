"""The JSON API's own work: what each operation answers, on the real domains."""

from __future__ import annotations

from typing import Any

import pytest

from tests.api import DEAL
from tests.livecommerce.edge import EdgeWorker

PRODUCT = {"title": "Mug", "price": {"amount": 500, "currency": "EUR"}}


async def open_deal(edge: EdgeWorker, stream_id: str, **changes: Any) -> str:
    """An open deal's path."""
    host = edge.token("host", "host")
    created = await edge.ask("POST", f"/api/v1/streams/{stream_id}/deals", token=host, json=DEAL | changes)
    assert created.status == 201, created
    path = f"/api/v1/streams/{stream_id}/deals/{created.body['id']}"
    assert created.headers["Location"] == path
    assert created.body["state"] == "scheduled"
    opened = await edge.ask("POST", f"{path}/open", token=host)
    assert (opened.status, opened.body["state"]) == (200, "open")
    return path


async def test_a_guest_gets_a_token_that_says_who_they_are(edge: EdgeWorker) -> None:
    answer = await edge.ask("POST", "/api/v1/guest", json={"name": "  Zoë\u202e \u0007 "})
    assert answer.status == 201
    assert answer.body["user"]["name"] == "Zoë"
    bearer = edge.context.tokens.verify(answer.body["token"])
    assert (bearer.user_id, bearer.name) == (answer.body["user"]["id"], "Zoë")
    assert {str(g) for g in bearer.can} == {"watch", "chat", "buy", "host"}


async def test_a_stream_is_created_shown_and_listed_with_its_addresses(edge: EdgeWorker) -> None:
    created = await edge.ask(
        "POST", "/api/v1/streams", token=edge.token("h1", "host", name="Hanna"), json={"title": "Mugs"}
    )
    assert created.status == 201
    stream = created.body
    assert created.headers["Location"] == f"/api/v1/streams/{stream['id']}"
    at = edge.url.removeprefix("http")
    assert stream == {
        "id": stream["id"],
        "title": "Mugs",
        "state": "created",
        "host": {"id": "h1", "name": "Hanna"},
        "created_ms": stream["created_ms"],
        "viewers": 3,
        "pinned": None,
        "urls": {
            "whip": f"http{at}/whip/{stream['id']}",
            "whep": f"http{at}/whep/{stream['id']}",
            "ws": f"ws{at}/ws/{stream['id']}",
            "watch": f"http{at}/watch/{stream['id']}",
        },
        "poster_url": None,
    }
    assert (await edge.ask("GET", f"/api/v1/streams/{stream['id']}")).body == stream
    newest = await edge.ask("GET", "/api/v1/streams?limit=500")
    assert stream in newest.body["items"]
    first = await edge.ask("GET", "/api/v1/streams?limit=1")
    assert len(first.body["items"]) == 1
    if newest.body["items"][1:]:
        second = await edge.ask("GET", "/api/v1/streams", params={"limit": "1", "after": first.body["next"]})
        assert second.body["items"][0]["id"] != first.body["items"][0]["id"]


async def test_products_are_shown_pinned_unpinned_and_removed(edge: EdgeWorker) -> None:
    stream_id = await edge.stream()
    host, path = edge.token("host", "host"), f"/api/v1/streams/{stream_id}/products"
    put = await edge.ask("PUT", f"{path}/mug", token=host, json=PRODUCT)
    assert (put.status, put.body["id"], put.body["pinned"]) == (200, "mug", False)
    assert (await edge.ask("POST", f"{path}/mug/pin", token=host)).status == 204
    assert (await edge.ask("GET", f"/api/v1/streams/{stream_id}")).body["pinned"] == "mug"
    listed = await edge.ask("GET", path)
    assert (listed.body["next"], [p["pinned"] for p in listed.body["items"]]) == (None, [True])
    assert (await edge.ask("PUT", f"{path}/pot", token=host, json=PRODUCT)).status == 200
    ordered = await edge.ask("PUT", f"{path}/order", token=host, json={"product_ids": ["pot", "mug"]})
    assert (ordered.status, [p["id"] for p in (await edge.ask("GET", path)).body["items"]]) == (204, ["pot", "mug"])
    assert (await edge.ask("PUT", f"{path}/order", token=host, json={"product_ids": ["no"]})).status == 404
    assert (await edge.ask("DELETE", f"{path}/pot", token=host)).status == 204
    assert (await edge.ask("DELETE", f"{path}/other/pin", token=host)).status == 204
    assert (await edge.ask("GET", f"/api/v1/streams/{stream_id}")).body["pinned"] == "mug"
    assert (await edge.ask("DELETE", f"{path}/mug/pin", token=host)).status == 204
    assert (await edge.ask("GET", f"/api/v1/streams/{stream_id}")).body["pinned"] is None
    assert (await edge.ask("DELETE", f"{path}/mug", token=host)).status == 204
    assert (await edge.ask("POST", f"{path}/mug/pin", token=host)).code == "product_not_found"


async def test_a_deal_is_claimed_paid_and_refunded_over_http(edge: EdgeWorker) -> None:
    stream_id = await edge.stream()
    path = await open_deal(edge, stream_id)
    buyer, host = edge.token("buyer", "buy"), edge.token("host", "host")
    claimed = await edge.ask(
        "POST", f"{path}/claims", token=buyer, json={"units": 1}, headers={"Idempotency-Key": "k1"}
    )
    assert (claimed.status, claimed.body["state"]) == (201, "held"), claimed
    order = f"/api/v1/orders/{claimed.body['id']}"
    assert claimed.headers["Location"] == order
    again = await edge.ask("POST", f"{path}/claims", token=buyer, json={"units": 1}, headers={"Idempotency-Key": "k1"})
    assert (again.status, again.body["id"]) == (201, claimed.body["id"])
    declined = await edge.ask("POST", f"{order}/pay", token=buyer, json={"payment_token": "pm_declined"})
    assert (declined.status, declined.code) == (402, "payment_declined")
    paid = await edge.ask("POST", f"{order}/pay", token=buyer, json={"payment_token": "pm_ok"})
    assert (paid.status, paid.body["state"]) == (200, "paid")
    assert (await edge.ask("GET", order, token=buyer)).body["state"] == "paid"
    assert (await edge.ask("GET", order, token=host)).body["state"] == "paid"
    own = await edge.ask("GET", "/api/v1/orders", token=buyer, params={"stream": stream_id})
    assert [o["id"] for o in own.body["items"]] == [claimed.body["id"]]
    refunded = await edge.ask("POST", f"{order}/refund", token=host)
    assert (refunded.status, refunded.body["state"]) in {(200, "refund_pending"), (200, "refunded")}
    deal = await edge.ask("GET", path)
    assert deal.body["left"] + deal.body["held"] + deal.body["sold"] == deal.body["stock"]


async def test_a_held_order_is_given_back(edge: EdgeWorker) -> None:
    path = await open_deal(edge, await edge.stream(), stock=1)
    buyer = edge.token("buyer", "buy")
    claimed = await edge.ask("POST", f"{path}/claims", token=buyer, json={"units": 1}, headers={"Idempotency-Key": "k"})
    assert (await edge.ask("GET", path)).body["left"] == 0
    cancelled = await edge.ask("POST", f"/api/v1/orders/{claimed.body['id']}/cancel", token=buyer)
    assert (cancelled.status, cancelled.body["state"]) == (200, "cancelled")
    assert (await edge.ask("GET", path)).body["left"] == 1


async def test_a_deal_is_extended_closed_and_listed(edge: EdgeWorker) -> None:
    stream_id = await edge.stream()
    path, host = await open_deal(edge, stream_id), edge.token("host", "host")
    before = (await edge.ask("GET", path)).body["closes_at_ms"]
    extended = await edge.ask("POST", f"{path}/extend", token=host, json={"seconds": 30})
    assert (extended.status, extended.body["closes_at_ms"]) == (200, before + 30_000)
    assert (await edge.ask("POST", f"{path}/close", token=host)).body["state"] == "closed"
    listed = await edge.ask("GET", f"/api/v1/streams/{stream_id}/deals")
    assert [(d["id"], d["state"]) for d in listed.body["items"]] == [(path.rpartition("/")[2], "closed")]
    again = await edge.ask("POST", f"{path}/open", token=host)
    assert (again.status, again.code) == (409, "illegal_state")


async def test_the_journal_is_paged_for_the_host_and_exported_as_csv(edge: EdgeWorker) -> None:
    stream_id = await edge.stream()
    path, host = await open_deal(edge, stream_id, stock=9), edge.token("host", "host")
    for n in range(3):
        buyer = edge.token(f"b{n}", "buy", name="=cmd|' /C calc'!A0" if n == 0 else "Ann")
        answer = await edge.ask(
            "POST", f"{path}/claims", token=buyer, json={"units": 1}, headers={"Idempotency-Key": "k"}
        )
        assert answer.status == 201
    journal = f"/api/v1/streams/{stream_id}/orders"
    first = await edge.ask("GET", journal, token=host, params={"limit": "2"})
    rest = await edge.ask("GET", journal, token=host, params={"limit": "2", "after": first.body["next"]})
    assert [len(first.body["items"]), len(rest.body["items"]), rest.body["next"]] == [2, 1, None]
    export = await edge.ask("GET", journal, token=host, headers={"Accept": "text/csv"})
    lines = export.text.split("\r\n")
    assert export.headers["Content-Type"].startswith("text/csv")
    assert len([line for line in lines if line]) == 4
    assert lines[0].startswith("entry,at_ms,what,order_id")
    assert "'=cmd" in lines[1], "a spreadsheet must not take a name for a formula"


async def test_ending_a_stream_closes_its_deals_and_media_and_is_repeatable(edge: EdgeWorker) -> None:
    stream_id = await edge.stream()
    path, host = await open_deal(edge, stream_id), edge.token("host", "host")
    await edge.go_live(stream_id)
    for _ in range(2):
        ended = await edge.ask("DELETE", f"/api/v1/streams/{stream_id}", token=host)
        assert (ended.status, ended.body["state"]) == (200, "ended")
    assert (await edge.ask("GET", path)).body["state"] == "closed"
    assert edge.relay.sessions == {}
    refused = await edge.ask("POST", f"/api/v1/streams/{stream_id}/deals", token=host, json=DEAL)
    assert (refused.status, refused.code) == (409, "stream_ended")
    put = await edge.ask("PUT", f"/api/v1/streams/{stream_id}/products/p", token=host, json=PRODUCT)
    assert (put.status, put.code) == (409, "stream_ended")
    claim = await edge.ask(
        "POST", f"{path}/claims", token=edge.token("b", "buy"), json={"units": 1}, headers={"Idempotency-Key": "k"}
    )
    assert (claim.status, claim.code) == (409, "closed")


@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_public_reads_need_no_token(edge: EdgeWorker, method: str) -> None:
    stream_id = await edge.stream()
    for path in ("/api/v1/streams", f"/api/v1/streams/{stream_id}", f"/api/v1/streams/{stream_id}/deals"):
        assert (await edge.ask(method, path)).status == 200
