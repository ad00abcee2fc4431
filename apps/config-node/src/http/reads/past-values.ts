import { Problem } from '#libs/contracts';
import type { Entry } from '#libs/replica';
import type { KeyAddress } from '../../domain/log.types.js';
import type { StorageReads } from '../../history/storage-reads.js';
import type { StoredHistory } from '../../history/stored-history.js';
import type { ReplicaHost } from '../../replica/replica-host.js';

/** `floor` is the first version from which what was asked for can be replayed. */
export function versionCompacted(floor: number, where: Readonly<Record<string, unknown>> = {}): Problem {
  const detail = `the history is kept from version ${floor} on: what was before is no longer known`;
  return new Problem('version-compacted', detail, { ...where, floor });
}

/** Values as they were: from memory where it reaches back, else from the change log. */
export class PastValues {
  constructor(
    private readonly host: ReplicaHost,
    private readonly store: StoredHistory,
    private readonly reads: StorageReads,
  ) {}

  /** The key as it was at a version that this node has applied; undefined when it did not exist then. Throws `version-compacted`. */
  async at({ namespace, key }: KeyAddress, version: number): Promise<Entry | undefined> {
    const current = this.host.replica.get(namespace, key);
    if (current !== undefined && current.version <= version) return current;
    const page = this.host.replica.list({
      namespace,
      prefix: key,
      limit: 1,
      maxBytes: 1,
      atVersion: version,
    });
    if (page === 'expired') return this.logged(namespace, key, version);
    // Of all keys with this prefix the key itself comes first.
    const [first] = page.entries;
    return first?.key === key ? first : undefined;
  }

  private async logged(namespace: string, key: string, version: number): Promise<Entry | undefined> {
    const { log } = this.store;
    const value = await this.reads.log(() => log.valueAt(namespace, key, version));
    if (value === 'compacted')
      throw versionCompacted(await this.reads.log(() => log.floorOf(namespace)), { namespace, key });
    return value;
  }
}
