"""A worker: what it is told, how the relay's news becomes a stream's state, and how it leaves."""

from __future__ import annotations

import asyncio
import datetime
import ssl
import subprocess
import sys
import time
import urllib.request
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import aiohttp
import psutil
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID
from redis.asyncio import Redis
from redis.exceptions import ConnectionError as RedisConnectionError

from livecommerce import addresses, media_state
from livecommerce.ids import new_id
from livecommerce.media_state import MediaReporter, Sweeper
from livecommerce.scripting import ScriptRunner
from livecommerce.settings import Settings, SettingsError
from livecommerce.worker_spec import WorkerSpec
from livecommerce.workers import WorkerDirectory
from streams.models import Host, Origin, StreamState
from streams.service import StreamService
from tests.api import Api
from tests.running import free_port, running_server


async def until(condition: Callable[[], bool], within_s: float = 10.0) -> None:
    deadline = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline, "not in time"
        await asyncio.sleep(0.01)


@pytest.fixture
def streams(redis: Redis, run_script: ScriptRunner) -> StreamService:
    return StreamService(redis, run_script, new_id=new_id)


@pytest.fixture
async def reporter(streams: StreamService) -> AsyncIterator[MediaReporter]:
    reporter = MediaReporter(streams, worker_id="w1")
    await reporter.start()
    yield reporter
    await reporter.aclose()


async def state_is(streams: StreamService, stream_id: str, state: StreamState) -> None:
    deadline = time.monotonic() + 10
    while (found := (await streams.get(stream_id)).state) is not state:
        assert time.monotonic() < deadline, f"still {found}"
        await asyncio.sleep(0.01)


async def new_stream(streams: StreamService) -> str:
    return (await streams.create("Mugs", Host("u1", "Hanna"))).id


async def test_media_makes_a_stream_live_and_silence_interrupts_it(
    streams: StreamService, reporter: MediaReporter
) -> None:
    stream_id = await new_stream(streams)
    await reporter.media_started(stream_id, "w1.a")
    await state_is(streams, stream_id, StreamState.LIVE)
    assert await streams.origin(stream_id) == Origin("w1", "w1.a")
    await reporter.media_stopped(stream_id, "w1.a")
    await state_is(streams, stream_id, StreamState.INTERRUPTED)


async def test_the_end_of_a_replaced_publisher_does_not_interrupt_its_successor(
    streams: StreamService, reporter: MediaReporter
) -> None:
    stream_id = await new_stream(streams)
    await reporter.media_started(stream_id, "w1.a")
    await reporter.media_started(stream_id, "w1.b")
    await reporter.media_stopped(stream_id, "w1.a")
    await state_is(streams, stream_id, StreamState.LIVE)
    assert await streams.origin(stream_id) == Origin("w1", "w1.b")


async def test_a_worker_that_leaves_interrupts_its_streams(streams: StreamService) -> None:
    stream_id = await new_stream(streams)
    reporter = MediaReporter(streams, worker_id="w1")
    await reporter.start()
    await reporter.media_started(stream_id, "w1.a")
    await state_is(streams, stream_id, StreamState.LIVE)
    await reporter.aclose()
    await reporter.aclose()
    assert (await streams.get(stream_id)).state is StreamState.INTERRUPTED


async def test_news_is_told_again_until_valkey_heard_it(
    streams: StreamService, reporter: MediaReporter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(media_state, "RETRY_S", 0.01)
    went_live = streams.went_live
    lost: list[str] = []

    async def fails_twice(stream_id: str, *, worker_id: str, session_id: str) -> None:
        if len(lost) < 2:
            lost.append(session_id)
            raise RedisConnectionError("away")
        await went_live(stream_id, worker_id=worker_id, session_id=session_id)

    monkeypatch.setattr(streams, "went_live", fails_twice)
    stream_id = await new_stream(streams)
    await reporter.media_started(stream_id, "w1.a")
    await state_is(streams, stream_id, StreamState.LIVE)
    assert len(lost) == 2


async def test_a_stream_swept_while_its_media_goes_on_is_live_again(
    streams: StreamService, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(media_state, "COMPARE_S", 0.05)
    reporter = MediaReporter(streams, worker_id="w1")
    await reporter.start()
    stream_id = await new_stream(streams)
    await reporter.media_started(stream_id, "w1.a")
    await state_is(streams, stream_id, StreamState.LIVE)
    await streams.interrupted(stream_id, session_id="w1.a")
    await state_is(streams, stream_id, StreamState.LIVE)
    await reporter.aclose()


async def test_media_of_an_ended_stream_is_ended_too(streams: StreamService, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(media_state, "COMPARE_S", 0.05)
    ended: list[str] = []

    async def end_media(stream_id: str) -> None:
        ended.append(stream_id)

    reporter = MediaReporter(streams, worker_id="w1", end_media=end_media)
    await reporter.start()
    stream_id = await new_stream(streams)
    await reporter.media_started(stream_id, "w1.a")
    await state_is(streams, stream_id, StreamState.LIVE)
    await streams.end(stream_id)
    await until(lambda: ended == [stream_id])
    await reporter.aclose()
    assert ended == [stream_id]


async def test_the_streams_of_a_dead_worker_are_interrupted_only_after_it_was_missed_repeatedly(
    streams: StreamService, redis: Redis
) -> None:
    alive = WorkerDirectory(redis, worker_id=new_id("w"), address="http://127.0.0.1:1")
    await alive.start()
    dead, healthy = await new_stream(streams), await new_stream(streams)
    await streams.went_live(dead, worker_id="dead", session_id="dead.a")
    await streams.went_live(healthy, worker_id=alive._worker_id, session_id="alive.a")
    sweeper = Sweeper(streams, alive)
    for _ in range(media_state.MISSES - 1):
        await sweeper.sweep()
        assert (await streams.get(dead)).state is StreamState.LIVE
    await sweeper.sweep()
    assert (await streams.get(dead)).state is StreamState.INTERRUPTED
    assert (await streams.get(healthy)).state is StreamState.LIVE
    await alive.aclose()


def test_a_spec_arrives_as_it_was_sent() -> None:
    spec = WorkerSpec(
        index=3,
        settings=Settings(data_dir=Path("/data"), trusted_proxy=("10.0.0.0/8",)),
        valkey_url="unix:///v",
        advertise=("127.0.0.1",),
        ready_fd=7,
    )
    assert WorkerSpec.decode(spec.encode()) == spec


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        (Settings(), ("127.0.0.1",)),
        (Settings(host="localhost"), ("127.0.0.1",)),
        (Settings(host="192.0.2.7"), ("192.0.2.7",)),
        (Settings(host="0.0.0.0", media_host="203.0.113.7, 2001:db8::1"), ("203.0.113.7", "2001:db8::1")),
        (Settings(media_host="localhost"), ("127.0.0.1",)),
    ],
)
def test_the_addresses_viewers_are_told(settings: Settings, expected: tuple[str, ...]) -> None:
    assert addresses.advertised(settings) == expected


def test_a_media_host_without_an_address_is_refused_in_words() -> None:
    with pytest.raises(SettingsError, match=r"nowhere\.invalid has no address"):
        addresses.advertised(Settings(media_host="nowhere.invalid"))


def test_workers_hear_each_other_on_loopback_unless_there_are_other_machines() -> None:
    assert addresses.private_host(Settings(host="0.0.0.0")) == ("127.0.0.1", "127.0.0.1")
    assert addresses.private_host(Settings(redis_url="redis://v")) == ("127.0.0.1", "127.0.0.1")
    assert addresses.private_host(Settings(host="10.0.0.7", redis_url="redis://v")) == ("10.0.0.7", "10.0.0.7")
    bind, told = addresses.private_host(Settings(host="0.0.0.0", redis_url="redis://v"))
    assert bind == "0.0.0.0"
    assert told not in ("0.0.0.0", "")


async def test_a_stopping_server_tells_viewers_to_come_back(tmp_path: Path) -> None:
    with running_server(tmp_path) as server:
        async with Api(server.url) as api:
            guest = await api.guest("Ann")
            stream_id = await api.stream(guest)
            async with api.http.ws_connect(f"{server.url}/ws/{stream_id}") as socket:
                await socket.send_json({"id": 1, "do": "join", "token": guest.token})
                assert "ok" in await socket.receive_json(timeout=10)
                server.process.terminate()
                while (message := await socket.receive(timeout=10)).type is aiohttp.WSMsgType.TEXT:
                    pass
                assert (message.type, socket.close_code) == (aiohttp.WSMsgType.CLOSE, 3001)
        assert await asyncio.to_thread(server.process.wait, 5) == 0


async def test_data_and_tokens_survive_a_restart(tmp_path: Path) -> None:
    port = free_port()
    with running_server(tmp_path, port=port) as server:
        async with Api(server.url) as api:
            host = await api.guest("Hanna")
            stream_id = await api.stream(host, "Mugs")
    with running_server(tmp_path, port=port) as server:
        async with Api(server.url) as api:
            found = await api.call("GET", f"/api/v1/streams/{stream_id}")
            assert (found.status, found.body["title"], found.body["host"]["id"]) == (200, "Mugs", host.id)
            ended = await api.call("DELETE", f"/api/v1/streams/{stream_id}", host)
            assert ended.status < 300, "the token of before the restart still counts"


def write_certificate(folder: Path) -> tuple[Path, Path]:
    """A certificate for localhost, signed by itself, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    (folder / "cert.pem").write_bytes(certificate.public_bytes(Encoding.PEM))
    (folder / "key.pem").write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return folder / "cert.pem", folder / "key.pem"


def test_https_is_served_with_the_given_certificate(tmp_path: Path) -> None:
    certificate, key = write_certificate(tmp_path)
    url, log = f"https://localhost:{(port := free_port())}", tmp_path / "log"
    options = ["--port", str(port), "--tls-cert", str(certificate), "--tls-key", str(key)]
    with log.open("w") as sink:
        process = subprocess.Popen(
            [sys.executable, "-m", "livecommerce", "serve", *options], cwd=tmp_path, stdout=sink, stderr=sink
        )
    try:
        deadline = time.monotonic() + 60
        while f"{url}/studio" not in log.read_text():
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.02)
        trusted = ssl.create_default_context(cafile=certificate)
        with urllib.request.urlopen(f"{url}/readyz", context=trusted, timeout=10) as answer:
            assert answer.status == 200
        with pytest.raises(OSError, match=r"(?i)certificate|self-signed"):
            urllib.request.urlopen(f"{url}/readyz", timeout=10)
    finally:
        process.terminate()
        assert process.wait(10) == 0
    assert "Traceback" not in log.read_text()


async def test_metrics_cover_all_workers_whichever_answers(tmp_path: Path) -> None:
    with running_server(tmp_path, "--workers", "2") as server:
        await until(lambda: "/studio" in server.output(), within_s=60)
        workers = [p for p in psutil.Process(server.process.pid).children() if "livecommerce.worker" in p.cmdline()]
        private = [c.laddr.port for w in workers for c in w.net_connections() if c.status == psutil.CONN_LISTEN]
        ports = sorted(set(private) - {int(server.url.rpartition(":")[2])})
        assert len(ports) == 2
        async with Api("http://127.0.0.1") as api:
            for port in ports:
                async with api.http.get(f"http://127.0.0.1:{port}/api/v1/streams/nowhere") as answer:
                    assert answer.status == 404
            counts = set()
            for port in ports:
                async with api.http.get(f"http://127.0.0.1:{port}/metrics") as answer:
                    lines = (await answer.text()).splitlines()
                    counts.add(next(line for line in lines if "requests_total" in line and 'status="404"' in line))
        assert len(counts) == 1
        assert counts.pop().endswith(" 2.0")
