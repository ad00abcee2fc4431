import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect, type NatsConnection } from '@nats-io/transport-node';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type NatsServer, startNats } from '#libs/embedded-servers';
import { signing, until } from '#libs/testing';
import { type LeaderLab, openMigratedLab } from '../integration/storage/storage-lab.js';
import { SyncDoor } from '../integration/sync/sync-door.js';
import { fillLog } from '../integration/sync/sync-log.js';

const CHANGES = 15_000;

let home: string;
let nats: NatsServer;
let lab: LeaderLab;
let bus: NatsConnection;
const children: ChildProcess[] = [];

beforeAll(async () => {
  home = await mkdtemp(join(tmpdir(), 'holdfast-sync-'));
  [nats, lab] = await Promise.all([startNats({ dir: join(home, 'nats') }), openMigratedLab()]);
  bus = signing(
    await connect({ port: nats.port, user: nats.user, pass: nats.password }),
    'a-secret-of-the-cluster',
  );
  await fillLog(lab.admin, CHANGES, 1_000);
});
afterAll(async () => {
  for (const child of children) child.kill('SIGKILL');
  await bus.close();
  await Promise.all([nats.stop(), lab.close()]);
  await rm(home, { recursive: true, force: true });
});

function startSync(instanceId: string): ChildProcess {
  const env = {
    ...process.env,
    HOLDFAST_INSTANCE_ID: instanceId,
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
  const child = spawn(process.execPath, ['--enable-source-maps', 'dist/apps/sync/src/main.js'], {
    env,
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  children.push(child);
  return child;
}

describe('the sync service', () => {
  it('is killed in the middle of it: another goes on where the node stands, and gives nothing twice', async () => {
    const door = await new SyncDoor('node-2', bus).start();
    try {
      const first = startSync('sync-1');
      await until('a part of it', () => door.replica.version > 2_000, 30_000);
      first.kill('SIGKILL');
      await until('it is gone', () => first.signalCode === 'SIGKILL', 5_000);
      const [held, tried] = [door.replica.version, door.tried.length];
      expect(held).toBeLessThan(CHANGES);
      startSync('sync-2');
      // The row of the one that was killed is young for 6 s yet: its share is taken over when it no longer is.
      await until('the rest', () => door.replica.version === CHANGES, 40_000);
      expect(door.tried[tried]?.from).toBe(held + 1);
      expect(door.tried.filter(({ from, held: had }) => from !== had + 1)).toEqual([]);
      expect(door.batches.reduce((sum, changes) => sum + changes, 0)).toBe(CHANGES);
      const { rows } = await lab.admin.query("select encode(chain, 'hex') as chain from config.head");
      expect(door.replica.chain).toBe(rows[0]?.chain);
    } finally {
      await door.stop();
    }
  });
});
