import { type Change, changeFromWire, LIMITS, Problem } from '#libs/contracts';
import { type Bus, BusError } from '#libs/messaging';
import type { Logger } from '#libs/observability';
import type { ConfigStore } from '../store/config.store.js';
import type { PeerClient } from './peer-client.js';
import type { Peers } from './peers.js';

/** Changes after a version as somebody gave them: none = this source has none. `compacted` = it keeps none so old. */
export type Pulled = { source: string; changes: Change[] } | { source: string; compacted: true };

const BUS_TIMEOUT_MS = 250;
const BUS_LIMIT = 500;
const LOG_LIMIT = 1_000;
/** Behind by more than this the database's large pages are quicker than the bus. */
const BUS_WORTHWHILE_GAP = 1_000;

/** Where a node that is behind gets what it misses: from the bus, else from the log itself, else from another node. */
export class LogSources {
  /** The page that follows the last one, asked for while that is being applied. */
  private ahead: { after: number; page: Promise<Change[] | 'compacted'> } | undefined;

  constructor(
    private readonly bus: Bus,
    private readonly store: ConfigStore,
    private readonly peers: Peers,
    private readonly client: PeerClient,
    private readonly logger: Logger,
  ) {}

  /** Asks one after the other, until `take` says that an answer brought the node forward. */
  async pull(after: number, gap: number, take: (pulled: Pulled) => boolean): Promise<boolean> {
    if (this.bus.connected && gap <= BUS_WORTHWHILE_GAP) {
      if (await this.ask('bus', () => this.fromBus(after), take)) return true;
    }
    if (await this.ask('log', () => this.fromLog(after), take)) return true;
    for (const { id, address } of this.peers.others()) {
      if (await this.ask(id, () => this.client.log(address, after, LOG_LIMIT), take)) return true;
    }
    return false;
  }

  async fromLog(after: number): Promise<Change[] | 'compacted'> {
    const { ahead } = this;
    this.ahead = undefined;
    const changes = await (ahead?.after === after ? ahead.page : this.page(after));
    if (changes !== 'compacted' && changes.length === LOG_LIMIT) {
      this.readAhead(changes.at(-1)?.version ?? after);
    }
    return changes;
  }

  /** At the end of a walk through the log: by the next one the database may have lost what was read. */
  forgetAhead(): void {
    this.ahead = undefined;
  }

  private page(after: number): Promise<Change[] | 'compacted'> {
    return this.store.ownLog.changesAfter(after, LOG_LIMIT, LIMITS.batchBytes);
  }

  private readAhead(after: number): void {
    const page = this.page(after);
    page.catch(() => undefined); // whoever takes it is told
    this.ahead = { after, page };
  }

  private async fromBus(after: number): Promise<Change[]> {
    const { changes } = await this.bus.request(
      'sync.pull',
      { after, limit: BUS_LIMIT },
      { timeoutMs: BUS_TIMEOUT_MS },
    );
    return changes.map(changeFromWire);
  }

  private async ask(
    source: string,
    read: () => Promise<Change[] | 'compacted'>,
    take: (pulled: Pulled) => boolean,
  ): Promise<boolean> {
    try {
      const changes = await read();
      return take(changes === 'compacted' ? { source, compacted: true } : { source, changes });
    } catch (error) {
      const expected = error instanceof BusError || error instanceof Problem;
      this.logger.debug({ source, reason: String(error), expected }, 'could not pull changes');
      return false;
    }
  }
}
