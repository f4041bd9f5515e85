/** The viewer's page: /watch/{stream}. It joins the room and the picture, and keeps both for as long as one stays. */
import "./components/chat-panel.js";
import "./components/countdown-ring.js";
import "./components/deal-card.js";
import "./components/heart-button.js";
import "./components/language-switch.js";
import "./components/my-orders.js";
import "./components/order-panel.js";
import "./components/poll-card.js";
import "./components/product-card.js";
import "./components/refusal-note.js";
import "./components/show-end.js";
import "./components/show-header.js";
import "./components/toast-rack.js";
import "./components/video-stage.js";
import "./components/waiting-line.js";
import { OFFLINE, Refusal, Room, ServerClock, Show, roomUrl, sleep } from "./client.js";
import { WhepViewer } from "./media.js";
import { h } from "./ui/dom.js";
import { posterOf } from "./ui/goods.js";
import { loadTexts, refusalText, t } from "./ui/i18n.js";
import { guestName, openSession } from "./ui/session.js";

const streamId = decodeURIComponent(location.pathname.split("/").filter(Boolean)[1] ?? "");

class WatchPage {
  constructor() {
    this.stage = h("video-stage");
    this.header = h("show-header");
    this.chat = h("chat-panel");
    this.deal = h("deal-card");
    this.order = h("order-panel");
    this.product = h("product-card");
    this.poll = h("poll-card");
    this.mine = h("my-orders");
    this.end = h("show-end");
    this.hearts = h("heart-button");
    this.toasts = h("toast-rack");
    this.announcer = h("p", { class: "unseen", role: "status", testid: "announcer" });
    this.side = h("aside", { class: "side" }, this.chat, h("div", { class: "offers" }, this.poll, this.product, this.order, this.deal));
    document.body.append(h("main", { class: "show" }, this.stage, this.header, this.toasts, this.side, this.hearts, this.announcer));
    this.stage.poster.append(this.end);
    this.header.tools.prepend(this.mine);
    this.become("connecting");
  }

  async start() {
    const { api, session } = openSession("viewer");
    Object.assign(this, { api, session });
    const stream = await this.#persist(() => api.get(`/api/v1/streams/${encodeURIComponent(streamId)}`));
    await this.#signIn();
    const clock = new ServerClock();
    this.store = new Show({ clock });
    this.room = new Room({ url: roomUrl(streamId), token: () => session.token, clock });
    this.viewer = new WhepViewer({ url: `/whep/${encodeURIComponent(streamId)}`, token: () => session.token });
    this.#wire();
    this.store.takeStream(stream);
    this.room.enter();
  }

  /** Ask until there is an answer: a server that restarts is not a reason to lose a viewer. */
  async #persist(ask) {
    for (;;) {
      try {
        return await ask();
      } catch (error) {
        if (!(error instanceof Refusal) || !(error.temporary || error.code === OFFLINE || error.status >= 500)) throw error;
        this.become("offline");
        await sleep(error.retryAfterMs ?? 1_500);
      }
    }
  }

  async #signIn() {
    if (this.session.signedIn) return;
    await this.#persist(() => this.session.guest(guestName(t("guest.names").split(" "))));
  }

  #wire() {
    const { store, room, viewer, api } = this;
    this.header.follow(store);
    this.chat.follow(store);
    this.product.follow(store);
    this.order.follow(store, api);
    this.deal.follow(store, api);
    this.poll.follow(store);
    this.mine.follow(store, api);
    this.hearts.follow(store, this.stage);
    this.deal.addEventListener("held", () => this.order.lead());
    this.end.addEventListener("product", ({ detail }) => this.product.open(detail.id));
    this.toasts.follow(store);
    store.addEventListener("stream", () => this.#streamChanged());
    store.addEventListener("deals", ({ detail }) => this.#announce(detail));
    store.addEventListener("poll", ({ detail }) => this.#announcePoll(detail));
    viewer.addEventListener("media", ({ detail }) => this.stage.play(detail.stream));
    viewer.addEventListener("state", ({ detail }) => this.#mediaState(detail));
    viewer.addEventListener("stats", ({ detail }) => this.#mediaStats(detail));
    room.addEventListener("state", () => {
      document.body.dataset.room = room.state;
      if (room.state === "waiting") viewer.doubt(); // whoever had the room may have had the picture, too
      this.#judge();
    });
    room.addEventListener("closed", ({ detail }) => this.#roomClosed(detail));
    store.follow(room);
    addEventListener("online", () => this.#nudge());
    document.addEventListener("visibilitychange", () => document.hidden || this.#nudge());
    addEventListener("pagehide", () => viewer.stop());
    addEventListener("pageshow", (event) => event.persisted && this.#streamChanged());
  }

  #nudge() {
    this.room.nudge();
    this.viewer.nudge();
  }

  #streamChanged() {
    const { state } = this.store.stream;
    this.stage.expect(posterOf(this.store.stream));
    this.viewer.expectMedia = state === "live";
    if (state === "ended") this.viewer.stop();
    else {
      this.viewer.start();
      if (state === "live" && this.viewer.state === "waiting") this.viewer.nudge();
    }
    this.#judge();
  }

  #mediaState({ state, refusal }) {
    if (state === "failed" && refusal?.status === 401) this.#renew();
    this.#judge();
  }

  #mediaStats(stats) {
    this.stats = stats;
    this.stage.dataset.bitrate = String(Math.round(stats.bitrate));
    this.stage.dataset.frames = String(stats.framesDecoded);
    this.stage.dataset.connection = stats.connection;
    this.header.receive(stats);
    this.#judge();
  }

  #roomClosed({ code, refusal }) {
    if (code === 3500) return this.#renew();
    if (code === 3502) return this.store.changeStream({ state: "ended" });
    this.#refuse(code === 3501 ? new Refusal("banned") : (refusal ?? new Refusal("internal")));
  }

  /** A token that is no longer good: a guest becomes a new guest, once, however many connections were refused by it. */
  async #renew() {
    if (this.renewing) return;
    if (this.renewed) return this.#refuse(new Refusal("token_invalid"));
    this.renewing = true;
    this.session.forget();
    try {
      await this.#signIn();
      this.renewed = true;
    } catch (error) {
      return this.#refuse(error);
    } finally {
      this.renewing = false;
    }
    this.room.restart();
    this.viewer.restart();
  }

  #refuse(refusal) {
    this.refused = true;
    this.room?.leave();
    this.viewer?.stop();
    this.become("refused");
    this.stage.sentence.textContent = refusalText(refusal);
    this.stage.sentence.dataset.code = refusal.code;
  }

  fail(error) {
    if (!(error instanceof Refusal)) console.error(error);
    this.#refuse(error instanceof Refusal ? error : new Refusal("internal"));
  }

  /** One word for how it stands, out of the stream's state, the room's and the picture's. */
  #judge() {
    if (this.refused || !this.store?.stream) return;
    const { state } = this.store.stream;
    const media = this.viewer.state;
    if (state === "ended") {
      this.end.end(this.store, this.api);
      return this.become("ended");
    }
    if (media === "failed") return this.become("blind");
    if (this.room.state === "waiting" && media !== "connected") return this.become("offline");
    if (state === "interrupted") return this.become("interrupted");
    if (state === "created") return this.become("soon");
    if (media === "connected" && this.stage.moving) return this.become("live");
    this.become(media === "reconnecting" || this.wasLive ? "reconnecting" : "connecting");
  }

  become(state) {
    if (state === "live") this.wasLive = true;
    this.stage.become(state, this.store?.stream?.host);
    const roomLost = state === "live" && this.room.state === "waiting";
    this.header.become(roomLost ? "reconnecting" : state);
    document.body.dataset.state = state;
  }

  /** Only what changes the situation is read out; counts are not. */
  #announce({ deal, was, type }) {
    if (!deal || !was || deal.state === was.state || !type) return;
    const key = `announce.${deal.state}`;
    this.announcer.textContent = t(key, { title: deal.title });
  }

  #announcePoll({ opened, closed }) {
    const { poll } = this.store;
    if (opened) this.announcer.textContent = t("announce.poll", { question: poll.question });
    if (closed && poll.votes) this.announcer.textContent = t("announce.poll.result", { answer: poll.answers[poll.counts.indexOf(Math.max(...poll.counts))] });
  }
}

await loadTexts();
const page = new WatchPage();
page.start().catch((error) => page.fail(error));
// the picture's first frame changes the words at once, not at the next count of statistics
page.stage.video.addEventListener("playing", () => page.viewer?.dispatchEvent(new CustomEvent("state", { detail: { state: page.viewer.state } })));
