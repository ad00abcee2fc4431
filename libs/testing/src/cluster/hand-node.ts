import { type ChildProcess, spawn } from 'node:child_process';
import { createWriteStream, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { ROOT } from './build.js';
import type { Cluster } from './cluster.js';
import { freePort } from './free-port.js';
import { isAlive } from './processes.js';
import { until } from './wait.js';

export interface HandNodeOptions {
  id: string;
  env?: Record<string, string>;
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

  static async start(cluster: Cluster, options: HandNodeOptions): Promise<HandNode> {
    const { id } = options;
    const port = await freePort();
    const address = `http://127.0.0.1:${port}`;
    const dataDir = join(cluster.home, 'data', id);
    mkdirSync(dataDir, { recursive: true, mode: 0o700 });
    const log = createWriteStream(join(cluster.home, 'log', `${id}.log`), { flags: 'a' });
    const child = spawn(process.execPath, ['--enable-source-maps', 'dist/apps/config-node/src/main.js'], {
      cwd: ROOT,
      env: {
        ...cluster.environment('node-1'),
        HOLDFAST_NODE_ID: id,
        HOLDFAST_PORT: String(port),
        HOLDFAST_ADDRESS: address,
        HOLDFAST_DATA_DIR: dataDir,
        ...options.env,
      },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    child.stdout?.pipe(log);
    child.stderr?.pipe(log);
    const node = new HandNode(id, address, child);
    await until(
      `${id} is healthy`,
      async () => (await cluster.view()).nodes.some((seen) => seen.id === id && seen.status === 'healthy'),
      30_000,
    );
    return node;
  }

  get pid(): number {
    return this.child.pid ?? 0;
  }

  async kill(): Promise<void> {
    this.child.kill('SIGKILL');
    await until(`${this.id} is gone`, () => !isAlive(this.pid), 5_000, 1);
  }
}
