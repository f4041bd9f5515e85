"""FFmpeg publishes by WHIP: H.264, ``setup:passive`` (we open the handshake), deaf to keyframe requests."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

import av
import pytest

from streams.relay import Relay
from tests.streams.front import front
from tests.streams.peers import Viewer, until

pytestmark = pytest.mark.skipif(
    "whip" not in av.formats_available and os.environ.get("CI") != "true",
    reason="this PyAV's FFmpeg has no WHIP muxer",
)


async def test_what_ffmpeg_publishes_is_seen_and_heard(relay: Relay, tmp_path: Path) -> None:
    async with front(relay) as url:
        address = url.replace("localhost", "127.0.0.1") + "whip/s1"
        host = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "tests.streams.ffmpeg_host", address, str(tmp_path), stderr=asyncio.subprocess.DEVNULL
        )
        try:
            await until("media", lambda: relay.stats("s1").get("keyframes_received"))
            first = await Viewer().view(relay, "s1")
            await until("the picture", lambda: first.frames["video"] > 30 and first.width == 320)
            await until("the sound", lambda: first.frames["audio"] > 30)
            await first.aclose()
            assert relay.stats("s1")["codecs"] == {"audio": "OPUS", "video": "H264"}
        finally:
            host.kill()
            await host.wait()
