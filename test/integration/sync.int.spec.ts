import { mkdtemp, rm } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { connect, type NatsConnection } from '@nats-io/transport-node';
import type { Client } from 'pg';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { changeFromWire, SyncRequest } from '#libs/contracts';
import { chainAfter, Replica } from '#libs/replica';
import { type NatsServer, startNats } from '#libs/servers';
import { startService } from '#libs/service';
import type { Fence } from '../../apps/config-node/src/store/store.types.js';
import { syncApp } from '../../apps/sync/src/sync.app.js';
import { loadSyncSettings } from '../../apps/sync/src/sync.config.js';
import { after, batchOf, type LeaderLab, lead, openMigratedLab, put } from './storage/storage-lab.js';

let home: string;
let nats: NatsServer;
let lab: LeaderLab;
let admin: Client;
let bare: NatsConnection;
let fence: Fence;
const closers: (() => Promise<unknown>)[] = [];

beforeAll(async () => {
  home = await mkdtemp(join(tmpdir(), 'holdfast-sync-'));
  [nats, lab] = await Promise.all([startNats({ dir: join(home, 'nats') }), openMigratedLab()]);
  admin = await lab.client();
  bare = await connect({ port: nats.port, user: nats.user, pass: nats.password });
  fence = await lead(lab, 'node-1');
});
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});
afterAll(async () => {
  await bare.close();
  await Promise.all([nats.stop(), lab.close()]);
  await rm(home, { recursive: true, force: true });
});

/** As a leader would: `count` changes with a true chain, a hundred to a batch. */
async function commit(count: number, bytes = 10): Promise<void> {
  for (let left = count; left > 0; left -= 100) {
    const contents = Array.from({ length: Math.min(left, 100) }, (_, i) => ({
      operations: [put(`key-${i % 7}`, 'x'.repeat(bytes))],
    }));
    let { chain } = fence;
    const batch = batchOf(fence, contents).map((each) => {
      chain = chainAfter(chain, each.change);
      return { ...each, change: { ...each.change, chain } };
    });
    if ((await lab.store.commit(fence, batch)) === 'fenced') throw new Error('fenced');
    fence = after(fence, batch);
  }
}

/** A node's `/sync` door with a real replica behind it. */
class SyncDoor {
  readonly replica = new Replica();
  readonly batches: number[] = [];
  failing = 0;
  underWay = 0;
  mostUnderWay = 0;
  private server: Server | undefined;
  private beats: NodeJS.Timeout | undefined;
  private seq = 0;

  constructor(readonly id: string) {}

  async start(): Promise<this> {
    this.server = createServer((request, response) => {
      const chunks: Buffer[] = [];
      request.on('data', (chunk: Buffer) => chunks.push(chunk));
      request.on('end', () => {
        if (request.url !== '/sync') return response.writeHead(404).end('{}');
        const json = (status: number, body: unknown) => {
          this.underWay--;
          response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
        };
        this.mostUnderWay = Math.max(this.mostUnderWay, ++this.underWay);
        if (this.failing-- > 0) return json(503, { code: 'cluster-busy', detail: 'later' });
        const { changes } = SyncRequest.parse(JSON.parse(Buffer.concat(chunks).toString()));
        this.batches.push(changes.length);
        for (const change of changes) this.replica.apply(changeFromWire(change));
        json(200, { version: this.replica.version, chain: this.replica.chain });
      });
    });
    await new Promise<void>((resolve) => this.server?.listen(0, '127.0.0.1', resolve));
    this.beats = setInterval(() => this.beat(), 200);
    this.beat();
    return this;
  }

  async stop(): Promise<void> {
    clearInterval(this.beats);
    this.server?.closeAllConnections();
    await new Promise((resolve) => this.server?.close(resolve));
  }

  private beat(): void {
    const address = this.server?.address();
    if (!address || typeof address === 'string') return;
    const beat = {
      nodeId: this.id,
      incarnation: 1,
      seq: ++this.seq,
      kind: 'config-node',
      version: this.replica.version,
    };
    bare.publish('node.heartbeat', JSON.stringify({ ...beat, address: `http://127.0.0.1:${address.port}` }));
  }
}

async function startDoor(id: string): Promise<SyncDoor> {
  const door = await new SyncDoor(id).start();
  closers.push(() => door.stop());
  return door;
}

async function startSync(): Promise<void> {
  const env = {
    HOLDFAST_INSTANCE_ID: 'sync',
    HOLDFAST_PORT: '0',
    HOLDFAST_POSTGRES_HOSTS: `127.0.0.1:${lab.server.port}`,
    HOLDFAST_POSTGRES_DATABASE: lab.server.database,
    HOLDFAST_POSTGRES_PASSWORD: 'sync-pass',
    HOLDFAST_NATS_SERVERS: `127.0.0.1:${nats.port}`,
    HOLDFAST_NATS_USER: nats.user,
    HOLDFAST_NATS_PASSWORD: nats.password,
    HOLDFAST_CLUSTER_KEY: 'a-secret-of-the-cluster',
    HOLDFAST_LOG_LEVEL: 'error',
  };
  const service = await startService(syncApp(loadSyncSettings({ argv: [], env, readFile: () => '' })));
  closers.push(() => service.stop());
}

async function until(what: string, done: () => Promise<boolean> | boolean, withinMs = 15_000): Promise<void> {
  const deadline = performance.now() + withinMs;
  while (!(await done())) {
    if (performance.now() > deadline) throw new Error(`${what}: it did not come about in time`);
    await wait(10);
  }
}

describe('sync', () => {
  it('pushes the whole history in bounded batches, in order, one at a time', async () => {
    await commit(620);
    const door = await startDoor('node-2');
    await startSync();
    await until('level', () => door.replica.version === fence.version);
    expect(door.replica.chain).toBe(fence.chain);
    expect(door.mostUnderWay).toBe(1);
    expect(Math.max(...door.batches)).toBeLessThanOrEqual(500);
    await commit(3);
    await until('level again', () => door.replica.version === fence.version);
    await until('recorded', async () => {
      const { rows } = await admin.query(
        "select version::int as version from sync.nodes where node_id = 'node-2'",
      );
      return rows[0]?.version === fence.version;
    });
  });

  it('cuts batches by bytes, and sends a change that is larger than that all the same', async () => {
    await commit(12, 1_000_000);
    const door = await startDoor('node-3');
    await startSync();
    await until('level', () => door.replica.version === fence.version);
    expect(door.batches.length).toBeGreaterThanOrEqual(3);
    expect(door.replica.chain).toBe(fence.chain);
  });

  it('tries again after a failure, tells who stays behind, and leaves the others alone', async () => {
    await commit(1);
    const lagging: string[] = [];
    const spy = bare.subscribe('sync.lagging', {
      callback: (_error, message) => void lagging.push(message.json<{ nodeId: string }>().nodeId),
    });
    const [door, stuck] = [await startDoor('node-4'), await startDoor('node-5')];
    door.failing = 2;
    stuck.failing = Number.POSITIVE_INFINITY;
    await startSync();
    await until('level', () => door.replica.version === fence.version);
    await until('told', () => lagging.includes('node-5'));
    expect(stuck.replica.version).toBe(0);
    spy.unsubscribe();
  });
});
