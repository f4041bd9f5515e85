/** Signing in, as pages do it: a token in the fragment, a saved session, else a guest. */
import { Api, Session, tokenInFragment } from "../client.js";

/** The session of a page; a token in the fragment is taken and removed from the address bar. */
export function openSession(slot) {
  const api = new Api();
  const session = new Session(api, { slot });
  api.token = () => session.token;
  const token = tokenInFragment(location.hash);
  if (token) {
    history.replaceState(null, "", location.pathname + location.search);
    session.adopt(token);
  }
  return { api, session };
}

/** A friendly name for someone who did not say theirs yet. */
export function guestName(words, random = Math.random) {
  return `${words[Math.floor(random() * words.length)]}${Math.floor(100 + random() * 900)}`;
}
