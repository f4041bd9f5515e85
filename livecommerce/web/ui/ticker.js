/** One timer for all countdowns of a page; it rests while nobody listens. */
const EVERY_MS = 200;
const listeners = new Set();
let timer = null;

/** Call `listener` five times a second until the returned function is called. */
export function everyTick(listener) {
  listeners.add(listener);
  timer ??= setInterval(() => {
    for (const each of [...listeners]) each();
  }, EVERY_MS);
  return () => {
    listeners.delete(listener);
    if (!listeners.size) {
      clearInterval(timer);
      timer = null;
    }
  };
}
