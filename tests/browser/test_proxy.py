"""A real nginx in front, as docs/proxy.md has it: studio, watch page, chat and event stream over its HTTPS."""

from __future__ import annotations

import contextlib
import re
import secrets
import shutil
import ssl
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import aiohttp
import pytest

from tests.browser.chromium import chromium, require_chromium
from tests.browser.pages import DESK, hears, open_page, open_watch, picture_moves, says, sign_in_to_studio, who_is
from tests.livecommerce.test_worker import write_certificate
from tests.running import free_port, running_server

pytestmark = [
    pytest.mark.browser,
    pytest.mark.timeout(180),
    pytest.mark.skipif(shutil.which("nginx") is None, reason="nginx is not installed (apt-get install nginx)"),
]

DOCUMENT = Path(__file__).parents[2] / "docs" / "proxy.md"
#: around what the document shows, so that it runs in a folder of its own and for its owner
FRAME = """
daemon off; pid {folder}/nginx.pid; error_log {folder}/error.log;
events {{ worker_connections 512; }}
http {{
    access_log off;
    client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
    {shown}
}}
"""


@contextlib.contextmanager
def nginx(folder: Path, port: int, behind: int) -> Iterator[None]:
    """The document's nginx on a port of loopback, in front of another."""
    found = re.search(r"```nginx\n(.*?)```", DOCUMENT.read_text(), re.DOTALL)
    assert found is not None
    shown = found[1].replace("listen 443", f"listen 127.0.0.1:{port}").replace("127.0.0.1:8080", f"127.0.0.1:{behind}")
    write_certificate(folder)
    settings = folder / "nginx.conf"
    settings.write_text(FRAME.format(folder=folder, shown=shown))
    process = subprocess.Popen(["nginx", "-p", str(folder), "-e", f"{folder}/error.log", "-c", str(settings)])
    try:
        deadline = time.monotonic() + 30
        while not (folder / "nginx.pid").exists():
            if process.poll() is not None or time.monotonic() > deadline:
                raise AssertionError((folder / "error.log").read_text())
            time.sleep(0.02)
        yield
    finally:
        process.terminate()
        process.wait(10)


async def test_a_show_goes_through_nginx(tmp_path: Path) -> None:
    require_chromium()
    port, behind = free_port(), free_port()
    url = f"https://localhost:{port}"
    options = ["--public-url", url, "--trusted-proxy", "127.0.0.1/32", "--allow-origin", url, "--guests", "on"]
    options += ["--secret", secrets.token_urlsafe(48)]
    (folder := tmp_path / "nginx").mkdir()
    async with contextlib.AsyncExitStack() as stack:
        stack.enter_context(running_server(tmp_path / "server", *options, port=behind))
        stack.enter_context(nginx(folder, port, behind))
        browser = await stack.enter_async_context(chromium("--ignore-certificate-errors"))
        studio = await open_page(browser, f"{url}/studio", DESK)
        stream_id = await sign_in_to_studio(studio, "Hanna", "A show behind nginx")
        await studio.get_by_test_id("go-live").click()
        viewer = await open_watch(browser, url, stream_id)
        await picture_moves(viewer, "the viewer")
        trust = ssl.create_default_context(cafile=folder / "cert.pem")
        session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=trust), timeout=aiohttp.ClientTimeout(30))
        http = await stack.enter_async_context(session)
        token = (await who_is(viewer)).token
        async with http.get(f"{url}/sse/{stream_id}", params={"token": token}) as events:
            assert events.status == 200, await events.text()
            await says(viewer, "Is it dishwasher proof?")
            await hears(studio, "Is it dishwasher proof?")
            while b"dishwasher" not in (await events.content.readline()):
                pass
        async with http.get(f"{url}/api/v1/streams/{stream_id}") as stream:
            assert (await stream.json())["urls"]["whep"] == f"{url}/whep/{stream_id}"
