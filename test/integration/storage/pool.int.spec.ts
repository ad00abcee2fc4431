import { createServer, type Socket } from 'node:net';
import { Client } from 'pg';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { freePort, type PostgresServer } from '#libs/embedded-servers';
import {
  migrate,
  OutcomeUnknown,
  type PostgresHost,
  PrimaryPool,
  SchemaTooNew,
  StatementRefused,
  StorageUnavailable,
} from '#libs/postgres';
import { type PrimaryAndStandby, startPrimaryAndStandby } from './standby.js';
import { openLab, type StorageLab } from './storage-lab.js';

const LOOPBACK = '127.0.0.1';

/** Accepts connections and never says a word. */
async function mute(): Promise<{ host: string; port: number; connections: Set<Socket>; close(): void }> {
  const connections = new Set<Socket>();
  const server = createServer((socket) => {
    connections.add(socket);
    socket.on('error', () => connections.delete(socket));
  });
  await new Promise<void>((resolve) => server.listen(0, LOOPBACK, resolve));
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  return {
    host: LOOPBACK,
    port: address.port,
    connections,
    close: () => {
      for (const socket of connections) socket.destroy();
      server.close();
    },
  };
}

describe('a pool with its server', () => {
  let lab: StorageLab;
  beforeAll(async () => {
    lab = await openLab();
  });
  afterAll(() => lab.close());

  it('reads bigint as a number, or not at all', async () => {
    const pool = lab.pool();
    const { rows } = await pool.query<{ n: number; list: (number | null)[] }>({
      text: "select 9007199254740991::int8 as n, '{1,NULL,-3}'::int8[] as list",
    });
    expect(rows).toEqual([{ n: Number.MAX_SAFE_INTEGER, list: [1, null, -3] }]);
    await expect(pool.query({ text: 'select 9007199254740992::int8' })).rejects.toThrow('safe integer');
    expect((await pool.query({ text: 'select 1 as one' })).rows).toEqual([{ one: 1 }]);
  });

  it('says what became of a statement that failed', async () => {
    const pool = lab.pool({ max: 1, statementTimeoutMs: 300 });
    const failure = (text: string) => pool.query({ text }).catch((error: unknown) => error);
    expect(await failure("select 'x'::int")).toMatchObject({ name: 'DataError', sqlState: '22P02' });
    expect(await failure('select * from nothing')).toMatchObject({
      name: 'NotMigrated',
      sqlState: '42P01',
    });
    expect(await failure('select pg_sleep(5)')).toBeInstanceOf(OutcomeUnknown);
    const bytes = await pool
      .query({ text: 'select $1::text', values: ['\0'] })
      .catch((error: unknown) => error);
    expect(bytes).toMatchObject({ name: 'DataError', sqlState: '22021' });
    // An error of the statement costs no connection.
    const pid = async () => (await pool.query({ text: 'select pg_backend_pid() as pid' })).rows[0]?.pid;
    const before = await pid();
    await failure("select 'x'::int");
    await failure('select pg_sleep(5)');
    expect(await pid()).toBe(before);
    expect(pool.available()).toBe(true);
  });

  it('survives the end of its idle connections', async () => {
    const broken: Error[] = [];
    const pool = new PrimaryPool({
      hosts: [lab.server],
      database: lab.server.database,
      user: lab.server.superuser,
      password: lab.server.password,
      applicationName: 'idle-test',
      onConnectionError: (error) => broken.push(error),
    });
    await Promise.all([1, 2, 3].map(() => pool.query({ text: 'select pg_sleep(0.05)' })));
    const admin = await lab.client();
    await admin.query(
      "select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'idle-test'",
    );
    await vi.waitUntil(() => broken.length === 3);
    expect((await pool.query({ text: 'select 1 as one' })).rows).toEqual([{ one: 1 }]);
    await pool.end();
    await expect(pool.query({ text: 'select 1' })).rejects.toBeInstanceOf(StorageUnavailable);
  });

  it('is not delayed by another host that does not even refuse', async () => {
    const silent = await mute();
    const pool = lab.pool({ hosts: [silent, lab.server] });
    const started = performance.now();
    expect((await pool.query({ text: 'select 1 as one' })).rows).toEqual([{ one: 1 }]);
    expect(performance.now() - started).toBeLessThan(950);
    await pool.end();
    silent.close();
  });

  it('bounds those who wait for a connection', async () => {
    const pool = lab.pool({ max: 1, statementTimeoutMs: 5_000 });
    const asked = Array.from({ length: 200 }, () => pool.query({ text: 'select pg_sleep(1.5)' }));
    const started = performance.now();
    const outcomes = await Promise.allSettled(asked);
    expect(performance.now() - started).toBeLessThan(3_000);
    const refused = outcomes.flatMap((outcome) => (outcome.status === 'rejected' ? [outcome.reason] : []));
    expect(refused).toHaveLength(199);
    expect(refused.every((reason) => reason instanceof StorageUnavailable)).toBe(true);
    expect(refused.filter((reason) => /too many wait/.test(String(reason))).length).toBeGreaterThan(150);
  });

  it('rolls a transaction back when its work fails, and does not commit a failed one', async () => {
    const pool = lab.pool({ max: 1 });
    await pool.query({ text: 'create table if not exists config.tx_test (n int)' });
    const insert = { text: 'insert into config.tx_test values (1)' };
    await expect(
      pool.transaction(async (tx) => {
        await tx.query(insert);
        throw new Error('changed my mind');
      }),
    ).rejects.toThrow('changed my mind');
    const swallowed = pool.transaction(async (tx) => {
      await tx.query(insert);
      await tx.query({ text: 'select 1 / 0' }).catch(() => 'ignored');
    });
    await expect(swallowed).rejects.toBeInstanceOf(StatementRefused);
    expect((await pool.query({ text: 'select count(*) as n from config.tx_test' })).rows).toEqual([{ n: 0 }]);
    await pool.transaction((tx) => tx.query(insert));
    expect((await pool.query({ text: 'select count(*) as n from config.tx_test' })).rows).toEqual([{ n: 1 }]);
  });

  describe('migrate', () => {
    const steps = [
      'create table sync.one (n int)',
      'insert into sync.one values (1); create table sync.two (n int)',
    ];

    it('is done once by any number of processes at once', async () => {
      const pools = Array.from({ length: 8 }, () => lab.pool({ role: 'holdfast_sync', max: 1 }));
      await Promise.all(pools.map((pool) => migrate(pool, 'sync', steps)));
      const pool = lab.pool({ role: 'holdfast_sync' });
      expect((await pool.query({ text: 'select count(*) as n from sync.one' })).rows).toEqual([{ n: 1 }]);
      await migrate(pool, 'sync', [...steps, 'select pg_sleep(3)']); // longer than a statement may otherwise take
      const { rows } = await pool.query({ text: 'select version from sync.migrations order by version' });
      expect(rows).toEqual([{ version: 1 }, { version: 2 }, { version: 3 }]);
    });

    it('leaves nothing of a step that fails', async () => {
      const pool = lab.pool({ role: 'holdfast_sync' });
      const broken = [...steps, '', 'create table sync.four (n int)', 'select nonsense'];
      await expect(migrate(pool, 'sync', broken)).rejects.toBeInstanceOf(StatementRefused);
      expect((await pool.query({ text: "select to_regclass('sync.four') as t" })).rows).toEqual([
        { t: null },
      ]);
    });

    it('refuses a schema that is newer than what it knows', async () => {
      await expect(migrate(lab.pool({ role: 'holdfast_sync' }), 'sync', steps)).rejects.toBeInstanceOf(
        SchemaTooNew,
      );
    });
  });
});

describe('a pool without a server', () => {
  const poolOf = (hosts: PostgresHost[]) =>
    new PrimaryPool({ hosts, database: 'x', user: 'x', password: 'x', applicationName: 'x', max: 3 });

  it('refuses at once where nobody listens', async () => {
    const pool = poolOf([
      { host: LOOPBACK, port: await freePort() },
      { host: LOOPBACK, port: await freePort() },
    ]);
    const started = performance.now();
    const error = await pool.query({ text: 'select 1' }).catch((e: unknown) => e);
    expect(error).toBeInstanceOf(StorageUnavailable);
    expect(String(error)).toMatch(/ECONNREFUSED.*ECONNREFUSED/);
    await expect(pool.queryAnyReadable({ text: 'select 1' })).rejects.toBeInstanceOf(StorageUnavailable);
    expect(performance.now() - started).toBeLessThan(950);
    expect(pool.available()).toBe(false);
    await pool.end();
  });

  it('refuses within a second where the host is mute, however many ask', async () => {
    const silent = await mute();
    const pool = poolOf([silent]);
    const started = performance.now();
    const outcomes = await Promise.allSettled(
      Array.from({ length: 500 }, () => pool.query({ text: 'select 1' })),
    );
    expect(performance.now() - started).toBeLessThan(3_000);
    for (const outcome of outcomes) {
      expect(outcome).toMatchObject({ status: 'rejected', reason: expect.any(StorageUnavailable) });
    }
    expect(silent.connections.size).toBeLessThan(10);
    await pool.end();
    silent.close();
  });
});

describe('a pool over a primary and its standby', () => {
  let servers: PrimaryAndStandby;
  let pool: PrimaryPool;

  beforeAll(async () => {
    servers = await startPrimaryAndStandby();
    const { primary, standby } = servers;
    pool = new PrimaryPool({
      hosts: [standby, primary], // the standby first: the order must not matter
      database: primary.database,
      user: primary.superuser,
      password: primary.password,
      applicationName: 'follow-test',
    });
  });
  afterAll(async () => {
    await pool.end();
    await servers.close();
  });

  const add = (n: number) => pool.query({ text: 'insert into t values ($1)', values: [n] });
  const count = async () =>
    (await pool.queryAnyReadable<{ n: number }>({ text: 'select count(*) as n from t' })).rows[0]?.n;

  it('finds the primary, loses it, reads from the standby, and follows its promotion', async () => {
    const { primary, standby } = servers;
    await pool.query({ text: 'create table t (n int primary key)' });
    for (let n = 0; n < 20; n++) await add(n);
    expect(pool.available()).toBe(true);

    const direct = new Client({
      host: standby.host,
      port: standby.port,
      user: standby.superuser,
      password: primary.password,
      database: standby.database,
    });
    await direct.connect();
    await vi.waitUntil(async () => {
      const { rows } = await direct.query("select to_regclass('t') as t");
      return rows[0].t !== null && (await direct.query('select count(*)::int as n from t')).rows[0].n === 20;
    });
    await expect(direct.query('insert into t values (99)')).rejects.toMatchObject({ code: '25006' });

    process.kill(primary.pid, 'SIGKILL');
    await primary.exited;
    const started = performance.now();
    const lost = await add(100).catch((error: unknown) => error);
    expect(lost instanceof StorageUnavailable || lost instanceof OutcomeUnknown).toBe(true);
    expect(await add(101).catch((error: unknown) => error)).toBeInstanceOf(StorageUnavailable);
    expect(performance.now() - started).toBeLessThan(2_000);
    expect(pool.available()).toBe(false);
    expect(await count()).toBe(20);

    await direct.query('select pg_promote()');
    await direct.end();
    await vi.waitUntil(async () => {
      const result = await add(102).catch((error: unknown) => error);
      if (result instanceof StorageUnavailable) return false;
      if (result instanceof Error) throw result;
      return true;
    });
    expect(await count()).toBe(21);
    expect(pool.available()).toBe(true);
  });
});

describe('finding 16: a pool over two servers that both take writes', () => {
  let servers: PrimaryAndStandby;
  const told: string[] = [];
  const pools: PrimaryPool[] = [];
  const open = (hosts: PostgresHost[]) => {
    const { database, superuser, password } = servers.primary;
    const pool = new PrimaryPool({
      ...{ hosts, database, user: superuser, password, applicationName: 'split-test' },
      onSplit: (summary) => told.push(summary),
    });
    pools.push(pool);
    return pool;
  };
  const on = (host: PostgresServer, text: string) => open([host]).query({ text });
  const portOf = async (pool: PrimaryPool) =>
    (await pool.query<{ port: number }>({ text: "select current_setting('port')::int as port" })).rows[0]
      ?.port;

  beforeAll(async () => {
    servers = await startPrimaryAndStandby();
    const { primary, standby } = servers;
    await on(
      primary,
      'create schema config; create table config.head (id int, term int8); insert into config.head values (1, 10)',
    );
    const client = new Client({
      ...{ host: standby.host, port: standby.port, database: primary.database },
      ...{ user: primary.superuser, password: primary.password },
    });
    await client.connect();
    await vi.waitUntil(async () => {
      const { rows } = await client.query("select to_regclass('config.head') as t");
      return rows[0]?.t !== null && (await client.query('select * from config.head')).rowCount === 1;
    });
    // Nobody stops the old one.
    await client.query('select pg_promote()');
    await client.end();
  });
  afterAll(async () => {
    await Promise.all(pools.map((pool) => pool.end()));
    await servers.close();
  });

  it('takes the newer one in any order, and says so', async () => {
    const { primary, standby } = servers;
    for (const hosts of [
      [primary, standby],
      [standby, primary],
    ]) {
      told.length = 0;
      const pool = open(hosts);
      expect(await portOf(pool)).toBe(standby.port);
      expect(told).toHaveLength(1);
      expect(told[0]).toContain(`${standby.port} (timeline 2, term 10)`);
      expect(told[0]).toContain(`${primary.port} (timeline 1, term 10)`);
    }
  });

  it('writes to neither when both were written to, and reads on', async () => {
    const { primary, standby } = servers;
    const before = open([primary, standby]);
    expect(await portOf(before)).toBe(standby.port);
    await on(primary, 'update config.head set term = 12');
    const pool = open([primary, standby]);
    const refused = await pool.query({ text: 'select 1' }).catch((error: unknown) => error);
    expect(refused).toBeInstanceOf(StorageUnavailable);
    expect(String(refused)).toContain('neither is certainly the newer one');
    expect((await pool.queryAnyReadable({ text: 'select 1 as one' })).rows).toEqual([{ one: 1 }]);
    await on(primary, 'update config.head set term = 10');
    expect(await portOf(pool)).toBe(standby.port);
  });

  it('does not go back to the one that was replaced while that alone answers', async () => {
    const { primary, standby } = servers;
    const pool = open([primary, standby]);
    expect(await portOf(pool)).toBe(standby.port);
    await standby.stop();
    const refused = await pool.query({ text: 'select 1' }).catch((error: unknown) => error);
    await expect(pool.query({ text: 'select 1' })).rejects.toThrow('was replaced by a promotion');
    expect(refused).toBeInstanceOf(Error);
  });
});
