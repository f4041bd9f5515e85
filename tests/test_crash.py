"""kill -9 of workers and of the embedded Valkey while people buy: every "yes" survives, every key finds its order."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import aiohttp
import psutil

from tests.api import Answer, Api, Person
from tests.running import RunningServer, healthy, running_server

UNITS = 400


def children(server: RunningServer, *, valkey: bool) -> list[psutil.Process]:
    """The server's workers, or its Valkey."""
    processes = psutil.Process(server.process.pid).children(recursive=True)
    return [p for p in processes if ("valkey-server" in " ".join(p.cmdline())) == valkey]


async def until_healthy(server: RunningServer) -> None:
    deadline = time.monotonic() + 30
    while not await asyncio.to_thread(healthy, server.url):
        assert time.monotonic() < deadline, f"the server did not come back:\n{server.output()}"
        await asyncio.sleep(0.05)


async def claim_or_nothing(api: Api, buyer: Person, stream_id: str, deal_id: str, key: str) -> Answer | None:
    """One claim; None when the connection broke before an answer came."""
    try:
        return await api.claim(buyer, stream_id, deal_id, key)
    except (aiohttp.ClientError, TimeoutError):
        return None


async def settle(api: Api, buyer: Person, stream_id: str, deal_id: str, key: str) -> Answer:
    """Ask again with the same key until there is a definite answer."""
    deadline = time.monotonic() + 30
    while True:
        answer = await claim_or_nothing(api, buyer, stream_id, deal_id, key)
        if answer is not None and answer.status not in (202, 429, 503):
            return answer
        assert time.monotonic() < deadline, f"no definite answer for {key}: {answer}"
        await asyncio.sleep(0.1)


async def test_what_was_answered_yes_survives_the_death_of_workers_and_of_valkey(tmp_path: Path) -> None:
    with running_server(tmp_path, "--workers", "2") as server:
        async with Api(server.url) as api:
            host = await api.guest("Host")
            stream_id = await api.stream(host)
            deal_id = await api.open_deal(
                host, stream_id, stock=UNITS, per_buyer_limit=UNITS, duration_s=600, hold_s=600
            )
            buyers = [await api.guest(f"Buyer {i}") for i in range(20)]
            said_yes: dict[tuple[str, int], str] = {}
            asked: set[tuple[Person, int]] = set()
            stop = asyncio.Event()

            async def keep_buying(buyer: Person) -> None:
                attempt = 0
                while not stop.is_set():
                    attempt += 1
                    asked.add((buyer, attempt))
                    answer = await claim_or_nothing(api, buyer, stream_id, deal_id, f"k-{attempt}")
                    if answer is not None and answer.status == 201:
                        said_yes[buyer.id, attempt] = answer.body["id"]
                    elif answer is None or answer.status in (429, 503):
                        # the server is away: a person would wait a moment too
                        await asyncio.sleep(0.05)
                    else:
                        assert answer.status in (202, 409), answer

            buying = [asyncio.create_task(keep_buying(buyer)) for buyer in buyers]

            async def more_said_yes(count: int) -> None:
                target, deadline = len(said_yes) + count, time.monotonic() + 30
                while len(said_yes) < target:
                    assert time.monotonic() < deadline, f"buying stalled:\n{server.output()}"
                    await asyncio.sleep(0.005)

            await more_said_yes(30)
            children(server, valkey=False)[0].kill()
            await more_said_yes(30)
            children(server, valkey=True)[0].kill()
            await until_healthy(server)
            await more_said_yes(30)
            stop.set()
            await asyncio.gather(*buying)
            await until_healthy(server)

            truth = {
                (buyer.id, attempt): await settle(api, buyer, stream_id, deal_id, f"k-{attempt}")
                for buyer, attempt in sorted(asked, key=lambda pair: (pair[0].id, pair[1]))
            }
            for asked_key, order_id in said_yes.items():
                assert truth[asked_key].status == 201, f"{asked_key} was told yes, and it was lost"
                assert truth[asked_key].body["id"] == order_id, "the key answers with another order"
            orders = {answer.body["id"] for answer in truth.values() if answer.status == 201}
            assert len(orders) == sum(1 for answer in truth.values() if answer.status == 201), "an order was doubled"
            deal = await api.deal(stream_id, deal_id)
            assert deal["left"] + deal["held"] + deal["sold"] == deal["stock"] == UNITS
            assert deal["held"] + deal["sold"] == len(orders)
