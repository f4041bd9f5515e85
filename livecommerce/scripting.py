"""Running Lua scripts: the emit prelude in front, EVALSHA, one attempt, a stated time.

A script that changes state is sent **once**. redis-py's own retries are off (the client is made with none): a lost
reply means "unknown", and only the caller knows whether asking again is safe (a claim with its key is).
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Sequence
from importlib import resources
from typing import Any

from redis.asyncio import Redis
from redis.exceptions import NoScriptError
from redis.exceptions import TimeoutError as RedisTimeoutError

PRELUDE: str = resources.files("livecommerce").joinpath("lua/emit.lua").read_text("utf-8")


class ScriptRunner:
    """Runs scripts of every domain on one Valkey; domains see it as a callable.

    ``await run(source, keys, args)`` returns what the script returned (bytes, ints, lists). Raises
    ``redis.exceptions.ResponseError`` when the script failed, and ``ConnectionError`` or ``TimeoutError`` (redis-py's)
    when the outcome is **unknown**: the script may have run.
    """

    def __init__(self, redis: Redis, *, timeout_s: float = 5.0) -> None:
        self._redis: Any = redis  # redis-py gives execute_command no annotations
        self._timeout_s = timeout_s
        self._compiled: dict[str, tuple[str, str]] = {}

    async def __call__(self, source: str, keys: Sequence[str], args: Sequence[str | bytes | int]) -> Any:
        """Run ``source`` (a domain's script, without the prelude) atomically with these KEYS and ARGV."""
        compiled = self._compiled.get(source)
        if compiled is None:
            text = f"{PRELUDE}\n{source}"
            # SHA-1 is what EVALSHA names scripts by; nothing here relies on it for security.
            compiled = text, hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()
            self._compiled[source] = compiled
        text, sha = compiled
        try:
            async with asyncio.timeout(self._timeout_s):
                try:
                    return await self._redis.execute_command("EVALSHA", sha, len(keys), *keys, *args)
                except NoScriptError:
                    # Valkey forgot it (restart, SCRIPT FLUSH): it certainly did not run, so sending the text is safe.
                    return await self._redis.execute_command("EVAL", text, len(keys), *keys, *args)
        except TimeoutError as error:
            raise RedisTimeoutError(f"no answer from Valkey within {self._timeout_s} s") from error
