import xxhash from 'xxhash-wasm';

const { h64 } = await xxhash();

/** A 64-bit hash in two halves: integers up to 2^53 are all that a number holds exactly. */
export interface Hash {
  readonly low: number;
  readonly high: number;
}

/** xxHash64 of UTF-8 text, seed 0 (github.com/Cyan4973/xxHash). Not for secrets: whoever wants can make it collide. */
export function hashOf(text: string): Hash {
  const hash = h64(text);
  return { low: Number(BigInt.asUintN(32, hash)), high: Number(hash >> 32n) };
}

/** One number in (0, 1) of two hashes, as if drawn by lot for the pair: the finaliser of MurmurHash3 over both. */
export function lotOf(a: Hash, b: Hash): number {
  const mixed = mix(mix(a.low ^ b.low) ^ a.high ^ b.high);
  return ((mixed >>> 0) + 0.5) / 0x1_0000_0000;
}

function mix(value: number): number {
  let h = value ^ (value >>> 16);
  h = Math.imul(h, 0x85ebca6b);
  h ^= h >>> 13;
  h = Math.imul(h, 0xc2b2ae35);
  return h ^ (h >>> 16);
}
