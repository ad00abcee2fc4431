import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { connect, type NatsConnection } from '@nats-io/transport-node';
import type { Client } from 'pg';
import { ClusterProofs, OwnAuthorities } from '#libs/cluster-auth';
import type { LeaderElected, NodeHold, RecoveryStep, ReplyPayload } from '#libs/contracts';
import { type NatsServer, startNats } from '#libs/embedded-servers';
import { type RunningService, startService } from '#libs/service';
import { signing } from '#libs/testing';
import { failoverApp } from '../../apps/failover/src/failover.app.js';
import { loadFailoverSettings } from '../../apps/failover/src/failover.config.js';
import { untilWatched, Voter } from './failover-voter.js';
import { openMigratedLab, type StorageLab } from './storage/storage-lab.js';

const CLUSTER_KEY = 'a-secret-of-the-cluster';

/** What a bare client of the bus has heard. */
export class Heard {
  readonly elected: LeaderElected[] = [];
  readonly holds: NodeHold[] = [];
  readonly steps: RecoveryStep[] = [];
  readonly alerts: { name: string; labels: { nodeId?: string } }[] = [];

  constructor(bare: NatsConnection) {
    const lists = {
      'leader.elected': this.elected,
      'node.hold': this.holds,
      'recovery.step': this.steps,
      'alert.raised.critical': this.alerts,
    };
    const ids = new Set<string>();
    for (const [subject, list] of Object.entries(lists)) {
      bare.subscribe(subject, {
        callback: (_error, message) => {
          // A fact may come twice; it is known by its id.
          const id = message.headers?.get('ce-id') ?? '';
          if (!ids.has(id)) list.push(message.json());
          ids.add(id);
        },
      });
    }
  }

  trail(nodeId: string): string[] {
    return this.steps.filter((step) => step.nodeId === nodeId).map(({ state }) => state);
  }
}

/** Stands in for the supervisor of a local cluster: notes what it is asked, and does what the test says. */
export class FakeSupervisor {
  readonly asked: string[] = [];
  /** Undefined = it answers 500. */
  restart: ((name: string) => Promise<unknown>) | undefined;
  address = '';
  private readonly proofs = new ClusterProofs(CLUSTER_KEY, new OwnAuthorities(new Set()));
  private readonly server = createServer((request, response) => {
    const [, area, name = '', verb] = (request.url ?? '').split('/');
    const allowed = this.proofs.memberFault(request) === undefined;
    if (!allowed || request.method !== 'POST' || area !== 'processes' || verb !== 'restart') {
      response.writeHead(404).end('{}');
      return;
    }
    this.asked.push(name);
    const done = (status: number) => response.writeHead(status).end('{"outcome":"ended"}');
    if (!this.restart) return void done(500);
    this.restart(name).then(
      () => done(202),
      () => done(500),
    );
  });

  async start(): Promise<this> {
    await new Promise<void>((resolve) => this.server.listen(0, '127.0.0.1', resolve));
    this.address = `http://127.0.0.1:${(this.server.address() as AddressInfo).port}`;
    return this;
  }

  async stop(): Promise<void> {
    this.server.closeAllConnections();
    await new Promise((resolve) => this.server.close(resolve));
  }
}

/** Postgres and NATS, failover processes, and voters for them to watch. */
export class FailoverLab {
  voters: Voter[] = [];
  private instances = 0;
  private readonly closers: (() => Promise<unknown>)[] = [];

  private constructor(
    private readonly home: string,
    readonly nats: NatsServer,
    readonly storage: StorageLab,
    readonly admin: Client,
    private connection: NatsConnection | undefined = undefined,
    private ears: Heard | undefined = undefined,
  ) {}

  static async open(): Promise<FailoverLab> {
    const home = await mkdtemp(join(tmpdir(), 'holdfast-recovery-'));
    const [nats, storage] = await Promise.all([startNats({ dir: join(home, 'nats') }), openMigratedLab()]);
    return new FailoverLab(home, nats, storage, await storage.client());
  }

  /** Nobody leads, and failover has no past. */
  async begin(): Promise<void> {
    await this.admin.query('update config.head set leader_id = null');
    await this.admin.query(
      'drop schema failover cascade; create schema failover authorization holdfast_failover',
    );
    const { port, user, password: pass } = this.nats;
    const bare = signing(await connect({ port, user, pass, maxReconnectAttempts: -1 }), CLUSTER_KEY);
    this.connection = bare;
    this.closers.push(() => bare.close());
    this.ears = new Heard(bare);
    await bare.flush();
  }

  /** What `begin` and later calls have started. */
  async end(): Promise<void> {
    for (const close of this.closers.splice(0).reverse()) await close();
    this.instances = 0;
  }

  async close(): Promise<void> {
    await Promise.all([this.nats.stop(), this.storage.close()]);
    await rm(this.home, { recursive: true, force: true });
  }

  get heard(): Heard {
    if (!this.ears) throw new Error('the lab has not begun');
    return this.ears;
  }

  async supervisor(): Promise<FakeSupervisor> {
    const supervisor = await new FakeSupervisor().start();
    this.closers.push(() => supervisor.stop());
    return supervisor;
  }

  async startVoters(count: number): Promise<Voter[]> {
    this.voters = await Promise.all(
      Array.from({ length: count }, (_, i) => new Voter({ id: `node-${i + 1}`, nats: this.nats }).start()),
    );
    this.closers.push(() => Promise.all(this.voters.map((voter) => voter.crash())));
    return this.voters;
  }

  voter(id: string): Voter {
    const voter = this.voters.find((it) => it.id === id);
    if (!voter) throw new Error(`no voter ${id}`);
    return voter;
  }

  async startFailover(instanceId: string, change: Record<string, string> = {}): Promise<RunningService> {
    const env = {
      HOLDFAST_INSTANCE_ID: instanceId,
      HOLDFAST_PORT: '0',
      HOLDFAST_POSTGRES_HOSTS: `127.0.0.1:${this.storage.server.port}`,
      HOLDFAST_POSTGRES_DATABASE: this.storage.server.database,
      HOLDFAST_POSTGRES_PASSWORD: 'failover-pass',
      HOLDFAST_NATS_SERVERS: `127.0.0.1:${this.nats.port}`,
      HOLDFAST_NATS_USER: this.nats.user,
      HOLDFAST_NATS_PASSWORD: this.nats.password,
      HOLDFAST_CLUSTER_KEY: CLUSTER_KEY,
      HOLDFAST_LOG_LEVEL: process.env.TEST_LOG_LEVEL ?? 'error',
      HOLDFAST_PRESET: 'local',
      ...change,
    };
    const settings = loadFailoverSettings({ argv: [], env, readFile: () => '' });
    const service = await startService(failoverApp(settings));
    this.instances++;
    this.closers.push(() => service.stop());
    return service;
  }

  async leaderId(): Promise<string | null> {
    const { rows } = await this.admin.query('select leader_id from config.head');
    return rows[0]?.leader_id ?? null;
  }

  /** Until one voter leads, and every failover instance watches all of them and has heard from them. */
  async settled(): Promise<Voter> {
    await this.until('a leader', async () => (await this.leaderId()) !== null);
    const leader = this.voter((await this.leaderId()) ?? '');
    leader.leads = true;
    await untilWatched(this.voters, this.instances, (what, done) => this.until(what, done));
    return leader;
  }

  async ask<R = Record<string, unknown>>(subject: string, request: object = {}): Promise<R> {
    if (!this.connection) throw new Error('the lab has not begun');
    const reply = await this.connection.request(subject, JSON.stringify(request), { timeout: 10_000 });
    return reply.json<R>();
  }

  async holds(): Promise<ReplyPayload<'failover.holds'>['holds']> {
    return (await this.ask<ReplyPayload<'failover.holds'>>('failover.holds')).holds;
  }

  async until(what: string, done: () => Promise<boolean> | boolean, withinMs = 15_000): Promise<void> {
    const deadline = performance.now() + withinMs;
    for (;;) {
      if (await done()) return;
      if (performance.now() > deadline) {
        const steps = this.ears?.steps.map(({ nodeId, state, why }) => `${nodeId} ${state} ${why}`);
        throw new Error(`${what}: it did not come about in time; steps: ${steps?.join(', ')}`);
      }
      await wait(5);
    }
  }
}
