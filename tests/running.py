"""A real `livecommerce serve` for tests: its own process group, port and data directory."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

#: as long as a loaded CI machine may take to import everything in every process
START_TIMEOUT_S = 60


def free_port() -> int:
    """A TCP port nobody listens on at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@dataclass
class RunningServer:
    """A started server: where it answers, its supervisor, and what it printed."""

    url: str
    process: subprocess.Popen[bytes]
    log: Path

    def output(self) -> str:
        """All the server has printed so far."""
        return self.log.read_text("utf-8", "replace")


def healthy(url: str) -> bool:
    """Whether the server may take traffic."""
    try:
        with urllib.request.urlopen(f"{url}/readyz", timeout=5) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False


@contextlib.contextmanager
def running_server(folder: Path, *options: str, port: int | None = None) -> Iterator[RunningServer]:
    """Run `livecommerce serve` in ``folder`` until the block ends; waits until it is ready."""
    folder.mkdir(parents=True, exist_ok=True)
    port = port or free_port()
    log = folder / f"server-{port}.log"
    command = [sys.executable, "-m", "livecommerce", "serve", "--port", str(port)]
    if "--redis-url" not in options:
        command += ["--data-dir", str(folder / "data")]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("LIVECOMMERCE_")}
    environment["LIVECOMMERCE_WORKERS"] = "1"  # whatever the machine; those who want more say so
    with log.open("ab") as sink:
        process = subprocess.Popen(
            [*command, *options], stdout=sink, stderr=subprocess.STDOUT, cwd=folder, env=environment
        )
    server = RunningServer(f"http://127.0.0.1:{port}", process, log)
    try:
        deadline = time.monotonic() + START_TIMEOUT_S
        while not healthy(server.url):
            if process.poll() is not None or time.monotonic() > deadline:
                raise AssertionError(f"the server did not become ready:\n{server.output()}")
            time.sleep(0.05)
        yield server
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
