import type { Client } from 'pg';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { OutcomeUnknown, type PrimaryPool, StatementRefused } from '#libs/postgres';
import { FaultProxy, pause } from '#libs/testing';
import type { BatchChange, Fence } from '../../../apps/config-node/src/domain/log.types.js';
import { ConfigStore } from '../../../apps/config-node/src/store/config.store.js';
import {
  after,
  batchOf,
  fenceAt,
  type LeaderLab,
  lead,
  openMigratedLab,
  put,
  SYNCED,
} from './storage-lab.js';

/**
 * What a leader does when it does not know whether its batch was committed: commit a new attempt, and only then look.
 * Each test causes the fault on a real server; `store` is the leader's, `lab.store` another connection that works.
 */
let lab: LeaderLab;
let fence: Fence;
let batch: BatchChange[];
let pool: PrimaryPool;
let store: ConfigStore;
let proxy: FaultProxy;

beforeAll(async () => {
  lab = await openMigratedLab(SYNCED);
  proxy = await FaultProxy.start(lab.server);
});
afterAll(async () => {
  await pool.end();
  await proxy.close();
  await lab.close();
});
beforeEach(async () => {
  fence = await lead(lab, 'node-1');
  batch = batchOf(fence, [
    { operations: [put('a', '1')], requestId: `first of ${fence.term}` },
    { operations: [put('b', '2')], requestId: `second of ${fence.term}` },
  ]);
  pool = lab.pool({ max: 1, statementTimeoutMs: 500, hosts: [{ host: '127.0.0.1', port: proxy.port }] });
  store = new ConfigStore(pool);
  await store.readHead();
});
afterEach(async () => {
  proxy.heal();
  await pool.end();
});

const ids = () => batch.flatMap(({ requestId }) => requestId ?? []);

async function backendOf(of: PrimaryPool): Promise<number> {
  const { rows } = await of.query<{ pid: number }>({ text: 'select pg_backend_pid() as pid' });
  if (!rows[0]) throw new Error('no pid');
  return rows[0].pid;
}

async function waiting(pid: number): Promise<string | null> {
  const { rows } = await lab.admin.query('select wait_event from pg_stat_activity where pid = $1', [pid]);
  return rows.length === 0 ? 'gone' : rows[0].wait_event;
}

async function resolve(): Promise<'committed' | 'not committed'> {
  const head = await lab.store.bumpAttempt(fence);
  if (!head) throw new Error('deposed');
  const found = await lab.store.lookUpRequests(ids());
  if (found.size === 0) {
    expect(fenceAt(head)).toEqual({ ...fence, attempt: fence.attempt + 1 });
    return 'not committed';
  }
  expect(found.size).toBe(ids().length);
  expect(head).toMatchObject({ version: batch.at(-1)?.change.version, chain: batch.at(-1)?.change.chain });
  return 'committed';
}

async function nothingHappened(): Promise<void> {
  expect((await lab.store.lookUpRequests(ids())).size).toBe(0);
  expect(await lab.store.readHead()).toMatchObject({ version: fence.version, chain: fence.chain });
}

describe('a frozen backend', () => {
  it('that had not begun changes nothing when it thaws after the look-up', async () => {
    const pid = await backendOf(pool);
    process.kill(pid, 'SIGSTOP');
    try {
      await expect(store.commit(fence, batch)).rejects.toBeInstanceOf(OutcomeUnknown);
      expect(await resolve()).toBe('not committed');
    } finally {
      process.kill(pid, 'SIGCONT');
    }
    await vi.waitUntil(async () => (await waiting(pid)) === 'gone');
    await nothingHappened();
  });

  it('that held its snapshot and waited for head changes nothing when it wakes after the look-up', async () => {
    const holder = await lab.client();
    const patient = new ConfigStore(lab.pool({ max: 1, statementTimeoutMs: 60_000 }));
    await holder.query('begin; select from config.head for update');
    // Without the time-outs that would save it.
    await lab.admin.query('alter role holdfast_node set transaction_timeout = 0');
    const through = lab.pool({
      max: 1,
      statementTimeoutMs: 60_000,
      hosts: [{ host: '127.0.0.1', port: proxy.port }],
    });
    const pid = await backendOf(through);
    const outcome = new ConfigStore(through).commit(fence, batch).catch((error: unknown) => error);
    await vi.waitUntil(async () => (await waiting(pid)) === 'transactionid');
    // The leader's connection is gone, and the backend is frozen in mid-statement.
    process.kill(pid, 'SIGSTOP');
    try {
      proxy.reset();
      expect(await outcome).toBeInstanceOf(OutcomeUnknown);
      await holder.query('rollback');
      // It is frozen in the queue for the row: who comes later does not wait for it.
      const head = await patient.bumpAttempt(fence);
      expect(head?.attempt).toBe(fence.attempt + 1);
      expect((await patient.lookUpRequests(ids())).size).toBe(0);
    } finally {
      process.kill(pid, 'SIGCONT');
      await lab.admin.query("alter role holdfast_node set transaction_timeout = '2500ms'");
    }
    await vi.waitUntil(async () => (await waiting(pid)) === 'gone', { timeout: 10_000 });
    await nothingHappened();
  });

  it('that woke up in time and re-reads head changes nothing: the attempt is part of its condition', async () => {
    const holder = await lab.client();
    await holder.query('begin; update config.head set attempt = attempt + 1');
    const pid = await backendOf(pool);
    const result = store.commit(fence, batch);
    await vi.waitUntil(async () => (await waiting(pid)) === 'transactionid');
    await holder.query('commit');
    expect(await result).toBe('fenced');
    await nothingHappened();
  });
});

describe('an unknown outcome', () => {
  it('is that of a backend killed before it committed', async () => {
    const holder = await lab.client();
    await holder.query('begin; select from config.head for update');
    const pid = await backendOf(pool);
    const outcome = store.commit(fence, batch).catch((error: unknown) => error);
    await vi.waitUntil(async () => (await waiting(pid)) === 'transactionid');
    await lab.admin.query('select pg_terminate_backend($1)', [pid]);
    expect(await outcome).toBeInstanceOf(OutcomeUnknown);
    await holder.query('rollback');
    expect(await resolve()).toBe('not committed');
    // The pool goes on with another connection.
    expect(await backendOf(pool)).not.toBe(pid);
  });

  it('is that of an answer that was lost on its way, after the commit', async () => {
    proxy.drop('down');
    const started = performance.now();
    await expect(store.commit(fence, batch)).rejects.toBeInstanceOf(OutcomeUnknown);
    expect(performance.now() - started).toBeLessThan(2_500);
    expect(await resolve()).toBe('committed');
  });

  it('is that of a connection that broke after the commit', async () => {
    proxy.pause('down');
    const outcome = store.commit(fence, batch).catch((error: unknown) => error);
    await vi.waitUntil(async () => (await lab.store.readHead()).version > fence.version);
    proxy.reset();
    expect(await outcome).toBeInstanceOf(OutcomeUnknown);
    expect(await resolve()).toBe('committed');
  });

  it('is not that of a lock time-out: the batch had no effect', async () => {
    const holder = await lab.client();
    await holder.query('begin; select from config.head for update');
    const slow = new ConfigStore(lab.pool({ max: 1 }));
    const error = await slow.commit(fence, batch).catch((e: unknown) => e);
    await holder.query('rollback');
    expect(error).toBeInstanceOf(StatementRefused);
    expect(error).toMatchObject({ sqlState: '55P03' });
    await nothingHappened();
    expect(await slow.commit(fence, batch)).not.toBe('fenced');
  });

  it('leaves no poisoned connection in the pool', async () => {
    const pid = await backendOf(pool);
    process.kill(pid, 'SIGSTOP');
    try {
      await expect(store.commit(fence, batch)).rejects.toBeInstanceOf(OutcomeUnknown);
      expect(pool.available()).toBe(false);
      for (let i = 0; i < 5; i++) expect(await backendOf(pool)).not.toBe(pid);
      expect(pool.available()).toBe(true);
    } finally {
      process.kill(pid, 'SIGCONT');
    }
  });
});

describe('a synchronous standby that does not answer', () => {
  beforeEach(async () => {
    await store.readHead();
    await setStandbyNames('absent');
  });
  afterEach(() => setStandbyNames(''));

  async function setStandbyNames(names: string): Promise<void> {
    await lab.admin.query(`set synchronous_commit = local`);
    await lab.admin.query(`alter system set synchronous_standby_names = '${names}'`);
    await lab.admin.query('select pg_reload_conf()');
    await vi.waitUntil(async () => {
      const { rows } = await lab.admin.query('show synchronous_standby_names');
      return rows[0].synchronous_standby_names === names;
    });
  }

  it('turns a cancelled wait, reported as success with a warning, into an unknown outcome', async () => {
    const pid = await backendOf(pool);
    const outcome = store.commit(fence, batch).catch((error: unknown) => error);
    await vi.waitUntil(async () => (await waiting(pid)) === 'SyncRep');
    await lab.admin.query('select pg_cancel_backend($1)', [pid]);
    const error = await outcome;
    expect(error).toBeInstanceOf(OutcomeUnknown);
    expect(error).toMatchObject({ message: expect.stringContaining('warning') });
    await setStandbyNames('');
    expect(await resolve()).toBe('committed');
  });

  it('makes a commit visible after its client gave up; the look-up behind a new attempt finds it', async () => {
    await expect(store.commit(fence, batch)).rejects.toBeInstanceOf(OutcomeUnknown);
    await setStandbyNames('');
    expect(await resolve()).toBe('committed');
  });
});

describe('a half-sent message', () => {
  /** Locks the row by a statement whose last bytes never arrive. */
  async function sendHalf(update: string, setting?: string): Promise<Client> {
    const client = await lab.client('holdfast_node');
    if (setting) await client.query(`set ${setting}`);
    const { connection } = client;
    connection.parse({ text: update, name: '', types: [] }, true);
    connection.bind({ portal: '', statement: '', values: [] }, true);
    connection.execute({ portal: '', rows: '0' }, true);
    connection.flush();
    // 'S', then a length of four bytes of which two arrive.
    connection.stream.write(Buffer.from([0x53, 0, 0]));
    return client;
  }

  async function isLocked(table: string): Promise<boolean> {
    const { rows } = await lab.admin.query(`select count(*)::int as n from config.${table}`);
    const free = await lab.admin.query(`select from config.${table} for update skip locked`);
    return rows[0].n > (free.rowCount ?? 0);
  }

  it('holds the head row until the transaction time-out of the role ends its backend', async () => {
    const control = await sendHalf(
      'update config.read_fence set n = n where slot = 0',
      'transaction_timeout = 0',
    );
    await vi.waitUntil(() => isLocked('read_fence'), { timeout: 10_000 });
    await sendHalf('update config.head set attempt = attempt where id = 1');
    await vi.waitUntil(() => isLocked('head'), { timeout: 10_000, interval: 10 });
    const started = performance.now();
    await vi.waitUntil(async () => !(await isLocked('head')), { timeout: 10_000 });
    const heldMs = performance.now() - started;
    expect(heldMs).toBeGreaterThan(1_500);
    expect(await lab.store.commit(fence, batch)).not.toBe('fenced');
    // Statement and idle time-outs alone do not end such a backend.
    await pause(1_500);
    expect(await isLocked('read_fence')).toBe(true);
    control.connection.stream.destroy();
    await vi.waitUntil(async () => !(await isLocked('read_fence')));
  });
});

describe('the server', () => {
  it('keeps what it acknowledged: fsync, full pages, synchronous commits, checksums', async () => {
    const { rows } = await pool.query<{ name: string; setting: string }>({
      text: `select name, setting from pg_settings
        where name in ('fsync', 'full_page_writes', 'synchronous_commit', 'data_checksums', 'transaction_timeout')`,
    });
    expect(Object.fromEntries(rows.map((row) => [row.name, row.setting]))).toEqual({
      fsync: 'on',
      full_page_writes: 'on',
      synchronous_commit: 'on',
      data_checksums: 'on',
      transaction_timeout: '2500',
    });
  });

  it('updates head in place: no version of it needs an index entry', async () => {
    const own = lab.pool({ max: 1 });
    const leader = new ConfigStore(own);
    let at = fence;
    for (let i = 0; i < 200; i++) {
      const one = batchOf(at, [{ operations: [put('hot', `${i}`)] }]);
      expect(await leader.commit(at, one)).not.toBe('fenced');
      at = after(at, one);
    }
    // A backend reports its counts when it ends.
    await Promise.all([own.end(), pool.end()]);
    await vi.waitUntil(async () => {
      const { rows } = await lab.admin.query(
        "select n_tup_upd::int as all, n_tup_hot_upd::int as hot from pg_stat_user_tables where relname = 'head'",
      );
      return rows[0].all > 200 && rows[0].hot === rows[0].all;
    });
  });
});
