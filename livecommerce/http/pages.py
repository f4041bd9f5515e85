"""The pages: plain files under ``livecommerce/web``, compressed once, kept by browsers while they stay the same.

A page names its assets as ``/assets/…``; it is sent with ``/assets/@<version>/…``, where the version is a hash over all
files. What is asked under the present version never changes and may be kept for a year; a module's relative imports
stay under the version by themselves. Everything else is revalidated by ETag.
"""

from __future__ import annotations

import gzip
import hashlib
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module, resources
from pathlib import Path
from typing import Any, Final

from aiohttp import hdrs, web

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
#: compressed already
_DENSE: Final = frozenset({".png", ".jpg", ".webp", ".ico", ".woff2"})
#: below it the headers weigh more than what is saved
_LEAST_BYTES: Final = 256
_ALWAYS: Final = {
    "Content-Security-Policy": CSP,
    "Permissions-Policy": "camera=(self), microphone=(self), display-capture=(self), geolocation=()",
}
#: every use asks; the answer is nearly always an empty 304
_ASK: Final = "no-cache"
_KEEP: Final = "public, max-age=31536000, immutable"
#: how long a change of the files may go unnoticed
_LOOK_S: Final = 1.0
_VERSIONED: Final = re.compile(r"@([0-9a-f]+)/(.*)", re.DOTALL)


def _brotli() -> Callable[[bytes], bytes] | None:
    try:
        library: Any = import_module("brotli")
    except ImportError:
        return None

    def compress(body: bytes) -> bytes:
        return bytes(library.compress(body, quality=11))

    return compress


def _gzip(body: bytes) -> bytes:
    # mtime 0: every worker and node makes the same bytes of the same file
    return gzip.compress(body, 9, mtime=0)


#: best first; brotli only where the package is installed
_ENCODERS: Final[dict[str, Callable[[bytes], bytes]]] = {
    **({"br": encoder} if (encoder := _brotli()) else {}),
    "gzip": _gzip,
}


@dataclass(frozen=True)
class _Served:
    """A file as it is sent: its bytes by content coding (``""`` is as it is) and the hash of its content."""

    bodies: dict[str, bytes]
    tag: str

    @classmethod
    def of(cls, body: bytes, *, dense: bool) -> _Served:
        bodies = {"": body}
        if not dense and len(body) >= _LEAST_BYTES:
            bodies |= {coding: encode(body) for coding, encode in _ENCODERS.items()}
        return cls(bodies, hashlib.sha256(body).hexdigest()[:24])

    def coding_for(self, accepted: str) -> str:
        """The best coding that an ``Accept-Encoding`` takes."""
        for coding in self.bodies:
            if coding and _takes(accepted, coding):
                return coding
        return ""


def _takes(accepted: str, coding: str) -> bool:
    for part in accepted.lower().split(","):
        name, _, quality = part.partition(";")
        if name.strip() in (coding, "*"):
            return not re.fullmatch(r"\s*q\s*=\s*0(\.0*)?\s*", quality)
    return False


@dataclass(frozen=True)
class _Version:
    """The folder as it was at a moment: a hash over it, and what it is made of."""

    name: str
    tags: frozenset[str]
    looked_s: float


class WebFiles:
    """The files of one folder, kept in memory, compressed, while they do not change on disk."""

    def __init__(self, folder: Path, now_s: Callable[[], float] = time.monotonic) -> None:
        self._folder = folder.resolve()
        self._now_s = now_s
        self._kept: dict[Path, tuple[tuple[int, int], _Served]] = {}
        self._pages: dict[tuple[str, str], _Served] = {}
        self._version: _Version | None = None

    def asset(self, request: web.Request, name: str) -> web.Response:
        """The file of this name below the folder, or a 304; raises ``not_found``."""
        wanted = _VERSIONED.fullmatch(name)
        if wanted is None:
            return _answer(request, *self._find(name), _ASK)
        served, suffix = self._find(wanted[2])
        # another version (a page of before an update, a node that is ahead) gets what there is, to be asked again
        version = self.version()
        same = wanted[1] == version.name and served.tag in version.tags
        return _answer(request, served, suffix, _KEEP if same else _ASK)

    def page(self, request: web.Request, name: str) -> web.Response:
        """An HTML page whose assets are named with their version, or a 304."""
        plain, suffix = self._find(name)
        version = self.version().name
        served = self._pages.get((plain.tag, version))
        if served is None:
            named = plain.bodies[""].replace(b'"/assets/', f'"/assets/@{version}/'.encode())
            self._pages = {key: page for key, page in self._pages.items() if key[1] == version}
            served = self._pages[plain.tag, version] = _Served.of(named, dense=False)
        return _answer(request, served, suffix, _ASK)

    def version(self) -> _Version:
        """The folder's version; looked at once a second, for a look at all files costs 3 ms."""
        now_s = self._now_s()
        if self._version is None or now_s - self._version.looked_s >= _LOOK_S:
            files = {
                str(path.relative_to(self._folder)): self._read(path).tag
                for path in sorted(self._folder.rglob("*"))
                if path.suffix in TYPES and path.is_file()
            }
            name = hashlib.sha256(repr(files).encode()).hexdigest()[:12]
            self._version = _Version(name, frozenset(files.values()), now_s)
        return self._version

    def _find(self, name: str) -> tuple[_Served, str]:
        try:
            # resolve() follows links and "..": whatever ends up outside the folder is not ours to give
            path = (self._folder / name).resolve()
            if path.is_relative_to(self._folder) and path.suffix in TYPES and path.is_file():
                return self._read(path), path.suffix
        except (OSError, ValueError):  # a name no file can have: too long, a NUL byte
            pass
        raise Problem("not_found", "There is no such page.")

    def _read(self, path: Path) -> _Served:
        stat = path.stat()
        state = stat.st_mtime_ns, stat.st_size
        kept = self._kept.get(path)
        if kept is None or kept[0] != state:
            kept = state, _Served.of(path.read_bytes(), dense=path.suffix in _DENSE)
            self._kept[path] = kept
        return kept[1]


def _answer(request: web.Request, served: _Served, suffix: str, cache: str) -> web.Response:
    coding = served.coding_for(request.headers.get(hdrs.ACCEPT_ENCODING, ""))
    # a strong tag names bytes: each coding has its own
    tag = f"{served.tag}-{coding}" if coding else served.tag
    headers = {**_ALWAYS, "Cache-Control": cache, "ETag": f'"{tag}"', "Vary": "Accept-Encoding"}
    if tag in {known.value for known in request.if_none_match or ()}:
        return web.Response(status=304, headers=headers)
    if coding:
        headers["Content-Encoding"] = coding
    return web.Response(body=served.bodies[coding], headers={**headers, "Content-Type": TYPES[suffix]})


def routes(folder: Path = WEB) -> list[web.RouteDef]:
    """``/``, ``/watch/{stream_id}``, ``/studio`` and ``/assets/…``."""
    files = WebFiles(folder)

    def page(path: str, name: str) -> web.RouteDef:
        async def handler(request: web.Request) -> web.Response:
            return files.page(request, name)

        return web.get(path, handler)

    async def asset(request: web.Request) -> web.Response:
        return files.asset(request, request.match_info["name"])

    async def icon(request: web.Request) -> web.Response:
        return files.asset(request, "favicon.svg")

    return [
        page("/", "index.html"),
        page("/watch/{stream_id}", "watch.html"),
        page("/studio", "studio.html"),
        web.get("/favicon.ico", icon),
        web.get("/assets/{name:.+}", asset),
    ]
