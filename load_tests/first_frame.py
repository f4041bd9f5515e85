"""How long a viewer waits: from the WHEP POST to the first picture that Chromium presents."""

from __future__ import annotations

import contextlib
import shutil
import time
from collections.abc import Iterator
from typing import Any

import orjson

from load_tests import stage_checks
from load_tests.own_server import ServerError, own_server
from load_tests.report import Report, percentile, spread

LIVE_TIMEOUT_S = 30.0
JOIN_TIMEOUT_MS = 10_000
ARGUMENTS = [
    "--no-sandbox",  # root (in a container) has none to offer
    "--disable-gpu",
    "--autoplay-policy=no-user-gesture-required",
    # Without these it asks for addresses elsewhere while it is measured.
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]

#: one viewer in the page: [POST to answer, POST to connected, POST to first picture] in milliseconds
JOIN_SCRIPT = """
async ({whep, token, timeout}) => {
  const peer = new RTCPeerConnection({bundlePolicy: 'max-bundle'});
  const video = document.createElement('video');
  video.muted = true; video.autoplay = true; video.playsInline = true;
  document.body.append(video);
  const media = new MediaStream();
  video.srcObject = media;
  peer.addTransceiver('video', {direction: 'recvonly'});
  peer.addTransceiver('audio', {direction: 'recvonly'});
  peer.ontrack = event => media.addTrack(event.track);
  await peer.setLocalDescription();
  const shown = new Promise((resolve, reject) => {
    video.requestVideoFrameCallback(() => resolve(performance.now()));
    setTimeout(() => reject(new Error('no picture in time')), timeout);
  });
  const connected = new Promise(resolve => {
    peer.onconnectionstatechange = () => peer.connectionState === 'connected' && resolve(performance.now());
  });
  const start = performance.now();
  const answer = await fetch(whep, {method: 'POST', body: peer.localDescription.sdp,
    headers: {'Content-Type': 'application/sdp', Authorization: `Bearer ${token}`}});
  if (answer.status !== 201) throw new Error(`WHEP answered ${answer.status}: ${await answer.text()}`);
  const sdp = await answer.text();
  const answered = performance.now();
  await peer.setRemoteDescription({type: 'answer', sdp});
  const times = [answered - start, await connected - start, await shown - start];
  await fetch(new URL(answer.headers.get('Location'), whep), {method: 'DELETE',
    headers: {Authorization: `Bearer ${token}`}});
  peer.close(); video.remove();
  return times;
}
"""


def measure(url: str | None, *, joins: int, warm_up: int, chromium: str) -> Report:
    """Join ``joins`` times, one after the other, in one warm page."""
    report = Report("first-frame", {"url": url or "own server with --demo", "joins": joins, "warm_up": warm_up})
    with contextlib.ExitStack() as stack:
        base_url = url.rstrip("/") if url else stack.enter_context(own_server("--demo")).url
        page = stack.enter_context(browser_page(chromium, base_url))
        stream, token = live_stream(page, base_url), guest_token(page, base_url)
        told = {"whep": f"{base_url}/whep/{stream['id']}", "token": token, "timeout": JOIN_TIMEOUT_MS}
        times = [page.evaluate(JOIN_SCRIPT, told) for _ in range(warm_up + joins)][warm_up:]
        report.versions["chromium"] = page.context.browser.version
    for number, name in enumerate(("POST to answer", "POST to connected", "POST to first picture")):
        report.figures[name] = spread([join[number] for join in times], "ms")
    report.figures["POST to first picture, p90"] = f"{percentile([join[2] for join in times], 90):,.0f} ms"
    report.judge(stage_checks.pictures(len(times), joins))
    return report


@contextlib.contextmanager
def browser_page(chromium: str, base_url: str) -> Iterator[Any]:
    """The server's first page in a browser of its own; raises ServerError."""
    from playwright.sync_api import Error, sync_playwright

    with sync_playwright() as playwright:
        try:
            browser = playwright.chromium.launch(executable_path=shutil.which(chromium) or chromium, args=ARGUMENTS)
            page = browser.new_page()
            page.goto(base_url)
        except Error as error:
            raise ServerError(f"no browser came to {base_url}: {error.message.splitlines()[0]}") from error
        yield page
        browser.close()


def live_stream(page: Any, base_url: str) -> dict[str, Any]:
    """A stream that is on the air, waited for; raises ServerError."""
    deadline = time.monotonic() + LIVE_TIMEOUT_S
    while time.monotonic() < deadline:
        for stream in _json(page.request.get(f"{base_url}/api/v1/streams?limit=1"))["items"]:
            if stream["state"] == "live":
                return dict(stream)
        time.sleep(0.1)
    raise ServerError(f"no stream was live on {base_url} within {LIVE_TIMEOUT_S:.0f} s")


def guest_token(page: Any, base_url: str) -> str:
    """A new guest's token; raises ServerError where guests are not welcome."""
    answer = page.request.post(f"{base_url}/api/v1/guest", data={"name": "First frame"})
    if answer.status != 201:
        raise ServerError(f"guests are not welcome at {base_url}: {answer.text()}")
    return str(_json(answer)["token"])


def _json(answer: Any) -> Any:
    return orjson.loads(answer.body())
