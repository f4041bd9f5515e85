"""Debian's Chromium with a fake camera and microphone, in a new empty profile each time."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import AsyncIterator

import pytest
from playwright.async_api import Browser, async_playwright

ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    # Without these it asks for addresses that no test machine reaches, many at a time.
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--use-fake-device-for-media-stream",
    "--use-fake-ui-for-media-stream",
    "--autoplay-policy=no-user-gesture-required",
]


@contextlib.asynccontextmanager
async def chromium(*more: str) -> AsyncIterator[Browser]:
    """A running Chromium, with more arguments if given; closed at the end."""
    async with async_playwright() as playwright:
        path = shutil.which("chromium")
        running = await playwright.chromium.launch(executable_path=path, args=[*ARGUMENTS, *more], headless=True)
        try:
            yield running
        finally:
            await running.close()


def require_chromium() -> None:
    """Skip where there is no Chromium; under CI that is a failure."""
    if shutil.which("chromium") is None:
        if os.environ.get("CI") == "true":
            pytest.fail("Chromium is missing: install Debian's package chromium")
        pytest.skip("Chromium is not installed (apt-get install chromium)")
