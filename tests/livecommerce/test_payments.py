"""Money at the edge: the webhook route, the simulated provider's courier, and a shop's own provider."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import msgspec
import pytest
from redis.asyncio import Redis

from deals.models import Buyer, DealSpec, Money, Order, OrderState
from deals.payments import Declined, SimulatedPayments
from deals.webhooks import Webhook, sign
from livecommerce.auth import TokenAuthority
from livecommerce.limits import Rate
from livecommerce.payments import WEBHOOK_PATH, load, payments_of
from livecommerce.settings import Settings, SettingsError
from livecommerce.simulated_provider import WebhookCourier
from tests.api import Api
from tests.deals.helpers import until
from tests.livecommerce import shop_payments
from tests.livecommerce.edge import GENEROUS, EdgeWorker, edge_worker
from tests.running import running_server

SECRET = b"of this test"
SPEC = DealSpec("Mug", Money(500, "EUR"), stock=9, per_buyer_limit=9, duration_s=60, hold_s=60)
SHOP = "tests.livecommerce.shop_payments"
ROOT = str(Path(__file__).parents[2])


def now_ms() -> int:
    return int(time.time() * 1000)


async def _paying(worker: EdgeWorker, stream_id: str, token: str) -> Order:
    deals = worker.context.deals
    deal = await deals.create(stream_id, SPEC)
    await deals.open(stream_id, deal.id)
    order = await deals.claim(stream_id, deal.id, buyer=Buyer("ann", "Ann"), units=1, key="k", payment_token=token)
    assert order.state is OrderState.PAYING
    return order


async def _tell(worker: EdgeWorker, body: bytes, signature: str, **how: Any) -> Any:
    return await worker.ask("POST", WEBHOOK_PATH, data=body, headers={SimulatedPayments.SIGNATURE: signature}, **how)


async def test_the_route_takes_what_is_signed_and_nothing_else(redis: Redis, stream_id: str) -> None:
    payments = SimulatedPayments(redis, development=True, webhook_secret=SECRET)
    async with edge_worker(redis, payments=payments) as worker:
        order = await _paying(worker, stream_id, "pm_webhook_lost")
        body = msgspec.json.encode(Webhook(f"e.{order.id}", order.id))
        for signature in ("", sign(b"forged", body, now_ms()), sign(SECRET, body, now_ms() - 3_600_000)):
            refused = await _tell(worker, body, signature)
            assert (refused.status, refused.code) == (400, "webhook_refused")
        assert (await worker.context.deals.order(order.id)).state is OrderState.PAYING
        big = b'"' + b"x" * 300_000 + b'"'
        assert (await _tell(worker, big, sign(SECRET, big, now_ms()))).code == "too_large"
        for _ in range(2):
            assert (await _tell(worker, body, sign(SECRET, body, now_ms()))).status == 204
        assert (await worker.context.deals.order(order.id)).state is OrderState.PAID


async def test_who_forges_too_often_is_not_read_and_the_provider_is(
    redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    payments = SimulatedPayments(redis, development=True, webhook_secret=SECRET)
    limits = msgspec.structs.replace(GENEROUS, forgeries=Rate(0.01, 2))
    body, checked = msgspec.json.encode(Webhook("e", None)), 0

    def check(*args: Any) -> Webhook:
        nonlocal checked
        checked += 1
        return SimulatedPayments.webhook(payments, *args)

    monkeypatch.setattr(payments, "webhook", check)
    async with edge_worker(redis, payments=payments, limits=limits, trusted_proxy=("127.0.0.0/8",)) as worker:

        async def tell(address: str, secret: bytes) -> int:
            headers = {SimulatedPayments.SIGNATURE: sign(secret, body, now_ms()), "X-Forwarded-For": address}
            return (await worker.ask("POST", WEBHOOK_PATH, data=body, headers=headers)).status

        assert [await tell("203.0.113.1", b"forged") for _ in range(4)] == [400, 400, 429, 429]
        assert checked == 2, "a signature was made for who is not listened to"
        assert [await tell("203.0.113.2", SECRET) for _ in range(4)] == [204] * 4
        assert [await tell("127.0.0.1", b"forged") for _ in range(4)] == [400] * 4


@pytest.mark.parametrize("token", ["pm_webhook_twice", "pm_webhook_disordered"])
async def test_the_courier_brings_what_the_simulated_provider_has_to_tell(
    redis: Redis, stream_id: str, token: str
) -> None:
    payments = SimulatedPayments(redis, development=True, webhook_secret=SECRET)
    async with edge_worker(redis, payments=payments) as worker:
        courier = WebhookCourier(redis, worker.url + WEBHOOK_PATH, SECRET)
        order = await _paying(worker, stream_id, token)
        await courier.start()
        await courier.start()

        async def told() -> bool:
            waiting: Any = await redis.zrange(payments.OUTBOX, 0, -1)
            return not any(order.id.encode() in member for member in waiting)

        await until(told)
        await courier.aclose()
        await courier.aclose()
        assert (await worker.context.deals.order(order.id)).state is OrderState.PAID
        assert await redis.hget(payments.books(order.id), "captures") == b"1"


async def test_what_nobody_answers_is_kept_and_what_is_too_old_is_given_up(redis: Redis, stream_id: str) -> None:
    body = f'{{"id":"e","order_id":"{stream_id}"}}'
    fresh, old = f"0.{now_ms() - 1000} {body}", f"0.{now_ms() - 700_000} {body}"
    await redis.zadd(SimulatedPayments.OUTBOX, {fresh: 1, old: 1})
    courier = WebhookCourier(redis, "http://127.0.0.1:9/nobody", SECRET)
    await courier.start()

    async def given_up() -> bool:
        return await redis.zscore(SimulatedPayments.OUTBOX, old) is None

    await until(given_up)
    score: Any = await redis.zscore(SimulatedPayments.OUTBOX, fresh)
    assert score > now_ms()
    await courier.aclose()
    await redis.zrem(SimulatedPayments.OUTBOX, fresh)


async def test_a_server_outside_development_has_the_shops_provider_or_none(redis: Redis) -> None:
    tokens = TokenAuthority("a-secret-of-the-tests-with-32-bytes-at-least")
    public = Settings(public_url="https://shop.example")
    none, parts = payments_of(public, redis, tokens, "http://127.0.0.1:1")
    assert parts == ()
    with pytest.raises(Declined):
        await none.authorise("o", Money(1, "EUR"), "pm_ok")
    own, _ = payments_of(
        msgspec.structs.replace(public, payments=f"{SHOP}:provider"), redis, tokens, "http://127.0.0.1:1"
    )
    assert isinstance(own, shop_payments.ShopPayments)
    simulated, _ = payments_of(Settings(), redis, tokens, "http://127.0.0.1:1")
    assert isinstance(simulated, SimulatedPayments)


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("no_such_module:provider", "No module named"),
        (f"{SHOP}:nothing", "no attribute"),
        (f"{SHOP}:SECRET", "not callable"),
        (f"{SHOP}:half", "lacks authorise, capture, refund, status, webhook"),
        (f"{SHOP}:broken", "SHOP_KEY is not set"),
    ],
)
def test_a_provider_that_cannot_be_is_said_in_one_sentence(name: str, why: str) -> None:
    with pytest.raises(SettingsError, match=why):
        load(name)


@pytest.mark.parametrize("name", ["shop", "shop:", ":shop", "a b:c", "1a:b", "a..b:c", "a:b:c", "a:b()"])
def test_a_setting_of_another_shape_is_refused(name: str) -> None:
    with pytest.raises(SettingsError, match="--payments"):
        Settings(payments=name).checked()


async def test_a_shop_that_brings_its_own_provider_takes_money(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", ROOT)
    options = ("--payments", f"{SHOP}:provider", "--public-url", "https://shop.example")
    with running_server(tmp_path, *options) as server:
        assert "no payment provider" not in server.output()
        async with Api(server.url) as api:
            ann = await api.guest("Ann")
            stream_id = await api.stream(ann)
            deal_id = await api.open_deal(ann, stream_id, per_buyer_limit=3)

            async def pay(token: str) -> dict[str, Any]:
                order = (await api.claim(ann, stream_id, deal_id)).body
                answer = await api.call("POST", f"/api/v1/orders/{order['id']}/pay", ann, {"payment_token": token})
                return {"order": order["id"], "status": answer.status, "state": answer.body.get("state")}

            assert (await pay("pm_ok"))["status"] == 402
            assert (await pay("tok_visa"))["state"] == "paid"
            later = await pay("tok_transfer")
            assert later["state"] == "paying"
            body = msgspec.json.encode({"event": "1", "reference": later["order"]})
            headers = {shop_payments.HEADER: sign(shop_payments.SECRET, body, now_ms())}
            async with api.http.post(server.url + WEBHOOK_PATH, data=body, headers=headers) as answer:
                assert answer.status == 204
            now = await api.call("GET", f"/api/v1/orders/{later['order']}", ann)
            assert now.body["state"] == "paid"


def test_the_command_says_what_is_wrong_with_a_provider(tmp_path: Path) -> None:
    words = ("serve", "--port", "0", "--data-dir", str(tmp_path), "--payments", "no_such_module:provider")
    ended = subprocess.run([sys.executable, "-m", "livecommerce", *words], capture_output=True, text=True, timeout=60)
    assert ended.returncode == 1
    assert "--payments no_such_module:provider cannot be used" in ended.stderr
    assert "Traceback" not in ended.stderr
