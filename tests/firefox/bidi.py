"""A Firefox driven by WebDriver BiDi over its own WebSocket: https://w3c.github.io/webdriver-bidi/.

Playwright drives only a Firefox of its own making; the one that people have needs no more than this.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import itertools
import json
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp

START_TIMEOUT_S = 60
COMMAND_TIMEOUT_S = 60
#: Firefox, server and Valkey share two cores with whatever else runs: waits are long, passing is quick
PATIENCE_S = 40
ENTER, ESCAPE, TAB = "\ue007", "\ue00c", "\ue004"
#: What differs from a Firefox as it comes: a made-up camera and microphone that need no permission, sound without a
#: tap, and nothing asked of the network. None is about addresses: media must work as it does for people.
PREFERENCES = {
    "media.navigator.streams.fake": True,
    "media.navigator.permission.disabled": True,
    "media.autoplay.default": 0,
    "media.autoplay.blocking_policy": 0,
    "media.gmp-manager.updateEnabled": False,
    "app.normandy.enabled": False,
    "app.update.enabled": False,
    "browser.aboutwelcome.enabled": False,
    "browser.region.network.url": "",
    "browser.safebrowsing.downloads.enabled": False,
    "browser.safebrowsing.malware.enabled": False,
    "browser.safebrowsing.phishing.enabled": False,
    "browser.search.update": False,
    "browser.shell.checkDefaultBrowser": False,
    "browser.startup.page": 0,
    "datareporting.policy.dataSubmissionEnabled": False,
    "dom.push.connection.enabled": False,
    "extensions.systemAddon.update.enabled": False,
    "extensions.update.enabled": False,
    "network.captive-portal-service.enabled": False,
    "network.connectivity-service.enabled": False,
    "services.settings.server": "data:,#",
    "toolkit.telemetry.server": "data:,",
}


class Tab:
    """One page. ``complaints`` are its console's errors: uncaught exceptions, what its policy refused, …"""

    def __init__(self, firefox: Firefox, context: str) -> None:
        self.firefox, self.context = firefox, context
        self.complaints: list[str] = []

    async def _do(self, method: str, **parameters: Any) -> Any:
        return await self.firefox.command(method, context=self.context, **parameters)

    async def go(self, url: str) -> None:
        """Navigate, and wait until the page has loaded."""
        await self._do("browsingContext.navigate", url=url, wait="complete")

    async def reload(self) -> None:
        """Reload, and wait until the page has loaded."""
        await self._do("browsingContext.reload", wait="complete")

    async def _evaluate(self, expression: str) -> Any:
        target = {"context": self.context}
        said = await self.firefox.command("script.evaluate", expression=expression, target=target, awaitPromise=True)
        assert said["type"] == "success", said["exceptionDetails"]["text"]
        return said["result"]

    async def ask(self, expression: str) -> Any:
        """The value of a JavaScript expression, awaited if a promise, by way of JSON; AssertionError if it throws."""
        return json.loads(
            (await self._evaluate(f"(async () => JSON.stringify((await ({expression})) ?? null))()"))["value"]
        )

    async def until(self, expression: str, seconds: float = PATIENCE_S) -> Any:
        """Poll until the expression is true (throwing is false: a page may be half there); its value."""
        deadline, value = time.monotonic() + seconds, None
        while not value:
            assert time.monotonic() < deadline, f"never true: {expression} ({value}); complaints: {self.complaints}"
            with contextlib.suppress(AssertionError):
                value = await self.ask(expression)
            await asyncio.sleep(0.0 if value else 0.1)
        return value

    async def sees(self, testid: str, words: str = "", *, count: int | None = None) -> None:
        """Elements of the test id with these words are shown: one at least, or exactly ``count``."""
        found = f"{shown(testid)}.filter((e) => e.textContent.includes({json.dumps(words)})).length"
        await self.until(f"{found} > 0" if count is None else f"{found} === {count}")

    async def click(self, testid: str, *, pointer: str = "mouse") -> None:
        """Press the middle of the first shown element of this test id, as a mouse or a finger (``touch``) does."""
        first = f"{shown(testid)}.find((e) => !e.disabled)"
        await self.until(f"{first}.scrollIntoView({{ block: 'nearest', behavior: 'instant' }}) ?? true")
        element = {"sharedId": (await self._evaluate(first))["sharedId"]}
        move = {"type": "pointerMove", "x": 0, "y": 0, "origin": {"type": "element", "element": element}}
        press = [move, {"type": "pointerDown", "button": 0}, {"type": "pointerUp", "button": 0}]
        await self._perform(type="pointer", id=pointer, parameters={"pointerType": pointer}, actions=press)

    async def type(self, text: str) -> None:
        """Press these keys, wherever the focus is."""
        keys = [{"type": kind, "value": key} for key in text for kind in ("keyDown", "keyUp")]
        await self._perform(type="key", id="keyboard", actions=keys)

    async def fill(self, testid: str, text: str) -> None:
        """Put these words into a field in place of what is there."""
        await self.click(testid)
        await self.ask("document.activeElement.select()")
        await self.type(text)

    async def _perform(self, **source: Any) -> None:
        await self._do("input.performActions", actions=[source])

    async def resize(self, size: tuple[int, int]) -> None:
        """Give the page another viewport, in CSS pixels."""
        await self._do("browsingContext.setViewport", viewport={"width": size[0], "height": size[1]})

    async def picture(self) -> bytes:
        """What the viewport shows, as PNG."""
        return base64.b64decode((await self._do("browsingContext.captureScreenshot"))["data"])


class Firefox:
    """A session with a running Firefox."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket
        self._numbers = itertools.count(1)
        self._waiting: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self._tabs: dict[str, Tab] = {}

    async def read(self) -> None:
        """Hand out what Firefox says until it has gone: answers to who asked, complaints to their page."""
        async for message in self._socket:
            said = message.json()
            if said["type"] != "event":
                self._waiting.pop(said["id"]).set_result(said)
            elif said["params"]["level"] == "error" and (
                tab := self._tabs.get(said["params"]["source"].get("context"))
            ):
                tab.complaints.append(str(said["params"]["text"]))

    async def command(self, method: str, **parameters: Any) -> Any:
        """One command's result; AssertionError when Firefox refuses it, TimeoutError when it does not answer."""
        number = next(self._numbers)
        answer = self._waiting[number] = asyncio.get_running_loop().create_future()
        await self._socket.send_json({"id": number, "method": method, "params": parameters})
        said = await asyncio.wait_for(answer, COMMAND_TIMEOUT_S)
        assert said["type"] == "success", f"{method}: {said.get('error')}: {said.get('message')}"
        return said["result"]

    async def open(self, url: str, size: tuple[int, int], *, script: str = "") -> Tab:
        """A page in a window with storage of its own; ``script`` runs before the page's."""
        window = (await self.command("browser.createUserContext"))["userContext"]
        context = (await self.command("browsingContext.create", type="window", userContext=window))["context"]
        tab = self._tabs[context] = Tab(self, context)
        early = f"() => {{ {script} }}"
        await self.command("script.addPreloadScript", functionDeclaration=early, contexts=[context])
        await tab.resize(size)
        await tab.go(url)
        return tab


def shown(testid: str) -> str:
    """A JavaScript expression: the elements of this test id that are shown."""
    return f"[...document.querySelectorAll('[data-testid={testid}]')].filter((e) => e.checkVisibility())"


@contextlib.asynccontextmanager
async def firefox(program: str, profile: Path) -> AsyncIterator[Firefox]:
    """Run a Firefox with the empty folder ``profile`` as its profile until the block ends."""
    lines = [f"user_pref({json.dumps(name)}, {json.dumps(value)});\n" for name, value in PREFERENCES.items()]
    await asyncio.to_thread((profile / "user.js").write_text, "".join(lines))
    command = [program, "--headless", "--no-remote", "--profile", str(profile), "--remote-debugging-port=0"]
    quiet = asyncio.subprocess.DEVNULL
    process = await asyncio.create_subprocess_exec(*command, stdout=quiet, stderr=quiet)
    try:
        async with aiohttp.ClientSession() as http, http.ws_connect(await _address(profile), max_msg_size=0) as socket:
            running = Firefox(socket)
            reader = asyncio.create_task(running.read())
            await running.command("session.new", capabilities={})
            await running.command("session.subscribe", events=["log.entryAdded"])
            yield running
            reader.cancel()
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()


async def _address(profile: Path) -> str:
    """Where this Firefox listens: it says so in its profile."""
    said, deadline = profile / "WebDriverBiDiServer.json", time.monotonic() + START_TIMEOUT_S
    while True:
        with contextlib.suppress(OSError, ValueError):
            server = json.loads(await asyncio.to_thread(said.read_text))
            return f"ws://{server['ws_host']}:{server['ws_port']}/session"
        assert time.monotonic() < deadline, "Firefox did not start"
        await asyncio.sleep(0.05)
