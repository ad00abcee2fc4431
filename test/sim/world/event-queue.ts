/** In whom things happen: a simulated process. */
export interface Host {
  due(timer: Planned): void;
  deliver(run: () => void): void;
}

/**
 * Something that is to happen at a time. Events of one time happen in the order in which they were planned. It is also
 * what `setTimeout` gives in a simulated process.
 */
export class Planned {
  /** The one after it in its slot. */
  next: Planned | undefined;

  constructor(
    readonly atMs: number,
    readonly order: number,
    /** Undefined: it has happened, or was cancelled. */
    public run: (() => void) | undefined,
    /** In whom it happens; undefined = outside of all processes. */
    readonly process: Host | undefined,
    readonly isTimer: boolean,
  ) {}

  unref(): this {
    return this;
  }
  ref(): this {
    return this;
  }
  hasRef(): boolean {
    return true;
  }
}

/** Slots of a millisecond each; a power of two. What is further away waits in a heap. */
const SLOTS = 8_192;
const MASK = SLOTS - 1;

/**
 * What is to happen, soonest first. What is near stands in a ring of milliseconds, each a short list in order (a timing
 * wheel: Varghese and Lauck, 1987), since most events are of the next few hundred; the others in a binary heap. What
 * was cancelled stays, empty, until its time has come.
 */
export class EventQueue {
  private readonly ring: (Planned | undefined)[] = new Array(SLOTS).fill(undefined);
  private inRing = 0;
  /** Nothing in the ring is before this millisecond. */
  private cursor = 0;
  /** The millisecond of what was taken last: everything in the ring is less than a round after it. */
  private begin = 0;
  private readonly heap: Planned[] = [];
  private planned = 0;

  add(atMs: number, run: () => void, process: Host | undefined, isTimer: boolean): Planned {
    const event = new Planned(atMs, this.planned++, run, process, isTimer);
    const slot = Math.floor(atMs);
    if (slot - this.begin >= SLOTS) this.push(event);
    else this.insert(event, slot);
    return event;
  }

  next(): Planned | undefined {
    const far = this.heap[0];
    const near = this.nearest();
    if (near === undefined || far === undefined) return near ?? far;
    return isBefore(far, near) ? far : near;
  }

  /** Takes away what `next` gave. */
  take(event: Planned): void {
    const slot = Math.floor(event.atMs);
    this.begin = slot;
    if (this.heap[0] === event) this.pop();
    else {
      this.ring[slot & MASK] = event.next;
      event.next = undefined;
      this.inRing--;
    }
    if (this.cursor < slot) this.cursor = slot;
  }

  private insert(event: Planned, slot: number): void {
    const { ring } = this;
    this.inRing++;
    if (slot < this.cursor) this.cursor = slot;
    // It was planned last: it comes after whatever is of its time.
    let before = ring[slot & MASK];
    if (before === undefined || event.atMs < before.atMs) {
      event.next = before;
      ring[slot & MASK] = event;
      return;
    }
    while (before.next !== undefined && before.next.atMs <= event.atMs) before = before.next;
    event.next = before.next;
    before.next = event;
  }

  private nearest(): Planned | undefined {
    if (this.inRing === 0) return undefined;
    const { ring } = this;
    let first = ring[this.cursor & MASK];
    while (first === undefined) first = ring[++this.cursor & MASK];
    return first;
  }

  private push(event: Planned): void {
    const { heap } = this;
    let at = heap.length;
    heap.push(event);
    while (at > 0) {
      const parent = (at - 1) >> 1;
      const above = heap[parent] as Planned;
      if (!isBefore(event, above)) break;
      heap[at] = above;
      at = parent;
    }
    heap[at] = event;
  }

  private pop(): void {
    const { heap } = this;
    const last = heap.pop();
    if (last === undefined || heap.length === 0) return;
    let at = 0;
    for (;;) {
      const left = 2 * at + 1;
      if (left >= heap.length) break;
      const right = left + 1;
      const child =
        right < heap.length && isBefore(heap[right] as Planned, heap[left] as Planned) ? right : left;
      const below = heap[child] as Planned;
      if (!isBefore(below, last)) break;
      heap[at] = below;
      at = child;
    }
    heap[at] = last;
  }
}

function isBefore(a: Planned, b: Planned): boolean {
  return a.atMs < b.atMs || (a.atMs === b.atMs && a.order < b.order);
}
