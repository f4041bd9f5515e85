"""What the edge counts, and ``/metrics`` of the whole worker group."""

from __future__ import annotations

import asyncio
import os

from aiohttp import web
from prometheus_client import REGISTRY, CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector

from deals.metrics import Folded

#: version 0.0.4 is the text format every scraper knows
CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

REQUESTS = Folded(Counter("livecommerce_http_requests", "HTTP requests answered.", ["method", "route", "status"]))
#: WebSocket and event-stream requests last as long as their viewer and are not observed
SECONDS = Histogram(
    "livecommerce_http_request_seconds",
    "Time from a request's headers to its answer.",
    ["method", "route"],
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
)
PROXIED = Counter("livecommerce_http_proxied", "Requests passed to the worker they concern.", ["outcome"])

#: series by method and route: as many as the server has
_series: dict[tuple[str, str], Histogram | None] = {}
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


def observe(request: web.Request, status: int, seconds: float) -> None:
    """Count one answered request, under its route's pattern: clients must not be able to make new series."""
    resource = request.match_info.route.resource
    route = "none" if resource is None else resource.canonical
    method = request.method if request.method in _METHODS else "other"
    REQUESTS.add(method, route, str(status))
    # Hot path: finding a labelled series takes prometheus-client 8 µs, and there are few of them.
    try:
        series = _series[method, route]
    except KeyError:
        lasting = route.startswith(("/ws/", "/sse/"))
        series = _series[method, route] = None if lasting else SECONDS.labels(method, route)
    if series is not None:
        series.observe(seconds)


def render() -> bytes:
    """All series in Prometheus's text format.

    With ``PROMETHEUS_MULTIPROC_DIR`` (the supervisor sets it before a worker starts) those of every worker on this
    machine, whichever is asked; without it this process's own.
    """
    if "PROMETHEUS_MULTIPROC_DIR" not in os.environ:
        return generate_latest(REGISTRY)
    registry = CollectorRegistry()
    # prometheus-client's own functions carry no annotations here
    MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    return generate_latest(registry)


async def metrics(request: web.Request) -> web.Response:
    """``GET /metrics``."""
    # What other workers are about to hand over is at most a moment old.
    for folded in Folded.every:
        folded.fold()
    # Reading every worker's files takes milliseconds: not on the loop that forwards video.
    return web.Response(body=await asyncio.to_thread(render), headers={"Content-Type": CONTENT_TYPE})
