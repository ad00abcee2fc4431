import type { Change, Operation } from '#libs/contracts';

/** Keys of one namespace that begin with `prefix`; an empty prefix is all of them. */
export interface WatchedKeys {
  readonly namespace: string;
  readonly prefix: string;
}

/** What one watcher asked for, without repetition: no key is in two of its parts. */
export interface WatchFilter {
  readonly parts: readonly WatchedKeys[];
  /** Equal for filters that match the same operations: watchers with the same id share what is encoded for them. */
  readonly id: string;
  /** Those of the parts, in order. */
  readonly namespaces: readonly string[];
}

/** Drops the parts that another part covers, and brings the rest into one order. */
export function watchFilter(asked: readonly WatchedKeys[]): WatchFilter {
  const ordered = [...asked].sort((a, b) => compare(a.namespace, b.namespace) || compare(a.prefix, b.prefix));
  const parts: WatchedKeys[] = [];
  for (const part of ordered) {
    const last = parts.at(-1);
    if (last?.namespace === part.namespace && part.prefix.startsWith(last.prefix)) continue;
    parts.push(part);
  }
  const namespaces = [...new Set(parts.map(({ namespace }) => namespace))];
  return { parts, namespaces, id: JSON.stringify(parts.map(({ namespace, prefix }) => [namespace, prefix])) };
}

/** The operations of a change that a filter asks for, in their order. */
export interface Matching {
  operations: readonly Operation[];
  /** Equal for equal sets of operations of one change, whatever else the filters ask for. */
  set: string;
}

/** Of a change that concerns the filter. */
export function matchingOperations(filter: WatchFilter, change: Change): Matching {
  const bits = new Uint8Array(Math.ceil(change.operations.length / 8));
  const operations = change.operations.filter((operation, index) => {
    if (!matches(filter, operation)) return false;
    const byte = index >>> 3;
    bits[byte] = (bits[byte] ?? 0) | (1 << (index & 7));
    return true;
  });
  const isWhole = operations.length === change.operations.length;
  return { operations, set: isWhole ? 'all' : Buffer.from(bits).toString('latin1') };
}

export function concerns(filter: WatchFilter, change: Change): boolean {
  return change.operations.some((operation) => matches(filter, operation));
}

function matches(filter: WatchFilter, operation: Operation): boolean {
  for (const { namespace, prefix } of filter.parts) {
    if (operation.namespace === namespace && operation.key.startsWith(prefix)) return true;
  }
  return false;
}

function compare(a: string, b: string): number {
  if (a === b) return 0;
  return a < b ? -1 : 1;
}
