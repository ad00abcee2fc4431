import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, mkdirSync, mkdtempSync, openSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePorts, type NatsServer, newSecret, startNats, startRedis } from '#libs/embedded-servers';
import {
  ApiClient,
  type ClusterView,
  ensureBuilt,
  freePort,
  isAlive,
  ROOT,
  startReaper,
  until,
} from '#libs/testing';
import { prepareDatabase } from '../../apps/local/src/database.js';
import {
  DATABASE_ROLES,
  type DatabaseRole,
  PORT_OWNERS,
  planProcesses,
  type ServiceProcess,
} from '../../apps/local/src/domain/process-plan.js';
import { type PrimaryAndStandby, startPrimaryAndStandby } from '../integration/storage/standby.js';

type Stop = () => Promise<unknown>;

export interface TwoHostsOptions {
  clusterKey?: string;
  /** Stands between the clients of a server or process and it: resolves with the port at which they reach it. */
  intercept?: (name: string, target: { host: string; port: number }, port?: number) => Promise<number>;
}

/** The processes of a cluster, started by hand over a Postgres that is a primary and its asynchronous standby. */
export class TwoHostsCluster {
  private readonly client: ApiClient;

  private constructor(
    readonly gateway: string,
    readonly home: string,
    readonly servers: PrimaryAndStandby,
    readonly nats: NatsServer,
    private readonly stops: Stop[],
    private readonly children: ReadonlyMap<string, ChildProcess>,
  ) {
    this.client = new ApiClient(gateway, 8);
  }

  static async start(options: TwoHostsOptions = {}): Promise<TwoHostsCluster> {
    ensureBuilt();
    const home = mkdtempSync(join(tmpdir(), 'holdfast-two-hosts-'));
    const stops: Stop[] = [async () => rmSync(home, { recursive: true, force: true })];
    try {
      const { gateway, servers, nats, children } = await launch(home, stops, options);
      const cluster = new TwoHostsCluster(gateway, home, servers, nats, stops, children);
      await cluster.whole(60_000);
      return cluster;
    } catch (error) {
      await stopAll(stops);
      throw error;
    }
  }

  view(): Promise<ClusterView> {
    return this.client.json<ClusterView>('/v1/cluster');
  }

  /** kill -9. */
  kill(name: string): void {
    this.children.get(name)?.kill('SIGKILL');
  }

  /** All nodes are healthy at the same version, and there is a leader. */
  whole(withinMs: number, count = 4): Promise<ClusterView> {
    const isWhole = async () => {
      const view = await this.view();
      const healthy = view.nodes.filter(({ status }) => status === 'healthy');
      const levels = new Set(healthy.map(({ version }) => version));
      return healthy.length === count && view.leaderId !== null && levels.size === 1 && view;
    };
    return until(`${count} healthy nodes at one version, and a leader`, isWhole, withinMs, 100);
  }

  async dispose(): Promise<void> {
    await this.client.close();
    await stopAll(this.stops);
  }
}

/** What was started last ends first. */
async function stopAll(stops: readonly Stop[]): Promise<void> {
  for (const stop of stops.toReversed()) await stop();
}

async function launch(home: string, stops: Stop[], { clusterKey = newSecret(), intercept }: TwoHostsOptions) {
  const servers = await startPrimaryAndStandby(home);
  stops.push(() => servers.close());
  const passwords = Object.fromEntries(DATABASE_ROLES.map((role) => [role, newSecret()]));
  await prepareDatabase(servers.primary, passwords as Record<DatabaseRole, string>);
  const nats = await startNats({ dir: join(home, 'nats') });
  stops.push(() => nats.stop());
  const redis = await startRedis({ dir: join(home, 'redis') });
  stops.push(() => redis.stop());

  const [gatewayPort = 0, ...chosen] = await freePorts(PORT_OWNERS.length + 1);
  const ports = Object.fromEntries(PORT_OWNERS.map((owner, i) => [owner, chosen[i] ?? 0]));
  const plan = planProcesses({
    ...{ home, bind: '127.0.0.1', gatewayPort, clusterKey, nats, redis },
    ports: { ...ports, ...(await serverPorts({ nats, redis }, intercept)) },
    databasePasswords: passwords as Record<DatabaseRole, string>,
    passedOn: { HOLDFAST_RECOVERY_DRIVER: 'none', HOLDFAST_LOG_LEVEL: 'info' },
  });
  const hosts = await databaseHosts(servers, intercept);
  mkdirSync(join(home, 'log'));
  const started = plan.filter(({ name }) => name !== 'gateway-2'); // they would share a handle of the supervisor's
  const behind = await Promise.all(started.map((service) => interceptedService(service, intercept)));
  const children = behind.map((service) => spawnService(home, service, hosts));
  stops.push(() => endAll(children));
  const reaper = startReaper(children[0]?.pid ?? process.pid, home, true);
  stops.push(async () => reaper.kill('SIGKILL'));
  const named = new Map(children.map((child, i) => [plan[i]?.name ?? '', child]));
  return { gateway: `http://127.0.0.1:${gatewayPort}`, servers, nats, children: named };
}

type Intercept = TwoHostsOptions['intercept'];

async function serverPorts(servers: Record<'nats' | 'redis', { port: number }>, intercept: Intercept) {
  const through = async (name: 'nats' | 'redis') => {
    const { port } = servers[name];
    return (await intercept?.(name, { host: '127.0.0.1', port })) ?? port;
  };
  return { nats: await through('nats'), redis: await through('redis') };
}

async function databaseHosts({ primary, standby }: PrimaryAndStandby, intercept: Intercept): Promise<string> {
  const through = async (name: string, { host, port }: { host: string; port: number }) =>
    `${host}:${(await intercept?.(name, { host, port })) ?? port}`;
  return (await Promise.all([through('primary', primary), through('standby', standby)])).join(',');
}

/** The process listens elsewhere, and others go on to ask at the port that was planned. */
async function interceptedService(service: ServiceProcess, intercept: Intercept): Promise<ServiceProcess> {
  if (intercept === undefined) return service;
  const planned = Number(service.env.HOLDFAST_PORT);
  const port = await freePort();
  await intercept(service.name, { host: '127.0.0.1', port }, planned);
  const address: Record<string, string> =
    service.kind === 'node' ? { HOLDFAST_ADDRESS: `http://127.0.0.1:${planned}` } : {};
  return { ...service, env: { ...service.env, ...address, HOLDFAST_PORT: String(port) } };
}

function spawnService(home: string, { name, app, engineFlags, env }: ServiceProcess, hosts: string) {
  const log = openSync(join(home, 'log', `${name}.log`), 'a');
  const program = `dist/apps/${app}/src/main.js`;
  const database = 'HOLDFAST_POSTGRES_HOSTS' in env ? { HOLDFAST_POSTGRES_HOSTS: hosts } : {};
  const child = spawn(process.execPath, [...engineFlags, '--enable-source-maps', program], {
    cwd: ROOT,
    env: { PATH: process.env.PATH, ...env, ...database },
    stdio: ['ignore', log, log],
  });
  closeSync(log);
  return child;
}

async function endAll(children: readonly ChildProcess[]): Promise<void> {
  for (const child of children) child.kill('SIGTERM');
  const ended = () => children.every(({ pid }) => pid === undefined || !isAlive(pid));
  await until('all processes end', ended, 20_000).catch(() => {
    for (const child of children) child.kill('SIGKILL');
  });
}
