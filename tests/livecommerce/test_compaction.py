"""The embedded Valkey's file is written anew in calm moments."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest

from livecommerce import compaction, embedded, redis_client
from livecommerce.compaction import Size, is_due
from livecommerce.data_dir import DataDirectory
from livecommerce.embedded import EmbeddedValkey

MB = 1 << 20


@pytest.mark.parametrize(
    ("megabytes", "grown_megabytes", "base_megabytes", "due"),
    [
        (63, 0, 1, False),  # too small to be worth it
        (65, 0, 1, True),
        (65, 1, 1, True),  # 205 KB a second
        (65, 2, 1, False),  # 410 KB a second: a sale
        (199, 0, 100, False),  # has not doubled
        (200, 0, 100, True),
        (1000, 20, 100, False),  # a long sale
        (1024, 20, 100, True),  # too long
        (1500, 20, 400, False),
        (1600, 20, 400, True),  # four times
    ],
)
def test_when_it_is_due(megabytes: int, grown_megabytes: int, base_megabytes: int, due: bool) -> None:
    before = Size((megabytes - grown_megabytes) * MB, base_megabytes * MB, 100.0)
    assert is_due(before, Size(megabytes * MB, base_megabytes * MB, 105.0)) is due


async def test_a_file_that_has_grown_is_written_anew_once_it_is_calm(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Valkey's own rule (64 MB) does not come into it: it is told when."""
    monkeypatch.setattr(embedded, "LOOK_S", 0.05)
    monkeypatch.setattr(compaction, "MIN_BYTES", MB)
    monkeypatch.setattr(compaction, "CALM_BYTES_PER_S", -1)
    directory = DataDirectory(tmp_path / "data")
    await directory.lock()
    valkey = EmbeddedValkey(directory)
    await valkey.start()
    redis = redis_client.make(valkey.url)
    try:
        for number in range(24):
            await redis.set("order", f"{number}" * 60_000)
        assert (await redis.config_get("auto-aof-rewrite-percentage"))["auto-aof-rewrite-percentage"] == "0"
        for _ in range(3):
            await valkey._look()
        assert (await redis.info("persistence"))["aof_current_size"] > MB  # never calm: left as it is
        monkeypatch.setattr(compaction, "CALM_BYTES_PER_S", 0)
        deadline = time.monotonic() + 20
        while (size := (await redis.info("persistence"))["aof_current_size"]) > MB:
            assert time.monotonic() < deadline, size
            await asyncio.sleep(0.05)
        assert await redis.get("order") == b"23" * 60_000
    finally:
        await redis.aclose()
        await valkey.aclose()
        directory.close()
