"""The pages' files: what is served, under which policy, and what never is."""

from __future__ import annotations

import asyncio
import gzip
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer, make_mocked_request
from yarl import URL

from livecommerce.http.pages import CSP, TYPES, WEB, WebFiles, routes
from livecommerce.problems import Problem
from tests.livecommerce.edge import EdgeWorker


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[tuple[str, Path]]:
    """A folder of pages and the address it is served at; refusals are bare here."""
    folder = tmp_path / "web"
    (folder / "parts").mkdir(parents=True)
    for name in ("index.html", "watch.html", "studio.html", "app.js", "app.css", "parts/deep.js", "notes.py"):
        (folder / name).write_text(f"this is {name}")
    (tmp_path / "secret.js").write_text("secret")
    (folder / "link.js").symlink_to(tmp_path / "secret.js")

    @web.middleware
    async def refuse(request: web.Request, handler):  # type: ignore[no-untyped-def]
        try:
            return await handler(request)
        except Exception as error:
            return web.Response(status=404, text=getattr(error, "code", repr(error)))

    app = web.Application(middlewares=[refuse])
    app.add_routes(routes(folder))
    async with TestServer(app) as server:
        yield str(server.make_url("")).rstrip("/"), folder


async def fetch(url: str, **headers: str) -> tuple[int, str, aiohttp.typedefs.LooseHeaders]:
    async with (
        aiohttp.ClientSession() as client,
        client.get(URL(url, encoded=True), headers={k.replace("_", "-"): v for k, v in headers.items()}) as answer,
    ):
        return answer.status, await answer.text(), answer.headers


@pytest.mark.parametrize(
    ("path", "file", "kind"),
    [
        ("/", "index.html", "text/html; charset=utf-8"),
        ("/watch/s123", "watch.html", "text/html; charset=utf-8"),
        ("/studio", "studio.html", "text/html; charset=utf-8"),
        ("/assets/app.js", "app.js", "text/javascript; charset=utf-8"),
        ("/assets/app.css", "app.css", "text/css; charset=utf-8"),
        ("/assets/parts/deep.js", "parts/deep.js", "text/javascript; charset=utf-8"),
    ],
)
async def test_pages_and_assets_are_served_under_the_strict_policy(
    site: tuple[str, Path], path: str, file: str, kind: str
) -> None:
    status, text, headers = await fetch(site[0] + path)
    assert (status, text, headers["Content-Type"]) == (200, f"this is {file}", kind)
    assert headers["Content-Security-Policy"] == CSP
    assert "unsafe" not in CSP
    assert headers["Cache-Control"] == "no-cache"


async def test_an_unchanged_file_is_not_sent_again_a_changed_one_is(site: tuple[str, Path]) -> None:
    url, folder = site
    _, _, headers = await fetch(f"{url}/assets/app.js")
    status, text, _ = await fetch(f"{url}/assets/app.js", If_None_Match=headers["ETag"])
    assert (status, text) == (304, "")
    (folder / "app.js").write_text("this is newer")
    status, text, newer = await fetch(f"{url}/assets/app.js", If_None_Match=headers["ETag"])
    assert (status, text) == (200, "this is newer")
    assert newer["ETag"] != headers["ETag"]


@pytest.mark.parametrize(
    "path",
    [
        "/assets/none.js",
        "/assets/parts",
        "/assets/notes.py",
        "/assets/link.js",
        "/assets/../secret.js",
        "/assets/%2e%2e/secret.js",
        "/assets/..%2fsecret.js",
        "/assets/%2fetc%2fpasswd",
        "/assets//etc/hosts.js",
        "/assets/a%00.js",
        "/assets/" + "a" * 5000 + ".js",
    ],
)
async def test_nothing_else_is_served(site: tuple[str, Path], path: str) -> None:
    status, text, _ = await fetch(site[0] + path)
    assert (status, text) in {(404, "not_found"), (404, "404: Not Found")}, text


async def test_what_is_asked_under_the_version_is_kept_until_a_file_changes(site: tuple[str, Path]) -> None:
    """The page names its assets by a hash of all files; an old name finds the new file, which is then not kept."""
    url, folder = site
    clock = [0.0]
    files = WebFiles(folder, lambda: clock[0])
    first = files.version().name
    (folder / "index.html").write_text('<script src="/assets/app.js"></script>')
    clock[0] += 1
    page = files.page(make_mocked_request("GET", "/"), "index.html")
    second = files.version().name
    assert second != first
    assert page.body == f'<script src="/assets/@{second}/app.js"></script>'.encode()
    assert page.headers["Cache-Control"] == "no-cache"

    def kept(version: str, name: str = "app.js") -> bool:
        answer = files.asset(make_mocked_request("GET", "/"), f"@{version}/{name}")
        assert answer.status == 200
        return "immutable" in answer.headers["Cache-Control"]

    assert kept(second)
    assert kept(second, "parts/deep.js")
    assert not kept(first)
    (folder / "app.js").write_text("changed, and the version has not been looked at since")
    assert not kept(second)
    with pytest.raises(Problem):
        kept(second, "../../secret.js")
    status, _, headers = await fetch(f"{url}/assets/@0123/app.js")
    assert (status, headers["Cache-Control"]) == (200, "no-cache")


async def test_a_file_is_sent_as_small_as_the_browser_takes_it(site: tuple[str, Path]) -> None:
    url, folder = site
    (folder / "app.js").write_text("const same = 'words';\n" * 200)
    async with aiohttp.ClientSession(auto_decompress=False) as client:

        async def ask(**headers: str) -> tuple[int, bytes, Any]:
            async with client.get(f"{url}/assets/app.js", headers={"Accept-Encoding": "", **headers}) as answer:
                return answer.status, await answer.read(), answer.headers

        _, plain, as_is = await ask()
        _, small, packed = await ask(**{"Accept-Encoding": "gzip, deflate"})
        assert gzip.decompress(small) == plain == (folder / "app.js").read_bytes()
        assert len(small) < len(plain) / 10
        assert (packed["Content-Encoding"], packed["Vary"], as_is["Vary"]) == ("gzip", *["Accept-Encoding"] * 2)
        assert packed["ETag"] != as_is["ETag"]
        assert "Content-Encoding" not in as_is
        assert (await ask(**{"Accept-Encoding": "gzip;q=0"}))[1] == plain
        known = {"If-None-Match": packed["ETag"]}
        assert (await ask(**{"Accept-Encoding": "gzip"} | known))[0] == 304
        assert (await ask(**known))[0] == 200, "the same file in another coding is not what the browser has"


async def test_the_real_application_dresses_pages_and_refusals(edge: EdgeWorker) -> None:
    page = await edge.ask("GET", "/")
    assert page.status in (200, 404)
    if page.status == 200:
        assert page.headers["Content-Security-Policy"] == CSP
    missing = await edge.ask("GET", "/assets/none.js")
    assert (missing.code, missing.headers["Content-Security-Policy"]) == (
        "not_found",
        "default-src 'none'; frame-ancestors 'none'",
    )


async def test_every_file_a_page_names_is_served(edge: EdgeWorker) -> None:
    found = 0
    for page in WEB.glob("*.html"):
        for path in re.findall(r'(?:src|href)="(/[^"#?]*)"', page.read_text("utf-8")):
            found += 1
            answer = await edge.ask("HEAD", path)
            assert answer.status == 200, f"{page.name} names {path}"
    assert found > 3


def test_every_kind_of_file_in_the_folder_has_its_media_type() -> None:
    kinds = {f.suffix for f in WEB.rglob("*") if f.is_file() and f.suffix not in (".py", ".md")}
    assert kinds <= set(TYPES)


async def test_many_at_once_get_the_same_file(site: tuple[str, Path]) -> None:
    answers = await asyncio.gather(*(fetch(f"{site[0]}/assets/app.js") for _ in range(20)))
    assert {(status, text) for status, text, _ in answers} == {(200, "this is app.js")}
