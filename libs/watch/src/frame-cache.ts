import { LRUCache } from 'lru-cache';
import type { Change } from '#libs/contracts';
import type { WatchFilter } from './domain/watch-filter.js';
import { changeFrame } from './events.js';

const CACHED_BYTES = 8 * 1024 * 1024;

/** Encodes an event once for all watchers of one filter, whether they are offered it live or read it while catching up. */
export class FrameCache {
  private readonly frames = new LRUCache<string, Buffer>({
    maxSize: CACHED_BYTES,
    sizeCalculation: (frame, key) => frame.length + key.length,
  });

  frame(change: Change, filter: WatchFilter): Buffer {
    const key = `${change.version} ${filter.id}`;
    const cached = this.frames.get(key);
    if (cached !== undefined) return cached;
    const frame = changeFrame(change, filter);
    this.frames.set(key, frame);
    return frame;
  }

  /** Several changes as one piece to write. */
  joined(changes: readonly Change[], filter: WatchFilter): Buffer {
    const [first] = changes;
    if (changes.length === 1 && first !== undefined) return this.frame(first, filter);
    return Buffer.concat(changes.map((change) => this.frame(change, filter)));
  }

  /** Versions may mean something else from now on. */
  clear(): void {
    this.frames.clear();
  }
}
