"""Which worker carries a stream's media, and how the others reach it.

A stream has one home: the worker whose relay its viewers are attached to. The first WHIP or WHEP request settles it
there; a host that reconnects through another worker is passed on to it, so that viewers keep playing without
renegotiation. A home that died is replaced by whoever is asked next.
"""

from __future__ import annotations

import logging
from importlib import resources
from typing import Any

from livecommerce import keys
from livecommerce.context import Context
from livecommerce.http.proxy import OwnerUnreachable, WorkerProxy
from livecommerce.problems import Problem

log = logging.getLogger(__name__)

_SETTLE = resources.files("livecommerce").joinpath("lua/settle.lua").read_text("utf-8")


async def home_of(context: Context, stream_id: str) -> tuple[str, str]:
    """The id and private address of the stream's home; this worker when there was none alive."""
    current = _text(await context.redis.get(keys.home(stream_id)))
    if current == context.worker_id:
        return current, ""
    # Another worker may settle the stream at the same moment: look again, a bounded number of times.
    for _ in range(4):
        if current:
            address = await context.workers.address_of(current)
            if address is not None:
                return current, address
        current = await settle(context, stream_id, gone=current)
        if current == context.worker_id:
            return current, ""
    raise Problem("unavailable", "The stream is moving to another server; try again.", retry_after_ms=1_000)


async def settle(context: Context, stream_id: str, *, gone: str) -> str:
    """Make this worker the stream's home if it still is ``gone`` (or has none); returns the home."""
    answer: Any = await context.run_script(_SETTLE, [keys.home(stream_id)], [context.worker_id, gone])
    return _text(answer)


async def keep_home(context: Context, stream_id: str) -> None:
    """Make this worker, where the stream's media arrives, its home again.

    A worker that Valkey did not hear of for some seconds is taken for dead, and its streams settle elsewhere while
    its host still sends to it: who came since would wait there for media that never comes.
    """
    home = _text(await context.redis.get(keys.home(stream_id)))
    if home != context.worker_id:
        log.warning("the home of %s went to %s while its media arrives here: taken back", stream_id, home or "nobody")
        await settle(context, stream_id, gone=home)


async def end_media(context: Context, proxy: WorkerProxy, stream_id: str) -> bool:
    """End the stream's media sessions at its home, and forget the home; False when the home cannot be reached."""
    home = _text(await context.redis.get(keys.home(stream_id)))
    await context.relay.end_stream(stream_id)
    if home and home != context.worker_id:
        address = await context.workers.address_of(home)
        try:
            if address is not None:
                await proxy.tell(address, f"/internal/streams/{stream_id}/end")
        except OwnerUnreachable as error:
            # The home key stays: whoever tries again has to find it.
            log.warning("could not end the media of %s at %s: %s", stream_id, home, error)
            return False
    await context.redis.delete(keys.home(stream_id))
    return True


def _text(value: bytes | str | None) -> str:
    return value.decode() if isinstance(value, bytes) else value or ""
