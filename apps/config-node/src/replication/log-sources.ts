import { type Change, changeFromWire, LIMITS, Problem } from '#libs/contracts';
import { crashOnDefect, systemClock, systemRng } from '#libs/kernel';
import { type Bus, BusError } from '#libs/messaging';
import type { Logger } from '#libs/observability';
import type { PeerClient } from '../peers/peer-client.js';
import type { PeerTable } from '../peers/peer-table.js';
import type { ConfigStore } from '../store/config.store.js';

/** Changes after a version as somebody gave them: none = this source has none. `compacted` = it keeps none so old. */
export type Pulled = { source: string; changes: Change[] } | { source: string; compacted: true };

const BUS_TIMEOUT_MS = 250;
const BUS_SILENT_MS = 2_000;
const BUS_LIMIT = 500;
const LOG_LIMIT = 1_000;
/** Behind by more than this the database's large pages are quicker than the bus. */
const BUS_WORTHWHILE_GAP = 1_000;

/** Of several that are ahead so many are asked before the database is. */
const PEERS_BEFORE_LOG = 3;

type Reachable = ReturnType<PeerTable['others']>[number];

/**
 * In an order of each node's own. A change that is too large for the bus has to be fetched by all nodes at once: it comes
 * from each other, not a thousand times from the primary.
 */
function someAhead(others: readonly Reachable[], after: number): Reachable[] {
  return others
    .filter(({ version }) => version > after)
    .map((peer) => ({ peer, at: systemRng.next() }))
    .sort((a, b) => a.at - b.at)
    .slice(0, PEERS_BEFORE_LOG)
    .map(({ peer }) => peer);
}

/**
 * Where a node that is behind gets what it misses: from the bus, from nodes that are ahead unless it is much, from the log
 * itself, else from any other node.
 */
export class LogSources {
  /** The page that follows the last one, asked for while that is being applied. */
  private ahead: { after: number; page: Promise<Change[] | 'compacted'> } | undefined;

  private busSilentAtMs = Number.NEGATIVE_INFINITY;

  constructor(
    private readonly bus: Bus,
    private readonly store: ConfigStore,
    private readonly peers: PeerTable,
    private readonly client: PeerClient,
    private readonly logger: Logger,
  ) {}

  /** Asks one after the other, until `take` says that an answer brought the node forward. */
  async pull(after: number, gap: number, take: (pulled: Pulled) => boolean): Promise<boolean> {
    if (this.busIsWorthwhile(gap) && (await this.ask('bus', () => this.fromBus(after), take))) return true;
    const others = this.peers.others();
    const near = gap <= BUS_WORTHWHILE_GAP ? someAhead(others, after) : [];
    if (await this.pullFrom(near, after, take)) return true;
    if (await this.ask('log', () => this.fromLog(after), take)) return true;
    return this.pullFrom(
      others.filter((peer) => !near.includes(peer)),
      after,
      take,
    );
  }

  private async pullFrom(
    peers: readonly Reachable[],
    after: number,
    take: (pulled: Pulled) => boolean,
  ): Promise<boolean> {
    for (const { id, address } of peers) {
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
  discardPrefetch(): void {
    this.ahead = undefined;
  }

  /** A bus that did not answer lately may be frozen: what reads wait for is not held up by it every time. */
  private busIsWorthwhile(gap: number): boolean {
    if (!this.bus.connected || gap > BUS_WORTHWHILE_GAP) return false;
    return systemClock.monotonicMs() - this.busSilentAtMs >= BUS_SILENT_MS;
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
    try {
      const asked = { after, limit: BUS_LIMIT };
      const { changes } = await this.bus.request('sync.pull', asked, { timeoutMs: BUS_TIMEOUT_MS });
      return changes.map(changeFromWire);
    } catch (error) {
      this.busSilentAtMs = systemClock.monotonicMs();
      throw error;
    }
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
      crashOnDefect(error);
      const expected = error instanceof BusError || error instanceof Problem;
      this.logger.debug({ source, reason: String(error), expected }, 'could not pull changes');
      return false;
    }
  }
}
