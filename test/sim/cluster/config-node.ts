import { Problem } from '#libs/contracts';
import { Readiness } from '#libs/observability';
import { encodeSnapshot, pinState } from '#libs/replica';
import { timingsOf } from '#libs/settings';
import { WatchHub } from '#libs/watch';
import { StorageReads } from '../../../apps/config-node/src/history/storage-reads.js';
import { NodeChanges } from '../../../apps/config-node/src/http/reads/node-changes.js';
import { ReadGate } from '../../../apps/config-node/src/http/reads/read-gate.js';
import { ConfigNode } from '../../../apps/config-node/src/node.js';
import { ConfigStore } from '../../../apps/config-node/src/store/config.store.js';
import { asPrimaryPool, SimPool } from '../database/sim-pool.js';
import type { Answer, Asked } from '../world/network.js';
import type { SimProcess } from '../world/process.js';
import { Doors, isProblem, statusOf } from './doors.js';
import type { Platform } from './platform.js';
import { noMetrics, traceLogger } from './silent.js';
import { asBus, SimBus } from './sim-bus.js';
import { WriteEndpoint } from './write-endpoint.js';

const MAX_LOST_TAIL = 1_000;
const RESTART_WITHIN_MS = 15_000;

/** A config node: the real engine, on a simulated machine. */
export class SimNode {
  readonly engine: ConfigNode;
  readonly hub: WatchHub;
  private readonly doors = new Doors();
  private readonly gate: ReadGate;
  private readonly writes: WriteEndpoint;
  private readonly readiness = new Readiness();
  isReady = false;
  private stopping = false;

  constructor(
    private readonly platform: Platform,
    readonly process: SimProcess,
    mayLead: boolean,
  ) {
    const { network, database, broker } = platform;
    const { clock, name: nodeId } = process;
    const logger = traceLogger(process);
    const store = new ConfigStore(asPrimaryPool(new SimPool(process, network, database)));
    this.engine = new ConfigNode(
      {
        nodeId,
        mayLead,
        priority: 0,
        metadata: {},
        dataDir: nodeId,
        maxLostTail: MAX_LOST_TAIL,
        clusterKey: 'key',
        seeds: platform.nodeSeeds,
        timings: timingsOf('local'),
      },
      { store, bus: asBus(new SimBus(process, broker)), metrics: noMetrics, clock, logger },
    );
    const { host } = this.engine;
    this.gate = new ReadGate(host, store, new StorageReads());
    this.writes = new WriteEndpoint(this.engine, process, network);
    this.hub = new WatchHub({
      source: new NodeChanges(host, store),
      clock,
      onError: (error) => logger.debug({ error }, 'serving a watcher failed: its stream is ended'),
    });
    host.onApplied((changes) => platform.oracle.applied(nodeId, host.replica, changes));
    host.onReset((reset) => platform.oracle.reset(nodeId, host.replica, reset));
  }

  /** Inside the process. */
  async start(): Promise<void> {
    const { process, platform, engine } = this;
    await engine.restore();
    engine.addReadiness(this.readiness);
    await engine.registerInternalApi(this.doors.asFastify());
    platform.network.listen(process, (asked, reply) => {
      if (asked.path === '/ping') reply({ status: 200, headers: {}, body: engine.ping() });
      else this.answer(asked).then(reply, (error: unknown) => reply(failed(error)));
    });
    await engine.start(`http://${process.name}:7400`);
    this.isReady = true;
  }

  /** As on SIGTERM: what a real process does before it ends. */
  async stop(): Promise<void> {
    this.hub.drain();
    await this.engine.announceStop();
    this.hub.stop();
    await this.engine.stop();
  }

  private restartSoon(): void {
    const { process, platform } = this;
    if (this.stopping) return;
    this.stopping = true;
    const gone = () => {
      if (process.alive) platform.restart(process.name);
    };
    process.timer(RESTART_WITHIN_MS, gone);
    this.stop().then(gone, (error: unknown) => process.world.fail('a node did not stop', String(error)));
  }

  private async answer(asked: Asked): Promise<Answer> {
    const { engine } = this;
    switch (asked.path) {
      case '/internal/snapshot': {
        const pinned = await pinState(engine.host.replica, async () => undefined);
        if (pinned === undefined) throw new Problem('cluster-busy', 'changes come too fast');
        return { status: 200, headers: {}, body: Buffer.concat([...encodeSnapshot(pinned)]) };
      }
      case '/health':
        return { status: 200, headers: {}, body: this.readiness.report() };
      case '/restart':
        this.restartSoon();
        return { status: 202, headers: {}, body: {} };
      case '/read':
        return this.read(asked.body as ReadRequest);
      case '/write':
        return this.writes.answer(asked);
      default:
        return this.doors.call(asked.path, asked.body);
    }
  }

  /** `GET …/configs/{key}`: the gate is real, what is around it is HTTP. */
  private async read({ namespace, key, minVersion, linearizable }: ReadRequest): Promise<Answer> {
    const demands = linearizable ? { consistency: 'linearizable' as const, minVersion } : { minVersion };
    await this.gate.pass(demands, {});
    const { host } = this.engine;
    const entry = host.replica.get(namespace, key);
    const { version, chain } = host.replica;
    const body: ReadReply = {
      node: host.nodeId,
      version,
      chain,
      stale: host.isStale(),
      entry: entry === undefined ? null : { version: entry.version, value: entry.value.toString() },
    };
    return { status: 200, headers: {}, body };
  }
}

export interface ReadRequest {
  namespace: string;
  key: string;
  minVersion: number;
  linearizable: boolean;
}

export interface ReadReply {
  node: string;
  version: number;
  chain: string;
  stale: boolean;
  entry: { version: number; value: string } | null;
}

function failed(error: unknown): Answer {
  return { status: statusOf(error), headers: {}, body: isProblem(error) ? error : new Error(String(error)) };
}
