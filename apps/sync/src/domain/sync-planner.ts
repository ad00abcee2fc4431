import type { LagState } from '#libs/contracts';
import type { BatchBounds } from './batch-size.js';
import { type Rates, type Sizes, type Way, WayChooser, type WayLimits } from './catch-up-way.js';
import { HeadTimes } from './head-times.js';
import type { ReportedPosition } from './history-check.js';
import type { LagLimits } from './lag-state.js';
import type { SyncAction, SyncOutcome, SyncTask } from './sync-action.js';
import { TrackedNode } from './tracked-node.js';

/**
 * Which nodes to bring up to date, how, and when. A node may be behind by anything for a moment: the broadcast is on its
 * way. One that stays behind is given the log in batches, or told to load the whole state where that is cheaper; one
 * whose history the log does not have is told so and given nothing. Pure: told the time.
 *
 * At most one task is under way per node, and a bounded number in all. Where a node stands is only what that node said.
 */
export interface PlannerSettings {
  lag: LagLimits;
  /** Lagging is told again at this interval. */
  tellEveryMs: number;
  batch: BatchBounds;
  /** Tasks under way at once, and of them loads of whole states. */
  maxTasks: number;
  maxLoads: number;
  /** Batches to one node before another that waits gets its turn. */
  batchesInARow: number;
  /** A diverged node is told again after this long. */
  healEveryMs: number;
  /** After a load that failed the log is tried for so long. */
  loadRestMs: number;
  way: WayLimits;
  rates: Rates;
  backoffMs: (failures: number) => number;
}

export interface SyncState {
  nodeId: string;
  incarnation: number;
  version: number;
  lagVersions: number;
  lagMs: number;
  state: LagState | 'diverged';
  way: Way | null;
  batchChanges: number;
  isOwn: boolean;
}

interface Task {
  nodeId: string;
  incarnation: number;
  type: SyncAction['type'];
  batches: number;
}

const MAX_NODES = 1_000;

export class SyncPlanner {
  private readonly nodes = new Map<string, TrackedNode>();
  private readonly tasks = new Map<number, Task>();
  private readonly times = new HeadTimes();
  private head: ReportedPosition = { version: 0, chain: undefined };
  private own: ReadonlySet<string> | undefined;
  private readonly ways: WayChooser;
  private tickets = 0;

  constructor(private readonly settings: PlannerSettings) {
    this.ways = new WayChooser(settings.rates, settings.way);
  }

  get headVersion(): number {
    return this.head.version;
  }

  headAt(head: ReportedPosition, nowMs: number): void {
    // A head that went back has lost versions: what nodes hold beyond it is not for us to judge.
    this.head = head;
    this.times.note(head.version, nowMs);
    for (const node of this.nodes.values()) node.compare(this.times, nowMs);
  }

  nodeAt(nodeId: string, incarnation: number, position: ReportedPosition, nowMs: number): void {
    const known = this.nodes.get(nodeId);
    if (known !== undefined && incarnation < known.incarnation) return;
    if (known === undefined || incarnation > known.incarnation) {
      if (known === undefined && this.nodes.size >= MAX_NODES) return;
      const node = new TrackedNode(incarnation, position, this.settings.batch);
      node.compare(this.times, nowMs);
      this.nodes.set(nodeId, node);
      return;
    }
    // What it says may be older than what it answered to a push; a node that had to go back says so later again.
    if (this.taskOf(nodeId) === undefined || position.version > known.version)
      known.stands(position, this.times, nowMs);
  }

  forget(nodeId: string): void {
    this.nodes.delete(nodeId);
  }

  /** The nodes that are this instance's; before the first call all are. */
  shareIs(own: ReadonlySet<string>): void {
    this.own = own;
  }

  sizesAre(sizes: Sizes): void {
    this.ways.sizesAre(sizes);
  }

  nodeIds(): string[] {
    return [...this.nodes.keys()];
  }

  /** What to do now, in this order. Each task is reported on with its ticket until `report` gives nothing more. */
  plan(nowMs: number): SyncAction[] {
    const actions: SyncAction[] = [];
    const waiting: [string, TrackedNode][] = [];
    for (const [nodeId, node] of this.nodes) {
      const news = this.stateOf(nodeId, node, nowMs);
      if (!this.isOwn(nodeId)) continue;
      if (news !== undefined) actions.push(news);
      if (nowMs >= node.notBeforeMs && this.taskOf(nodeId) === undefined) waiting.push([nodeId, node]);
    }
    waiting.sort(([, a], [, b]) => a.servedAtMs - b.servedAtMs);
    for (const [nodeId, node] of waiting) {
      if (this.tasks.size >= this.settings.maxTasks) break;
      const type = this.taskFor(node, nowMs);
      if (type !== undefined) actions.push(this.begin(type, nodeId, node, nowMs));
    }
    return actions;
  }

  /** What came of a task. The next batch of the same task, if it is to go on at once. */
  report(ticket: number, outcome: SyncOutcome, nowMs: number): SyncTask | undefined {
    const task = this.tasks.get(ticket);
    if (task === undefined) return undefined;
    const node = this.nodes.get(task.nodeId);
    if (node === undefined || node.incarnation !== task.incarnation) {
      this.tasks.delete(ticket);
      return undefined;
    }
    const goesOn = this.learn(node, task, outcome, nowMs);
    if (goesOn && ++task.batches < this.settings.batchesInARow && this.isOwn(task.nodeId)) {
      return this.batch(ticket, task.nodeId, node, outcome.type === 'elsewhere');
    }
    this.tasks.delete(ticket);
    return undefined;
  }

  standings(nowMs: number): SyncState[] {
    return [...this.nodes].map(([nodeId, node]) => {
      const { versions, ms } = node.lag(this.head.version, nowMs);
      const type = this.taskOf(nodeId)?.type;
      return {
        ...{ nodeId, incarnation: node.incarnation, version: node.version },
        ...{ lagVersions: versions, lagMs: ms, batchChanges: node.batch.limit, isOwn: this.isOwn(nodeId) },
        state: node.diverged === undefined ? node.state : 'diverged',
        way: type === 'push' ? 'log' : type === 'load' ? 'snapshot' : null,
      };
    });
  }

  private isOwn(nodeId: string): boolean {
    return this.own === undefined || this.own.has(nodeId);
  }

  private taskOf(nodeId: string): Task | undefined {
    for (const task of this.tasks.values()) if (task.nodeId === nodeId) return task;
    return undefined;
  }

  /** Once when it begins to lag, again at the interval, and when it is over. */
  private stateOf(nodeId: string, node: TrackedNode, nowMs: number): SyncAction | undefined {
    const lag = node.lag(this.head.version, nowMs);
    const from = node.enterState(lag, this.settings.lag, nowMs);
    const { version } = node;
    if (from === 'lagging') {
      const laggedMs = nowMs - (node.laggingSinceMs ?? nowMs);
      node.toldAtMs = Number.NEGATIVE_INFINITY;
      return { type: 'level', nodeId, version, laggedMs };
    }
    if (node.state !== 'lagging' || nowMs - node.toldAtMs < this.settings.tellEveryMs) return undefined;
    node.toldAtMs = nowMs;
    return { type: 'lagging', nodeId, version, behindMs: lag.ms };
  }

  private taskFor(node: TrackedNode, nowMs: number): 'push' | 'load' | 'heal' | 'check' | undefined {
    const { head } = this;
    if (node.diverged !== undefined) return 'heal';
    if (node.version === head.version) {
      const { chain } = node.position;
      return chain !== undefined && head.chain !== undefined && chain !== head.chain ? 'check' : undefined;
    }
    if (node.state === 'level' || node.version > head.version) return undefined;
    const loads = [...this.tasks.values()].filter(({ type }) => type === 'load').length;
    const mayLoad = nowMs >= node.loadNotBeforeMs && loads < this.settings.maxLoads;
    if (node.isBelowLog) return mayLoad ? 'load' : undefined;
    return mayLoad && this.ways.choose(head.version - node.version) === 'snapshot' ? 'load' : 'push';
  }

  private begin(
    type: 'push' | 'load' | 'heal' | 'check',
    nodeId: string,
    node: TrackedNode,
    nowMs: number,
  ): SyncTask {
    const ticket = ++this.tickets;
    this.tasks.set(ticket, { nodeId, incarnation: node.incarnation, type, batches: 0 });
    node.servedAtMs = nowMs;
    // The database may have lost what the node has since it was last compared.
    if (type === 'push') return this.batch(ticket, nodeId, node, true);
    return { type, ticket, nodeId, position: { ...node.position } };
  }

  private batch(ticket: number, nodeId: string, node: TrackedNode, verify: boolean): SyncTask {
    return { type: 'push', ticket, nodeId, after: { ...node.position }, limit: node.batch.limit, verify };
  }

  /** True: go on at once. */
  private learn(node: TrackedNode, task: Task, outcome: SyncOutcome, nowMs: number): boolean {
    switch (outcome.type) {
      case 'taken':
        node.failures = 0;
        node.batch.taken(outcome.changes);
        this.ways.tookFromLog(outcome.changesPerSecond);
        node.stands(outcome.position, this.times, nowMs);
        return node.version < this.head.version;
      case 'elsewhere': {
        const moved = outcome.position.version > node.version;
        node.stands(outcome.position, this.times, nowMs);
        if (!moved) return this.rest(node, nowMs);
        return node.version < this.head.version;
      }
      case 'loaded': {
        const moved = outcome.position.version > node.version;
        node.stands(outcome.position, this.times, nowMs);
        if (!moved) return this.restFromLoads(node, nowMs);
        node.failures = 0;
        this.ways.loaded(outcome.keysPerSecond);
        return false;
      }
      case 'diverged':
        node.stands(outcome.position, this.times, nowMs);
        node.diverged = { ...node.position };
        return this.restFor(node, nowMs);
      case 'told':
      case 'in-log':
        return this.restFor(node, nowMs + this.settings.healEveryMs);
      case 'compacted':
        node.isBelowLog = true;
        return this.restFor(node, nowMs);
      case 'failed':
        if (outcome.reason === 'timed-out' || outcome.reason === 'busy' || outcome.reason === 'too-large')
          node.batch.refused();
        if (task.type === 'load') this.restFromLoads(node, nowMs);
        else this.rest(node, nowMs);
        node.notBeforeMs = Math.max(node.notBeforeMs, nowMs + (outcome.retryAfterMs ?? 0));
        return false;
    }
  }

  private restFromLoads(node: TrackedNode, nowMs: number): false {
    node.loadNotBeforeMs = nowMs + this.settings.loadRestMs;
    return this.rest(node, nowMs);
  }

  private rest(node: TrackedNode, nowMs: number): false {
    return this.restFor(node, nowMs + this.settings.backoffMs(node.failures++));
  }

  private restFor(node: TrackedNode, untilMs: number): false {
    node.notBeforeMs = untilMs;
    return false;
  }
}
