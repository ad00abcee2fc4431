import { ENTRY_REPAIRS_KEY, EntryRepairs, parseSystemValue, SYSTEM_NAMESPACE } from '#libs/contracts';
import { type Clock, FailureLog, type Repeating } from '#libs/kernel';
import type { Logger, Metrics } from '#libs/observability';
import type { Alerts } from '../announce/alerts.js';
import type { Publisher } from '../commit/publisher.js';
import { type EntryVerdict, judgeEntry } from '../domain/entry-repair.js';
import type { KeyAddress } from '../domain/log.types.js';
import { MAX_REPAIRS, RepairBreaker } from '../domain/repair-breaker.js';
import type { ReplicaHost } from '../replica/replica-host.js';
import type { DifferingEntry, EntriesScrub, WrongEntry } from '../store/entries-scrub.js';
import type { LeaderFence } from '../store/head-lock.js';

/** 2,000 keys a second, so that 100,000 are looked at within 50 s. */
const EVERY_MS = 250;
const SLICE_KEYS = 500;
const SLICE_BYTES = 1024 * 1024;
/** A small state is walked through no more often than this. */
const WALK_EVERY_MS = 20_000;
const JUDGED_AT_ONCE = 5;
/** Head is locked while keys are judged: where more are wrong, the first ones say what there is to say. */
const MAX_JUDGED_PER_WALK = 500;

const BEGINNING: KeyAddress = { namespace: '', key: '' };

/**
 * While this node leads, it walks through the state in the database and compares it with the log, over and over. Where
 * they differ, the leader's own replica says which of them is damaged: an entry is set right between two batches; a
 * damaged log is told to an operator, and nothing is repaired by it. What was found stands in `config.entry_findings`.
 */
export class EntriesScrubber {
  private leader: LeaderFence | undefined;
  private after = BEGINNING;
  private walkBeganMs = Number.NEGATIVE_INFINITY;
  private judged = 0;
  private readonly breaker = new RepairBreaker();
  /** Version of the operator's key that the breaker goes by. */
  private budgetVersion: number | undefined;
  private readonly alerted = new Set<EntryVerdict>();
  private loop: Repeating | undefined;
  private readonly looked;
  private readonly found;

  constructor(
    private readonly entries: EntriesScrub,
    private readonly publisher: Pick<Publisher, 'betweenBatches'>,
    private readonly host: Pick<ReplicaHost, 'replica'>,
    private readonly telling: { alerts: Pick<Alerts, 'critical'>; logger: Logger },
    metrics: Metrics,
    private readonly clock: Clock,
  ) {
    this.looked = metrics.counter('entries_scrubbed_total', 'Keys of the database compared with the log');
    this.found = metrics.counter('entries_scrub_findings_total', 'Entries that were not what the log says', [
      'class',
      'repaired',
      'verdict',
    ]);
  }

  begin(leader: LeaderFence): void {
    this.leader = leader;
    this.after = BEGINNING;
    this.walkBeganMs = Number.NEGATIVE_INFINITY;
    this.breaker.close(this.budget());
    this.alerted.clear();
    this.loop ??= new FailureLog(this.telling.logger, this.clock).repeat(
      'comparing the entries in the database',
      () => this.step(),
      { everyMs: EVERY_MS, firstAfterMs: EVERY_MS },
    );
  }

  end(): void {
    this.leader = undefined;
  }

  async stop(): Promise<void> {
    this.end();
    await this.loop?.stop();
  }

  private async step(): Promise<void> {
    const { leader, after } = this;
    if (leader === undefined) return;
    this.heedOperator();
    const nowMs = this.clock.monotonicMs();
    if (after === BEGINNING) {
      if (nowMs - this.walkBeganMs < WALK_EVERY_MS) return;
      this.walkBeganMs = nowMs;
      this.judged = 0;
    }
    const { looked, wrong, last } = await this.entries.slice(after, SLICE_KEYS, SLICE_BYTES);
    this.looked.inc(looked);
    for (let from = 0; from < wrong.length; from += JUDGED_AT_ONCE)
      await this.setRight(leader, wrong.slice(from, from + JUDGED_AT_ONCE));
    if (this.leader === leader) this.after = last ?? BEGINNING;
  }

  private async setRight(leader: LeaderFence, keys: readonly KeyAddress[]): Promise<void> {
    if (leader !== this.leader || this.judged >= MAX_JUDGED_PER_WALK) return;
    this.judged += keys.length;
    const done = await this.publisher.betweenBatches(() =>
      this.entries.setRight(leader, keys, (differing, version) => this.judge(differing, version)),
    );
    if (done !== 'fenced') for (const entry of done) this.raiseAlert(entry);
  }

  /** Between batches the replica is at head, unless it does not know yet what became of the last one. */
  private judge(differing: readonly DifferingEntry[], version: number): EntryVerdict[] {
    const { replica } = this.host;
    const nowMs = this.clock.monotonicMs();
    return differing.map(({ namespace, key, class: kind, expected, found }) => {
      if (replica.version !== version) return 'undecided';
      const logged = kind === 'mismatch' && expected === null ? 'unproven' : expected;
      const own = replica.get(namespace, key) ?? null;
      const verdict = judgeEntry({ logged, entry: found, replica: own });
      return verdict === 'scrub' && !this.breaker.allows(nowMs) ? 'too-many' : verdict;
    });
  }

  private raiseAlert(entry: WrongEntry): void {
    const { class: kind, repaired, verdict } = entry;
    this.found.inc({ class: kind, repaired: String(repaired), verdict });
    const what = repaired ? 'it was set right' : 'it was left as it is';
    this.telling.logger.error({ entry }, `an entry in the database differs from the log: ${what}`);
    if (verdict === 'scrub' || verdict === 'compacted' || this.alerted.has(verdict)) return;
    this.alerted.add(verdict);
    const { name, summary } = ALERTS[verdict];
    this.telling.alerts.critical(name, `${entry.namespace}/${entry.key}, perhaps others: ${summary}`);
  }

  /** A new version of the operator's key closes the breaker: somebody has looked. */
  private heedOperator(): void {
    if (this.host.replica.get(SYSTEM_NAMESPACE, ENTRY_REPAIRS_KEY)?.version === this.budgetVersion) return;
    this.breaker.close(this.budget());
  }

  private budget(): number {
    const entry = this.host.replica.get(SYSTEM_NAMESPACE, ENTRY_REPAIRS_KEY);
    this.budgetVersion = entry?.version;
    if (entry === undefined) return MAX_REPAIRS;
    const rule = parseSystemValue(EntryRepairs, entry.value.toString());
    return 'value' in rule ? rule.value.maxPerHour : MAX_REPAIRS;
  }
}

const ALERTS: Record<'log-damaged' | 'undecided' | 'too-many', { name: string; summary: string }> = {
  'log-damaged': {
    name: 'log.damaged',
    summary:
      'the change log in the database lost or altered operations that entries and nodes hold; nothing is repaired from it. Restore config.change_ops',
  },
  undecided: {
    name: 'consistency.entries',
    summary: 'log, entry and the leader say three different things; nothing is repaired',
  },
  'too-many': {
    name: 'consistency.entries',
    summary: `more entries are wrong than may be set right within an hour; repairs stop until an operator publishes system/${ENTRY_REPAIRS_KEY}, or another term begins`,
  },
};
