import type { Change } from '#libs/contracts';
import { Fifo } from './fifo.js';

export interface WindowBounds {
  versions: number;
  bytes: number;
}

/** What a change and each of its operations cost beside the values, so that small ones are bounded too. */
const OVERHEAD_BYTES = 256;

interface WindowEntry {
  change: Change;
  /** What it keeps in memory: itself, and the values that it replaced. */
  bytes: number;
}

/** The latest changes, bounded in number and bytes. */
export class ChangeWindow {
  private readonly held = new Fifo<WindowEntry>();
  private bytes = 0;

  /** @param floor version before the first change that the window can hold: the lowest `after` it answers */
  constructor(
    private readonly bounds: WindowBounds,
    public floor: number,
  ) {}

  /** Adds the next change, which replaced values of so many bytes; returns those that had to leave. */
  push(change: Change, replacedBytes: number): Change[] {
    const bytes = sizeOf(change) + replacedBytes;
    this.held.push({ change, bytes });
    this.bytes += bytes;
    const left: Change[] = [];
    while (this.held.length > this.bounds.versions || this.bytes > this.bounds.bytes) {
      const oldest = this.held.shift();
      if (oldest === undefined) break;
      this.bytes -= oldest.bytes;
      this.floor = oldest.change.version;
      left.push(oldest.change);
    }
    return left;
  }

  /** At least one change if there is one, else as many as fit into both limits; undefined below the floor. */
  after(version: number, limit: number, maxBytes: number): Change[] | undefined {
    if (version < this.floor) return undefined;
    const changes: Change[] = [];
    let bytes = 0;
    for (
      let i = this.held.firstIndex(({ change }) => change.version > version);
      changes.length < limit;
      i++
    ) {
      const change = this.held.at(i)?.change;
      if (change === undefined) break;
      bytes += sizeOf(change);
      if (changes.length > 0 && bytes > maxBytes) break;
      changes.push(change);
    }
    return changes;
  }

  at(version: number): Change | undefined {
    const held = this.held.at(this.held.firstIndex(({ change }) => change.version >= version));
    return held?.change.version === version ? held.change : undefined;
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
