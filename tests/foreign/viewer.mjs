// A WHEP viewer by another WebRTC library of Node: node viewer.mjs <library> <WHEP address> <token> <seconds>.
// Prints one line of JSON: how long until connected, and what came.
const [library, whep, token, seconds] = process.argv.slice(2);
const authorization = { Authorization: `Bearer ${token}` };
const found = { library, connected: false, video: 0, audio: 0, status: 0, left: 0, unit: "packets" };
const started = performance.now();
const wait = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

async function post(sdp) {
  const answer = await fetch(whep, {
    method: "POST",
    body: sdp,
    headers: { ...authorization, "Content-Type": "application/sdp" },
  });
  found.status = answer.status;
  const body = await answer.text();
  if (answer.status !== 201) throw new Error(body);
  found.location = new URL(answer.headers.get("Location"), whep).href;
  return body;
}

function connected() {
  found.connected = true;
  found.connected_ms ??= Math.round(performance.now() - started);
}

// A library with the browser's own interface.
async function likeABrowser(peer, count, descriptions) {
  peer.addTransceiver("video", { direction: "recvonly" });
  peer.addTransceiver("audio", { direction: "recvonly" });
  peer.addEventListener?.("connectionstatechange", () => peer.connectionState === "connected" && connected());
  count(peer);
  await peer.setLocalDescription(await peer.createOffer());
  const sdp = await post(peer.localDescription.sdp);
  await peer.setRemoteDescription(descriptions ? new descriptions("answer", sdp) : { type: "answer", sdp });
  await wait(seconds * 1000);
  return () => peer.close();
}

const libraries = {
  async werift() {
    const { RTCPeerConnection } = await import("werift");
    const peer = new RTCPeerConnection({ iceUseIpv4: true });
    peer.connectionStateChange.subscribe((state) => state === "connected" && connected());
    const count = () =>
      peer.onTrack.subscribe((track) => track.onReceiveRtp.subscribe(() => (found[track.kind] += 1)));
    return await likeABrowser(peer, count);
  },
  async wrtc() {
    const { default: wrtc } = await import("@roamhq/wrtc");
    found.unit = "decoded frames";
    const peer = new wrtc.RTCPeerConnection();
    const { RTCVideoSink, RTCAudioSink } = wrtc.nonstandard;
    const count = () => {
      peer.ontrack = ({ track }) => {
        const sink = track.kind === "video" ? new RTCVideoSink(track) : new RTCAudioSink(track);
        sink[track.kind === "video" ? "onframe" : "ondata"] = () => (found[track.kind] += 1);
      };
    };
    return await likeABrowser(peer, count);
  },
  async libdatachannel() {
    const { default: rtc } = await import("node-datachannel");
    const peer = new rtc.PeerConnection("viewer", { iceServers: [], disableAutoNegotiation: true });
    peer.onStateChange((state) => state === "connected" && connected());
    const kinds = { video: new rtc.Video("video", "RecvOnly"), audio: new rtc.Audio("audio", "RecvOnly") };
    kinds.video.addVP8Codec(96);
    kinds.audio.addOpusCodec(111);
    const tracks = Object.entries(kinds).map(([kind, description]) => {
      const track = peer.addTrack(description);
      track.setMediaHandler(new rtc.RtcpReceivingSession());
      track.onMessage(() => (found[kind] += 1));
      return track;
    });
    const gathered = new Promise((resolve) =>
      peer.onGatheringStateChange((state) => state === "complete" && resolve()),
    );
    peer.setLocalDescription("offer");
    await gathered;
    peer.setRemoteDescription(await post(peer.localDescription().sdp), "answer");
    await wait(seconds * 1000);
    return () => (tracks.forEach((track) => track.close()), peer.close(), rtc.cleanup());
  },
};

try {
  const close = await libraries[library]();
  found.left = (await fetch(found.location, { method: "DELETE", headers: authorization })).status;
  await close();
} catch (error) {
  found.error = String(error);
}
console.log(JSON.stringify(found));
process.exit(0);
