import type { Change } from '#libs/contracts';
import { type Clock, crashOnDefect } from '#libs/kernel';
import type { Logger } from '#libs/observability';
import type { Alerts } from '../announce/alerts.js';
import type { HeadRow } from '../domain/log.types.js';
import type { ReplicaHost } from '../replica/replica-host.js';
import type { Snapshotter } from '../replica/snapshotter.js';
import type { ConfigStore } from '../store/config.store.js';
import { keepDiscarded } from './discarded-history.js';

export interface DivergenceOptions {
  dataDir: string;
  maxLostTail: number;
}

export interface DivergenceParts {
  options: DivergenceOptions;
  host: ReplicaHost;
  store: ConfigStore;
  snapshotter: Snapshotter;
  alerts: Alerts;
  /** Has head read soon. */
  suspect: () => void;
  clock: Clock;
  logger: Logger;
}

/**
 * What happens when the database does not know what this node holds. What it lost was acknowledged: it is kept in a
 * file and told, never wiped in silence. Another database altogether changes nothing here at all.
 */
export class Divergence {
  private wrong = false;

  constructor(private readonly parts: DivergenceParts) {}

  get isWrongDatabase(): boolean {
    return this.wrong;
  }
  get maxLostTail(): number {
    return this.parts.options.maxLostTail;
  }

  /** Has head read soon. */
  suspect(): void {
    this.parts.suspect();
  }

  /** Keeps the state read-only and stale, and waits for an operator: adopt the database, or restore it from here. */
  async wrongDatabase(head: HeadRow): Promise<void> {
    if (this.wrong) return;
    this.wrong = true;
    const { clusterId, version } = this.parts.host.replica;
    this.parts.host.distrust('wrong-database');
    const met = { clusterId: head.clusterId, version: head.version };
    this.parts.logger.error(
      { own: { clusterId, version }, met },
      'this is not the database that this node replicates: its state is kept as it is. To adopt the database, stop the node and move its data folder away; to keep the state, restore the database',
    );
    this.parts.alerts.critical('wrong-database', `the database has ${met.clusterId} at ${met.version}`);
    await this.parts.snapshotter.withhold('wrong-database');
  }

  /** The database is the right one, perhaps again. */
  rightDatabase(): void {
    if (!this.wrong) return;
    this.wrong = false;
    this.parts.host.trust();
    this.parts.snapshotter.resume();
    this.parts.logger.info('the database belongs to this cluster again');
  }

  /** Before the state at head replaces this one: saves the changes that only this node holds. */
  async keepWhatIsLost(): Promise<void> {
    this.parts.host.distrust('diverged');
    const { replica } = this.parts.host;
    const fork = await this.findFork();
    const held = replica.changesAfter(fork, Number.POSITIVE_INFINITY);
    const lost: Change[] = held === 'compacted' ? [] : held;
    await this.parts.snapshotter.withhold(`before-${replica.version}`);
    this.parts.snapshotter.resume();
    const file =
      lost.length > 0
        ? await keepDiscarded(this.parts.options.dataDir, lost, new Date(this.parts.clock.wallMs()))
        : null;
    await this.noteDiscarded(fork, lost.length, file);
    this.parts.logger.error(
      { fork, version: replica.version, discarded: lost.length, file },
      'the database lost changes that this node holds: they are kept in the file, and the state at head is loaded',
    );
    this.parts.alerts.critical(
      'storage.regressed',
      `the database does not know versions after ${fork}, up to ${replica.version}`,
    );
  }

  /** The file and the alert say it too: a row that cannot be written must not keep the node from the state at head. */
  private async noteDiscarded(fork: number, changes: number, file: string | null): Promise<void> {
    const { nodeId, replica } = this.parts.host;
    const discarded = { nodeId, from: fork + 1, to: replica.version, changes, file };
    try {
      await this.parts.store.discarded.note(discarded);
    } catch (error) {
      crashOnDefect(error);
      this.parts.logger.error({ error, discarded }, 'recording a discarded history in the database failed');
    }
  }

  /** Highest version at which this node's history and the log are the same, as far as memory reaches. */
  private async findFork(): Promise<number> {
    const { replica } = this.parts.host;
    const head = await this.parts.store.readHead();
    let low = replica.windowFloor;
    let high = Math.min(replica.version, head.version);
    while (low < high) {
      const middle = Math.ceil((low + high) / 2);
      const page = await this.parts.store.ownLog.changesAfter(middle - 1, 1, 1);
      if (page === 'compacted') {
        low = middle; // far below what a database can lose
        continue;
      }
      const [logged] = page;
      const own = replica.chainAt(logged?.version ?? middle);
      if (logged !== undefined && own === logged.chain)
        low = Math.max(middle, Math.min(logged.version, high));
      else high = middle - 1;
    }
    return low;
  }
}
