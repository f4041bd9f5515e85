"""The pages: plain files under ``livecommerce/web``, revalidated by ETag, under a strict policy."""

from __future__ import annotations

import hashlib
from importlib import resources
from pathlib import Path
from typing import Final

from aiohttp import web

from livecommerce.problems import Problem

WEB: Final = Path(str(resources.files("livecommerce").joinpath("web")))

#: no inline script or style, nothing from elsewhere but product images; media comes by WebRTC and blob:
CSP: Final = "; ".join(
    (
        "default-src 'self'",
        "img-src 'self' https: data:",
        "connect-src 'self' ws: wss:",
        "media-src 'self' blob:",
        "object-src 'none'",
        "base-uri 'none'",
        "form-action 'self'",
        "frame-ancestors 'self'",
    )
)
#: what may be served, by the end of its name
TYPES: Final = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".json": "application/json",
    ".webmanifest": "application/manifest+json",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".jpg": "image/jpeg",
    ".webp": "image/webp",
    ".ico": "image/x-icon",
    ".woff2": "font/woff2",
}
_ALWAYS: Final = {
    # Names carry no version, so every use asks; the answer is nearly always an empty 304.
    "Cache-Control": "no-cache",
    "Content-Security-Policy": CSP,
    "Permissions-Policy": "camera=(self), microphone=(self), display-capture=(self), geolocation=()",
}


class WebFiles:
    """The files of one folder, kept in memory while they do not change on disk."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder.resolve()
        self._kept: dict[Path, tuple[tuple[int, int], bytes, str]] = {}

    def answer(self, request: web.Request, name: str) -> web.Response:
        """The file of this name below the folder, or a 304; raises ``not_found``."""
        try:
            # resolve() follows links and "..": whatever ends up outside the folder is not ours to give
            path = (self._folder / name).resolve()
            if not path.is_relative_to(self._folder) or path.suffix not in TYPES or not path.is_file():
                raise Problem("not_found", "There is no such page.")
            body, etag = self._read(path)
        except (OSError, ValueError):  # a name no file can have: too long, a NUL byte
            raise Problem("not_found", "There is no such page.") from None
        headers = {**_ALWAYS, "ETag": f'"{etag}"'}
        if etag in {tag.value for tag in request.if_none_match or ()}:
            return web.Response(status=304, headers=headers)
        return web.Response(body=body, headers={**headers, "Content-Type": TYPES[path.suffix]})

    def _read(self, path: Path) -> tuple[bytes, str]:
        stat = path.stat()
        state = stat.st_mtime_ns, stat.st_size
        kept = self._kept.get(path)
        if kept is None or kept[0] != state:
            body = path.read_bytes()
            kept = state, body, hashlib.sha256(body).hexdigest()[:24]
            self._kept[path] = kept
        return kept[1], kept[2]


def routes(folder: Path = WEB) -> list[web.RouteDef]:
    """``/``, ``/watch/{stream_id}``, ``/studio`` and ``/assets/…``."""
    files = WebFiles(folder)

    def page(path: str, name: str) -> web.RouteDef:
        async def handler(request: web.Request) -> web.Response:
            return files.answer(request, name)

        return web.get(path, handler)

    async def asset(request: web.Request) -> web.Response:
        return files.answer(request, request.match_info["name"])

    return [
        page("/", "index.html"),
        page("/watch/{stream_id}", "watch.html"),
        page("/studio", "studio.html"),
        page("/favicon.ico", "favicon.svg"),
        web.get("/assets/{name:.+}", asset),
    ]
