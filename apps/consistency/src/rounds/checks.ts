import type { ConsistencyCheckReply, ConsistencyRepaired, Difference } from '#libs/contracts';
import { type Clock, rendezvousOwner } from '#libs/kernel';
import { type BusLogger, EventJournal } from '#libs/messaging';
import type { ConsistencySettings } from '../consistency.config.js';
import { ConsistencyMetrics } from '../consistency.metrics.js';
import { ConsistencyStore, type Happened, type NodeConsistencyRow } from '../consistency.store.js';
import type { Pin } from '../domain/comparison/pin.js';
import type { NodeOutcome } from '../domain/comparison/round.js';
import { NO_SUSPICION } from '../domain/comparison/suspicion.js';
import { eventsFor, type Reporter, repairEvent } from '../domain/consistency-events.js';
import { ConsistencyStates } from '../domain/consistency-states.js';
import type { KnownNodes } from '../domain/known-nodes.js';
import { stillSuspected } from '../domain/reference/reference-comparison.js';
import { shareOf } from '../domain/share.js';
import { ReferenceStore } from '../reference/reference.store.js';
import { ReferenceCheck } from '../reference/reference-check.js';
import { Repairer } from './repairer.js';
import { RoundRunner } from './round-runner.js';

const MAX_STORED = 100;

export interface ChecksParts {
  members: KnownNodes;
  store: ConsistencyStore;
  truth: ReferenceStore;
  truthCheck: ReferenceCheck;
  runner: RoundRunner;
  repairer: Repairer;
  journal: EventJournal<Happened>;
  metrics: ConsistencyMetrics;
  settings: ConsistencySettings;
  clock: Clock;
  logger: BusLogger;
}

/** One check after the other, regular ones and those that are asked for: pin, compare, tell, repair. */

export class Checks {
  private readonly standings: ConsistencyStates;
  private turn: Promise<unknown> = Promise.resolve();
  private instances: string[] = [];
  /** Nodes that agree with each other may all be wrong: looked into until they are found right. */
  private suspicion = NO_SUSPICION;

  constructor(private readonly parts: ChecksParts) {
    const { settings } = parts;
    this.standings = new ConsistencyStates(settings.unknownAlertMs);
  }

  get counts() {
    return this.standings.counts();
  }

  /** What earlier rounds found, so that a restart is no news. */
  async recall(): Promise<void> {
    const nowMs = this.parts.clock.monotonicMs();
    for (const { nodeId, result, reason, since } of await this.parts.store.nodes()) {
      const forMs = Math.max(0, this.parts.clock.wallMs() - Date.parse(since));
      this.standings.recall(nodeId, { result, reason, sinceMs: nowMs - forMs, warned: false });
    }
  }

  async forget(nodeId: string): Promise<void> {
    this.standings.forget(nodeId);
    await this.parts.store.forgetNode(nodeId);
  }

  /** A regular round: this instance's share of the nodes. True when something was repaired: look again soon. */
  regular(): Promise<boolean> {
    return this.inTurn(async () => {
      const { instanceId, instanceLifeMs, repairs } = this.parts.settings;
      const others = await this.parts.store.instances.renew(instanceId, instanceLifeMs);
      this.instances = [instanceId, ...others];
      const head = await this.parts.truth.head();
      const { own, asked } = shareOf(instanceId, this.parts.members.ids(), this.instances, head.leaderId);
      if (own.length === 0) return false;
      return isSetRight(await this.round(head, own, asked, repairs));
    });
  }

  /** All nodes, now, whoever's they are; with the state in the database too, unless that would cost too much. */
  async asked(repair: boolean): Promise<ConsistencyCheckReply> {
    if (this.parts.truthCheck.pace.isDue(this.parts.clock.monotonicMs(), 'asked'))
      await this.compareWithTruth();
    return this.inTurn(() => this.roundOfAll(repair));
  }

  /**
   * One instance compares all nodes with the state in the database, and has looked into what differs. True when
   * something was repaired: look again soon.
   */
  async regularTruth(): Promise<boolean> {
    const { instanceId, repairs } = this.parts.settings;
    if (!this.parts.truthCheck.pace.isDue(this.parts.clock.monotonicMs(), 'regular')) return false;
    if (rendezvousOwner('the truth', this.instances) !== instanceId) return false;
    await this.compareWithTruth();
    if (this.suspicion.buckets.size === 0) return false;
    const reply = await this.inTurn(() => this.roundOfAll(repairs));
    if (!isSetRight(reply)) return false;
    await this.compareWithTruth();
    return true;
  }

  private async compareWithTruth(): Promise<void> {
    this.suspicion = await this.parts.truthCheck.check(this.addressesOf(this.parts.members.ids()));
  }

  private async roundOfAll(repair: boolean): Promise<ConsistencyCheckReply> {
    const all = this.parts.members.ids();
    return this.round(await this.parts.truth.head(), all, all, repair);
  }

  private addressesOf(nodeIds: readonly string[]): Map<string, string | undefined> {
    return new Map(nodeIds.map((nodeId) => [nodeId, this.parts.members.addressOf(nodeId)]));
  }

  /** A node that has nobody else to be compared with: what the state in the database said of it lately. */
  private async spokenFor(outcomes: NodeOutcome[]): Promise<NodeOutcome[]> {
    if (!outcomes.some(({ reason }) => reason === 'alone')) return outcomes;
    const compared = await this.parts.store.truth(this.parts.truthCheck.pace.speaksForMs);
    return outcomes.map((outcome) =>
      outcome.reason === 'alone' && compared?.match.includes(outcome.nodeId)
        ? { ...outcome, result: 'match', reason: null }
        : outcome,
    );
  }

  /** Answers are of the nodes that are `own` here; those that are only asked are somebody else's to judge. */
  private async round(
    { version, chain }: Pin,
    own: readonly string[],
    asked: readonly string[],
    repair: boolean,
  ): Promise<ConsistencyCheckReply> {
    const pin = { version, chain };
    const begunMs = this.parts.clock.monotonicMs();
    const { suspicion } = this;
    const all = await this.parts.runner.compare(pin, this.addressesOf(asked), suspicion);
    // What was raised meanwhile this round has not looked into.
    if (this.suspicion === suspicion) this.suspicion = stillSuspected(suspicion, all);
    const outcomes = (await this.spokenFor(all)).filter(({ nodeId }) => own.includes(nodeId));
    const tookMs = this.parts.clock.monotonicMs() - begunMs;
    this.measure(outcomes, tookMs);
    await this.publishTransitions(pin, outcomes);
    const repairs = repair ? await this.repairAll(pin, outcomes) : [];
    return {
      ...{ ...pin, tookMs, repairs },
      consistent: outcomes.length > 0 && outcomes.every(({ result }) => result === 'match'),
      nodes: outcomes.map(({ nodeId, result, reason }) => ({ nodeId, result, reason })),
      found: outcomes
        .filter(({ differences, more }) => differences.length + more > 0)
        .map(({ nodeId, ...found }) => ({ nodeId, ...stored(found) })),
    };
  }

  private async publishTransitions(pin: Pin, outcomes: readonly NodeOutcome[]): Promise<void> {
    const reporter = this.reporter();
    const nowMs = this.parts.clock.monotonicMs();
    const facts = this.standings.apply(outcomes, nowMs).flatMap((news) => {
      if (news.type === 'changed') this.log(news.outcome, pin);
      return eventsFor(news, pin, reporter);
    });
    if (facts.length > 0) this.parts.journal.add({ repairs: [], facts });
    const rows = outcomes.map((outcome): NodeConsistencyRow => {
      const sinceMs = this.standings.get(outcome.nodeId)?.sinceMs ?? nowMs;
      const { nodeId, result, reason } = outcome;
      return {
        ...{ nodeId, result, reason, ...stored(outcome), version: pin.version },
        since: new Date(reporter.wallMs - (nowMs - sinceMs)).toISOString(),
        ...{ checkedAt: reporter.at, observer: reporter.observer },
      };
    });
    await this.parts.store.saveNodes(rows);
    const counts = { match: 0, mismatch: 0, unknown: 0 };
    for (const { result } of outcomes) counts[result]++;
    const { observer, at: lastAt } = reporter;
    await this.parts.store.saveRound({ observer, lastAt, version: pin.version, ...counts });
  }

  private async repairAll(pin: Pin, outcomes: readonly NodeOutcome[]): Promise<ConsistencyRepaired[]> {
    const done: ConsistencyRepaired[] = [];
    for (const outcome of outcomes) {
      const address = this.parts.members.addressOf(outcome.nodeId);
      if (outcome.result !== 'mismatch' || address === undefined) continue;
      const { plan, repairs } = await this.parts.repairer.repair(pin, outcome, address);
      const facts = repairEvent(outcome.nodeId, plan, repairs, this.reporter());
      const rows = repairs.map((repaired, index) => {
        this.parts.metrics.repairs.inc({ place: 'node', outcome: repaired.outcome });
        return { id: facts[index]?.id ?? '', findingId: null, repaired };
      });
      this.parts.logger.warn(
        { nodeId: outcome.nodeId, plan, repairs },
        'a node differs: repairs were planned',
      );
      if (facts.length > 0) this.parts.journal.add({ repairs: rows, facts });
      done.push(...repairs);
    }
    return done;
  }

  private measure(outcomes: readonly NodeOutcome[], tookMs: number): void {
    this.parts.metrics.roundSeconds.observe(tookMs / 1_000);
    const worst = (['mismatch', 'unknown'] as const).find((result) =>
      outcomes.some((outcome) => outcome.result === result),
    );
    this.parts.metrics.rounds.inc({ outcome: worst ?? 'match' });
    for (const { differences } of outcomes)
      for (const difference of differences) this.parts.metrics.differences.inc({ class: difference.class });
  }

  private log({ nodeId, result, reason, differences, more }: NodeOutcome, { version }: Pin): void {
    const found = { nodeId, result, reason, version, more, differences: differences.slice(0, 10) };
    this.parts.logger[result === 'mismatch' ? 'error' : 'info'](found, 'the state of a node was compared');
  }

  private reporter(): Reporter {
    const wallMs = this.parts.clock.wallMs();
    return { observer: this.parts.settings.instanceId, wallMs, at: new Date(wallMs).toISOString() };
  }

  private inTurn<T>(task: () => Promise<T>): Promise<T> {
    const mine = this.turn.then(task);
    this.turn = mine.catch(() => undefined); // whoever asked for it is told
    return mine;
  }
}

function isSetRight({ repairs }: ConsistencyCheckReply): boolean {
  return repairs.some(({ outcome }) => outcome === 'repaired' || outcome === 'reloaded');
}

function stored({ differences, more }: { differences: readonly Difference[]; more: number }) {
  const kept = differences.slice(0, MAX_STORED);
  return { differences: kept, more: more + differences.length - kept.length };
}
