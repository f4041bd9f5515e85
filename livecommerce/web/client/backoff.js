/** Waiting between attempts: exponential with full jitter, so that a thousand viewers do not come back at once. */

export const FIRST_MS = 400;
export const LONGEST_MS = 10_000;

/** How long to wait before attempt `n` (0 is the first retry), in milliseconds. */
export function delayMs(n, random = Math.random, { first = FIRST_MS, longest = LONGEST_MS } = {}) {
  const ceiling = Math.min(longest, first * 2 ** Math.min(n, 16));
  return Math.round(ceiling * (0.25 + 0.75 * random()));
}

/** A wait that an AbortSignal ends early (it then rejects with the signal's reason). */
export function sleep(ms, signal = null) {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) return reject(signal.reason);
    const stop = () => {
      clearTimeout(timer);
      reject(signal.reason);
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener("abort", stop);
      resolve();
    }, ms);
    signal?.addEventListener("abort", stop, { once: true });
  });
}
