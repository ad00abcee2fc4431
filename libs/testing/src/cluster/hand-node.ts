import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, mkdirSync, openSync } from 'node:fs';
import { join } from 'node:path';
import { freePort } from '#libs/embedded-servers';
import { ROOT } from './build.js';
import type { Cluster } from './cluster.js';
import { isAlive } from './processes.js';
import { until } from './wait.js';

export interface HandNodeOptions {
  id: string;
  /** Where it listens; any free port by default. */
  port?: number;
  env?: Record<string, string>;
  /** Of its folder and its log, where another process has the id. */
  name?: string;
}

/** A node that no supervisor knows: started by hand with the settings of another one of the cluster. */
export class HandNode {
  readonly id: string;
  readonly address: string;
  private readonly child: ChildProcess;

  private constructor(id: string, address: string, child: ChildProcess) {
    this.id = id;
    this.address = address;
    this.child = child;
  }

  /** Resolves when the cluster counts it as healthy. */
  static async start(cluster: Cluster, options: HandNodeOptions): Promise<HandNode> {
    const node = HandNode.spawn(cluster, { ...options, port: options.port ?? (await freePort()) });
    await node.healthy(cluster);
    return node;
  }

  async healthy(cluster: Cluster): Promise<void> {
    const isHealthy = async () =>
      (await cluster.view()).nodes.some(({ id, status }) => id === this.id && status === 'healthy');
    await until(`${this.id} is healthy`, isHealthy, 60_000);
  }

  static spawn(cluster: Cluster, options: HandNodeOptions & { port: number }): HandNode {
    const { id, port, name = id } = options;
    const address = options.env?.HOLDFAST_ADDRESS ?? `http://127.0.0.1:${port}`;
    const dataDir = join(cluster.home, 'data', name);
    mkdirSync(dataDir, { recursive: true, mode: 0o700 });
    const log = openSync(join(cluster.home, 'log', `${name}.log`), 'a');
    const child = spawn(process.execPath, ['--enable-source-maps', 'dist/apps/config-node/src/main.js'], {
      cwd: ROOT,
      env: {
        PATH: process.env.PATH,
        ...cluster.environment('node-1'),
        HOLDFAST_NODE_ID: id,
        HOLDFAST_PORT: String(port),
        HOLDFAST_ADDRESS: address,
        HOLDFAST_DATA_DIR: dataDir,
        ...options.env,
      },
      stdio: ['ignore', log, log],
    });
    closeSync(log);
    return new HandNode(id, address, child);
  }

  /** Resolves to the exit code; null when a signal ended it. */
  async ended(withinMs: number): Promise<number | null> {
    const { child } = this;
    await until(`${this.id} ends`, () => !this.runs, withinMs, 5);
    return child.exitCode;
  }

  get runs(): boolean {
    return this.child.exitCode === null && this.child.signalCode === null;
  }

  get pid(): number {
    return this.child.pid ?? 0;
  }

  async kill(): Promise<void> {
    this.child.kill('SIGKILL');
    await until(`${this.id} is gone`, () => !isAlive(this.pid), 5_000, 1);
  }

  /** As a service manager would: it drains and writes its snapshot. */
  async stop(): Promise<void> {
    this.child.kill('SIGTERM');
    await until(`${this.id} ends`, () => !isAlive(this.pid), 20_000, 5);
  }
}
