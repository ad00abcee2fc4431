import { type Change, Problem } from '#libs/contracts';
import type { ChangeSource, LogPage, LogQuery, PresentPage, PresentQuery, SourceReset } from '#libs/watch';
import { logPage } from '../../history/log-pages.js';
import { fromStorage } from '../../history/storage-problem.js';
import type { StoredHistory } from '../../history/stored-history.js';
import type { ReplicaHost } from '../../replica/replica-host.js';

/** What a node's watchers are fed from: its replica's window, and the change log behind it. */
export class NodeChanges implements ChangeSource {
  constructor(
    private readonly host: ReplicaHost,
    private readonly store: StoredHistory,
  ) {}

  get version(): number {
    return this.host.replica.version;
  }

  recent(after: number, limit: number, maxBytes: number): readonly Change[] | 'older' {
    const changes = this.host.replica.changesAfter(after, limit, maxBytes);
    return changes === 'compacted' ? 'older' : changes;
  }

  older(query: LogQuery): Promise<LogPage | 'compacted'> {
    return fromStorage(logPage(this.host, this.store, query));
  }

  async newestVersion(): Promise<number | undefined> {
    try {
      return (await fromStorage(this.store.barrier())).version;
    } catch (error) {
      if (error instanceof Problem) return undefined; // nobody knows at present
      throw error;
    }
  }

  async present(query: PresentQuery): Promise<PresentPage | 'expired'> {
    return this.host.replica.list(query);
  }

  onChanges(listener: (changes: readonly Change[]) => void): () => void {
    return this.host.onApplied(listener);
  }

  onReset(listener: (reset: SourceReset) => void): () => void {
    return this.host.onReset(listener);
  }
}
