import { compareUtf8 } from '#libs/kernel';
import type { Entry } from '../entry.js';
import { Fifo } from '../fifo.js';
import { SortedKeys } from '../sorted-keys.js';
import { bucketOf, DIGEST_BUCKETS, StateDigest } from './digest.js';

/** What stood at a key before change `replacedAt`. */
interface Past {
  replacedAt: number;
  entry: Entry | undefined;
}

/** One key: what stands there now, and what stood there within the window. A key with neither has no slot. */
interface Slot {
  current: Entry | undefined;
  past: Fifo<Past> | undefined;
  /** Bucket of the key, and where in it the slot is. */
  readonly bucket: number;
  place: number;
}

class Namespace {
  readonly slots = new Map<string, Slot>();
  readonly order = new SortedKeys();
  /** Keys that stand now. */
  live = 0;

  constructor(readonly name: string) {}
}

/** All keys of all namespaces, now and at the versions that undo records reach back to, and the digest of them. */
export class KeySpace {
  private readonly namespaces = new Map<string, Namespace>();
  /** Names of those that have keys now. */
  private readonly liveNames = new SortedKeys();
  private readonly buckets = new Array<Slot[] | undefined>(DIGEST_BUCKETS);
  readonly digest = new StateDigest();

  get(namespace: string, key: string): Entry | undefined {
    return this.namespaces.get(namespace)?.slots.get(key)?.current;
  }

  /** Puts what was loaded: no undo record. */
  restore(entry: Entry): void {
    const space = this.namespace(entry.namespace);
    this.set(space, this.slot(space, entry.namespace, entry.key), entry);
  }

  /** Change `version` puts `entry`, or removes the key; what stood there is remembered, and returned. */
  change(namespace: string, key: string, entry: Entry | undefined, version: number): Entry | undefined {
    const space = this.namespace(namespace);
    const slot = this.slot(space, namespace, key);
    slot.past ??= new Fifo();
    const replaced = slot.current;
    slot.past.push({ replacedAt: version, entry: replaced });
    this.set(space, slot, entry);
    return replaced;
  }

  /** Whether a change after `version`, which undo records reach back to, touched the key. */
  changedAfter(namespace: string, key: string, version: number): boolean {
    const past = this.namespaces.get(namespace)?.slots.get(key)?.past;
    return past !== undefined && (past.at(past.length - 1)?.replacedAt ?? 0) > version;
  }

  /** Sets right what stands at a key: no undo record, no change. The bucket's digest is to be computed anew. */
  repair(namespace: string, key: string, entry: Entry | undefined): void {
    const space = this.namespace(namespace);
    const slot = this.slot(space, namespace, key);
    this.set(space, slot, entry);
    this.dropEmpty(space, namespace, key, slot);
  }

  /** From the entries themselves: one that was altered cannot be taken out of a sum that it is not in. */
  rebuildDigest(bucket: number): void {
    this.digest.rebuild(bucket, this.entriesOfBucket(bucket));
  }

  /** Change `version` left the window: drops its undo record, and the slot when nothing is left in it. */
  forget(namespace: string, key: string, version: number): void {
    const space = this.namespaces.get(namespace);
    const slot = space?.slots.get(key);
    if (space === undefined || slot === undefined) return;
    if (slot.past?.at(0)?.replacedAt === version) slot.past.shift();
    if (slot.past?.length === 0) slot.past = undefined;
    this.dropEmpty(space, namespace, key, slot);
  }

  /** Entries of a namespace in key order from `from` on, as they stood at `version` (undefined = now). */
  *entries(namespace: string, from: string, inclusive: boolean, version?: number): Generator<Entry> {
    const space = this.namespaces.get(namespace);
    if (space === undefined) return;
    for (const key of space.order.from(from, inclusive)) {
      const slot = space.slots.get(key);
      if (slot === undefined) continue;
      const entry = version === undefined ? slot.current : entryAt(slot, version);
      if (entry !== undefined) yield entry;
    }
  }

  /** Entries of a bucket in the order of namespace and key, as they stood at `version` (undefined = now). */
  entriesOfBucket(bucket: number, version?: number): Entry[] {
    const slots = this.buckets[bucket] ?? [];
    return slots
      .flatMap((slot) => (version === undefined ? slot.current : entryAt(slot, version)) ?? [])
      .sort((a, b) => compareUtf8(a.namespace, b.namespace) || compareUtf8(a.key, b.key));
  }

  /** Takes back in `digest` what happened at a key after `version`. */
  rewind(digest: StateDigest, namespace: string, key: string, version: number): void {
    const slot = this.namespaces.get(namespace)?.slots.get(key);
    if (slot === undefined) return;
    const past = entryAt(slot, version);
    if (slot.current !== undefined) digest.remove(slot.bucket, slot.current);
    if (past !== undefined) digest.add(slot.bucket, past);
  }

  /** Namespaces that have keys now, in the order of their names, those after `after`. Not to be held across a change. */
  names(after = ''): Generator<string> {
    return this.liveNames.from(after, false);
  }

  liveKeys(namespace: string): number {
    return this.namespaces.get(namespace)?.live ?? 0;
  }

  private namespace(name: string): Namespace {
    let space = this.namespaces.get(name);
    if (space === undefined) {
      space = new Namespace(name);
      this.namespaces.set(name, space);
    }
    return space;
  }

  private slot(space: Namespace, namespace: string, key: string): Slot {
    let slot = space.slots.get(key);
    if (slot === undefined) {
      const bucket = bucketOf(namespace, key);
      const neighbours = this.buckets[bucket] ?? [];
      this.buckets[bucket] = neighbours;
      slot = { current: undefined, past: undefined, bucket, place: neighbours.length };
      neighbours.push(slot);
      space.slots.set(key, slot);
      space.order.add(key);
    }
    return slot;
  }

  private dropEmpty(space: Namespace, namespace: string, key: string, slot: Slot): void {
    if (slot.past !== undefined || slot.current !== undefined) return;
    space.slots.delete(key);
    space.order.delete(key);
    this.leaveBucket(slot);
    if (space.slots.size === 0) this.namespaces.delete(namespace);
  }

  /** The last one of the bucket takes its place. */
  private leaveBucket({ bucket, place }: Slot): void {
    const neighbours = this.buckets[bucket] as Slot[];
    const last = neighbours.pop();
    if (last === undefined || last.place === place) return;
    neighbours[place] = last;
    last.place = place;
  }

  private set(space: Namespace, slot: Slot, entry: Entry | undefined): void {
    if (slot.current !== undefined) this.digest.remove(slot.bucket, slot.current);
    if (entry !== undefined) this.digest.add(slot.bucket, entry);
    const before = space.live;
    space.live += (entry === undefined ? 0 : 1) - (slot.current === undefined ? 0 : 1);
    if (before === 0 && space.live > 0) this.liveNames.add(space.name);
    if (before > 0 && space.live === 0) this.liveNames.delete(space.name);
    slot.current = entry;
  }
}

function entryAt(slot: Slot, version: number): Entry | undefined {
  if (slot.past === undefined) return slot.current;
  const undo = slot.past.at(slot.past.firstIndex((past) => past.replacedAt > version));
  return undo === undefined ? slot.current : undo.entry;
}
