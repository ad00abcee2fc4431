import type { Change } from '#libs/contracts';
import { Fifo } from './fifo.js';

export interface WindowBounds {
  versions: number;
  bytes: number;
}

/** What a change and each of its operations cost beside the values, so that small ones are bounded too. */
const OVERHEAD_BYTES = 256;

/** The latest changes, bounded in number and bytes. */
export class ChangeWindow {
  private readonly changes = new Fifo<Change>();
  private bytes = 0;

  /** @param floor version before the first change that the window can hold: the lowest `after` it answers */
  constructor(
    private readonly bounds: WindowBounds,
    public floor: number,
  ) {}

  /** Adds the next change; returns those that had to leave. */
  push(change: Change): Change[] {
    this.changes.push(change);
    this.bytes += sizeOf(change);
    const left: Change[] = [];
    while (this.changes.length > this.bounds.versions || this.bytes > this.bounds.bytes) {
      const oldest = this.changes.shift();
      if (oldest === undefined) break;
      this.bytes -= sizeOf(oldest);
      this.floor = oldest.version;
      left.push(oldest);
    }
    return left;
  }

  /** At least one change if there is one, else as many as fit into both limits; undefined below the floor. */
  after(version: number, limit: number, maxBytes: number): Change[] | undefined {
    if (version < this.floor) return undefined;
    const from = this.changes.firstIndex((change) => change.version > version);
    let bytes = 0;
    let to = from;
    while (to < this.changes.length && to - from < limit) {
      bytes += sizeOf(this.changes.at(to) as Change);
      if (to > from && bytes > maxBytes) break;
      to++;
    }
    return this.changes.slice(from, to);
  }

  at(version: number): Change | undefined {
    const change = this.changes.at(this.changes.firstIndex((candidate) => candidate.version >= version));
    return change?.version === version ? change : undefined;
  }
}

/** About what a change takes in memory. */
export function sizeOf(change: Change): number {
  let bytes = OVERHEAD_BYTES;
  for (const operation of change.operations) {
    bytes += OVERHEAD_BYTES + (operation.op === 'put' ? operation.value.length : 0);
  }
  return bytes;
}
