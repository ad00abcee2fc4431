import { compareUtf8 } from '#libs/kernel';

const MAX_CHUNK = 512;

/** A set of keys in the order of their UTF-8 bytes, in chunks, so that an insertion moves few of them. */
export class SortedKeys {
  private readonly chunks: string[][] = [];

  add(key: string): void {
    const index = this.chunkFor(key);
    const chunk = this.chunks[index];
    if (chunk === undefined) {
      this.append(key);
      return;
    }
    const at = lowerBound(chunk, key);
    if (chunk[at] === key) return;
    chunk.splice(at, 0, key);
    if (chunk.length > MAX_CHUNK) this.chunks.splice(index + 1, 0, chunk.splice(MAX_CHUNK / 2));
  }

  delete(key: string): void {
    const index = this.chunkFor(key);
    const chunk = this.chunks[index];
    if (chunk === undefined) return;
    const at = lowerBound(chunk, key);
    if (chunk[at] !== key) return;
    chunk.splice(at, 1);
    if (chunk.length === 0) this.chunks.splice(index, 1);
  }

  /** Keys from `key` on, with or without itself. Not to be held across a change of the set. */
  *from(key: string, inclusive: boolean): Generator<string> {
    const first = this.chunkFor(key);
    for (let index = first; index < this.chunks.length; index++) {
      const chunk = this.chunks[index] as string[];
      let at = index === first ? lowerBound(chunk, key) : 0;
      if (index === first && !inclusive && chunk[at] === key) at++;
      for (; at < chunk.length; at++) yield chunk[at] as string;
    }
  }

  /** Keys that arrive in order fill chunk after chunk. */
  private append(key: string): void {
    const last = this.chunks.at(-1);
    if (last !== undefined && last.length < MAX_CHUNK) last.push(key);
    else this.chunks.push([key]);
  }

  /** The first chunk whose last key is not below `key`; the number of chunks when there is none. */
  private chunkFor(key: string): number {
    let low = 0;
    let high = this.chunks.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      const last = this.chunks[middle]?.at(-1) as string;
      if (compareUtf8(last, key) < 0) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

/** Index of the first key that is not below `key`. */
function lowerBound(keys: readonly string[], key: string): number {
  let low = 0;
  let high = keys.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (compareUtf8(keys[middle] as string, key) < 0) low = middle + 1;
    else high = middle;
  }
  return low;
}
