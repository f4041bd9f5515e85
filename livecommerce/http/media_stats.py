"""A stream's media in numbers: its home's, and with them those of the workers that pull it from there."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from typing import Any

import msgspec
from aiohttp import web

from livecommerce.context import CONTEXT, Context
from livecommerce.http.answers import json_answer
from livecommerce.http.bodies import path_id
from livecommerce.http.hops import HOP
from livecommerce.http.proxy import PROXY, OwnerUnreachable, WorkerProxy
from livecommerce.problems import Problem

log = logging.getLogger(__name__)

#: viewers described in one answer
MAX_DETAILS = 500
#: workers asked for one answer, and how long for
MAX_ASKED = 64
PATIENCE_S = 2.0
#: what is counted where viewers are served, so that a sum over workers means something
SUMMED = ("viewers", "viewers_connected", "packets_sent", "bytes_sent", "packets_dropped", "runs_dropped",
          "nacks_received", "retransmissions_sent", "retransmissions_refused", "layer_switches",
          "probes_sent", "retransmissions_missing", "datagrams_overflowed", "datagrams_unsent")  # fmt: skip
#: what is told of each worker by itself; packets lost and recovered are those of its pipe
OF_EACH = ("viewers", "packets_sent", "packets_dropped", "runs_dropped", "packets_lost", "packets_recovered")
_LAYER = ("viewers", "viewers_coming")


def details_wanted(request: web.Request) -> int:
    """How many viewers the query asks for in detail."""
    asked = request.query.get("viewers", "0")
    return min(MAX_DETAILS, int(asked)) if asked.isdecimal() and len(asked) < 9 else 0


def combined(home: str, own: dict[str, Any], others: Mapping[str, dict[str, Any]], *, details: int) -> dict[str, Any]:
    """The home's figures with what the pullers count of their viewers added."""
    whole = dict(own)
    pulling = {worker_id: stats for worker_id, stats in others.items() if stats}
    for name in SUMMED:
        whole[name] = own.get(name, 0) + sum(stats.get(name, 0) for stats in pulling.values())
    for stats in pulling.values():
        delays = stats.get("forward_delay_s", {})
        whole["forward_delay_s"] = {
            bound: count + delays.get(bound, 0) for bound, count in whole.get("forward_delay_s", {}).items()
        }
        theirs = {row["layer"]: row for row in stats.get("layers", [])}
        whole["layers"] = [
            row | {name: row[name] + theirs.get(row["layer"], row | dict.fromkeys(_LAYER, 0))[name] for name in _LAYER}
            for row in whole.get("layers", [])
        ]
    if details:
        lists = [stats.get("viewers_in_detail", []) for stats in (own, *pulling.values())]
        whole["viewers_in_detail"] = [row for rows in lists for row in rows][:details]
    whole["workers"] = [
        {"worker": worker_id, "home": worker_id == home} | {name: stats.get(name, 0) for name in OF_EACH}
        for worker_id, stats in {home: own, **pulling}.items()
    ]
    return whole


async def here(request: web.Request, stream_id: str) -> web.Response:
    """The answer of the stream's home, which this is."""
    context, details = request.app[CONTEXT], details_wanted(request)
    own = context.relay.stats(stream_id, viewers=details)
    if not own.get("pipes"):
        return json_answer(combined(context.worker_id, own, {}, details=details) if own else own)
    others = await _ask_all(context, request.app[PROXY], f"/internal/streams/{stream_id}/stats?viewers={details}")
    return json_answer(combined(context.worker_id, own, others, details=details))


async def local(request: web.Request) -> web.Response:
    """``GET /internal/streams/{stream_id}/stats``: the stream's home asks what this worker counts."""
    if request.get(HOP) is None:
        raise Problem("not_found", "Not Found.")
    return json_answer(request.app[CONTEXT].relay.stats(path_id(request, "stream_id"), viewers=details_wanted(request)))


async def _ask_all(context: Context, proxy: WorkerProxy, path: str) -> dict[str, dict[str, Any]]:
    """What the other workers answer; one that is gone or slow is left out."""
    ids = sorted((await context.workers.live()) - {context.worker_id})[:MAX_ASKED]

    async def ask(worker_id: str) -> dict[str, Any]:
        try:
            async with asyncio.timeout(PATIENCE_S):
                address = await context.workers.address_of(worker_id)
                return msgspec.json.decode(await proxy.ask(address, path), type=dict[str, Any]) if address else {}
        except (OwnerUnreachable, TimeoutError, msgspec.MsgspecError) as error:
            log.info("worker %s tells nothing of its viewers: %s", worker_id, error)
            return {}

    return dict(zip(ids, await asyncio.gather(*map(ask, ids)), strict=True))
