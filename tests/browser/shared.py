"""For modules whose tests take turns in one Chromium, and mostly at one server: each has windows and a show of its own.

Such a module has ``LOOP`` among its marks, for a browser belongs to the event loop it was started in, and takes over
the fixtures by name: ``browser, server, api = shared.browser, shared.server, shared.api``.
"""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from playwright.async_api import Browser

from tests.api import Api
from tests.running import RunningServer

LOOP = pytest.mark.asyncio(loop_scope="package")


@pytest_asyncio.fixture(loop_scope="package")
async def browser(shared_chromium: Browser) -> AsyncIterator[Browser]:
    """The browser; what a test leaves open in it is closed."""
    yield shared_chromium
    for context in shared_chromium.contexts:
        await context.close()


@pytest.fixture
def server(shared_server: RunningServer) -> RunningServer:
    """The server."""
    return shared_server


@pytest_asyncio.fixture(loop_scope="package")
async def api(server: RunningServer) -> AsyncIterator[Api]:
    """A client of the module's server."""
    async with Api(server.url) as client:
        yield client
