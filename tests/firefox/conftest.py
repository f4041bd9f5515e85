"""A Firefox for each test, and a server for each module."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from livecommerce.addresses import own_address
from tests.api import Api
from tests.firefox.bidi import Firefox, firefox
from tests.running import RunningServer, running_server


@pytest.fixture
async def fox(tmp_path: Path) -> AsyncIterator[Firefox]:
    """A real Firefox with a made-up camera and microphone."""
    program = shutil.which("firefox-esr") or shutil.which("firefox")
    if program is None:
        pytest.skip("Firefox is not installed (make firefox installs it, or apt-get install firefox-esr)")
    if own_address() is None:
        pytest.skip("Firefox sends no media to loopback, and this machine has no other address")
    profile = tmp_path / "profile"
    profile.mkdir()
    async with firefox(program, profile) as running:
        yield running


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    with running_server(tmp_path_factory.mktemp("firefox")) as running:
        yield running


@pytest.fixture
async def api(server: RunningServer) -> AsyncIterator[Api]:
    async with Api(server.url) as client:
        yield client
