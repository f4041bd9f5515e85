"""What every test may use: a real Valkey, a client of it, and a fresh stream id."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from playwright.async_api import Browser
from redis.asyncio import Redis
from xdist.scheduler import LoadFileScheduling

from livecommerce import redis_client
from livecommerce.ids import new_id
from livecommerce.scripting import ScriptRunner
from tests.browser.chromium import chromium, require_chromium
from tests.valkey import valkey_server

#: files outside tests/browser whose tests need a browser
BROWSER_FILES = (
    "tests/livecommerce/test_demo_browser.py",
    "tests/load_tests/test_measures.py",
    "tests/streams/test_chromium.py",
    "tests/streams/test_simulcast_chromium.py",
)

# How fast an example is says something of the machine only; what is wrong with one is found at any speed.
settings.register_profile("unhurried", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("unhurried")


class OneBrowser(LoadFileScheduling):  # type: ignore[misc]  # ships no types
    """What one process of several runs: the tests of one file, or all that need a browser."""

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.partition("::")[0]
        return "browser" if file.startswith("tests/browser/") or file in BROWSER_FILES else file


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> OneBrowser:
    """Two browsers at a time would take the machine's cores from each other, and from the servers they look at."""
    return OneBrowser(config, log)


@pytest.fixture(scope="session")
def valkey_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a real Valkey shared by the whole test session: use unique stream ids."""
    with valkey_server(tmp_path_factory.mktemp("valkey")) as url:
        yield url


@pytest.fixture
async def redis(valkey_url: str) -> AsyncIterator[Redis]:
    """An asyncio client without retries, as the server uses it."""
    client = redis_client.make(valkey_url)
    yield client
    await client.aclose()


@pytest.fixture
def run_script(redis: Redis) -> ScriptRunner:
    """The script runner with the real emit prelude."""
    return ScriptRunner(redis)


@pytest.fixture
def stream_id() -> str:
    """A stream id no other test uses."""
    return new_id("s")


@pytest.fixture
async def browser() -> AsyncIterator[Browser]:
    """A real Chromium with a fake camera and microphone."""
    require_chromium()
    async with chromium() as running:
        yield running
