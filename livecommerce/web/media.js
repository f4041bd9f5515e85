/** Media of livecommerce: publish by WHIP, watch by WHEP. It knows no DOM. */
export { iceServersIn } from "./media/peer.js";
export { WhepViewer } from "./media/whep.js";
export { MAX_AUDIO_BITRATE, MAX_VIDEO_BITRATE, WhipPublisher } from "./media/whip.js";
