import {
  EJECTION_LIMITS,
  type EjectionLimits,
  isPanic,
  OutlierEjection,
  RetryBudget,
  rampsOf,
  type Strategy,
} from '#libs/balancer';
import type { Candidate } from './candidate.js';
import type { Standing } from './node-rank.js';
import { inTiers, type NodeTable } from './node-table.js';

/** A node that says its database is away is not asked for what another one could not read, for so long. */
const STORAGE_AWAY_MS = 1_000;

/** Whether a node is one of those that a request would rather go to. */
export type Wish = (candidate: Candidate) => boolean;

export interface LoadBalancerOptions {
  strategy: Strategy;
  slowStartMs: number;
  ejection?: EjectionLimits;
}

/** A node was ejected for so long; 0 = its time is over. */
export interface EjectionChange {
  id: string;
  ejectedForMs: number;
}

/**
 * Which node gets the next request. The order of the table is the law: a fitter node goes first. Among those that are
 * equally fit the strategy chooses. What this gateway sees of their answers moves nodes within that order: one that
 * fails again and again goes behind (unless so few are left that suspicion is a luxury), one that came back gets
 * its share little by little.
 *
 * A retry needs a reason to hope: it goes to a node whose last answer was good, or is paid for from a budget. So the
 * loss of some nodes loses no request, however many were under way, and a fleet that fails as a whole is not asked
 * everything twice.
 *
 * Pure: time comes in. Every request is told as `sent` once and as `over` once.
 */
export class LoadBalancer {
  private strategy: Strategy;
  private slowStartMs: number;
  private readonly ejection: OutlierEjection;
  private readonly budget = new RetryBudget();
  private standings: ReturnType<NodeTable['standings']> = [];
  private tiersNow: readonly (readonly Candidate[])[] = [];
  private underWay = 0;
  private readonly news: EjectionChange[] = [];

  constructor(
    private readonly table: NodeTable,
    { strategy, slowStartMs, ejection = EJECTION_LIMITS }: LoadBalancerOptions,
  ) {
    this.strategy = strategy;
    this.slowStartMs = slowStartMs;
    this.ejection = new OutlierEjection(ejection);
  }

  /** Takes another way of choosing from the next request on; what is known of the nodes stays. */
  configure({ strategy, slowStartMs }: Pick<LoadBalancerOptions, 'strategy' | 'slowStartMs'>): void {
    this.strategy = strategy;
    this.slowStartMs = slowStartMs;
  }

  /** Requests that were sent and are not over. */
  get active(): number {
    return this.underWay;
  }

  get allowsExtra(): boolean {
    return this.budget.allowsRetry;
  }

  /** Nodes by preference; empty only while no node's address is known. */
  tiers(nowMs: number): readonly (readonly Candidate[])[] {
    if (this.table.standings() !== this.standings) this.order(nowMs);
    return this.tiersNow;
  }

  /**
   * The node to ask; of the best tier that has one which was not tried yet, those first whose last answer was good, and
   * among them those that the request wishes for, as far as there are any.
   */
  choose(
    target: string,
    tried: readonly Candidate[],
    nowMs: number,
    wishes: readonly Wish[] = [],
  ): Candidate | undefined {
    for (const tier of this.tiers(nowMs)) {
      if (tried.length === 0) return this.strategy.pick(wishedFor(tier, wishes), target);
      const untried = tier.filter((candidate) => !tried.includes(candidate));
      if (untried.length === 0) continue;
      const hopeful = untried.filter(({ id }) => this.ejection.failuresOf(id) === 0);
      return this.strategy.pick(wishedFor(hopeful.length > 0 ? hopeful : untried, wishes), target);
    }
    return undefined;
  }

  /** Whether a request that failed elsewhere may be repeated there. */
  mayRetry({ id }: Candidate): boolean {
    return this.ejection.failuresOf(id) === 0 || this.budget.allowsRetry;
  }

  hasStorage({ storageAwayUntilMs }: Candidate, nowMs: number): boolean {
    return nowMs >= storageAwayUntilMs;
  }

  sent(candidate: Candidate): void {
    candidate.active += 1;
    candidate.requests[candidate.standing] += 1;
    this.underWay += 1;
  }

  over(candidate: Candidate): void {
    candidate.active -= 1;
    this.underWay -= 1;
  }

  succeeded({ id }: Candidate): void {
    this.ejection.succeeded(id);
    this.budget.succeeded();
  }

  failed(candidate: Candidate, nowMs: number): void {
    candidate.failed();
    this.budget.failed();
    const forMs = this.ejection.failed(candidate.id, nowMs, this.standings.length);
    if (forMs === undefined) return;
    this.news.push({ id: candidate.id, ejectedForMs: forMs });
    this.order(nowMs);
  }

  storageAway(candidate: Candidate, nowMs: number): void {
    candidate.storageAwayUntilMs = nowMs + STORAGE_AWAY_MS;
  }

  /** To be called some times a second. @returns who was ejected and who came back since the last time */
  tick(nowMs: number): EjectionChange[] {
    const back = this.ejection.tick(nowMs);
    for (const id of back) this.news.push({ id, ejectedForMs: 0 });
    if (back.length > 0) this.order(nowMs);
    else if (this.tiers(nowMs).length > 0) this.ramp(nowMs);
    return this.news.splice(0);
  }

  private order(nowMs: number): void {
    const known = this.table.standings();
    this.forgetAllBut(known);
    this.standings = known;
    const usable = known.filter(([node, standing]) => isIn(standing) && !this.isEjected(node, nowMs));
    const panic = isPanic(usable.length, known.length);
    const judged = known.map(([node, standing]): [Candidate, Standing] => {
      if (panic || !isIn(standing) || !this.isEjected(node, nowMs)) return [node, standing];
      return [node, isFit(standing) ? 'ejected' : 'out'];
    });
    for (const [candidate, standing] of judged) {
      candidate.standing = standing;
      if (isFit(standing)) candidate.usableSinceMs ??= nowMs;
      else candidate.usableSinceMs = null;
    }
    this.tiersNow = inTiers(judged);
    this.ramp(nowMs);
  }

  private isEjected(candidate: Candidate, nowMs: number): boolean {
    if (candidate.confirmedHealthy) this.ejection.checkedGood(candidate.id, nowMs);
    candidate.confirmedHealthy = false;
    return this.ejection.isEjected(candidate.id);
  }

  private ramp(nowMs: number): void {
    const usable: Candidate[] = [];
    const forMs: number[] = [];
    for (const [candidate] of this.standings) {
      if (candidate.usableSinceMs === null) continue;
      usable.push(candidate);
      forMs.push(nowMs - candidate.usableSinceMs);
    }
    const ramps = rampsOf(forMs, this.slowStartMs);
    for (const [index, candidate] of usable.entries()) candidate.ramp = ramps[index] ?? candidate.ramp;
  }

  private forgetAllBut(known: ReturnType<NodeTable['standings']>): void {
    for (const [{ id }] of this.standings) {
      if (!known.some(([candidate]) => candidate.id === id)) this.ejection.forget(id);
    }
  }
}

function isIn(standing: Standing): boolean {
  return standing !== 'out' && standing !== 'unreachable';
}

function isFit(standing: Standing): boolean {
  return standing === 'healthy' || standing === 'degraded';
}

/** One wish after the other is granted while it leaves a node. */
function wishedFor(candidates: readonly Candidate[], wishes: readonly Wish[]): readonly Candidate[] {
  let left = candidates;
  for (const wish of wishes) {
    const granted = left.filter(wish);
    if (granted.length > 0) left = granted;
  }
  return left;
}
