"""Log lines on standard error: time, process, level, what."""

from __future__ import annotations

import logging

from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.web import RequestPayloadError

#: what comes of bytes that are no HTTP, or no body of the kind that their head says
_NOT_HTTP = HttpProcessingError, RequestPayloadError


def configure_logging(level: str, process: str) -> None:
    """Set this process's logging up; ``process`` says which of the server's it is."""
    logging.basicConfig(
        level=level.upper(),
        format=f"%(asctime)s {process}: %(levelname)s %(message)s",
        datefmt="%Y-%m-%d %H:%M:%S",
        force=True,
    )
    # These narrate each handshake and candidate.
    for chatty in ("aiortc", "aioice", "asyncio"):
        logging.getLogger(chatty).setLevel(max(logging.WARNING, logging.getLogger().level))
    # This warns of each sub-protocol it does not know: strangers could fill the log.
    logging.getLogger("aiohttp.websocket").setLevel(logging.ERROR)
    # And this tells of all that is no HTTP at all, with a traceback each; who sent it has been answered.
    logging.getLogger("aiohttp.server").addFilter(_is_ours)


def _is_ours(record: logging.LogRecord) -> bool:
    return record.exc_info is None or not isinstance(record.exc_info[1], _NOT_HTTP)
