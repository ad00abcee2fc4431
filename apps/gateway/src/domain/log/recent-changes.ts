import type { Change } from '#libs/contracts';

/** What a change and each of its operations take beside the values, so that small ones are bounded too. */
const OVERHEAD_BYTES = 256;

/** The latest changes of a log, in order, bounded in number and bytes. */
export class RecentChanges {
  private items: Change[] = [];
  private start = 0;
  private bytes = 0;

  /** @param floor the lowest `after` that can be answered */
  constructor(
    private readonly bounds: { versions: number; bytes: number },
    public floor: number,
  ) {}

  push(change: Change): void {
    this.items.push(change);
    this.bytes += sizeOf(change);
    while (this.items.length - this.start > this.bounds.versions || this.bytes > this.bounds.bytes) {
      const oldest = this.items[this.start];
      if (oldest === undefined) break;
      this.start += 1;
      this.bytes -= sizeOf(oldest);
      this.floor = oldest.version;
    }
    if (this.start > 64 && this.start * 2 > this.items.length) {
      this.items = this.items.slice(this.start);
      this.start = 0;
    }
  }

  /** At least one change if there is one, else as many as fit into both limits; `older` below the floor. */
  after(version: number, limit: number, maxBytes: number): readonly Change[] | 'older' {
    if (version < this.floor) return 'older';
    const page: Change[] = [];
    let bytes = 0;
    for (let i = this.firstAfter(version); i < this.items.length && page.length < limit; i++) {
      const change = this.items[i];
      if (change === undefined) break;
      bytes += sizeOf(change);
      if (page.length > 0 && bytes > maxBytes) break;
      page.push(change);
    }
    return page;
  }

  private firstAfter(version: number): number {
    let low = this.start;
    let high = this.items.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.items[middle]?.version ?? 0) > version) high = middle;
      else low = middle + 1;
    }
    return low;
  }
}

function sizeOf(change: Change): number {
  let bytes = OVERHEAD_BYTES;
  for (const operation of change.operations) {
    bytes += OVERHEAD_BYTES + (operation.op === 'put' ? operation.value.length : 0);
  }
  return bytes;
}
