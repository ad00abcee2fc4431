import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { systemClock } from '#libs/kernel';
import type { Bus, BusLogger } from '#libs/messaging';
import { Metrics } from '#libs/observability';
import type { PostgresSettings, PrimaryPool } from '#libs/postgres';
import { cpuSeconds } from '#libs/testing';
import { type SyncSettings, syncSettings } from '../../apps/sync/src/sync.config.js';
import { SyncMetrics } from '../../apps/sync/src/sync.metrics.js';
import { SyncService } from '../../apps/sync/src/sync.service.js';
import { SyncStore } from '../../apps/sync/src/sync.store.js';
import { SyncNodeClient } from '../../apps/sync/src/sync-node-client.js';
import type { NodeOrder, NodeWord } from './sync-node.types.js';

const KEY = 'the key of the bench';
const quiet = () => undefined;
const SILENT: BusLogger = { debug: quiet, info: quiet, warn: quiet, error: quiet };

/** A node of the bench, seen from outside. */
export class BenchNode {
  private readonly child: ChildProcess;
  private heard: Extract<NodeWord, { type: 'stands' }> | undefined;
  private listener: (word: NodeWord) => void = quiet;

  constructor(database: Omit<PostgresSettings, 'max'>) {
    const program = fileURLToPath(new URL('./sync-node.js', import.meta.url));
    this.child = fork(program, [JSON.stringify(database)]);
    this.child.on('message', (word: NodeWord) => {
      if (word.type === 'stands') this.heard = word;
      this.listener(word);
    });
  }

  get stands(): Extract<NodeWord, { type: 'stands' }> | undefined {
    return this.heard;
  }

  /** Microseconds of CPU that it has used so far. */
  get cpuMicros(): number {
    return cpuSeconds(this.child.pid ?? 0) * 1e6;
  }

  async address(): Promise<string> {
    while (this.heard === undefined) await new Promise((resolve) => setTimeout(resolve, 10));
    return this.heard.address;
  }

  /** Milliseconds that it took, by the node's own clock. */
  order(order: NodeOrder): Promise<number> {
    return new Promise((resolve, reject) => {
      this.listener = (word) => {
        if (word.type === 'done') resolve(word.ms);
        if (word.type === 'failed') reject(new Error(word.why));
      };
      this.child.send(order);
    });
  }

  /** Milliseconds until it stands at a version, and where it stood at first. */
  async reaches(version: number): Promise<number> {
    const begin = performance.now();
    await new Promise<void>((resolve) => {
      this.listener = (word) => {
        if (word.type === 'stands' && word.version >= version) resolve();
      };
    });
    return performance.now() - begin;
  }

  async stop(): Promise<void> {
    this.child.disconnect();
    await once(this.child, 'exit');
  }
}

/** The sync service over one node: real, but for the bus, which the node's own words stand in for. */
export class BenchSync {
  private readonly service: SyncService;
  private readonly beats: NodeJS.Timeout;
  private seq = 0;

  constructor(
    pool: PrimaryPool,
    node: BenchNode,
    perSecond: number,
    change: (settings: SyncSettings) => void,
  ) {
    const given = { preset: 'local', clusterKey: KEY, syncChangesPerSecond: perSecond } as const;
    const settings = syncSettings(given, 'bench');
    change(settings);
    const bus = { connected: true, responsive: true, publish: quiet, request: async () => ({ nodes: [] }) };
    const metrics = new SyncMetrics(new Metrics('sync', 'bench'));
    this.service = new SyncService({
      bus: bus as unknown as Bus,
      store: new SyncStore(pool),
      calls: new SyncNodeClient(KEY),
      metrics,
      settings,
      clock: systemClock,
      logger: SILENT,
    });
    this.beats = setInterval(() => {
      if (node.stands === undefined) return;
      const { address, version, chain } = node.stands;
      const beat = { nodeId: 'bench', incarnation: 1, seq: ++this.seq, kind: 'config-node' } as const;
      this.service.heartbeat({ ...beat, address, version, chain });
    }, 50);
    this.service.start([]);
  }

  async stop(): Promise<void> {
    clearInterval(this.beats);
    await this.service.stop();
  }
}
