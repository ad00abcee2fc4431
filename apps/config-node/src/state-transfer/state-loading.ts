import { Problem } from '#libs/contracts';
import { type Clock, crashOnDefect } from '#libs/kernel';
import type { Logger } from '#libs/observability';
import { StateBuilder } from '#libs/replica';
import type { PeerClient } from '../peers/peer-client.js';
import type { PeerTable } from '../peers/peer-table.js';
import type { ReplicaHost } from '../replica/replica-host.js';
import type { ConfigStore } from '../store/config.store.js';
import type { Divergence } from './divergence.js';

export interface LoadingDuties {
  /** While this node leads, nobody but its own committer changes the replica. */
  isLeading(): boolean;
  /** The replica holds another state now: what was known of its history is void. */
  replaced(): void;
}

export interface StateLoadingParts {
  host: ReplicaHost;
  store: ConfigStore;
  peers: PeerTable;
  client: PeerClient;
  divergence: Divergence;
  duties: LoadingDuties;
  clock: Clock;
  logger: Logger;
}

/** Replaces a follower's whole state: by that in the database, or that of another node. One load at a time. */
export class StateLoading {
  private underWay: Promise<void> | undefined;
  private stopped = false;

  constructor(private readonly parts: StateLoadingParts) {}

  get isUnderWay(): boolean {
    return this.underWay !== undefined;
  }

  stop(): void {
    this.stopped = true;
  }

  /** By the state at head; joins when that is going on. */
  fromDatabase(reason: 'compacted' | 'diverged'): Promise<void> {
    return this.alone(() => this.loadState(reason));
  }

  /** From the database, which is asked first, or another node. */
  whole(): Promise<void> {
    return this.alone(async () => {
      try {
        await this.loadState('compacted');
      } catch (error) {
        crashOnDefect(error);
        this.parts.logger.debug({ error }, 'loading the state from the database failed');
        await this.copy(this.parts.peers.others());
      }
    });
  }

  /** From whichever node gives it; changes nothing when none does. */
  fromPeers(): Promise<void> {
    return this.alone(async () => {
      await this.copy(this.parts.peers.others());
    });
  }

  /**
   * The other way round: the database has other things to do. Rejects with `cluster-busy` while a load is under way, with
   * `storage-unavailable` when there is no state to be had.
   */
  async fromNodes(ids: readonly string[]): Promise<void> {
    if (this.isUnderWay) throw new Problem('cluster-busy', 'this node is loading a whole state');
    if (this.parts.duties.isLeading()) return;
    const others = this.parts.peers.others();
    const asked = ids.flatMap((id) => others.filter((other) => other.id === id));
    await this.alone(async () => {
      if (await this.copy(asked)) return;
      try {
        await this.loadState('compacted');
      } catch (cause) {
        crashOnDefect(cause);
        throw new Problem('storage-unavailable', 'no node and no database gave a state', {}, { cause });
      }
    });
  }

  /** True when the state was replaced. An answer that is cut short or altered changes nothing. */
  private async copy(others: readonly { id: string; address: string }[]): Promise<boolean> {
    const { replica } = this.parts.host;
    for (const { id, address } of others) {
      try {
        const { header, state } = await this.parts.client.snapshot(address);
        const isSameCluster = replica.clusterId === null || header.clusterId === replica.clusterId;
        if (!isSameCluster || header.version <= replica.version || this.parts.duties.isLeading()) continue;
        this.parts.host.load(header, state, 'compacted');
        this.parts.logger.info({ from: id, version: header.version }, 'loaded the state of another node');
        return true;
      } catch (error) {
        crashOnDefect(error);
        this.parts.logger.debug({ error, from: id }, 'no snapshot from this node');
      }
    }
    return false;
  }

  private alone(load: () => Promise<void>): Promise<void> {
    this.underWay ??= load().finally(() => {
      this.underWay = undefined;
    });
    return this.underWay;
  }

  private async loadState(reason: 'compacted' | 'diverged'): Promise<void> {
    if (reason === 'diverged') await this.parts.divergence.keepWhatIsLost();
    const askedAtMs = this.parts.clock.monotonicMs();
    const { head, state } = await this.parts.store.loadState(async (head, pages) => {
      const state = new StateBuilder();
      for await (const page of pages) for (const entry of page) state.add(entry);
      return { head, state };
    });
    if (this.parts.duties.isLeading() || this.stopped) return;
    // Meanwhile the log may have brought this node further than the state that was read.
    if (reason === 'compacted' && head.version <= this.parts.host.replica.version) return;
    const { clusterId, version, chain, term } = head;
    this.parts.duties.replaced();
    this.parts.host.load({ clusterId, version, chain, term }, state, reason);
    this.parts.host.learnHead(head, askedAtMs);
    this.parts.logger.info({ version, entries: state.entries, reason }, 'loaded the whole state');
  }
}
