"""Chat's Lua scripts, and what their integer codes mean: the only place that knows."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import resources
from typing import Any, Protocol


class RunScript(Protocol):
    """Runs a script (without the ``emit`` prelude, which the application supplies) atomically."""

    async def __call__(self, source: str, keys: Sequence[str], args: Sequence[str | bytes | int]) -> Any:
        """What the script returned."""


def _source(name: str) -> str:
    return resources.files("chat").joinpath(f"lua/{name}.lua").read_text("utf-8")


SEND = _source("send")
DELETE = _source("delete")
BAN = _source("ban")
UNBAN = _source("unban")
BAN_UNTIL = _source("ban_until")
ANNOUNCE = _source("announce")

#: first element of every answer
OK, BANNED, RATE_LIMITED, NO_MESSAGE = 0, 1, 2, 3
