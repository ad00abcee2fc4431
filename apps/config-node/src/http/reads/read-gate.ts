import type { IncomingHttpHeaders } from 'node:http';
import { HEADERS, LIMITS, Problem } from '#libs/contracts';
import type { StorageReads } from '../../history/storage-reads.js';
import type { StoredHistory } from '../../history/stored-history.js';
import type { ReplicaHost } from '../../replica/replica-host.js';
import { versionHeader } from '../request/text-header.js';
import { LinearizableReads } from './linearizable-reads.js';

export interface ReadDemands {
  minVersion?: number | undefined;
  timeout?: number | undefined;
  consistency?: 'linearizable' | undefined;
}

/** Lets a read pass when this node may answer it: not before it has applied what the client has seen elsewhere. */
export class ReadGate {
  private readonly linearizable: LinearizableReads;
  private waitingReads = 0;

  constructor(
    private readonly host: ReplicaHost,
    private readonly store: Pick<StoredHistory, 'barrier' | 'readHead'>,
    private readonly reads: StorageReads,
  ) {
    this.linearizable = new LinearizableReads(store);
  }

  /** Throws 504 `version-not-reached`, or 503 for a linearizable read without the database. */
  async pass(demands: ReadDemands, headers: IncomingHttpHeaders): Promise<void> {
    const timeoutMs = demands.timeout ?? LIMITS.minVersionWaitMs;
    const seen = versionHeader('Holdfast-Min-Version', headers[HEADERS.minVersion]);
    await this.reach(Math.max(seen, demands.minVersion ?? 0), timeoutMs);
    if (demands.consistency !== 'linearizable') return;
    await this.waiting(() => this.reachHead(timeoutMs));
  }

  /** For a read of the past: 404 when no such version exists yet anywhere, else waits until this node has it. */
  async reachExisting(version: number, demands: ReadDemands): Promise<void> {
    if (version <= this.host.replica.version) return;
    const head = await this.reads.head(() => this.store.readHead());
    if (version > head.version) {
      throw new Problem(
        'version-not-found',
        `version ${version} does not exist: the last is ${head.version}`,
      );
    }
    await this.reach(version, demands.timeout ?? LIMITS.minVersionWaitMs);
  }

  async reach(version: number, timeoutMs: number): Promise<void> {
    if (version <= this.host.replica.version) return;
    const reached = await this.waiting(() => this.host.waitForVersion(version, timeoutMs));
    if (!reached) throw this.notReached(version);
  }

  private async reachHead(timeoutMs: number): Promise<void> {
    const held = this.host.replica.version;
    const head = await this.linearizable.head();
    // Head below what this node held before it was asked for: the database has lost what would be shown.
    if (head.version < held || !(await this.host.waitForHead(head, timeoutMs))) {
      throw this.notReached(head.version);
    }
  }

  /** Reads that wait have a budget of their own, so that no number of them takes anything from those that do not. */
  private async waiting<Result>(wait: () => Promise<Result>): Promise<Result> {
    if (this.waitingReads >= LIMITS.waitingReads) {
      throw new Problem('cluster-busy', 'too many reads wait for a version at this node');
    }
    this.waitingReads += 1;
    try {
      return await this.host.whileAwaited(wait);
    } finally {
      this.waitingReads -= 1;
    }
  }

  private notReached(version: number): Problem {
    const at = this.host.replica.version;
    return new Problem('version-not-reached', `this node is at version ${at} and was to reach ${version}`, {
      version: at,
    });
  }
}
