/** Who this browser is: a guest's token, or one a shop handed over in the address's fragment (`#token=…`). */
import { Refusal } from "./errors.js";

/** A token is renewed when less than this is left of it. */
const MARGIN_S = 120;

/** The claims of a JWT, unverified (the server verifies; this only tells us when to ask for a new one). */
export function claimsOf(token) {
  try {
    const part = token.split(".")[1].replaceAll("-", "+").replaceAll("_", "/");
    const bytes = Uint8Array.from(atob(part), (c) => c.charCodeAt(0));
    return JSON.parse(new TextDecoder().decode(bytes));
  } catch {
    return {};
  }
}

/** The token in an address fragment, or null. A fragment never reaches a server's log. */
export function tokenInFragment(hash) {
  return new URLSearchParams(hash.replace(/^#/, "")).get("token");
}

export class Session {
  /** `slot` keeps a browser's viewer and its host apart; `storage` is localStorage or anything like it. */
  constructor(api, { slot = "viewer", storage = safeStorage() } = {}) {
    this.api = api;
    this.key = `livecommerce.${slot}`;
    this.storage = storage;
    this.token = null;
    this.user = null;
    this.#restore();
  }

  get signedIn() {
    return this.token !== null;
  }

  #restore() {
    try {
      const saved = JSON.parse(this.storage.getItem(this.key) ?? "null");
      if (saved && fresh(saved.token)) Object.assign(this, { token: saved.token, user: saved.user });
    } catch {
      this.forget();
    }
  }

  /** Use a token minted elsewhere. */
  adopt(token) {
    const claims = claimsOf(token);
    if (!claims.sub) throw new Refusal("token_invalid");
    if (!fresh(token)) throw new Refusal("token_expired");
    this.#keep(token, { id: claims.sub, name: claims.name ?? "guest" });
  }

  /** Sign in as a guest under a name; a new name is a new guest. */
  async guest(name) {
    const answer = await this.api.post("/api/v1/guest", { name });
    this.#keep(answer.token, answer.user);
  }

  #keep(token, user) {
    this.token = token;
    this.user = user;
    this.storage.setItem(this.key, JSON.stringify({ token, user }));
  }

  forget() {
    this.token = null;
    this.user = null;
    this.storage.removeItem(this.key);
  }
}

function fresh(token) {
  const { exp } = claimsOf(token ?? "");
  return typeof exp === "number" && exp > Date.now() / 1000 + MARGIN_S;
}

/** localStorage, or a memory of the same shape where the browser forbids it. */
export function safeStorage() {
  try {
    const probe = "livecommerce.probe";
    localStorage.setItem(probe, "1");
    localStorage.removeItem(probe);
    return localStorage;
  } catch {
    const kept = new Map();
    return {
      getItem: (key) => kept.get(key) ?? null,
      setItem: (key, value) => kept.set(key, String(value)),
      removeItem: (key) => kept.delete(key),
    };
  }
}
