/**
 * Runs everything that settled promises have brought about, now. The event loop itself does this between two of its
 * turns; a simulation that gave a turn for each of its events would take several times as long. Works only outside of
 * any promise's callback, which is where runs are started from.
 */
export function drainMicrotasks(): void {
  tick.call(process);
}

const { _tickCallback: tick } = process as unknown as { _tickCallback: () => void };
