/**
 * Lets a few go at a time, in the order in which they asked. Who leaves before its turn came loses its place, so one
 * that is blocked leaves and asks again when it can go on.
 */
export class StreamSlots<Holder> {
  private readonly active = new Set<Holder>();
  private readonly waiting = new Set<Holder>();

  constructor(
    private readonly atOnce: number,
    private readonly onTurn: (holder: Holder) => void,
  ) {}

  /** @returns whether it may go now; if not, `onTurn` tells when it may */
  ask(holder: Holder): boolean {
    if (this.active.has(holder)) return true;
    if (this.active.size < this.atOnce) {
      this.active.add(holder);
      return true;
    }
    this.waiting.add(holder);
    return false;
  }

  holds(holder: Holder): boolean {
    return this.active.has(holder);
  }

  /** Gives the turn, or the place in the queue, back. */
  leave(holder: Holder): void {
    this.waiting.delete(holder);
    if (!this.active.delete(holder)) return;
    const [next] = this.waiting;
    if (next === undefined) return;
    this.waiting.delete(next);
    this.active.add(next);
    this.onTurn(next);
  }
}
