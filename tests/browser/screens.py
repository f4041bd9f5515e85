"""Retake the pictures in docs/screens: ``python -m tests.browser.screens [home] [watch] [studio]`` (``make screens``).

A real server and a real Chromium, whose camera is the demo's drawn show. Each picture waits for what it is to show.
"""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
from pathlib import Path

from tests.api import Api
from tests.browser import screens_studio
from tests.browser.camera import write_camera
from tests.browser.chromium import chromium
from tests.browser.screens_watch import take_homes, take_show, takes_into
from tests.running import running_server

#: elsewhere, to look before anything is overwritten
SCREENS = Path(os.environ.get("SCREENS", Path(__file__).parents[2] / "docs/screens"))


async def viewers(names: set[str]) -> None:
    """The pictures of the viewers' pages: home, watch."""
    with tempfile.TemporaryDirectory() as folder, running_server(Path(folder)) as server:
        async with chromium(write_camera(Path(folder))) as browser, Api(server.url) as api:
            if "home" in names:
                await take_homes(browser, api, takes_into(SCREENS))
            if "watch" in names:
                await take_show(browser, api, takes_into(SCREENS))


async def main(names: set[str]) -> None:
    """Take the pictures named, or all."""
    if names & {"home", "watch"}:
        await viewers(names)
    if "studio" in names:
        screens_studio.SCREENS = SCREENS
        await screens_studio.main()


if __name__ == "__main__":
    asyncio.run(main(set(sys.argv[1:]) or {"home", "watch", "studio"}))
