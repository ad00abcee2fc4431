import { type HistoryRetention, LIMITS, RETENTION_KEY, SYSTEM_NAMESPACE } from '#libs/contracts';
import { type Clock, FailureLog, type Repeating, sleep } from '#libs/kernel';
import type { Logger, Metrics } from '#libs/observability';
import { StatementRefused } from '#libs/postgres';
import type { Entry } from '#libs/replica';
import type { Publisher } from '../commit/publisher.js';
import {
  type HeldBack,
  maxAgeMs,
  planRetention,
  RETENTION_BOUNDS,
  type RetentionPlan,
  readRules,
  removable,
  ruleOf,
} from '../domain/retention.js';
import { batchesOf, nextAfter } from '../domain/retention-walk.js';
import type { ReplicaHost } from '../replica/replica-host.js';
import type { ChangeLog } from '../store/change-log.js';
import type { Compaction, OldKey, OldOperation } from '../store/compaction.js';
import type { LeaderFence } from '../store/head-lock.js';
import { CompactorMetrics } from './compactor.metrics.js';

export interface CompactorOptions {
  /** From the end of one walk to the next. */
  everyMs: number;
  /** The latest versions, which always stay. */
  windowVersions: number;
  /** What is younger always stays. */
  protectedMs: number;
}

export const COMPACTOR_OPTIONS: CompactorOptions = {
  everyMs: 600_000,
  windowVersions: LIMITS.windowVersions,
  protectedMs: RETENTION_BOUNDS.protectedMs,
};

/** A look into memory: whether the rules were changed, or it is time. */
const LOOK_EVERY_MS = 1_000;
const SLICE = { keys: 50, operationsPerKey: 100 };
/** A publish waits for at most one such batch: some milliseconds. */
const BATCH = { operations: 50, bytes: 1024 * 1024 };
/** Publishes have the database for themselves in between: for nineteen times as long as a batch took, at least. */
const REST_MS = 25;
const REST_SHARE = 19;

interface Walk {
  leader: LeaderFence;
  rules: HistoryRetention;
  rulesVersion: number | undefined;
  plan: RetentionPlan;
  removed: number;
}

export interface CompactorParts {
  options: CompactorOptions;
  store: { compaction: Compaction; log: ChangeLog };
  host: ReplicaHost;
  publisher: Pick<Publisher, 'betweenBatches'>;
  metrics: Metrics;
  clock: Clock;
  logger: Logger;
}

/**
 * While this node leads, it removes history that the operators' rules no longer keep: walks through the log key by key,
 * and removes what is old in small batches between those of publishes.
 */
export class Compactor {
  private leader: LeaderFence | undefined;
  private dueAtMs = Number.NEGATIVE_INFINITY;
  /** Rules that were changed count at once. */
  private rulesVersion: number | undefined;
  private told: string | undefined;
  private loop: Repeating | undefined;
  private readonly metrics: CompactorMetrics;

  constructor(private readonly parts: CompactorParts) {
    const { metrics } = parts;
    this.metrics = new CompactorMetrics(metrics);
  }

  begin(leader: LeaderFence): void {
    this.leader = leader;
    this.dueAtMs = Number.NEGATIVE_INFINITY;
    this.loop ??= new FailureLog(this.parts.logger, this.parts.clock).repeat(
      'removing old history',
      () => this.step(),
      {
        everyMs: LOOK_EVERY_MS,
        firstAfterMs: LOOK_EVERY_MS,
      },
    );
  }

  end(): void {
    this.leader = undefined;
    this.metrics.heldBack(undefined);
  }

  async stop(): Promise<void> {
    this.end();
    await this.loop?.stop();
  }

  private async step(): Promise<void> {
    const { leader } = this;
    const nowMs = this.parts.clock.monotonicMs();
    if (leader === undefined) return;
    const entry = this.rulesEntry();
    if (entry?.version === this.rulesVersion && nowMs < this.dueAtMs) return;
    this.rulesVersion = entry?.version;
    const rules = readRules(entry?.value);
    if (typeof rules === 'string') {
      this.holdBack({ upTo: 0, heldBack: rules });
      return;
    }
    this.dueAtMs = nowMs + this.parts.options.everyMs;
    const plan = await this.plan();
    this.holdBack(plan);
    const walk = { leader, rules, rulesVersion: entry?.version, plan, removed: 0 };
    if (plan.upTo > 0) await this.walk(walk);
    await this.report(walk);
    this.dueAtMs = this.parts.clock.monotonicMs() + this.parts.options.everyMs;
  }

  private async plan(): Promise<RetentionPlan> {
    const { compaction } = this.parts.store;
    const { windowVersions, protectedMs } = this.parts.options;
    const head = this.parts.host.replica.version;
    try {
      const agedVersion = await compaction.versionOfAge(protectedMs, head);
      const seen = await compaction.positions();
      return planRetention(
        { head, agedVersion, ...seen },
        { ...RETENTION_BOUNDS, windowVersions, protectedMs },
      );
    } catch (error) {
      if (!(error instanceof StatementRefused)) throw error;
      this.parts.logger.warn({ error }, 'reading the positions of nodes failed: no history is removed');
      return { upTo: 0, heldBack: 'positions-unreadable' };
    }
  }

  /** A leader that was deposed, or is told other rules, removes nothing more. */
  private goesOn({ leader, rulesVersion }: Walk): boolean {
    return this.leader === leader && this.rulesEntry()?.version === rulesVersion;
  }

  private rulesEntry(): Entry | undefined {
    return this.parts.host.replica.get(SYSTEM_NAMESPACE, RETENTION_KEY);
  }

  private async walk(walk: Walk): Promise<void> {
    const { compaction } = this.parts.store;
    for (let after = ''; this.goesOn(walk); ) {
      const namespace = await compaction.nextNamespace(after);
      if (namespace === undefined) return;
      after = namespace;
      await this.walkNamespace(walk, namespace);
    }
  }

  private async walkNamespace(walk: Walk, namespace: string): Promise<void> {
    const rule = ruleOf(walk.rules, namespace);
    if (rule === undefined) return;
    const { compaction } = this.parts.store;
    const { upTo } = walk.plan;
    const ageMs = maxAgeMs(rule);
    const agedVersion =
      ageMs === undefined ? null : await compaction.versionOfAge(ageMs, this.parts.host.replica.version);
    const maxVersions = rule.maxVersionsPerKey ?? null;
    for (let after: string | undefined = ''; after !== undefined && this.goesOn(walk); ) {
      const keys: OldKey[] = await compaction.slice({ namespace, after, upTo, maxVersions, ...SLICE });
      const old = keys.map(({ key, operations, keepFrom }) => {
        return { key, operations: removable(operations, { upTo, agedVersion, keepFrom }) };
      });
      await this.remove(
        walk,
        old.flatMap(({ operations }) => operations),
      );
      const counts = old.map(({ key, operations }) => ({ key, removable: operations.length }));
      after = nextAfter(counts, after, SLICE);
      await sleep(REST_MS);
    }
  }

  private async remove(walk: Walk, operations: readonly OldOperation[]): Promise<void> {
    const { compaction } = this.parts.store;
    for (const batch of batchesOf(operations, BATCH)) {
      if (!this.goesOn(walk)) return;
      const begunMs = this.parts.clock.monotonicMs();
      const removed = await this.parts.publisher.betweenBatches(() => compaction.remove(walk.leader, batch));
      const tookMs = this.parts.clock.monotonicMs() - begunMs;
      if (removed === 'fenced') {
        if (this.leader === walk.leader) this.leader = undefined; // whoever leads now goes on
        return;
      }
      walk.removed += removed;
      this.metrics.removed.inc(removed);
      await sleep(Math.max(REST_MS, REST_SHARE * tookMs));
    }
  }

  /** Once for each reason. */
  private holdBack(plan: RetentionPlan): void {
    const { heldBack, nodeId } = plan;
    this.metrics.heldBack(heldBack);
    const telling = `${heldBack} ${nodeId ?? ''}`;
    if (telling === this.told) return;
    this.told = telling;
    this.parts.logger.info({ ...plan }, SAYING[heldBack]);
  }

  private async report({ plan, removed }: Walk): Promise<void> {
    const floor = await this.parts.store.log.floor();
    this.metrics.floor.set(floor);
    this.metrics.finished.set(this.parts.clock.wallMs() / 1_000);
    if (removed > 0) this.parts.logger.info({ removed, floor, ...plan }, 'removed old history');
  }
}

const SAYING: Record<HeldBack, string> = {
  'no-rules': 'all history is kept: there are no rules',
  'rules-invalid': 'all history is kept: the rules are not valid',
  'positions-unreadable': 'no history is removed: where the nodes stand cannot be read',
  'positions-stale': 'no history is removed: the registry saw no node lately',
  'node-behind': 'history is removed only as far as this node has come',
  window: 'history is removed but for the latest versions',
  recent: 'history is removed but for what is young',
};
