/** Nonces of one slot are forgotten together. */
const SLOT_MS = 10_000;

/**
 * The nonces of requests that were accepted, for as long as their signatures are young enough to be accepted again.
 * The set is bounded, and refuses what it cannot remember: forgetting a nonce would allow a replay.
 */
export class SeenNonces {
  private readonly slots = new Map<number, Set<string>>();
  private count = 0;

  constructor(
    private readonly windowMs: number,
    private readonly capacity: number,
  ) {}

  get size(): number {
    return this.count;
  }

  /** Notes the nonce of a signature made at `unixMs`, unless it was there before or there is no room. */
  add(nonce: string, unixMs: number, nowMs: number): 'new' | 'seen' | 'full' {
    const slot = Math.floor(unixMs / SLOT_MS);
    const known = this.slots.get(slot);
    if (known?.has(nonce)) return 'seen';
    if (this.count >= this.capacity) this.forgetBefore(nowMs - this.windowMs);
    if (this.count >= this.capacity) return 'full';
    if (known !== undefined) known.add(nonce);
    else {
      this.forgetBefore(nowMs - this.windowMs);
      this.slots.set(slot, new Set([nonce]));
    }
    this.count += 1;
    return 'new';
  }

  /** Drops slots of which every signature is older than `unixMs`. */
  private forgetBefore(unixMs: number): void {
    for (const [slot, nonces] of this.slots) {
      if ((slot + 1) * SLOT_MS > unixMs) continue;
      this.slots.delete(slot);
      this.count -= nonces.size;
    }
  }
}
