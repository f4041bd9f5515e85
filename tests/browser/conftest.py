"""One Chromium and one server for the pages' tests: starting them took longer than many a test; see shared.py."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest
import pytest_asyncio
from playwright.async_api import Browser

from tests.browser.chromium import chromium, require_chromium
from tests.running import RunningServer, running_server


@pytest_asyncio.fixture(scope="package", loop_scope="package")
async def shared_chromium() -> AsyncIterator[Browser]:
    """A browser that goes on from test to test."""
    require_chromium()
    async with chromium() as running:
        yield running


@pytest.fixture(scope="package")
def shared_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """A server with its usual settings that goes on from test to test."""
    with running_server(tmp_path_factory.mktemp("pages")) as running:
        yield running
