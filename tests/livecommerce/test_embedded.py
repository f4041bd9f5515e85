"""The data directory and the embedded Valkey: durable, alone, and gone with its supervisor."""

from __future__ import annotations

import asyncio
import os
import signal
import stat
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import psutil
import pytest

from livecommerce import data_dir, redis_client
from livecommerce.data_dir import DataDirectory, DataDirError, make_secret, read_secret
from livecommerce.embedded import EmbeddedError, EmbeddedValkey
from livecommerce.processes import LAUNCHER, KeptProcess


async def until(condition: Callable[[], bool], within_s: float = 10.0) -> None:
    deadline = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline, "the condition was not met in time"
        await asyncio.sleep(0.02)


@pytest.fixture
async def directory(tmp_path: Path) -> AsyncIterator[DataDirectory]:
    locked = DataDirectory(tmp_path / "data")
    await locked.lock()
    yield locked
    locked.close()


@pytest.fixture
async def valkey(directory: DataDirectory) -> AsyncIterator[EmbeddedValkey]:
    embedded = EmbeddedValkey(directory)
    await embedded.start()
    yield embedded
    await embedded.aclose()


async def test_it_syncs_before_it_answers_evicts_nothing_and_listens_for_its_owner_alone(
    valkey: EmbeddedValkey, directory: DataDirectory
) -> None:
    redis = redis_client.make(valkey.url)
    settings = await redis.config_get("appendonly", "appendfsync", "maxmemory-policy", "save", "port")
    await redis.aclose()
    assert settings == {
        "appendonly": "yes",
        "appendfsync": "always",
        "maxmemory-policy": "noeviction",
        "save": "",
        "port": "0",
    }
    assert stat.S_IMODE(directory.path.stat().st_mode) == 0o700
    assert stat.S_IMODE(directory.socket().stat().st_mode) == 0o700


async def test_a_killed_valkey_comes_back_on_the_same_address_with_all_it_acknowledged(valkey: EmbeddedValkey) -> None:
    redis = redis_client.make(valkey.url)
    await redis.set("order", "paid")
    killed = valkey.pid
    assert killed is not None
    os.kill(killed, signal.SIGKILL)
    await until(lambda: valkey.pid not in (None, killed))
    deadline = time.monotonic() + 10
    while True:
        try:
            assert await redis.get("order") == b"paid"
            break
        except (redis_client.RedisError, OSError):
            assert time.monotonic() < deadline
            await asyncio.sleep(0.02)
    await redis.aclose()


async def test_closing_twice_is_safe_and_leaves_no_process_and_no_socket(directory: DataDirectory) -> None:
    embedded = EmbeddedValkey(directory)
    await embedded.start()
    pid = embedded.pid
    assert pid is not None
    await embedded.aclose()
    await embedded.aclose()
    assert not psutil.pid_exists(pid)
    assert not directory.socket().exists()


async def test_a_directory_in_use_is_refused_and_names_who_uses_it(
    directory: DataDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(data_dir, "LOCK_WAIT_S", 0.1)
    with pytest.raises(DataDirError, match=rf"in use by process {os.getpid()};"):
        await DataDirectory(directory.path).lock()


async def test_the_lock_lasts_as_long_as_valkey_does(
    directory: DataDirectory, valkey: EmbeddedValkey, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(data_dir, "LOCK_WAIT_S", 0.1)
    directory.close()
    with pytest.raises(DataDirError, match="in use"):
        await DataDirectory(directory.path).lock()
    await valkey.aclose()
    again = DataDirectory(directory.path)
    await again.lock()
    again.close()


async def test_a_path_too_long_for_a_socket_gets_a_short_private_one_that_is_always_the_same(tmp_path: Path) -> None:
    deep = tmp_path / ("d" * 100) / "data"
    directory = DataDirectory(deep)
    await directory.lock()
    embedded = EmbeddedValkey(directory)
    await embedded.start()
    socket = directory.socket()
    assert len(os.fsencode(socket)) <= data_dir.MAX_SOCKET_PATH
    assert socket == DataDirectory(deep).socket()
    assert stat.S_IMODE(socket.parent.stat().st_mode) == 0o700
    redis = redis_client.make(embedded.url)
    assert await redis.ping()
    await redis.aclose()
    await embedded.aclose()
    directory.close()
    assert not socket.parent.exists()


async def test_a_short_place_that_others_can_enter_is_refused(tmp_path: Path) -> None:
    directory = DataDirectory(tmp_path / ("d" * 100))
    folder = directory.socket().parent
    try:
        folder.chmod(0o777)
        with pytest.raises(DataDirError, match="belongs to somebody else"):
            directory.socket()
    finally:
        folder.rmdir()


async def test_a_path_with_spaces_and_percents_works(tmp_path: Path) -> None:
    directory = DataDirectory(tmp_path / "my 100% data?#")
    await directory.lock()
    embedded = EmbeddedValkey(directory)
    await embedded.start()
    redis = redis_client.make(embedded.url)
    assert await redis.ping()
    await redis.aclose()
    await embedded.aclose()
    directory.close()


async def test_a_directory_that_cannot_be_made_is_refused_in_words(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DataDirError, match="cannot be used: Not a directory"):
        await DataDirectory(tmp_path / "file" / "data").lock()


async def test_a_damaged_file_is_refused_with_valkeys_own_words(directory: DataDirectory) -> None:
    embedded = EmbeddedValkey(directory)
    await embedded.start()
    await embedded.aclose()
    [log] = (directory.valkey / "appendonlydir").glob("*.incr.aof")
    log.write_bytes(b"this is no append-only file, and too long to be the torn end of one\r\n" * 10)
    with pytest.raises(EmbeddedError, match=r"(?s)does not start.*Bad file format"):
        await EmbeddedValkey(directory).start()


def test_the_secret_is_made_once_and_readable_by_its_owner_alone(tmp_path: Path) -> None:
    assert read_secret(tmp_path) is None
    secret = make_secret(tmp_path)
    assert len(secret.encode()) >= 32
    assert make_secret(tmp_path) == secret == read_secret(tmp_path)
    assert stat.S_IMODE((tmp_path / "secret").stat().st_mode) == 0o600
    assert [path.name for path in tmp_path.iterdir()] == ["secret"]


async def test_makers_of_a_secret_at_the_same_time_agree(tmp_path: Path) -> None:
    made = await asyncio.gather(*(asyncio.to_thread(make_secret, tmp_path) for _ in range(8)))
    assert len(set(made)) == 1


async def test_a_child_that_keeps_dying_is_started_again_ever_more_slowly() -> None:
    deaths: list[tuple[float, int]] = []
    child = KeptProcess(
        "doomed", [sys.executable, "-c", "raise SystemExit(3)"],
        on_exit=lambda _pid, status: deaths.append((time.monotonic(), status)),
    )  # fmt: skip
    await child.start()
    await until(lambda: len(deaths) >= 4)
    await child.aclose()
    await child.aclose()
    assert {status for _, status in deaths} == {3}
    assert deaths[3][0] - deaths[2][0] >= 0.4, "the third wait is 0.1 s doubled twice"


async def test_a_child_that_ignores_sigterm_is_killed() -> None:
    heard: list[str] = []
    code = (
        "import signal,time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True); time.sleep(60)"
    )
    child = KeptProcess("deaf", [sys.executable, "-c", code], on_line=heard.append)
    await child.start()
    await until(lambda: heard == ["deaf"])
    pid = child.pid
    assert pid is not None
    await child.aclose(timeout_s=0.1)
    assert not psutil.pid_exists(pid)


async def test_a_child_gets_its_payload_and_none_of_our_own_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIVECOMMERCE_SECRET", "not for children")
    heard: list[str] = []
    code = "import os,sys; print(sys.stdin.read(), os.environ.get('LIVECOMMERCE_SECRET'))"
    child = KeptProcess("child", [sys.executable, "-c", code], payload=b"hello", on_line=heard.append, restart=False)
    await child.start()
    await until(lambda: bool(heard))
    await child.aclose()
    assert heard == ["hello None"]


def test_the_launcher_starts_nothing_once_the_parent_is_gone() -> None:
    # Our parent's pid is not the launcher's parent: as if the supervisor had died before the signal was asked for.
    command = [sys.executable, "-I", "-S", str(LAUNCHER), str(os.getppid()), "/bin/echo", "started"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert "the parent is gone" in done.stderr
