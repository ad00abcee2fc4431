import type { z } from 'zod';
import type {
  AlertRaised,
  ConsistencyChecked,
  ConsistencyCheckReply,
  ConsistencyRepaired,
  ConsistencyReport,
} from '#libs/contracts';
import { checksumOf, type Entry } from '#libs/replica';
import { type RunningService, startService } from '#libs/service';
import { consistencyApp } from '../../../apps/consistency/src/consistency.app.js';
import { loadConsistencySettings } from '../../../apps/consistency/src/consistency.config.js';
import {
  CLUSTER_KEY,
  type EngineLab,
  type LabNode,
  openEngineLab,
  put,
  until,
  write,
} from '../engine/engine-lab.js';

/** Real nodes, NATS and Postgres, and consistency instances over them. */
export class ConsistencyLab {
  readonly checked: ConsistencyChecked[] = [];
  readonly repaired: ConsistencyRepaired[] = [];
  readonly alerts: z.infer<typeof AlertRaised>[] = [];
  readonly nodes: LabNode[] = [];
  private readonly services: RunningService[] = [];

  private constructor(readonly engines: EngineLab) {}

  /** A leader with so many keys, and level followers. */
  static async open(keys: number, ...followers: string[]): Promise<ConsistencyLab> {
    const engines = await openEngineLab();
    const lab = new ConsistencyLab(engines);
    const leader = await engines.node('node-1');
    lab.nodes.push(leader);
    await engines.elect(leader);
    await lab.publish(keys);
    for (const id of followers) lab.nodes.push(await engines.node(id));
    await lab.level();
    await lab.listen(leader);
    return lab;
  }

  async close(): Promise<void> {
    for (const service of this.services) await service.stop();
    await this.engines.close();
  }

  get leader(): LabNode {
    return this.node(0);
  }

  node(index: number): LabNode {
    const node = this.nodes[index];
    if (node === undefined) throw new Error(`there is no node ${index}`);
    return node;
  }

  async publish(keys: number, value = 'value'): Promise<void> {
    const writes = Array.from({ length: keys }, (_, i) =>
      this.leader.engine.publisher.submit(write([put(`k${i}`, `${value} ${i}`)])),
    );
    await Promise.all(writes);
  }

  async level(): Promise<void> {
    const { leader } = this;
    for (const node of this.nodes)
      await until(
        () => node.replica.chain === leader.replica.chain && node.engine.membership.condition === 'ok',
        `${node.id} is level`,
      );
  }

  /** @param change of the settings; regular rounds come every 5 s, and at once after the start */
  async start(instanceId: string, change: Record<string, string> = {}): Promise<RunningService> {
    const { nats, storage } = this.engines;
    const env = {
      HOLDFAST_INSTANCE_ID: instanceId,
      HOLDFAST_PORT: '0',
      HOLDFAST_POSTGRES_HOSTS: `127.0.0.1:${storage.server.port}`,
      HOLDFAST_POSTGRES_DATABASE: storage.server.database,
      HOLDFAST_POSTGRES_PASSWORD: 'consistency-pass',
      HOLDFAST_NATS_SERVERS: `127.0.0.1:${nats.port}`,
      HOLDFAST_NATS_USER: nats.user,
      HOLDFAST_NATS_PASSWORD: nats.password,
      HOLDFAST_NODES: this.nodes.map(({ id, address }) => `${id}=${address}`).join(','),
      HOLDFAST_CLUSTER_KEY: CLUSTER_KEY,
      HOLDFAST_LOG_LEVEL: process.env.TEST_LOG_LEVEL ?? 'error',
      ...change,
    };
    const settings = loadConsistencySettings({ argv: [], env, readFile: () => '' });
    const service = await startService(consistencyApp(settings));
    this.services.push(service);
    const answers = () =>
      this.report().then(
        () => true,
        () => false,
      );
    await until(answers, 'it answers on the bus');
    return service;
  }

  check(repair = false): Promise<ConsistencyCheckReply> {
    return this.leader.bus.request('consistency.check', { repair }, { timeoutMs: 30_000 });
  }

  report(): Promise<ConsistencyReport> {
    return this.leader.bus.request('consistency.report', {}, { timeoutMs: 5_000 });
  }

  private async listen({ bus }: LabNode): Promise<void> {
    bus.subscribe('consistency.checked', (fact) => {
      this.checked.push(fact);
    });
    bus.subscribe('consistency.repaired', (fact) => {
      this.repaired.push(fact);
    });
    bus.subscribeFamily('alert.raised', (alert) => {
      this.alerts.push(alert);
    });
    await bus.subscribed();
  }
}

/** What a fault of the program would do to a replica: the digest follows, the history does not know. */
export function misapply(node: LabNode, key: string, value: string | null, version?: number): void {
  const space = Reflect.get(node.replica, 'space');
  const right: Entry | undefined = node.replica.get('app', key);
  const bytes = value === null ? undefined : Buffer.from(value);
  const entry = bytes && {
    ...{ namespace: 'app', key, value: bytes, contentType: 'text/plain', checksum: checksumOf(bytes) },
    ...{ version: version ?? right?.version ?? node.replica.version, updatedAt: '2026-01-01T00:00:00.000Z' },
  };
  space.repair('app', key, entry);
  // As if it had been so for as long as anybody remembers.
  Reflect.get(node.replica, 'forgetDigests').call(node.replica);
}

/** What a fault of the memory would do: nobody notices but who hashes the bytes. */
export function flipByte(node: LabNode, key: string): void {
  const value = node.replica.get('app', key)?.value;
  if (value === undefined) throw new Error(`there is no ${key}`);
  value.writeUInt8(value.readUInt8(0) ^ 1, 0);
}
