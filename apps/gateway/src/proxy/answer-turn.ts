import type { StreamSlots } from '../domain/reads/stream-slots.js';

/**
 * The part of one large answer in the turns that all take: it has its turn while its node sends and its client reads. Whoever
 * is blocked on either side gives it back.
 */
export class AnswerTurn {
  private lastDataMs: number;
  private ended = false;

  constructor(
    private readonly slots: StreamSlots<AnswerTurn>,
    private readonly resume: () => void,
    private readonly monotonicMs: () => number,
  ) {
    this.lastDataMs = monotonicMs();
  }

  /** @returns whether the answer may go on now; if not, it is resumed when it may */
  ask(): boolean {
    this.lastDataMs = this.monotonicMs();
    return !this.ended && this.slots.ask(this);
  }

  /** The client reads no more for now, or the answer is over. */
  giveBack(): void {
    this.slots.leave(this);
  }

  /** Gives the turn back when the node has sent nothing for so long: what comes then asks for it again. */
  yieldIfIdle(nowMs: number, forMs: number): void {
    if (nowMs - this.lastDataMs >= forMs && this.slots.holds(this)) this.slots.leave(this);
  }

  /** Not at once: the turn may come from within the parser of another answer. */
  granted(): void {
    setImmediate(() => {
      if (this.ended) return;
      this.lastDataMs = this.monotonicMs();
      this.resume();
    });
  }

  end(): void {
    this.ended = true;
    this.slots.leave(this);
  }
}
