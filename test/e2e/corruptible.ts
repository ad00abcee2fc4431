import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, mkdirSync, openSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { checksumOf, encodeSnapshot, pinState, Replica, SnapshotDecoder, StateBuilder } from '#libs/replica';
import { type Cluster, freePort, isAlive, ROOT, until } from '#libs/testing';

type Damage =
  | { command: 'misapply'; key: string; value: string | null }
  | { command: 'flip' | 'lose' | 'invent'; key: string };

/** An observer whose memory and disk a test can damage. */
export class CorruptibleNode {
  private child: ChildProcess | undefined;
  private asked = 0;

  constructor(
    private readonly cluster: Cluster,
    readonly id: string,
    private readonly namespace: string,
  ) {}

  get dataDir(): string {
    return join(this.cluster.home, 'data', this.id);
  }

  async start(): Promise<void> {
    const { cluster, id } = this;
    const port = await freePort();
    mkdirSync(this.dataDir, { recursive: true, mode: 0o700 });
    const log = openSync(join(cluster.home, 'log', `${id}.log`), 'a');
    this.child = spawn(process.execPath, ['--enable-source-maps', 'test/e2e/corruptible-node.mjs'], {
      cwd: ROOT,
      env: {
        PATH: process.env.PATH,
        ...cluster.environment('node-1'),
        HOLDFAST_NODE_ID: id,
        HOLDFAST_NODE_ROLE: 'observer',
        HOLDFAST_PORT: String(port),
        HOLDFAST_ADDRESS: `http://127.0.0.1:${port}`,
        HOLDFAST_DATA_DIR: this.dataDir,
      },
      stdio: ['ignore', log, log, 'ipc'],
    });
    closeSync(log);
    const isHealthy = async () =>
      (await cluster.view()).nodes.some((node) => node.id === id && node.status === 'healthy');
    await until(`${id} is healthy`, isHealthy, 60_000);
  }

  async stop(): Promise<void> {
    const { child } = this;
    this.child = undefined;
    const pid = child?.pid;
    if (child === undefined || pid === undefined) return;
    child.kill('SIGTERM');
    await until(`${this.id} ends`, () => !isAlive(pid), 20_000, 5);
  }

  /** Resolves when it is done. */
  async damage(damage: Damage): Promise<void> {
    const { child } = this;
    if (child === undefined) throw new Error('it does not run');
    const id = ++this.asked;
    const done = new Promise<void>((resolve) => {
      const listener = (message: unknown) => {
        if ((message as { id: number }).id !== id) return;
        child.off('message', listener);
        resolve();
      };
      child.on('message', listener);
    });
    child.send({ id, namespace: this.namespace, ...damage });
    await done;
  }

  /** While it is stopped: a whole snapshot with right checksums, and another value at one key. */
  async rewriteSnapshot(key: string): Promise<void> {
    const path = join(this.dataDir, 'snapshot');
    const decoder = new SnapshotDecoder();
    decoder.push(await readFile(path));
    const { header, state } = decoder.finish();
    const right = new Replica();
    right.load(header, state);
    const wrong = new StateBuilder();
    for (const { name } of right.namespaces()) {
      const page = right.list({ namespace: name, prefix: '', limit: 1e9, maxBytes: 1e12 });
      if (page === 'expired') throw new Error('the snapshot has no state');
      for (const entry of page.entries) {
        const isIt = entry.namespace === this.namespace && entry.key === key;
        const value = isIt ? Buffer.from('rewritten on disk') : entry.value;
        wrong.add({ ...entry, value, checksum: checksumOf(value) });
      }
    }
    const replica = new Replica();
    replica.load(header, wrong);
    const pinned = await pinState(replica, async () => {});
    if (pinned === undefined) throw new Error('the window was overtaken');
    await writeFile(path, Buffer.concat([...encodeSnapshot(pinned)]));
  }
}
