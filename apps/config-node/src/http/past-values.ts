import type { Entry } from '#libs/replica';
import type { ReplicaHost } from '../engine/replica-host.js';
import type { ConfigStore } from '../store/config.store.js';
import type { KeyAddress } from './request/address.js';
import { fromStorage } from './storage-problem.js';

/** Values as they were: from memory where it reaches back, else from the change log. */
export class PastValues {
  constructor(
    private readonly host: ReplicaHost,
    private readonly store: ConfigStore,
  ) {}

  /** The key as it was at a version that this node has applied; undefined when it did not exist then. */
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
    if (page === 'expired') return fromStorage(this.store.valueAt(namespace, key, version));
    // Of all keys with this prefix the key itself comes first.
    const [first] = page.entries;
    return first?.key === key ? first : undefined;
  }
}
