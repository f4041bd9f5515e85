// The browser libraries as a shop would use them: bundled, and served from another origin than the media server.
import { WebRTCPlayer } from "@eyevinn/webrtc-player";
import { WHIPClient } from "@eyevinn/whip-web-client";

window.errors = [];

window.publish = async (endpoint, token) => {
  const media = await navigator.mediaDevices.getUserMedia({ video: { width: 640, height: 360 }, audio: true });
  const client = new WHIPClient({ endpoint, opts: { authkey: token } });
  await client.setIceServersFromEndpoint();
  await client.ingest(media);
  window.stop = () => client.destroy();
  return await client.getResourceUrl();
};

window.watch = async (endpoint, token) => {
  const video = document.querySelector("video");
  const player = new WebRTCPlayer({ video, type: "whep", iceServers: [] });
  for (const name of ["no-media", "initial-connection-failed", "connect-error", "peer-connection-failed"])
    player.on(name, () => window.errors.push(name));
  await player.load(new URL(endpoint), `Bearer ${token}`);
  window.stop = () => player.unload();
};

window.seen = () => {
  const video = document.querySelector("video");
  return { width: video.videoWidth, frames: video.getVideoPlaybackQuality().totalVideoFrames, errors: window.errors };
};
window.ready = true;
