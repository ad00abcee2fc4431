/** A queue with random access. Removing from the front is O(1) amortised: the array is cut when half of it is spent. */
export class Fifo<T> {
  private items: T[] = [];
  private start = 0;

  get length(): number {
    return this.items.length - this.start;
  }

  push(item: T): void {
    // A literal takes room for one; pushing to an empty array takes room for seventeen, and most queues stay short.
    if (this.items.length === 0) this.items = [item];
    else this.items.push(item);
  }

  at(index: number): T | undefined {
    return this.items[this.start + index];
  }

  shift(): T | undefined {
    if (this.length === 0) return undefined;
    const item = this.items[this.start++];
    if (this.start > 32 && this.start * 2 > this.items.length) {
      this.items = this.items.slice(this.start);
      this.start = 0;
    }
    return item;
  }

  /** Index of the first item for which `passes` holds; it must hold for every later one too. */
  firstIndex(passes: (item: T) => boolean): number {
    let low = this.start;
    let high = this.items.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (passes(this.items[middle] as T)) high = middle;
      else low = middle + 1;
    }
    return low - this.start;
  }
}
