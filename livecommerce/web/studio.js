/** The host's page: /studio. Sign in, choose a show, go live, sell, talk; a reload finds everything again. */
import "./components/chat-panel.js";
import "./components/countdown-ring.js";
import "./components/deal-board.js";
import "./components/deal-composer.js";
import "./components/host-door.js";
import "./components/language-switch.js";
import "./components/level-meter.js";
import "./components/live-preview.js";
import "./components/orders-table.js";
import "./components/product-manager.js";
import "./components/refusal-note.js";
import "./components/room-rules.js";
import "./components/share-link.js";
import "./components/studio-bar.js";
import { Refusal, Room, ServerClock, Show, roomUrl, safeStorage, sleep } from "./client.js";
import { h, setText, show } from "./ui/dom.js";
import { icon } from "./ui/icons.js";
import { loadTexts, refusalText, t } from "./ui/i18n.js";
import { openSession } from "./ui/session.js";

/** The show this browser runs; `live` says whether it was on the air when the page was left. */
const SAVED = "livecommerce.show";
const TABS = ["show", "deals", "products", "orders", "chat"];

class StudioPage {
  #storage = safeStorage();

  constructor() {
    document.title = t("studio.page");
    this.bar = h("studio-bar");
    this.door = h("host-door");
    this.preview = h("live-preview");
    this.share = h("share-link");
    this.products = h("product-manager");
    this.composer = h("deal-composer");
    this.board = h("deal-board");
    this.orders = h("orders-table");
    this.chat = h("chat-panel");
    this.rules = h("room-rules");
    const panel = (name, ...children) => h("section", { class: `panel panel-${name}`, id: `panel-${name}`, dataset: { tab: name } }, children);
    this.desk = h(
      "main",
      { class: "desk" },
      h("div", { class: "column" }, panel("show", this.preview, this.share), panel("orders", this.orders)),
      h("div", { class: "column" }, panel("deals", this.composer, this.board), panel("products", this.products)),
      h("div", { class: "column" }, panel("chat", h("h2", {}, t("chat")), this.rules, this.chat)),
    );
    this.tabs = this.#tabs();
    document.body.append(this.bar, this.door, this.desk, this.tabs);
    this.desk.hidden = this.tabs.hidden = this.door.hidden = true;
    this.composer.addEventListener("composed", ({ detail }) => this.board.reveal(detail.id));
    this.door.addEventListener("chosen", ({ detail }) => this.#open(detail.stream));
  }

  #tabs() {
    const icons = { show: "camera", deals: "bolt", products: "bag", orders: "check", chat: "user" };
    const tab = (name) =>
      h("button", { type: "button", testid: `tab-${name}`, aria: { controls: `panel-${name}` }, dataset: { tab: name }, onclick: () => this.#turn(name) }, icon(icons[name]), h("span", {}, t(`tab.${name}`)));
    return h("nav", { class: "tabs", aria: { label: t("studio.parts") } }, TABS.map(tab));
  }

  #turn(name) {
    this.desk.dataset.tab = name;
    for (const tab of this.tabs.children) tab.setAttribute("aria-current", String(tab.dataset.tab === name));
  }

  async start() {
    let opened;
    try {
      opened = openSession("host");
    } catch (error) {
      opened = openSession("host"); // the bad token has left the address by now
      this.trouble = error;
    }
    Object.assign(this, opened);
    this.#turn("show");
    const saved = this.#saved();
    const stream = saved && this.session.signedIn ? await this.#find(saved.id) : null;
    if (stream) return this.#open(stream, saved.live);
    this.door.open(this);
    if (this.trouble) this.door.note.refuse(this.trouble);
  }

  #saved() {
    try {
      return JSON.parse(this.#storage.getItem(SAVED) ?? "null");
    } catch {
      return null;
    }
  }

  #save(live) {
    this.#storage.setItem(SAVED, JSON.stringify({ id: this.store.stream.id, live }));
  }

  /** The saved show if it still runs; waits out a server that is restarting. */
  async #find(id) {
    for (;;) {
      try {
        const stream = await this.api.get(`/api/v1/streams/${encodeURIComponent(id)}`);
        return stream.state === "ended" ? null : stream;
      } catch (error) {
        if (!error.temporary) return null;
        this.bar.become("offline");
        await sleep(1_500);
      }
    }
  }

  #open(stream, wasLive = false) {
    const clock = new ServerClock();
    const token = () => this.session.token;
    this.store = new Show({ clock });
    this.room = new Room({ url: roomUrl(stream.id), token, clock });
    this.desk.hidden = this.tabs.hidden = false;
    this.bar.follow(this.store);
    this.chat.follow(this.store);
    this.rules.follow(this.store);
    for (const part of [this.products, this.composer, this.board, this.orders]) part.follow(this.store, this.api);
    const channel = new BroadcastChannel(`livecommerce.studio.${stream.id}`);
    this.preview.aim({ url: `/whip/${encodeURIComponent(stream.id)}`, token, channel });
    this.preview.again(wasLive);
    this.share.show(stream);
    this.#wire();
    this.store.takeStream(stream);
    this.store.follow(this.room);
    this.#save(wasLive);
    this.room.enter();
  }

  #wire() {
    const { store, room, preview } = this;
    store.addEventListener("stream", () => this.#judge());
    room.addEventListener("state", () => {
      document.body.dataset.room = room.state;
      this.#judge();
    });
    room.addEventListener("closed", ({ detail }) => this.#roomClosed(detail));
    preview.addEventListener("publisher", ({ detail }) => {
      if (detail.state === "connected") this.#save(true);
      if (detail.state === "stopped") this.#save(false);
      this.#judge();
    });
    preview.addEventListener("stats", ({ detail }) => this.bar.health(detail));
    preview.addEventListener("end", () => this.#end());
    addEventListener("online", () => room.nudge());
    document.addEventListener("visibilitychange", () => document.hidden || room.nudge());
    addEventListener("beforeunload", (event) => preview.publisher?.state === "connected" && event.preventDefault());
  }

  async #end() {
    try {
      await this.api.delete(`/api/v1/streams/${encodeURIComponent(this.store.stream.id)}`);
      this.store.changeStream({ state: "ended" });
    } catch (error) {
      this.preview.note.refuse(error);
    }
  }

  #roomClosed({ code, refusal }) {
    if (code === 3502) return this.store.changeStream({ state: "ended" });
    if (code === 3500) this.session.forget();
    this.bar.become("refused", refusalText(code === 3500 ? new Refusal("token_expired") : (refusal ?? new Refusal("internal"))));
  }

  /** One word for how it stands: what we send, and what the server says the viewers get. */
  #judge() {
    const { state } = this.store.stream;
    if (state === "ended") return this.#over();
    const sending = this.preview.publisher?.state;
    if (this.room.state === "waiting" && sending !== "connected") return this.bar.become("offline");
    if (sending === "connected") return this.bar.become(state === "live" ? "live" : "connecting");
    if (sending) return this.bar.become(sending === "reconnecting" || sending === "waiting" ? "reconnecting" : "connecting");
    this.bar.become(state === "created" ? "ready" : "interrupted");
    if (state === "interrupted") this.preview.again(true);
  }

  #over() {
    this.bar.become("ended");
    this.preview.over();
    this.#storage.removeItem(SAVED);
    if (this.ended) return;
    this.ended = h("section", { class: "door", testid: "studio-ended" }, h("h2", {}, t("studio.ended")), h("a", { class: "button primary", href: "/studio", testid: "new-show" }, t("studio.new-show")));
    this.preview.after(this.ended);
    show(this.share, false);
  }
}

await loadTexts();
const page = new StudioPage();
page.start().catch((error) => {
  console.error(error);
  setText(page.bar.status, t("problem.internal"));
});
