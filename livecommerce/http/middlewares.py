"""What every request has in common: an id, limits, CORS, security headers, and a problem for every error."""

from __future__ import annotations

import asyncio
import logging
import time
from typing import Final

from aiohttp import hdrs, web
from multidict import CIMultiDict

from livecommerce.http.access import GATE, admit
from livecommerce.http.answers import problem_answer, problem_of
from livecommerce.http.endpoints import SDP, Handler
from livecommerce.http.hops import HOP
from livecommerce.http.metrics import observe
from livecommerce.http.patience import PATIENCE
from livecommerce.http.quick import ALWAYS, REQUEST_ID
from livecommerce.ids import new_id
from livecommerce.problems import Problem

log = logging.getLogger(__name__)

_PREFLIGHT: dict[str, str] = {
    hdrs.ACCESS_CONTROL_ALLOW_HEADERS: (
        "Content-Type, Authorization, If-Match, ETag, Idempotency-Key, Last-Event-ID, Accept"
    ),
    hdrs.ACCESS_CONTROL_MAX_AGE: "86400",
}
_ALWAYS: CIMultiDict[str] = CIMultiDict(ALWAYS)
#: paths whose frequent requests without a token belong to the operator, not to a client; webhooks limit themselves
_UNLIMITED: Final = frozenset({"/healthz", "/readyz", "/metrics", "/api/v1/webhooks/payments"})

_PREPARED = web.RequestKey("prepared", web.StreamResponse)


@web.middleware
async def edge(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Give every request an id, admit it or not, and give every error its problem: nobody ever sees a traceback.

    One middleware and not three: each is a coroutine more for every request (8 µs).
    """
    request[REQUEST_ID] = new_id("r")
    request[HOP] = None
    request.app[PATIENCE].heard(request.protocol)
    started_s = time.perf_counter()
    try:
        _admit(request)
        response = _preflight(request) if request.method == hdrs.METH_OPTIONS else await handler(request)
    except asyncio.CancelledError:
        raise
    except Exception as error:
        response = _answer_to(error, request)
    finally:
        # Else a WebSocket and its request would have each other until the cycle collector comes.
        request.pop(_PREPARED, None)
    if request[HOP] is None:  # else counted by the worker it came through
        observe(request, response.status, time.perf_counter() - started_s)
    return response


def _answer_to(error: Exception, request: web.Request) -> web.StreamResponse:
    if isinstance(error, web.HTTPException) and error.status < 400:
        return error
    prepared: web.StreamResponse | None = request.get(_PREPARED)
    problem = problem_of(error)
    gone = isinstance(error, ConnectionResetError)
    if problem is None and not gone:
        log.error("%s %s failed (%s)", request.method, request.path, request[REQUEST_ID], exc_info=error)
    if prepared is not None:
        return prepared  # a WebSocket or a stream that had begun: there is no second answer
    if problem is None:
        problem = Problem("internal", f"Unexpected trouble; quote {request[REQUEST_ID]} when you report it.")
    answer = problem_answer(problem)
    if isinstance(error, web.HTTPMethodNotAllowed):
        answer.headers[hdrs.ALLOW] = error.headers[hdrs.ALLOW]
    return answer


def _admit(request: web.Request) -> None:
    """Recognise our own workers, and limit how often an address asks."""
    gate = request.app[GATE]
    hop = request[HOP] = gate.hops.verify(request)
    if hop is None and request.path not in _UNLIMITED:
        admit(request, gate.by_address)


def _preflight(request: web.Request) -> web.Response:
    headers = dict(_PREFLIGHT)
    if request.path.startswith(("/whip/", "/whep/")):
        # RFC 9725 §4.2: how a client learns that this is a WHIP endpoint, and what it takes.
        headers["Accept-Post"] = SDP
        headers["Accept-Patch"] = "application/trickle-ice-sdpfrag"
    return web.Response(status=204, headers=headers)


async def dress(request: web.Request, response: web.StreamResponse) -> None:
    """Add the headers every response has; runs as it is about to be sent, streams and WebSockets included."""
    request[_PREPARED] = response
    headers = response.headers
    own_policy = headers.get(hdrs.CONTENT_SECURITY_POLICY)
    headers.update(_ALWAYS)
    if own_policy is not None:
        headers[hdrs.CONTENT_SECURITY_POLICY] = own_policy
    headers["X-Request-Id"] = request.get(REQUEST_ID, "")
