import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect, type NatsConnection } from '@nats-io/transport-node';
import type { Client } from 'pg';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { SyncReport } from '#libs/contracts';
import { type NatsServer, startNats } from '#libs/embedded-servers';
import { rendezvousOwner } from '#libs/kernel';
import { chainAfter } from '#libs/replica';
import { startService } from '#libs/service';
import { signing, until } from '#libs/testing';
import type { Fence } from '../../../apps/config-node/src/domain/log.types.js';
import { syncApp } from '../../../apps/sync/src/sync.app.js';
import { loadSyncSettings } from '../../../apps/sync/src/sync.config.js';
import { after, batchOf, type LeaderLab, lead, openMigratedLab, put } from '../storage/storage-lab.js';
import { SyncDoor } from './sync-door.js';

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
  bare = signing(
    await connect({ port: nats.port, user: nats.user, pass: nats.password }),
    'a-secret-of-the-cluster',
  );
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

async function startDoor(id: string): Promise<SyncDoor> {
  const door = await new SyncDoor(id, bare).start();
  closers.push(() => door.stop());
  return door;
}

async function startSync(instanceId = 'sync'): Promise<() => Promise<void>> {
  const env = {
    HOLDFAST_INSTANCE_ID: instanceId,
    HOLDFAST_PORT: '0',
    HOLDFAST_POSTGRES_HOSTS: `127.0.0.1:${lab.server.port}`,
    HOLDFAST_POSTGRES_DATABASE: lab.server.database,
    HOLDFAST_POSTGRES_PASSWORD: 'sync-pass',
    HOLDFAST_NATS_SERVERS: `127.0.0.1:${nats.port}`,
    HOLDFAST_NATS_USER: nats.user,
    HOLDFAST_NATS_PASSWORD: nats.password,
    HOLDFAST_CLUSTER_KEY: 'a-secret-of-the-cluster',
    HOLDFAST_SYNC_CHANGES_PER_SECOND: '100000',
    HOLDFAST_LOG_LEVEL: 'error',
  };
  const service = await startService(syncApp(loadSyncSettings({ argv: [], env, readFile: () => '' })));
  const stop = async () => {
    closers.splice(closers.indexOf(stop), 1);
    await service.stop();
  };
  closers.push(stop);
  return stop;
}

/** What is said on a subject from now on. */
async function listen(subject: string): Promise<{ nodeId: string }[]> {
  const heard: { nodeId: string }[] = [];
  const spy = bare.subscribe(subject, {
    callback: (_error, message) => void heard.push(message.json<{ nodeId: string }>()),
  });
  closers.push(async () => spy.unsubscribe());
  await bare.flush();
  return heard;
}

const isLevel = (door: SyncDoor) =>
  door.replica.version === fence.version && door.replica.chain === fence.chain;

describe('sync', () => {
  it('pushes the whole history in growing, bounded batches, in order, one at a time', async () => {
    await commit(620);
    const door = await startDoor('node-2');
    await startSync();
    await until('level', () => isLevel(door), 15_000);
    expect(door.mostUnderWay).toBe(1);
    expect(door.batches).toEqual([250, 300, 70]);
    await commit(3);
    await until('level again', () => isLevel(door), 15_000);
    await until(
      'recorded',
      async () => {
        const { rows } = await admin.query(
          "select version::int as version from sync.nodes where node_id = 'node-2'",
        );
        return rows[0]?.version === fence.version;
      },
      10_000,
    );
  });

  it('cuts batches by bytes, and sends a change that is larger than that all the same', async () => {
    await commit(12, 1_000_000);
    const door = await startDoor('node-3');
    await startSync();
    await until('level', () => isLevel(door), 15_000);
    expect(door.batches.length).toBeGreaterThanOrEqual(3);
  });

  it('finding 1: pushes JSON to a node of the release before, which refuses frames of changes', async () => {
    await commit(300);
    const door = await startDoor('node-13');
    door.knowsFrames = false;
    await startSync();
    await until('level', () => isLevel(door), 15_000);
    expect(door.framesRefused).toBe(1);
    expect(door.batches.length).toBeGreaterThan(1);
  });

  it('gives less to a node that is busy or finds it too large, and comes when that one says', async () => {
    await commit(1);
    const door = await startDoor('node-4');
    door.refusals = [{ status: 429, headers: { 'retry-after': '2' } }, { status: 413 }];
    await startSync();
    await until('level', () => isLevel(door), 15_000);
    const [busy, tooLarge, taken] = door.tried;
    expect([busy?.changes, tooLarge?.changes, taken?.changes]).toEqual([250, 125, 62]);
    expect((tooLarge?.at ?? 0) - (busy?.at ?? 0)).toBeGreaterThan(1_900);
    expect(door.batches.slice(0, 3)).toEqual([62, 112, 162]);
  });

  it('tells who stays behind until that is over, and leaves the others alone', async () => {
    const [lagging, level] = await Promise.all([listen('sync.lagging'), listen('sync.level')]);
    const [door, stuck] = [await startDoor('node-5'), await startDoor('node-6')];
    stuck.refusals = Array.from({ length: 100 }, () => ({ status: 503 }));
    await startSync();
    await until('level', () => isLevel(door), 15_000);
    await until('told', () => lagging.some(({ nodeId }) => nodeId === 'node-6'), 15_000);
    expect(stuck.replica.version).toBe(0);
    stuck.refusals = [];
    await until('told that it is over', () => level.some(({ nodeId }) => nodeId === 'node-6'), 20_000);
    expect(isLevel(stuck)).toBe(true);
    expect(level.some(({ nodeId }) => nodeId === 'node-5')).toBe(false);
  });

  it('pushes nothing onto a history that the log does not have, and tells the node to look', async () => {
    const told = await listen('sync.diverged');
    const door = await startDoor('node-7');
    const operations = [put('other', 'history')];
    const content = { version: 1, term: 1, kind: 'change' as const, author: null, comment: null, operations };
    const chain = chainAfter(door.replica.chain, content);
    door.replica.apply({ ...content, chain, createdAt: '2026-01-01T00:00:00.000Z' });
    await startSync();
    await until('asked to look at the head', () => door.told.some(({ by }) => by === 'head'), 15_000);
    await until('told', () => told.some(({ nodeId }) => nodeId === 'node-7'), 5_000);
    expect(door.tried.filter(({ from }) => from > 1)).toEqual([]);
    expect(door.replica.chain).toBe(chain);
    door.replica = new (door.replica.constructor as new () => typeof door.replica)();
    await until('level once it has healed itself', () => isLevel(door), 15_000);
  });

  it('shares the nodes among instances, takes over from one that is gone, and shows where all stand', async () => {
    const both = ['sync-a', 'sync-b'];
    const ids = Array.from({ length: 40 }, (_, i) => `shared-${i}`);
    const shares = both.map((each) => ids.filter((id) => rendezvousOwner(id, both) === each).slice(0, 2));
    const doors = await Promise.all(shares.flat().map((id) => startDoor(id)));
    const stopFirst = await startSync('sync-a');
    await startSync('sync-b');
    await until('level', () => doors.every(isLevel), 20_000);
    const report = async () =>
      SyncReport.parse((await bare.request('sync.report', '{}', { timeout: 5_000 })).json());
    const isSharedBy = async (...instances: string[]) => {
      const { nodes } = await report();
      const observerOf = new Map(nodes.map(({ nodeId, observer }) => [nodeId, observer]));
      return doors.every(({ id }) => observerOf.get(id) === rendezvousOwner(id, instances));
    };
    await until('both are known', async () => (await report()).instances.join() === both.join(), 15_000);
    // Where a node stands is written down by whose it is, when that changes.
    const isSharedNow = async (...instances: string[]) => {
      await commit(1);
      await until('level again', () => doors.every(isLevel), 20_000);
      return isSharedBy(...instances);
    };
    await until('each has its share', () => isSharedNow(...both), 20_000, 500);
    await stopFirst();
    await until('all are the second one’s', () => isSharedNow('sync-b'), 20_000, 500);
    const isShown = async () => {
      const { head, nodes } = await report();
      const own = nodes.find(({ nodeId }) => nodeId === doors[0]?.id);
      return (
        head === fence.version && own?.version === head && own.lagVersions === 0 && own.state === 'level'
      );
    };
    await until('it is shown', isShown, 10_000);
  });

  it('has a node load the state where that is cheaper than the log', async () => {
    await commit(24_000);
    await admin.query('analyze config.entries, config.change_ops');
    const door = await startDoor('node-12');
    await startSync();
    await until('told to load the state', () => door.told.some(({ by }) => by === 'state'), 15_000);
    expect(door.batches).toEqual([]);
  });
});
