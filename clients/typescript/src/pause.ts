/** How long to wait before the n-th further try, in milliseconds: at random, up to a bound that doubles. */
export function backoff(tries: number, first: number, most: number): number {
  return Math.random() * Math.min(most, first * 2 ** (tries - 1));
}

/** Waits; rejects with the signal's reason when it is aborted first. */
export function pause(milliseconds: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    signal.throwIfAborted();
    const stop = () => {
      clearTimeout(timer);
      reject(signal.reason);
    };
    const timer = setTimeout(() => {
      signal.removeEventListener("abort", stop);
      resolve();
    }, milliseconds);
    signal.addEventListener("abort", stop, { once: true });
  });
}
