"""/metrics counts by route pattern and covers every worker of the machine."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from livecommerce.http.metrics import REQUESTS
from tests.livecommerce.edge import EdgeWorker


def count(text: str, **labels: str) -> float:
    total = 0.0
    for name_labels, value in re.findall(r"livecommerce_http_requests_total\{(.*)\} (\S+)", text):
        found = dict(re.findall(r'(\w+)="([^"]*)"', name_labels))
        if labels.items() <= found.items():
            total += float(value)
    return total


async def test_requests_are_counted_under_their_pattern(edge: EdgeWorker) -> None:
    labels = {"method": "GET", "route": "/api/v1/streams/{stream_id}", "status": "404"}
    before = count((await edge.ask("GET", "/metrics")).text, **labels)
    for n in range(3):
        await edge.ask("GET", f"/api/v1/streams/sunknown{n}")
    answer = await edge.ask("GET", "/metrics")
    assert answer.headers["Content-Type"].startswith("text/plain; version=0.0.4")
    assert count(answer.text, **labels) == before + 3
    assert "livecommerce_http_request_seconds_bucket" in answer.text


async def test_strangers_cannot_make_series(edge: EdgeWorker) -> None:
    series = set[int]()
    for n in range(5):
        await edge.ask("GET", f"/nothing/{n}")
        await edge.ask(f"PROPFIND{n}", "/api/v1/streams")
        REQUESTS.fold()
        series.add(len(next(iter(REQUESTS.counter.collect())).samples))
    text = (await edge.ask("GET", "/metrics")).text
    assert "/nothing" not in text
    assert "PROPFIND" not in text
    # The first stranger makes the series that all the others share.
    assert len(series) == 1


def test_one_worker_answers_for_all(tmp_path: Path) -> None:
    """Two processes count, a third that counted nothing shows the sum (prometheus-client's multiprocess mode)."""
    environment = {**os.environ, "PROMETHEUS_MULTIPROC_DIR": str(tmp_path)}
    counting = "from livecommerce.http.metrics import REQUESTS; REQUESTS.counter.labels('GET', '/x', '200').inc({})"
    for amount in (2, 3):
        subprocess.run([sys.executable, "-c", counting.format(amount)], env=environment, check=True)
    showing = "import sys; from livecommerce.http.metrics import render; sys.stdout.buffer.write(render())"
    shown = subprocess.run([sys.executable, "-c", showing], env=environment, check=True, capture_output=True, text=True)
    assert count(shown.stdout, route="/x") == 5
