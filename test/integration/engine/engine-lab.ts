import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { pino } from 'pino';
import { type NatsServer, startNats } from '#libs/embedded-servers';
import { sha256, systemClock } from '#libs/kernel';
import { Bus } from '#libs/messaging';
import { Metrics, Readiness } from '#libs/observability';
import type { PostgresHost, PrimaryPool } from '#libs/postgres';
import { checksumOf, type Replica } from '#libs/replica';
import { PublicGuard, type RunningService, startService } from '#libs/service';
import { timingsOf } from '#libs/settings';
import { configNodeModule } from '../../../apps/config-node/src/config-node.module.js';
import type { WriteOperation, WriteRequest } from '../../../apps/config-node/src/domain/commit/write.js';
import { ConfigNode, type ConfigNodeOptions } from '../../../apps/config-node/src/node.js';
import { ConfigStore } from '../../../apps/config-node/src/store/config.store.js';
import { type LeaderLab, openMigratedLab } from '../storage/storage-lab.js';

export const CLUSTER_KEY = 'the-secret-of-this-test';

export interface EngineLab {
  readonly storage: LeaderLab;
  readonly nats: NatsServer;
  node(id: string, options?: NodeOptions): Promise<LabNode>;
  /** Makes the node the leader, as failover does, and waits until it leads. */
  elect(node: LabNode): Promise<void>;
  close(): Promise<void>;
}

export interface NodeOptions extends Partial<ConfigNodeOptions> {
  database?: PostgresHost;
  /** Serves what people ask for, instead of the node's one pool. */
  reads?: PrimaryPool;
  natsPort?: number;
}

export interface LabNode {
  readonly id: string;
  readonly engine: ConfigNode;
  readonly replica: Replica;
  readonly bus: Bus;
  readonly address: string;
  readonly dataDir: string;
  /** As a signal to end does. */
  stop(): Promise<void>;
}

/** A real Postgres, a real NATS, and config nodes in this process. */
export async function openEngineLab(): Promise<EngineLab> {
  const home = await mkdtemp(join(tmpdir(), 'holdfast-engine-'));
  const storage = await openMigratedLab();
  const nats = await startNats({ dir: join(home, 'nats') });
  const running = new Set<LabNode>();
  const seeds: { id: string; address: string }[] = [];

  const node = async (id: string, options: NodeOptions = {}): Promise<LabNode> => {
    const { database, reads, natsPort = nats.port, ...engineOptions } = options;
    const logger = pino({ level: process.env.ENGINE_LAB_LOG ?? 'silent' });
    const pool = storage.pool({ max: 8, ...(database ? { hosts: [database] } : {}) });
    const store = new ConfigStore(pool, reads, pool);
    const metrics = new Metrics('config-node', id);
    const bus = Bus.connect({
      clusterKey: CLUSTER_KEY,
      servers: [`127.0.0.1:${natsPort}`],
      user: nats.user,
      password: nats.password,
      name: id,
      logger,
    });
    const dataDir = join(home, 'nodes', id);
    const engine = new ConfigNode(
      {
        nodeId: id,
        mayLead: true,
        priority: 100,
        metadata: {},
        dataDir,
        maxLostTail: 100,
        clusterKey: CLUSTER_KEY,
        seeds: [...seeds],
        timings: timingsOf('local'),
        ...engineOptions,
      },
      { store, bus, metrics, clock: systemClock, logger },
    );
    const readiness = new Readiness();
    engine.addReadiness(readiness);
    await engine.restore();
    const service: RunningService = await startService({
      module: configNodeModule(engine, store),
      logger,
      metrics,
      readiness,
      guard: new PublicGuard({ publicHosts: ['127.0.0.1'], corsOrigins: [], clusterKey: CLUSTER_KEY }),
      ping: () => engine.ping(),
      configure: (fastify) => engine.registerInternalApi(fastify),
      listen: { port: 0, host: '127.0.0.1' },
      started: async (_app, port) => {
        await engine.start(`http://127.0.0.1:${port}`);
        await bus.subscribed();
      },
    });
    const address = `http://127.0.0.1:${service.port}`;
    seeds.push({ id, address });
    const labNode: LabNode = {
      id,
      engine,
      replica: engine.host.replica,
      bus,
      address,
      dataDir,
      stop: async () => {
        running.delete(labNode);
        await engine.announceStop();
        await service.stop();
        await engine.stop();
        await bus.close();
        await pool.end();
      },
    };
    running.add(labNode);
    return labNode;
  };

  return {
    storage,
    nats,
    node,
    elect: async (elected) => {
      const head = await storage.store.readHead();
      await storage.admin.query('select * from config.claim($1, $2, $3, $4, $1)', [
        head.term,
        head.leaderId,
        elected.id,
        elected.engine.membership.incarnation,
      ]);
      await until(() => elected.engine.publisher.isLeading, 'the elected node leads');
    },
    close: async () => {
      for (const labNode of running) await labNode.stop();
      await nats.stop();
      await storage.close();
      await rm(home, { recursive: true, force: true });
    },
  };
}

export async function until(
  done: () => boolean | Promise<boolean>,
  what: string,
  withinMs = 10_000,
): Promise<void> {
  const deadline = performance.now() + withinMs;
  while (!(await done())) {
    if (performance.now() > deadline) throw new Error(`not in time: ${what}`);
    await wait(5);
  }
}

export function put(key: string, value: string | Buffer, namespace = 'app'): WriteOperation {
  const bytes = Buffer.from(value);
  const checksum = checksumOf(bytes);
  return { op: 'put', namespace, key, value: bytes, contentType: 'text/plain', checksum };
}

export function write(operations: WriteOperation[], part: Partial<WriteRequest> = {}): WriteRequest {
  const key = part.idempotencyKey ?? null;
  return {
    kind: 'put',
    idempotencyKey: key,
    requestHash: key === null ? null : sha256(key),
    keyIsFresh: false,
    aimTerm: null,
    author: null,
    comment: null,
    operations,
    deadlineMs: performance.now() + 10_000,
    ...part,
  };
}

/** What the log says, version by version. */
export async function loggedVersions(lab: EngineLab): Promise<number[]> {
  const { rows } = await lab.storage.admin.query<{ version: string }>(
    'select version from config.changes order by version',
  );
  return rows.map((row) => Number(row.version));
}
