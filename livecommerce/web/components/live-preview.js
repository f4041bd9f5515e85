/** `<live-preview>`: what the host will send, from which devices, and the button that sends it. */
import { asRefusal, safeStorage } from "../client.js";
import { WhipPublisher } from "../media.js";
import { closeCapture, listDevices, openCamera, openScreen } from "../media/capture.js";
import { field, h, setText, show } from "../ui/dom.js";
import { icon } from "../ui/icons.js";
import { t } from "../ui/i18n.js";

const DEVICES = "livecommerce.devices";
const MIRROR = "livecommerce.mirror";
/** Heights to choose from; the first that the camera can is taken, a smaller one when it cannot. */
const HEIGHTS = [1080, 720, 480];
const USUAL_HEIGHT = 720;
/** How long the words about a camera that cannot be used stay. */
const TROUBLE_MS = 120_000;

/** Fires `publisher` {state, refusal}, `stats` {…}, `muted` and `end` (the host wants the show to be over). */
class LivePreview extends HTMLElement {
  #stream = null;
  #kind = "camera";
  #storage = safeStorage();
  #off = { audio: false, video: false };

  connectedCallback() {
    if (this.firstChild) return;
    this.video = h("video", { testid: "preview", autoplay: true, playsInline: true, muted: true, aria: { label: t("studio.preview") } });
    this.video.addEventListener("resize", () => (this.dataset.shape = this.video.videoHeight > this.video.videoWidth ? "tall" : "wide"));
    this.start = this.#button("camera-start", "camera", "studio.camera-on", () => this.capture());
    this.hint = h("div", { class: "preview-hint" }, h("p", {}, t("studio.camera-off")), this.start);
    this.dark = h("p", { class: "preview-dark", testid: "picture-off" }, icon("camera-off"), h("span", {}, t("studio.picture-off")));
    this.meter = h("level-meter", { testid: "level" });
    this.go = h("button", { class: "primary go-live", testid: "go-live", type: "button", onclick: () => this.goLive() }, icon("live"), h("span", {}, t("studio.go-live")));
    this.pause = this.#button("pause-stream", "pause", "studio.pause", () => this.stop());
    this.finish = this.#button("end-stream", "stop", "studio.end", () => this.confirm.showModal());
    this.finish.classList.add("danger");
    this.note = h("refusal-note", { testid: "studio-refusal" });
    this.confirm = this.#confirmation();
    this.append(
      h("div", { class: "preview-box" }, this.video, this.hint, this.dark, this.meter),
      this.#toolbar(),
      h("div", { class: "preview-go" }, this.go, this.pause, this.finish),
      this.note,
      this.confirm,
    );
    this.#mirror(this.#storage.getItem(MIRROR) !== "off");
    this.#draw();
    navigator.mediaDevices?.addEventListener?.("devicechange", () => this.#listDevices());
    this.#resume();
  }

  #button(testid, name, key, onclick) {
    return h("button", { type: "button", testid, onclick }, icon(name), h("span", {}, t(key)));
  }

  #tool(testid, name, key, onclick) {
    return h("button", { class: "tool", type: "button", testid, title: t(key), aria: { label: t(key), pressed: "false" }, onclick }, icon(name), h("span", { aria: { hidden: "true" } }, t(`${key}.short`)));
  }

  #toolbar() {
    this.mic = this.#tool("mic-toggle", "mic", "tool.mic", () => this.toggle("audio"));
    this.cam = this.#tool("camera-toggle", "camera", "tool.camera", () => this.toggle("video"));
    this.screen = this.#tool("screen-start", "screen", "tool.screen", () => this.capture(this.#kind === "screen" ? "camera" : "screen"));
    this.flip = this.#tool("mirror", "mirror", "tool.mirror", () => this.#mirror(this.dataset.mirror !== "on"));
    this.camera = h("select", { testid: "camera-select", onchange: () => this.#reopen() });
    this.microphone = h("select", { testid: "mic-select", onchange: () => this.#reopen() });
    this.height = h("select", { testid: "height-select", onchange: () => this.#reopen() }, HEIGHTS.map((p) => h("option", { value: String(p), selected: p === this.#saved().height }, `${p}p`)));
    const devices = h(
      "div",
      { class: "preview-devices" },
      field(t("studio.camera"), this.camera),
      field(t("studio.microphone"), this.microphone),
      field(t("studio.height"), this.height, t("studio.height.hint")),
    );
    this.devices = h("details", { class: "tool-menu", testid: "devices" }, h("summary", { class: "tool", title: t("tool.devices") }, icon("gear"), h("span", {}, t("tool.devices.short"))), devices);
    return h("div", { class: "tools", role: "group", aria: { label: t("tools") } }, this.mic, this.cam, this.screen, this.flip, this.devices);
  }

  #confirmation() {
    const end = () => {
      dialog.close();
      this.stop();
      this.dispatchEvent(new CustomEvent("end"));
    };
    const dialog = h(
      "dialog",
      { class: "sheet", aria: { label: t("studio.end") } },
      h("h2", {}, t("studio.end.sure")),
      h("p", {}, t("studio.end.more")),
      h("div", { class: "row" }, h("button", { type: "button", onclick: () => dialog.close() }, t("cancel")), h("button", { class: "danger", type: "button", testid: "end-confirm", onclick: end }, t("studio.end"))),
    );
    return dialog;
  }

  #saved() {
    try {
      return { height: USUAL_HEIGHT, ...JSON.parse(this.#storage.getItem(DEVICES) ?? "{}") };
    } catch {
      return { height: USUAL_HEIGHT };
    }
  }

  /** Where the host has allowed the camera before, the preview comes by itself. */
  async #resume() {
    try {
      const { state } = await navigator.permissions.query({ name: "camera" });
      if (state === "granted") await this.capture();
    } catch {
      // not every browser can be asked; the button remains
    }
  }

  /** Open camera or screen, show it, and send it if live. */
  async capture(kind = "camera") {
    this.note.clear();
    try {
      const saved = this.#saved();
      const chosen = { camera: this.camera.value || saved.camera, microphone: this.microphone.value || saved.microphone };
      const stream = kind === "screen" ? await openScreen(this.#stream) : await this.#openCamera(chosen);
      if (kind === "camera") await this.#size(stream);
      await this.#use(stream, kind);
      return true;
    } catch (error) {
      this.note.refuse(error);
      // what to do about it takes longer than reading it
      this.note.say(this.note.textContent, { staysMs: TROUBLE_MS });
      return false;
    }
  }

  /** A remembered camera that is gone must not keep the host from going live with another. */
  async #openCamera(chosen) {
    try {
      return await openCamera(chosen);
    } catch (error) {
      if (asRefusal(error).code !== "camera_missing" || !(chosen.camera || chosen.microphone)) throw error;
      this.#storage.removeItem(DEVICES);
      return openCamera();
    }
  }

  async #size(stream) {
    const height = Number(this.height.value);
    const [track] = stream.getVideoTracks();
    // what the camera cannot is no error: it gives what is nearest
    if (height !== USUAL_HEIGHT) await track?.applyConstraints({ height: { ideal: height }, width: { ideal: (height * 16) / 9 } }).catch(() => {});
  }

  async #use(stream, kind) {
    const before = this.#stream;
    this.#stream = stream;
    this.#kind = kind;
    this.#applyOff();
    this.video.srcObject = stream;
    this.dataset.kind = kind;
    this.meter.listen(stream);
    this.#draw();
    stream.getVideoTracks()[0]?.addEventListener("ended", () => this.#stream === stream && this.capture("camera"));
    await this.publisher?.replace(stream);
    closeCapture(before);
    await this.#listDevices();
  }

  /** Mute or unmute (`audio`), picture off or on (`video`): viewers hear silence, see black; nothing is renegotiated. */
  toggle(kind) {
    this.#off[kind] = !this.#off[kind];
    this.#applyOff();
    this.#draw();
  }

  #applyOff() {
    for (const track of this.#stream?.getTracks() ?? []) track.enabled = !this.#off[track.kind];
  }

  #mirror(on) {
    this.dataset.mirror = on ? "on" : "off";
    this.#storage.setItem(MIRROR, on ? "on" : "off");
    this.flip.setAttribute("aria-pressed", String(on));
  }

  #reopen() {
    const { value: camera } = this.camera;
    this.#storage.setItem(DEVICES, JSON.stringify({ camera, microphone: this.microphone.value, height: Number(this.height.value) }));
    if (this.#stream && this.#kind === "camera") this.capture("camera");
  }

  async #listDevices() {
    const { cameras, microphones } = await listDevices();
    const inUse = new Set(this.#stream?.getTracks().map((track) => track.getSettings().deviceId) ?? []);
    const fill = (select, devices) =>
      select.replaceChildren(...devices.map((d, i) => h("option", { value: d.deviceId, selected: inUse.has(d.deviceId) }, d.label || `${i + 1}`)));
    fill(this.camera, cameras);
    fill(this.microphone, microphones);
  }

  /** Where and as whom to publish. */
  aim({ url, token, channel }) {
    Object.assign(this, { url, token, channel });
    // two studio windows on one show would take the stream from each other for ever: the newest has it
    channel?.addEventListener("message", ({ data }) => {
      if (data !== "publishing" || !this.publisher) return;
      this.stop();
      this.note.say(t("studio.elsewhere"), { staysMs: 60_000 });
    });
  }

  async goLive() {
    if (this.publisher) return;
    this.go.disabled = true;
    const ready = this.#stream !== null || (await this.capture());
    this.go.disabled = false;
    if (!ready || this.publisher) return;
    this.channel?.postMessage("publishing");
    this.publisher = new WhipPublisher({ stream: this.#stream, url: this.url, token: this.token });
    this.publisher.addEventListener("state", ({ detail }) => this.#published(detail));
    this.publisher.addEventListener("stats", ({ detail }) => this.dispatchEvent(new CustomEvent("stats", { detail })));
    this.publisher.start();
  }

  #published(detail) {
    if (detail.state === "failed") {
      this.note.refuse(detail.refusal);
      this.publisher = null;
    }
    this.#draw();
    this.dispatchEvent(new CustomEvent("publisher", { detail }));
  }

  /** Stop sending; the show stays and can go live again. */
  stop() {
    const { publisher } = this;
    this.publisher = null;
    publisher?.stop();
    this.#draw();
  }

  #draw() {
    const sending = Boolean(this.publisher);
    show(this.go, !sending);
    show(this.pause, sending);
    const there = this.#stream !== null;
    show(this.hint, !there);
    show(this.meter, there);
    show(this.dark, there && this.#off.video);
    for (const tool of [this.mic, this.cam]) tool.disabled = !there;
    this.#pressed(this.mic, this.#off.audio, this.#off.audio ? "mic-off" : "mic");
    this.#pressed(this.cam, this.#off.video, this.#off.video ? "camera-off" : "camera");
    this.#pressed(this.screen, this.#kind === "screen", "screen");
    this.meter.mute(this.#off.audio);
  }

  #pressed(tool, on, name) {
    if (tool.getAttribute("aria-pressed") === String(on)) return;
    tool.setAttribute("aria-pressed", String(on));
    tool.firstChild.replaceWith(icon(name));
  }

  /** Words on the button: again, if viewers are waiting. */
  again(wasLive) {
    setText(this.go.lastChild, t(wasLive ? "studio.go-live-again" : "studio.go-live"));
  }

  /** The show is over: nothing more to send. */
  over() {
    this.stop();
    closeCapture(this.#stream);
    this.meter.stop();
    this.hidden = true;
  }
}

customElements.define("live-preview", LivePreview);
