"""Whether who joined later is behind: the same frames and the same sound, by a viewer who was there before.

All viewers are of one Chromium page and of one clock. The relay gives every viewer the same RTP timestamps, so a frame
is recognised at both; how much later the newcomer shows it is how far it is behind. Sound and picture are compared by
the capture times that each viewer's own statistics tell of what it plays (by the sender reports).
"""

from __future__ import annotations

import contextlib
import random
import statistics
from collections.abc import Sequence
from typing import Any, NamedTuple

from load_tests.first_frame import JOIN_TIMEOUT_MS, browser_page, guest_token, live_stream
from load_tests.own_server import own_server
from load_tests.report import Report, spread

#: how long the viewer to compare with has watched before the first joins
SETTLE_MS = 8_000
#: a replay is at most so old: what the relay keeps of a picture
MAX_AGE_MS = 950
#: frames and statistics are taken from this long before the moment until this long after it
WINDOW_MS = 500
#: moments after the join at which it is looked
MOMENTS_S = (1, 2, 5)
#: more than this is seen: ITU-R BT.1359 has 45 ms of sound too early and 125 ms too late for detectable
MAX_SKEW_MS = 125.0
#: three frames of 30 a second: nobody notices of another's picture
MAX_BEHIND_MS = 100.0

#: the page's part: viewers that note when they show which frame, and what they play
VIEWERS_SCRIPT = """
({whep, token, timeout}) => {
  const headers = {Authorization: `Bearer ${token}`};
  window.join = async () => {
    const peer = new RTCPeerConnection({bundlePolicy: 'max-bundle'});
    const video = document.createElement('video');
    video.autoplay = true; video.playsInline = true; video.width = 160;
    document.body.append(video);
    const viewer = {frames: [], states: [], asked: performance.now(), first: null};
    const media = video.srcObject = new MediaStream();
    peer.addTransceiver('video', {direction: 'recvonly'});
    peer.addTransceiver('audio', {direction: 'recvonly'});
    peer.ontrack = event => media.addTrack(event.track);
    await peer.setLocalDescription();
    const answer = await fetch(whep, {method: 'POST', body: peer.localDescription.sdp,
      headers: {...headers, 'Content-Type': 'application/sdp'}});
    if (answer.status !== 201) throw new Error(`WHEP answered ${answer.status}: ${await answer.text()}`);
    await peer.setRemoteDescription({type: 'answer', sdp: await answer.text()});
    const shown = new Promise((resolve, reject) => {
      const note = (now, frame) => {
        viewer.frames.push([frame.rtpTimestamp, frame.presentationTime]);
        viewer.first ??= performance.now();
        resolve();
        video.requestVideoFrameCallback(note);
      };
      video.requestVideoFrameCallback(note);
      setTimeout(() => reject(new Error('no picture in time')), timeout);
    });
    const look = setInterval(async () => {
      const rows = [...(await peer.getStats()).values()].filter(row => row.type === 'inbound-rtp');
      const [picture, sound] = ['video', 'audio'].map(kind => rows.find(row => row.kind === kind));
      if (picture?.estimatedPlayoutTimestamp && sound?.estimatedPlayoutTimestamp)
        viewer.states.push([performance.now(), picture.estimatedPlayoutTimestamp, sound.estimatedPlayoutTimestamp,
                            picture.freezeCount]);
    }, 100);
    viewer.leave = async () => {
      clearInterval(look);
      await fetch(new URL(answer.headers.get('Location'), whep), {method: 'DELETE', headers});
      peer.close(); video.remove();
    };
    await shown;
    return viewer;
  };
  window.wait = ms => new Promise(resolve => setTimeout(resolve, ms));
  window.start = async settle => { window.early = await join(); await wait(settle); };
  window.late = async ({age, until}) => {
    // Another who joins just before brings a keyframe, so that a replay of this age awaits the next.
    const before = await join();
    await wait(age);
    early.frames.length = early.states.length = 0;
    const viewer = await join();
    await wait(viewer.asked + until - performance.now());
    const seen = ({asked, first, frames, states}) => ({asked, first, frames, states});
    const found = {early: seen(early), late: seen(viewer)};
    await Promise.all([before.leave(), viewer.leave()]);
    return found;
  };
}
"""


class Seen(NamedTuple):
    """What one viewer showed; all times in milliseconds of the page's clock."""

    #: (RTP timestamp, when shown)
    frames: Sequence[tuple[int, float]]
    #: (when looked, capture time of the picture shown then, that of the sound, freezes so far)
    states: Sequence[tuple[float, float, float, int]]


def behind_ms(early: Seen, late: Seen, from_ms: float, until_ms: float) -> float | None:
    """How much later ``late`` showed the frames it showed in this time: the median; None without a common frame."""
    shown = dict(early.frames)
    apart = [at - shown[stamp] for stamp, at in late.frames if from_ms <= at < until_ms and stamp in shown]
    return statistics.median(apart) if apart else None


def skew_ms(seen: Seen, from_ms: float, until_ms: float) -> float | None:
    """How much older the sound was than the picture that it was played with: the median; None when nothing was told."""
    apart = [picture - sound for at, picture, sound, _ in seen.states if from_ms <= at < until_ms]
    return statistics.median(apart) if apart else None


class Join(NamedTuple):
    """One viewer who joined, against the one who was there; milliseconds."""

    first_frame: float
    behind: dict[int, float | None]
    skew: float | None
    early_skew: float | None
    freezes: int


def judge(found: dict[str, Any]) -> Join:
    """The figures of one join."""
    early, late = (
        Seen([tuple(row) for row in found[who]["frames"]], found[who]["states"]) for who in ("early", "late")
    )
    asked = float(found["late"]["asked"])
    around = {moment: (asked + moment * 1000 - WINDOW_MS, asked + moment * 1000 + WINDOW_MS) for moment in MOMENTS_S}
    last = around[MOMENTS_S[-1]]
    return Join(
        first_frame=float(found["late"]["first"]) - asked,
        behind={moment: behind_ms(early, late, *window) for moment, window in around.items()},
        skew=skew_ms(late, *last),
        early_skew=skew_ms(early, *last),
        freezes=int(late.states[-1][3]) if late.states else 0,
    )


def measure(url: str | None, *, joins: int, chromium: str, seed: int = 1) -> Report:
    """Let ``joins`` viewers join, one after the other, beside one who was there before."""
    report = Report("join-delay", {"url": url or "own server with --demo", "joins": joins, "seed": seed})
    chance = random.Random(seed)
    with contextlib.ExitStack() as stack:
        base_url = url.rstrip("/") if url else stack.enter_context(own_server("--demo")).url
        page = stack.enter_context(browser_page(chromium, base_url))
        stream, token = live_stream(page, base_url), guest_token(page, base_url)
        page.evaluate(
            VIEWERS_SCRIPT, {"whep": f"{base_url}/whep/{stream['id']}", "token": token, "timeout": JOIN_TIMEOUT_MS}
        )
        page.evaluate("settle => start(settle)", SETTLE_MS)
        until = MOMENTS_S[-1] * 1000 + 2 * WINDOW_MS
        ages = [chance.uniform(0, MAX_AGE_MS) for _ in range(joins)]
        found = [judge(page.evaluate("how => late(how)", {"age": age, "until": until})) for age in ages]
        report.versions["chromium"] = page.context.browser.version
    _write(report, found)
    return report


def _write(report: Report, joins: Sequence[Join]) -> None:
    last = MOMENTS_S[-1]
    report.figures["POST to first picture"] = spread([join.first_frame for join in joins], "ms")
    for moment in MOMENTS_S:
        values = [value for join in joins if (value := join.behind[moment]) is not None]
        report.figures[f"behind the early viewer, {moment} s after"] = spread(values, "ms") if values else "no frames"
    late = [join.skew for join in joins if join.skew is not None]
    early = [join.early_skew for join in joins if join.early_skew is not None]
    report.figures[f"sound behind its picture, {last} s after"] = spread(late, "ms") if late else "nothing told"
    report.figures["the same at the early viewer"] = spread(early, "ms") if early else "nothing told"
    report.figures["freezes of those who joined"] = str(sum(join.freezes for join in joins))
    behind = [value for join in joins if (value := join.behind[last]) is not None]
    report.check("frames were compared for every join", len(behind) == len(late) == len(joins))
    # Medians: one join on a busy machine says nothing, and a busy machine's early viewer may be the one behind.
    report.check(
        f"{last} s after the joins those who joined are not behind by more than {MAX_BEHIND_MS:.0f} ms",
        bool(behind) and statistics.median(behind) <= MAX_BEHIND_MS,
    )
    report.check(
        f"nor are their sound and picture apart by more than {MAX_SKEW_MS:.0f} ms",
        bool(late) and abs(statistics.median(late)) <= MAX_SKEW_MS,
    )
