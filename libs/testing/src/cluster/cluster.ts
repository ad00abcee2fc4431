import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseEnv } from 'node:util';
import { freePort } from '#libs/embedded-servers';
import { ApiClient } from '../clients/api-client.js';
import { ensureBuilt, MAIN, ROOT } from './build.js';
import { KeptDown } from './keep-down.js';
import { logTails } from './logs.js';
import { isAlive, processesOf } from './processes.js';
import { startReaper } from './reaper.js';
import { until } from './wait.js';

export interface ClusterOptions {
  /** A data folder to go on with; a fresh one by default, removed at the end. */
  home?: string;
  port?: number;
  env?: Record<string, string>;
}

export interface ClusterView {
  clusterId: string;
  term: number;
  leaderId: string | null;
  version: number;
  nodes: {
    id: string;
    role: string;
    status: string;
    reason: string | null;
    address: string | null;
    version: number;
    lag: number;
    incarnation: number;
  }[];
}

/** Tests kill the same nodes again and again, and are not about quarantine: those that are say so. */
const OFTEN_KILLED = { HOLDFAST_FLAP_SUPPRESS: '0' };
const READY_MS = 90_000;
const STOP_MS = 25_000;

/** The whole real system, started as a user starts it, in a folder and on a port of its own. */
export class Cluster {
  readonly home: string;
  readonly port: number;
  readonly gateway: string;
  /** What the parent printed. */
  output = '';
  private readonly parent: ChildProcess;
  private readonly reaper: ChildProcess;
  private readonly ownsHome: boolean;
  private readonly client: ApiClient;

  private constructor(parent: ChildProcess, home: string, port: number, ownsHome: boolean) {
    this.parent = parent;
    this.home = home;
    this.port = port;
    this.ownsHome = ownsHome;
    this.gateway = `http://127.0.0.1:${port}`;
    this.client = new ApiClient(this.gateway, 8);
    this.reaper = startReaper(parent.pid ?? 0, home, ownsHome);
    for (const stream of [parent.stdout, parent.stderr]) {
      stream?.on('data', (bytes: Buffer) => {
        this.output += bytes.toString();
      });
    }
  }

  static async start(options: ClusterOptions = {}): Promise<Cluster> {
    ensureBuilt();
    const home = options.home ?? mkdtempSync(join(tmpdir(), 'holdfast-test-'));
    const port = options.port ?? (await freePort());
    const parent = spawn(process.execPath, ['--enable-source-maps', MAIN], {
      cwd: ROOT,
      env: {
        ...ownEnvironment(),
        ...OFTEN_KILLED,
        ...options.env,
        HOLDFAST_HOME: home,
        HOLDFAST_PORT: String(port),
      },
      stdio: ['ignore', 'pipe', 'pipe'],
      detached: true, // so that the terminal's Ctrl-C reaches the test first
    });
    const cluster = new Cluster(parent, home, port, options.home === undefined);
    try {
      await cluster.ready();
    } catch (error) {
      const tails = logTails(home);
      await cluster.dispose();
      throw new Error(`the cluster did not start:\n${cluster.output}\n${tails}`, { cause: error });
    }
    return cluster;
  }

  private async ready(): Promise<void> {
    await until(
      'Holdfast is ready',
      () => {
        if (this.parent.exitCode !== null) throw new Error(`it ended with ${this.parent.exitCode}`);
        return /^Holdfast is ready/m.test(this.output);
      },
      READY_MS,
    );
  }

  get parentPid(): number {
    return this.parent.pid ?? 0;
  }

  /** The pid that the supervisor wrote for a child at this moment. */
  pid(name: string): number {
    const pid = Number.parseInt(readFileSync(join(this.home, 'run', `${name}.pid`), 'utf8'), 10);
    if (!(pid > 1)) throw new Error(`${name} has no pid`);
    return pid;
  }

  /** Environment that the supervisor gave to a child, for starting another like it by hand. */
  environment(name: string): Record<string, string> {
    const text = readFileSync(join(this.home, 'run', `${name}.env`), 'utf8');
    return Object.fromEntries(
      Object.entries(parseEnv(text)).filter((entry): entry is [string, string] => entry[1] !== undefined),
    );
  }

  signal(name: string, signal: NodeJS.Signals): number {
    const pid = this.pid(name);
    process.kill(pid, signal);
    return pid;
  }

  /** kill -9; returns when the process is gone. */
  async kill(name: string): Promise<void> {
    const pid = this.signal(name, 'SIGKILL');
    await until(`${name} is gone`, () => !isAlive(pid), 5_000, 1);
  }

  /** Kills it again and again until released. */
  keepDown(name: string): KeptDown {
    return new KeptDown(join(this.home, 'run', `${name}.pid`));
  }

  freeze(name: string): number {
    return this.signal(name, 'SIGSTOP');
  }

  thaw(name: string): number {
    return this.signal(name, 'SIGCONT');
  }

  view(): Promise<ClusterView> {
    return this.client.json<ClusterView>('/v1/cluster');
  }

  async leader(): Promise<string> {
    return until('there is a leader', async () => (await this.view()).leaderId ?? undefined, 10_000);
  }

  async address(nodeId: string): Promise<string> {
    return until(
      `the address of ${nodeId}`,
      async () => (await this.view()).nodes.find(({ id }) => id === nodeId)?.address ?? undefined,
      10_000,
    );
  }

  async addresses(): Promise<string[]> {
    const { nodes } = await this.view();
    return nodes.flatMap(({ address }) => address ?? []);
  }

  /** Planned change of leader. */
  async handOver(to?: string): Promise<{ term: number; leaderId: string; durationMs: number }> {
    const answer = await this.client.post('/v1/cluster/handover', to === undefined ? {} : { to });
    if (answer.status !== 200) throw new Error(`handover: ${answer.status} ${answer.body}`);
    return JSON.parse(answer.body.toString());
  }

  /** There is a leader, and so many nodes are healthy. */
  async whole(withinMs = 60_000, count = 4): Promise<ClusterView> {
    let last: ClusterView | undefined;
    const isWhole = async () => {
      last = await this.view();
      const healthy = last.nodes.filter(({ status }) => status === 'healthy');
      return healthy.length >= count && last.leaderId !== null && last;
    };
    try {
      return await until(`${count} healthy nodes and a leader`, isWhole, withinMs, 100);
    } catch (error) {
      const seen = last?.nodes.map(
        ({ id, role, status, reason }) => `${id} ${role} ${status} ${reason ?? ''}`,
      );
      throw new Error(`the cluster is not whole: ${seen?.join(', ')}\n${this.tails(5)}`, { cause: error });
    }
  }

  /** The process that the supervisor runs under this name lives. */
  runs(name: string): boolean {
    return existsSync(join(this.home, 'run', `${name}.pid`)) && isAlive(this.pid(name));
  }

  tails(lines?: number): string {
    return `${this.output.slice(-2_000)}\n${logTails(this.home, lines)}`;
  }

  /** Ctrl-C. Returns the exit code, or null when it had to be killed, and what it left running. */
  async stop(): Promise<{ code: number | null; tookMs: number; left: number[] }> {
    const begin = performance.now();
    if (this.parent.exitCode === null && this.parent.signalCode === null) {
      this.parent.kill('SIGINT');
      await until('the cluster ends', () => this.ended, STOP_MS).catch(() => this.parent.kill('SIGKILL'));
    }
    const tookMs = performance.now() - begin;
    const left = processesOf(this.home).filter((pid) => pid !== this.reaper.pid);
    return { code: this.parent.exitCode, tookMs, left };
  }

  get ended(): boolean {
    return this.parent.exitCode !== null || this.parent.signalCode !== null;
  }

  /** Stops it and leaves nothing behind, whatever state it is in. */
  async dispose(): Promise<void> {
    const { left } = await this.stop();
    for (const pid of left) if (isAlive(pid)) process.kill(pid, 'SIGKILL');
    this.reaper.kill('SIGKILL');
    await this.client.close();
    if (this.ownsHome && existsSync(this.home)) rmSync(this.home, { recursive: true, force: true });
  }
}

/** The tests' own settings must not reach the system under test. */
function ownEnvironment(): Record<string, string | undefined> {
  return Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('HOLDFAST_')));
}
