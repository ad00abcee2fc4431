/** Where time comes from. Cores take `nowMs` as an argument; shells take a Clock. */
export interface Clock {
  /** Milliseconds that only move forward and mean nothing across processes. For every duration and deadline. */
  monotonicMs(): number;
  /** Milliseconds since the epoch. For showing to people and for incarnations, never for deciding order. */
  wallMs(): number;
}

export const systemClock: Clock = {
  monotonicMs: () => performance.now(),
  wallMs: () => Date.now(),
};
