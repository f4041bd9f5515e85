"""A flash sale under load: more buyers than units, all at once, and every promise checked afterwards."""

from __future__ import annotations

import asyncio
import contextlib
import random
import resource
import time
from collections import Counter
from dataclasses import dataclass

import uvloop

from livecommerce.auth import TokenAuthority
from livecommerce.client import Client
from load_tests.buyers import Attempt, HttpWay, Way, WebSocketWay
from load_tests.own_server import own_server
from load_tests.report import Report, percentile
from load_tests.stock_watch import StockWatch

HOST = "load-host"
#: long enough that nothing expires while the sale is checked
HOLD_S, DURATION_S = 900, 900


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What to do; see the command's help."""

    buyers: int
    units: int
    claims: int
    over: str
    connections: int
    workers: int
    seed: int
    rate: float | None = None
    url: str | None = None
    secret: str | None = None


def measure(plan: Plan) -> Report:
    """Run the sale on our own server, or on the given one."""
    settings = {"buyers": plan.buyers, "units": plan.units, "claims_each": plan.claims, "over": plan.over}
    settings |= {"loop": f"open, {plan.rate:g} claims/s" if plan.rate else "closed"}
    settings |= {"http_connections": plan.connections, "seed": plan.seed, "url": plan.url or "own server"}
    report = Report("flash-sale", settings | ({} if plan.url else {"workers": plan.workers}))
    # A socket for each buyer, and some to spare.
    resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
    with contextlib.ExitStack() as stack:
        url, secret = plan.url, plan.secret
        if url is None or secret is None:
            # Every buyer here has the same address and speaks fast: loopback is exempt from limits by address.
            server = stack.enter_context(own_server("--workers", str(plan.workers)))
            url, secret = server.url, server.secret
        uvloop.run(_sale(plan, url, TokenAuthority(secret), report))
    return report


async def _sale(plan: Plan, url: str, tokens: TokenAuthority, report: Report) -> None:
    async with Client(url, token=tokens.mint(HOST, "Load host", ["host", "watch"]), timeout_s=60) as host:
        readiness = await host.request("GET", "/readyz")
        report.settings["durable"] = readiness.get("durable")
        stream_id = (await host.create_stream("Load test"))["id"]
        try:
            spec = {"title": "Load", "price": {"amount": 100, "currency": "EUR"}, "stock": plan.units}
            spec |= {"per_buyer_limit": 1, "duration_s": DURATION_S, "hold_s": HOLD_S}
            deal_id = (await host.create_deal(stream_id, spec))["id"]
            async with contextlib.AsyncExitStack() as stack:
                ways = await _ways(plan, url, tokens, stream_id, deal_id, stack)
                await host.step_deal(stream_id, deal_id, "open")
                started_s = time.monotonic()
                async with StockWatch(host, stream_id, deal_id) as stock:
                    attempts = await (_arrivals(plan, ways) if plan.rate else _rush(plan, ways))
                took_s = time.monotonic() - started_s
                _figures(report, attempts, took_s)
                stock.judge(report)
                await _verify(plan, host, stream_id, deal_id, ways, attempts, report)
        finally:
            await host.end_stream(stream_id)


async def _ways(
    plan: Plan, url: str, tokens: TokenAuthority, stream_id: str, deal_id: str, stack: contextlib.AsyncExitStack
) -> list[Way]:
    """Each buyer's way in; those over WebSocket are in the room before the doors open."""
    pools = {way: way.pool(plan.connections) for way in (HttpWay, WebSocketWay)}
    for pool in pools.values():
        await stack.enter_async_context(pool)
    ways: list[Way] = []
    for number in range(plan.buyers):
        token = tokens.mint(f"load-{number}", f"Buyer {number}", ["watch", "buy"])
        by_socket = plan.over == "websocket" or (plan.over == "both" and number % 2 == 0)
        kind: type[HttpWay | WebSocketWay] = WebSocketWay if by_socket else HttpWay
        ways.append(kind(Client(url, token=token, session=pools[kind], timeout_s=120), stream_id, deal_id))
    stack.push_async_callback(_leave, ways)
    # In groups: thousands of handshakes at once would only measure the accept queue.
    for start in range(0, len(ways), 100):
        await asyncio.gather(*(way.enter() for way in ways[start : start + 100]))
    random.Random(plan.seed).shuffle(ways)
    return ways


async def _leave(ways: list[Way]) -> None:
    await asyncio.gather(*(way.leave() for way in ways))


async def _rush(plan: Plan, ways: list[Way]) -> list[Attempt]:
    """Everybody at once; each claims again when answered, under a new key."""

    async def buyer(number: int, way: Way) -> list[Attempt]:
        return [await way.attempt(f"load-{plan.seed}-{number}-{claim}") for claim in range(plan.claims)]

    return [a for made in await asyncio.gather(*(buyer(n, way) for n, way in enumerate(ways))) for a in made]


async def _arrivals(plan: Plan, ways: list[Way]) -> list[Attempt]:
    """Open loop: claims fall due at a steady rate, in rounds over all buyers, and none waits for another's answer.

    A claim is timed from when it was due: a generator or server that falls behind shows in the latencies instead of
    quietly lowering the load (coordinated omission).
    """
    assert plan.rate is not None, "open loop"
    first_s = time.monotonic()
    tasks: list[asyncio.Task[Attempt]] = []
    async with asyncio.TaskGroup() as group:
        for count in range(plan.buyers * plan.claims):
            due_s = first_s + count / plan.rate
            # yields even when late, so that the claims already due leave
            await asyncio.sleep(max(0.0, due_s - time.monotonic()))
            claim, number = divmod(count, plan.buyers)
            key = f"load-{plan.seed}-{number}-{claim}"
            tasks.append(group.create_task(ways[number].attempt(key, due_s)))
    return [task.result() for task in tasks]


def _figures(report: Report, attempts: list[Attempt], took_s: float) -> None:
    figures = report.figures
    figures["claims answered"] = f"{len(attempts):,} in {took_s:.2f} s"
    figures["claims/s"] = f"{len(attempts) / took_s:,.0f}"
    first_s = min(a.started_s for a in attempts)
    for outcome, count in Counter(a.outcome for a in attempts).most_common():
        until_s = max(a.ended_s for a in attempts if a.outcome == outcome) - first_s
        figures[outcome] = f"{count:,} ({count / until_s:,.0f}/s until the last of them)"
    for way in sorted({a.way for a in attempts}):
        for name, group in (("accepted", True), ("refused", False)):
            times = [a.took_ms for a in attempts if a.way == way and (a.outcome == "accepted") == group]
            if times:
                figures[f"{way}, {name}: p50 / p99"] = f"{percentile(times, 50):,.0f} / {percentile(times, 99):,.0f} ms"


async def _verify(
    plan: Plan, host: Client, stream_id: str, deal_id: str, ways: list[Way], attempts: list[Attempt], report: Report
) -> None:
    """Read everything back from the server and compare it with what the buyers were told."""
    accepted = [a for a in attempts if a.outcome == "accepted"]
    orders = {a.order_id for a in accepted}
    sold = min(plan.units, plan.buyers)
    report.check(f"exactly {sold} orders", len(orders) == sold, f"{len(orders)}")
    report.check("one order for each accepted key", len(orders) == len({a.key for a in accepted}) == len(accepted))
    report.check("one order for each buyer at most", len({a.buyer for a in accepted}) == len(accepted))
    deal = await host.deal(stream_id, deal_id)
    counts = f"left {deal['left']}, held {deal['held']}, sold {deal['sold']}"
    right = deal["left"] == plan.units - sold and deal["left"] + deal["held"] + deal["sold"] == plan.units
    report.check("the deal's counts add up", right, counts)
    journal = await _journal(host, stream_id)
    report.check("the journal has these orders and no other", journal == Counter(orders), f"{journal.total()} claimed")
    by_buyer = {way.buyer: way for way in ways}
    again = await asyncio.gather(*(by_buyer[a.buyer].attempt(a.key) for a in accepted))
    same = sum(a.order_id == b.order_id for a, b in zip(accepted, again, strict=True))
    report.check("each accepted key asked again finds its order", same == len(accepted), f"{same} of {len(accepted)}")
    expected = {"accepted", "sold_out", "limit_reached"}
    others = sorted({a.outcome for a in attempts} - expected)
    report.check("no other answer than yes, sold out, or over the limit", not others, ", ".join(others))


async def _journal(host: Client, stream_id: str) -> Counter[str]:
    """How often each order was claimed, by the journal."""
    claimed: Counter[str] = Counter()
    after: str | None = None
    while True:
        page = await host.journal(stream_id, after=after)
        claimed.update(entry["order"]["id"] for entry in page["items"] if entry["what"] == "claimed")
        after = page["next"]
        if after is None:
            return claimed
