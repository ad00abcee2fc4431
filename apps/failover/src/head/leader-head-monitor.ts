import { Injectable } from '@nestjs/common';
import { isPlausibleTerm, type LeaderElected, TERM_AHEAD_MAX } from '#libs/contracts';
import { type Clock, FailureLog, type Repeating } from '#libs/kernel';
import { Bus, type BusLogger } from '#libs/messaging';
import { HeadStore, type LeaderHead } from './head.store.js';

const LOOP_EVERY_MS = 100;

/**
 * Follows `config.head`: who leads, by the only word that counts. News from the bus is a hint to read it at once.
 */
@Injectable()
export class LeaderHeadMonitor {
  private known: LeaderHead | undefined;
  private highestVersion = 0;
  private highest = 0;
  /** Reads are numbered when they are sent, so that a late answer does not undo a newer one. */
  private sent = 0;
  private taken = 0;
  private loop: Repeating | undefined;
  private readonly listeners = new Set<(head: LeaderHead) => void>();

  constructor(
    private readonly store: HeadStore,
    private readonly bus: Bus,
    private readonly logger: BusLogger,
    private readonly clock: Clock,
    private readonly pollEveryMs: () => number,
  ) {}

  /** The pace changes with the bus, so the loop itself runs at a faster one. */
  start(): void {
    let lastReadMs = Number.NEGATIVE_INFINITY;
    const poll = async () => {
      const nowMs = this.clock.monotonicMs();
      if (this.known && nowMs - lastReadMs < this.pollEveryMs()) return;
      lastReadMs = nowMs;
      await this.read();
    };
    const failures = new FailureLog(this.logger, this.clock);
    this.loop = failures.repeat('reading the head', poll, { everyMs: LOOP_EVERY_MS });
  }

  get current(): LeaderHead | undefined {
    return this.known;
  }

  /** The highest term seen anywhere, never more than 1,000 beyond the head's: a claim goes beyond it. */
  get highestTerm(): number {
    return Math.min(this.highest, (this.known?.term ?? 0) + TERM_AHEAD_MAX);
  }

  isOfCluster(clusterId: string | null | undefined): boolean {
    return this.known !== undefined && this.known.clusterId === clusterId;
  }

  onChange(listener: (head: LeaderHead) => void): void {
    this.listeners.add(listener);
  }

  /** Somebody said that there is such a term. One that is too high to be believed is only a hint to read the head. */
  noteTerm(term: number): void {
    if (isPlausibleTerm(term, this.known?.term ?? 0)) this.highest = Math.max(this.highest, term);
    else this.loop?.trigger();
  }

  async read(): Promise<LeaderHead> {
    const number = ++this.sent;
    const head = await this.store.read();
    if (number > this.taken) {
      this.taken = number;
      this.take(head);
    }
    return head;
  }

  /** Ours or another's: either way the head says so by now. */
  elected(elected: LeaderElected): void {
    const { known } = this;
    this.noteTerm(elected.term);
    if (!known || elected.term <= known.term || !isPlausibleTerm(elected.term, known.term)) return;
    const { term, leaderId, incarnation, version } = elected;
    this.taken = this.sent;
    this.take({ ...known, term, leaderId, incarnation, version: Math.max(version, known.version) });
  }

  async stop(): Promise<void> {
    await this.loop?.stop();
  }

  private take(head: LeaderHead): void {
    const { known } = this;
    this.highest = Math.max(this.highest, head.term);
    this.watchForLoss(head);
    this.known = head;
    if (known?.term === head.term && known.leaderId === head.leaderId) return;
    for (const listener of this.listeners) listener(head);
  }

  private watchForLoss(head: LeaderHead): void {
    if (head.version < this.highestVersion) {
      this.logger.error(
        { version: head.version, seen: this.highestVersion },
        'the database has lost versions',
      );
      this.bus.publishFamily('alert.raised', 'critical', {
        name: 'storage.regressed',
        severity: 'critical',
        summary: `the head is at version ${head.version}; version ${this.highestVersion} had been committed`,
        labels: { clusterId: head.clusterId },
        at: new Date(this.clock.wallMs()).toISOString(),
      });
    }
    this.highestVersion = head.version;
  }
}
