import { spawn } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, symlinkSync } from 'node:fs';
import { get } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { HealthReport } from '#libs/contracts';
import { Cluster, freePort, isAlive, processesOf, ROOT, until } from '#libs/testing';

const CHILDREN = [
  ...['consistency', 'failover-1', 'failover-2', 'gateway-1', 'gateway-2', 'health', 'nats'],
  ...['node-1', 'node-2', 'node-3', 'node-4', 'postgres', 'redis', 'registry', 'sync'],
];

const SERVICES = CHILDREN.filter((name) => !['nats', 'postgres', 'redis'].includes(name));

/** The whole system as `npm start` runs it: what happens to the processes themselves. */
describe('a cluster on one machine', { timeout: 120_000 }, () => {
  const home = mkdtempSync(join(tmpdir(), 'holdfast-local-'));
  let cluster: Cluster;
  /** Disposed of last: that ends whatever belongs to the folder. */
  const killed: Cluster[] = [];

  beforeAll(async () => {
    cluster = await Cluster.start({ home });
  });
  afterAll(async () => {
    for (const it of [cluster, ...killed]) await it?.dispose();
    rmSync(home, { recursive: true, force: true });
  });

  const pids = () => Object.fromEntries(CHILDREN.map((name) => [name, cluster.pid(name)]));
  const port = (name: string) => JSON.parse(readFileSync(join(home, 'state.json'), 'utf8')).ports[name];

  it('runs every process by itself, with a pid file and a log that only the owner reads', () => {
    const files = readdirSync(join(home, 'run'));
    expect(files.filter((file) => file.endsWith('.pid')).sort()).toEqual(
      CHILDREN.map((it) => `${it}.pid`).sort(),
    );
    expect(new Set(Object.values(pids())).size).toBe(CHILDREN.length);
    for (const pid of Object.values(pids())) expect(isAlive(pid)).toBe(true);
    expect(statSync(home).mode & 0o777).toBe(0o700);
    const secrets = [
      'state.json',
      'postgres/password',
      'nats/password',
      'nats/nats.conf',
      'redis/redis.conf',
    ];
    const logs = CHILDREN.map((name) => `log/${name}.log`);
    for (const file of [...secrets, 'run/node-1.env', ...logs]) {
      expect(statSync(join(home, file)).mode & 0o777, file).toBe(0o600);
    }
  });

  it('report 9g: logs no stack and no missing table when everything is started for the first time', () => {
    const lines = SERVICES.flatMap((name) =>
      readFileSync(join(home, 'log', `${name}.log`), 'utf8').split('\n'),
    );
    const loud = lines.filter((line) => /"level":"(warn|error|fatal)"/.test(line));
    expect(loud.filter((line) => /does not exist|"stack"/.test(line))).toEqual([]);
  });

  it('finding 18d: an observer holds three connections to the database at most, whatever it is asked', async () => {
    const { HOLDFAST_POSTGRES_HOSTS, HOLDFAST_POSTGRES_DATABASE, HOLDFAST_POSTGRES_PASSWORD } =
      cluster.environment('node-4');
    const [host = '', port] = String(HOLDFAST_POSTGRES_HOSTS).split(':');
    const database = { host, port: Number(port), database: String(HOLDFAST_POSTGRES_DATABASE) };
    const login = { user: 'holdfast_node', password: String(HOLDFAST_POSTGRES_PASSWORD) };
    const admin = new pg.Client({ ...database, ...login });
    await admin.connect();
    const address = await cluster.address('node-4');
    const ask = (path: string) => fetch(`${address}/v1/${path}`).then((answer) => answer.arrayBuffer());
    const asked = Array.from({ length: 60 }, (_, i) =>
      ask(
        ['namespaces/app/configs/a?consistency=linearizable', 'changes?namespace=app', 'changes'][i % 3] ??
          '',
      ),
    );
    let answered = false;
    const all = Promise.all(asked).then(() => {
      answered = true;
    });
    let most = 0;
    while (!answered) {
      const { rows } = await admin.query<{ open: number }>(
        "select count(*)::int as open from pg_stat_activity where application_name = 'node-4'",
      );
      most = Math.max(most, rows[0]?.open ?? 0);
    }
    await all;
    await admin.end();
    expect(most).toBeGreaterThan(0);
    expect(most).toBeLessThanOrEqual(3);
  });

  it('shows of every node what its health checks have found', async () => {
    for (const id of ['node-1', 'node-2', 'node-3', 'node-4']) {
      const health = await until(
        `${id} is up`,
        async () => {
          const answer = await fetch(`${cluster.gateway}/v1/nodes/${id}`);
          const node = (await answer.json()) as { health: HealthReport | null };
          const { health } = node;
          return health?.state === 'up' && health.consecutive.outcome === 'pass' && health;
        },
        30_000,
      );
      expect(health).toMatchObject({ reason: null, observer: 'health' });
      expect(health.recent[0]).toMatchObject({ result: 'ok' });
      // On a busy machine a node may be found not ready before it is up for the first time.
      expect(health.transitions[0]).toMatchObject({ to: 'up' });
      expect(health.transitions.at(-1)).toMatchObject({ from: 'unknown' });
    }
  });

  it('refuses a second start on the same folder, and another folder with the same port, without harm', async () => {
    const before = pids();
    const same = await startAgain({ HOLDFAST_HOME: home, HOLDFAST_PORT: String(await freePort()) });
    expect(same.code).toBe(1);
    expect(same.output).toContain(`already runs on ${home} (pid ${cluster.parentPid})`);
    expect(same.output).toContain('HOLDFAST_HOME=');

    const other = join(home, 'other');
    const taken = await startAgain({ HOLDFAST_HOME: other, HOLDFAST_PORT: String(cluster.port) });
    expect(taken.code).toBe(1);
    expect(taken.output).toContain(`port ${cluster.port} on 127.0.0.1 is taken`);
    expect(taken.output).toContain('HOLDFAST_PORT=');
    expect(processesOf(other)).toEqual([]);
    expect(pids()).toEqual(before);
  });

  it('starts every kind of process again that dies, on the same port', async () => {
    const victims = ['redis', 'nats', 'postgres', 'registry', 'health', 'sync', 'node-4'];
    const before = pids();
    const ports = victims.map(port);
    for (const name of victims) cluster.signal(name, 'SIGKILL');
    const isBack = (name: string) => new RegExp(`^  ${name} +back`, 'm').test(cluster.output);
    await until('all are back', () => victims.every(isBack), 40_000);
    for (const name of victims) expect(cluster.pid(name), name).not.toBe(before[name]);
    expect(victims.map(port)).toEqual(ports);
    await cluster.whole();
    expect(cluster.output).toMatch(/redis +ended by SIGKILL; starting it again in \d+ ms/);
  });

  it('report 2: starts a child again on a full disk, and ends none that runs', async () => {
    const before = pids();
    // Every file that the parent or the child writes at such a moment fails with ENOSPC.
    const full = ['run/node-4.pid.new', 'run/processes.json.new', 'run/redis.pid.new'];
    for (const name of full) symlinkSync('/dev/full', join(home, name));
    const nodeFile = join(home, 'nodes/node-4/incarnation.tmp');
    symlinkSync('/dev/full', nodeFile);
    for (const name of ['node-4', 'redis']) process.kill(before[name] ?? 0, 'SIGKILL');
    const backs = () => [...cluster.output.matchAll(/^ {2}(node-4|redis) +back/gm)].length;
    const known = backs();
    await until('both are back', () => backs() >= known + 2, 40_000);
    expect(cluster.output).toContain('cannot be written (ENOSPC');
    for (const name of CHILDREN.filter((it) => it !== 'node-4' && it !== 'redis'))
      expect(isAlive(before[name] ?? 0), name).toBe(true);
    for (const name of [...full.map((it) => join(home, it)), nodeFile]) rmSync(name, { force: true });
    await until('the pid files say what runs', () => cluster.output.includes('can be written again'), 20_000);
    expect(cluster.pid('node-4')).not.toBe(before['node-4']);
    await cluster.whole();
  });

  it('keeps the door open while both gateways are dead: requests wait, none is refused', async () => {
    const before = pids();
    await Promise.all(['gateway-1', 'gateway-2'].map((name) => cluster.kill(name)));
    const ping = `${cluster.gateway}/ping`;
    const answers = await Promise.all(Array.from({ length: 10 }, () => statusOnNewConnection(ping)));
    expect(answers).toEqual(answers.map(() => 200));
    expect(cluster.pid('gateway-1')).not.toBe(before['gateway-1']);
  });

  it('survives its own kill -9: services end by themselves, the next start sweeps the rest and goes on', async () => {
    await cluster.whole();
    const key = `${cluster.gateway}/v1/namespaces/app/configs/kept`;
    expect((await fetch(key, { method: 'PUT', body: 'value' })).status).toBe(201);
    const before = pids();
    const nodePort = port('node-1');
    process.kill(cluster.parentPid, 'SIGKILL');
    const alive = () => SERVICES.filter((name) => isAlive(before[name] ?? 0));
    await expect.poll(alive, { timeout: 20_000 }).toEqual([]);
    expect(isAlive(before.postgres ?? 0)).toBe(true);

    killed.push(cluster);
    cluster = await Cluster.start({ home, port: cluster.port });
    expect(cluster.output).toMatch(/ended what an earlier start had left running: .*postgres/);
    for (const pid of Object.values(before)) expect(isAlive(pid)).toBe(false);
    expect(port('node-1')).toBe(nodePort);
    expect(await (await fetch(key)).text()).toBe('value');
  });

  it('stops in order on SIGTERM, exit 0, nothing left running', async () => {
    await cluster.whole();
    const all = Object.values(pids());
    process.kill(cluster.parentPid, 'SIGTERM');
    await until('the parent ends', () => cluster.ended, 20_000);
    const { code } = await cluster.stop();
    expect({ code, alive: all.filter(isAlive) }).toEqual({ code: 0, alive: [] });
    expect(readdirSync(join(home, 'run')).filter((file) => file.endsWith('.pid'))).toEqual([]);
    expect(cluster.output).not.toContain('by force');
  });
});

/** Not `fetch`, whose pool may still hold connections that ended with the process that had accepted them. */
function statusOnNewConnection(url: string): Promise<number | undefined> {
  return new Promise((resolve, reject) => {
    const request = get(url, { agent: false, timeout: 30_000 }, (answer) => {
      answer.resume();
      resolve(answer.statusCode);
    });
    request.once('timeout', () => request.destroy(new Error(`${url} did not answer`)));
    request.once('error', reject);
  });
}

/** Runs the program until it ends by itself. */
function startAgain(env: Record<string, string>): Promise<{ code: number | null; output: string }> {
  const inherited = Object.entries(process.env).filter(([name]) => !name.startsWith('HOLDFAST_'));
  const child = spawn(process.execPath, [join(ROOT, 'dist/apps/local/src/main.js')], {
    env: { ...Object.fromEntries(inherited), ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: 20_000,
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (chunk: Buffer) => {
      output += chunk.toString();
    });
  }
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code) => resolve({ code, output }));
  });
}
