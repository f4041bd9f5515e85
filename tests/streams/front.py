"""The smallest WHIP and WHEP front: a page, two POST routes onto a relay, and PATCH."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager

from aiohttp import web

from streams.errors import StreamsError
from streams.relay import Relay
from streams.relay_errors import SessionNotFound

PAGE = """<!doctype html><meta charset="utf-8"><title>relay</title>
<video id="v" autoplay playsinline muted style="width:320px"></video>
<script>
window.go = async (role, kind) => {
  const pc = window.pc = new RTCPeerConnection({bundlePolicy: 'max-bundle'});
  if (role === 'whip') {
    const media = await navigator.mediaDevices.getUserMedia({video: {width: 640, height: 360}, audio: true});
    for (const track of media.getTracks()) pc.addTransceiver(track, {direction: 'sendonly', streams: [media]});
    if (kind) {
      const codecs = RTCRtpSender.getCapabilities('video').codecs.filter(c => c.mimeType === 'video/' + kind);
      pc.getTransceivers()[1].setCodecPreferences(codecs);
    }
  } else {
    pc.addTransceiver('audio', {direction: 'recvonly'});
    pc.addTransceiver('video', {direction: 'recvonly'});
    const stream = new MediaStream();
    pc.ontrack = e => { stream.addTrack(e.track); document.querySelector('#v').srcObject = stream; };
  }
  await pc.setLocalDescription();
  window.asked = performance.now();
  const v = document.querySelector('#v');
  v.requestVideoFrameCallback(() => { window.firstFrame = performance.now() - window.asked; });
  const answer = await fetch('/' + role + '/s1', {method: 'POST', body: pc.localDescription.sdp});
  if (answer.status !== 201) throw new Error(await answer.text());
  await pc.setRemoteDescription({type: 'answer', sdp: await answer.text()});
};
window.stats = async () => {
  const found = {state: pc.connectionState, width: document.querySelector('#v').videoWidth,
                 firstFrame: window.firstFrame ?? null};
  for (const s of (await pc.getStats()).values()) {
    if (s.type === 'inbound-rtp' || s.type === 'outbound-rtp') found[s.kind] = {...s};
    if (s.type === 'remote-inbound-rtp') found['remote_' + s.kind] = {...s};
    if (s.type === 'candidate-pair' && s.nominated) found.bitrate = s.availableOutgoingBitrate;
  }
  return found;
};
</script>"""


@asynccontextmanager
async def front(
    relay: Relay,
    *,
    pull: bool = False,
    routes: Sequence[web.AbstractRouteDef] = (),
    rewrite: Callable[[str, str], str] = lambda stream, answer: answer,
    host: str = "127.0.0.1",
) -> AsyncIterator[str]:
    """Serve the page, and more routes; its address. With ``pull`` the host is at another relay.

    What follows a dot in the path's stream is no part of its name: ``rewrite`` may change its viewers' answers by it.
    """

    async def page(_: web.Request) -> web.Response:
        return web.Response(text=PAGE, content_type="text/html")

    async def offer(request: web.Request) -> web.Response:
        stream, text = request.match_info["stream"], await request.text()
        try:
            if request.match_info["role"] == "whip":
                session = await relay.publish(stream, text)
            else:
                session = await relay.view(stream.partition(".")[0], text, pull=pull)
                session = session._replace(answer=rewrite(stream, session.answer))
        except StreamsError as error:
            return web.Response(status=400, text=error.detail)
        headers = {"Location": f"/session/{session.id}"}
        return web.Response(status=201, text=session.answer, content_type="application/sdp", headers=headers)

    async def patch(request: web.Request) -> web.Response:
        try:
            answer = await relay.patch(request.match_info["id"], await request.text(), None)
        except SessionNotFound:
            return web.Response(status=404)
        return web.Response(status=answer.status)

    app = web.Application()
    app.add_routes([*routes, web.get("/", page), web.post("/{role:whip|whep}/{stream}", offer)])
    app.add_routes([web.patch("/session/{id}", patch)])
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, host, 0)
    await site.start()
    try:
        name = "localhost" if host == "127.0.0.1" else host
        yield f"http://{name}:{runner.addresses[0][1]}/"
    finally:
        await runner.cleanup()
