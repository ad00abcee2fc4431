import { type Repeating, repeat } from '#libs/kernel';
import { type Bus, BusError } from '#libs/messaging';
import type { Logger } from '#libs/observability';
import type { NodeDirectory } from './node-directory.js';

const LIST_EVERY_MS = 5_000;
const LIST_TIMEOUT_MS = 1_000;

/** Brings what the bus says of nodes and leaders into the directory, and asks the registry for its list. */
export class NodeBusListener {
  private readonly unsubscribe: (() => void)[] = [];
  private listing: Repeating | undefined;

  constructor(
    private readonly bus: Bus,
    private readonly directory: NodeDirectory,
    private readonly logger: Logger,
  ) {}

  start(): void {
    const { bus, directory } = this;
    directory.on({
      badWeight: (nodeId, weight) =>
        this.logger.warn(
          { nodeId, weight },
          'ignored the weight of a node, which is no integer of 1-100: using 1',
        ),
    });
    this.unsubscribe.push(
      bus.subscribe('leader.elected', (election) => directory.elected(election)),
      bus.subscribe('leader.lost', (news) => directory.lost(news)),
      bus.subscribe('sync.head', (head) => directory.head(head)),
      bus.subscribe('node.heartbeat', (beat) => directory.heartbeat(beat)),
      bus.subscribe('node.registered', ({ node }) => directory.registered(node)),
      bus.subscribe('node.deregistered', (news) => directory.deregistered(news.nodeId, news.incarnation)),
      bus.subscribe('node.status', (change) => directory.statusChanged(change)),
      bus.subscribe('node.failed', (verdict) => directory.judged(verdict)),
      bus.subscribe('node.recovered', (verdict) => directory.judged(verdict)),
      bus.onStatus((connected) => {
        if (connected) this.listing?.trigger();
      }),
    );
    this.listing = repeat(() => this.list(), {
      everyMs: LIST_EVERY_MS,
      onError: (error) => this.logger.error({ error }, "the registry's list could not be taken in"),
    });
  }

  async stop(): Promise<void> {
    for (const unsubscribe of this.unsubscribe.splice(0)) unsubscribe();
    await this.listing?.stop();
  }

  private async list(): Promise<void> {
    if (!this.bus.connected) return;
    try {
      const { nodes } = await this.bus.request('registry.list', {}, { timeoutMs: LIST_TIMEOUT_MS });
      this.directory.listed(nodes);
    } catch (error) {
      if (!(error instanceof BusError)) throw error;
      this.logger.debug({ reason: error.kind }, 'the registry did not answer');
    }
  }
}
