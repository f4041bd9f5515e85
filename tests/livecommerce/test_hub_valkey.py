"""Rooms while Valkey itself is killed and comes back."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path

from redis.asyncio import Redis

from tests.livecommerce.rooms import eventually, room_worker
from tests.valkey import valkey_server


async def test_viewers_stay_while_valkey_is_killed_and_miss_nothing_when_it_is_back(tmp_path: Path) -> None:
    with valkey_server(tmp_path) as url:
        async with room_worker(url) as worker:
            stream_id = await worker.stream()
            ann, bob = await worker.join(stream_id, "ann"), await worker.join(stream_id, "bob")
            assert "ok" in await ann.do("chat.send", text="before", key="one")
            await bob.until(lambda: bob.texts == ["before"])
            probe = Redis.from_url(url)
            process_id = int((await probe.info("server"))["process_id"])
            await probe.aclose()
            os.kill(process_id, signal.SIGKILL)

            refused = await ann.do("chat.send", text="meanwhile", key="two")
            assert refused["err"]["code"] == "unavailable"
            assert refused["err"]["temporary"] is True
            await bob.until(lambda: [e["data"] for e in bob.events if e["type"] == "status"] == [{"state": "degraded"}])
            late = await worker.connect(stream_id)
            assert (await late.do("join", token=worker.token("cat")))["err"]["temporary"] is True
            assert await late.until_closed() == 3004

            with valkey_server(tmp_path):
                await eventually(lambda: worker.context.hub.bus.connected, "the bus is back", timeout_s=3)
                assert "ok" in await ann.do("chat.send", text="meanwhile", key="two")
                assert "ok" in await ann.do("chat.send", text="before", key="one")
                for viewer in (ann, bob):
                    async with asyncio.timeout(3):
                        await viewer.until(lambda v=viewer: v.texts == ["before", "meanwhile"])
                    assert viewer.offsets == [1, 2]
                await bob.until(lambda: [e for e in bob.events if e["type"] == "status"][-1]["data"] == {"state": "ok"})
                again = await worker.join(stream_id, "cat", epoch=ann.joined["epoch"], offset=1)
                assert again.joined["recovered"] is True
                await worker.context.hub.close_all(3001)
