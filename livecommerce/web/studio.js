/** The host's page: /studio. Sign in, choose a show, go live, sell, talk; a reload finds everything again. */
import "./components/bundle-editor.js";
import "./components/chat-panel.js";
import "./components/code-manager.js";
import "./components/countdown-ring.js";
import "./components/deal-board.js";
import "./components/deal-composer.js";
import "./components/health-panel.js";
import "./components/host-door.js";
import "./components/language-switch.js";
import "./components/level-meter.js";
import "./components/live-preview.js";
import "./components/orders-table.js";
import "./components/poll-desk.js";
import "./components/product-manager.js";
import "./components/question-queue.js";
import "./components/refusal-note.js";
import "./components/room-rules.js";
import "./components/share-link.js";
import "./components/shortcut-help.js";
import "./components/show-insights.js";
import "./components/studio-bar.js";
import { Refusal, Room, ServerClock, Show, roomUrl, safeStorage, sleep } from "./client.js";
import { Staff } from "./client/staff.js";
import { Desk } from "./studio-desk.js";
import { h, setText, show } from "./ui/dom.js";
import { loadTexts, refusalText, t } from "./ui/i18n.js";
import { PosterTaker } from "./ui/poster.js";
import { openSession } from "./ui/session.js";

/** The show this browser runs; `live` says whether it was on the air when the page was left. */
const SAVED = "livecommerce.show";

class StudioPage {
  #storage = safeStorage();

  constructor() {
    document.title = t("studio.page");
    this.bar = h("studio-bar");
    this.door = h("host-door");
    this.preview = h("live-preview");
    this.health = h("health-panel");
    this.share = h("share-link");
    this.products = h("product-manager");
    this.composer = h("deal-composer");
    this.board = h("deal-board");
    this.codes = h("code-manager");
    this.orders = h("orders-table");
    this.insights = h("show-insights");
    this.chat = h("chat-panel");
    this.questions = h("question-queue");
    this.poll = h("poll-desk");
    this.rules = h("room-rules");
    this.help = h("shortcut-help");
    this.desk = new Desk(this);
    document.body.append(this.bar, this.door, this.desk.main, this.desk.phone, this.help);
    this.#desk(false);
    show(this.door, false);
    this.composer.addEventListener("composed", ({ detail }) => this.board.reveal(detail.id));
    this.products.addEventListener("sell", ({ detail }) => {
      this.desk.turn("deals");
      this.composer.sell(detail.product);
    });
    this.bar.addEventListener("help", () => this.help.open());
    this.door.addEventListener("chosen", ({ detail }) => this.#open(detail.stream));
  }

  #desk(visible) {
    show(this.desk.main, visible);
    show(this.desk.phone, visible);
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

  /** `since`: when it went on the air; a reload does not begin to count anew. */
  #save(live) {
    const { id } = this.store.stream;
    const saved = this.#saved();
    const since = live ? ((saved?.id === id && saved.live && saved.since) || Date.now()) : null;
    this.bar.since(since);
    this.#storage.setItem(SAVED, JSON.stringify({ id, live, since }));
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
    this.staff = new Staff(this.store);
    this.room = new Room({ url: roomUrl(stream.id), token, clock });
    this.#desk(true);
    const { store, staff, api } = this;
    for (const part of [this.bar, this.health]) part.follow(store);
    this.chat.follow(store, api);
    this.rules.follow(store, staff);
    this.questions.follow(staff);
    this.poll.follow(store);
    for (const part of [this.products, this.composer, this.codes, this.orders, this.insights]) part.follow(store, api);
    this.board.follow(store, api, staff);
    const channel = new BroadcastChannel(`livecommerce.studio.${stream.id}`);
    this.preview.aim({ url: `/whip/${encodeURIComponent(stream.id)}`, token, channel });
    this.preview.again(wasLive);
    const poster = `/api/v1/streams/${encodeURIComponent(stream.id)}/poster`;
    this.poster = new PosterTaker({ video: this.preview.video, send: (blob) => api.request("PUT", poster, { blob }) });
    this.share.show(stream);
    this.#wire();
    this.#keys();
    store.takeStream(stream);
    store.follow(this.room);
    staff.follow(this.room);
    this.#save(wasLive);
    this.room.enter();
  }

  #wire() {
    const { store, staff, room, preview } = this;
    store.addEventListener("stream", () => {
      if (store.stream.state === "interrupted") preview.publisher?.doubt();
      this.#judge();
    });
    staff.addEventListener("questions", () => this.desk.count(staff.questions.length));
    room.addEventListener("state", () => {
      document.body.dataset.room = room.state;
      if (room.state === "waiting") preview.publisher?.doubt(); // whoever had the room may have had the picture, too
      this.#judge();
    });
    room.addEventListener("closed", ({ detail }) => this.#roomClosed(detail));
    preview.addEventListener("publisher", ({ detail }) => {
      if (detail.state === "connected") {
        this.#save(true);
        this.poster.start();
      } else {
        this.health.rest();
        this.poster.stop();
      }
      if (detail.state === "stopped") this.#save(false);
      this.#judge();
    });
    preview.addEventListener("stats", ({ detail }) => this.health.take(detail, preview.publisher?.pc));
    this.health.addEventListener("judged", ({ detail }) => this.bar.health(detail));
    preview.addEventListener("end", () => this.#end());
    addEventListener("online", () => room.nudge());
    document.addEventListener("visibilitychange", () => document.hidden || room.nudge());
    addEventListener("beforeunload", (event) => preview.publisher?.state === "connected" && event.preventDefault());
  }

  #keys() {
    const turn = (name, then = () => {}) => () => {
      this.desk.turn(name);
      then();
    };
    const running = (step) => () => {
      const deal = this.board.running;
      if (deal) this.board.step(deal.id, step);
    };
    this.help.offer([
      ["L", t("studio.go-live"), () => this.preview.goLive()],
      ["m", t("tool.mic"), () => this.preview.toggle("audio")],
      ["v", t("tool.camera"), () => this.preview.toggle("video")],
      ["d", t("keys.deal"), turn("deals", () => this.composer.begin())],
      ["e", t("keys.extend"), running("extend")],
      ["X", t("keys.close"), running("close")],
      ["p", t("tab.products"), turn("products")],
      ["o", t("tab.orders"), turn("orders")],
      ["i", t("tab.insights"), turn("insights")],
      ["c", t("keys.chat"), turn("chat", () => this.chat.input?.focus())],
      ["q", t("tab.questions"), turn("questions")],
      ["a", t("rules.announce"), turn("rules", () => this.rules.words.focus())],
    ]);
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
    this.bar.become({ created: "ready", live: "elsewhere" }[state] ?? "interrupted");
    if (state === "interrupted") this.preview.again(true);
  }

  /** The show's end: the figures stay, a new show is one tap away. */
  #over() {
    this.bar.become("ended");
    this.preview.over();
    this.health.rest();
    this.#storage.removeItem(SAVED);
    if (this.ended) return;
    this.ended = h("section", { class: "show-over", testid: "studio-ended" }, h("h2", {}, t("studio.ended")), h("p", {}, t("studio.ended.more")), h("a", { class: "button primary", href: "/studio", testid: "new-show" }, t("studio.new-show")));
    this.preview.after(this.ended);
    show(this.share, false);
    show(this.composer, false);
    this.desk.turn("insights");
    this.desk.turn("show");
  }
}

await loadTexts();
const page = new StudioPage();
page.start().catch((error) => {
  console.error(error);
  setText(page.bar.status, t("problem.internal"));
});
