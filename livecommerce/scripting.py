"""Running Lua scripts: the emit prelude in front, EVALSHA, one attempt, a stated time.

A script that changes state is sent **once**. redis-py's own retries are off (the client is made with none): a lost
reply means "unknown", and only the caller knows whether asking again is safe (a claim with its key is).
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Sequence
from importlib import resources
from typing import Any

from redis.asyncio import Redis
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import NoScriptError
from redis.exceptions import TimeoutError as RedisTimeoutError

from livecommerce.joined import JoinedRedis

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

    async def __call__(
        self,
        source: str,
        keys: Sequence[str],
        args: Sequence[str | bytes | int],
        before: Sequence[tuple[str | bytes | int, ...]] = (),
    ) -> Any:
        """Run ``source`` (a domain's script, without the prelude) atomically with these KEYS and ARGV.

        ``before`` are plain commands that go ahead over the same connection, in the same write and to the same fsync:
        the script never runs where they did not arrive. If one is refused, and the script is not, that is a
        ``ConnectionError``.
        """
        text, sha = self._compiled.get(source) or self._compile(source)
        try:
            async with asyncio.timeout(self._timeout_s):
                try:
                    if before:
                        return await self._after(before, ("EVALSHA", sha, len(keys), *keys, *args))
                    return await self._redis.execute_command("EVALSHA", sha, len(keys), *keys, *args)
                except NoScriptError:
                    # Valkey forgot it (restart, SCRIPT FLUSH): it certainly did not run, so sending the text is safe.
                    return await self._redis.execute_command("EVAL", text, len(keys), *keys, *args)
        except TimeoutError as error:
            raise RedisTimeoutError(f"no answer from Valkey within {self._timeout_s} s") from error

    def begin(
        self, source: str, keys: Sequence[str], args: Sequence[str | bytes | int], told: Callable[[Any], None]
    ) -> bool:
        """The same without waiting; False, and nothing was sent, where that cannot be done now.

        ``told`` hears what the script returned, or the exception that a call would raise. What is
        begun one after the other runs in that order (but for a script that Valkey has just forgotten).
        """
        if not isinstance(self._redis, JoinedRedis):
            return False
        redis: JoinedRedis = self._redis
        text, sha = self._compiled.get(source) or self._compile(source)

        def heard(outcome: Any) -> None:
            # As above: it certainly did not run.
            if not isinstance(outcome, NoScriptError):
                told(outcome)
            elif not redis.begin(told, "EVAL", text, len(keys), *keys, *args):
                told(RedisConnectionError("the connection to Valkey was lost"))

        return redis.begin(heard, "EVALSHA", sha, len(keys), *keys, *args)

    async def _after(
        self, before: Sequence[tuple[str | bytes | int, ...]], script: tuple[str | bytes | int, ...]
    ) -> Any:
        pipe = self._redis.pipeline(transaction=False)
        for command in (*before, script):
            pipe.execute_command(*command)
        *firsts, answer = await pipe.execute(raise_on_error=False)
        refused = next((first for first in firsts if isinstance(first, Exception)), None)
        if isinstance(answer, Exception) and not (refused and isinstance(answer, NoScriptError)):
            raise answer  # a server that refuses all of it (READONLY, OOM) is not asked again
        if refused is not None:
            raise RedisConnectionError("what goes before a script was refused") from refused
        return answer

    def _compile(self, source: str) -> tuple[str, str]:
        text = f"{PRELUDE}\n{source}"
        # SHA-1 is what EVALSHA names scripts by; nothing here relies on it for security.
        compiled = text, hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()
        self._compiled[source] = compiled
        return compiled
