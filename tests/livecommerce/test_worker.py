"""A worker: what it is told, how it is reached, and how it leaves."""

from __future__ import annotations

import asyncio
import datetime
import resource
import secrets
import socket
import ssl
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import aiohttp
import psutil
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from livecommerce import addresses, worker
from livecommerce.settings import Settings, SettingsError
from livecommerce.worker_spec import WorkerSpec
from tests.api import Api
from tests.livecommerce.rooms import eventually
from tests.running import free_port, running_server


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
    ("settings", "told", "bound"),
    [
        (Settings(), "198.51.100.4 127.0.0.1", "0.0.0.0"),
        (Settings(host="localhost"), "198.51.100.4 127.0.0.1", "0.0.0.0"),
        (Settings(host="::1"), "198.51.100.4 ::1", "::"),
        (Settings(host="192.0.2.7"), "192.0.2.7", "192.0.2.7"),
        (Settings(host="0.0.0.0"), "198.51.100.4 127.0.0.1", "0.0.0.0"),
        (Settings(host="::"), "198.51.100.4 2001:db8::7 127.0.0.1", "::"),
        (Settings(host="0.0.0.0", media_host="203.0.113.7, 2001:db8::1"), "203.0.113.7 2001:db8::1", "0.0.0.0"),
        (Settings(media_host="203.0.113.7"), "203.0.113.7", "0.0.0.0"),
        (Settings(media_host="localhost"), "127.0.0.1", "127.0.0.1"),
    ],
)
def test_the_addresses_viewers_are_told_and_can_reach(
    settings: Settings, told: str, bound: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Beside loopback this machine's own address, for Firefox; a proxy's neighbour takes media from everywhere."""
    own = {socket.AF_INET: "198.51.100.4", socket.AF_INET6: "2001:db8::7"}
    monkeypatch.setattr(addresses, "own_address", own.get)
    assert addresses.advertised(settings) == tuple(told.split())
    assert addresses.media_bind(settings, told.split()) == bound


def test_without_a_network_loopback_is_all_there_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(addresses, "own_address", lambda _: None)
    assert addresses.advertised(Settings()) == ("127.0.0.1",)
    assert addresses.media_bind(Settings(), ["127.0.0.1"]) == "127.0.0.1"
    assert addresses.advertised(Settings(host="0.0.0.0")) == ("127.0.0.1",)


@pytest.mark.parametrize(
    ("settings", "told", "now"),
    [
        (Settings(), "198.51.100.4 127.0.0.1", "203.0.113.9 127.0.0.1"),
        (Settings(host="0.0.0.0"), "127.0.0.1", "203.0.113.9 127.0.0.1"),
        (Settings(host="::1"), "198.51.100.4 ::1", "203.0.113.9 ::1"),
        (Settings(host="::"), "127.0.0.1", "203.0.113.9 2001:db8::9 127.0.0.1"),
        # bound to loopback alone; bound to what it tells; told by the operator
        (Settings(), "127.0.0.1", None),
        (Settings(host="192.0.2.7"), "192.0.2.7", None),
        (Settings(host="0.0.0.0", media_host="198.51.100.4"), "198.51.100.4", None),
    ],
)
def test_a_laptop_that_changed_networks_tells_its_new_address(
    settings: Settings, told: str, now: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = {socket.AF_INET: "203.0.113.9", socket.AF_INET6: "2001:db8::9"}
    monkeypatch.setattr(addresses, "own_address", own.get)
    read = addresses.reread(settings, told.split())
    assert (" ".join(read()) if read is not None else None) == now


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


@pytest.mark.parametrize(
    ("own", "heard"),
    [
        ({socket.AF_INET: "203.0.113.9", socket.AF_INET6: "2001:db8::9"}, ("0.0.0.0", "203.0.113.9")),
        ({socket.AF_INET6: "2001:db8::9"}, ("::", "2001:db8::9")),
        ({}, ("0.0.0.0", "127.0.0.1")),
    ],
)
def test_workers_of_machines_with_ipv6_hear_each_other_by_an_address_that_there_is(
    own: dict[int, str], heard: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(addresses, "own_address", own.get)
    assert addresses.private_host(Settings(host="::", redis_url="redis://v")) == heard


@pytest.mark.skipif(not socket.has_dualstack_ipv6(), reason="this machine has no IPv6")
def test_all_addresses_are_those_of_both_families(tmp_path: Path) -> None:
    """By two sockets, so that limits see IPv4 addresses as they are; the demo finds it by ``localhost``."""
    with running_server(tmp_path, "--host", "::", "--secret", secrets.token_urlsafe(48)) as server:
        port = int(server.url.rpartition(":")[2])
        for host in ("127.0.0.1", "[::1]"):
            with urllib.request.urlopen(f"http://{host}:{port}/healthz", timeout=10) as answer:
                assert answer.status == 200
        with pytest.raises(SettingsError, match=f"Port {port} is in use"):
            addresses.reserve("::", port)


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
        await eventually(lambda: "/studio" in server.output(), "the server is ready", timeout_s=60)
        workers = [p for p in psutil.Process(server.process.pid).children() if "livecommerce.worker" in p.cmdline()]
        private = [c.laddr.port for w in workers for c in w.net_connections() if c.status == psutil.CONN_LISTEN]
        ports = sorted(set(private) - {int(server.url.rpartition(":")[2])})
        assert len(ports) == 2
        async with Api("http://127.0.0.1") as api:
            for port in ports:
                async with api.http.get(f"http://127.0.0.1:{port}/api/v1/streams/nowhere") as answer:
                    assert answer.status == 404

            async def counted(port: int) -> str:
                async with api.http.get(f"http://127.0.0.1:{port}/metrics") as answer:
                    lines = (await answer.text()).splitlines()
                return next(line for line in lines if "requests_total" in line and 'status="404"' in line)

            # Others' counters are folded a moment later.
            deadline = time.monotonic() + 20
            while not all([(await counted(port)).endswith(" 2.0") for port in ports]):
                assert time.monotonic() < deadline
                await asyncio.sleep(0.05)


def test_a_worker_may_have_as_many_sockets_as_the_system_allows() -> None:
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (512, before[1]))
        worker.allow_sockets()
        assert resource.getrlimit(resource.RLIMIT_NOFILE) == (before[1], before[1])
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
