/** Camera, microphone and screen. No DOM; what goes wrong has a code of its own, so that pages can say it in words. */
import { Refusal } from "../client/errors.js";

const VIDEO = { width: { ideal: 1280 }, height: { ideal: 720 }, frameRate: { ideal: 30, max: 30 } };
const AUDIO = { echoCancellation: true, noiseSuppression: true, autoGainControl: true };

/** The code for what getUserMedia or getDisplayMedia threw. */
export function captureCode(error, wanted = "camera") {
  const codes = {
    NotAllowedError: `${wanted}_denied`,
    SecurityError: `${wanted}_denied`,
    NotFoundError: "camera_missing",
    OverconstrainedError: "camera_missing",
    NotReadableError: "camera_busy",
    AbortError: "camera_busy",
  };
  return codes[error?.name] ?? "camera_failed";
}

/** Refuses where the browser gives no camera at all: an http address other than this machine's own. */
export function requireCamera() {
  if (!globalThis.isSecureContext) throw new Refusal("insecure");
  if (!navigator.mediaDevices?.getUserMedia) throw new Refusal("browser_old");
}

/** Camera and microphone; with only one of them there, that one. */
export async function openCamera({ camera = null, microphone = null } = {}) {
  requireCamera();
  const video = camera ? { ...VIDEO, deviceId: { exact: camera } } : VIDEO;
  const audio = microphone ? { ...AUDIO, deviceId: { exact: microphone } } : AUDIO;
  let first = null;
  for (const wanted of [{ video, audio }, { video }, { audio }]) {
    try {
      return await navigator.mediaDevices.getUserMedia(wanted);
    } catch (error) {
      first ??= error;
      if (captureCode(error) !== "camera_missing") break;
    }
  }
  throw new Refusal(captureCode(first));
}

/** The screen (with its sound where the browser gives it) and the microphone of `talk`. */
export async function openScreen(talk) {
  requireCamera();
  try {
    const screen = await navigator.mediaDevices.getDisplayMedia({ video: { frameRate: { ideal: 15, max: 30 } }, audio: false });
    for (const track of screen.getVideoTracks()) track.contentHint = "detail";
    const voice = talk?.getAudioTracks().map((track) => track.clone()) ?? [];
    return new MediaStream([...screen.getTracks(), ...voice]);
  } catch (error) {
    throw new Refusal(captureCode(error, "screen"));
  }
}

/** The devices there are, by kind; labels are empty until the visitor has allowed one. */
export async function listDevices() {
  const devices = (await navigator.mediaDevices?.enumerateDevices?.()) ?? [];
  const of = (kind) => devices.filter((device) => device.kind === kind && device.deviceId);
  return { cameras: of("videoinput"), microphones: of("audioinput") };
}

/** Stop every track of a stream. */
export function closeCapture(stream) {
  for (const track of stream?.getTracks() ?? []) track.stop();
}
