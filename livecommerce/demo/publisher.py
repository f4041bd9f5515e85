"""Publishes the show by WHIP (RFC 9725) like any host would, and again whenever the server lost it."""

from __future__ import annotations

import asyncio
import contextlib
import logging

import aiortc.codecs.vpx
from aiortc import RTCBundlePolicy, RTCConfiguration, RTCPeerConnection, RTCRtpSender, RTCSessionDescription

from livecommerce.client import Client, ClientError, MediaAnswer
from livecommerce.demo.ice import gather_loopback_too
from livecommerce.demo.picture import ShowPicture
from livecommerce.demo.tracks import PictureTrack, ToneTrack, opus_tune

log = logging.getLogger(__name__)

#: bits a second for the picture; aiortc's default of 500,000 blurs a change of scene
VIDEO_BITRATE = 700_000
CONNECT_TIMEOUT_S = 10.0
#: at the end the server may be gone already: saying goodbye must not hold up our own end
GOODBYE_TIMEOUT_S = 1.0


class Publisher:
    """One show on the air; :meth:`run` publishes once, until the media connection ends or :meth:`again` is called."""

    def __init__(self, client: Client, picture: ShowPicture) -> None:
        gather_loopback_too()
        aiortc.codecs.vpx.DEFAULT_BITRATE = VIDEO_BITRATE
        self._client = client
        self._picture = picture
        self._tune = opus_tune()
        self._lost = asyncio.Event()

    def again(self) -> None:
        """The server says that our media no longer arrives: publish anew."""
        self._lost.set()

    async def run(self, stream_id: str) -> None:
        """Publish until the connection is lost; raises :class:`ClientError` when the server refuses."""
        self._lost.clear()
        # No STUN server: aiortc's default is one on the internet, and the relay is on this machine.
        peer = RTCPeerConnection(RTCConfiguration(iceServers=[], bundlePolicy=RTCBundlePolicy.MAX_BUNDLE))
        connected = asyncio.Event()

        @peer.on("connectionstatechange")
        def changed() -> None:
            if peer.connectionState == "connected":
                connected.set()
            elif peer.connectionState in ("failed", "closed"):
                self._lost.set()

        answer: MediaAnswer | None = None
        try:
            answer = await self._offer(peer, stream_id)
            async with asyncio.timeout(CONNECT_TIMEOUT_S):
                await connected.wait()
            log.info("on the air: %s", stream_id)
            await self._lost.wait()
        except TimeoutError:
            log.warning("no media connection within %.0f s", CONNECT_TIMEOUT_S)
        except asyncio.CancelledError:
            # Only at our own end: a session that was lost is replaced by the next one sooner than it could be deleted.
            await self._say_goodbye(answer)
            raise
        finally:
            await peer.close()

    async def _offer(self, peer: RTCPeerConnection, stream_id: str) -> MediaAnswer:
        peer.addTrack(ToneTrack(self._tune))
        peer.addTrack(PictureTrack(self._picture))
        for transceiver in peer.getTransceivers():
            transceiver.direction = "sendonly"
            if transceiver.kind == "video":
                codecs = RTCRtpSender.getCapabilities("video").codecs
                transceiver.setCodecPreferences([c for c in codecs if c.mimeType in ("video/VP8", "video/rtx")])
        await peer.setLocalDescription(await peer.createOffer())
        answer = await self._client.offer("whip", stream_id, peer.localDescription.sdp)
        await peer.setRemoteDescription(RTCSessionDescription(answer.sdp, "answer"))
        return answer

    async def _say_goodbye(self, answer: MediaAnswer | None) -> None:
        with contextlib.suppress(ClientError, TimeoutError):
            async with asyncio.timeout(GOODBYE_TIMEOUT_S):
                if answer is not None:
                    await self._client.end_media(answer)
