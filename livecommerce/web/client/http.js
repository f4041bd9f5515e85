/** The HTTP API: JSON in, JSON out, refusals as typed errors. */
import { OFFLINE, Refusal, refusalFromProblem } from "./errors.js";

const TIMEOUT_MS = 10_000;

export class Api {
  /** `token` is a function that gives the bearer token, or null for a request without one. */
  constructor({ base = "", token = () => null } = {}) {
    this.base = base;
    this.token = token;
  }

  /** One request, with a body as JSON or a Blob. Returns `{status, body, headers}` for a 2xx; throws a Refusal for all else. */
  async request(method, path, { json, blob, headers = {}, timeoutMs = TIMEOUT_MS, keepalive = false } = {}) {
    const sent = { Accept: "application/json", ...headers };
    const token = this.token();
    if (token) sent.Authorization = `Bearer ${token}`;
    if (json !== undefined) sent["Content-Type"] = "application/json";
    else if (blob) sent["Content-Type"] = blob.type;
    let response;
    let body;
    try {
      response = await fetch(this.base + path, {
        method,
        headers: sent,
        body: json === undefined ? blob : JSON.stringify(json),
        signal: AbortSignal.timeout(timeoutMs),
        cache: "no-store",
        keepalive,
      });
      body = await read(response);
    } catch (error) {
      throw new Refusal(OFFLINE, String(error?.message ?? error), { temporary: true });
    }
    if (!response.ok) throw refusalFromProblem(response.status, body, response.headers.get("Retry-After"));
    return { status: response.status, body, headers: response.headers };
  }

  async get(path) {
    return (await this.request("GET", path)).body;
  }

  async post(path, json, options = {}) {
    return (await this.request("POST", path, { json, ...options })).body;
  }

  async put(path, json) {
    return (await this.request("PUT", path, { json })).body;
  }

  async delete(path) {
    return (await this.request("DELETE", path)).body;
  }

  /** Every item of a cursor list, page by page, at most `pages` of them. Returns `{items, next}`. */
  async list(path, { after = null, limit = 200, pages = 10 } = {}) {
    const items = [];
    let next = after;
    for (let page = 0; page < pages; page += 1) {
      const query = new URLSearchParams({ limit: String(limit) });
      if (next) query.set("after", next);
      const answer = await this.get(`${path}?${query}`);
      items.push(...answer.items);
      if (!answer.next) break;
      next = answer.next;
    }
    return { items, next };
  }
}

async function read(response) {
  const text = await response.text();
  if (!text) return null;
  const type = response.headers.get("Content-Type") ?? "";
  if (!type.includes("json")) return text;
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
