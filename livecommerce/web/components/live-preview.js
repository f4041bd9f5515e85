/** `<live-preview>`: what the host will send, from which devices, and the button that sends it. */
import { asRefusal, safeStorage } from "../client.js";
import { WhipPublisher } from "../media.js";
import { closeCapture, listDevices, openCamera, openScreen } from "../media/capture.js";
import { field, h, setText, show } from "../ui/dom.js";
import { icon } from "../ui/icons.js";
import { t } from "../ui/i18n.js";

const DEVICES = "livecommerce.devices";

/** Fires `publisher` {state, refusal}, `stats` {…} and `end` (the host wants the show to be over). */
class LivePreview extends HTMLElement {
  #stream = null;
  #kind = "camera";
  #storage = safeStorage();

  connectedCallback() {
    if (this.firstChild) return;
    this.video = h("video", { testid: "preview", autoplay: true, playsInline: true, muted: true, aria: { label: t("studio.preview") } });
    this.hint = h("p", { class: "preview-hint" }, t("studio.camera-off"));
    this.meter = h("level-meter", { testid: "level" });
    this.camera = h("select", { testid: "camera-select", onchange: () => this.#reopen() });
    this.microphone = h("select", { testid: "mic-select", onchange: () => this.#reopen() });
    this.start = this.#button("camera-start", "camera", "studio.camera-on", () => this.capture());
    this.screen = this.#button("screen-start", "screen", "studio.screen", () => this.capture(this.#kind === "screen" ? "camera" : "screen"));
    this.go = h("button", { class: "primary go-live", testid: "go-live", type: "button", onclick: () => this.goLive() }, icon("live"), h("span", {}, t("studio.go-live")));
    this.pause = this.#button("pause-stream", "stop", "studio.pause", () => this.stop());
    this.finish = this.#button("end-stream", "close", "studio.end", () => this.confirm.showModal());
    this.finish.classList.add("danger");
    this.note = h("refusal-note", { testid: "studio-refusal" });
    this.confirm = this.#confirmation();
    this.append(
      h("div", { class: "preview-box" }, this.video, this.hint, this.meter),
      h("div", { class: "preview-go" }, this.go, this.pause, this.finish),
      this.note,
      h("div", { class: "preview-devices" }, field(t("studio.camera"), this.camera), field(t("studio.microphone"), this.microphone), h("div", { class: "preview-sources" }, this.start, this.screen)),
      this.confirm,
    );
    show(this.pause, false);
    navigator.mediaDevices?.addEventListener?.("devicechange", () => this.#listDevices());
    this.#resume();
  }

  #button(testid, name, key, onclick) {
    return h("button", { type: "button", testid, onclick }, icon(name), h("span", {}, t(key)));
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
      const saved = JSON.parse(this.#storage.getItem(DEVICES) ?? "{}");
      const chosen = { camera: this.camera.value || saved.camera, microphone: this.microphone.value || saved.microphone };
      const stream = kind === "screen" ? await openScreen(this.#stream) : await this.#openCamera(chosen);
      await this.#use(stream, kind);
      return true;
    } catch (error) {
      this.note.refuse(error);
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

  async #use(stream, kind) {
    const before = this.#stream;
    this.#stream = stream;
    this.#kind = kind;
    this.video.srcObject = stream;
    this.dataset.kind = kind;
    show(this.hint, false);
    show(this.start, false);
    setText(this.screen.lastChild, t(kind === "screen" ? "studio.camera-back" : "studio.screen"));
    this.meter.listen(stream);
    stream.getVideoTracks()[0]?.addEventListener("ended", () => this.#stream === stream && this.capture("camera"));
    await this.publisher?.replace(stream);
    closeCapture(before);
    await this.#listDevices();
  }

  #reopen() {
    this.#storage.setItem(DEVICES, JSON.stringify({ camera: this.camera.value, microphone: this.microphone.value }));
    if (this.#stream) this.capture("camera");
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
