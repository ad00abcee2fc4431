import type { Entry } from './entry.js';
import { Fifo } from './fifo.js';
import { SortedKeys } from './sorted-keys.js';

/** What stood at a key before change `replacedAt`. */
interface Past {
  replacedAt: number;
  entry: Entry | undefined;
}

/** One key: what stands there now, and what stood there within the window. A key with neither has no slot. */
interface Slot {
  current: Entry | undefined;
  past: Fifo<Past> | undefined;
}

class Namespace {
  readonly slots = new Map<string, Slot>();
  readonly order = new SortedKeys();
  /** Keys that stand now. */
  live = 0;

  slot(key: string): Slot {
    let slot = this.slots.get(key);
    if (slot === undefined) {
      slot = { current: undefined, past: undefined };
      this.slots.set(key, slot);
      this.order.add(key);
    }
    return slot;
  }

  set(slot: Slot, entry: Entry | undefined): void {
    this.live += (entry === undefined ? 0 : 1) - (slot.current === undefined ? 0 : 1);
    slot.current = entry;
  }
}

/** All keys of all namespaces, now and at the versions that undo records reach back to. */
export class KeySpace {
  private readonly namespaces = new Map<string, Namespace>();

  get(namespace: string, key: string): Entry | undefined {
    return this.namespaces.get(namespace)?.slots.get(key)?.current;
  }

  /** Puts what was loaded: no undo record. */
  restore(entry: Entry): void {
    const space = this.namespace(entry.namespace);
    space.set(space.slot(entry.key), entry);
  }

  /** Change `version` puts `entry`, or removes the key; what stood there is remembered, and returned. */
  change(namespace: string, key: string, entry: Entry | undefined, version: number): Entry | undefined {
    const space = this.namespace(namespace);
    const slot = space.slot(key);
    slot.past ??= new Fifo();
    const replaced = slot.current;
    slot.past.push({ replacedAt: version, entry: replaced });
    space.set(slot, entry);
    return replaced;
  }

  /** Change `version` left the window: drops its undo record, and the slot when nothing is left in it. */
  forget(namespace: string, key: string, version: number): void {
    const space = this.namespaces.get(namespace);
    const slot = space?.slots.get(key);
    if (space === undefined || slot === undefined) return;
    if (slot.past?.at(0)?.replacedAt === version) slot.past.shift();
    if (slot.past?.length === 0) slot.past = undefined;
    if (slot.past !== undefined || slot.current !== undefined) return;
    space.slots.delete(key);
    space.order.delete(key);
    if (space.slots.size === 0) this.namespaces.delete(namespace);
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

  /** Every namespace that has, or had within the window, a key. */
  names(): string[] {
    return [...this.namespaces.keys()].sort();
  }

  liveKeys(namespace: string): number {
    return this.namespaces.get(namespace)?.live ?? 0;
  }

  private namespace(name: string): Namespace {
    let space = this.namespaces.get(name);
    if (space === undefined) {
      space = new Namespace();
      this.namespaces.set(name, space);
    }
    return space;
  }
}

function entryAt(slot: Slot, version: number): Entry | undefined {
  if (slot.past === undefined) return slot.current;
  const undo = slot.past.at(slot.past.firstIndex((past) => past.replacedAt > version));
  return undo === undefined ? slot.current : undo.entry;
}
