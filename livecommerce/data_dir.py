"""The data directory: one server at a time, its lock, and the development secret."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import secrets
import stat
import tempfile
from hashlib import sha256
from pathlib import Path

#: sun_path has 108 bytes on Linux and 104 on macOS, the closing zero included
MAX_SOCKET_PATH = 100
#: a predecessor that was killed takes its Valkey along; how long that may last
LOCK_WAIT_S = 2.0


class DataDirError(Exception):
    """The data directory cannot be used; the text is a sentence for people."""


class DataDirectory:
    """An existing, writable directory that this process (and its Valkey) holds the lock of."""

    def __init__(self, path: Path) -> None:
        self.path = path.absolute()
        #: the locked file; inherited by Valkey, so that the lock is held as long as either lives
        self.lock_fd = -1

    async def lock(self) -> None:
        """Make the directory where needed and take its lock; raises :class:`DataDirError`."""
        try:
            self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
            fd = os.open(self.path / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise DataDirError(f"The data directory {self.path} cannot be used: {error.strerror}.") from error
        try:
            await self._take(fd)
        except BaseException:
            os.close(fd)
            raise
        os.ftruncate(fd, 0)
        os.pwrite(fd, f"{os.getpid()}\n".encode(), 0)
        self.lock_fd = fd

    def close(self) -> None:
        """Give the lock back (Valkey's share of it lasts as long as Valkey does); safe to call twice."""
        fd, self.lock_fd = self.lock_fd, -1
        if fd >= 0:
            os.close(fd)

    @property
    def valkey(self) -> Path:
        """Where Valkey keeps its append-only file."""
        return self.path / "valkey"

    def socket(self) -> Path:
        """Where Valkey listens: inside, or in a short private place when the path is too long for a socket."""
        inside = self.path / "valkey.sock"
        if len(os.fsencode(inside)) <= MAX_SOCKET_PATH:
            return inside
        digest = sha256(os.fsencode(self.path)).hexdigest()[:12]
        # Always the same place for a directory, so that a killed server leaves nothing the next one cannot reuse.
        folder = Path(_short_runtime_dir()) / f"livecommerce-{os.getuid()}-{digest}"
        with contextlib.suppress(FileExistsError):
            folder.mkdir(mode=0o700)
        found = folder.lstat()
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & 0o077:
            raise DataDirError(f"{folder} belongs to somebody else; use a --data-dir with a shorter path.")
        return folder / "valkey.sock"

    async def _take(self, fd: int) -> None:
        deadline = asyncio.get_running_loop().time() + LOCK_WAIT_S
        while True:
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return
            except BlockingIOError:
                if asyncio.get_running_loop().time() > deadline:
                    holder = os.pread(fd, 32, 0).decode("ascii", "replace").strip() or "unknown"
                    raise DataDirError(
                        f"The data directory {self.path} is in use by process {holder}; "
                        "stop that server or choose another --data-dir."
                    ) from None
                await asyncio.sleep(0.05)


def _short_runtime_dir() -> str:
    for place in (os.environ.get("XDG_RUNTIME_DIR", ""), tempfile.gettempdir(), "/tmp"):  # noqa: S108 - made private
        if place and len(os.fsencode(place)) <= 50 and os.access(place, os.W_OK | os.X_OK):
            return place
    raise DataDirError("There is no writable place with a short path for Valkey's socket; set XDG_RUNTIME_DIR.")


def read_secret(path: Path) -> str | None:
    """The development secret kept in a data directory, if one was made."""
    try:
        return (path / "secret").read_text("ascii").strip() or None
    except FileNotFoundError:
        return None
    except (OSError, UnicodeError) as error:
        raise DataDirError(f"The secret in {path} cannot be read: {error}.") from error


def make_secret(path: Path) -> str:
    """The development secret of a data directory: made once, then always the same."""
    existing = read_secret(path)
    if existing is not None:
        return existing
    fd, name = tempfile.mkstemp(dir=path)  # mode 0600
    try:
        with os.fdopen(fd, "w") as file:
            file.write(secrets.token_urlsafe(48) + "\n")
            file.flush()
            os.fsync(file.fileno())
        # A link either appears whole or not at all, and never replaces one that somebody else made meanwhile.
        with contextlib.suppress(FileExistsError):
            os.link(name, path / "secret")
    finally:
        os.unlink(name)
    made = read_secret(path)
    if made is None:
        raise DataDirError(f"The secret in {path} is empty; remove it to have a new one made.")
    return made
