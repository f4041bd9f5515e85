"""What every test may use: a real Valkey, a client of it, and a fresh stream id."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest
from hypothesis import HealthCheck, settings
from playwright.async_api import Browser
from redis.asyncio import Redis

from livecommerce import redis_client
from livecommerce.ids import new_id
from livecommerce.scripting import ScriptRunner
from tests.browser.chromium import chromium, require_chromium
from tests.valkey import valkey_server

# How fast an example is says something of the machine only; what is wrong with one is found at any speed.
settings.register_profile("unhurried", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("unhurried")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What one process of several runs: all that needs a browser, or the tests of one file."""
    for item in items:
        group = "browser" if item.get_closest_marker("browser") else item.path.name
        item.add_marker(pytest.mark.xdist_group(group))


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
