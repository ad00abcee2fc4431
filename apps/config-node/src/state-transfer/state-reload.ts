import { type Clock, crashOnDefect, sleep } from '#libs/kernel';
import type { Logger } from '#libs/observability';
import { type LogPosition, StateBuilder } from '#libs/replica';
import type { Publisher } from '../commit/publisher.js';
import type { PeerClient } from '../peers/peer-client.js';
import type { ReplicaHost } from '../replica/replica-host.js';
import type { Snapshotter } from '../replica/snapshotter.js';
import type { ConfigStore } from '../store/config.store.js';

/**
 * `replaced`: by the state in the database, or by that of another node when there is no database. `was-right`: the
 * database has the same. `unavailable`: neither could be had.
 */
export type ReloadResult = 'replaced' | 'was-right' | 'unavailable';

interface Loaded {
  position: LogPosition;
  state: StateBuilder;
  from: 'database' | 'peer';
}

/** What the database's head tells of may still be on its way here. */
const REACH_HEAD_MS = 1_000;
const IDLE_WITHIN_MS = 2_000;
const IDLE_LOOK_EVERY_MS = 10;

export interface StateReloadParts {
  host: ReplicaHost;
  store: Pick<ConfigStore, 'loadState'>;
  client: PeerClient;
  publisher: Publisher;
  snapshotter: Snapshotter;
  /** Has head read soon. */
  readHead: () => void;
  clock: Clock;
  logger: Logger;
}

/** Replaces a state that is in doubt, unless the database has the same one. */
export class StateReload {
  constructor(private readonly parts: StateReloadParts) {}

  /**
   * @param peer address of a node that has another state
   * @param whateverItsDigest the bytes may be altered: that this node's digest is the database's proves nothing
   */
  async reload(peer: string | null, { whateverItsDigest = false } = {}): Promise<ReloadResult> {
    const { host, publisher, snapshotter } = this.parts;
    // A leader goes on until it is sure: its writes do not depend on what may be wrong here.
    if (!publisher.isLeading) host.distrust('damaged');
    const loaded = (await this.fromDatabase()) ?? (await this.fromPeer(peer));
    if (loaded === undefined) return 'unavailable';
    if (!whateverItsDigest && loaded.from === 'database' && (await this.hasTheSame(loaded))) {
      host.trust();
      return 'was-right';
    }
    host.distrust('damaged');
    if (!(await this.endsTerm())) return 'unavailable';
    await snapshotter.discard('unequal');
    const { position, state, from } = loaded;
    host.load(position, state, 'diverged');
    snapshotter.resume();
    this.parts.readHead();
    this.parts.logger.error(
      { version: position.version, entries: state.entries, from },
      'replaced the state',
    );
    return 'replaced';
  }

  private async fromDatabase(): Promise<Loaded | undefined> {
    try {
      return await this.parts.store.loadState(async ({ clusterId, version, chain, term }, pages) => {
        const state = new StateBuilder();
        for await (const page of pages) for (const entry of page) state.add(entry);
        return { position: { clusterId, version, chain, term }, state, from: 'database' };
      });
    } catch (error) {
      crashOnDefect(error);
      this.parts.logger.warn({ error }, 'loading the state from the database failed');
      return undefined;
    }
  }

  private async fromPeer(address: string | null): Promise<Loaded | undefined> {
    if (address === null) return undefined;
    const { clusterId, version } = this.parts.host.replica;
    try {
      const { header, state } = await this.parts.client.snapshot(address);
      const isFit = header.clusterId === clusterId && header.version >= version;
      return isFit ? { position: header, state, from: 'peer' } : undefined;
    } catch (error) {
      crashOnDefect(error);
      this.parts.logger.warn({ error, address }, 'loading the state from another node failed');
      return undefined;
    }
  }

  /** At head's version this node had, or has, the very state that was loaded. */
  private async hasTheSame({ position, state }: Loaded): Promise<boolean> {
    await this.parts.host.waitForVersion(position.version, REACH_HEAD_MS);
    const own = this.parts.host.replica.digestAt(position.version);
    return typeof own === 'object' && own.chain === position.chain && own.hash === state.digest;
  }

  /** Nobody but the committer changes a leader's replica, and what it has under way must be over. */
  private async endsTerm(): Promise<boolean> {
    const { publisher } = this.parts;
    if (publisher.isLeading) publisher.stepDown('state-damaged');
    const untilMs = this.parts.clock.monotonicMs() + IDLE_WITHIN_MS;
    while (!publisher.isIdle) {
      if (this.parts.clock.monotonicMs() > untilMs) return false;
      await sleep(IDLE_LOOK_EVERY_MS);
    }
    return true;
  }
}
