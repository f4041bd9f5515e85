"""Log lines on standard error: time, process, level, what."""

from __future__ import annotations

import logging


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
