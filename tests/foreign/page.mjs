// The browser libraries as a shop would use them: bundled, and served from another origin than the media server.
import { WebRTCPlayer } from "@eyevinn/webrtc-player";
import { WHIPClient } from "@eyevinn/whip-web-client";
import { WHEPClient as MedoozeViewer } from "whip-whep/whep.js";
import { WHIPClient as MedoozeHost } from "whip-whep/whip.js";

window.errors = [];
const camera = () => navigator.mediaDevices.getUserMedia({ video: { width: 640, height: 360 }, audio: true });

const medooze = {
  async publish(endpoint, token) {
    const [client, peer, media] = [new MedoozeHost(), new RTCPeerConnection(), await camera()];
    for (const track of media.getTracks()) peer.addTransceiver(track, { direction: "sendonly", streams: [media] });
    await client.publish(peer, endpoint, token);
    window.stop = () => client.stop();
    return String(client.resourceURL);
  },
  async watch(endpoint, token) {
    const [client, peer, media] = [new MedoozeViewer(), new RTCPeerConnection(), new MediaStream()];
    for (const kind of ["audio", "video"]) peer.addTransceiver(kind, { direction: "recvonly" });
    peer.ontrack = ({ track }) => media.addTrack(track);
    document.querySelector("video").srcObject = media;
    await client.view(peer, endpoint, token);
    window.stop = () => client.stop();
  },
};

const eyevinn = {};
eyevinn.publish = async (endpoint, token) => {
  const media = await camera();
  const client = new WHIPClient({ endpoint, opts: { authkey: token } });
  await client.setIceServersFromEndpoint();
  await client.ingest(media);
  window.stop = () => client.destroy();
  return await client.getResourceUrl();
};

eyevinn.watch = async (endpoint, token) => {
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
window.by = { eyevinn, medooze };
window.ready = true;
