import { seededRng } from '#libs/kernel';
import { ApiClient } from '../clients/api-client.js';
import { checkHistory } from '../history/check.js';
import { History } from '../history/record.js';
import type { Violation } from '../history/violation.js';
import { describeFailures, type Failure } from './failures.js';
import { Reader, type ReaderOptions } from './reader.js';
import { WatchFollower } from './watch-follower.js';
import { DirectWriter, GatewayWriter } from './writer.js';

export interface WorkloadOptions {
  name: string;
  seed: number;
  gateway: string;
  /** Addresses of the nodes that direct clients use. */
  nodes: readonly string[];
  gatewayWriters?: number;
  directWriters?: number;
  /** Pause of each client between two requests. */
  pauseMs?: number;
  /** How long watchers may take to reach the end of the log. */
  settleMs?: number;
}

const DEFAULTS = { gatewayWriters: 6, directWriters: 2, pauseMs: 15, settleMs: 30_000 };

/** Concurrent reads, writes and watches, through the gateway and direct, with everything they saw on record. */
export class Workload {
  readonly history: History;
  readonly failures: Failure[] = [];
  private readonly options: Required<WorkloadOptions>;
  private readonly gateway: ApiClient;
  private readonly nodes: ApiClient[];
  private readonly followers: WatchFollower[] = [];
  private running: Promise<void>[] = [];
  private stopped = false;

  private constructor(options: Required<WorkloadOptions>, history: History, gateway: ApiClient) {
    this.options = options;
    this.history = history;
    this.gateway = gateway;
    this.nodes = options.nodes.map((address) => new ApiClient(address));
  }

  static async start(given: WorkloadOptions): Promise<Workload> {
    const options = { ...DEFAULTS, ...given };
    const gateway = new ApiClient(options.gateway);
    const { version } = await gateway.json<{ version: number }>('/v1/cluster');
    const workload = new Workload(options, new History(options.name, version), gateway);
    workload.run();
    return workload;
  }

  get namespace(): string {
    return `workload.${this.options.name}`;
  }

  get watches(): readonly WatchFollower[] {
    return this.followers;
  }

  private run(): void {
    const { gatewayWriters, directWriters, seed } = this.options;
    const { history, namespace } = this;
    const onFailure = (failure: Failure) => this.failures.push(failure);
    let clients = 0;
    const common = () => ({ namespace, history, onFailure, rng: seededRng(seed * 1_000 + clients++) });
    const writers = [
      ...times(gatewayWriters, (i) => new GatewayWriter({ ...common(), name: `gw${i}` }, this.gateway)),
      ...times(directWriters, (i) => new DirectWriter({ ...common(), name: `dw${i}` }, () => this.nodes)),
    ];
    const names = [...times(gatewayWriters, (i) => `gw${i}`), ...times(directWriters, (i) => `dw${i}`)];
    const modes = ['plain', 'session', 'linearizable', 'list'] as const satisfies ReaderOptions['mode'][];
    const readers = modes.flatMap((mode) => [
      new Reader({
        ...common(),
        name: `gr-${mode}`,
        via: 'gateway',
        mode,
        writers: names,
        nodes: () => [this.gateway],
      }),
      new Reader({
        ...common(),
        name: `dr-${mode}`,
        via: 'direct',
        mode,
        writers: names,
        nodes: () => this.nodes,
      }),
    ]);
    for (const prefix of ['', 'own/gw0/', 'shared/']) this.watch('gateway', prefix, [this.options.gateway]);
    this.watch('direct', '', this.options.nodes);
    this.watch('direct', 'cas/', this.options.nodes.toReversed());
    this.running = [...writers, ...readers].map((client) => this.keepGoing(client));
  }

  private watch(via: 'gateway' | 'direct', prefix: string, origins: readonly string[]): void {
    const follower = new WatchFollower({
      name: `${via}-watch:${prefix}`,
      via,
      namespace: this.namespace,
      prefix,
      origins: () => origins,
      onFailure: (failure) => this.failures.push(failure),
    });
    this.followers.push(follower);
    this.history.watches.push(follower.record);
    follower.start();
  }

  private async keepGoing(client: { step(): Promise<void> }): Promise<void> {
    while (!this.stopped) {
      await client.step();
      await new Promise((resolve) => setTimeout(resolve, this.options.pauseMs));
    }
  }

  /** Resolves at the next acknowledged write that was started after this call, with how long that took. */
  async nextWrite(withinMs: number): Promise<number> {
    const begin = performance.now();
    for (;;) {
      const recent = this.history.writes.slice(-200);
      const found = recent.find((write) => write.startedAt >= begin && write.outcome.type === 'ok');
      if (found) return found.endedAt - begin;
      if (performance.now() - begin > withinMs) {
        const failed = describeFailures(this.failures.filter(({ at }) => at >= begin));
        throw new Error(`no write succeeded within ${withinMs} ms; since then:\n${failed}`);
      }
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  }

  /** Longest time without an acknowledged write between two moments. */
  longestGapMs(from = 0, to = performance.now()): number {
    const times = this.history.writes
      .filter(({ outcome, endedAt }) => outcome.type === 'ok' && endedAt > from && endedAt < to)
      .map(({ endedAt }) => endedAt)
      .sort((a, b) => a - b);
    return times.reduce((gap, at, i) => Math.max(gap, at - (times[i - 1] ?? at)), 0);
  }

  /** Ends the load, waits until every watcher stands at the head, and compares what was seen with the log. */
  async finish(): Promise<Violation[]> {
    this.stopped = true;
    await Promise.all(this.running);
    const log = await this.gateway.changes(this.history.base, this.latestAcknowledged());
    const head = log.at(-1)?.version ?? this.history.base;
    const deadline = performance.now() + this.options.settleMs;
    while (this.followers.some(({ version }) => version < head) && performance.now() < deadline) {
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    await this.close();
    return checkHistory(this.history, log);
  }

  /** Any node may be a moment behind: the log is read from one that has what was acknowledged. */
  private latestAcknowledged(): number {
    return this.history.writes.reduce(
      (latest, { outcome }) => (outcome.type === 'ok' ? Math.max(latest, outcome.version) : latest),
      this.history.base,
    );
  }

  async close(): Promise<void> {
    this.stopped = true;
    await Promise.all([...this.running, ...this.followers.map((follower) => follower.stop())]);
    await Promise.all([this.gateway, ...this.nodes].map((client) => client.close()));
  }
}

function times<T>(count: number, make: (i: number) => T): T[] {
  return Array.from({ length: count }, (_, i) => make(i));
}
