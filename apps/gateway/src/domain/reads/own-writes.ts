/** A node that has not applied a change after this time counts as stale, and is asked behind the others. */
const REMEMBERED_MS = 5_000;
const MAX_KEYS = 20_000;

interface OwnWrite {
  version: number;
  atMs: number;
}

/**
 * The keys that were written lately, as far as this gateway knows, and the versions of those writes: what it has
 * acknowledged itself, above all. A client that reads such a key next is to see its own write. Keys are named
 * `namespace/key`; `namespace/` stands for any key of the namespace, since listings show all of them.
 */
export class OwnWrites {
  private readonly writes = new Map<string, OwnWrite>();

  constructor(private readonly maxKeys = MAX_KEYS) {}

  get size(): number {
    return this.writes.size;
  }

  committed(namespace: string, key: string, version: number, nowMs: number): void {
    this.note(`${namespace}/${key}`, version, nowMs);
    this.note(`${namespace}/`, version, nowMs);
  }

  /** The version that an answer about this key has to have; 0 = any. */
  versionOf(name: string, nowMs: number): number {
    const write = this.writes.get(name);
    return write === undefined || nowMs - write.atMs > REMEMBERED_MS ? 0 : write.version;
  }

  private note(name: string, version: number, nowMs: number): void {
    const before = this.writes.get(name);
    this.writes.delete(name); // the order of the map is that of the latest writes
    this.writes.set(name, { version: Math.max(version, before?.version ?? 0), atMs: nowMs });
    for (const [oldest, { atMs }] of this.writes) {
      if (this.writes.size <= this.maxKeys && nowMs - atMs <= REMEMBERED_MS) break;
      this.writes.delete(oldest);
    }
  }
}
