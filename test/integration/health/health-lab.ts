import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { connect, type NatsConnection } from '@nats-io/transport-node';
import type { Client } from 'pg';
import type { HealthChanged, HealthReport } from '#libs/contracts';
import { type NatsServer, startNats } from '#libs/embedded-servers';
import { type RunningService, startService } from '#libs/service';
import { signing } from '#libs/testing';
import { healthApp } from '../../../apps/health/src/health.app.js';
import { loadHealthSettings } from '../../../apps/health/src/health.config.js';
import { openLab, type StorageLab } from '../storage/storage-lab.js';
import { ProbedNode } from './probed-node.js';

/** Real NATS and Postgres, nodes on real sockets, and health instances over them. */
export class HealthLab {
  readonly changes: (HealthChanged & { heardAtMs: number })[] = [];
  private readonly closers: (() => Promise<unknown>)[] = [];

  private constructor(
    private readonly home: string,
    readonly nats: NatsServer,
    readonly storage: StorageLab,
    readonly admin: Client,
    readonly bare: NatsConnection,
  ) {
    bare.subscribe('health.changed', {
      callback: (_error, message) => {
        const change = message.json<HealthChanged>();
        // One that was not confirmed is sent again.
        if (this.changes.some(({ nodeId, seq }) => nodeId === change.nodeId && seq === change.seq)) return;
        this.changes.push({ ...change, heardAtMs: performance.now() });
      },
    });
  }

  static async open(): Promise<HealthLab> {
    const home = await mkdtemp(join(tmpdir(), 'holdfast-health-'));
    const [nats, storage] = await Promise.all([startNats({ dir: join(home, 'nats') }), openLab()]);
    const { port, user, password: pass } = nats;
    const bare = signing(
      await connect({ port, user, pass, maxReconnectAttempts: -1 }),
      'a-secret-of-the-cluster',
    );
    const lab = new HealthLab(home, nats, storage, await storage.client(), bare);
    await bare.flush();
    return lab;
  }

  /** Before each test: nothing is known, nobody runs. */
  async reset(): Promise<void> {
    for (const close of this.closers.splice(0).reverse()) await close();
    await this.admin.query('drop schema health cascade; create schema health authorization holdfast_health');
    this.changes.length = 0;
  }

  async close(): Promise<void> {
    await this.reset();
    await this.bare.close();
    await Promise.all([this.nats.stop(), this.storage.close()]);
    await rm(this.home, { recursive: true, force: true });
  }

  onReset(close: () => Promise<unknown>): void {
    this.closers.push(close);
  }

  async node(id: string): Promise<ProbedNode> {
    const node = await new ProbedNode(id).start();
    this.closers.push(() => node.crash());
    return node;
  }

  environment(
    instanceId: string,
    nodes: readonly ProbedNode[],
    change: Record<string, string> = {},
  ): Record<string, string> {
    return {
      HOLDFAST_INSTANCE_ID: instanceId,
      HOLDFAST_PORT: '0',
      HOLDFAST_POSTGRES_HOSTS: `127.0.0.1:${this.storage.server.port}`,
      HOLDFAST_POSTGRES_DATABASE: this.storage.server.database,
      HOLDFAST_POSTGRES_PASSWORD: 'health-pass',
      HOLDFAST_NATS_SERVERS: `127.0.0.1:${this.nats.port}`,
      HOLDFAST_NATS_USER: this.nats.user,
      HOLDFAST_NATS_PASSWORD: this.nats.password,
      HOLDFAST_NODES: nodes.map(({ id, address }) => `${id}=${address}`).join(','),
      HOLDFAST_CLUSTER_KEY: 'a-secret-of-the-cluster',
      HOLDFAST_LOG_LEVEL: process.env.TEST_LOG_LEVEL ?? 'error',
      ...change,
    };
  }

  async health(
    instanceId: string,
    nodes: readonly ProbedNode[],
    change: Record<string, string> = {},
  ): Promise<RunningService> {
    const env = this.environment(instanceId, nodes, change);
    const settings = loadHealthSettings({ argv: [], env, readFile: () => '' });
    const service = await startService(healthApp(settings));
    let stopped: Promise<void> | undefined;
    const stop = () => {
      stopped ??= service.stop();
      return stopped;
    };
    this.closers.push(stop);
    return { ...service, stop };
  }

  async report(nodeId: string): Promise<HealthReport> {
    const reply = await this.bare.request('health.report', JSON.stringify({ nodeId }), { timeout: 2_000 });
    return reply.json<HealthReport>();
  }

  /** `up null`, `down refused`: what was told of a node, the oldest first. */
  told(nodeId: string): string[] {
    return this.changes
      .filter((change) => change.nodeId === nodeId)
      .map(({ health, reason }) => `${health} ${reason}`);
  }

  async untilTold(nodeId: string, expected: string, withinMs = 8_000): Promise<void> {
    await until(`${nodeId} ${expected}`, () => this.told(nodeId).at(-1) === expected, withinMs);
  }
}

export async function until(
  what: string,
  done: () => Promise<boolean> | boolean,
  withinMs = 8_000,
): Promise<void> {
  const deadline = performance.now() + withinMs;
  for (;;) {
    const is = await Promise.resolve(done()).catch(() => false);
    if (is) return;
    if (performance.now() > deadline) throw new Error(`${what}: it did not come about in time`);
    await wait(10);
  }
}
