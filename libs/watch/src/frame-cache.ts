import { LRUCache } from 'lru-cache';
import { CHANGE_FRAME_LIMITS, type Change, JSON_VALUE_FACTOR } from '#libs/contracts';
import { matchingOperations, type WatchFilter } from './domain/watch-filter.js';
import { type EncodedChange, encodeChange } from './events.js';

/** The longest event: a change set with the longest keys, and values that take the most in JSON. */
const LONGEST_BYTES = CHANGE_FRAME_LIMITS.headerBytes + JSON_VALUE_FACTOR * CHANGE_FRAME_LIMITS.bodyBytes;
const CACHED_BYTES = 2 * LONGEST_BYTES;
/** Smaller frames that follow each other become one piece; larger ones are shared as they are, not copied. */
const JOINED_BYTES = 16 * 1024;

/**
 * Encodes a change once for each set of its operations that somebody watches: watchers of a namespace that all share and
 * of one of their own get the same bytes for a change of the first, live or while catching up, and long polls do too.
 */
export class FrameCache {
  private readonly encoded = new LRUCache<string, EncodedChange>({
    maxSize: CACHED_BYTES,
    sizeCalculation: ({ frame }, key) => frame.length + key.length,
  });

  encode(change: Change, filter: WatchFilter): EncodedChange {
    const { operations, set } = matchingOperations(filter, change);
    const key = `${change.version} ${set}`;
    const cached = this.encoded.get(key);
    if (cached !== undefined) return cached;
    const encoded = encodeChange(change, operations);
    this.encoded.set(key, encoded);
    return encoded;
  }

  /** Several changes as few pieces to write. */
  pieces(changes: readonly Change[], filter: WatchFilter): Buffer[] {
    return joined(changes.map((change) => this.encode(change, filter).frame));
  }

  /** Versions may mean something else from now on. */
  clear(): void {
    this.encoded.clear();
  }
}

/** The same bytes in fewer pieces, of which the large ones are not copied. */
export function joined(buffers: readonly Buffer[]): Buffer[] {
  const pieces: Buffer[] = [];
  let small: Buffer[] = [];
  const flush = () => {
    const [first] = small;
    if (first !== undefined) pieces.push(small.length === 1 ? first : Buffer.concat(small));
    small = [];
  };
  for (const buffer of buffers) {
    if (buffer.length < JOINED_BYTES) {
      small.push(buffer);
      continue;
    }
    flush();
    pieces.push(buffer);
  }
  flush();
  return pieces;
}
