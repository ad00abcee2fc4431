import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { FastifyInstance } from 'fastify';
import { pino } from 'pino';
import { systemClock } from '#libs/kernel';
import { Bus } from '#libs/messaging';
import { Metrics } from '#libs/observability';
import type { PostgresHost } from '#libs/postgres';
import { PublicGuard, startService } from '#libs/service';
import { timingsOf } from '#libs/settings';
import { ApiClient, freePort, until } from '#libs/testing';
import { configNodeModule } from '../../../apps/config-node/src/config-node.module.js';
import { type PublicApi, registerPublicApi } from '../../../apps/config-node/src/http/public-api.js';
import { ConfigNode } from '../../../apps/config-node/src/node.js';
import type { CompactorOptions } from '../../../apps/config-node/src/retention/compactor.js';
import { ConfigStore } from '../../../apps/config-node/src/store/config.store.js';
import { type LeaderLab, openMigratedLab } from '../storage/storage-lab.js';

export const CLUSTER_KEY = 'the-secret-of-this-test';

/** Config nodes with their public interface, in this process, over a real Postgres and without a bus. */
export interface ApiLab {
  readonly storage: LeaderLab;
  node(id: string, options?: ApiNodeOptions): Promise<ApiNode>;
  /** Makes the node the leader, as failover does. */
  elect(node: ApiNode): Promise<void>;
  close(): Promise<void>;
}

export interface ApiNodeOptions {
  database?: PostgresHost;
  retention?: Partial<CompactorOptions>;
}

export interface ApiNode {
  readonly id: string;
  readonly address: string;
  readonly engine: ConfigNode;
  readonly store: ConfigStore;
  readonly api: PublicApi;
  readonly fastify: FastifyInstance;
  readonly client: ApiClient;
  stop(): Promise<void>;
}

export async function openApiLab(): Promise<ApiLab> {
  const home = await mkdtemp(join(tmpdir(), 'holdfast-api-'));
  const storage = await openMigratedLab();
  const nodes: ApiNode[] = [];
  const nowhere = await freePort();

  const node = async (id: string, { database, retention = {} }: ApiNodeOptions = {}): Promise<ApiNode> => {
    const logger = pino({ level: process.env.API_LAB_LOG ?? 'silent' });
    const pool = storage.pool({ max: 8, ...(database ? { hosts: [database] } : {}) });
    const store = new ConfigStore(pool);
    const metrics = new Metrics('config-node', id);
    const bus = Bus.connect({
      clusterKey: CLUSTER_KEY,
      servers: [`127.0.0.1:${nowhere}`],
      user: 'nobody',
      password: 'nothing',
      name: id,
      logger,
    });
    const clusterKey = CLUSTER_KEY;
    const engine = new ConfigNode(
      {
        nodeId: id,
        mayLead: true,
        priority: 100,
        metadata: {},
        dataDir: join(home, id),
        maxLostTail: 100,
        clusterKey,
        seeds: nodes.map((other) => ({ id: other.id, address: other.address })),
        timings: timingsOf('local'),
        retention,
      },
      { store, bus, metrics, clock: systemClock, logger },
    );
    await engine.restore();
    const guard = new PublicGuard({ publicHosts: ['127.0.0.1', 'localhost'], corsOrigins: [], clusterKey });
    let api: PublicApi | undefined;
    const service = await startService({
      module: configNodeModule(engine, store),
      logger,
      metrics,
      guard,
      ping: () => engine.ping(),
      configure: async (fastify) => {
        await engine.registerInternalApi(fastify);
        const { host, leadership, publisher } = engine;
        const clock = systemClock;
        const parts = { host, leadership, publisher, store, guard, clusterKey, clock, metrics, logger };
        api = await registerPublicApi(fastify, parts);
      },
      listen: { port: 0, host: '127.0.0.1' },
      started: (_app, port) => engine.start(`http://127.0.0.1:${port}`),
    });
    if (api === undefined) throw new Error('the public interface was not registered');
    const address = `http://127.0.0.1:${service.port}`;
    const client = new ApiClient(address);
    const started = api;
    const labNode: ApiNode = {
      id,
      address,
      engine,
      store,
      api: started,
      fastify: service.app.getHttpAdapter().getInstance(),
      client,
      stop: async () => {
        nodes.splice(nodes.indexOf(labNode), 1);
        await client.close();
        await engine.announceStop();
        await service.stop();
        await started.stop();
        await engine.stop();
        await bus.close();
        await pool.end();
      },
    };
    nodes.push(labNode);
    return labNode;
  };

  return {
    storage,
    node,
    elect: async (elected) => {
      const head = await storage.store.readHead();
      await storage.admin.query('select * from config.claim($1, $2, $3, $4, $1)', [
        head.term,
        head.leaderId,
        elected.id,
        elected.engine.membership.incarnation,
      ]);
      await until('the elected node leads', () => elected.engine.publisher.isLeading, 10_000);
    },
    close: async () => {
      for (const one of [...nodes]) await one.stop();
      await storage.close();
      await rm(home, { recursive: true, force: true });
    },
  };
}
