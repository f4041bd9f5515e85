"""Hosts and viewers by other hands: libraries from npm, as they are, against a real server.

Long by nature: npm installs them first (nothing of them is kept here); skipped where it cannot.
"""

from __future__ import annotations

import asyncio
import json
import logging
import shutil
import subprocess
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from playwright.async_api import Browser, Page

from tests.api import Api, Person
from tests.running import running_server

log = logging.getLogger(__name__)
pytestmark = [pytest.mark.soak, pytest.mark.browser, pytest.mark.timeout(400)]

OURS = Path(__file__).parents[1] / "foreign"
#: the versions that were tried, and what bundles those for browsers
PACKAGES = (
    "@eyevinn/whip-web-client@1.1.7",
    "@eyevinn/webrtc-player@0.13.0",
    "@roamhq/wrtc@0.10.0",
    "werift@0.24.4",
    "node-datachannel@0.33.4",
    "whip-whep@1.2.0",
    "esbuild@0.28.2",
)
PAGE = '<!doctype html><meta charset="utf-8"><title>foreign</title><link rel="icon" href="data:,">'
PAGE += '<video autoplay playsinline muted></video><script src="bundle.js"></script>'


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the libraries, our scripts beside them."""
    folder = tmp_path_factory.mktemp("npm")
    if shutil.which("npm") is None or shutil.which("node") is None:
        pytest.skip("node and npm are not installed")
    (folder / "package.json").write_text('{"private": true}')
    words = ("npm", "install", "--no-audit", "--no-fund", "--save-exact", *PACKAGES)
    done = subprocess.run(words, cwd=folder, capture_output=True, text=True, timeout=300, check=False)
    if done.returncode:
        pytest.skip(f"npm could not install the libraries: {done.stderr[-500:]}")
    for script in ("viewer.mjs", "page.mjs"):
        shutil.copy(OURS / script, folder)
    bundle = ("node_modules/.bin/esbuild", "page.mjs", "--bundle", "--format=iife", "--outfile=bundle.js")
    subprocess.run(bundle, cwd=folder, check=True, capture_output=True, timeout=60)
    return folder


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with running_server(tmp_path_factory.mktemp("foreign"), "--guests", "on") as running:
        yield running.url


@pytest.fixture
async def site(packages: Path) -> AsyncIterator[str]:
    """The libraries' page, on another origin than the server: CORS has to let it."""

    async def page(_: web.Request) -> web.Response:
        return web.Response(text=PAGE, content_type="text/html")

    app = web.Application()
    app.add_routes([web.get("/", page), web.static("/", packages)])
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield f"http://localhost:{runner.addresses[0][1]}/"
    await runner.cleanup()


async def comes(what: str, look: Callable[[], Awaitable[Any]], seconds: float = 40) -> Any:
    """Poll a coroutine until it is true."""
    deadline = time.monotonic() + seconds
    while not (found := await look()):
        assert time.monotonic() < deadline, f"never happened: {what}"
        await asyncio.sleep(0.1)
    return found


async def opened(browser: Browser, site: str) -> Page:
    page = await browser.new_page()
    page.on("console", lambda message: log.info("page: %s", message.text))
    await page.goto(site)
    await page.wait_for_function("window.ready")
    return page


class Show:
    """A stream whose host is a browser with the WHIP library."""

    def __init__(self, api: Api, host: Person, stream_id: str, page: Page) -> None:
        self.api, self.host, self.stream_id, self.page = api, host, stream_id, page
        self.whep = f"{api.url}/whep/{stream_id}"

    async def stats(self) -> dict[str, Any]:
        answer = await self.api.call("GET", f"/api/v1/streams/{self.stream_id}/stats", self.host)
        return dict(answer.body)


@pytest.fixture
def hand() -> str:
    """Whose libraries the pages use."""
    return "eyevinn"


@pytest.fixture
async def show(browser: Browser, server: str, site: str, hand: str) -> AsyncIterator[Show]:
    async with Api(server) as api:
        host = await api.guest("Host")
        stream_id = await api.stream(host, "By other hands")
        page = await opened(browser, site)
        told = [hand, f"{server}/whip/{stream_id}", host.token]
        session = await page.evaluate("([hand, to, token]) => by[hand].publish(to, token)", told)
        assert session.startswith(f"{server}/whip/{stream_id}/")
        show = Show(api, host, stream_id, page)

        async def live() -> bool:
            return bool((await show.stats()).get("packets_received", 0) > 50)

        await comes("media from the WHIP library", live)
        yield show
        await page.evaluate("stop()")

        async def over() -> bool:
            return (await show.stats()).get("publisher") is None

        await comes("the library's DELETE", over)


@pytest.mark.parametrize("hand", ["eyevinn", "medooze"])
async def test_a_host_and_a_viewer_by_other_hands(browser: Browser, show: Show, site: str, hand: str) -> None:
    """Some send no If-Match, one an ETag header with its candidates instead."""
    viewer = await opened(browser, site)
    guest = await show.api.guest("Viewer")
    await viewer.evaluate("([hand, from, token]) => by[hand].watch(from, token)", [hand, show.whep, guest.token])

    async def plays() -> dict[str, Any]:
        seen: dict[str, Any] = await viewer.evaluate("seen()")
        return seen if seen["frames"] > 60 else {}

    seen = await comes("a picture in the player", plays)
    assert (seen["errors"], seen["width"] > 0) == ([], True)
    assert (await show.stats())["viewers"] == 1
    await viewer.evaluate("stop()")

    async def alone() -> bool:
        return bool((await show.stats())["viewers"] == 0)

    await comes("the player's DELETE", alone)


@pytest.mark.parametrize("library", ["wrtc", "werift", "libdatachannel"])
async def test_viewers_by_node_s_libraries(show: Show, packages: Path, library: str) -> None:
    """The first is Google's own, the second is of TypeScript alone, the third is of C++."""
    guest = await show.api.guest("Viewer")
    process = await asyncio.create_subprocess_exec(
        *("node", "viewer.mjs", library, show.whep, guest.token, "5"), cwd=packages, stdout=asyncio.subprocess.PIPE
    )
    out, _ = await asyncio.wait_for(process.communicate(), 60)
    found = json.loads(out.decode().splitlines()[-1])
    log.info("%s", found)
    assert (found.get("error"), found["status"], found["connected"], found["left"]) == (None, 201, True, 200)
    assert found["video"] > 40
    assert found["audio"] > 40
