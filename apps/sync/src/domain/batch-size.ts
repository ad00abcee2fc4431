/**
 * How many changes the next batch may have. Additive increase, multiplicative decrease (Chiu and Jain 1989): a node that
 * answers in time is given a little more each time, one that does not half as much, down to a single change.
 */
export interface BatchBounds {
  first: number;
  most: number;
  growBy: number;
}

export class BatchSize {
  private changes: number;

  constructor(private readonly bounds: BatchBounds) {
    this.changes = Math.min(bounds.first, bounds.most);
  }

  get limit(): number {
    return this.changes;
  }

  /** A batch of so many was taken. One that was short of the limit says nothing about larger ones. */
  taken(changes: number): void {
    if (changes >= this.changes) this.changes = Math.min(this.bounds.most, this.changes + this.bounds.growBy);
  }

  /** Too late, too large, or the node is busy. */
  refused(): void {
    this.changes = Math.max(1, Math.floor(this.changes / 2));
  }
}
