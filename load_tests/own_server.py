"""A server of our own to measure: started in a temporary folder, its process tree known, stopped at the end."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil

START_TIMEOUT_S = 120.0
#: from ready to the demo's first picture
LIVE_TIMEOUT_S = 30.0
#: the server promises to stop within 5 s
STOP_TIMEOUT_S = 10.0
#: how often readiness is asked for: what a start's measured time may be too long by
POLL_S = 0.01


class ServerError(Exception):
    """The server did not start; the text says what it printed."""


@dataclass(frozen=True)
class OwnServer:
    """A running server: where it answers, what signs its tokens, and how long its start took (``started_s``: began)."""

    url: str
    secret: str
    started_s: float
    start_s: float
    process: subprocess.Popen[bytes]
    log: Path

    def tree(self) -> list[psutil.Process]:
        """The supervisor and all its descendants."""
        supervisor = psutil.Process(self.process.pid)
        return [supervisor, *supervisor.children(recursive=True)]

    def until_live_s(self) -> float:
        """Wait until a stream is on the air: seconds since the start's command."""
        deadline_s = time.monotonic() + LIVE_TIMEOUT_S
        while not live(self.url):
            if time.monotonic() > deadline_s:
                raise ServerError(f"no stream was live within {LIVE_TIMEOUT_S:.0f} s:\n{self.log.read_text()[-2000:]}")
            time.sleep(POLL_S)
        return time.monotonic() - self.started_s


def free_port() -> int:
    """A TCP port nobody listens on at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def ready(url: str) -> bool:
    """Whether the server may take traffic."""
    try:
        with urllib.request.urlopen(f"{url}/readyz", timeout=5) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def live(url: str) -> bool:
    """Whether a stream is on the air: the list has the live ones first."""
    try:
        with urllib.request.urlopen(f"{url}/api/v1/streams?limit=1", timeout=5) as answer:
            items = json.load(answer)["items"]
    except (urllib.error.URLError, OSError):
        return False
    return bool(items) and items[0]["state"] == "live"


@contextlib.contextmanager
def own_server(
    *options: str, command: list[str] | None = None, folder: Path | None = None, timeout_s: float = START_TIMEOUT_S
) -> Iterator[OwnServer]:
    """Run ``livecommerce serve`` (or ``command``, to which the options are appended) until the block ends."""
    with tempfile.TemporaryDirectory(prefix="livecommerce-load-") as temporary:
        port, secret, log = free_port(), secrets.token_urlsafe(32), Path(temporary, "server.log")
        options = ("--port", str(port), "--secret", secret, "--data-dir", str(Path(temporary, "data")), *options)
        words = [*command[:-1], command[-1] + " ".join(options)] if command else None
        with log.open("wb") as sink:
            started_s = time.monotonic()
            process = subprocess.Popen(
                words or [sys.executable, "-m", "livecommerce", "serve", *options],
                stdout=sink,
                stderr=subprocess.STDOUT,
                cwd=folder,
                # Ctrl-C is for us: what was sold must still be there to be read back
                process_group=0,
                # a setting of the person at the keyboard must not change what is measured
                env={name: value for name, value in os.environ.items() if not name.startswith("LIVECOMMERCE_")}
                | {"LIVECOMMERCE_WORKERS": "1"},
            )
        url = f"http://127.0.0.1:{port}"
        try:
            _await_ready(url, process, log, started_s + timeout_s)
            yield OwnServer(url, secret, started_s, time.monotonic() - started_s, process, log)
        finally:
            _stop(process)


def _await_ready(url: str, process: subprocess.Popen[bytes], log: Path, deadline_s: float) -> None:
    while not ready(url):
        if process.poll() is not None or time.monotonic() > deadline_s:
            raise ServerError(f"the server did not become ready:\n{log.read_text('utf-8', 'replace')[-2000:]}")
        time.sleep(POLL_S)


def _stop(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is not None:
        return
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(STOP_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
