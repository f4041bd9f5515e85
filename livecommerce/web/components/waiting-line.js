/** `<waiting-line>`: stand in line for a unit of a sold-out deal, see one's place, leave again. */
import { asRefusal, safeStorage } from "../client.js";
import { h, setText, show } from "../ui/dom.js";
import { t } from "../ui/i18n.js";

/** The deal this browser last stood in line for: only then is the server asked after a reload, not by every viewer. */
const SAVED = "livecommerce.waiting";

/** Fires `refused` {refusal}: the card that holds it has the words' place. */
class WaitingLine extends HTMLElement {
  #dealId = null;
  #asked = new Set();
  #busy = false;
  #storage = safeStorage();

  connectedCallback() {
    if (this.firstChild) return;
    this.place = h("strong", { class: "wait-place", testid: "wait-place", role: "status" });
    this.join = h("button", { class: "wait-join", type: "button", testid: "wait-join", onclick: () => this.#join() }, t("wait.join"));
    this.leave = h("button", { class: "quiet small", type: "button", testid: "wait-leave", onclick: () => this.#leave() }, t("wait.leave"));
    this.append(this.place, this.leave, this.join);
    this.hidden = true;
  }

  follow(store, api) {
    Object.assign(this, { store, api });
    store.addEventListener("reset", () => {
      this.#asked.clear();
      this.#recall();
    });
    store.addEventListener("place", () => this.#draw());
  }

  /** Offer the line for this deal, or nothing (null). */
  offer(deal) {
    this.#dealId = deal?.id ?? null;
    this.#draw();
    this.#recall();
  }

  get #path() {
    return `/api/v1/streams/${encodeURIComponent(this.store.stream.id)}/deals/${encodeURIComponent(this.#dealId)}/waitlist`;
  }

  /** After a reload or an interruption the server knows the place: ask once a connection. */
  async #recall() {
    const id = this.#dealId;
    if (id === null || this.#asked.has(id) || !this.store.user || this.#storage.getItem(SAVED) !== id) return;
    this.#asked.add(id);
    try {
      this.store.takePlace(await this.api.get(this.#path));
    } catch {
      // the button remains: joining again keeps the place
    }
  }

  #draw() {
    const position = this.store?.places.get(this.#dealId) ?? null;
    show(this, this.#dealId !== null);
    show(this.join, position === null);
    show(this.place, position !== null);
    show(this.leave, position !== null);
    this.join.disabled = this.leave.disabled = this.#busy;
    if (position !== null) setText(this.place, t("wait.place", { count: position }));
  }

  #join() {
    this.#storage.setItem(SAVED, this.#dealId);
    return this.#doing(async () => this.store.takePlace(await this.api.post(this.#path)));
  }

  #leave() {
    const id = this.#dealId;
    return this.#doing(async () => {
      await this.api.delete(this.#path);
      this.store.takePlace({ deal_id: id, position: null });
    });
  }

  async #doing(act) {
    if (this.#busy) return;
    this.#busy = true;
    this.#draw();
    try {
      await act();
    } catch (error) {
      this.dispatchEvent(new CustomEvent("refused", { detail: { refusal: asRefusal(error) } }));
    } finally {
      this.#busy = false;
      this.#draw();
    }
  }
}

customElements.define("waiting-line", WaitingLine);
