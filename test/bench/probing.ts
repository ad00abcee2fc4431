import { type ChildProcess, fork, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client } from 'pg';
import { type NatsServer, type PostgresServer, startNats, startPostgres } from '#libs/embedded-servers';
import { bootstrapSql, SERVICE_ROLES, type ServiceRole } from '#libs/postgres';
import { cpuSeconds, freePort, pause, pssBytes, ROOT, until } from '#libs/testing';
import type { BenchOptions } from './options.js';
import { printTable, type Row } from './report.js';

const NODES = 50;
const PASSWORD = 'bench-password';
const MIB = 1024 * 1024;

/** What it costs to ask 50 nodes once a second, with real servers around; the nodes are in another process. */
export async function benchProbing({ quick }: BenchOptions): Promise<void> {
  const home = await mkdtemp(join(tmpdir(), 'holdfast-probing-'));
  const [nats, postgres] = await Promise.all([
    startNats({ dir: join(home, 'nats') }),
    startPostgres({ dir: join(home, 'postgres') }),
  ]);
  await prepare(postgres);
  const nodes = fork(
    join(import.meta.dirname, 'probed-nodes.js'),
    [JSON.stringify({ count: NODES, nats: { port: nats.port, user: nats.user, password: nats.password } })],
    { execArgv: [] },
  );
  const [addresses] = (await once(nodes, 'message')) as [{ nodeId: string; address: string }[]];
  const port = await freePort();
  const health = startHealth(port, addresses, nats, postgres);
  try {
    await until('all are probed', async () => (await probing(port)) === NODES, 30_000);
    const seconds = quick ? 5 : 60;
    await pause(quick ? 3_000 : 15_000); // what starting up stirred settles, and code gets hot
    const alone = await measure(health, port, seconds);
    nodes.send('beat');
    await pause(2_000);
    const beating = await measure(health, port, seconds);
    const memory = `${(pssBytes(health.pid ?? 0) / MIB).toFixed(0)} MB`;
    printTable(`probing ${NODES} nodes once a second, over ${seconds} s`, [
      row('probes alone', alone, '<= 0.060 core'),
      row('and 2 heartbeats a second of each heard', beating, ''),
      ['memory (PSS)', memory, ''],
    ]);
  } finally {
    health.kill('SIGTERM');
    await once(health, 'exit');
    nodes.disconnect();
    await Promise.all([nats.stop(), postgres.stop()]);
    await rm(home, { recursive: true, force: true });
  }
}

interface Measured {
  cores: number;
  probesPerSecond: number;
  failed: number;
}

function row(what: string, { cores, probesPerSecond, failed }: Measured, wanted: string): Row {
  const figures = `${cores.toFixed(3)} core  ${probesPerSecond.toFixed(1)} probes/s  ${failed} not ok`;
  return [what, figures, wanted];
}

async function measure(health: ChildProcess, port: number, seconds: number): Promise<Measured> {
  const pid = health.pid ?? 0;
  const before = await probes(port);
  const [cpu, startMs] = [cpuSeconds(pid), performance.now()];
  await pause(seconds * 1_000);
  const tookSeconds = (performance.now() - startMs) / 1_000;
  const cores = (cpuSeconds(pid) - cpu) / tookSeconds;
  const after = await probes(port);
  return {
    cores,
    probesPerSecond: (after.ok - before.ok) / tookSeconds,
    failed: after.other - before.other,
  };
}

async function probes(port: number): Promise<{ ok: number; other: number }> {
  const text = await (await fetch(`http://127.0.0.1:${port}/metrics`)).text();
  const found = { ok: 0, other: 0 };
  for (const [, result, value] of text.matchAll(
    /^holdfast_health_probes_total\{.*result="([\w-]+)".*\} (\d+)/gm,
  )) {
    found[result === 'ok' ? 'ok' : 'other'] += Number(value);
  }
  return found;
}

async function probing(port: number): Promise<unknown> {
  const ping: unknown = await (await fetch(`http://127.0.0.1:${port}/ping`)).json();
  return typeof ping === 'object' && ping !== null && 'probing' in ping ? ping.probing : undefined;
}

function startHealth(
  port: number,
  nodes: readonly { nodeId: string; address: string }[],
  nats: NatsServer,
  postgres: PostgresServer,
): ChildProcess {
  return spawn(
    process.execPath,
    ['--max-semi-space-size=2', '--max-old-space-size=192', 'dist/apps/health/src/main.js'],
    {
      cwd: ROOT,
      env: {
        PATH: process.env.PATH,
        HOLDFAST_INSTANCE_ID: 'health-bench',
        HOLDFAST_PORT: String(port),
        HOLDFAST_PRESET: 'local',
        HOLDFAST_POSTGRES_HOSTS: `127.0.0.1:${postgres.port}`,
        HOLDFAST_POSTGRES_DATABASE: postgres.database,
        HOLDFAST_POSTGRES_PASSWORD: PASSWORD,
        HOLDFAST_NATS_SERVERS: `127.0.0.1:${nats.port}`,
        HOLDFAST_NATS_USER: nats.user,
        HOLDFAST_NATS_PASSWORD: nats.password,
        HOLDFAST_NODES: nodes.map(({ nodeId, address }) => `${nodeId}=${address}`).join(','),
        HOLDFAST_CLUSTER_KEY: 'a-secret-of-the-bench',
        HOLDFAST_LOG_LEVEL: 'warn',
      },
      stdio: ['ignore', 'ignore', 'inherit'],
    },
  );
}

async function prepare(server: PostgresServer): Promise<void> {
  const { host, port, superuser: user, password, database } = server;
  const client = new Client({ host, port, user, password, database });
  await client.connect();
  const roles = Object.keys(SERVICE_ROLES) as ServiceRole[];
  const passwords = Object.fromEntries(roles.map((role) => [role, PASSWORD])) as Record<ServiceRole, string>;
  try {
    await client.query(bootstrapSql({ passwords }));
  } finally {
    await client.end();
  }
}
