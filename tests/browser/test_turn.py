"""A network that lets no UDP of ours through: host and viewer come in by a real coturn, as the answer says."""

from __future__ import annotations

import contextlib
import secrets
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.async_api import Browser

from tests.browser.pages import DESK, open_page, open_watch, picture_moves, sign_in_to_studio
from tests.running import free_port, running_server

pytestmark = [
    pytest.mark.browser,
    pytest.mark.timeout(180),
    pytest.mark.skipif(shutil.which("turnserver") is None, reason="coturn is not installed (apt-get install coturn)"),
]

#: A browser that may send media to TURN servers only, and tells by which kind of candidate it got through.
STRICT_NETWORK = """
const Real = RTCPeerConnection;
window.peers = [];
window.RTCPeerConnection = class extends Real {
  constructor(options) {
    super({ ...options, iceTransportPolicy: "relay" });
    window.peers.push(this);
  }
};
"""
CANDIDATE = """async () => {
  const report = [...(await window.peers.at(-1).getStats()).values()];
  const pair = report.find(each => each.type === "candidate-pair" && each.nominated && each.state === "succeeded");
  return report.find(each => each.id === pair?.localCandidateId)?.candidateType;
}"""


@contextlib.contextmanager
def turn_server(folder: Path, secret: str) -> Iterator[str]:
    """A coturn on loopback with the options of docker/compose.yml that matter here; its ``turn:`` address."""
    port = free_port()
    options = ["--use-auth-secret", f"--static-auth-secret={secret}", "--realm=livecommerce", "--fingerprint"]
    options += [f"--listening-port={port}", "--listening-ip=127.0.0.1", "--relay-ip=127.0.0.1", "--no-tls", "--no-dtls"]
    options += ["--min-port=51000", "--max-port=51049", "--no-cli", "--no-multicast-peers"]
    # Only here do the peers live on loopback; the state stays in the test's folder.
    options += ["--allow-loopback-peers", f"--userdb={folder}/turn.db", f"--pidfile={folder}/turn.pid"]
    with (folder / "turn.log").open("wb") as log:
        process = subprocess.Popen(
            ["turnserver", "-n", "--log-file=stdout", *options], stdout=log, stderr=subprocess.STDOUT, cwd=folder
        )
    try:
        deadline = time.monotonic() + 30
        while not answers(port):
            if process.poll() is not None or time.monotonic() > deadline:
                raise AssertionError((folder / "turn.log").read_text())
            time.sleep(0.05)
        yield f"turn:127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(10)


def answers(port: int) -> bool:
    """Whether something takes TCP connections there."""
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
        return True
    return False


async def test_host_and_viewer_come_through_a_turn_server(browser: Browser, tmp_path: Path) -> None:
    """Without a direct path the pages go by the TURN server that the answer names; the picture moves."""
    secret = secrets.token_hex(16)
    with (
        turn_server(tmp_path, secret) as address,
        running_server(tmp_path / "server", "--turn-url", address, "--turn-secret", secret) as server,
    ):
        studio = await open_page(browser, f"{server.url}/studio", DESK, script=STRICT_NETWORK)
        stream_id = await sign_in_to_studio(studio, "Hanna", "A show behind a wall")
        await studio.get_by_test_id("go-live").click()
        viewer = await open_watch(browser, server.url, stream_id, script=STRICT_NETWORK)
        await picture_moves(viewer, "the viewer")
        assert await studio.evaluate(CANDIDATE) == "relay"
        assert await viewer.evaluate(CANDIDATE) == "relay"
