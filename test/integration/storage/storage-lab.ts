import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client } from 'pg';
import type { PutOperation } from '#libs/contracts';
import { type PostgresServer, startPostgres } from '#libs/embedded-servers';
import { sha256 } from '#libs/kernel';
import { bootstrapSql, type PostgresHost, PrimaryPool, type ServiceRole } from '#libs/postgres';
import type { BatchChange, Fence, HeadRow } from '../../../apps/config-node/src/domain/log.types.js';
import { ConfigStore } from '../../../apps/config-node/src/store/config.store.js';

const PASSWORDS: Record<ServiceRole, string> = {
  holdfast_node: 'no\'de\\ $$ "pass',
  holdfast_registry: 'registry-pass',
  holdfast_failover: 'failover-pass',
  holdfast_health: 'health-pass',
  holdfast_sync: 'sync-pass',
  holdfast_consistency: 'consistency-pass',
};

/**
 * No test of these labs cuts the power: what a killed server has written is in the page cache and stays. Waiting for
 * the disk only makes the tests slow.
 */
const UNSYNCED = { fsync: 'off', full_page_writes: 'off' };
/** For tests of durability and for measurements: every commit waits for the disk, as in production. */
export const SYNCED = { fsync: 'on', full_page_writes: 'on' };

/** A real Postgres with Holdfast's roles and schemas, and the means to look at it from outside. */
export interface StorageLab {
  readonly server: PostgresServer;
  pool(options?: {
    role?: ServiceRole;
    hosts?: PostgresHost[];
    max?: number;
    statementTimeoutMs?: number;
  }): PrimaryPool;
  /** One connection of the driver itself, ended with the lab. */
  client(role?: ServiceRole | 'superuser'): Promise<Client>;
  /** What was run once already: roles, schemas, rights. */
  bootstrap(): Promise<void>;
  close(): Promise<void>;
}

export async function openLab(settings: Record<string, string> = {}): Promise<StorageLab> {
  const dir = await mkdtemp(join(tmpdir(), 'holdfast-storage-'));
  const server = await startPostgres({ dir, settings: { ...UNSYNCED, ...settings } });
  const host = { host: server.host, port: server.port };
  const pools: PrimaryPool[] = [];
  const clients: Client[] = [];
  const lab: StorageLab = {
    server,
    pool: (options = {}) => {
      const role = options.role ?? 'holdfast_node';
      const pool = new PrimaryPool({
        hosts: [host],
        database: server.database,
        user: role,
        password: PASSWORDS[role],
        applicationName: 'storage-test',
        ...options,
      });
      pools.push(pool);
      return pool;
    },
    client: async (role = 'superuser') => {
      const superuser = role === 'superuser';
      const client = new Client({
        ...host,
        database: server.database,
        user: superuser ? server.superuser : role,
        password: superuser ? server.password : PASSWORDS[role],
      });
      client.on('error', () => undefined); // some tests end its backend
      await client.connect();
      clients.push(client);
      return client;
    },
    bootstrap: async () => {
      const superuser = await lab.client();
      await superuser.query(bootstrapSql({ passwords: PASSWORDS }));
    },
    close: async () => {
      await Promise.all(pools.map((pool) => pool.end()));
      await Promise.all(clients.map((client) => client.end()));
      await server.stop();
      await rm(dir, { recursive: true, force: true });
    },
  };
  await lab.bootstrap();
  return lab;
}

export interface LeaderLab extends StorageLab {
  store: ConfigStore;
  admin: Client;
}

export async function openMigratedLab(settings?: Record<string, string>): Promise<LeaderLab> {
  const lab = await openLab(settings);
  const store = new ConfigStore(lab.pool());
  await store.migrate();
  return { ...lab, store, admin: await lab.client() };
}

/** Makes `leaderId` the leader by the function that failover calls, and tells what its next batch must expect. */
export async function lead(lab: LeaderLab, leaderId: string): Promise<Fence> {
  const head = await lab.store.readHead();
  const { rows } = await lab.admin.query('select * from config.claim($1, $2, $3, $4, $1)', [
    head.term,
    head.leaderId,
    leaderId,
    1,
  ]);
  if (rows.length !== 1) throw new Error('the claim was lost, although nobody else claims here');
  return fenceAt(await lab.store.readHead());
}

export function fenceAt(head: HeadRow): Fence {
  const { clusterId: _, leaderId, ...rest } = head;
  if (leaderId === null) throw new Error('nobody leads');
  return { ...rest, leaderId };
}

/** An answer of the log where nothing was removed. */
export function kept<T>(answer: T | 'compacted'): T {
  if (answer === 'compacted') throw new Error('nothing was to be compacted');
  return answer;
}

/** Any hash will do here: the store keeps chains and compares them, it does not compute them. */
export function chainOf(version: number, salt = ''): string {
  return sha256(`${version}${salt}`).toString('hex');
}

export function put(key: string, value: string | Buffer, namespace = 'app'): PutOperation {
  const bytes = Buffer.from(value);
  const checksum = `sha256:${sha256(bytes).toString('hex')}`;
  return { op: 'put', namespace, key, value: bytes, contentType: 'text/plain', checksum };
}

export function batchOf(
  fence: Fence,
  changes: readonly (Partial<BatchChange['change']> & { requestId?: string; requestHash?: Buffer })[],
): BatchChange[] {
  return changes.map(({ requestId, requestHash, ...change }, index) => {
    const version = fence.version + 1 + index;
    const operations = change.operations ?? [];
    return {
      change: {
        version,
        term: fence.term,
        chain: chainOf(version),
        kind: 'change',
        author: null,
        comment: null,
        ...change,
        operations,
      },
      requestId: requestId ?? null,
      requestHash: requestHash ?? null,
      requestKind: requestId === undefined ? null : 'change-set',
      created: operations.map((operation) => operation.op === 'put'),
    };
  });
}

/** What head must say after `batch`. */
export function after(fence: Fence, batch: readonly BatchChange[]): Fence {
  const last = batch.at(-1)?.change;
  return last ? { ...fence, version: last.version, chain: last.chain } : fence;
}
